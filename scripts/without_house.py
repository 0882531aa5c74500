"""Make a copy of this checkout without its house: scripts/without_house.py DIRECTORY

The template's own tests know the template's own answers, so they run there; it has what is
not committed too. Golden files are written from it, so that a house changes none of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

import house_own

import house

ROOT = Path(__file__).resolve().parent.parent
IDENTITY = (
    "-c", "user.name=house", "-c", "user.email=house@localhost",
    "-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null",
)  # fmt: skip


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make(root: Path, destination: Path) -> Path:
    shutil.rmtree(destination, ignore_errors=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    git(
        root,
        "clone",
        "--quiet",
        "--shared",
        "--no-checkout",
        "--no-tags",
        ".",
        str(destination.resolve()),
    )
    git(destination, "remote", "remove", "origin")
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        source, target = root / name, destination / name
        if not name.startswith(f"{house_own.FOLDER}/") and (
            source.is_file() or source.is_symlink()
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    house.write(destination)
    link_venv(root, destination)
    git(destination, "add", "--all")
    git(
        destination,
        *IDENTITY,
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "Leave the house out",
    )
    return destination


def link_venv(root: Path, copy: Path) -> None:
    """What is set up for one checkout is used in its copy."""
    if (root / ".venv").exists():
        (copy / ".venv").symlink_to((root / ".venv").resolve())
        with (copy / ".git/info/exclude").open("a") as file:
            file.write("/.venv\n")
        for name in ("uv.lock", "pyproject.toml"):
            os.utime(copy / name, (0, 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--link", action="store_true", help="only give it this checkout's .venv")
    arguments = parser.parse_args()
    (link_venv if arguments.link else make)(ROOT, arguments.directory)


if __name__ == "__main__":
    main()
