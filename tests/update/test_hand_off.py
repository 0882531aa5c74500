"""The jobs that hand a release to a GitOps repository and roll it back, and `promote`'s line."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from github_standin import GitHub
from gitlab_standin import GitLab
from rendering import ROOT, Render, commit_all, git

TOKEN = "glpat-T0ken/with+signs="
IMAGE = "registry.example.com/platform/payments"
BRANCH = "deploy/payments"
OVERLAY = "deploy/overlays/production"
AWK = ROOT / "template/{{ pipeline }}/ci/pipeline/overlay.awk"


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


class Project:
    """A service whose release was promoted, and the repository that a cluster reads."""

    def __init__(self, directory: Path, rendered: Path, provider: str) -> None:
        self.workspace = directory / "service"
        shutil.copytree(rendered, self.workspace, symlinks=True)
        gitops = directory / "gitops"
        shutil.copytree(rendered / "deploy", gitops / "deploy")
        commit_all(gitops, "Manifests")
        self.gitlab = (
            GitHub(directory / "gitlab", gitops, TOKEN)
            if provider == "github"
            else GitLab(directory / "gitlab", gitops, TOKEN, user="hand-off")
        )
        self.env = {
            "github": {
                "GITHUB_ACTIONS": "true",
                "GITHUB_EVENT_NAME": "push",
                "GITHUB_REF_TYPE": "tag",
                "GITHUB_REF_NAME": "v1.4.2",
                "GITHUB_REPOSITORY": "acme/service",
                "GITHUB_SERVER_URL": self.gitlab.url,
                "GITHUB_API_URL": f"{self.gitlab.url}/api/v3",
            },
            "gitlab": {
                "CI_COMMIT_BRANCH": "main",
                "CI_SERVER_URL": self.gitlab.url,
                "CI_PROJECT_URL": f"{self.gitlab.url}/acme/service",
            },
        }[provider]
        (self.workspace / ".pipeline").mkdir()
        (directory / "tmp").mkdir()
        self.directory = directory
        self.commands = directory / "commands"
        (directory / "bin").mkdir()
        (directory / "bin/git").write_text(
            f'#!/bin/sh\necho "git $*" >>{self.commands}\nexec {shutil.which("git")} "$@"\n'
        )
        (directory / "bin/git").chmod(0o755)

    def promoted(self, release: str, twin: str, version: str = "1.4.2-b7") -> None:
        (self.workspace / ".pipeline/promote.env").write_text(
            f"SERVICE_VERSION={version}\nRELEASE_DIGEST={digest(release)}\n"
            f"DEBUG_DIGEST={digest(twin)}\n"
        )

    def job(self, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the job's script; no token shows anywhere, and nothing is left behind."""
        result = subprocess.run(
            ["sh", "ci/pipeline/hand-off.sh"], cwd=self.workspace, stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
            env={
                "PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}",
                "HOME": str(self.directory), "TMPDIR": str(self.directory / "tmp"),
                **self.env, "IMAGE_REPOSITORY": IMAGE, "GITOPS_TOKEN": TOKEN,
                "GITOPS_REPOSITORY": f"{self.gitlab.url}/acme/payments.git", **env,
            },
        )  # fmt: skip
        commands = self.commands.read_text() if self.commands.exists() else ""
        assert TOKEN not in result.stdout + result.stderr + commands
        assert list((self.directory / "tmp").iterdir()) == []
        return result

    def overlay(self, branch: str) -> dict[str, Any]:
        text = git(self.gitlab.repository, "show", f"{branch}:{OVERLAY}/kustomization.yaml")
        found: dict[str, Any] = yaml.safe_load(text)
        return found

    def merge(self) -> None:
        git(self.gitlab.repository, "update-ref", "refs/heads/main", f"refs/heads/{BRANCH}")
        git(self.gitlab.repository, "update-ref", "-d", f"refs/heads/{BRANCH}")
        (self.gitlab.repository / "merge-requests.json").write_text("[]")


@pytest.fixture(params=["gitlab", "github"])
def project(request: pytest.FixtureRequest, render: Render, tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path, render(), request.param)
    yield made
    made.gitlab.close()


def pair(release: str, twin: str) -> tuple[str, dict[str, str]]:
    return digest(release), {
        "debug-image": f"{IMAGE}@{digest(twin)}", "debug-image-of": digest(release),
    }  # fmt: skip


def found_in(overlay: dict[str, Any]) -> tuple[object, object]:
    (image,) = overlay["images"]
    assert image["newName"] == IMAGE
    assert "newTag" not in image
    return image["digest"], overlay["commonAnnotations"]


def test_a_release_opens_a_merge_request_and_the_next_renews_it(project: Project) -> None:
    project.promoted("a", "b")
    result = project.job()
    assert result.returncode == 0, result.stderr
    (request,) = project.gitlab.merge_requests
    assert (request["source"], request["target"]) == (BRANCH, "main")
    assert request["title"] == "Deploy payments 1.4.2-b7"
    overlay = project.overlay(BRANCH)
    assert found_in(overlay) == pair("a", "b")
    # Nothing else has changed.
    before = project.overlay("main")
    for name in ("images", "commonAnnotations"):
        overlay.pop(name), before.pop(name, None)
    assert overlay == before

    again = project.job()
    assert again.returncode == 0, again.stderr
    project.promoted("c", "d", "1.4.3-b9")
    assert project.job().returncode == 0
    (request,) = project.gitlab.merge_requests
    assert request["title"] == "Deploy payments 1.4.3-b9"
    assert found_in(project.overlay(BRANCH)) == pair("c", "d")
    project.merge()
    result = project.job()
    assert "has " + digest("c") in result.stdout
    assert project.gitlab.merge_requests == []


