"""Which jobs a pipeline has, as gitlab-ci-local reads the files; none of them is run."""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
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


REQUEST = {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_IID": "12",
    "CI_COMMIT_BRANCH": "",
}
OPEN = {"CI_OPEN_MERGE_REQUESTS": "acme/payments!12"}


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


GITOPS = {
    "GITOPS_IMAGE": "registry.example.com/git:1",
    "GITOPS_REPOSITORY": "https://gitlab.example.com/acme/gitops.git",
    "GITOPS_TOKEN": "secret",
}
BY_HAND = {"CI_PIPELINE_SOURCE": "web", "ROLLBACK_TO": "previous"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, set()),
        (GITOPS, set()),
        ({"CI_COMMIT_TAG": "v1.4.2"}, set()),
        ({"CI_COMMIT_TAG": "v1.4.2", **GITOPS}, {"hand-off"}),
        ({"CI_COMMIT_TAG": "v1.4.2", **GITOPS, "GITOPS_TOKEN": ""}, set()),
        ({**SCHEDULE, **GITOPS}, {"hand-off"}),
        ({**BY_HAND, **GITOPS}, {"rollback"}),
        (BY_HAND, set()),
    ],
)
def test_a_release_is_handed_on_where_that_was_set_up(
    variables: dict[str, str], expected: set[str], service: Path
) -> None:
    found = jobs(service, variables)
    assert found.keys() & {"hand-off", "rollback"} == expected
    if "hand-off" in expected:
        assert found["hand-off"]["needs"] == "[promote]"
    if "rollback" in expected:
        assert found["rollback"]["needs"] == "[]"


WATCH = {**SCHEDULE, "WATCH": "true"}


def test_a_schedule_that_watches_builds_nothing(service: Path) -> None:
    found = jobs(service, {**WATCH, **SET_UP, **GITOPS})
    assert found.keys() == {"watch-list", "watch-scan", "watch"}
    assert not jobs(service, {"WATCH": "true"}).keys() & found.keys()


def test_what_watch_starts_is_a_rebuild(service: Path) -> None:
    started = {"CI_PIPELINE_SOURCE": "pipeline", "REBUILD": "true", **GITOPS}
    scheduled = jobs(service, {**SCHEDULE, **GITOPS})
    assert "release-source" in scheduled
    assert jobs(service, started).keys() == scheduled.keys()
    # Nobody else's pipeline is.
    assert "release-source" not in jobs(service, {"CI_PIPELINE_SOURCE": "pipeline"})


BUILT = {
    "resolve", "verify-bases", "ci-image", "lint", "test", "verify", "build", "verify-image",
    "sbom", "scan", "vulnerabilities",
}  # fmt: skip
PUBLISHED = {
    "publish", "debug", "verify-debug", "sbom-debug", "scan-debug", "publish-debug", "attest",
    "promote",
}  # fmt: skip


def test_a_merge_request_builds_and_verifies_and_publishes_nothing(service: Path) -> None:
    assert jobs(service, REQUEST).keys() == BUILT
    assert jobs(service, {"CI_PIPELINE_SOURCE": "push"}).keys() == BUILT | PUBLISHED


@pytest.mark.parametrize(
    ("variables", "starts"),
    [
        ({"CI_PIPELINE_SOURCE": "push"}, True),
        ({"CI_PIPELINE_SOURCE": "push", **OPEN}, False),
        (REQUEST, True),
        ({**REQUEST, **OPEN}, True),
        # By hand and on a schedule the branch has its own.
        ({"CI_PIPELINE_SOURCE": "web", **OPEN}, True),
        ({**SCHEDULE, **OPEN}, True),
        ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "v1.4.2", "CI_COMMIT_BRANCH": ""}, True),
        ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "nightly", **OPEN}, False),
    ],
)
def test_a_branch_with_an_open_request_starts_one_pipeline(
    service: Path, tmp_path: Path, variables: dict[str, str], starts: bool
) -> None:
    """gitlab-ci-local starts every pipeline, so a job has the rules of `workflow`."""
    place = tmp_path / "payments"
    shutil.copytree(service / ".git", place / ".git")
    pipeline = yaml.safe_load((service / "ci/gitlab/pipeline.yml").read_text(encoding="utf-8"))
    rules = [
        {key: rule[key] for key in ("if", "when") if key in rule}
        for rule in pipeline["workflow"]["rules"]
    ]
    started = {"started": {"script": "true", "rules": rules}, "always": {"script": "true"}}
    (place / ".gitlab-ci.yml").write_text(yaml.safe_dump(started))
    assert ("started" in jobs(place, variables)) == starts


WORKFLOWS = {
    "against double pipelines": """
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS && $CI_PIPELINE_SOURCE == "push"
      when: never
    - if: $CI_COMMIT_BRANCH
""",
    # What GitLab's template Workflows/MergeRequest-Pipelines has.
    "GitLab's own": """
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_TAG
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
""",
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_teams_workflow_changes_neither_requests_nor_rebuilds(
    service: Path, name: str, tmp_path: Path
) -> None:
    place = tmp_path / "payments"
    shutil.copytree(service, place, symlinks=True)
    with (place / ".gitlab-ci.yml").open("a") as file:
        file.write(WORKFLOWS[name])
    assert jobs(place, REQUEST).keys() == BUILT
    scheduled = jobs(place, {**SCHEDULE, "CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BRANCH": "main"})
    assert scheduled.keys() == BUILT | PUBLISHED | {"release-source"}
