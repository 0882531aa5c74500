"""`make new` as a new user types it, and the verbs of the service that it gives."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from rendering import COMBINATIONS, ROOT, Render, commit_all, git
from toolchains import run, tail

VERBS = {
    "help", "fetch", "lint", "test", "build", "run", "image", "debug-image", "shell", "verify",
    "update", "update-check", "restore", "openapi", "clean",
}  # fmt: skip
PIPELINE_VERBS = {"gitlab": {"ci"}, "none": set()}
DEFAULT_CI = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))["ci"]["default"]


def verbs(name: str) -> set[str]:
    answers = COMBINATIONS[name]
    return VERBS | PIPELINE_VERBS[answers.get("ci", DEFAULT_CI)]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_help_lists_the_verbs(name: str, render: Render) -> None:
    result = run("make", "--no-print-directory", cwd=render(**COMBINATIONS[name]))
    assert result.returncode == 0, tail(result)
    assert {line.split()[0] for line in result.stdout.splitlines()} == verbs(name)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_readme_lists_the_verbs(name: str, render: Render) -> None:
    readme = (render(**COMBINATIONS[name]) / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `make ([a-z-]+)` \|", readme, re.MULTILINE)) == verbs(name)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone of this repository as a user has it, with the working tree's changes committed."""
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, tmp_path / "checkout" / name
        if not source.is_symlink() and not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    commit_all(tmp_path / "checkout", "Checkout")
    return tmp_path / "checkout"


def new(checkout: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What `make new` runs, with the environment that runs the tests."""
    return run(
        checkout / "scripts/new.sh", ROOT / ".venv/bin/copier", *options, cwd=checkout
    )  # fmt: skip


def test_new_prints_the_next_commands(checkout: Path, tmp_path: Path) -> None:
    result = new(checkout, "../payments", "--defaults")
    assert result.returncode == 0, tail(result)
    commands = [line.strip() for line in result.stderr.splitlines() if line.startswith("  ")]
    assert commands == [
        "cd ../payments",
        "git init --initial-branch=main && git add --all && "
        'git commit --message "Scaffold payments"',
        "make test image run",
    ]
    answers = yaml.safe_load((tmp_path / "payments/.copier-answers.yml").read_text())
    assert answers["_src_path"] == str(checkout)
    assert f"updates will come from {checkout}" in result.stderr
    assert run("sh", "-c", commands[1], cwd=tmp_path / "payments").returncode == 0


def test_new_records_the_remote_that_has_the_commit(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(checkout), "origin.git")
    remote = f"file://{tmp_path}/origin.git"
    git(checkout, "remote", "add", "origin", remote)
    git(checkout, "fetch", "--quiet", "origin")
    result = new(checkout, "../payments", "--defaults")
    assert result.returncode == 0, tail(result)
    answers = yaml.safe_load((tmp_path / "payments/.copier-answers.yml").read_text())
    assert answers["_src_path"] == remote

    commit_all(checkout, "Not pushed")
    result = new(checkout, "../orders", "--defaults")
    assert result.returncode == 0, tail(result)
    answers = yaml.safe_load((tmp_path / "orders/.copier-answers.yml").read_text())
    assert answers["_src_path"] == str(checkout)


def test_new_leaves_the_credentials_of_a_remote_out(checkout: Path, tmp_path: Path) -> None:
    """They are of the person who cloned, and the next commit would publish them."""
    git(checkout, "remote", "add", "origin", "https://robot:s3cret@127.0.0.1:9/template.git")
    git(checkout, "update-ref", "refs/remotes/origin/main", "HEAD")
    result = new(checkout, "../payments", "--defaults")
    assert result.returncode == 0, tail(result)
    assert "s3cret" not in result.stdout + result.stderr
    answers = yaml.safe_load((tmp_path / "payments/.copier-answers.yml").read_text())
    # Nobody can read it without them here, so the checkout has to do.
    assert answers["_src_path"] == str(checkout)
    assert "https://127.0.0.1:9/template.git cannot be read" in result.stderr


def test_new_takes_the_newest_release(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "tag", "v0.9.0")
    git(checkout, "tag", "v0.10.0")
    commit_all(checkout, "After the release")
    result = new(checkout, "../payments", "--defaults")
    assert result.returncode == 0, tail(result)
    answers = yaml.safe_load((tmp_path / "payments/.copier-answers.yml").read_text())
    assert answers["_commit"] == "v0.10.0"


def test_new_refuses_a_directory_that_has_something(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "payments").mkdir()
    (tmp_path / "payments/precious").touch()
    result = new(checkout, "../payments", "--defaults")
    assert result.returncode == 2
    assert "not an empty directory" in result.stderr
    assert [path.name for path in (tmp_path / "payments").iterdir()] == ["precious"]


def test_new_wants_a_destination() -> None:
    result = run("make", "--no-print-directory", "new", cwd=ROOT)
    assert result.returncode == 2
    assert "make new DEST=" in result.stderr


def left_out(checkout: Path) -> set[str]:
    """The files of tests that `make test` does not run."""
    result = run("make", "--dry-run", "test", cwd=checkout)
    assert result.returncode == 0, tail(result)
    given = {word for word in result.stdout.split() if word.startswith("tests/")}
    files = (path.relative_to(checkout) for path in checkout.glob("tests/*/test_*.py"))
    return {
        str(path) for path in files if given.isdisjoint(map(str, (path, *path.parents)))
    }  # fmt: skip


def test_every_test_is_in_a_tier(checkout: Path) -> None:
    assert left_out(checkout) == set()
    for path in ("tests/pipeline/test_later.py", "tests/later/test_later.py"):
        (checkout / path).parent.mkdir(exist_ok=True)
        (checkout / path).touch()
    assert left_out(checkout) == {"tests/later/test_later.py"}
