"""docker.io/library/eclipse-temurin: a JDK in /opt/java/openjdk.

The real image stands on Ubuntu 24.04, this one on Debian 13; the JDK is the
machine's Temurin 25, or Debian's OpenJDK 25 where there is none.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import install, jks
from ..oci import Tree
from . import MACHINE_CERTIFICATES, Recipe, copied, system
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


def _jdk() -> Recipe:
    root = install.jdk(25)
    version = install.java_version(root)

    def toolchain(tree: Tree) -> None:
        skipped = ("man", "lib/src.zip", "lib/security/cacerts", "demo")
        tree.copy(root, "/opt/java/openjdk", keep=lambda path: not path.startswith(skipped))
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
            copied("JDK", f"{version} {root.name}", toolchain),
        ),
        {
            "Env": [f"{key}={value}" for key, value in env.items()],
            "Entrypoint": ["/__cacert_entrypoint.sh"],
            "Cmd": ["jshell"],
        },
    )


def catalogue() -> dict[str, Callable[[], Recipe]]:
    return {
        "docker.io/library/eclipse-temurin:25-jdk": _jdk,
        "docker.io/library/eclipse-temurin:25-jdk-noble": _jdk,
    }
