"""scripts/scratch.sh: the tests write in memory where that works, and elsewhere if it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rendering import ROOT
from toolchains import run


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    (directory := tmp_path / "memory").mkdir()
    return directory


def scratch(memory: Path, available: int = 9_000_000, **stubs: str) -> str:
    """What the script chooses; a stub stands for the program of its name."""
    (programs := memory.parent / "bin").mkdir()
    plenty = "echo head; echo tmpfs 9000000 0 9000000 0% /memory"
    for name, body in {"df": plenty, **stubs}.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    (meminfo := memory.parent / "meminfo").write_text(f"MemAvailable: {available} kB\n")
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": "/disk"}
    result = run(ROOT / "scripts/scratch.sh", memory, meminfo, cwd=ROOT, env=environment)
    assert (result.returncode, result.stderr) == (0, "")
    if memory.exists():
        assert list(memory.iterdir()) == []
    return result.stdout.strip()


def test_memory_with_room_is_taken(memory: Path) -> None:
    assert scratch(memory) == str(memory)


@pytest.mark.parametrize(
    "stubs",
    [
        {"df": "echo head; echo tmpfs 65536 0 65536 0% /memory"},
        {"df": "exit 1"},
        {"mktemp": "exit 1"},
        # As on a file system that is mounted with noexec.
        {"chmod": "true"},
    ],
    ids=["small", "not mounted", "read-only", "noexec"],
)
def test_memory_that_does_not_do_is_not_taken(memory: Path, stubs: dict[str, str]) -> None:
    assert scratch(memory, **stubs) == "/disk"


def test_memory_that_is_not_there_is_not_taken(memory: Path) -> None:
    memory.rmdir()
    assert scratch(memory) == "/disk"


def test_memory_that_is_used_up_is_not_taken(memory: Path) -> None:
    assert scratch(memory, available=500_000) == "/disk"
