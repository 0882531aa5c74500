"""What every tier shares: the template as a repository, and services rendered from it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
MATRIX: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(
    (ROOT / "tests" / "matrix.yml").read_text(encoding="utf-8")
)
COMBINATIONS = MATRIX["combinations"]
EXTREMES = MATRIX["extremes"]

Render = Callable[..., Path]


@pytest.fixture(autouse=True, scope="session")
def _isolated_git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Git without the configuration of whoever runs the tests, and with fixed identities."""
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text(
        "[user]\n\tname = Test\n\temail = test@example.com\n"
        "[init]\n\tdefaultBranch = main\n[commit]\n\tgpgSign = false\n[safe]\n\tdirectory = *\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(config))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        patch.setenv("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            patch.delenv(name, raising=False)
        yield


def git(directory: Path, *arguments: str) -> str:
    """Run git in a directory and return its output."""
    return subprocess.run(
        ["git", "-C", str(directory), *arguments], check=True, capture_output=True, text=True
    ).stdout


def commit_all(directory: Path, message: str) -> str:
    """Commit everything in a directory, making it a repository first; return the commit."""
    if not (directory / ".git").exists():
        git(directory, "init", "--quiet")
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(directory, "rev-parse", "HEAD").strip()


def copy_template(destination: Path) -> Path:
    """Copy the template's files, as they are in the working tree, into a new directory."""
    listed = git(
        ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--",
        ".gitattributes", "copier.yml", "partials", "template",
    )  # fmt: skip
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, destination / name
        if source.is_symlink() or source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return destination


@pytest.fixture(scope="session")
def template_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template in a repository of its own, committed, so that no render sees a dirty tree."""
    repository = copy_template(tmp_path_factory.mktemp("template"))
    commit_all(repository, "Template")
    return repository


@pytest.fixture(scope="session")
def render(copie_session: Any, template_repository: Path) -> Render:
    """Render a service; the same answers give the same directory, so treat it as read-only."""
    rendered: dict[str, Path] = {}

    def render_once(**answers: Any) -> Path:
        key = repr(sorted(answers.items()))
        if key not in rendered:
            result = copie_session.copy(extra_answers=answers, template_dir=template_repository)
            if result.exception:
                raise result.exception
            rendered[key] = result.project_dir
        return rendered[key]

    return render_once


@pytest.fixture
def scaffold(render: Render, tmp_path: Path) -> Render:
    """Render a service into a directory that the test may change."""

    def scaffold_copy(**answers: Any) -> Path:
        destination = tmp_path / str(answers.get("service_name", "payments"))
        shutil.copytree(render(**answers), destination, symlinks=True)
        return destination

    return scaffold_copy


def rendered_files(service: Path) -> list[Path]:
    """Every file and link of a service, relative to its root, in order."""
    return sorted(
        Path(directory, name).relative_to(service)
        for directory, names, files in os.walk(service)
        if ".git" not in Path(directory).parts
        for name in [*files, *(n for n in names if Path(directory, n).is_symlink())]
    )
