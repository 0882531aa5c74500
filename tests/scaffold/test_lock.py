"""The lock of platform files is current, and notices an edit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rendering import ROOT, Render, copy_template

LOCK = [sys.executable, str(ROOT / "scripts/lock.py")]


def test_lock_is_current() -> None:
    result = subprocess.run([*LOCK, "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_an_edit_makes_it_stale(tmp_path: Path) -> None:
    template = copy_template(tmp_path / "template")
    shutil.copy2(ROOT / "ownership.yml", template)
    check = [*LOCK, "--check", "--root", str(template)]
    subprocess.run([*LOCK, "--root", str(template)], check=True)
    assert subprocess.run(check).returncode == 0
    with (template / "template/ci/engine.sh").open("a") as file:
        file.write("# edited\n")
    assert subprocess.run(check, capture_output=True).returncode == 1
    assert subprocess.run([*LOCK, "--root", str(template)]).returncode == 0
    assert subprocess.run(check).returncode == 0


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_reads_it(render: Render) -> None:
    result = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "ci/platform.lock"],
        cwd=render(), capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
