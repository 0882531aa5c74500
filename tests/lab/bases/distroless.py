"""gcr.io/distroless, the debian13 line.

As the project builds it: one layer for each Debian package, then the accounts,
the home directories, /tmp and the certificates. Every image comes as latest and
nonroot, and both as debug with busybox.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .. import debian
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


def _certificates(tree: Tree) -> None:
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


BUSYBOX = files("busybox", _busybox)


def static_parts() -> tuple[Part, ...]:
    return (
        *(package(name) for name in STATIC),
        files("accounts, /tmp, nsswitch.conf, os-release", _accounts),
        files("CA certificates", _certificates),
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


def catalogue() -> dict[str, Callable[[], Recipe]]:
    return family("static", static_parts)
