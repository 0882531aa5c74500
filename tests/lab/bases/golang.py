"""docker.io/library/golang: Debian with a C compiler and git, and Go in /usr/local/go."""

from __future__ import annotations

from collections.abc import Callable

from .. import install
from ..oci import Tree
from . import Recipe, copied, image, system
from .distroless import PATH

# buildpack-deps:scm, and what the image adds for cgo.
PACKAGES = (
    "ca-certificates",
    "curl",
    "g++",
    "gcc",
    "git",
    "gnupg",
    "libc6-dev",
    "make",
    "netbase",
    "openssh-client",
    "pkg-config",
    "procps",
    "tzdata",
    "wget",
)


def _golang() -> Recipe:
    go = install.go("1.26")

    def toolchain(tree: Tree) -> None:
        tree.copy(go.root, "/usr/local/go", keep=lambda path: "__pycache__" not in path)
        for path in ("/go", "/go/bin", "/go/src"):
            tree.directory(path, 0o1777)

    env = {
        "PATH": f"/go/bin:/usr/local/go/bin:{PATH}",
        "GOLANG_VERSION": go.version,
        "GOTOOLCHAIN": "local",
        "GOPATH": "/go",
    }
    return Recipe(
        (system(PACKAGES), copied("Go", go.version, toolchain)),
        {
            "Env": [f"{key}={value}" for key, value in env.items()],
            "Cmd": ["bash"],
            "WorkingDir": "/go",
        },
    )


def catalogue() -> dict[str, Callable[[], Recipe]]:
    return {image("go", "builder"): _golang}
