"""The languages' own tools, for `make` in a generated service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab import install


def toolchain(language: str) -> dict[str, str]:
    """The environment in which a language's own tools are found; installs what can be."""
    places = {
        "go": lambda: [install.go().root / "bin"],
        "node": lambda: [install.node_bin()],
        "rust": lambda: [install.rust().sysroot / "bin"],
        "java": lambda: [install.jdk_here() / "bin"],
        "python": lambda: [Path(sys.executable).parent],  # uv
    }[language]()
    environment = {"PATH": os.pathsep.join([*map(str, places), os.environ["PATH"]])}
    if language == "java":
        install.packages(["unzip"])  # what mvnw unpacks Maven with
        environment["JAVA_HOME"] = str(places[0].parent)
    return environment


def run(
    *command: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip


def tail(result: subprocess.CompletedProcess[str], lines: int = 30) -> str:
    return "\n".join((result.stdout + result.stderr).splitlines()[-lines:])
