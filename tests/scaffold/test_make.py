"""`make new` as a new user types it, and the verbs of the service that it gives."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rendering import COMBINATIONS, ROOT, Render, commit_all, git
from toolchains import run, tail

VERBS = {
    "help", "fetch", "lint", "test", "build", "run", "image", "debug-image", "debug-pod", "shell",
    "verify",
    "update", "update-check", "restore", "openapi", "clean",
}  # fmt: skip
PIPELINE_VERBS: dict[str, set[str]] = {
    "gitlab": {"ci", "provenance"}, "github": {"provenance"}, "none": set(),
}  # fmt: skip
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


def new(checkout: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """What `make new` runs, with the environment that runs the tests."""
    return run(
        "sh", checkout / "scripts/new.sh", ROOT / ".venv/bin/copier", *options, cwd=checkout,
        env={**os.environ, **env},
    )  # fmt: skip


def make_new(checkout: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`make new` itself, where nothing is to be set up."""
    (checkout / ".venv/bin").mkdir(parents=True, exist_ok=True)
    for name in ("uv", "copier"):
        place = checkout / ".venv/bin" / name
        if not place.exists():
            place.symlink_to(ROOT / ".venv/bin" / name)
    (checkout / ".venv/.copier").touch()
    words = ("--no-print-directory", "new", "DEFAULTS=1", *words)
    return run("make", *words, cwd=checkout, env={**os.environ, **env})


def answers_of(service: Path) -> dict[str, Any]:
    answers: dict[str, Any] = yaml.safe_load((service / ".copier-answers.yml").read_text())
    return answers


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


def test_the_address_of_the_house_is_where_updates_come_from(checkout: Path) -> None:
    """Once the commit is published; before, nobody could read it there."""
    address = "https://git.acme.example/platform/copier-service.git"
    data = checkout / "partials/house.json"
    data.write_text(data.read_text().replace('"template": ""', f'"template": "{address}"'))
    commit_all(checkout, "Name the address")
    source = run("sh", checkout / "scripts/source.sh", "new", cwd=checkout)
    assert source.stdout.splitlines()[1] == str(checkout)
    git(checkout, "update-ref", "refs/remotes/origin/main", "HEAD")
    source = run("sh", checkout / "scripts/source.sh", "new", cwd=checkout)
    assert source.stdout.splitlines()[1] == address


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


DESCRIPTION = "Takes card payments; $(touch pwned) & 'more'"


@pytest.mark.parametrize(
    "data",
    [
        f"description={DESCRIPTION} owner=acme/checkout language=rust",
        f"owner=acme/checkout\nlanguage=rust\ndescription={DESCRIPTION}",
        f"\nowner=acme/checkout\n\nlanguage=rust\ndescription={DESCRIPTION}\n",
    ],
)
def test_an_answer_may_have_spaces(checkout: Path, tmp_path: Path, data: str) -> None:
    # make takes a $ for a variable of its own, so that it is doubled.
    result = make_new(checkout, "DEST=../payments", f"DATA={data.replace('$', '$$')}")
    assert result.returncode == 0, tail(result)
    answers = answers_of(tmp_path / "payments")
    assert answers["description"] == DESCRIPTION
    assert (answers["owner"], answers["language"]) == ("acme/checkout", "rust")
    assert not list(tmp_path.rglob("pwned"))


def test_a_text_with_an_equals_sign_stands_on_a_line(checkout: Path, tmp_path: Path) -> None:
    text = "Adds up, as in total=sum of parts"
    result = make_new(checkout, "DEST=../payments", f"DATA=description={text}")
    assert result.returncode != 0
    assert 'new: DATA: "total" is no question' in result.stderr
    assert not (tmp_path / "payments").exists()
    result = make_new(checkout, "DEST=../payments", f"DATA=owner=acme\ndescription={text}")
    assert result.returncode == 0, tail(result)
    assert answers_of(tmp_path / "payments")["description"] == text


@pytest.mark.parametrize("data", ["servce_name=orders", "orders", "service_name", "a b=c"])
def test_data_that_is_no_answer_is_refused(checkout: Path, tmp_path: Path, data: str) -> None:
    """Copier itself passes over a misspelt name without a word."""
    result = make_new(checkout, "DEST=../payments", f"DATA={data}")
    assert result.returncode != 0
    assert "is no question; want DATA=" in result.stderr
    assert not (tmp_path / "payments").exists()


