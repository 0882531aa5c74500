"""A template with a past: the recorded releases, and two more that the tests make.

`BEFORE` is the working tree. `AFTER` changes it in every way that a release does. The
recorded releases come from releases.yml, by commit, because a clone may have no tags.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pathspec
import pytest
import yaml
from copier import run_copy

from rendering import COMBINATIONS, ROOT, commit_all, copy_template, git, rendered_files

BEFORE = "v1000.0.0"
AFTER = "v1000.1.0"
COPIER = f"{sys.executable} -W ignore -m copier"
QUICK_COPIER = f"{sys.executable} -W ignore {ROOT / 'tests/quick_copier.py'}"
LANGUAGES = sorted({combination["language"] for combination in COMBINATIONS.values()})
CI = list(
    yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))["ci"]["choices"].values()
)
OWNERSHIP: dict[str, Any] = yaml.safe_load((ROOT / "ownership.yml").read_text(encoding="utf-8"))
RELEASES: list[dict[str, Any]] = yaml.safe_load((ROOT / "releases.yml").read_text())["releases"]

Edit = Callable[[Path], None]


def append(path: str, text: str) -> Edit:
    def edit(root: Path) -> None:
        with (root / path).open("a", encoding="utf-8") as file:
            file.write(text)

    return edit


def substitute(path: str, pattern: str, replacement: str) -> Edit:
    def edit(root: Path) -> None:
        text = (root / path).read_text(encoding="utf-8")
        changed, count = re.subn(pattern, replacement, text)
        assert count, f"{path} has no {pattern}"
        (root / path).write_text(changed, encoding="utf-8")

    return edit


def write(path: str, text: str) -> Edit:
    def edit(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")

    return edit


def remove(path: str) -> Edit:
    return lambda root: (root / path).unlink()


@cache
def seeded(language: str) -> pathspec.GitIgnoreSpec:
    owned = OWNERSHIP["seeded"]
    return pathspec.GitIgnoreSpec.from_lines(
        [*owned["all"], *owned["pipeline"], *owned.get(language, [])]
    )


def is_seeded(path: Path, language: str) -> bool:
    """What the platform owns among the seeded paths is not."""
    name = path.as_posix()
    return bool(seeded(language).match_file(name)) and not PLATFORM.match_file(name)


PLATFORM = pathspec.GitIgnoreSpec.from_lines(
    pattern for patterns in OWNERSHIP["platform"].values() for pattern in patterns
)
CHANGELOG = """\
# Changelog

## [Unreleased]

- Not released.

## [1000.1.0] - 2026-02-01

### Changed

- A note of the second release.

## [1000.0.0] - 2026-01-01

