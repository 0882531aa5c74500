"""gcr.io/distroless, the debian13 line.

As the project builds it: one layer for each Debian package, then the accounts,
the home directories, /tmp and the certificates. Every image comes as latest and
nonroot, and both as debug with busybox.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .. import debian, install, jks
from ..oci import Tree
from . import Part, Recipe, files, package

SOURCE = "https://github.com/GoogleContainerTools/distroless"
NONROOT = 65532
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PASSWD = """\
root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
"""
GROUP = """\
root:x:0:
nobody:x:65534:
tty:x:5:
staff:x:50:
nonroot:x:65532:
"""
NSSWITCH = """\
passwd:         compat
group:          compat
shadow:         compat
gshadow:        files

hosts:          files dns
networks:       files

protocols:      db files
services:       db files
ethers:         db files
rpc:            db files

netgroup:       nis
"""
OS_RELEASE = f"""\
PRETTY_NAME="Distroless"
NAME="Debian GNU/Linux"
ID="debian"
VERSION_ID="13"
VERSION="Debian GNU/Linux 13 (trixie)"
HOME_URL="{SOURCE}"
SUPPORT_URL="{SOURCE}/blob/master/README.md"
BUG_REPORT_URL="{SOURCE}/issues/new"
"""

STATIC = ("base-files", "netbase", "tzdata", "tzdata-legacy", "media-types")
BASE = ("libc6", "libssl3t64", "libzstd1", "zlib1g")
CC = ("libgomp1", "libstdc++6", "libgcc-s1", "gcc-14-base")
JAVA_BASE = (
    "zlib1g",
    "libjpeg62-turbo",
    "liblcms2-2",
    "libfreetype6",
    "fonts-dejavu-core",
    "fontconfig-config",
    "libexpat1",
    "libfontconfig1",
    "libuuid1",
    "libbrotli1",
    "libcrypt1",
    "libstdc++6",
    "libgcc-s1",
    "gcc-14-base",
    "libpng16-16t64",
    "libbz2-1.0",
)
PYTHON = (
    "libbz2-1.0",
    "libdb5.3t64",
    "libexpat1",
    "liblzma5",
    "libsqlite3-0",
    "libuuid1",
    "libncursesw6",
    "libtinfo6",
    "libcom-err2",
    "libcrypt1",
    "libc-bin",
    "libgssapi-krb5-2",
    "libk5crypto3",
    "libkeyutils1",
    "libkrb5-3",
    "libkrb5support0",
    "libnsl2",
    "libreadline8t64",
    "libtirpc3t64",
    "libffi8",
    "libpython3.13-minimal",
    "libpython3.13-stdlib",
    "python3.13-minimal",
    "python3.13-venv",
)


def _accounts(tree: Tree) -> None:
    tree.file("/etc/passwd", PASSWD)
    tree.file("/etc/group", GROUP)
    tree.directory("/root", 0o700)
    tree.directory("/home")
    tree.directory("/home/nonroot", 0o700, NONROOT, NONROOT)
    tree.directory("/tmp", 0o1777)
    tree.file("/etc/nsswitch.conf", NSSWITCH)
    # /etc/os-release of base-files is a link to this file.
    tree.file("/usr/lib/os-release", OS_RELEASE)


def certificates(tree: Tree) -> None:
    deb = debian.download(["ca-certificates"])["ca-certificates"]
    tree.file("/etc/ssl/certs/ca-certificates.crt", debian.certificates(deb))
    copyright = "/usr/share/doc/ca-certificates/copyright"
    tree.tar(tree.hold(debian.opened(deb)), keep=lambda name: f"/{name}" == copyright)
    debian.status(tree, "ca-certificates", deb)


def _busybox(tree: Tree) -> None:
    deb = debian.download(["busybox-static"])["busybox-static"]
    program = debian.read(deb, "/usr/bin/busybox")
    tree.directory("/busybox")
    tree.file("/busybox/busybox", program, 0o755)
    for applet in debian.applets(program):
        if applet != "busybox":
            tree.symlink(f"/busybox/{applet}", "/busybox/busybox")


BUSYBOX = files("busybox in /busybox", _busybox)


def _locale(tree: Tree) -> None:
    deb = debian.download(["libc-bin"])["libc-bin"]
    locale = "usr/lib/locale/C.utf8"
    tree.tar(
        tree.hold(debian.opened(deb)),
        keep=lambda name: locale.startswith(name) or name.startswith(locale),
    )
    debian.status(tree, "libc-bin", deb)


def _java_certificates(tree: Tree) -> None:
    deb = debian.download(["ca-certificates"])["ca-certificates"]
    tree.file("/etc/ssl/certs/java/cacerts", jks.keystore(debian.certificates(deb)))


def _python_links(tree: Tree) -> None:
    for name in ("python", "python3"):
        tree.symlink(f"/usr/bin/{name}", "/usr/bin/python3.13")


def _linker_cache(tree: Tree) -> None:
    """What ctypes.util.find_library reads."""
    names = [*STATIC, *BASE, *CC, *PYTHON]
    tree.file("/etc/ld.so.cache", debian.linker_cache(debian.download(names)))


def static_parts() -> tuple[Part, ...]:
    return (
        *(package(name) for name in STATIC),
        files("accounts, /tmp, nsswitch.conf, os-release", _accounts),
        files("CA certificates", certificates, "2"),
    )


def recipe(
    parts: Callable[[], tuple[Part, ...]],
    extra: Callable[[], dict[str, Any]],
    *,
    nonroot: bool,
    debug: bool,
) -> Recipe:
    """One image of a family; `extra` is what it sets besides the common configuration."""
    settings = extra()
    env = {"PATH": PATH, "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
    entrypoint = settings.get("Entrypoint")
    layers = parts()
    if debug:
        # Busybox comes right after the static layers, as all debug images share it.
        common = len(static_parts())
        layers = (*layers[:common], BUSYBOX, *layers[common:])
        env["PATH"] += ":/busybox"
        entrypoint = entrypoint or ["/busybox/sh"]
    env |= settings.get("Env", {})
    config = {
        "User": str(NONROOT) if nonroot else "0",
        "WorkingDir": "/home/nonroot" if nonroot else "/",
        "Env": [f"{key}={value}" for key, value in env.items()],
    }
    if entrypoint:
        config["Entrypoint"] = entrypoint
    annotations = {"org.opencontainers.image.source": SOURCE} | settings.get("Annotations", {})
    return Recipe(layers, config, annotations)


def family(
    name: str,
    parts: Callable[[], tuple[Part, ...]],
    extra: Callable[[], dict[str, Any]] = dict,
) -> dict[str, Callable[[], Recipe]]:
    """The four tags of an image."""
    variants = {
        "latest": (False, False),
        "nonroot": (True, False),
        "debug": (False, True),
        "debug-nonroot": (True, True),
    }
    return {
        f"gcr.io/distroless/{name}-debian13:{tag}": partial(
            recipe, parts, extra, nonroot=nonroot, debug=debug
        )
        for tag, (nonroot, debug) in variants.items()
    }


def base_nossl_parts() -> tuple[Part, ...]:
    return (*static_parts(), package("libc6"))


def cc_parts() -> tuple[Part, ...]:
    return (*static_parts(), *(package(name) for name in (*BASE, *CC)))


def java_base_parts() -> tuple[Part, ...]:
    return (
        *base_nossl_parts(),
        *(package(name) for name in JAVA_BASE),
        files("locale C.UTF-8", _locale, "2"),
        files("Java's CA certificates", _java_certificates),
    )


def python_parts() -> tuple[Part, ...]:
    return (
        *cc_parts(),
        *(package(name) for name in PYTHON),
        files("python and python3", _python_links),
        files("ld.so.cache", _linker_cache),
    )


def nodejs_parts() -> tuple[Part, ...]:
    def node(tree: Tree) -> None:
        root = install.node()
        tree.directory("/nodejs")
        tree.directory("/nodejs/bin")
        tree.file("/nodejs/bin/node", root / "bin" / "node", 0o755)
        tree.file("/nodejs/LICENSE", install.node_licence())

    return (*cc_parts(), files("Node.js", node, install.node_version()))


def catalogue() -> dict[str, Callable[[], Recipe]]:
    utf8 = {"Env": {"LANG": "C.UTF-8"}}
    return {
        **family("static", static_parts),
        **family("base-nossl", base_nossl_parts),
        **family("base", lambda: (*static_parts(), *(package(name) for name in BASE))),
        **family("cc", cc_parts),
        **family("java-base", java_base_parts, lambda: utf8),
        **family("python3", python_parts, lambda: {"Entrypoint": ["/usr/bin/python3.13"], **utf8}),
        **family("nodejs24", nodejs_parts, lambda: {"Entrypoint": ["/nodejs/bin/node"]}),
    }
