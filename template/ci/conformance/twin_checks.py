"""The debug image beside its release: the same, and /busybox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .image_checks import DEFAULT_PATH, command, environment, finding
from .model import Finding, printable
from .oci import Image
from .rootfs import RootFS
from .tarstream import DIRECTORY, FILE

# Fields that docker fills in for a running container; in an image they mean nothing.
_RUNTIME_FIELDS = frozenset(
    [
        "ArgsEscaped",
        "AttachStderr",
        "AttachStdin",
        "AttachStdout",
        "Domainname",
        "Hostname",
        "Image",
        "OpenStdin",
        "StdinOnce",
        "Tty",
    ]
)
_MAY_DIFFER = frozenset({"Entrypoint", "Cmd", "Env"}) | _RUNTIME_FIELDS


def common_layers(debug: Image, release: Image) -> int:
    count = 0
    for ours, theirs in zip(debug.diff_ids, release.diff_ids):
        if ours != theirs:
            break
        count += 1
    return count


def run(debug: Image, release: Image, rootfs: RootFS) -> Iterator[Finding]:
    common = common_layers(debug, release)
    if common < len(release.layers):
        yield finding(
            "TWN-001",
            "layers",
            f"only the first {common} of the {len(release.layers)} release layers are in the debug image",
        )
    else:
        yield from _additions(rootfs)
    yield from _config(debug, release)
    yield from _shell(rootfs)
    yield from _start(debug, release)


def _additions(rootfs: RootFS) -> Iterator[Finding]:
    """Report what the debug layers did outside /busybox, and a /busybox that may be another place."""
    reported: set[str] = set()
    for change in rootfs.changes:
        if change.path.startswith("/busybox/"):
            continue
        wrong = "outside /busybox"
        if change.path == "/busybox":
            wrong = "" if change.kind in ("", DIRECTORY) else f"a {change.kind}"
        if wrong and change.path not in reported:
            reported.add(change.path)
            yield finding("TWN-002", change.path, f"{change.what} by layer {change.layer + 1}, {wrong}")


def _config(debug: Image, release: Image) -> Iterator[Finding]:
    for key in sorted((set(debug.settings) | set(release.settings)) - _MAY_DIFFER):
        ours, theirs = debug.settings.get(key) or None, release.settings.get(key) or None
        if ours != theirs:
            yield finding(
                "TWN-003", "config", f"{printable(key)} is {_short(ours)}, in the release it is {_short(theirs)}"
            )
    for key in ("architecture", "os", "variant"):
        ours, theirs = debug.config.get(key) or None, release.config.get(key) or None
        if ours != theirs:
            yield finding("TWN-003", "config", f"{key} is {_short(ours)}, in the release it is {_short(theirs)}")
    debug_env, release_env = environment(debug.settings), environment(release.settings)
    for name in sorted(set(debug_env) | set(release_env)):
        if name != "PATH" and debug_env.get(name) != release_env.get(name):
            yield finding("TWN-003", "config", f"the variable {printable(name)} differs from the release's")
    expected = release_env.get("PATH", DEFAULT_PATH).split(":")
    added = [place for place in debug_env.get("PATH", DEFAULT_PATH).split(":") if place.rstrip("/") != "/busybox"]
    if added != expected and ("PATH" in release_env or added not in ([], [""])):
        yield finding("TWN-003", "config", "PATH differs from the release's by more than /busybox")


def _shell(rootfs: RootFS) -> Iterator[Finding]:
    node = rootfs.resolve("/busybox/sh")
    if node is None:
        yield finding("TWN-004", "/busybox/sh", "no shell in the debug image")
    elif node.kind != FILE or node.mode & 0o111 != 0o111:
        yield finding("TWN-004", "/busybox/sh", f"not an executable file (a {node.kind} of mode {node.mode:04o})")


def _start(debug: Image, release: Image) -> Iterator[Finding]:
    if command(debug.settings, "Entrypoint"):
        yield finding("TWN-005", "config", "the debug image has an ENTRYPOINT, so /busybox/sh becomes its argument")
        return
    expected = command(release.settings, "Entrypoint") + command(release.settings, "Cmd")
    actual = command(debug.settings, "Cmd")
    if actual != expected:
        yield finding("TWN-005", "config", f"CMD is {_short(actual)}, the release starts {_short(expected)}")


def _short(value: Any) -> str:
    text = printable(json.dumps(value, sort_keys=True))
    return text if len(text) <= 120 else text[:117] + "..."
