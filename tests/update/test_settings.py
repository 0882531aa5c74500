"""A person's settings and surroundings do not steer `make update`, and its words are right."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from history import (
    AFTER,
    BEFORE,
    QUICK_COPIER,
    History,
    append,
    edited_platform_files,
    substitute,
    update,
    write,
)

from rendering import commit_all, git

SETTINGS = {
    "color.ui": "always", "column.ui": "always", "log.showSignature": "true", "log.follow": "true",
    "tag.gpgSign": "true", "commit.gpgSign": "true", "grep.lineNumber": "true",
    "grep.patternType": "fixed", "grep.fullName": "true", "diff.noprefix": "true",
    "diff.mnemonicPrefix": "true", "diff.renames": "copies", "status.short": "true",
    "status.branch": "true", "status.relativePaths": "false", "core.quotePath": "true",
    "tag.sort": "-creatordate", "versionsort.suffix": "-rc", "core.pager": "false",
    "merge.conflictStyle": "diff3", "rerere.enabled": "true", "core.abbrev": "40",
}  # fmt: skip


@pytest.fixture
def service(history: History, tmp_path: Path) -> Path:
    return history.service(tmp_path / "service", BEFORE)


def version(service: Path) -> str:
    lines = (service / ".copier-answers.yml").read_text().splitlines()
    return next(line.removeprefix("_commit: ") for line in lines if line.startswith("_commit: "))


def description(service: Path) -> str:
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))
    return str(answers["description"])


def own_hooks(directory: Path) -> Path:
    """Hooks that fail, of each kind that a clone, a commit, a checkout or a merge runs."""
    directory.mkdir()
    for name in ("pre-commit", "commit-msg", "post-checkout", "post-commit", "post-merge",
                 "reference-transaction", "post-index-change", "applypatch-msg"):  # fmt: skip
        (directory / name).write_text(f"#!/bin/sh\necho the hook {name} >&2\nexit 1\n")
        (directory / name).chmod(0o755)
    return directory


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Every setting of git's that changes what it prints or does, and hooks for all of it."""
    config = tmp_path / "gitconfig"
    real = os.environ.get("GIT_CONFIG_GLOBAL")
    if real:
        shutil.copy(real, config)
    for name, value in {**SETTINGS, "core.hooksPath": str(own_hooks(tmp_path / "hooks"))}.items():
        subprocess.run(["git", "config", "--file", config, name, value], check=True)
    for name in ("name", "email"):
        subprocess.run(["git", "config", "--file", config, f"user.{name}", "t@x"], check=True)
    return {"GIT_CONFIG_GLOBAL": str(config)}


