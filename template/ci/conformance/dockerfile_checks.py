"""The checks on image/Dockerfile and ci/image/Dockerfile."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import house, kaniko
from .context import Context
from .dockerfile import Dockerfile, DockerfileError, Instruction, Scope, Stage, alone, first_word, parse, unquote
from .image_labels import REQUIRED_LABELS, wrong_label
from .index import Index
from .instructions import faults
from .language import detect
from .model import Finding, open_regular
from .registry import CHECKS
from .secrets_in_commands import secrets_in_script
from .secrets_in_files import SAMPLE, secret_name, secret_setting
from .start import shell_behind
from .verification import switched_off

SERVICE = "image/Dockerfile"
CI_IMAGE = "ci/image/Dockerfile"

MAX_FILE = 4 << 20

_USER = re.compile(r"0*[1-9][0-9]*(?::[0-9]+)?")
_REMOTE = re.compile(r"(?:https?|ftp|git|ssh)://|git@[\w.-]+:|[^/\s]+\.git(?:#|$)", re.IGNORECASE)
_SECRET_SOURCES = frozenset(
    {".env", ".netrc", ".git", ".ssh", ".aws", ".kube", ".docker", ".gnupg", ".git-credentials"}
)
_ARG_FIX = (
    "fetch what needs it in ci/image/Dockerfile, with RUN --mount=type=secret, "
    "and replace the secret if it was ever built in"
)


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

    def __init__(self, path: str, dockerfile: Dockerfile, context: Context) -> None:
        self.path = path
        self.file = dockerfile
        self.context = context
        self.words: dict[int, list[str]] = {}  # of each instruction, as far as they can be known
        self.known: dict[int, str | None] = {}  # its whole value
        for _, item, scope in dockerfile.scoped():
            for part in alone([item]):
                self._evaluate(part, scope)

    def _evaluate(self, item: Instruction, scope: Scope) -> None:
        if item.keyword in ("ADD", "COPY", "VOLUME", "EXPOSE"):
            values = [(scope.expand(word), word) for word in item.words]
            self.words[id(item)] = [unquote(word) if value is None else value for value, word in values]
        elif item.keyword in ("USER", "WORKDIR"):
            self.known[id(item)] = scope.expand(item.value)

    def run(self) -> Iterator[Finding]:
        yield from self._faults()
        yield from self._network_adds()
        yield from self._kaniko()
        yield from self._tags()
        yield from self._secrets()
        yield from self._verification()
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

    def adoption(self) -> Iterator[Finding]:
        """What holds for a Dockerfile of any form; without a stage `release` the last is it."""
        yield from self._faults()
        yield from self._network_adds()
        yield from self._kaniko()
        yield from self._tags()
        yield from self._secrets()
        yield from self._verification()
        release = self.file.stage("release") or self.file.stages[-1]
        yield from self._release(release)
        whole = self.file.with_inherited(release)
        yield from self._exec_forms(whole)
        if release.name != "release" and not _start(whole):
            yield self._finding("DKF-004", release.line, "the last stage has neither ENTRYPOINT nor CMD")

    def form(self) -> Iterator[Finding]:
        """What the platform's pipeline and its debug image rely on."""
        yield from self._stages()
        yield from self._base_arguments()
        release, debug = self.file.stage("release"), self.file.stage("debug")
        if debug is not None:
            yield from self._debug(debug, self.file.with_inherited(release) if release else None)
        else:
            fix = "add it: FROM ${DEBUG_FROM} AS debug, /busybox copied, PATH extended, ENTRYPOINT [] and CMD"
            yield self._finding("DKF-012", self.file.stages[-1].line, "there is no debug stage", fix)
        for name in ("builder", "release"):
            if self.file.stage(name) is None:
                fix = "start from ${BUILDER_IMAGE} and ${RELEASE_IMAGE}, with the base as the argument's default"
                yield self._finding("DKF-009", self.file.stages[0].line, f"there is no stage {name}", fix)

    def _finding(self, check: str, line: int, message: str, fix: str | None = None) -> Finding:
        return Finding(check, self.path, message, fix or CHECKS[check].fix, line)

    # DKF-001

    def _faults(self) -> Iterator[Finding]:
        for error in self.file.problems:
            yield self._finding("DKF-001", error.line, str(error))
        for line, message in faults(self.file):
            yield self._finding("DKF-001", line, message)
        for item in self.file.instructions:
            if item.keyword in ("ADD", "COPY") and item.flag("from") is None:
                for word in self.words.get(id(item), [])[:-1]:
                    if (
                        "<<" not in word
                        and not _REMOTE.match(word)
                        and "$" not in word
                        and self.context.leaves_out(word)
                    ):
                        message = f"{item.keyword} {word}: .dockerignore leaves it out, so it is not there for a build"
                        yield self._finding("DKF-001", item.line, message, f"add a line !{word} to .dockerignore")

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
            yield from self._exec_form(item, item.keyword, item.exec_form)
        for item in stage.all("HEALTHCHECK"):
            keyword, _, rest = first_word(item.value)
            if keyword.upper() == "CMD":
                yield from self._exec_form(item, "HEALTHCHECK", Instruction("CMD", rest, item.line).exec_form)
        if stage.name == "release" and not _start(stage):
            fix = 'name the service: ENTRYPOINT ["/app/service"]'
            yield self._finding("DKF-004", stage.line, "the release stage has neither ENTRYPOINT nor CMD", fix)

    def _exec_form(self, item: Instruction, what: str, words: list[str] | None) -> Iterator[Finding]:
        if words is None:
            yield self._finding("DKF-004", item.line, f"{what} is in shell form")
        elif shell_behind(words):
            message = f"{what} starts a shell ({shell_behind(words)}), which is not in the image"
            yield self._finding("DKF-004", item.line, message, "start the service itself, without a shell around it")

    # DKF-006, DKF-007

    def _network_adds(self) -> Iterator[Finding]:
        for item in self.file.instructions:
            if item.keyword == "ADD":
                for word in self.words.get(id(item), item.words)[:-1]:
                    if _REMOTE.match(word):
                        yield self._finding("DKF-006", item.line, f"ADD downloads {_without_password(word)}")

    def _kaniko(self) -> Iterator[Finding]:
        for line, message, fix in kaniko.faults(self.file, self.words, service=self.path == SERVICE):
            yield self._finding("DKF-007", line, message, fix)
        for stage in self.file.stages:
            yield from self._copies_after_user(stage)

    def _copies_after_user(self, stage: Stage) -> Iterator[Finding]:
        user = False
        for item in alone(self.file.with_inherited(stage).instructions):
            if item.keyword == "USER":
                name = self.known.get(id(item)) or unquote(item.value)
                user = name.partition(":")[0] not in ("0", "root")
            elif (
                user
                and item.line > stage.line  # those of the stages before are reported there
                and item.keyword in ("COPY", "ADD")
                and item.flag("chown") is None
            ):
                message, fix = kaniko.AFTER_USER.format(item.keyword), "copy before USER, or say --chown=0:0"
                yield self._finding("DKF-007", item.line, message, fix)

    # DKF-008, DKF-009, DKF-010

    def _tags(self) -> Iterator[Finding]:
        unknown: set[int] = set()
        for base in self.file.bases(self.path == SERVICE):
            if base.problem:
                unknown.add(base.line)
                yield self._finding("DKF-008", base.line, base.problem, base.fix)
        for position, stage in enumerate(self.file.stages):
            name = self.file.names[position]
            if stage.line not in unknown and name != "scratch" and self.file.parent(position) is None:
                yield from self._reference(name, stage.line)
            for item in alone(stage.all("COPY", "ONBUILD", "RUN")):
                for source in self._images_of(item) if item.line not in unknown else ():
                    yield from self._reference(source, item.line)

    def _images_of(self, item: Instruction) -> Iterator[str]:
        """Yield what COPY --from and RUN --mount take from an image and not from a stage."""
        sources = [value for name, value in item.flags if name == "from" and item.keyword == "COPY"]
        for name, value in item.flags:
            if name == "mount" and item.keyword == "RUN":
                sources += [part[len("from=") :] for part in value.split(",") if part.lower().startswith("from=")]
        for source in sources:
            if source and "$" not in source and not self.file.names_stage(source):
                yield source

    def _reference(self, reference: str, line: int) -> Iterator[Finding]:
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
        # DKF-008 says it where the base is not known.
        if base and base != "scratch":
            yield from self._base(base, root.line)
        for part in self.file.lineage(stage):
            where = "release stage" if part is stage else f"stage {part.name}, which the release stage stands on"
            for item in part.all("RUN"):
                yield self._finding("DKF-011", item.line, f"RUN in the {where}")
        stage = self.file.with_inherited(stage)
        user = stage.last("USER")
        if user is None:
            yield self._finding("DKF-005", stage.line, "the release stage has no USER")
        elif not _USER.fullmatch(self._user(user)):
            name = self._user(user)
            what = user.value if name == user.value else f"{user.value}, which is {name or 'nothing'}"
            what = what if self.known.get(id(user)) is not None else f"{user.value}, which has no value here"
            yield self._finding("DKF-005", user.line, f"USER is {what}, expected a number that is not 0")
        health = stage.last("HEALTHCHECK")
        if health is None or health.value.upper() == "NONE":
            line = health.line if health else stage.line
            yield self._finding("DKF-014", line, "the release stage has no HEALTHCHECK")
        labels = {unquote(name) for item in stage.all("LABEL") for name, _ in item.pairs}
        missing = [name for name in REQUIRED_LABELS if f"org.opencontainers.image.{name}" not in labels]
        if missing:
            yield self._finding("DKF-015", stage.line, f"no label org.opencontainers.image.{{{','.join(missing)}}}")
        for item in stage.all("LABEL"):
            for name, value in item.pairs:
                expected = wrong_label(unquote(name), unquote(value or "")) if "$" not in (value or "") else ""
                if expected:
                    message = f"the label {unquote(name)} is {unquote(value or '')}, expected {expected}"
                    yield self._finding("DKF-015", item.line, message)

    def _base(self, base: str, line: int) -> Iterator[Finding]:
        offered = [row["release"] for row in (*house.rows("base"), *house.rows("by_hand"))]
        if not any(house.stands_for(base, image) for image in offered if image != "scratch"):
            message = f"the release stands on {base}, which the platform does not offer"
            language = detect(self.context.root)
            fits = [row["release"] for row in house.rows("base") if row["language"] == language]
            fix = f"take {' or '.join(dict.fromkeys(fits))}" if fits else None
            yield self._finding("DKF-010", line, message, fix)
        elif {"debug", "dev"} & set(re.split(r"[._-]", ImageName.of(base).tag)):
            yield self._finding("DKF-010", line, f"{base} is a debug image: it has a shell")

    def _user(self, item: Instruction) -> str:
        known = self.known.get(id(item))
        return unquote(item.value) if known is None else known

    # DKF-005, DKF-012

    def _debug(self, stage: Stage, release: Stage | None) -> Iterator[Finding]:
        for item in stage.instructions:
            if item.keyword == "USER":
                expected = release.last("USER") if release else None
                if expected is None or self._user(item) != self._user(expected):
                    message = f"the debug stage changes USER to {item.value}"
                    yield self._finding("DKF-005", item.line, message, "remove it: debug keeps the release's user")
            elif item.keyword == "COPY":
                words = [word.rstrip("/") for word in self.words[id(item)]]
                if words != ["/busybox", "/busybox"] or item.flag("from") is None:
                    yield self._finding("DKF-012", item.line, f"the debug stage copies {' '.join(words[:-1])}")
            elif item.keyword == "ENV":
                for name, _ in item.pairs:
                    if unquote(name) != "PATH":
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
        if command is None or command.exec_form == []:
            line = command.line if command else stage.line
            yield self._finding("DKF-012", line, "the debug stage has no CMD to start the service", fix)
        elif release is not None and command.exec_form is not None and _start(release):
            forms = [release.last("ENTRYPOINT"), release.last("CMD")]
            words = [item.exec_form for item in forms if item is not None]
            if None not in words and command.exec_form != [word for form in words for word in form or []]:
                yield self._finding("DKF-012", command.line, "the debug stage's CMD is not the release's command", fix)

    # DKF-013

    def _secrets(self) -> Iterator[Finding]:
        for item in self.file.instructions:
            if item.keyword in ("ARG", "ENV", "LABEL"):
                for name, value in item.pairs:
                    name, value = unquote(name), unquote(value or "")
                    if secret_setting(name, value) or (item.keyword == "ARG" and not value and secret_name(name)):
                        message = f"{item.keyword} {name} carries a secret into the image"
                        yield self._finding("DKF-013", item.line, message, _ARG_FIX if item.keyword == "ARG" else None)
            elif item.keyword in ("COPY", "ADD") and item.flag("from") is None:
                for word in self.words.get(id(item), item.words)[:-1]:
                    if _secret_source(word.rstrip("/").rpartition("/")[2]):
                        yield self._finding("DKF-013", item.line, f"{item.keyword} puts {word} into the image")
            elif item.keyword == "RUN":
                for name in secrets_in_script("\n".join((item.value, *item.heredocs))):
                    yield self._finding("DKF-013", item.line, f"RUN shows a secret ({name})")

    # DKF-017

    def _verification(self) -> Iterator[Finding]:
        for item in self.file.instructions:
            if item.keyword == "RUN":
                text = " ".join(item.exec_form) if item.exec_form else "\n".join((item.value, *item.heredocs))
                for what in switched_off(text):
                    yield self._finding("DKF-017", item.line, what)
            elif item.keyword in ("ENV", "ARG"):
                for name, value in item.pairs:
                    for what in switched_off(f"{unquote(name)}={unquote(value or '')}"):
                        yield self._finding("DKF-017", item.line, what)


