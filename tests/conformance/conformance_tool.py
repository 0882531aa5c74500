"""The tool under test: imported without leaving bytecode in the template, or run as people do."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATE = ROOT / "template"
TOOL = TEMPLATE / "ci" / "conformance"

sys.path.insert(0, str(TOOL.parent))
_before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
for _module in sorted(TOOL.glob("[a-z]*.py")):
    importlib.import_module(f"conformance.{_module.stem}")
sys.dont_write_bytecode = _before


def repository_checks(**without: bool) -> int:
    """How many checks a repository with a pipeline gets; yaml=False: without PyYAML."""
    from conformance.registry import CHECKS

    checks = [
        check
        for check in CHECKS.values()
        if not check.id.startswith(("IMG", "TWN", "KUB", "VUL-001"))
    ]
    return sum(not (check.needs_yaml and without.get("yaml") is False) for check in checks)


@dataclass
class Answer:
    """What a run of the tool gave."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def found(self) -> list[str]:
        """The lines of the page for people that name a finding."""
        return [line for line in self.lines if re.match(r"[A-Z]{3,8}-\d{3}  ", line)]

    @property
    def report(self) -> Any:
        return json.loads(self.out)

    @property
    def ids(self) -> set[str]:
        """The checks with findings that no deviation silences."""
        return {item["check"] for item in self.report["findings"] if not item["deviation"]}


def run(*arguments: object) -> Answer:
    """Run the tool's command line in this process."""
    from conformance.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return _sound(Answer(code, out.getvalue(), err.getvalue()))


def run_process(*arguments: object, cwd: Path | None = None, tool: Path = TOOL) -> Answer:
    """Run the tool as a person does."""
    command = [sys.executable, str(tool), *(str(argument) for argument in arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return _sound(Answer(done.returncode, done.stdout, done.stderr))


def _sound(answer: Answer) -> Answer:
    """The tool turns each of its own faults into one line; here they fail the test."""
    assert "internal error" not in answer.err, answer
    return answer
