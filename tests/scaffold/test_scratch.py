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
    (tmp_path / "disk").mkdir()
    return directory


def chosen(memory: Path, available: int = 9_000_000, **stubs: str) -> str:
    """Where a command finds its TMPDIR; a stub stands for the program of its name."""
    place = memory.parent
    (programs := place / "bin").mkdir()
    plenty = "echo head; echo tmpfs 9000000 0 9000000 0% /memory"
    for name, body in {"df": plenty, **stubs}.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    (meminfo := place / "meminfo").write_text(f"MemAvailable: {available} kB\n")
    command = ["sh", "-c", 'touch "$TMPDIR/left"; echo "$TMPDIR"; exit 3']
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(place / "disk"),
        "MEMORY": str(memory), "MEMINFO": str(meminfo),
    }  # fmt: skip
    result = run(ROOT / "scripts/scratch.sh", *command, cwd=ROOT, env=environment)
    assert (result.returncode, result.stderr) == (3, "")
    # Whatever the command left is gone.
    assert [*memory.glob("*"), *(place / "disk").iterdir()] == []
    return Path(result.stdout.strip()).parent.name


def test_memory_with_room_is_taken(memory: Path) -> None:
    assert chosen(memory) == "memory"


@pytest.mark.parametrize(
    "stubs",
    [
        {"df": "echo head; echo tmpfs 65536 0 65536 0% /memory"},
        {"df": "exit 1"},
        # As on a file system that is mounted with noexec.
        {"chmod": "true"},
    ],
    ids=["small", "not mounted", "noexec"],
)
def test_memory_that_does_not_do_is_not_taken(memory: Path, stubs: dict[str, str]) -> None:
    assert chosen(memory, **stubs) == "disk"


def test_memory_that_is_not_there_is_not_taken(memory: Path) -> None:
    memory.rmdir()
    assert chosen(memory) == "disk"


def test_memory_that_is_used_up_is_not_taken(memory: Path) -> None:
    assert chosen(memory, available=500_000) == "disk"