def _start(stage: Stage) -> bool:
    """Tell whether a container of the stage has something to start."""
    return any(
        item is not None and item.value and item.exec_form != []
        for item in (stage.last("ENTRYPOINT"), stage.last("CMD"))
    )


def _secret_source(name: str) -> bool:
    if name in _SECRET_SOURCES:
        return True
    environment = name.startswith(".env.") and not SAMPLE.search(name)
    return environment or (
        name.startswith(("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519")) and not name.endswith(".pub")
    )


def run(root: str) -> Iterator[Finding]:
    """Check both Dockerfiles of the repository."""
    yield from check_file(root, SERVICE)
    if os.path.isfile(os.path.join(root, CI_IMAGE)):
        yield from check_file(root, CI_IMAGE)
    for path in (f"{SERVICE}.dockerignore", "Dockerfile.dockerignore", f"{CI_IMAGE}.dockerignore"):
        if os.path.lexists(os.path.join(root, path)):
            fix = "put its lines into .dockerignore, which every builder reads"
            yield Finding("DKF-007", path, kaniko.OWN_IGNORE, fix)
    yield from root_link(root)


def root_link(root: str) -> Iterator[Finding]:
    link = os.path.join(root, "Dockerfile")
    if not os.path.islink(link) or os.path.normpath(os.readlink(link)) != os.path.normpath(SERVICE):
        found = _root_dockerfile(root, link)
        if found:
            yield Finding("DKF-016", "Dockerfile", *found)


