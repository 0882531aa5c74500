"""GitHub's workflows, as data: its schema, two linters, and the rules of the platform."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_schema import PIPELINE as GITLAB
from test_schema import images, schema

from lab import Missing, install
from rendering import ROOT, Render

FOLDER = ROOT / "template" / "{{ github }}" / ".github" / "workflows"
PIPELINE: dict[str, Any] = yaml.safe_load((FOLDER / "pipeline.yml").read_text(encoding="utf-8"))
PROMOTE: dict[str, Any] = yaml.safe_load((FOLDER / "promote.yml").read_text(encoding="utf-8"))
JOBS: dict[str, Any] = PIPELINE["jobs"]
OWN = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(scope="module")
def workflows(render: Render, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The workflows of a service, in a repository: the linters want one."""
    place = tmp_path_factory.mktemp("github") / "payments"
    shutil.copytree(render(ci="github") / ".github", place / ".github")
    subprocess.run(["git", "init", "--quiet", str(place)], check=True)
    return sorted((place / ".github" / "workflows").glob("*.yml"))


def test_the_files_meet_githubs_schema(workflows: list[Path]) -> None:
    assert {path.name for path in workflows} >= {"ci.yml", "pipeline.yml", "promote.yml"}
    done = schema(*workflows, *OWN, of="github-workflows")
    assert done.returncode == 0, done.stdout


def actionlint(*files: Path) -> subprocess.CompletedProcess[str]:
    try:
        program = install.actionlint()
    except Missing as missing:
        pytest.skip(str(missing))
    # It does not know the key `queue` yet, which the schema has.
    ignored = 'unexpected key "queue" for "concurrency"'
    command = [str(program), "-no-color", "-shellcheck=", "-pyflakes=", "-ignore", ignored]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)


