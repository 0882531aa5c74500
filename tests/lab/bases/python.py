"""docker.io/library/python: CPython built from source into /usr/local.

The source is Debian's, so builder and distroless have the same version. The build
optimises little and takes no profile: it is quicker to make, and slower to run than the
real one.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from .. import debian
from ..oci import Tree
from ..system import cache_dir, run, say
from . import Recipe, copied, image, system
from .distroless import PATH

VERSION = "3.13"
LIBRARIES = (
    "libbz2-1.0",
    "libffi8",
    "liblzma5",
    "libncursesw6",
    "libreadline8t64",
    "libsqlite3-0",
    "libssl3t64",
    "libuuid1",
    "zlib1g",
)
PACKAGES = (*LIBRARIES, "ca-certificates", "netbase", "tzdata")
BUILD_PACKAGES = (
    "gcc",
    "libbz2-dev",
    "libc6-dev",
    "libffi-dev",
    "liblzma-dev",
    "libncurses-dev",
    "libreadline-dev",
    "libsqlite3-dev",
    "libssl-dev",
    "make",
    "pkg-config",
    "uuid-dev",
    "zlib1g-dev",
)
BUILD = """
cd /src
./configure \\
    --enable-loadable-sqlite-extensions \\
    --enable-option-checking=fatal \\
    --enable-shared \\
    --with-ensurepip \\
    --disable-test-modules \\
    OPT='-DNDEBUG -O1' \\
    LDFLAGS=-Wl,-rpath,/usr/local/lib,--strip-all
make -j"$1"
make install
cd /usr/local/bin
for name in idle pip pydoc python; do ln -sf "${name}3" "$name"; done
ln -sf python3-config python-config
find /usr/local -depth \\
    \\( -type d \\( -name test -o -name tests -o -name idle_test \\) \\
    -o -type f \\( -name '*.pyc' -o -name '*.a' \\) \\) -exec rm -rf {} +
"""


def recipe() -> Recipe:
    version = debian.version(f"python{VERSION}")

    def toolchain(tree: Tree) -> None:
        say(f"building CPython {version} (once, some minutes)")
        root = tree.hold(debian.root_directory(sorted(BUILD_PACKAGES)))
        with tempfile.TemporaryDirectory(dir=cache_dir()) as work:
            upstream = debian.source(f"python{VERSION}", Path(work))
            with tarfile.open(upstream) as tar:
                tar.extractall(root / "src.work", filter="data")
        (unpacked,) = (root / "src.work").iterdir()
        os.replace(unpacked, root / "src")
        jobs = str(os.cpu_count() or 1)
        run(
            ["chroot", root, "sh", "-euc", BUILD, "build", jobs],
            what=f"the build of CPython {version}",
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"},
        )
        for directory in ("bin", "include", "lib", "share"):
            tree.copy(root / "usr/local" / directory, f"/usr/local/{directory}")

    def settings(tree: Tree) -> None:
        """uv brings certificates of its own; here it must trust what the machine trusts."""
        tree.file("/etc/uv/uv.toml", "native-tls = true\n")

    env = {"PATH": f"/usr/local/bin:{PATH}", "PYTHON_VERSION": version}
    return Recipe(
        (
            system(PACKAGES),
            copied("CPython", f"{version} {BUILD} {BUILD_PACKAGES}", toolchain),
            copied("settings", "1", settings),
        ),
        {"Env": [f"{key}={value}" for key, value in env.items()], "Cmd": ["python3"]},
    )


def catalogue() -> dict[str, Callable[[], Recipe]]:
    return {image("python", "builder"): recipe}
