"""Copier, without two things that it does over and over again.

As a program it is Copier, or runs the Python script that is its first argument.

A copy compiles the strings of paths and questions for each file anew, and starts git for each
file that it writes to learn core.fileMode, which matters in a repository alone. Without them
the hundreds of copies and updates of these tests take some three quarters of their time.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

from copier._cli import CopierApp
from copier._main import Worker
from jinja2 import Template
from jinja2.sandbox import SandboxedEnvironment

_compile = SandboxedEnvironment.from_string
_sync_executable_bit = Worker._sync_git_index_executable_bit


def _compile_once(self: SandboxedEnvironment, source: Any, *given: Any, **named: Any) -> Template:
    # Copier notes for each compilation whether it met a {% yield %}.
    if not isinstance(source, str) or "yield" in source or given or named:
        return _compile(self, source, *given, **named)
    compiled: dict[str, Template] = self.__dict__.setdefault("_compiled", {})
    if source not in compiled:
        compiled[source] = _compile(self, source)
    return compiled[source]


def _sync_in_a_repository(self: Worker, path: Path, mode: int) -> None:
    root = Path(self.subproject.local_abspath)
    if any((parent / ".git").exists() for parent in (root, *root.parents)):
        _sync_executable_bit(self, path, mode)


def install() -> None:
    """Have this process copy in the quick way."""
    SandboxedEnvironment.from_string = _compile_once  # type: ignore[method-assign]
    Worker._sync_git_index_executable_bit = _sync_in_a_repository  # type: ignore[method-assign]


if __name__ == "__main__":
    install()
    if sys.argv[1].endswith(".py"):
        del sys.argv[0]
        sys.path[0] = str(Path(sys.argv[0]).parent)
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        CopierApp.run()