def zizmor(*files: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "zizmor"
    config = ROOT / "tests" / "pipeline" / "zizmor.yml"
    command = [str(program), "--offline", "--quiet", "--no-progress", "--config", str(config)]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("lint", [actionlint, zizmor])
def test_linters_are_content(workflows: list[Path], lint: Any) -> None:
    done = lint(*workflows, *OWN)
    assert done.returncode == 0, done.stdout + done.stderr


FAULT = """\
name: fault
on: pull_request_target
jobs:
  fault:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
        with:
          ref: ${{ github.event.pull_request.head.sha }}
      - run: echo ${{ github.event.pull_request.title }}
"""


@pytest.mark.parametrize("lint", [actionlint, zizmor])
def test_linters_can_fail(tmp_path: Path, lint: Any) -> None:
    path = tmp_path / ".github" / "workflows" / "fault.yml"
    path.parent.mkdir(parents=True)
    path.write_text(FAULT)
    assert lint(path).returncode != 0


def test_only_what_pushes_may_write() -> None:
    writes = {
        name: job["permissions"]
        for name, job in {**JOBS, **PROMOTE["jobs"]}.items()
        if job["permissions"] != {"contents": "read", "packages": "read"}
    }
    pushes = {"contents": "read", "packages": "write"}
    assert writes == {
        **dict.fromkeys(("ci-image", "publish", "publish-debug", "promote"), pushes),
        "attest": {**pushes, "id-token": "write"},
    }


def test_one_job_may_start_a_run_and_its_token_reaches_no_image() -> None:
    found = [
        (path.name, name)
        for path in FOLDER.glob("*.yml")
        for name, job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items()
        if "actions" in job["permissions"]
    ]
    assert found == [("watch.yml", "watch")]
    watch = yaml.safe_load((FOLDER / "watch.yml").read_text(encoding="utf-8"))["jobs"]["watch"]
    assert watch["permissions"] == {"actions": "write", "contents": "read"}
    assert "run.sh" not in json.dumps(watch)


def test_what_signs_reaches_one_job() -> None:
    """The environment with the keys, the keys, and the token for a keyless signature."""
    for name, job in {**JOBS, **PROMOTE["jobs"]}.items():
        held = "environment" in job, "COSIGN" in str(job), "id-token" in job["permissions"]
        assert set(held) == {name == "attest"}, name


def test_promotions_wait_for_each_other_and_none_is_cancelled() -> None:
    assert PROMOTE["jobs"]["promote"]["concurrency"] == {
        "group": "promote", "cancel-in-progress": False, "queue": "max",
    }  # fmt: skip
    assert not [name for name, job in JOBS.items() if "concurrency" in job]


def test_the_jobs_are_those_of_gitlab_and_wait_for_the_same() -> None:
    """But for release-source, which is a step here, and the order of promotion."""
    for name, job in JOBS.items():
        needs = job.get("needs", [])
        found = {needs} if isinstance(needs, str) else set(needs)
        there = GITLAB[name].get("needs", GITLAB[".in-ci-image"]["needs"])
        wanted = {need for need in there if isinstance(need, str)}
        assert found == wanted, name
    assert {*JOBS, "promote", "release-source"} == {
        name for name, job in GITLAB.items() if isinstance(job, dict) and "script" in job
    }


# What a job runs in, where its runner starts it in a container.
CONTAINERS = {
    "crane": "inputs.crane-image",
    "attest": "inputs.crane-image",
    "kaniko": "inputs.kaniko-image",
    "syft": "inputs.syft-image",
    "grype": "inputs.grype-image",
    "ci": "needs.ci-image.outputs.ci-image",
    "source": "needs.ci-image.outputs.ci-image",
}


def test_without_docker_a_job_is_in_the_container_that_its_steps_would_start() -> None:
    for name, job in {**JOBS, **PROMOTE["jobs"]}.items():
        runs = re.findall(r"ci/github/run\.sh ([\w-]+)", json.dumps(job["steps"]))
        (image,) = {CONTAINERS[where] for where in runs}
        assert job["container"] == f"${{{{ inputs.containers && {image} || '' }}}}", name
        assert not image.startswith("needs.") or "ci-image" in job["needs"], name


def test_each_tool_is_pinned_once_and_as_on_gitlab() -> None:
    script = ROOT / "template" / "{{ github }}" / "ci" / "github" / "run.sh"
    named = re.findall(
        r"^(?:crane|kaniko|syft|grype)=(\S+)$", script.read_text("utf-8"), re.MULTILINE
    )
    assert sorted(named) == sorted(name for name in images(GITLAB) if "python" not in name)
    for path in FOLDER.iterdir():
        assert "kaniko:" not in path.read_text(encoding="utf-8")


def test_an_action_has_one_commit_everywhere() -> None:
    texts = [path.read_text("utf-8") for path in [*FOLDER.iterdir(), *OWN]]
    used = re.findall(r"uses: ([\w-]+/[\w-]+)@(\S+) # (v[\d.]+)$", "\n".join(texts), re.MULTILINE)
    names = {name for name, _, _ in used}
    assert names == {"actions/checkout", "actions/upload-artifact", "actions/download-artifact"}
    assert len(set(used)) == len(names)
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for _, commit, _ in used)


def test_renovate_finds_the_pins() -> None:
    config = json.loads((ROOT / "renovate.json").read_text(encoding="utf-8"))
    script = ROOT / "template" / "{{ github }}" / "ci" / "github" / "run.sh"
    [manager] = config["customManagers"]
    [pattern] = manager["managerFilePatterns"]
    assert re.search(pattern.strip("/"), script.relative_to(ROOT).as_posix())
    [expression] = manager["matchStrings"]
    expression = expression.replace("(?<", "(?P<")
    found = [match.groupdict() for match in re.finditer(expression, script.read_text("utf-8"))]
    assert [item["depName"].rpartition("/")[2] for item in found] == [
        "debug",
        "kaniko",
        "syft",
        "grype",
    ]
    script = ROOT / "template" / "{{ pipeline }}" / "ci" / "pipeline" / "cosign.sh"
    assert re.search(pattern.strip("/"), script.relative_to(ROOT).as_posix())
    found += [match.groupdict() for match in re.finditer(expression, script.read_text("utf-8"))]
    assert [item["depName"].rpartition("/")[2] for item in found] == [
        "debug", "kaniko", "syft", "grype", "cosign",
    ]  # fmt: skip
    assert all(item["currentDigest"].startswith("sha256:") for item in found)
    [pattern] = config["github-actions"]["managerFilePatterns"]
    for path in FOLDER.iterdir():
        assert re.search(pattern.strip("/"), path.relative_to(ROOT).as_posix())
