"""The report over thirty services, and the Renovate configuration that each of them has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from history import (
    ADDED_RECORD,
    AFTER,
    BEFORE,
    LANGUAGES,
    OWNERSHIP,
    QUICK_COPIER,
    History,
    append,
    remove,
    substitute,
    write,
)

from rendering import COMBINATIONS, ROOT, Render, commit_all, git

SIZE = 15
CONFLICTS = {
    "service-04": (substitute("image/Dockerfile", r"--interval=\d+s", "--interval=19s"),
                   "image/Dockerfile"),
    "service-13": (write(".hadolint.yaml", "ignored: [DL3008]\n"), ".hadolint.yaml"),
    "service-11": (append(".editorconfig", "\n[*.sql]\nindent_size = 4\n"), ".editorconfig"),
}  # fmt: skip
DEVIATION = """\
# SVC-0001: Keep our own engine script

| Field | Value |
| --- | --- |
| Date | 2026-01-01 |
| Status | Accepted |
| Deciders | Us |
| Supersedes | — |
| Superseded by | — |
| Deviates from | ADR-007: PLT-002 |
| Approver | platform-lead |
| Expires | 2999-01-01 |

## Context and Problem Statement

Ours.

## Decision Outcome

Ours.
"""


def fleet(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*QUICK_COPIER.split(), ROOT / "scripts/fleet.py", *arguments],
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_new_record_reaches_all_and_the_conflicts_are_named(
    history: History, tmp_path: Path
) -> None:
    """A service a team: copies of one for each language, each with a life of its own."""
    for number in range(SIZE):
        name = f"service-{number:02}"
        service = tmp_path / name
        language = LANGUAGES[number % len(LANGUAGES)]
        shutil.copytree(history.fresh(BEFORE, language=language), service, symlinks=True)
        substitute("README.md", "## Try it", f"## Try {name}")(service)
        if name in CONFLICTS:
            CONFLICTS[name][0](service)
        commit_all(service, "Live")
    append("ci/engine.sh", "# edited\n")(tmp_path / "service-07")
    commit_all(tmp_path / "service-07", "Edit a platform file")
    append("ci/engine.sh", "# edited\n")(tmp_path / "service-08")
    write("specs/ADRs/service/SVC-0001-keep-our-own-engine.md", DEVIATION)(tmp_path / "service-08")
    commit_all(tmp_path / "service-08", "Deviate")

    services = sorted(tmp_path.glob("service-*"))
    heads = [git(service, "rev-parse", "HEAD") for service in services]
    result = fleet(*services, "--to", AFTER, "--format", "json")
    assert result.returncode == 1, result.stderr
    found = {Path(service["repository"]).name: service for service in json.loads(result.stdout)}
    assert len(found) == SIZE
    assert {s["problem"] for s in found.values()} == {""}
    assert all(f"A {ADDED_RECORD}" in s["changes"] for s in found.values())
    assert {(s["release"], s["target"]) for s in found.values()} == {(BEFORE, AFTER)}
    assert {name: s["conflicts"] for name, s in found.items() if s["conflicts"]} == {
        name: [path] for name, (_, path) in CONFLICTS.items()
    }
    assert "PLT-002 ci/engine.sh" in found["service-07"]["findings"]
    assert "PLT-002 ci/engine.sh (SVC-0001)" in found["service-08"]["deviations"]
    # They were only looked at.
    assert [git(service, "rev-parse", "HEAD") for service in services] == heads
    assert not any(git(service, "status", "--porcelain") for service in services)


def test_the_report_for_people(history: History, tmp_path: Path) -> None:
    (tmp_path / "not-a-service").mkdir()
    commit_all(tmp_path / "not-a-service", "Empty")
    service = history.service(tmp_path / "service", BEFORE, CONFLICTS["service-04"][0])
    listed = tmp_path / "fleet.txt"
    listed.write_text(f"# ours\n{service}\n\n{tmp_path}/not-a-service\n{tmp_path}/nowhere\n")
    result = fleet("--list", listed)
    assert result.returncode == 1
    assert "3 services: 2 cannot be updated, 1 conflicts" in result.stdout
    assert f"| payments | platform | go | {BEFORE} | 0 | 0 | conflicts: {AFTER} |" in result.stdout
    assert "- payments: image/Dockerfile\n" in result.stdout
    assert "it has no .copier-answers.yml" in result.stdout
    assert "nowhere" in result.stdout
    assert "Traceback" not in result.stderr


def test_the_list_may_be_missing(tmp_path: Path) -> None:
    result = fleet("--list", tmp_path / "none.txt")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def renovate(service: Path) -> dict[str, Any]:
    configuration: dict[str, Any] = json.loads((service / "renovate.json").read_text("utf-8"))
    return configuration


@pytest.mark.parametrize("platform_code", [True, False])
def test_renovate_knows_the_configuration(platform_code: bool, render: Render) -> None:
    service = render(platform_code=platform_code)
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema",
               "vendor.renovate", service / "renovate.json"]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    waits = [r for r in renovate(service)["packageRules"] if r.get("matchUpdateTypes") == ["major"]]
    assert bool(waits) is platform_code


def test_renovate_leaves_the_platform_files_alone(render: Render) -> None:
    """By ignorePaths, and by a rule where a manager follows an include past them."""
    # Only a service on GitHub has to know of the platform's workflows.
    configuration = renovate(render(ci="github"))
    off = [
        pattern
        for rule in configuration["packageRules"]
        if rule.get("enabled") is False
        and rule.keys() <= {"description", "matchFileNames", "enabled"}
        for pattern in rule["matchFileNames"]
    ]
    assert "ci/gitlab/**" in off
    for pattern in chain.from_iterable(OWNERSHIP["platform"].values()):
        path = pattern.strip("/").replace("*", "x") + ("/x" if pattern.endswith("/") else "")
        assert any(fnmatch(path, ignored) for ignored in configuration["ignorePaths"]), pattern


@pytest.mark.parametrize("name", COMBINATIONS)
def test_renovate_leaves_the_images_that_the_template_names(name: str, render: Render) -> None:
    """An image that the template writes is bumped by the template only."""
    service = render(**COMBINATIONS[name])
    rules = renovate(service)["packageRules"]
    rule = next(r for r in rules if r.get("matchManagers") == ["dockerfile"])
    assert rule["enabled"] is False
    assert "digest" not in rule["matchUpdateTypes"]
    images = set()
    for path in ("image/Dockerfile", "ci/image/Dockerfile"):
        text = (service / path).read_text(encoding="utf-8")
        images |= set(re.findall(r"[a-z.-]+\.io/[a-z0-9/._-]+(?=[:@])", text))
    assert images

    def matches(image: str, pattern: str) -> bool:
        if pattern.startswith("/"):
            return bool(re.search(pattern.strip("/"), image))
        return fnmatch(image, pattern)

    owned = rule["matchPackageNames"]
    assert {i for i in images if not any(matches(i, pattern) for pattern in owned)} == set()
    assert not any(matches("docker.io/library/postgres", pattern) for pattern in owned)


def test_a_team_may_drop_renovate(history: History, tmp_path: Path) -> None:
    """It is a merged file like any other: what a team deletes stays deleted."""
    service = history.service(tmp_path / "service", BEFORE, remove("renovate.json"))
    report = json.loads(fleet(service, "--format", "json").stdout)[0]
    assert not any("renovate.json" in change for change in report["changes"])
    assert report["conflicts"] == []


def test_a_service_by_a_relative_path(history: History, tmp_path: Path) -> None:
    """As the program's own usage has it."""
    history.service(tmp_path / "payments", AFTER)
    (tmp_path / "copier-service").mkdir()
    command = [sys.executable, str(ROOT / "scripts/fleet.py"), "../payments", "--format", "json"]
    result = subprocess.run(
        command, cwd=tmp_path / "copier-service", capture_output=True, text=True, check=False
    )
    [found] = json.loads(result.stdout)
    assert (found["problem"], found["outcome"], found["name"]) == ("", "current", "payments")
    assert result.returncode == 0
