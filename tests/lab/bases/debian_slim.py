"""docker.io/library/debian, slim, and docker.io/library/busybox."""

from __future__ import annotations

from collections.abc import Callable

from .. import debian
from ..oci import Tree
from . import Recipe, files, system
from .distroless import PATH


def _slim() -> Recipe:
    return Recipe((system(),), {"Env": [f"PATH={PATH}"], "Cmd": ["bash"]})


def _busybox() -> Recipe:
    def fill(tree: Tree) -> None:
        deb = debian.download(["busybox-static"])["busybox-static"]
        program = debian.read(deb, "/usr/bin/busybox")
        tree.directory("/bin")
        tree.file("/bin/busybox", program, 0o755)
        # The real image has hard links, which is why a COPY of /bin grows so large.
        for applet in debian.applets(program):
            if applet != "busybox":
                tree.hardlink(f"/bin/{applet}", "/bin/busybox")
        tree.directory("/etc")
        tree.file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        tree.file("/etc/group", "root:x:0:\n")
        tree.directory("/root", 0o700)
        tree.directory("/tmp", 0o1777)

    return Recipe((files("busybox in /bin", fill),), {"Env": [f"PATH={PATH}"], "Cmd": ["sh"]})


def catalogue() -> dict[str, Callable[[], Recipe]]:
    return {
        "docker.io/library/busybox:latest": _busybox,
        "docker.io/library/debian:trixie-slim": _slim,
    }
