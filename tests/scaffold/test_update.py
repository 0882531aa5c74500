"""Copy and update need no trust, and an update respects who owns a file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from copier import run_copy, run_update

from rendering import COMBINATIONS, commit_all, copy_template, git, rendered_files

Edit = Callable[[Path], None]


def append(path: str, line: str) -> Edit:
    def edit(root: Path) -> None:
        with (root / path).open("a", encoding="utf-8") as file:
            file.write(line)

    return edit


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template whose first release, v1.0.0, is what is in the working tree."""
    repository = copy_template(tmp_path / "template")
    commit_all(repository, "First release")
    git(repository, "tag", "v1.0.0")
    return repository


def release(template: Path, tag: str, *edits: Edit) -> None:
    for edit in edits:
        edit(template)
    commit_all(template, tag)
    git(template, "tag", tag)


def new_service(template: Path, destination: Path, **answers: str) -> Path:
    run_copy(
        str(template), destination, data=answers, defaults=True, quiet=True, unsafe=False
    )  # fmt: skip
    commit_all(destination, "Scaffold")
    return destination


def update(service: Path) -> None:
    run_update(service, defaults=True, quiet=True, unsafe=False, overwrite=True)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_untouched_service_equals_a_fresh_one(name: str, template: Path, tmp_path: Path) -> None:
    service = new_service(template, tmp_path / "service", **COMBINATIONS[name])
    release(
        template, "v1.1.0",
        append("template/specs/guidelines/containerization.md", "\nA new paragraph.\n"),
        append("template/CODEOWNERS.jinja", "/image/ @{{ owner }}\n"),
    )  # fmt: skip
    update(service)
    fresh = new_service(template, tmp_path / "fresh", **COMBINATIONS[name])
    assert rendered_files(service) == rendered_files(fresh)
    for path in rendered_files(fresh):
        assert (service / path).read_bytes() == (fresh / path).read_bytes(), path


def test_seeded_files_are_never_touched(template: Path, tmp_path: Path) -> None:
    service = new_service(template, tmp_path / "service")
    seeded = service / "cmd/payments/main.go"
    other = service / "internal"
    before = seeded.read_text(encoding="utf-8")
    deleted = next(path for path in sorted(other.rglob("*.go")))
    deleted.unlink()
    commit_all(service, "Delete a seeded file")
    release(
        template, "v1.1.0",
        append("template/{{ go }}/cmd/{{ package }}/main.go.jinja", "// changed\n"),
        append("template/CODEOWNERS.jinja", "/image/ @{{ owner }}\n"),
    )  # fmt: skip
    update(service)
    assert seeded.read_text(encoding="utf-8") == before
    assert not deleted.exists()
    assert "/image/" in (service / "CODEOWNERS").read_text(encoding="utf-8")


def make_update(service: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", "update"], cwd=service,
        env={**os.environ, "COPIER": f"{sys.executable} -W ignore -m copier"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip


def test_make_update_merges_and_keeps_edits(template: Path, tmp_path: Path) -> None:
    service = new_service(template, tmp_path / "service")
    append("README.md", "\n## Ours\n")(service)
    commit_all(service, "Edit")
    release(template, "v1.1.0", append("template/CODEOWNERS.jinja", "/image/ @{{ owner }}\n"))
    result = make_update(service)
    assert result.returncode == 0, result.stderr
    assert "## Ours" in (service / "README.md").read_text(encoding="utf-8")
    assert "/image/" in (service / "CODEOWNERS").read_text(encoding="utf-8")


def test_make_update_refuses_a_dirty_tree(template: Path, tmp_path: Path) -> None:
    service = new_service(template, tmp_path / "service")
    append("README.md", "dirty\n")(service)
    result = make_update(service)
    assert result.returncode != 0
    assert "uncommitted changes; commit or stash them" in result.stderr
    assert "README.md" in result.stderr


def test_make_update_stops_at_a_conflict(template: Path, tmp_path: Path) -> None:
    service = new_service(template, tmp_path / "service")
    (service / "CODEOWNERS").write_text("* @someone-else\n")
    commit_all(service, "Edit")
    (template / "template/CODEOWNERS.jinja").write_text("* @{{ owner }} @reviewers\n")
    release(template, "v1.1.0")
    result = make_update(service)
    assert result.returncode != 0
    assert "  CODEOWNERS\n" in result.stderr
