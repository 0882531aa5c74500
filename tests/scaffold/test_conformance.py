"""A fresh service of every combination of answers satisfies its own checks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from rendering import COMBINATIONS, UNASKED, Render


@pytest.mark.parametrize("name", COMBINATIONS | UNASKED)
def test_a_fresh_service_has_no_finding(name: str, render: Render) -> None:
    service = render(**(COMBINATIONS | UNASKED)[name])
    result = subprocess.run(
        [sys.executable, "-B", "ci/conformance", "repo", "--strict", "--format", "json"],
        cwd=service, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout)["findings"] == []


@pytest.mark.parametrize("path", ["ci/engine.sh", "ci/pipeline/promote.sh"])
def test_an_edited_platform_file_is_a_finding(path: str, scaffold: Render) -> None:
    service = scaffold()
    with (service / path).open("a") as file:
        file.write("# edited\n")
    result = subprocess.run(["make", "verify"], cwd=service, capture_output=True, text=True)
    assert result.returncode != 0
    assert "PLT-002" in result.stdout
    assert path in result.stdout


def test_a_pipeline_that_was_deleted_is_a_finding(scaffold: Render) -> None:
    service = scaffold()
    shutil.rmtree(service / "ci/gitlab")
    shutil.rmtree(service / "ci/pipeline")
    (service / ".gitlab-ci.yml").unlink()
    result = subprocess.run(["make", "verify"], cwd=service, capture_output=True, text=True)
    assert result.returncode != 0
    assert "PLT-001" in result.stdout
    for folder in ("ci/gitlab", "ci/pipeline"):
        assert f"{folder}/platform.lock" in result.stdout
