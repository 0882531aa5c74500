"""A service on a base that a house adds, and one on a base that is not offered any more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import run_copy, run_update

from houses import VENDOR, house, make_house, say
from rendering import ROOT, commit_all, git

HOW: dict[str, Any] = {"defaults": True, "quiet": True, "unsafe": False}


def release(template: Path, *bases: Any) -> None:
    say(template, *bases)
    made = house(template)
    assert made.returncode == 0, made.stderr
    lock = [sys.executable, str(ROOT / "scripts/lock.py"), "--root", str(template)]
    subprocess.run(lock, check=True)
    commit_all(template, "Offer bases")


def copy(template: Path, service: Path, **answers: str) -> Path:
    run_copy(str(template), service, data=answers, vcs_ref="HEAD", **HOW)
    commit_all(service, "Scaffold")
    return service


def findings(service: Path) -> list[str]:
    command = [sys.executable, "-B", "ci/conformance", "repo", "--format", "json"]
    done = subprocess.run(command, cwd=service, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return [f"{f['check']} {f['message']}" for f in json.loads(done.stdout)["findings"]]


@pytest.mark.parametrize("name", VENDOR)
def test_a_base_of_the_house(name: str, tmp_path: Path) -> None:
    """One entry, and every file of the service that tells of its base tells of this one."""
    entry = VENDOR[name]
    template = make_house(tmp_path / "template")
    release(template, *VENDOR.values())
    language, base = entry["language"], entry["name"]
    service = copy(template, tmp_path / "service", language=language, runtime_base=base)
    dockerfile = (service / "image/Dockerfile").read_text(encoding="utf-8")
    assert f"ARG RELEASE_IMAGE={entry['release']}\n" in dockerfile
    user = entry.get("user", "65532:65532")
    assert f"\nUSER {user}\n" in dockerfile
    assert entry.get("runtime", "") in dockerfile
    if builder := entry.get("builder"):
        assert f"ARG BUILDER_IMAGE={builder}\n" in dockerfile
        assert f"FROM {builder}\n" in (service / "ci/image/Dockerfile").read_text()
    deployment = yaml.safe_load((service / "deploy/base/deployment.yaml").read_text())
    context = deployment["spec"]["template"]["spec"]["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
    assert f"the user {user.split(':')[0]} " in (service / "README.md").read_text()
    assert findings(service) == []
    # The rule goes on: another base is found, and so is the variant with a shell.
    for other, message in (
        ("docker.io/library/alpine:3.22", "which the platform does not offer"),
        (f"{entry['release']}-dev", "it has a shell"),
    ):
        changed = dockerfile.replace(f"RELEASE_IMAGE={entry['release']}", f"RELEASE_IMAGE={other}")
        (service / "image/Dockerfile").write_text(changed)
        [finding] = findings(service)
        assert finding.startswith("DKF-010 ")
        assert message in finding


def test_a_service_of_another_house_does_not_have_the_base(tmp_path: Path) -> None:
    template = make_house(tmp_path / "template")
    commit_all(template, "Template")
    with pytest.raises(ValueError, match="runtime_base is vendor"):
        copy(template, tmp_path / "service", language="go", runtime_base="vendor")


def test_a_base_that_is_not_offered_any_more_stays_with_its_service(tmp_path: Path) -> None:
    template = make_house(tmp_path / "template")
    base = VENDOR["another user"]
    release(template, base)
    git(template, "tag", "v1.0.0")
    service = copy(template, tmp_path / "service", language="go", runtime_base="vendor")
    release(template, {**base, "offered": False})
    git(template, "tag", "v1.1.0")
    run_update(service, overwrite=True, vcs_ref="v1.1.0", **HOW)
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text())
    assert (answers["_commit"], answers["runtime_base"]) == ("v1.1.0", "vendor")
    assert f"RELEASE_IMAGE={base['release']}" in (service / "image/Dockerfile").read_text()
    commit_all(service, "Update")
    assert findings(service) == []
    # `make restore` and the fleet's report copy it once more from its answers.
    again = copy(template, tmp_path / "again", language="go", runtime_base="vendor")
    assert (again / "image/Dockerfile").read_bytes() == (service / "image/Dockerfile").read_bytes()
    # And a new service has the first base that is offered.
    fresh = copy(template, tmp_path / "fresh", language="go")
    assert "runtime_base: distroless" in (fresh / ".copier-answers.yml").read_text()


def test_a_base_that_is_gone_stops_an_update(tmp_path: Path) -> None:
    """Copier alone would take the default, and the service would stand on another base."""
    template = make_house(tmp_path / "template")
    release(template, VENDOR["another user"])
    git(template, "tag", "v1.0.0")
    service = copy(template, tmp_path / "service", language="go", runtime_base="vendor")
    release(template)
    git(template, "tag", "v1.1.0")
    with pytest.raises(ValueError, match=r"runtime_base is vendor.*keeps its entry, with offered"):
        run_update(service, overwrite=True, vcs_ref="v1.1.0", **HOW)
    assert git(service, "status", "--porcelain") == ""
    answers = {"runtime_base": "scratch"}
    run_update(service, overwrite=True, vcs_ref="v1.1.0", data=answers, **HOW)
    assert "FROM scratch" in (service / "image/Dockerfile").read_text()
