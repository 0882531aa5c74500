"""The pipeline's files, as data: GitLab's schema, and the rules of the platform."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rendering import ROOT, Render

FILES = ROOT / "template" / "{{ gitlab }}" / "ci" / "gitlab"
PIPELINE: dict[str, Any] = yaml.safe_load((FILES / "pipeline.yml").read_text(encoding="utf-8"))
JOBS = {name: job for name, job in PIPELINE.items() if isinstance(job, dict) and "script" in job}


def schema(*files: Any, of: str = "gitlab-ci") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{of}"]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)


def test_the_files_meet_gitlabs_schema(render: Render) -> None:
    service = render(ci="gitlab")
    files = sorted((service / "ci" / "gitlab").glob("*.yml"))
    assert files
    done = schema(service / ".gitlab-ci.yml", *files)
    assert done.returncode == 0, done.stdout


def test_the_schema_finds_a_fault(tmp_path: Any) -> None:
    (tmp_path / "bad.yml").write_text("build:\n  script: make\n  retry: often\n")
    assert schema(tmp_path / "bad.yml").returncode != 0


def test_the_service_passes_its_own_checks(render: Render) -> None:
    done = subprocess.run(
        [sys.executable, "-B", "ci/conformance", "repo", "--strict"], cwd=render(ci="gitlab"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("job", JOBS)
def test_what_a_job_leaves_behind_expires(job: str) -> None:
    artifacts = JOBS[job].get("artifacts")
    assert artifacts is None or artifacts["expire_in"]


@pytest.mark.parametrize("job", [name for name in JOBS if name != "promote"])
def test_a_job_names_what_it_needs(job: str) -> None:
    extends = JOBS[job]["extends"]
    names = [extends] if isinstance(extends, str) else extends
    inherited = [PIPELINE.get(name, {}) for name in names]
    assert any("needs" in place for place in (JOBS[job], *inherited)) or job == "release-source"


def test_only_promotion_cannot_be_interrupted_and_it_runs_alone() -> None:
    assert PIPELINE[".platform"]["interruptible"] is True
    assert [name for name, job in JOBS.items() if job.get("interruptible") is False] == ["promote"]
    assert PIPELINE["promote"]["resource_group"] == "promote"


def test_a_commit_does_not_cancel_a_scheduled_rebuild() -> None:
    """It builds a release and no commit of the branch, and nobody is told of a cancellation."""
    [rule] = [r for r in PIPELINE["workflow"]["rules"] if "schedule" in r["if"]]
    assert rule["auto_cancel"] == {"on_new_commit": "none"}


def test_promotion_waits_for_every_stage_before_it() -> None:
    assert "needs" not in PIPELINE["promote"]


def test_only_the_infrastructures_failures_are_tried_again() -> None:
    assert PIPELINE[".platform"]["retry"]["when"] == [
        "runner_system_failure", "scheduler_failure", "api_failure",
    ]  # fmt: skip
    assert not [name for name, job in JOBS.items() if "retry" in job]


def images(node: Any) -> list[str]:
    """Every image that a job or a template of jobs names."""
    found = []
    for job in node.values():
        image = job.get("image", "") if isinstance(job, dict) else ""
        found.append(image.get("name", "") if isinstance(image, dict) else image)
    return [name for name in found if name and not name.startswith("$")]


def test_each_tool_is_pinned_once_by_version_and_digest() -> None:
    names = images(PIPELINE)
    assert sorted(name.partition(":")[0] for name in names) == [
        "docker.io/anchore/grype",
        "docker.io/anchore/syft",
        "docker.io/library/python",
        "gcr.io/go-containerregistry/crane/debug",
        "ghcr.io/osscontainertools/kaniko",
    ]
    for name in names:
        tag = r"v\d+\.\d+\.\d+(-alpine|-debug)?|3\.13-slim-trixie"
        assert re.fullmatch(rf"[^:@]+:({tag})@sha256:[0-9a-f]{{64}}", name), name
        places = [
            path
            for path in (ROOT / "template").rglob("*")
            if path.is_file() and name.partition("@")[2].encode() in path.read_bytes()
        ]
        # GitHub's jobs start their containers in a script, which has the same pins; they do
        # without Python's image.
        other = ROOT / "template" / "{{ github }}" / "ci" / "github" / "run.sh"
        others = [other] if "python" not in name else []
        assert sorted(places) == sorted([FILES / "pipeline.yml", *others])


def test_renovate_finds_the_pins() -> None:
    """Renovate's manager looks for .gitlab-ci.yml only, unless it is told of another file."""
    config = ROOT / "renovate.json"
    done = schema(config, of="renovate")
    assert done.returncode == 0, done.stdout
    settings = json.loads(config.read_text(encoding="utf-8"))
    assert "gitlabci" in settings["enabledManagers"]
    [pattern] = settings["gitlabci"]["managerFilePatterns"]
    path = (FILES / "pipeline.yml").relative_to(ROOT).as_posix()
    assert re.search(pattern.strip("/"), path)
    assert not re.search(pattern.strip("/"), "template/{{ gitlab }}/.gitlab-ci.yml.jinja")


def test_findings_of_the_repository_show_in_a_merge_request(scaffold: Render) -> None:
    """The report that the job verify leaves is a code-quality report of its findings."""
    job, service = JOBS["verify"], scaffold(ci="gitlab")
    (service / "Dockerfile").unlink()
    (service / ".pipeline").mkdir()
    image = f"BUILDER_IMAGE=registry.example.com/payments/ci@sha256:{'0' * 64}\n"
    (service / ".pipeline/ci-image.env").write_text(image)
    environment = dict(os.environ)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    script = "\n".join(job["after_script"])
    subprocess.run(["sh", "-c", script], cwd=service, env=environment, check=False)
    assert job["artifacts"]["when"] == "always"
    report = json.loads((service / job["artifacts"]["reports"]["codequality"]).read_text())
    assert [(item["check_name"], item["location"]["path"]) for item in report] == [
        ("DKF-016", "Dockerfile")
    ]


def test_the_policies_of_the_page_are_yaml() -> None:
    page = (ROOT / "docs" / "pipeline-proof.md").read_text(encoding="utf-8")
    policies = [
        yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S)
    ]
    assert [policy["kind"] for policy in policies] == [
        "ClusterPolicy", "ClusterImagePolicy", "ClusterImagePolicy",
    ]  # fmt: skip
    # What they ask for is what a provenance has.
    script = ROOT / "template" / "{{ pipeline }}" / "ci" / "pipeline" / "provenance.sh"
    for name in ("buildDefinition", "externalParameters", "target", "runDetails", "builder"):
        assert name in page
        assert f'"{name}"' in script.read_text(encoding="utf-8")


def test_cosign_is_pinned_once() -> None:
    script = ROOT / "template" / "{{ pipeline }}" / "ci" / "pipeline" / "cosign.sh"
    [pin] = re.findall(r"^cosign_image=(\S+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert re.fullmatch(r"[^:@]+:v\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", pin)
    digest = pin.partition("@")[2].encode()
    files = [path for path in (ROOT / "template").rglob("*") if path.is_file()]
    assert [path for path in files if digest in path.read_bytes()] == [script]


def test_only_one_job_has_the_keys() -> None:
    """Neither another job nor a service beside it."""
    environments = {name: job["environment"] for name, job in JOBS.items() if "environment" in job}
    assert environments == {"attest": {"name": "signing", "action": "access"}}
    assert (JOBS["attest"]["services"], JOBS["attest"]["cache"]) == ([], [])
