"""What a house has of its own is in order; without house/ there is little to say.

These run in the house's checkout, as the house has made it. A house's checks have their
planted faults in house/faults.py: FAULTS maps an id to functions that break a service.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from copier import run_copy, run_update

from rendering import COMBINATIONS, ROOT, Render, commit_all, git

sys.path.insert(0, str(ROOT / "scripts"))
import house_own
import releases

import house

IS_HOUSE = (ROOT / house.HOUSE).exists()
VALUES: dict[str, Any] = house_own.values(house.load(ROOT / house.HOUSE, "")) if IS_HOUSE else {}
SERVICES = {
    f"{base['language']}-{base['name']}": {
        "language": base["language"], "runtime_base": base["name"],
    }
    for base in (house.table(ROOT)["bases"] if IS_HOUSE else [])
    if base["offered"] and base["language"] in VALUES["languages"]
}  # fmt: skip


def conformance(service: Path, *arguments: str) -> Any:
    result = subprocess.run(
        [sys.executable, "-B", "ci/conformance", *arguments, "--format", "json"],
        cwd=service, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode in (0, 1), result.stderr
    return json.loads(result.stdout)


def house_checks() -> list[str]:
    command = [
        sys.executable,
        "-B",
        str(ROOT / "template/ci/conformance"),
        "list",
        "--format",
        "json",
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    listed = [row["id"] for row in json.loads(result.stdout)]
    return [check for check in listed if len(check.rpartition("-")[0]) > 3]


CHECKS = house_checks() if IS_HOUSE else []


def faults() -> dict[str, list[Callable[[Path], object]]]:
    path = ROOT / "house/faults.py"
    if not path.exists():
        return {}
    spec = importlib.util.spec_from_file_location("faults", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.FAULTS)


def test_what_services_get_of_it_is_current() -> None:
    command = [sys.executable, str(ROOT / "scripts/house.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_no_tag_is_of_another_template() -> None:
    """`make update` takes the highest tag of a release, whoever made it."""
    stray = releases.stray_tags(ROOT)
    assert not stray, f"delete these, and fetch with --no-tags: git tag --delete {' '.join(stray)}"


@pytest.mark.skipif(not IS_HOUSE, reason="there is no house")
def test_a_change_has_a_note_of_the_house() -> None:
    made = releases.read_releases(ROOT)
    if made:
        since = git(
            ROOT, "diff", "--stat", made[-1].commit, "--", "copier.yml", "partials", "template"
        )
        notes = releases.sections(releases.own_file(ROOT, "CHANGELOG.md").read_text())["Unreleased"]
        assert not since or releases.has_notes(notes), f"say it in house/CHANGELOG.md:\n{since}"


@pytest.mark.parametrize(
    "release", releases.read_releases(ROOT)[-3:] if IS_HOUSE else [], ids=lambda one: one.version
)
def test_a_service_of_a_release_updates(release: releases.Release, tmp_path: Path) -> None:
    """To the last commit; what is not committed is no update yet."""
    template, service = tmp_path / "template", tmp_path / "service"
    git(tmp_path, "clone", "--quiet", "--shared", "--no-tags", str(ROOT), "template")
    made = {"defaults": True, "quiet": True}
    run_copy(str(template), service, vcs_ref=release.commit, **made)
    commit_all(service, "Scaffold")
    run_update(service, vcs_ref="HEAD", overwrite=True, **made)
    commit_all(service, "Update")
    assert conformance(service, "repo", "--strict")["findings"] == []


@pytest.mark.parametrize("name", SERVICES)
def test_a_new_service_has_no_finding(name: str, render: Render) -> None:
    report = conformance(render(**SERVICES[name]), "repo", "--strict")
    assert report["findings"] == []
    assert set(CHECKS) <= {*report["checked"]}


@pytest.mark.parametrize("language", sorted({c["language"] for c in COMBINATIONS.values()}))
def test_what_is_offered_can_be_had_and_nothing_else(language: str, render: Render) -> None:
    if IS_HOUSE and language not in VALUES["languages"]:
        with pytest.raises(ValueError, match="does not offer it"):
            render(language=language)
    elif IS_HOUSE:
        answers = (render(language=language) / ".copier-answers.yml").read_text()
        assert f"owner: {VALUES['owner']}\n" in answers


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_finds_its_planted_fault(check: str, render: Render, tmp_path: Path) -> None:
    assert check.startswith(f"{VALUES['prefix']}-"), f"{check} has not the prefix of house.yml"
    planted = faults().get(check)
    assert planted, f"house/faults.py has no fault for {check} in FAULTS"
    for number, plant in enumerate(planted):
        service = tmp_path / str(number)
        shutil.copytree(render(**next(iter(SERVICES.values()))), service, symlinks=True)
        plant(service)
        commit_all(service, "Plant a fault")
        assert {item["check"] for item in conformance(service, "repo")["findings"]} == {check}
