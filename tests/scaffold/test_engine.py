"""ci/engine.sh chooses an engine that works, says why not otherwise, and passes the right words."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rendering import Render

TOOLS = ["sh", "sed", "grep", "cat", "env"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH without any engine."""
    (directory := tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (directory / tool).symlink_to(str(shutil.which(tool)))
    return directory


def stub(path: Path, name: str, body: str) -> None:
    """An engine that records its words, one a line, and does what the body says."""
    (path / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {path}/{name}.words\n{body}\n')
    (path / name).chmod(0o755)


def engine(
    service: Path, path: Path, *arguments: str, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ci/engine.sh", *arguments], cwd=service, env={"PATH": str(path), **env},
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip


def test_says_what_is_missing(render: Render, path: Path) -> None:
    stub(path, "docker", "exit 1")
    stub(path, "buildah", "exit 1")
    result = engine(render(), path, "which")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "no container engine works on this machine:",
        "  docker: the client is installed, but no daemon answers (docker info)",
        "  podman: not installed",
        "  buildah: installed, but 'buildah info' fails",
        "Start the docker daemon, or install podman (apt-get install podman).",
    ]


def test_docker_without_buildx_does_not_count(render: Render, path: Path) -> None:
    stub(path, "docker", 'test "$1" = info')
    stub(path, "podman", "exit 0")
    assert engine(render(), path, "which").stdout == "podman\n"
    result = engine(render(), path, "which", ENGINE="docker")
    assert result.returncode == 1
    assert "buildx plugin is missing" in result.stderr


def test_docker_comes_first(render: Render, path: Path) -> None:
    for name in ("docker", "podman", "buildah"):
        stub(path, name, "exit 0")
    assert engine(render(), path, "which").stdout == "docker\n"
    assert engine(render(), path, "which", ENGINE="buildah").stdout == "buildah\n"


def test_an_unknown_engine_is_refused(render: Render, path: Path) -> None:
    result = engine(render(), path, "which", ENGINE="rkt")
    assert (result.returncode, result.stderr) == (
        2, 'ENGINE: got "rkt", want docker, podman or buildah\n',
    )  # fmt: skip


def test_build_with_docker(render: Render, path: Path) -> None:
    stub(path, "docker", "exit 0")
    result = engine(
        render(), path, "build", "debug", "registry.example.com/a/b:1-debug", "VERSION=1", "EMPTY="
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (path / "docker.words").read_text().splitlines() == [
        "buildx", "build", "--load", "--file", "image/Dockerfile", "--target", "debug",
        "--tag", "registry.example.com/a/b:1-debug", "--build-arg", "DEBUG_FROM=release",
        "--build-arg", "VERSION=1", "--build-arg", "EMPTY=", ".",
    ]  # fmt: skip


def test_run_is_hardened(render: Render, path: Path) -> None:
    stub(path, "docker", "exit 0")
    assert engine(render(), path, "run", "b:1", "9090").returncode == 0
    assert (path / "docker.words").read_text().splitlines() == [
        "run", "--rm", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges",
        "--env", "PORT=9090", "--publish", "9090:9090", "b:1",
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [[], ["build"], ["build", "release"], ["run"], ["fly"]])
def test_wrong_use_is_told(arguments: list[str], render: Render, path: Path) -> None:
    stub(path, "docker", "exit 0")
    result = engine(render(), path, *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: ci/engine.sh which\n")


def test_a_health_check_needs_no_systemd(render: Render, path: Path) -> None:
    """podman ends a container whose health check it cannot hand to systemd."""
    stub(path, "podman", "exit 0")
    assert engine(render(), path, "run", "b:1", ENGINE="podman").returncode == 0
    words = (path / "podman.words").read_text().splitlines()
    assert ("--no-healthcheck" in words) is not Path("/run/systemd/system").is_dir()
    assert engine(render(), path, "shell", "b:1", ENGINE="podman").returncode == 0
    assert "--no-healthcheck" in (path / "podman.words").read_text().splitlines()


# An error is not an absence


DAEMON = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock"
ABSENT = {
    "docker": "echo 'Error: No such image: b:1' >&2; exit 1",
    "podman": "exit 1",
    "buildah": "echo 'Error: inspecting object: b:1: image not known' >&2; exit 125",
}


@pytest.mark.parametrize("name", ABSENT)
def test_an_image_that_is_not_there_is_not_checked(name: str, render: Render, path: Path) -> None:
    stub(path, name, ABSENT[name])
    result = engine(render(), path, "verify", "b:1")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("b:1: not checked")


@pytest.mark.parametrize("name", ABSENT)
def test_an_engine_that_fails_is_no_absence(name: str, render: Render, path: Path) -> None:
    """It works, and cannot answer this question."""
    fault = "echo 'Error: database is locked' >&2; exit 125"
    stub(path, name, f'case "$1" in info | buildx) exit 0 ;; esac; {fault}')
    result = engine(render(), path, "verify", "b:1")
    assert result.returncode == 1
    assert "Error: database is locked\n" in result.stderr
    assert f"{name} cannot say whether it has b:1: see the lines above" in result.stderr


def test_an_engine_that_does_not_work_has_no_image(render: Render, path: Path) -> None:
    stub(path, "docker", f"echo '{DAEMON}' >&2; exit 1")
    stub(path, "podman", ABSENT["podman"])
    result = engine(render(), path, "verify", "b:1")
    assert result.returncode == 0
    assert result.stdout.splitlines() == [
        "docker: the client is installed, but no daemon answers (docker info)",
        "b:1: not checked, no container engine here has it (make image builds it)",
    ]
