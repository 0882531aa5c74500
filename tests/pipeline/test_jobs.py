"""Which jobs a pipeline has, as gitlab-ci-local reads the files; none of them is run."""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import pytest
from world import gitlab_ci_local

from lab import Missing, install
from rendering import Render, commit_all, git

SET_UP = {"TEMPLATE_UPDATE_IMAGE": "registry.example.com/copier:1", "TEMPLATE_UPDATE_TOKEN": "x"}
SCHEDULE = {"CI_PIPELINE_SOURCE": "schedule"}


@pytest.fixture(scope="module")
def service(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("jobs") / "payments"
    shutil.copytree(render(ci="gitlab"), place, symlinks=True)
    commit_all(place, "Scaffold payments")
    git(place, "remote", "add", "origin", "https://gitlab.example.com/platform/payments.git")
    return place


def jobs(service: Path, variables: dict[str, str]) -> dict[str, dict[str, str]]:
    try:
        program = [install.node() / "bin" / "node", gitlab_ci_local()]
    except Missing as missing:
        pytest.skip(str(missing))
    given = [part for item in variables.items() for part in ("--variable", "=".join(item))]
    done = subprocess.run(
        [*program, "--list-csv", *given], cwd=service, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("name;"))
    return {row["name"]: row for row in csv.DictReader(lines[head:], delimiter=";")}


@pytest.mark.parametrize(
    "variables",
    [SET_UP, *({**SCHEDULE, name: value} for name, value in SET_UP.items())],
    ids=lambda variables: "-".join(variables),
)
def test_there_is_no_job_that_updates_unless_it_was_set_up(
    variables: dict[str, str], service: Path
) -> None:
    found = jobs(service, variables)
    assert "promote" in found
    assert ("release-source" in found) == ("CI_PIPELINE_SOURCE" in variables)
    assert "template-update" not in found


def test_a_schedule_updates_beside_its_rebuild(service: Path) -> None:
    found = jobs(service, {**SCHEDULE, **SET_UP})
    assert found["template-update"]["needs"] == "[]"
    assert found["template-update"]["stage"] == "deploy"
    assert {"release-source", "promote"} <= found.keys()
