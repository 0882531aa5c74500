"""What goes wrong around an update: a clear message, and a service that is not harmed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from history import (
    AFTER,
    BEFORE,
    QUICK_COPIER,
    Edit,
    History,
    append,
    differences,
    remove,
    substitute,
    update,
    write,
)

from rendering import commit_all, git


@pytest.fixture
def service(history: History, tmp_path: Path) -> Path:
    return history.service(tmp_path / "service", BEFORE, append("README.md", "\nOurs.\n"))


def snapshot(service: Path) -> tuple[str, str]:
    return git(service, "rev-parse", "HEAD"), git(service, "status", "--porcelain")


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_killed_in_the_middle(service: Path, tmp_path: Path) -> None:
    """Copier and the script are killed after the first files were written."""
    before = snapshot(service)
    killer = script(
        tmp_path / "copier",
        "echo half > CODEOWNERS; mkdir -p specs/new && echo half > specs/new/file; "
        "cp /dev/null ci/conformance/cli.py; kill -9 $PPID $$\n",
    )
    result = update(service, COPIER=killer)
    assert result.returncode == -signal.SIGKILL
    assert snapshot(service) != before
    result = update(service)
    assert result.returncode == 1
    assert "an update was interrupted; undo it with: " in result.stderr
    command = result.stderr.strip().rsplit("undo it with: ", 1)[1]
    subprocess.run(command, shell=True, cwd=service, check=True, capture_output=True)
    assert snapshot(service) == before
    result = update(service)
    assert result.returncode in (0, 1)
    assert f"to {AFTER}" in result.stderr


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_by_a_signal(service: Path, tmp_path: Path, sent: signal.Signals) -> None:
    before = snapshot(service)
    copier = script(
        tmp_path / "copier",
        f"echo half > CODEOWNERS; echo half > new-file; kill -{sent.value} $PPID; exit 1\n",
    )
    result = update(service, COPIER=copier)
    assert result.returncode == 1
    assert "the service is as it was" in result.stderr
    assert snapshot(service) == before


def test_a_full_disk(service: Path, history: History, tmp_path: Path) -> None:
    """A file-size limit is a disk that fills up: some files are written, then none."""
    before = snapshot(service)
    result = update(
        service, COPIER=script(tmp_path / "copier", f'ulimit -f 8\nexec {QUICK_COPIER} "$@"\n')
    )
    assert result.returncode == 1
    assert "the update failed; the service is as it was" in result.stderr
    assert "Traceback" not in result.stderr
    assert snapshot(service) == before
    assert differences(service, history.fresh(BEFORE), "go") == {"README.md"}


def test_an_unreachable_template(service: Path) -> None:
    substitute(".copier-answers.yml", "_src_path: .*", "_src_path: file:///nowhere/template.git")(
        service
    )
    commit_all(service, "Move")
    before = snapshot(service)
    for verb, says in (
        ("update", "cannot read the template at file:///nowhere/template.git"),
        ("check", "cannot compare with the template at file:///nowhere/template.git"),
        ("restore", "cannot bring the platform files"),
    ):
        result = update(service, verb)
        assert result.returncode == 1
        assert says in result.stderr
        assert "Traceback" not in result.stderr
    assert snapshot(service) == before


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        pytest.param(remove(".copier-answers.yml"), ".copier-answers.yml is missing; bring it back "
                     "with: git checkout ", id="missing"),
        pytest.param(write(".copier-answers.yml", ""), "does not say which template", id="empty"),
        pytest.param(write(".copier-answers.yml", "<<<<<<< ours\n_commit: v1\n"),
                     "has conflict markers", id="markers"),
        pytest.param(substitute(".copier-answers.yml", "_commit: .*", "_commit: v9999.0.0"),
                     "on v9999.0.0 (_commit in .copier-answers.yml), which", id="newer"),
        pytest.param(substitute(".copier-answers.yml", "language: go", "language: [go"),
                     "the service is as it was", id="not YAML"),
        pytest.param(substitute(".copier-answers.yml", "language: go", "language: cobol"),
                     "'cobol'", id="unknown choice"),
    ],
)  # fmt: skip
def test_an_answers_file_that_is_no_more_what_it_was(service: Path, edit: Edit, says: str) -> None:
    edit(service)
    commit_all(service, "Edit the answers")
    before = snapshot(service)
    result = update(service)
    assert result.returncode == 1
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert snapshot(service) == before
    if "git checkout" in says:
        command = result.stderr.strip().rsplit("with: ", 1)[1]
        subprocess.run(command, shell=True, cwd=service, check=True)
        assert (service / ".copier-answers.yml").exists()


def test_a_rejected_hunk_is_a_conflict(service: Path, tmp_path: Path) -> None:
    """As Copier leaves one with another setting, or a merge tool."""
    copier = script(tmp_path / "copier", "echo more >> CODEOWNERS; echo hunk > CODEOWNERS.rej\n")
    result = update(service, COPIER=copier)
    assert result.returncode == 1
    assert "have conflicts; resolve each one:\n  CODEOWNERS.rej\n" in result.stderr


def test_no_repository(service: Path) -> None:
    shutil.rmtree(service / ".git")
    result = update(service)
    assert result.returncode == 1
    assert "not a git repository" in result.stderr


def test_a_template_that_is_a_shallow_clone(
    service: Path, history: History, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{history.repository}", "shallow")
    substitute(".copier-answers.yml", "_src_path: .*", f"_src_path: {tmp_path}/shallow")(service)
    commit_all(service, "Move")
    before = snapshot(service)
    result = update(service)
    assert result.returncode == 1
    assert f"on {BEFORE} (_commit in .copier-answers.yml), which the template" in result.stderr
    assert snapshot(service) == before


def shallow(service: Path, place: Path) -> Path:
    git(place.parent, "clone", "--quiet", "--depth", "1", f"file://{service}", str(place))
    return place


def worktree(service: Path, place: Path) -> Path:
    git(service, "worktree", "add", "--quiet", "-b", "update", str(place))
    return place


def submodule(service: Path, place: Path) -> Path:
    outer = place.parent / "outer"
    outer.mkdir()
    commit_all(outer, "Outer")
    git(
        outer,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(service),
        "svc",
    )
    commit_all(outer, "Add the service")
    return outer / "svc"


def crlf(service: Path, place: Path) -> Path:
    """As on a machine where git turns line ends, and the team wants CRLF in its own notes."""
    append(".gitattributes", "*.txt text eol=crlf\n")(service)
    write("notes.txt", "one\ntwo\n")(service)
    commit_all(service, "Notes")
    git(place.parent, "-c", "core.autocrlf=true", "clone", "--quiet", "--config",
        "core.autocrlf=true", str(service), str(place))  # fmt: skip
    assert b"\r\n" in (place / "notes.txt").read_bytes()
    return place


def subdirectory(service: Path, place: Path) -> Path:
    place.mkdir()
    shutil.rmtree(service / ".git")
    shutil.copytree(service, place / "services/payments", symlinks=True)
    write("notes.txt", "of the repository around it\n")(place)
    commit_all(place, "Many services")
    return place / "services/payments"


@pytest.mark.parametrize("checkout", [shallow, worktree, submodule, crlf, subdirectory])
def test_an_unusual_checkout(
    checkout: Callable[[Path, Path], Path], history: History, tmp_path: Path
) -> None:
    service = history.service(
        tmp_path / "service", BEFORE, substitute("README.md", "## Try it", "## Ours")
    )
    place = checkout(service, tmp_path / "place")
    own = {"README.md"} | ({"notes.txt", ".gitattributes"} if checkout is crlf else set())
    result = update(place)
    assert result.returncode == 0, result.stderr
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message", "Update")
    fresh = history.fresh(AFTER)
    assert differences(place, fresh, "go") == own
    if checkout is shallow:
        result = update(place, VERSION=BEFORE)
        assert result.returncode == 0, result.stderr
    elif checkout is not subdirectory:
        assert git(place, "status", "--porcelain") == ""


def test_a_way_back_that_a_shallow_clone_does_not_have(history: History, tmp_path: Path) -> None:
    service = history.service(tmp_path / "service", BEFORE)
    assert update(service).returncode == 0
    commit_all(service, "Update")
    place = shallow(service, tmp_path / "place")
    result = update(place, VERSION=BEFORE)
    assert result.returncode == 1
    assert "git fetch --unshallow" in result.stderr
    assert git(place, "status", "--porcelain") == ""


def test_without_copier(service: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("git", "sed", "grep", "mktemp", "rm", "dirname", "cat"):
        path = shutil.which(tool)
        assert path
        (tools / tool).symlink_to(path)
    result = subprocess.run(
        ["/bin/sh", "ci/update.sh"], cwd=service, capture_output=True, text=True,
        env={k: v for k, v in os.environ.items() if k != "COPIER"} | {"PATH": str(tools)},
    )  # fmt: skip
    assert result.returncode == 1
    assert "install it with: pipx install copier" in result.stderr
