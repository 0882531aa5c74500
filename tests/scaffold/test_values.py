"""A version comes from git, and is valid where it is used: no character of it is code."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rendering import Render, commit_all, git

# What git takes for a tag, and what an image's tag is made of it.
TAGS = {
    "v1.4.2": "v1.4.2",
    "release/2026.11": "release-2026.11",
    "payments@1.4.2": "payments-1.4.2",
    "v1.4.2+b": "v1.4.2-b",
    "v1;touch${IFS}pwned": "v1-touch--IFS-pwned",
    "v1$(touch${IFS}pwned)": "v1--touch--IFS-pwned-",
    "v1'$(touch${IFS}pwned)'": "v1---touch--IFS-pwned--",
    "v1`touch${IFS}pwned`": "v1-touch--IFS-pwned-",
    'v1"&&touch${IFS}pwned;"': "v1---touch--IFS-pwned--",
    "größe-1": "gr----e-1",
    "+1": "v-1",
    "v1" + "0" * 200: "v1" + "0" * 118,
}
# The tools that a build calls, each of which notes its words and does nothing.
BUILDERS = ("cargo", "docker", "go", "java", "node", "npm", "uv")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in BUILDERS:
        path = directory / name
        path.write_text(f'#!/bin/sh\n[ "$1" = info ] || printf "%s\\n" "$@" >>{tmp_path}/words\n')
        path.chmod(0o755)
    return directory


def make(service: Path, tools: Path, *verbs: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tools), "ENGINE": "docker"}
    return subprocess.run(
        ["make", "--no-print-directory", *verbs], cwd=service, env=environment,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_in_git_becomes_a_tag_of_an_image(
    tag: str, scaffold: Render, tools: Path, tmp_path: Path
) -> None:
    service = scaffold()
    commit_all(service, "Scaffold")
    git(service, "tag", tag)
    for verb in ("image", "debug-image", "run", "shell"):
        (tmp_path / "words").unlink(missing_ok=True)
        done = make(service, tools, verb)
        assert done.returncode == 0, done.stderr
        words = (tmp_path / "words").read_text().splitlines()
        suffix = "-debug" if verb in ("debug-image", "shell") else ""
        name = f"registry.example.com/platform/payments:{TAGS[tag]}{suffix}"
        assert name in words, words
        assert f"VERSION={tag}" in words  # the label says what git says
        said = f"{tag} cannot be the tag of an image: it becomes {TAGS[tag]}\n"
        assert (said in done.stderr) == (tag != TAGS[tag])
    make(service, tools, "verify", "build")
    assert list(service.rglob("pwned")) == []


@pytest.mark.parametrize("language", ["go", "rust", "java", "python", "node"])
def test_a_tag_in_git_is_never_run_by_a_build(
    language: str, scaffold: Render, tools: Path, tmp_path: Path
) -> None:
    service = scaffold(language=language)
    commit_all(service, "Scaffold")
    if language == "java":
        shutil.copy(tools / "java", service / "mvnw")
    for tag in [tag for tag in TAGS if "pwned" in tag]:
        git(service, "tag", tag)
        make(service, tools, "build")
        assert list(service.rglob("pwned")) == [], tag
        git(service, "tag", "--delete", tag)
    assert (tmp_path / "words").exists()


def test_a_version_of_a_persons_own_is_quoted(scaffold: Render, tools: Path) -> None:
    service = scaffold()
    done = make(service, tools, "image", "VERSION=x;touch pwned", "REVISION=$(touch pwned)")
    assert done.returncode == 0, done.stderr
    assert not (service / "pwned").exists()


def test_the_date_of_the_commit_is_one_word(scaffold: Render, tools: Path, tmp_path: Path) -> None:
    """log.showSignature puts lines of gpg before what `git show` prints."""
    service = scaffold()
    commit_all(service, "Scaffold")
    for name in ("log.showSignature", "color.ui"):
        git(service, "config", name, "true" if name.startswith("log") else "always")
    done = make(service, tools, "image")
    assert done.returncode == 0, done.stderr
    words = (tmp_path / "words").read_text().splitlines()
    [created] = [word for word in words if word.startswith("CREATED=")]
    date = git(service, "cat-file", "commit", "HEAD")
    assert created.startswith("CREATED=20")
    assert len(created) == len("CREATED=2026-03-20T09:30:00+00:00")
    assert date


# Run bits


SCRIPTS = ("ci/engine.sh", "ci/update.sh", "ci/pipeline/local.sh", "ci/gitlab/local.sh", "mvnw")


@pytest.mark.parametrize("language", ["go", "rust", "java", "python", "node"])
def test_no_verb_needs_a_run_bit(language: str, scaffold: Render, tools: Path) -> None:
    """Renovate with commits by an API, and Windows, leave every script as 100644."""
    service = scaffold(language=language)
    for path in service.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o644)
    commit_all(service, "Scaffold")
    copier = tools / "copier"
    copier.write_text("#!/bin/sh\nexit 1\n")
    copier.chmod(0o755)
    verbs = sorted(set(make(service, tools, "help").stdout.split("\n")))
    for verb in [line.split()[0] for line in verbs if line]:
        done = make(service, tools, verb)
        assert "ermission denied" not in done.stderr, (verb, done.stderr)
        assert "126" not in done.stderr, (verb, done.stderr)
