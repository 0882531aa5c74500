"""docker.io/library/rust: Debian with a C compiler, and a rustup toolchain.

The real image has rustup's minimal profile. This one keeps clippy and rustfmt as
well, because rustup could not download them: `rustup component add` finds them
there already.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from .. import install
from ..oci import Tree
from . import Recipe, copied, image, system
from .distroless import PATH
from .golang import PACKAGES

BUILDPACK = (*PACKAGES, "dpkg-dev", "file", "libssl-dev", "patch", "xz-utils", "zlib1g-dev")
LEFT_OUT = ("share", "lib/rustlib/src", "lib/rustlib/manifest-rust-docs")


def _rust() -> Recipe:
    rust = install.rust("1.95")
    machine = os.uname().machine
    name = f"{rust.version}-{machine}-unknown-linux-gnu"
    native = f"lib/rustlib/{machine}-unknown-linux-gnu"

    def keep(path: str) -> bool:
        if path.startswith(LEFT_OUT):
            return False
        target = path.startswith("lib/rustlib/") and "-linux-" in path.split("/")[2]
        return not target or path.startswith((native, "lib/rustlib/manifest-"))

    def toolchain(tree: Tree) -> None:
        for path in ("/usr/local/rustup", "/usr/local/rustup/toolchains", "/usr/local/cargo"):
            tree.directory(path, 0o777)
        tree.copy(rust.sysroot, f"/usr/local/rustup/toolchains/{name}", keep, umask=0)
        listed = rust.sysroot / "lib/rustlib/components"
        kept = [line for line in listed.read_text().splitlines() if "rust-docs" not in line]
        tree.file(
            f"/usr/local/rustup/toolchains/{name}/lib/rustlib/components",
            "".join(f"{line}\n" for line in kept),
        )
        tree.file(
            "/usr/local/rustup/settings.toml",
            f'default_toolchain = "{name}"\nprofile = "minimal"\nversion = "12"\n\n[overrides]\n',
        )
        tree.directory("/usr/local/cargo/bin", 0o777)
        tree.file("/usr/local/cargo/bin/rustup", rust.rustup, 0o755)
        for program in PROXIES:
            tree.symlink(f"/usr/local/cargo/bin/{program}", "rustup")

    env = {
        "PATH": f"/usr/local/cargo/bin:{PATH}",
        "RUSTUP_HOME": "/usr/local/rustup",
        "CARGO_HOME": "/usr/local/cargo",
        "RUST_VERSION": rust.version,
    }
    return Recipe(
        (system(BUILDPACK), copied("Rust", rust.version, toolchain)),
        {"Env": [f"{key}={value}" for key, value in env.items()], "Cmd": ["bash"]},
    )


PROXIES = (
    "cargo",
    "cargo-clippy",
    "cargo-fmt",
    "cargo-miri",
    "clippy-driver",
    "rls",
    "rust-analyzer",
    "rust-gdb",
    "rust-gdbgui",
    "rust-lldb",
    "rustc",
    "rustdoc",
    "rustfmt",
)


def catalogue() -> dict[str, Callable[[], Recipe]]:
    return {image("rust", "builder"): _rust}