def _root_dockerfile(root: str, link: str) -> tuple[str, str] | None:
    """Say what is in the link's place, and how to put the link there without losing anything."""
    if _is_a_links_text(link):
        if Index(root).target("Dockerfile") == SERVICE:
            return None
        blob = f"$(printf %s {SERVICE} | git hash-object -w --stdin)"
        fix = f"run: git update-index --add --cacheinfo 120000,{blob},Dockerfile && git checkout-index -f Dockerfile"
        return f"is a text with the name of {SERVICE}, as git makes of a link where core.symlinks is false", fix
    make = f"ln -s {SERVICE} Dockerfile"
    there = os.path.isfile(os.path.join(root, SERVICE))
    if os.path.islink(link):
        fix = f"run: rm Dockerfile && {make}" if there else f"write {SERVICE} first, then run: rm Dockerfile && {make}"
        return f"leads to {os.readlink(link)}, expected a link to {SERVICE}", fix
    if not os.path.lexists(link):
        fix = f"run: {make}" if there else f"write {SERVICE} first, then run: {make}"
        return f"is missing, expected a link to {SERVICE}", fix
    if there:
        fix = f"take over what {SERVICE} lacks of it, then run: mv Dockerfile Dockerfile.old && {make}"
    else:
        fix = f"run: mkdir -p image && mv Dockerfile {SERVICE} && {make}"
    return f"is not a link, expected a link to {SERVICE}", fix


