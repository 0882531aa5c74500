"""docker.io/library/node: Node.js and npm in /usr/local; yarn is left out."""

from __future__ import annotations

from collections.abc import Callable

from .. import install
from ..oci import Tree
from . import MACHINE_CERTIFICATES, Recipe, copied, image, system
from .distroless import PATH

ENTRYPOINT = """\
#!/bin/sh
set -e
# A first argument that is no command is an option or a script for node.
case "$1" in
    -*) set -- node "$@" ;;
    *) command -v "$1" > /dev/null || set -- node "$@" ;;
esac
exec "$@"
"""
LINKS = {
    "npm": "npm/bin/npm-cli.js",
    "npx": "npm/bin/npx-cli.js",
    "corepack": "corepack/dist/corepack.js",
}


def _node() -> Recipe:
    root, version = install.node(), install.node_version(24)

    def toolchain(tree: Tree) -> None:
        for name in ("include", "lib", "share"):
            tree.copy(root / name, f"/usr/local/{name}")
        tree.directory("/usr/local/bin")
        tree.file("/usr/local/bin/node", root / "bin" / "node", 0o755)
        tree.symlink("/usr/local/bin/nodejs", "/usr/local/bin/node")
        for name, target in LINKS.items():
            tree.symlink(f"/usr/local/bin/{name}", f"../lib/node_modules/{target}")
            tree.file(
                f"/usr/local/lib/node_modules/{target}",
                root / "lib/node_modules" / target,
                0o755,
            )
        tree.file("/usr/local/bin/docker-entrypoint.sh", ENTRYPOINT, 0o755)
        # npm brings certificates of its own; here it must trust what the machine trusts.
        tree.file("/usr/local/etc/npmrc", f"cafile={MACHINE_CERTIFICATES}\n")

    account = (
        "groupadd --gid 1000 node && "
        "useradd --uid 1000 --gid node --shell /bin/bash --create-home node"
    )
    env = {"PATH": PATH, "NODE_VERSION": version}
    return Recipe(
        (system(hooks=[account]), copied("Node.js", version, toolchain)),
        {
            "Env": [f"{key}={value}" for key, value in env.items()],
            "Entrypoint": ["docker-entrypoint.sh"],
            "Cmd": ["node"],
        },
    )


def catalogue() -> dict[str, Callable[[], Recipe]]:
    return {image("node", "builder"): _node}
