"""The locks of platform files are current, and notice an edit."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pathspec
import pytest
import yaml

from rendering import ROOT, Render, copy_template, git, rendered_files

LOCKS = (
    "ci/platform.lock", "ci/house/platform.lock",
    "ci/pipeline/platform.lock", "ci/gitlab/platform.lock",
)  # fmt: skip
LANGUAGES = ("go", "rust", "java", "python", "node")
LOCK = [sys.executable, str(ROOT / "scripts/lock.py")]


def test_lock_is_current() -> None:
    result = subprocess.run([*LOCK, "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "path",
    [
        "template/ci/engine.sh",
        "template/ci/house/house.toml",
        "template/{{ gitlab }}/ci/gitlab/pipeline.yml",
        "template/{{ github }}/.github/workflows/pipeline.yml",
        "template/{{ pipeline }}/ci/pipeline/build.sh",
    ],
)
def test_an_edit_makes_it_stale(path: str, tmp_path: Path) -> None:
    template = copy_template(tmp_path / "template")
    shutil.copy2(ROOT / "ownership.yml", template)
    git(template, "init", "--quiet")
    check = [*LOCK, "--check", "--root", str(template)]
    subprocess.run([*LOCK, "--root", str(template)], check=True)
    assert subprocess.run(check).returncode == 0
    with (template / path).open("a") as file:
        file.write("# edited\n")
    assert subprocess.run(check, capture_output=True).returncode == 1
    assert subprocess.run([*LOCK, "--root", str(template)]).returncode == 0
    assert subprocess.run(check).returncode == 0
    # What a linter leaves behind is no platform file.
    litter = template / "template/ci/conformance/.ruff_cache"
    litter.mkdir()
    (litter / ".gitignore").write_text("*\n")
    assert subprocess.run(check).returncode == 0


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
@pytest.mark.parametrize("lock", LOCKS)
def test_sha256sum_reads_it(lock: str, render: Render) -> None:
    result = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", lock],
        cwd=render(), capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lock_of_a_language_is_in_its_folder(language: str, tmp_path: Path) -> None:
    """A language whose folder is not there has no lock."""
    template = copy_template(tmp_path / "template")
    shutil.copy2(ROOT / "ownership.yml", template)
    git(template, "init", "--quiet")
    ownership = yaml.safe_load((ROOT / "ownership.yml").read_text(encoding="utf-8"))
    [folder] = ownership["platform"][language]
    place = template / "template" / f"{{{{ {language} }}}}" / folder.strip("/")
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([*LOCK, "--root", str(template)], check=True)
    assert not place.exists()
    place.mkdir(parents=True)
    (place / "drain").write_text("text\n")
    assert subprocess.run([*LOCK, "--check", "--root", str(template)]).returncode == 1
    subprocess.run([*LOCK, "--root", str(template)], check=True)
    [line] = (place / "platform.lock").read_text(encoding="utf-8").splitlines()
    assert line.split("  ") == [hashlib.sha256(b"text\n").hexdigest(), f"{folder[1:]}drain"]


@pytest.mark.parametrize("ci", ["gitlab", "github"])
def test_every_platform_file_is_in_one_lock(ci: str, render: Render) -> None:
    service = render(ci=ci)
    locks = {path.as_posix() for path in rendered_files(service) if path.name == "platform.lock"}
    assert locks >= {lock.replace("gitlab", ci) for lock in LOCKS}
    named = [
        line.split("  ", 1)[1]
        for lock in locks
        for line in (service / lock).read_text(encoding="utf-8").splitlines()
    ]
    ownership = yaml.safe_load((ROOT / "ownership.yml").read_text(encoding="utf-8"))
    spec = pathspec.GitIgnoreSpec.from_lines(
        [pattern for patterns in ownership["platform"].values() for pattern in patterns]
    )
    owned = {path.as_posix() for path in rendered_files(service) if spec.match_file(path)}
    assert sorted(named) == sorted(owned - locks)


def test_a_service_without_a_pipeline_has_no_lock_of_one(render: Render) -> None:
    service = render(ci="none")
    assert [lock for lock in LOCKS if (service / lock).exists()] == list(LOCKS[:2])
    assert "ci/gitlab" not in (service / "ci/platform.lock").read_text(encoding="utf-8")
