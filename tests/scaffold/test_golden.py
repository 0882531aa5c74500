"""The golden services say in a reviewer's diff what a change does to a service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rendering import ROOT, copy_template

GOLDEN = [
    sys.executable, str(ROOT / "tests/quick_copier.py"), str(ROOT / "scripts/golden.py"), "--check",
]  # fmt: skip


def test_golden_services_are_current() -> None:
    result = subprocess.run(GOLDEN, capture_output=True, text=True)
    assert result.returncode == 0, "\n".join(result.stdout.splitlines()[-60:]) + result.stderr


def test_a_changed_render_is_noticed(tmp_path: Path) -> None:
    template = copy_template(tmp_path)
    with (template / "template/CODEOWNERS.jinja").open("a") as file:
        file.write("/image/ @{{ owner }}\n")
    result = subprocess.run([*GOLDEN, "--root", str(template)], capture_output=True, text=True)
    assert result.returncode == 1
    assert "+/image/ @platform" in result.stdout.splitlines()
