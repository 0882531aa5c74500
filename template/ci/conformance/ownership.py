"""Platform files against their lock, and what an unfinished update leaves behind."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Iterable, Iterator

from .answers import recorded
from .index import FILES, Index
from .model import Finding, open_regular
from .registry import CHECKS

LOCK = "ci/platform.lock"
_HOUSE = "ci/house/platform.lock"  # what the house decides, which has it from its platform team
# Folders that not every service has, each with a lock of its own: those of a pipeline,
_PIPELINE_FOLDERS = {"gitlab": ("ci/pipeline", "ci/gitlab"), "github": ("ci/pipeline", "ci/github")}
_ANY_PIPELINE = tuple(dict.fromkeys(folder for folders in _PIPELINE_FOLDERS.values() for folder in folders))
# and that of a language, where the code in it is the platform's.
_LANGUAGE_FOLDERS = {
    "go": "internal/platform",
    "rust": "src/platform",
    "java": "src/main/java/serviceplatform",
    "python": "src/service_platform",
    "node": "src/platform",
}

# What a pipeline needs besides, and an ignore rule such as `*.lock` or `ci/` may hide.
_NEEDED = (
    ".copier-answers.yml",
    ".github/workflows/ci.yml",
    ".gitlab-ci.yml",
    "Dockerfile",
    "Makefile",
    "ci/image/Dockerfile",
    "image/Dockerfile",
    "go.mod",
    "go.sum",
    "Cargo.toml",
    "Cargo.lock",
    "pom.xml",
    "pyproject.toml",
    "uv.lock",
    "package.json",
    "package-lock.json",
)

_RECORDS = "specs/ADRs"
_PLATFORM_RECORD = re.compile(r"ADR-[^/]*\.md")
_LOCK_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^\0]+)")
_CACHES = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
_NOT_OURS = _CACHES | {".git", "node_modules", "target", "dist", "build", "vendor", ".venv", "venv", ".tox", ".gradle"}
_MARKER = re.compile(rb"^(?:<{7}|>{7})(?: |\r?$)", re.MULTILINE)
_MAX_TEXT = 4 << 20


def _finding(check: str, path: str, message: str, fix: str = "", line: int | None = None) -> Finding:
    return Finding(check, path, message, fix or CHECKS[check].fix, line)


# PLT


def _locks(root: str) -> list[str]:
    """Name the locks that the service should have: its own, and those of its pipeline and its language."""
    provider = recorded(root, "ci")
    folders = list(_PIPELINE_FOLDERS.get(provider or "", ()))
    if provider is None:  # without the answers the place of the files decides
        folders = [folder for folder in _ANY_PIPELINE if os.path.isdir(os.path.join(root, folder))]
    code = recorded(root, "platform_code")
    if code == "true" and recorded(root, "language") in _LANGUAGE_FOLDERS:
        folders.append(_LANGUAGE_FOLDERS[recorded(root, "language") or ""])
    elif code is None:
        known = sorted(set(_LANGUAGE_FOLDERS.values()))
        folders += [folder for folder in known if os.path.exists(os.path.join(root, folder, "platform.lock"))]
    return [LOCK, _HOUSE, *(f"{folder}/platform.lock" for folder in folders)]


def platform_files(root: str, index: Index) -> Iterator[Finding]:
    locked: set[str] = set()
    folders = set(_ANY_PIPELINE)
    damaged = False
    for lock in _locks(root):
        entries, findings = _read_lock(root, lock)
        damaged = damaged or bool(findings)
        yield from findings
        locked |= {lock, *entries}
        folders |= _folders(lock, entries)
        for path, expected in entries.items():
            yield from _locked_file(root, path, expected)
        yield from _in_git(root, index, lock, entries)
    if not damaged:
        for path in _platform_paths(root, folders):
            if path not in locked:
                yield _finding("PLT-004", path, "the file is in the platform's place, but not the platform's")
    yield from _tracked_bytecode(index, folders)
    needed = [path for path in (*_NEEDED, *sorted(locked)) if os.path.lexists(os.path.join(root, path))]
    for path, rule in index.hidden(needed):
        yield Finding("PLT-005", path, f"no clone has the file: {rule} hides it from git", f"git add --force {path}")


def _in_git(root: str, index: Index, lock: str, entries: dict[str, str]) -> Iterator[Finding]:
    """Compare what git has with the lock that git has; an update that is not added yet agrees with itself."""
    contents = index.read([lock, *entries])
    if lock not in contents:
        return
    named, _ = _parse_lock(lock, contents[lock])
    contents.update(index.read(path for path in named if path not in contents))
    for path, expected in named.items():
        entry = index.entries.get(path)
        if entry is None:
            if path in index.unmerged or not os.path.lexists(os.path.join(root, path)):
                continue  # UPD-002, and PLT-003 where it is still the platform's
            if not list(index.hidden([path])):
                yield _finding("PLT-005", path, "no clone has the file: git does not", f"git add {path}")
        elif entry.mode not in FILES:
            message = f"git has the platform file as something else than a file (mode {entry.mode})"
            yield _finding("PLT-005", path, message, f"git update-index --force-remove {path} && git add {path}")
        elif path in contents and hashlib.sha256(contents[path]).hexdigest() not in (expected, entries.get(path)):
            flags = ("--no-assume-unchanged", "--no-skip-worktree") if entry.held else ()
            held = "".join(f"git update-index {flag} {path} && " for flag in flags)
            message = "git has another content of the platform file than the lock that git has"
            yield _finding("PLT-005", path, message, f"make restore && {held}git add {lock} {path}")


def _folders(lock: str, entries: Iterable[str]) -> set[str]:
    """Name the directories that hold nothing but the files of a lock."""
    if lock != LOCK:
        return {posixpath.dirname(lock)}
    # In ci/ and specs/ the team has files beside the platform's, as it has in specs/ADRs/.
    return {folder for folder in map(posixpath.dirname, entries) if "/" in folder} - {_RECORDS}


def _read_lock(root: str, lock: str) -> tuple[dict[str, str], list[Finding]]:
    """Return the sum of each path that a lock names, and what is wrong with the lock."""
    try:
        with open_regular(os.path.join(root, lock)) as file:
            return _parse_lock(lock, file.read())
    except FileNotFoundError:
        return {}, [_finding("PLT-001", lock, "the lock of the platform files is missing")]
    except OSError:
        return {}, [_finding("PLT-001", lock, "the lock of the platform files cannot be read")]


def _parse_lock(lock: str, data: bytes) -> tuple[dict[str, str], list[Finding]]:
    entries: dict[str, str] = {}
    findings: list[Finding] = []
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return {}, [_finding("PLT-001", lock, "the lock of the platform files cannot be read")]
    for number, line in enumerate(lines, 1):
        match = _LOCK_LINE.fullmatch(line)
        path = match.group(2) if match else ""
        if match is None or os.path.isabs(path) or os.path.normpath(path) != path or path.startswith(".."):
            findings.append(_finding("PLT-001", lock, "expected a SHA-256 sum, two spaces and a path", line=number))
        else:
            entries[path] = match.group(1)
    if not entries and not findings:
        findings.append(_finding("PLT-001", lock, "the lock names no file"))
    return entries, findings


def _locked_file(root: str, path: str, expected: str) -> Iterator[Finding]:
    if os.path.islink(os.path.join(root, path)):
        yield _finding("PLT-002", path, "the platform file was replaced by a link")
        return
    try:
        with open_regular(os.path.join(root, path)) as file:
            data = file.read()
    except OSError:
        yield _finding("PLT-003", path, "the platform file is missing")
        return
    if hashlib.sha256(data).hexdigest() != expected:
        unix = data.replace(b"\r\n", b"\n")
        same = unix != data and hashlib.sha256(unix).hexdigest() == expected
        yield _finding(
            "PLT-002", path, "the platform file has CRLF line ends" if same else "the platform file was edited"
        )


def _platform_paths(root: str, places: set[str]) -> Iterator[str]:
    for top in sorted(places):
        for folder, directories, names in os.walk(os.path.join(root, top)):
            directories[:] = sorted(name for name in directories if name not in _CACHES)
            relative = os.path.relpath(folder, root).replace(os.sep, "/")
            yield from (f"{relative}/{name}" for name in sorted(names) if not name.endswith((".pyc", ".rej", ".orig")))
    records = os.path.join(root, _RECORDS)
    for name in sorted(os.listdir(records)) if os.path.isdir(records) else []:
        if _PLATFORM_RECORD.fullmatch(name):
            yield f"{_RECORDS}/{name}"


def _tracked_bytecode(index: Index, folders: set[str]) -> Iterator[Finding]:
    """Find committed bytecode: Python may run it in place of the source that the lock vouches for."""
    for path in index.entries:
        if path.endswith((".pyc", ".pyo")) and any(path.startswith(f"{folder}/") for folder in folders):
            yield Finding("PLT-004", path, "git tracks bytecode among the platform's files", f"git rm {path}")


# UPD


def leftovers(root: str) -> Iterator[Finding]:
    """Find conflict markers and rejected hunks."""
    for folder, directories, names in os.walk(root):
        directories[:] = sorted(name for name in directories if name not in _NOT_OURS)
        for name in sorted(names):
            full = os.path.join(folder, name)
            path = os.path.relpath(full, root).replace(os.sep, "/")
            if name.endswith(".rej"):
                yield _finding("UPD-003", path, "a part of an update that did not fit was left here")
            elif not os.path.islink(full):
                yield from _markers(full, path)


def _markers(full: str, path: str) -> Iterator[Finding]:
    try:
        if os.path.getsize(full) > _MAX_TEXT:
            return
        with open_regular(full) as file:
            data = file.read(8192)
            if b"\0" in data:
                return  # not a text
            data += file.read()
    except OSError:
        return
    if b"<<<<<<<" not in data or b">>>>>>>" not in data:
        return
    opened = 0
    for match in _MARKER.finditer(data):
        if match.group().startswith(b"<"):
            opened = data.count(b"\n", 0, match.start()) + 1
        elif opened:
            yield _finding("UPD-001", path, "a conflict is not resolved", line=opened)
            opened = 0


def unmerged(index: Index) -> list[Finding]:
    return [_finding("UPD-002", path, "git has the file as unmerged") for path in sorted(index.unmerged)]