def test_a_rollback_puts_both_digests_back(project: Project) -> None:
    for release, twin in ("ab", "cd", "ef"):
        project.promoted(release, twin)
        assert project.job().returncode == 0
        project.merge()
    (project.workspace / ".pipeline/promote.env").unlink()
    result = project.job(ROLLBACK_TO="previous")
    assert result.returncode == 0, result.stderr
    (request,) = project.gitlab.merge_requests
    assert request["title"] == f"Roll payments back to {digest('c')}"
    assert found_in(project.overlay(BRANCH)) == pair("c", "d")
    project.merge()
    assert project.job(ROLLBACK_TO=digest("a")).returncode == 0
    assert found_in(project.overlay(BRANCH)) == pair("a", "b")
    for wanted, said in ((digest("9"), "no other pair of digests"), ("1.4.1", "ROLLBACK_TO wants")):
        result = project.job(ROLLBACK_TO=wanted)
        assert result.returncode == 1
        assert said in result.stderr


def test_what_is_wrong_is_said_and_changes_nothing(project: Project) -> None:
    result = project.job()
    assert (result.returncode, "nothing to hand over" in result.stdout) == (0, True)
    project.promoted("a", "b")
    for env, said in (
        ({"GITOPS_TOKEN": "wrong" + TOKEN[5:]}, "GITOPS_TOKEN wants the "),
        ({"GITOPS_REPOSITORY": "https://u:p@example.com/x.git"}, "has a user in it"),
        ({"GITOPS_REPOSITORY": "git@example.com:x.git"}, "has a user in it"),
        ({"GITOPS_PATH": "clusters/eu"}, "set GITOPS_PATH"),
        ({"IMAGE_REPOSITORY": "registry.example.com/orders"}, "no entry below images:"),
    ):
        result = project.job(**env)
        assert result.returncode == 1, env
        assert said in result.stderr, result.stderr
    (project.workspace / ".pipeline/promote.env").write_text("RELEASE_DIGEST=latest\n")
    result = project.job()
    assert result.returncode == 1
    assert 'RELEASE_DIGEST is "latest", which is none' in result.stderr
    assert project.gitlab.merge_requests == []


@pytest.mark.parametrize("project", ["github"], indirect=True)
def test_what_github_refuses_leaves_no_branch(project: Project) -> None:
    project.promoted("a", "b")
    hub = project.gitlab
    assert isinstance(hub, GitHub)
    hub.refusal = 403, {"message": "Resource not accessible by personal access token"}
    result = project.job()
    assert result.returncode == 1
    assert "Resource not accessible" in result.stderr
    assert f"error: there is no pull request for {BRANCH}; GITOPS_TOKEN wants" in result.stderr
    assert BRANCH not in git(hub.repository, "for-each-ref")
    result = project.job(GITOPS_REPOSITORY="https://gitlab.example.com/acme/gitops.git")
    assert result.returncode == 1
    assert f"want a repository below {hub.url}" in result.stderr


def test_a_persons_commit_is_not_lost(project: Project, tmp_path: Path) -> None:
    project.promoted("a", "b")
    assert project.job().returncode == 0
    git(tmp_path, "clone", "--quiet", "--branch", BRANCH, str(project.gitlab.repository), "clone")
    (tmp_path / "clone/note").write_text("Wait for Monday.\n")
    commit_all(tmp_path / "clone", "Wait")
    git(tmp_path / "clone", "push", "--quiet")
    project.promoted("c", "d")
    result = project.job()
    assert result.returncode == 1
    assert "has a commit of a person" in result.stderr
    assert found_in(project.overlay(BRANCH)) == pair("a", "b")


def rewritten(text: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    (tmp_path / "kustomization.yaml").write_text(text)
    return subprocess.run(
        ["awk", "-v", f"repository={IMAGE}", "-v", f"digest={digest('a')}",
         "-v", f"twin={digest('b')}", "-f", AWK, tmp_path / "kustomization.yaml"],
        capture_output=True, text=True,
    )  # fmt: skip


OTHER = {"name": "proxy", "newTag": "1.2"}


@pytest.mark.parametrize(
    "text",
    [
        # As kustomize writes it, without an indent and in its own order.
        f"images:\n- digest: {digest('9')}\n  name: payments\n  newName: {IMAGE}\n"
        "- name: proxy\n  newTag: '1.2'\nnamespace: a\n",
        # Between others, with a quoted name and no tag yet.
        f'images:\n  - name: proxy\n    newTag: "1.2"\n  - name: "{IMAGE}"\n\nnamespace: a\n',
        f"commonAnnotations:\n  a: b\n  debug-image: old\n  debug-image-of: old\nimages:\n"
        f"  - name: payments\n    newTag: unreleased # not yet\n    newName: '{IMAGE}'\n"
        "  - newTag: '1.2'\n    name: proxy\nnamespace: a\n",
    ],
    ids=["of kustomize", "bare", "noted before"],
)
def test_only_the_digests_change(text: str, tmp_path: Path) -> None:
    done = rewritten(text, tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = yaml.safe_load(text), yaml.safe_load(done.stdout)
    assert OTHER in after["images"]
    (ours,) = (image for image in after["images"] if image != OTHER)
    assert ours.pop("digest") == digest("a")
    assert IMAGE in ours.values()
    assert set(ours) <= {"name", "newName"}
    annotations = after.pop("commonAnnotations")
    assert annotations == {**before.pop("commonAnnotations", {}), **pair("a", "b")[1]}
    del after["images"], before["images"]
    assert after == before
    # Once more, it stays as it is.
    assert rewritten(done.stdout, tmp_path).stdout == done.stdout
    assert rewritten("images:\n  - name: proxy\n", tmp_path).returncode == 3
