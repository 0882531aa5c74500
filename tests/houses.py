"""The template as a platform team has it that adds bases of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from rendering import ROOT, copy_template, git

HOUSE = [sys.executable, str(ROOT / "scripts/house.py")]
# The stand-ins of tests/lab/bases/vendor.py: each differs from distroless in one thing.
VENDOR: dict[str, dict[str, Any]] = {
    "another user": {
        "language": "go",
        "name": "vendor",
        "label": "vendor: nothing but the service, as the user 1001",
        "release": "ghcr.io/vendor/static:13",
        "libc": "none",
        "user": "1001:1001",
    },
    "another path": {
        "language": "python",
        "name": "vendor",
        "label": "vendor: Python in /usr/local",
        "release": "ghcr.io/vendor/python:3.13",
        "libc": "glibc",
        "runtime": "/usr/local/bin/python3.13",
    },
    "musl": {
        "language": "node",
        "name": "vendor",
        "label": "vendor: Node on musl",
        "release": "ghcr.io/vendor/node:24-musl",
        "builder": "ghcr.io/vendor/node:24-musl-dev",
        "libc": "musl",
        "runtime": "/usr/local/bin/node",
    },
}


def house(template: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*HOUSE, "--root", str(template), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def say(template: Path, *bases: Any) -> None:
    """Write the entries of a platform team."""
    (template / "house").mkdir(exist_ok=True)
    text = yaml.safe_dump({"bases": list(bases)}, allow_unicode=True)
    (template / "house/house.yml").write_text(text, encoding="utf-8")


def make_house(destination: Path, *bases: Any) -> Path:
    """The template in a repository, with these entries as a platform team's own."""
    template = copy_template(destination)
    for name in ("bases.yml", "ownership.yml"):
        shutil.copy2(ROOT / name, template)
    git(template, "init", "--quiet")
    if bases:
        say(template, *bases)
    return template