- A note of the first release.
"""
ADDED_RECORD = "specs/ADRs/ADR-901-a-later-decision.md"
SUPERSEDED_RECORD = "specs/ADRs/ADR-002-hermetic-ci-build-images.md"
GUIDELINE = "specs/guidelines/containerization.md"
REMOVED_PLATFORM = "specs/guidelines/incident-debugging.md"


def second_release() -> list[Edit]:
    """A change of every kind: records, rules, files added and removed, lines that teams edit."""
    edits = [
        write("CHANGELOG.md", CHANGELOG),
        write(f"template/{ADDED_RECORD}", "# ADR-901: A later decision\n"),
        substitute(f"template/{SUPERSEDED_RECORD}", r"\| Status \| Accepted \|",
                   "| Status | Superseded |"),
        append(f"template/{GUIDELINE}", "\n### BLD-99: A later rule\n"),
        remove(f"template/{REMOVED_PLATFORM}"),
        write("template/.hadolint.yaml", "ignored: []\n"),
        write("template/specs/guidelines/later.md", "# Later\n"),
        append("template/CODEOWNERS.jinja", "/image/ @{{ owner }}\n"),
        append("template/ci/update.sh", "# A script that is replaced while it runs.\n" * 200),
        substitute("partials/image.mk", "## Build the release image", "## Build the image"),
        append("template/{{ gitlab }}/ci/gitlab/pipeline.yml", "\n# A later job.\n"),
        substitute("template/{{ gitlab }}/.gitlab-ci.yml.jinja", "  IMAGE_REPOSITORY",
                   '  GIT_DEPTH: "50"\n  IMAGE_REPOSITORY'),
        append("copier.yml",
               "\ntier:\n  type: str\n  help: Which tier is it in?\n  default: standard\n"),
        append("template/README.md.jinja", "\nTier: {{ tier }}.\n"),
    ]  # fmt: skip
    for language in LANGUAGES:
        tree = f"template/{{{{ {language} }}}}"
        edits += [
            substitute(f"{tree}/image/Dockerfile.jinja", r"--interval=\d+s", "--interval=17s"),
            remove(f"{tree}/.editorconfig"),
        ]
    return edits


def change_seeded(template: Path) -> None:
    for language in LANGUAGES:
        tree = template / f"template/{{{{ {language} }}}}"
        for path in rendered_files(tree):
            if is_seeded(path, language) and path.suffix in {".jinja", ".go", ".rs", ".py", ".ts"}:
                append(path.as_posix(), "\n# changed in the template\n")(tree)
        first = OWNERSHIP["seeded"][language][0].strip("/")
        write(f"{first}/added-in-the-template", "new\n")(tree)


def lock(template: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts/lock.py", "--root", template], check=True)


@dataclass
class History:
    """The template's repository, and services copied from its releases."""

    repository: Path
    scratch: Path
    copies: dict[str, Path] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, scratch: Path) -> History:
        repository = scratch / "template"
        repository.mkdir()
        git(repository, "init", "--quiet")
        history = cls(repository, scratch)
        for release in RELEASES:
            tag = f"v{release['version']}"
            try:
                git(repository, "fetch", "--quiet", "--no-tags", str(ROOT), release["commit"])
            except subprocess.CalledProcessError:
                history.missing.append(tag)
                continue
            git(repository, "tag", tag, release["commit"])
            git(repository, "update-ref", "refs/heads/main", release["commit"])
        copy_template(repository)
        shutil.copy2(ROOT / "ownership.yml", repository)
        shutil.copy2(ROOT / "CHANGELOG.md", repository)
        history.release(BEFORE)
        history.release(AFTER, *second_release(), change_seeded, lock)
        # As a server has it: Copier clones it four times an update.
        git(repository, "repack", "-a", "-d", "--quiet", "--write-bitmap-index")
        return history

    def release(self, tag: str, *edits: Edit) -> None:
        for edit in edits:
            edit(self.repository)
        commit_all(self.repository, tag)
        git(self.repository, "tag", tag)

    def need(self, tag: str) -> None:
        """Skip where the release's commit cannot be had; a full clone has every one."""
        if tag in self.missing:
            if git(ROOT, "rev-parse", "--is-shallow-repository").strip() == "true":
                pytest.skip(f"this clone is shallow and has no commit of {tag}")
            pytest.fail(f"releases.yml names a commit for {tag} that this repository has not")

    def fresh(self, tag: str, **answers: Any) -> Path:
        """A service copied from a release; the same one for the same answers: read only."""
        key = f"{tag} {sorted(answers.items())}"
        if key not in self.copies:
            service = self.scratch / f"copy-{len(self.copies)}" / "service"
            run_copy(
                str(self.repository), service, data=answers, defaults=True, quiet=True, vcs_ref=tag
            )
            commit_all(service, "Scaffold")
            self.copies[key] = service
        return self.copies[key]

    def service(self, destination: Path, tag: str, *edits: Edit, **answers: str) -> Path:
        """A service copied from a release and edited by its team."""
        shutil.copytree(self.fresh(tag, **answers), destination, symlinks=True)
        for edit in edits:
            edit(destination)
        if edits:
            commit_all(destination, "Edit")
        return destination


def update(service: Path, verb: str = "update", **env: str) -> subprocess.CompletedProcess[str]:
    """Run the service's own script, as `make update` does; make would hide its exit code."""
    return subprocess.run(
        ["ci/update.sh", verb], cwd=service, env={**os.environ, "COPIER": QUICK_COPIER, **env},
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip


def content(path: Path) -> bytes | str:
    return os.readlink(path) if path.is_symlink() else path.read_bytes()


def differences(service: Path, other: Path, language: str) -> set[str]:
    """The paths, other than seeded ones, in which two services differ."""
    paths = {
        path
        for path in [*rendered_files(service), *rendered_files(other)]
        if path.parts[0] != ".git" and not is_seeded(path, language)
    }

    def state(root: Path, path: Path) -> object:
        file = root / path
        if not os.path.lexists(file):
            return None
        return content(file), os.access(file, os.X_OK)

    return {str(path) for path in paths if state(service, path) != state(other, path)}


def seeded_files(service: Path, *languages: str) -> dict[str, bytes | str]:
    return {
        str(path): content(service / path)
        for path in rendered_files(service)
        if any(is_seeded(path, language) for language in languages)
    }


def edited_platform_files(service: Path) -> set[str]:
    """What the locks of the service itself say is not the platform's."""
    wrong = set()
    for lock in service.rglob("platform.lock"):
        for line in lock.read_text().splitlines():
            checksum, path = line.split("  ", 1)
            file = service / path
            if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != checksum:
                wrong.add(path)
    return wrong
