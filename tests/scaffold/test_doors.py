"""An answer is judged the same whichever door it comes through: option, file or update."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rendering import commit_all, git, rendered_files

WRONG = [
    ("service_name", "Not A Label"),
    ("registry", "https://example.com/x"),
    ("go", "elsewhere"),
]
ANSWERS = ".copier-answers.yml"


def copier(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "copier", *map(str, arguments)], cwd=cwd,
        env=os.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture
def service(template_repository: Path, tmp_path: Path) -> Path:
    """A service of a template's first release, and a second release to update to."""
    template = tmp_path / "template"
    git(tmp_path, "clone", "--quiet", str(template_repository), str(template))
    git(template, "tag", "v1.0.0")
    copied = copier("copy", "--defaults", "--quiet", template, tmp_path / "service", cwd=tmp_path)
    assert copied.returncode == 0, copied.stderr
    commit_all(tmp_path / "service", "Scaffold")
    with (template / "template/CODEOWNERS.jinja").open("a") as file:
        file.write("/image/ @{{ owner }}\n")
    commit_all(template, "Second release")
    git(template, "tag", "v1.1.0")
    return tmp_path / "service"


@pytest.mark.parametrize(("question", "answer"), WRONG)
@pytest.mark.parametrize("door", ["--data", "--data-file"])
def test_a_wrong_answer_is_refused(
    question: str, answer: str, door: str, template_repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "answers.yml").write_text(yaml.safe_dump({question: answer}))
    value = f"{question}={answer}" if door == "--data" else str(tmp_path / "answers.yml")
    result = copier(
        "copy", "--defaults", "--vcs-ref", "HEAD", door, value, template_repository, "service",
        cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode != 0
    assert f"'{question}'" in result.stderr.splitlines()[-1] or question in result.stderr
    assert not (tmp_path / "service").exists()


@pytest.mark.parametrize(("question", "answer"), WRONG)
def test_a_wrong_answer_is_refused_on_update(question: str, answer: str, service: Path) -> None:
    result = copier("update", "--defaults", "--data", f"{question}={answer}", cwd=service)
    assert result.returncode != 0
    assert git(service, "status", "--porcelain") == ""


def make_update(service: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", "update"], cwd=service,
        env={**os.environ, "COPIER": f"{sys.executable} -W ignore -m copier"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip


def test_an_edited_answers_file_is_judged(service: Path) -> None:
    """Copier would take the default without a word; `make update` says so."""
    path = service / ANSWERS
    path.write_text(path.read_text().replace("owner: platform", "owner: '@Not A Slug'"))
    commit_all(service, "Edit an answer")
    result = make_update(service)
    assert "owner" in result.stdout + result.stderr, result.stderr


def test_a_computed_answer_in_the_answers_file_is_refused(service: Path) -> None:
    with (service / ANSWERS).open("a") as file:
        file.write("package: elsewhere\n")
    commit_all(service, "Edit a computed answer")
    result = make_update(service)
    assert result.returncode != 0
    assert "package is computed from service_name and language" in result.stderr
    assert git(service, "status", "--porcelain") == ""


def test_an_unknown_key_changes_nothing(template_repository: Path, tmp_path: Path) -> None:
    """Copier does not report it; docs/service-team.md says so."""
    for name, data in (("plain", []), ("unknown", ["--data", "servce_name=typo"])):
        result = copier(
            "copy", "--defaults", "--quiet", "--vcs-ref", "HEAD", *data, template_repository, name,
            cwd=tmp_path,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
    plain, unknown = tmp_path / "plain", tmp_path / "unknown"
    assert rendered_files(plain) == rendered_files(unknown)
    for path in rendered_files(plain):
        assert (plain / path).read_bytes() == (unknown / path).read_bytes(), path