def test_a_refused_answer_shows_its_example_and_no_traceback(checkout: Path) -> None:
    result = make_new(checkout, "DEST=../payments", "DATA=service_name=Payments!")
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert "Example: order-book." in result.stderr
    assert "RFC 1123 label of 2 to 40 characters" in result.stderr


def test_new_says_which_commit_it_took(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "--short", "HEAD").strip()
    result = new(checkout, "../one", "--defaults")
    assert f"new: taking the commit {head}, since this checkout has no release" in result.stderr
    git(checkout, "tag", "v0.9.0")
    result = new(checkout, "../two", "--defaults")
    assert f"new: taking the release v0.9.0 ({head})" in result.stderr


def test_a_persons_settings_of_git_do_not_steer_new(checkout: Path, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "pre-commit", "post-commit", "reference-transaction"):
        (hooks / name).write_text("#!/bin/sh\necho a hook >&2\nexit 1\n")
        (hooks / name).chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[core]\n\thooksPath = {hooks}\n[column]\n\tui = always\n[color]\n\tui = always\n"
        "[log]\n\tshowSignature = true\n[tag]\n\tgpgSign = true\n[commit]\n\tgpgSign = true\n"
    )
    other = tmp_path / "other"
    other.mkdir()
    commit_all(other, "Other")
    git(checkout, "tag", "v0.9.0")
    result = new(
        checkout, "../payments", "--defaults", GIT_CONFIG_GLOBAL=str(config),
        GIT_DIR=str(other / ".git"), GIT_WORK_TREE=str(other),
    )  # fmt: skip
    assert result.returncode == 0, tail(result)
    assert answers_of(tmp_path / "payments")["_commit"] == "v0.9.0"
    assert "a hook" not in result.stderr


def test_help_needs_no_tool_of_gnu(checkout: Path, tmp_path: Path) -> None:
    """macOS has no expand with long options, and a grep of its own."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "awk", "make", "getconf", "expr"):
        (tools / name).symlink_to(str(shutil.which(name)))
    result = run("make", "help", cwd=checkout, env={"PATH": str(tools)})
    assert result.returncode == 0, tail(result)
    assert re.search(r"^new +Scaffold a service: make new DEST", result.stdout, re.MULTILINE)
    assert re.search(r"^lint +Lint this repository$", result.stdout, re.MULTILINE)


# A service that exists


def commands_of(page: str, heading: str) -> list[str]:
    """The commands of the first block below a heading, without their comments."""
    text = (ROOT / page).read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    block = text.partition("```sh\n")[2].partition("```")[0]
    return [line.partition("  #")[0].rstrip() for line in block.splitlines()]


def test_the_page_on_existing_services_destroys_nothing(checkout: Path, tmp_path: Path) -> None:
    service = tmp_path / "payments"
    service.mkdir()
    own = {
        "go.mod": "module example.com/payments\n",
        "main.go": "package main\n",
        "README.md": "of the team\n",
        "Dockerfile": "FROM scratch\n",
    }
    for path, text in own.items():
        (service / path).write_text(text)
    before = commit_all(service, "Years of work")
    make, _, *rest = commands_of("docs/service-team.md", "## A service that exists already")
    assert make == "make adopt DEST=../payments"
    python = ROOT / ".venv/bin/python"
    adopt = run(python, "scripts/adopt.py", "../payments", "--defaults", cwd=checkout)
    assert adopt.returncode == 0, tail(adopt)
    environment = {**os.environ, "COPIER": str(ROOT / ".venv/bin/copier"), "VERSION": "HEAD"}
    result = run("sh", "-euc", "\n".join(rest), cwd=service, env=environment)
    assert result.returncode == 0, tail(result)
    assert {path: (service / path).read_text() for path in own} == own
    assert (service / "README.md.template").exists()
    assert (service / ".copier-answers.yml").exists()
    assert git(service, "log", "--format=%s").splitlines() == [
        "Adopt the service template", "Years of work",
    ]  # fmt: skip
    assert git(service, "rev-parse", "main").strip() == before


def test_new_wants_a_destination() -> None:
    result = run("make", "--no-print-directory", "new", cwd=ROOT)
    assert result.returncode == 2
    assert "make new DEST=" in result.stderr


def left_out(checkout: Path) -> set[str]:
    """The files of tests that neither `make test` runs nor `make test-nightly`."""
    result = run("make", "--dry-run", "test", "test-nightly", cwd=checkout)
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
