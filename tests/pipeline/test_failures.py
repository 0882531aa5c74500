"""What goes wrong around a pipeline: nothing is tagged, and a full rerun succeeds."""

from __future__ import annotations

import subprocess

import pytest
from world import Project


@pytest.fixture(scope="module")
def released(project: Project) -> None:
    """A release that no failure may touch."""
    project.release("1.0.0")


def test_an_unreachable_registry_is_one_clear_line(project: Project, released: None) -> None:
    before = project.tags()
    mirror = "docker.io=127.0.0.1:9/mirror;gcr.io=127.0.0.1:9/mirror"
    run = project.run(tag="v1.1.0", REGISTRY_MAP=mirror)
    assert run.failed() == ["resolve"], run.log
    [line] = run.errors()
    assert line.startswith(
        "error: ci/image/Dockerfile: cannot resolve the image docker.io/library/python"
    )
    assert "connection refused" in line
    assert project.tags() == before
    project.release("1.1.0")


def test_wrong_credentials_are_one_clear_line(project: Project, released: None) -> None:
    before = project.tags()
    run = project.run(tag="v1.2.0", REGISTRY_PASSWORD="wrong")
    assert run.failed() == ["resolve"], run.log
    [line] = run.errors()
    assert line.startswith("error: ci/image/Dockerfile: cannot resolve the image")
    assert "UNAUTHORIZED" in line
    assert project.tags() == before
    project.release("1.2.0")


def test_a_killed_build_moves_no_tag(project: Project, released: None) -> None:
    before = project.tags()
    with subprocess.Popen(
        project.command(tag="v1.3.0"), cwd=project.directory, env=project.environment(), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout
        log = ""
        for line in process.stdout:
            log += line
            if line.startswith("build ") and "$ sh ci/pipeline/build.sh release" in line:
                project.kill("build")
    run = project.ended(process.returncode, log)
    assert run.failed() == ["build"], run.log
    assert not run.ran("publish")
    assert project.tags() == before
    project.release("1.3.0")
