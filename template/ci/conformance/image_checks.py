"""The checks on one image, release or debug."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .content import IN_ARCHIVE, INTERPRETER, PACKAGE_MANAGER, SHELL, program_by_name
from .image_labels import NEVER_EMPTY_LABELS, PREFIX, REQUIRED_LABELS, wrong_label
from .model import Finding, printable
from .oci import Image
from .registry import CHECKS
from .rootfs import Node, RootFS
from .secrets_in_commands import secrets_in_script
from .secrets_in_files import secret_setting
from .start import shell_behind
from .tarstream import CHAR, DIRECTORY, FILE, SYMLINK

LANGUAGES = ("go", "rust", "java", "python", "node")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_OWN_RUNTIME = {"java": "java", "python": "python", "node": "node"}
_PROGRAM_CHECKS = {SHELL: "IMG-001", PACKAGE_MANAGER: "IMG-002", INTERPRETER: "IMG-003"}
_DEVELOPMENT_MODULES = {"jdk.compiler": "javac", "jdk.jshell": "jshell"}
_CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_CA_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")
# What the service's user may own: it is there to be written, and holds no program.
_ITS_OWN = ("/home", "/tmp", "/var", "/run")
_PACKAGED = (
    ("pip", re.compile(r"(?P<dir>.*/(?:site|dist)-packages/pip)/__init__\.py")),
    ("pip", re.compile(r"(?P<dir>.*/pip-[^/]*-py[^/]*\.whl)")),
    ("", re.compile(r"(?P<dir>.*/node_modules/(?P<label>npm|yarn|pnpm|corepack))/package\.json")),
)
_PACKAGED_ENDS = ("/pip/__init__.py", ".whl", "/package.json")


def finding(check: str, path: str, message: str, fix: str | None = None) -> Finding:
    return Finding(check, printable(path), message, fix or CHECKS[check].fix)


def environment(settings: dict[str, Any]) -> dict[str, str]:
    pairs = [item.partition("=") for item in settings.get("Env") or []]
    return {name: value for name, _, value in pairs}


def command(settings: dict[str, Any], key: str) -> list[str]:
    return list(settings.get(key) or [])


def _number(text: str) -> int | None:
    """Return the id of a user or group, or None if it is a name or too long for one."""
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else None


@dataclass
class _Program:
    """A program that should not be there, and all its names."""

    kind: str
    label: str
    paths: list[str] = field(default_factory=list)
    by_content: bool = False


@dataclass
class ImageChecks:
    """One image, flattened, and the checks on it."""

    image: Image
    rootfs: RootFS
    language: str
    debug: bool = False
    strict: bool = False

    def run(self) -> Iterator[Finding]:
        yield from self._programs()
        yield from self._modes()
        yield from self._user()
        yield from self._start()
        yield from self._exec_form()
        yield from self._certificates()
        yield from self._secret_files()
        yield from self._secret_values()
        yield from self._labels()

    # IMG-001, IMG-002, IMG-003

    def _programs(self) -> Iterator[Finding]:
        found: dict[object, _Program] = {}
        start = self._start_path()
        for path, node in self.rootfs.walk():
            if self._is_tool(path):
                continue
            if path.endswith(_PACKAGED_ENDS):
                self._packaged(path, found)
            if node.kind == FILE and node.facts is not None:
                if node.facts.kind:
                    known = found.setdefault(id(node), _Program(node.facts.kind, node.facts.program))
                    known.kind, known.label, known.by_content = node.facts.kind, node.facts.program, True
                    known.paths.append(path)
                    continue
                for module in node.facts.modules:
                    if module in _DEVELOPMENT_MODULES:
                        label = _DEVELOPMENT_MODULES[module]
                        found[(path, module)] = _Program(INTERPRETER, label, [f"{path} (module {module})"], True)
            self._named(path, node, start, found)
        for program in found.values():
            name = program.label.partition(IN_ARCHIVE)[0]
            if program.kind == INTERPRETER and name == _OWN_RUNTIME.get(self.language):
                continue
            yield self._program_finding(program)

    def _named(self, path: str, node: Node, start: str | None, found: dict[object, _Program]) -> None:
        if node.kind not in (FILE, SYMLINK):
            return
        named = program_by_name(path.rpartition("/")[2])
        if named is None:
            return
        target, real = node, path
        if node.kind == SYMLINK:
            resolved, real_path = self.rootfs.resolve(path), self.rootfs.real_path(path)
            if resolved is None or real_path is None or self._is_tool(real_path):
                return
            target, real = resolved, real_path
        if target.kind != FILE or not target.mode & 0o111:
            return
        if real == start and (target.facts is None or not target.facts.kind):
            return  # the service itself may have any name
        if target.facts is not None and target.facts.kind:
            program = found.setdefault(id(target), _Program(target.facts.kind, target.facts.program, [], True))
        else:
            program = found.setdefault(id(target), _Program(*named))
        program.paths.append(path)

    @staticmethod
    def _packaged(path: str, found: dict[object, _Program]) -> None:
        for label, pattern in _PACKAGED:
            match = pattern.fullmatch(path)
            if match:
                name = label or match.group("label")
                found[match.group("dir")] = _Program(PACKAGE_MANAGER, name, [match.group("dir")])

    @staticmethod
    def _program_finding(program: _Program) -> Finding:
        shown, *others = sorted(program.paths, key=lambda path: (path.count("/"), path))
        name = shown.rpartition("/")[2]
        what = f"{program.label} ({program.kind})"
        if program.by_content and IN_ARCHIVE not in what and program.label not in name and program.kind == SHELL:
            what += " under another name"
        if others:
            what += ", also as " + ", ".join(printable(path) for path in others[:3])
            what += f" and {len(others) - 3} more" if len(others) > 3 else ""
        return finding(_PROGRAM_CHECKS[program.kind], shown, what)

    def _is_tool(self, path: str) -> bool:
        return self.debug and (path == "/busybox" or path.startswith("/busybox/"))

    # IMG-004, IMG-005

    def _modes(self) -> Iterator[Finding]:
        seen: set[int] = set()
        for path, node in self.rootfs.walk():
            if id(node) in seen:
                continue
            if node.kind == FILE and (node.mode & 0o6000 or node.capabilities):
                seen.add(id(node))
                bits = [word for bit, word in ((0o4000, "setuid"), (0o2000, "setgid")) if node.mode & bit]
                bits += ["with file capabilities"] if node.capabilities else []
                yield finding(
                    "IMG-004", path, f"{' and '.join(bits)} (mode {node.mode:04o}, owner {node.uid}:{node.gid})"
                )
            if (
                node.mode & 0o002
                and node.kind not in (SYMLINK, CHAR)
                and not (node.kind == DIRECTORY and node.mode & 0o1000)
            ):
                seen.add(id(node))
                yield finding("IMG-005", path, f"a {node.kind} that everyone can write (mode {node.mode:04o})")

    # IMG-006

    def _user(self) -> Iterator[Finding]:
        user = self.image.settings.get("User") or ""
        name, colon, group = user.partition(":")
        shown = printable(user if len(user) <= 40 else user[:40] + "…")
        if not user:
            yield finding("IMG-006", "config", "no USER, so the service runs as root")
        elif _number(name) is None or (colon and _number(group) is None):
            yield finding("IMG-006", "config", f'USER is "{shown}", expected numbers')
        elif _number(name) == 0:
            yield finding("IMG-006", "config", f'USER is "{shown}", which is root')
        else:
            yield from self._own_files(int(name))

    def _own_files(self, user: int) -> Iterator[Finding]:
        """Report the files that the service could change because its user owns them."""
        home = environment(self.image.settings).get("HOME") or self._home(user)
        places = [place.rstrip("/") + "/" for place in (*_ITS_OWN, home) if place and place != "/"]
        owned = [
            path
            for path, node in self.rootfs.walk()
            if node.kind == FILE and node.uid == user and not path.startswith(tuple(places))
        ]
        if owned:
            first = min(owned, key=lambda path: (path.count("/"), path))
            more = f", and {len(owned) - 1} more" if len(owned) > 1 else ""
            message = f"the image's user ({user}) owns this file{more}, and can change it"
            yield finding("IMG-006", first, message, "copy before USER, or with --chown=0:0")

    def _home(self, user: int) -> str:
        node = self.rootfs.resolve("/etc/passwd")
        return node.facts.homes.get(user, "") if node is not None and node.facts is not None else ""

    # IMG-007

    def _start(self) -> Iterator[Finding]:
        settings = self.image.settings
        words = command(settings, "Entrypoint") + command(settings, "Cmd")
        if not words:
            yield finding("IMG-007", "config", "neither ENTRYPOINT nor CMD", "name the service in ENTRYPOINT")
            return
        if not shell_behind(words):
            yield from self._runnable(words[0], "the start command")
        test = command(settings.get("Healthcheck") or {}, "Test")
        if len(test) > 1 and test[0] == "CMD" and test[1] != words[0] and not shell_behind(test[1:]):
            yield from self._runnable(test[1], "the healthcheck command")

    def _runnable(self, program: str, what: str) -> Iterator[Finding]:
        path = self._find(program)
        if path is None:
            yield finding("IMG-007", program, f"{what} is not in the image")
            return
        trail = self.rootfs.trail(path) or []
        node = trail.pop()
        if node.kind != FILE:
            yield finding("IMG-007", program, f"{what} is a {node.kind}, not a file")
        elif not self._may_execute(node):
            owner = f"mode {node.mode:04o}, owner {node.uid}:{node.gid}"
            yield finding("IMG-007", program, f"{what} is not executable for the image's user ({owner})")
        elif not all(self._may_execute(directory) for directory in trail):
            yield finding("IMG-007", program, f"{what} is in a directory that the image's user cannot enter")
        elif node.facts is not None and node.facts.interpreter:
            loader = self.rootfs.resolve(node.facts.interpreter)
            if loader is None or loader.kind != FILE:
                fix = "start the program itself, without a script around it"
                if not node.facts.script:
                    fix = "take a base that has it, or link the program statically"
                message = f"{what} needs {printable(node.facts.interpreter)}, which is not in the image"
                yield finding("IMG-007", program, message, fix)

    def _start_path(self) -> str | None:
        words = command(self.image.settings, "Entrypoint") + command(self.image.settings, "Cmd")
        path = self._find(words[0]) if words else None
        return self.rootfs.real_path(path) if path else None

    def _find(self, program: str) -> str | None:
        """Look a program up as the runtime does: from the working directory, or along PATH."""
        directory = self.image.settings.get("WorkingDir") or "/"
        if "/" in program:
            path = posixpath.join(directory, program)
            return path if self.rootfs.resolve(path) else None
        for place in environment(self.image.settings).get("PATH", DEFAULT_PATH).split(":"):
            path = posixpath.join(directory, place, program)
            node = self.rootfs.resolve(path)
            if node is not None and node.kind == FILE and node.mode & 0o111:
                return path
        return None

    def _may_execute(self, node: Node) -> bool:
        user, _, group = (self.image.settings.get("User") or "0").partition(":")
        if not _number(user):
            return bool(node.mode & 0o111)
        if node.uid == _number(user):
            return bool(node.mode & 0o100)
        if node.gid == (_number(group) or 0):
            return bool(node.mode & 0o010)
        return bool(node.mode & 0o001)

    # IMG-008

    def _exec_form(self) -> Iterator[Finding]:
        settings = self.image.settings
        shell = shell_behind(command(settings, "Entrypoint") + command(settings, "Cmd"))
        if shell:
            name = "ENTRYPOINT" if settings.get("Entrypoint") else "CMD"
            yield finding("IMG-008", "config", f"{name} runs {printable(shell)}")
        test = command(settings.get("Healthcheck") or {}, "Test")
        if test[:1] == ["CMD-SHELL"] or (test[:1] == ["CMD"] and shell_behind(test[1:])):
            fix = 'write a JSON array: HEALTHCHECK CMD ["/app/service", "healthcheck"]'
            yield finding("IMG-008", "config", "HEALTHCHECK runs a shell", fix)

    # IMG-009

    def _certificates(self) -> Iterator[Finding]:
        # Where a variable is set, most TLS libraries look nowhere else.
        variables = environment(self.image.settings)
        override, folders = variables.get("SSL_CERT_FILE"), variables.get("SSL_CERT_DIR")
        for path in (override,) if override else _CA_BUNDLES:
            if self._holds_certificates(path):
                return
        for folder in folders.split(":") if folders else () if override else _CA_FOLDERS:
            node = self.rootfs.resolve(folder)
            if any(self._holds_certificates(f"{folder}/{name}") for name in (node.children if node else None) or ()):
                return
        if self.language == "java":
            for path, node in self.rootfs.walk():
                if path.endswith("/lib/security/cacerts") and node.size:
                    return
        place = override or _CA_BUNDLES[0]
        yield finding("IMG-009", place, "no CA certificates")

    def _holds_certificates(self, path: str) -> bool:
        node = self.rootfs.resolve(path)
        return node is not None and node.facts is not None and node.facts.certificates

    # IMG-010, IMG-011

    def _secret_files(self) -> Iterator[Finding]:
        for secret in self.rootfs.secrets:
            node = self.rootfs.resolve(secret.path, follow_last=False)
            deleted = node is None or node.facts is None or node.facts.secret is None
            where = f" in layer {secret.layer + 1}, though a later layer deletes it" if deleted else ""
            path = secret.path[: -len("/HEAD")] if secret.path.endswith("/.git/HEAD") else secret.path
            yield finding("IMG-010", path, secret.what + where)

    def _secret_values(self) -> Iterator[Finding]:
        reported: set[str] = set()
        for name, value in environment(self.image.settings).items():
            reason = secret_setting(name, value)
            if reason:
                reported.add(name)
                yield finding("IMG-011", "config", f"the variable {printable(name)} holds a secret ({reason})")
        for name, value in self._labels_of_image().items():
            reason = secret_setting(name, value)
            if reason:
                yield finding("IMG-011", "config", f"the label {printable(name)} holds a secret ({reason})")
        history = self.image.config.get("history")
        for position, step in enumerate(history if isinstance(history, list) else [], 1):
            line = str(step.get("created_by") or "") if isinstance(step, dict) else ""
            for name in secrets_in_script(line):
                if name not in reported:
                    reported.add(name)
                    yield finding("IMG-011", "config", f"history step {position} shows a secret ({printable(name)})")

    # IMG-012

    def _labels_of_image(self) -> dict[str, str]:
        return self.image.settings.get("Labels") or {}

    def _labels(self) -> Iterator[Finding]:
        labels = self._labels_of_image()
        for short in REQUIRED_LABELS:
            name = f"org.opencontainers.image.{short}"
            if name not in labels:
                yield finding("IMG-012", "config", f"the label {name} is missing")
            elif not labels[name].strip() and (self.strict or short in NEVER_EMPTY_LABELS):
                yield finding("IMG-012", "config", f"the label {name} is empty", "pass its build argument")
        for name, value in labels.items():
            expected = wrong_label(name, value, written=False) if name.startswith(PREFIX) else ""
            if expected:
                shown = printable(value if len(value) <= 60 else value[:59] + "…")
                yield finding("IMG-012", "config", f"the label {name} is {shown}, expected {expected}")
