"""Services of earlier releases keep working after an update: their checks, their image, the leak.

One language runs each time, all of them with NIGHTLY=1: what differs by language is the source,
and that is what an update does not touch.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lab import Lab
from rendering import NIGHTLY, ROOT, commit_all, copy_template, git
from toolchains import run, tail, toolchain

RELEASES = [
    (f"v{release['version']}", release["commit"], language)
    for release in yaml.safe_load((ROOT / "releases.yml").read_text())["releases"]
    if release["version"] in ("0.1.0", "0.2.0")
    for language in release["languages"]
]
EVERY_TIME = [("v0.1.0", "python"), ("v0.2.0", "python")]
CHOSEN = [
    pytest.param(tag, commit, language, id=f"{tag}-{language}")
    for tag, commit, language in RELEASES
    if NIGHTLY or (tag, language) in EVERY_TIME
]
COPIER = f"{ROOT}/.venv/bin/python -W ignore -m copier"
# An edit in each merged file, at its end or in a place that no release changes.
EDITS = {
    "Makefile": "\n.PHONY: hello\nhello: ## Say hello\n\t@echo hello\n",
    "README.md": "\nOurs.\n",
    ".gitignore": "/ours/\n",
    ".dockerignore": "ours\n",
    "CODEOWNERS": "/docs/ @writers\n",
    ".gitlab-ci.yml": "\nours:\n  extends: .in-ci-image\n  script:\n    - make help\n",
}
PAGE = (ROOT / "docs/upgrading-to-0.3.md").read_text(encoding="utf-8")
TITLES = {
    "go": "Go",
    "rust": "Rust",
    "java": "Java",
    "node": "Node",
    "python": "Python, scaffolded",
}


def leak_patch(tag: str, language: str) -> str:
    title = TITLES[language] + (f" with {tag[1:]}" if language == "python" else "")
    found = re.search(rf"^### {re.escape(title)}\n\n```diff\n(.*?)^```", PAGE, re.M | re.S)
    assert found, title
    return found[1]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The releases, and the working tree as the next one."""
    repository = tmp_path_factory.mktemp("template") / "template"
    repository.mkdir()
    git(repository, "init", "--quiet")
    for tag, commit in sorted({(tag, commit) for tag, commit, _ in RELEASES}):
        git(repository, "fetch", "--quiet", "--no-tags", str(ROOT), commit)
        git(repository, "tag", tag, commit)
        git(repository, "update-ref", "refs/heads/main", commit)
    copy_template(repository)
    shutil.copy2(ROOT / "CHANGELOG.md", repository)
    commit_all(repository, "The next release")
    git(repository, "tag", "v1000.0.0")
    return repository


def edited(service: Path) -> list[str]:
    """The merged files of the service; one without a pipeline has one less."""
    return [path for path in EDITS if (service / path).exists()]


def scaffold(template: Path, tag: str, language: str, destination: Path) -> Path:
    subprocess.run(
        [*COPIER.split(), "copy", "--quiet", "--defaults", "--vcs-ref", tag,
         "--data", f"language={language}", template, destination],
        check=True,
    )  # fmt: skip
    for path in edited(destination):
        text = (destination / path).read_text(encoding="utf-8")
        # 0.2.0 has lines more at the end of Node's.
        text = EDITS[path] + text if path == ".gitignore" else text + EDITS[path]
        (destination / path).write_text(text, encoding="utf-8")
    commit_all(destination, "Scaffold")
    return destination


@pytest.mark.parametrize(("tag", "commit", "language"), CHOSEN)
def test_an_older_service_after_its_update(
    tag: str, commit: str, language: str, template: Path, lab: Lab, tmp_path: Path
) -> None:
    service = scaffold(template, tag, language, tmp_path / "payments")
    environment = {**toolchain(language), "COPIER": COPIER}
    done = run("sh", "ci/update.sh", cwd=service, env=environment)
    assert done.returncode == 0, tail(done)
    for path in edited(service):
        assert EDITS[path].strip() in (service / path).read_text(encoding="utf-8"), path
    commit_all(service, "Update")
    done = run("make", "lint", "test", "build", cwd=service, env=environment)
    assert done.returncode == 0, tail(done)
    done = run("python3", "-B", "ci/conformance", "repo", cwd=service, env=environment)
    assert done.returncode == 0, tail(done)
    shutil.rmtree(service / "target", ignore_errors=True)
    image = lab.build(service, "release", {"DEBUG_FROM": "release"})
    secret = "hunter2-was-here"
    with lab.run(image, ready="/readyz") as container:
        container.signal("TERM")
        assert container.wait() == 0
    # The leak is there until the team ends it with the lines of the page.
    before = lab.call(image, [], {"PORT": secret})
    assert before.exit_code == 2
    assert secret in before.stderr
    done = subprocess.run(
        ["git", "apply", "--verbose", "-"], cwd=service, input=leak_patch(tag, language),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    after = lab.call(lab.build(service, "release", {"DEBUG_FROM": "release"}), [], {"PORT": secret})
    assert after.exit_code == 2
    assert secret not in after.stdout + after.stderr
    assert "PORT" in after.stderr


@pytest.mark.parametrize(("tag", "commit", "language"), RELEASES)
def test_the_page_fits_every_release(
    tag: str, commit: str, language: str, template: Path, tmp_path: Path
) -> None:
    service = scaffold(template, tag, language, tmp_path / "payments")
    done = subprocess.run(
        ["git", "apply", "--check", "-"], cwd=service, input=leak_patch(tag, language),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
