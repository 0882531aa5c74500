"""The checks on image/Dockerfile and ci/image/Dockerfile."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .dockerfile import Dockerfile, DockerfileError, Instruction, Stage, parse, unquote
from .image_labels import REQUIRED_LABELS
from .model import Finding, open_regular
from .registry import CHECKS
from .secrets_in_files import secret_name, secret_setting, secrets_in_line

SERVICE = "image/Dockerfile"
CI_IMAGE = "ci/image/Dockerfile"

_USER = re.compile(r"0*[1-9][0-9]*(?::[0-9]+)?")
_DISTROLESS = re.compile(
    r"(?:[^@]+/)?distroless/[a-z0-9][a-z0-9.-]*-debian(?P<debian>[0-9]+)(?::(?P<tag>[\w.-]+))?(?:@.*)?"
)
_SUPPORTED_DEBIAN = "13"
_REMOTE = re.compile(r"(?:https?|ftp|git|ssh)://|git@[\w.-]+:|[^/\s]+\.git(?:#|$)", re.IGNORECASE)
_SECRET_SOURCES = frozenset(
    {".env", ".netrc", ".git", ".ssh", ".aws", ".kube", ".docker", ".gnupg", ".git-credentials"}
)
_ARG_FIX = (
    "fetch what needs it in ci/image/Dockerfile, with RUN --mount=type=secret, "
    "and replace the secret if it was ever built in"
)
_IGNORED_FLAGS = {
    ("COPY", "parents"): "COPY --parents has no effect in Kaniko",
    ("COPY", "exclude"): "COPY --exclude has no effect in Kaniko",
    ("COPY", "link"): "COPY --link has no effect in Kaniko",
    ("ADD", "checksum"): "ADD --checksum is not verified by Kaniko",
    ("ADD", "keep-git-dir"): "ADD --keep-git-dir has no effect in Kaniko",
    ("ADD", "link"): "ADD --link has no effect in Kaniko",
    ("ADD", "exclude"): "ADD --exclude has no effect in Kaniko",
    ("RUN", "network"): "RUN --network has no effect in Kaniko",
    ("RUN", "security"): "RUN --security has no effect in Kaniko",
}


@dataclass(frozen=True)
class ImageName:
    """A reference to an image, taken apart."""

    registry: str
    tag: str
    digest: str

    @classmethod
    def of(cls, reference: str) -> ImageName:
        name, _, digest = reference.partition("@")
        first, slash, _ = name.partition("/")
        registry = first if slash and ("." in first or ":" in first or first == "localhost") else ""
        tag = name.rpartition("/")[2].partition(":")[2]
        return cls(registry, tag, digest)


class DockerfileChecks:
    """One Dockerfile and the checks that apply to it."""

    def __init__(self, path: str, dockerfile: Dockerfile) -> None:
        self.path = path
        self.file = dockerfile

    def run(self) -> Iterator[Finding]:
        yield from self._network_adds()
        yield from self._kaniko()
        yield from self._tags()
        yield from self._secrets()
        if self.path != SERVICE:
            return
        yield from self._stages()
        yield from self._base_arguments()
        release, debug = self.file.stage("release"), self.file.stage("debug")
        if release is not None:
            yield from self._release(release)
            release = self.file.with_inherited(release)
            yield from self._exec_forms(release)
        if debug is not None:
            yield from self._exec_forms(debug)
        if debug is not None:
            yield from self._debug(debug, release)

    def _finding(self, check: str, line: int, message: str, fix: str | None = None) -> Finding:
        return Finding(check, self.path, message, fix or CHECKS[check].fix, line)

    # DKF-002, DKF-003

    def _stages(self) -> Iterator[Finding]:
        names = [stage.name for stage in self.file.stages]
        wanted = ["builder", "release", "debug"]
        missing = [name for name in wanted if name not in names]
        if missing:
            yield self._finding("DKF-002", self.file.stages[0].line, f"no stage named {', '.join(missing)}")
        twice = sorted({name for name in names if name and names.count(name) > 1})
        for name in twice:
            yield self._finding(
                "DKF-002", self.file.stages[names.index(name)].line, f"more than one stage named {name}"
            )
        present = [names.index(name) for name in wanted if name in names]
        if present != sorted(present):
            first = self.file.stages[min(present)]
            yield self._finding("DKF-002", first.line, "the stages are not in the order builder, release, debug")
        elif {"release", "debug"} <= set(names):
            for stage in self.file.stages[names.index("release") + 1 : names.index("debug")]:
                yield self._finding("DKF-002", stage.line, f"the stage {stage.name} stands between release and debug")
        closing = self.file.stages[-1]
        if self.file.expand(closing.base).lower() != "release" or closing.name in wanted:
            yield self._finding("DKF-003", closing.line, "the last stage is not `FROM release`")
        elif closing.instructions:
            yield self._finding(
                "DKF-003", closing.instructions[0].line, "the closing `FROM release` is not the last line"
            )

    # DKF-004

    def _exec_forms(self, stage: Stage) -> Iterator[Finding]:
        for item in stage.all("ENTRYPOINT", "CMD"):
            if item.exec_form is None:
                yield self._finding("DKF-004", item.line, f"{item.keyword} is in shell form")
        for item in stage.all("HEALTHCHECK"):
            keyword, _, rest = item.value.partition(" ")
            if keyword.upper() == "CMD" and Instruction("CMD", rest.strip(), item.line).exec_form is None:
                yield self._finding("DKF-004", item.line, "HEALTHCHECK is in shell form")

    # DKF-006, DKF-007

    def _network_adds(self) -> Iterator[Finding]:
        for item in self.file.instructions:
            if item.keyword == "ADD":
                for word in item.words[:-1]:
                    if _REMOTE.match(word):
                        yield self._finding("DKF-006", item.line, f"ADD downloads {_without_password(word)}")

    def _kaniko(self) -> Iterator[Finding]:
        if "syntax" in self.file.directives:
            yield self._finding(
                "DKF-007", self.file.directives["syntax"][1], "the syntax directive has no effect in Kaniko"
            )
        for item in self.file.instructions:
            for name, value in item.flags:
                if (item.keyword, name) in _IGNORED_FLAGS:
                    yield self._finding("DKF-007", item.line, _IGNORED_FLAGS[item.keyword, name])
                elif item.keyword == "RUN" and name == "mount":
                    yield from self._mount(item.line, value)
            if item.heredocs:
                yield self._finding(
                    "DKF-007", item.line, f"{item.keyword} has a heredoc, which not every builder reads"
                )
        for stage in self.file.stages:
            yield from self._copies_after_user(stage)

    def _mount(self, line: int, value: str) -> Iterator[Finding]:
        options = {part.partition("=")[0]: part.partition("=")[2] for part in value.split(",")}
        kind = options.get("type", "bind")
        if "from" in options:
            yield self._finding("DKF-007", line, "RUN --mount from a stage or image is not supported by Kaniko")
        elif kind == "ssh":
            yield self._finding("DKF-007", line, "RUN --mount=type=ssh is not supported by Kaniko")
        elif kind == "secret" and self.path == SERVICE:
            yield self._finding("DKF-007", line, "with Kaniko a secret mount may stay readable for later RUN steps")

    def _copies_after_user(self, stage: Stage) -> Iterator[Finding]:
        user = False
        for item in self.file.with_inherited(stage).instructions:
            if item.keyword == "USER":
                user = unquote(item.value).partition(":")[0] not in ("0", "root")
            elif (
                user
                and item.line > stage.line  # those of the stages before are reported there
                and item.keyword in ("COPY", "ADD")
                and not any(name == "chown" for name, _ in item.flags)
            ):
                message = f"{item.keyword} after USER: with Kaniko the files belong to that user, with others to root"
                yield self._finding("DKF-007", item.line, message, "copy before USER, or say --chown=0:0")

    # DKF-008, DKF-009, DKF-010

    def _tags(self) -> Iterator[Finding]:
        for stage in self.file.stages:
            base = self.file.expand(stage.base)
            if base.lower() != "scratch" and not self.file.is_stage(base, stage):
                yield from self._reference(base, stage.line)
            for item in stage.all("COPY", "RUN"):
                sources = [value for name, value in item.flags if name == "from"]
                for source in sources:
                    if not self.file.is_stage(source, stage) and "$" not in source:
                        yield from self._reference(source, item.line)

    def _reference(self, reference: str, line: int) -> Iterator[Finding]:
        if not reference or "$" in reference:
            yield self._finding("DKF-008", line, "the base has no default", "give the build argument a default")
            return
        name = ImageName.of(reference)
        if not name.registry:
            yield self._finding("DKF-008", line, f"{reference} does not name its registry")
        if name.tag == "latest":
            yield self._finding("DKF-008", line, f"{reference} is latest")
        elif not name.tag and not name.digest:
            yield self._finding("DKF-008", line, f"{reference} has no tag")

    def _base_arguments(self) -> Iterator[Finding]:
        for name, argument in (("builder", "BUILDER_IMAGE"), ("release", "RELEASE_IMAGE"), ("debug", "DEBUG_FROM")):
            stage = self.file.stage(name)
            if stage is None:
                continue
            root = stage if name == "debug" else self.file.root_of(stage)
            if root.base not in (f"${{{argument}}}", f"${argument}") and not (
                name == "release" and root.base == "scratch"
            ):
                message = f"{name} starts from {root.base}, expected ${{{argument}}}"
                yield self._finding(
                    "DKF-009", root.line, message, f"write ARG {argument}=… first and FROM ${{{argument}}} here"
                )
            elif name == "debug" and self.file.expand(root.base).lower() != "release":
                yield self._finding(
                    "DKF-009", root.line, "DEBUG_FROM does not default to release", "write ARG DEBUG_FROM=release"
                )

    # The release stage

    def _release(self, stage: Stage) -> Iterator[Finding]:
        root = self.file.root_of(stage)
        base = self.file.expand(root.base)
        distroless = _DISTROLESS.fullmatch(base)
        if distroless is None and base != "scratch":
            yield self._finding(
                "DKF-010",
                root.line,
                f"the release stands on {base or 'nothing'}, which is neither distroless nor scratch",
            )
        elif distroless is not None and distroless.group("debian") != _SUPPORTED_DEBIAN:
            message = f"{base} is not built from Debian {_SUPPORTED_DEBIAN}, so it gets no fixes"
            yield self._finding("DKF-010", root.line, message)
        elif distroless is not None and "debug" in (distroless.group("tag") or ""):
            yield self._finding("DKF-010", root.line, f"{base} is a debug image: it has a shell")
        for part in self.file.lineage(stage):
            where = "release stage" if part is stage else f"stage {part.name}, which the release stage stands on"
            for item in part.all("RUN"):
                yield self._finding("DKF-011", item.line, f"RUN in the {where}")
        stage = self.file.with_inherited(stage)
        user = stage.last("USER")
        if user is None:
            yield self._finding("DKF-005", stage.line, "the release stage has no USER")
        elif not _USER.fullmatch(unquote(user.value)):
            yield self._finding("DKF-005", user.line, f"USER is {user.value}, expected a number that is not 0")
        health = stage.last("HEALTHCHECK")
        if health is None or health.value.upper() == "NONE":
            line = health.line if health else stage.line
            yield self._finding("DKF-014", line, "the release stage has no HEALTHCHECK")
        labels = {name for item in stage.all("LABEL") for name, _ in item.pairs}
        missing = [name for name in REQUIRED_LABELS if f"org.opencontainers.image.{name}" not in labels]
        if missing:
            yield self._finding("DKF-015", stage.line, f"no label org.opencontainers.image.{{{','.join(missing)}}}")

    # DKF-005, DKF-012

    def _debug(self, stage: Stage, release: Stage | None) -> Iterator[Finding]:
        for item in stage.instructions:
            if item.keyword == "USER":
                expected = release.last("USER") if release else None
                if expected is None or unquote(item.value) != unquote(expected.value):
                    message = f"the debug stage changes USER to {item.value}"
                    yield self._finding("DKF-005", item.line, message, "remove it: debug keeps the release's user")
            elif item.keyword == "COPY":
                words = [word.rstrip("/") for word in item.words]
                if words != ["/busybox", "/busybox"] or not any(name == "from" for name, _ in item.flags):
                    yield self._finding("DKF-012", item.line, f"the debug stage copies {' '.join(item.words[:-1])}")
            elif item.keyword == "ENV":
                for name, _ in item.pairs:
                    if name != "PATH":
                        yield self._finding("DKF-012", item.line, f"the debug stage sets the variable {name}")
            elif item.keyword not in ("ENTRYPOINT", "CMD"):
                yield self._finding("DKF-012", item.line, f"{item.keyword} in the debug stage")
        yield from self._debug_start(stage, release)

    def _debug_start(self, stage: Stage, release: Stage | None) -> Iterator[Finding]:
        fix = "write ENTRYPOINT [] and CMD with the release's full command"
        entrypoint, command = stage.last("ENTRYPOINT"), stage.last("CMD")
        if entrypoint is None or entrypoint.exec_form:
            line = entrypoint.line if entrypoint else stage.line
            yield self._finding("DKF-012", line, "the debug stage does not clear ENTRYPOINT", fix)
        if command is None:
            yield self._finding("DKF-012", stage.line, "the debug stage has no CMD to start the service", fix)
        elif release is not None and command.exec_form is not None:
            forms = [release.last("ENTRYPOINT"), release.last("CMD")]
            words = [item.exec_form for item in forms if item is not None]
            if None not in words and command.exec_form != [word for form in words for word in form or []]:
                yield self._finding("DKF-012", command.line, "the debug stage's CMD is not the release's command", fix)

    # DKF-013

    def _secrets(self) -> Iterator[Finding]:
        for item in self.file.instructions:
            if item.keyword in ("ARG", "ENV", "LABEL"):
                for name, value in item.pairs:
                    if secret_setting(name, value or "") or (item.keyword == "ARG" and secret_name(name)):
                        message = f"{item.keyword} {name} carries a secret into the image"
                        yield self._finding("DKF-013", item.line, message, _ARG_FIX if item.keyword == "ARG" else None)
            elif item.keyword in ("COPY", "ADD") and not any(name == "from" for name, _ in item.flags):
                for word in item.words[:-1]:
                    name = word.rstrip("/").rpartition("/")[2]
                    if name in _SECRET_SOURCES or name.startswith((".env.", "id_rsa", "id_ed25519")):
                        yield self._finding("DKF-013", item.line, f"{item.keyword} puts {word} into the image")
            elif item.keyword == "RUN":
                for name in secrets_in_line("\n".join((item.value, *item.heredocs))):
                    yield self._finding("DKF-013", item.line, f"RUN shows a secret ({name})")


def run(root: str) -> Iterator[Finding]:
    """Check both Dockerfiles of the repository."""
    yield from _file(root, SERVICE)
    if os.path.isfile(os.path.join(root, CI_IMAGE)):
        yield from _file(root, CI_IMAGE)
    link = os.path.join(root, "Dockerfile")
    if not os.path.islink(link) or os.path.normpath(os.readlink(link)) != os.path.normpath(SERVICE):
        state = "is not a link" if os.path.lexists(link) and not os.path.islink(link) else "is missing"
        if os.path.islink(link):
            state = f"leads to {os.readlink(link)}"
        yield Finding("DKF-016", "Dockerfile", f"{state}, expected a link to {SERVICE}", CHECKS["DKF-016"].fix)


def _file(root: str, path: str) -> Iterator[Finding]:
    fix = CHECKS["DKF-001"].fix
    try:
        with open_regular(os.path.join(root, path)) as file:
            text = file.read().decode("utf-8")
    except FileNotFoundError:
        yield Finding("DKF-001", path, "the file is missing", fix)
        return
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
        yield Finding("DKF-001", path, f"cannot be read: {reason}", fix)
        return
    try:
        dockerfile = parse(text)
    except DockerfileError as error:
        yield Finding("DKF-001", path, str(error), fix, error.line)
        return
    yield from DockerfileChecks(path, dockerfile).run()


def _without_password(url: str) -> str:
    return re.sub(r"://[^/@]*@", "://…@", url)