def _is_a_links_text(link: str) -> bool:
    """Tell whether a link was checked out as a text, as on Windows."""
    try:
        if os.path.islink(link) or os.path.getsize(link) > 100:
            return False
        with open_regular(link) as file:
            return file.read().decode().rstrip("\r\n") == SERVICE
    except (OSError, UnicodeDecodeError):
        return False


def check_file(root: str, path: str) -> Iterator[Finding]:
    dockerfile, findings = read(root, path)
    yield from findings
    if dockerfile is not None:
        yield from DockerfileChecks(path, dockerfile, Context(root)).run()


def read(root: str, path: str) -> tuple[Dockerfile | None, list[Finding]]:
    """Parse a file, or say why that cannot be done."""
    fix = CHECKS["DKF-001"].fix
    try:
        with open_regular(os.path.join(root, path)) as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            return None, [Finding("DKF-001", path, f"the file has more than {MAX_FILE} bytes", fix)]
        return parse(data.decode("utf-8")), []
    except FileNotFoundError:
        return None, [Finding("DKF-001", path, "the file is missing", fix)]
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
        return None, [Finding("DKF-001", path, f"cannot be read: {reason}", fix)]
    except DockerfileError as error:
        return None, [Finding("DKF-001", path, str(error), fix, error.line)]


def _without_password(url: str) -> str:
    return re.sub(r"://[^/@]*@", "://…@", url)
