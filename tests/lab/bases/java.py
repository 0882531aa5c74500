"""docker.io/library/eclipse-temurin: a JDK in /opt/java/openjdk.

The real image stands on Ubuntu 24.04, this one on Debian 13; the JDK is the
machine's Temurin 25, or Debian's OpenJDK 25 where there is none.

No package registry has a JDK for musl. The stand-in for the Alpine variant has
the paths that a release image takes from Alpine, and musl itself; its JDK is the
one that MUSL_JDK names. Where that is not set the JDK needs glibc: an image that
is built from it can be looked into, and run where glibc is lent to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .. import debian, install, jks
from ..oci import Tree
from ..system import LabError
from . import MACHINE_CERTIFICATES, Recipe, copied, files, image, system
from .distroless import PATH

PACKAGES = (
    "binutils",
    "ca-certificates",
    "curl",
    "fontconfig",
    "gnupg",
    "locales",
    "openssl",
    "p11-kit",
    "tzdata",
    "wget",
)
# The real script adds the system's certificates when it is asked to.
ENTRYPOINT = """\
#!/bin/sh
exec "$@"
"""


def musl_jdk() -> Path | None:
    """The home of a JDK for musl, if this machine has one."""
    if not (named := os.environ.get("MUSL_JDK")):
        return None
    home = Path(named)
    program = home / "bin/java"
    if not (program.is_file() and b"ld-musl-" in program.read_bytes()):
        raise LabError(f"MUSL_JDK={named}: want the home of a JDK whose bin/java needs musl")
    return home


def _jdk(musl: Path | None = None) -> Recipe:
    root = musl or install.jdk(25)
    version = install.java_version(root)
    key = f"{version} {root.name} 2"
    if musl:  # built by hand, so its version does not tell one from another
        key += f" musl {[(root / name).stat().st_mtime_ns for name in ('lib/modules', 'release')]}"

    def toolchain(tree: Tree) -> None:
        # jlink wants all else as it was: it compares this JDK with the one that was released.
        skipped = ("lib/src.zip", "lib/security/cacerts")
        tree.copy(root, "/opt/java/openjdk", keep=lambda path: path not in skipped)
        bundle = MACHINE_CERTIFICATES.read_text()
        tree.file("/opt/java/openjdk/lib/security/cacerts", jks.keystore(bundle))
        tree.file("/__cacert_entrypoint.sh", ENTRYPOINT, 0o755)

    env = {
        "PATH": f"/opt/java/openjdk/bin:{PATH}",
        "JAVA_HOME": "/opt/java/openjdk",
        "LANG": "en_US.UTF-8",
        "LANGUAGE": "en_US:en",
        "LC_ALL": "en_US.UTF-8",
        "JAVA_VERSION": f"jdk-{version}",
    }
    return Recipe(
        (
            system(PACKAGES, ["localedef --inputfile=en_US --charmap=UTF-8 en_US.UTF-8"]),
            copied("JDK", key, toolchain),
        ),
        {
            "Env": [f"{key}={value}" for key, value in env.items()],
            "Entrypoint": ["/__cacert_entrypoint.sh"],
            "Cmd": ["jshell"],
        },
    )


def _alpine() -> Recipe:
    plain = _jdk(musl_jdk())

    def musl(tree: Tree) -> None:
        deb = debian.download(["musl"])["musl"]
        libc = debian.read(deb, "/usr/lib/x86_64-linux-musl/libc.so")
        # Debian's /lib is a link to /usr/lib.
        tree.file("/usr/lib/ld-musl-x86_64.so.1", libc, 0o755)
        tree.symlink("/usr/lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1")
        zlib = debian.download(["zlib1g"])["zlib1g"]
        with debian.opened(zlib) as tar:
            name = next(n for n in tar.getnames() if "/libz.so.1." in n)
        tree.file("/usr/lib/libz.so.1", debian.read(zlib, name.removeprefix(".")), 0o755)

    return Recipe((*plain.parts, files("musl", musl)), plain.config)


def glibc(directory: Path) -> list[str]:
    """Mounts that lend glibc to a runtime of the Alpine stand-in's JDK."""
    libraries = "usr/lib/x86_64-linux-gnu"
    if not directory.exists():
        names = ["libc6", "libc-bin", "libgcc-s1", "libstdc++6", "zlib1g"]
        debian.unpack(debian.download(names).values(), directory)
    loader = "ld-linux-x86-64.so.2"
    return [
        f"{directory}/{libraries}:/{libraries}:ro",
        f"{directory}/usr/lib/locale:/usr/lib/locale:ro",
        f"{directory}/{libraries}/{loader}:/lib64/{loader}:ro",
    ]


def catalogue() -> dict[str, Callable[[], Recipe]]:
    return {
        image("java", "builder"): _jdk,
        "docker.io/library/eclipse-temurin:25-jdk-noble": _jdk,
        image("java", "jre", "jre-alpine"): _alpine,
    }