def test_an_update_is_the_same_under_every_setting(
    service: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    result = update(service, **settings)
    assert result.returncode == 0, result.stderr
    assert f"from {BEFORE} to {AFTER}" in result.stderr
    assert version(service) == AFTER
    assert "the hook" not in result.stderr
    commit_all(service, "Update")
    # And the way back, which reads the history.
    result = update(service, VERSION=BEFORE, **settings)
    assert result.returncode == 0, result.stderr
    assert version(service) == BEFORE
    assert edited_platform_files(service) == set()


def test_a_conflict_is_listed_once_under_every_setting(
    service: Path, settings: dict[str, str]
) -> None:
    (service / "CODEOWNERS").write_text("/image/ @someone-else\n")
    append("specs/guidelines/incident-debugging.md", "\nOurs.\n")(service)
    commit_all(service, "Edit")
    result = update(service, **settings)
    assert result.returncode == 1
    assert "have conflicts; resolve each one:\n  CODEOWNERS\nupdate: then" in result.stderr
    assert "you had edited them" in result.stderr
    assert "\n  specs/guidelines/incident-debugging.md\n" in result.stderr
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("verb", ["update", "check", "restore"])
def test_another_repository_in_the_environment_is_left_alone(
    service: Path, tmp_path: Path, verb: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    commit_all(other, "Other")
    before = git(other, "status", "--porcelain"), git(other, "log", "--format=%H")
    given = {
        "GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": str(other / ".git/index"), "GIT_LITERAL_PATHSPECS": "1",
    }  # fmt: skip
    result = update(service, verb, **given)
    assert result.returncode == (2 if verb == "check" else 0), result.stderr
    assert version(service) == (AFTER if verb == "update" else BEFORE)
    assert (git(other, "status", "--porcelain"), git(other, "log", "--format=%H")) == before


def test_gits_own_reason_is_passed_on(service: Path, tmp_path: Path) -> None:
    """A service that belongs to another user is no missing repository."""
    stub = tmp_path / "bin"
    stub.mkdir()
    real = shutil.which("git")
    (stub / "git").write_text(
        '#!/bin/sh\n[ "$1" != rev-parse ] || export GIT_TEST_ASSUME_DIFFERENT_OWNER=1\n'
        f'exec {real} "$@"\n'
    )
    (stub / "git").chmod(0o755)
    empty = tmp_path / "gitconfig"
    empty.write_text("")
    environment = {
        "PATH": f"{stub}:{os.environ['PATH']}", "GIT_CONFIG_GLOBAL": str(empty),
        "GIT_CONFIG_SYSTEM": str(empty),
    }  # fmt: skip
    result = update(service, **environment)
    assert result.returncode == 1
    assert "detected dubious ownership" in result.stderr
    assert "safe.directory" in result.stderr
    assert "git init" not in result.stderr
    shutil.rmtree(service / ".git")
    result = update(service, GIT_CEILING_DIRECTORIES=str(service.parent))
    assert "this is not a git repository" in result.stderr
    assert "git init" in result.stderr


# Where the template comes from


@pytest.fixture
def unreleased(service: Path, history: History, tmp_path: Path) -> Path:
    """A checkout of the template without a tag, which the service follows."""
    template = tmp_path / "template"
    git(tmp_path, "clone", "--quiet", str(history.repository), str(template))
    git(template, "reset", "--quiet", "--hard", AFTER)
    for tag in git(template, "tag").split():
        git(template, "tag", "--delete", tag)
    first = git(history.repository, "rev-parse", BEFORE).strip()
    substitute(".copier-answers.yml", "_src_path: .*", f"_src_path: {template}")(service)
    substitute(".copier-answers.yml", "_commit: .*", f"_commit: {first}")(service)
    commit_all(service, "Follow a checkout")
    return template


def test_without_a_release_an_update_says_how_to_take_the_newest_commit(
    service: Path, unreleased: Path
) -> None:
    result = update(service)
    assert result.returncode == 1
    assert "has no release" in result.stderr
    assert "make update VERSION=HEAD" in result.stderr
    assert git(service, "status", "--porcelain") == ""
    assert update(service, VERSION="HEAD").returncode == 0


def test_uncommitted_changes_of_the_template_are_refused(service: Path, unreleased: Path) -> None:
    append("template/specs/README.md", "Not committed.\n")(unreleased)
    result = update(service, VERSION="HEAD")
    assert result.returncode == 1
    assert "has uncommitted changes" in result.stderr
    assert git(service, "status", "--porcelain") == ""
    git(unreleased, "stash", "--quiet")
    write("new.txt", "untracked\n")(unreleased)
    assert update(service, VERSION="HEAD").returncode == 1


def test_a_release_of_a_checkout_with_changes_is_taken(service: Path, history: History) -> None:
    """They are in no release, and nothing of them is recorded."""
    write("untracked.txt", "x\n")(history.repository)
    try:
        assert update(service).returncode == 0
        assert version(service) == AFTER
    finally:
        (history.repository / "untracked.txt").unlink()


# DATA


TEXT = "Takes card payments; $(touch pwned) & 'more'"


@pytest.mark.parametrize(
    "data",
    [
        f"description={TEXT}",
        f"description={TEXT} owner=acme/checkout",
        f"owner=acme/checkout description={TEXT}",
        f"owner=acme/checkout\ndescription={TEXT}\n",
    ],
)
def test_an_answer_may_have_spaces(service: Path, data: str) -> None:
    result = subprocess.run(
        ["make", "--no-print-directory", "update", f"DATA={data.replace('$', '$$')}"], cwd=service,
        env={**os.environ, "COPIER": QUICK_COPIER}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert description(service) == TEXT
    answers = (service / ".copier-answers.yml").read_text()
    assert ("owner: acme/checkout" in answers) == ("owner" in data)
    assert not list(service.rglob("pwned"))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("servce_name=x", "servce_name"),
        ("description=a total=b", "total"),
        ("payments", "payments"),
    ],
)
def test_data_that_is_no_answer_is_refused(service: Path, data: str, name: str) -> None:
    result = update(service, DATA=data)
    assert result.returncode == 1
    assert f'update: DATA: "{name}" is no question of this template' in result.stderr
    assert git(service, "status", "--porcelain") == ""


def test_a_refused_answer_shows_its_example_and_no_traceback(service: Path) -> None:
    result = update(service, DATA="owner=Acme!")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "Example: acme/checkout." in result.stderr
    assert "a-z and 0-9, single . _ or - between them" in result.stderr
    assert "the service is as it was" in result.stderr
    assert git(service, "status", "--porcelain") == ""
