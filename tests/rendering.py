"""The answer matrix, the template as a repository, and what a render consists of."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from scripts.matrix import combinations

ROOT = Path(__file__).resolve().parent.parent
MATRIX: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(
    (ROOT / "tests" / "matrix.yml").read_text(encoding="utf-8")
)
COMBINATIONS = combinations()
UNASKED = MATRIX["unasked"]
EXTREMES = MATRIX["extremes"]
# `make test-nightly` tries each language where one shows it by day.
NIGHTLY = bool(os.environ.get("NIGHTLY"))
# What is rendered and linted; the combinations are built, too.
ALL = COMBINATIONS | UNASKED | {f"extreme-{name}": answers for name, answers in EXTREMES.items()}

Render = Callable[..., Path]


def git(directory: Path, *arguments: str) -> str:
    """Run git in a directory and return its output."""
    return subprocess.run(
        ["git", "-C", str(directory), *arguments], check=True, capture_output=True, text=True
    ).stdout


def commit_all(directory: Path, message: str) -> str:
    """Commit everything in a directory, making it a repository first; return the commit."""
    if not (directory / ".git").exists():
        git(directory, "init", "--quiet")
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(directory, "rev-parse", "HEAD").strip()


def copy_template(destination: Path) -> Path:
    """Copy the template's files, as they are in the working tree, into a new directory."""
    listed = git(
        ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--",
        ".gitattributes", "copier.yml", "partials", "template",
    )  # fmt: skip
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, destination / name
        if source.is_symlink() or source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return destination


def rendered_files(service: Path) -> list[Path]:
    """Every file and link of a service, relative to its root, in order."""
    return sorted(
        Path(directory, name).relative_to(service)
        for directory, names, files in os.walk(service)
        if ".git" not in Path(directory).parts
        for name in [*files, *(n for n in names if Path(directory, n).is_symlink())]
    )


def snapshot(service: Path) -> dict[str, tuple[int, bytes]]:
    """Path to (mode, content) of every file; a link's content is its target."""
    return {
        str(path): (
            (service / path).lstat().st_mode,
            os.readlink(service / path).encode()
            if (service / path).is_symlink()
            else (service / path).read_bytes(),
        )
        for path in rendered_files(service)
    }


def changed_files(service: Path, before: dict[str, tuple[int, bytes]]) -> list[str]:
    """Paths that were added, edited or removed since a snapshot."""
    after = snapshot(service)
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
