"""Copier, without what it does over and over again.

As a program it is Copier, or runs the Python script that is its first argument.

A copy compiles the strings of paths and questions for each file anew, collects all answers to
render a name that has no variable, asks git for core.fileMode for each program that it writes,
looks for submodules with a script of git's that starts twenty processes, and reads YAML without
libyaml; and each process compiles the same templates again.
The hundreds of copies and updates of these tests are quicker without them.
"""

from __future__ import annotations

import hashlib
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import yaml
from copier._cli import CopierApp
from copier._main import Worker
from jinja2 import Environment, FileSystemBytecodeCache, Template
from jinja2.sandbox import SandboxedEnvironment
from plumbum.commands.base import BaseCommand

CACHE = Path(__file__).parents[1] / ".cache" / "quick-copier"
# What of an environment decides how a template is compiled, besides its extensions.
SYNTAX = (
    "block_start_string", "block_end_string", "variable_start_string", "variable_end_string",
    "comment_start_string", "comment_end_string", "line_statement_prefix", "line_comment_prefix",
    "trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline", "autoescape",
    "sandboxed",
)  # fmt: skip

CACHE.mkdir(parents=True, exist_ok=True)
_cache = FileSystemBytecodeCache(str(CACHE))
_compile = SandboxedEnvironment.from_string
_bytecode = Environment.compile
_sync_executable_bit = Worker._sync_git_index_executable_bit
_render_string = Worker._render_string
_answers_relpath = Worker.answers_relpath.fget
_run = BaseCommand.__call__
_file_modes: dict[str, str] = {}


def _compile_once(self: SandboxedEnvironment, source: Any, *given: Any, **named: Any) -> Template:
    # Copier notes for each compilation whether it met a {% yield %}.
    if not isinstance(source, str) or "yield" in source or given or named:
        return _compile(self, source, *given, **named)
    compiled: dict[str, Template] = self.__dict__.setdefault("_compiled", {})
    if source not in compiled:
        compiled[source] = _compile(self, source)
    return compiled[source]


def _compile_in_one_process(
    self: Environment, source: Any, name: str | None = None, *given: Any, **named: Any
) -> Any:
    if not isinstance(source, str) or "yield" in source or named.get("raw"):
        return _bytecode(self, source, name, *given, **named)
    # The cache knows a template by its name only, and strings have none.
    made_of = [source, name, *sorted(self.extensions), *(getattr(self, key) for key in SYNTAX)]
    key = hashlib.sha256(repr(made_of).encode()).hexdigest()
    bucket = _cache.get_bucket(self, key, None, source)
    if bucket.code is None:
        bucket.code = _bytecode(self, source, name, *given, **named)
        _cache.set_bucket(bucket)
    return bucket.code


def _is_plain(environment: Environment, string: str) -> bool:
    starts = ("block_start_string", "variable_start_string", "comment_start_string")
    return "\n" not in string and all(getattr(environment, s) not in string for s in starts)


def _render_what_varies(self: Worker, string: str, *given: Any, **named: Any) -> str:
    if _is_plain(self.jinja_env, string):
        return string
    return _render_string(self, string, *given, **named)


def _plain_answers_relpath(self: Worker) -> Path:
    path = Path(self.answers_file or self.template.answers_relpath)
    return path if _is_plain(self.jinja_env, str(path)) else _answers_relpath(self)


def _sync_in_a_repository(self: Worker, path: Path, mode: int) -> None:
    root = Path(self.subproject.local_abspath)
    if any((parent / ".git").exists() for parent in (root, *root.parents)):
        _sync_executable_bit(self, path, mode)


def _run_what_matters(self: BaseCommand, *words: Any, **options: Any) -> str:
    if words[:2] == ("submodule", "update") and not os.path.exists(".gitmodules"):
        return ""
    if words == ("config", "--type=bool", "--get", "core.fileMode"):
        place = str(getattr(self, "cwd", None))
        if place not in _file_modes:
            _file_modes[place] = _run(self, *words, **options)
        return _file_modes[place]
    return _run(self, *words, **options)


def install() -> None:
    """Have this process copy in the quick way."""
    BaseCommand.__call__ = _run_what_matters  # type: ignore[method-assign]
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]
    SandboxedEnvironment.from_string = _compile_once  # type: ignore[method-assign]
    Environment.compile = _compile_in_one_process  # type: ignore[method-assign]
    Worker._render_string = _render_what_varies  # type: ignore[method-assign]
    Worker.answers_relpath = property(_plain_answers_relpath)  # type: ignore[method-assign]
    Worker._sync_git_index_executable_bit = _sync_in_a_repository  # type: ignore[method-assign]


if __name__ == "__main__":
    install()
    if sys.argv[1].endswith(".py"):
        del sys.argv[0]
        sys.path[0] = str(Path(sys.argv[0]).parent)
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        CopierApp.run()
