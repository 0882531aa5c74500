"""The scheduled job that opens a merge request with the update, on stand-ins of both providers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from history import AFTER, BEFORE, QUICK_COPIER, History, append, differences, substitute, write

from github_standin import GitHub
from gitlab_standin import GitLab
from rendering import commit_all, git

TOKEN = "glpat-T0ken/with+signs="
BRANCH = "template-update/main"


def of_gitlab(url: str) -> dict[str, str]:
    return {
        "CI_COMMIT_BRANCH": "main", "CI_PROJECT_URL": f"{url}/acme/payments", "CI_SERVER_URL": url,
    }  # fmt: skip


def of_github(url: str) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "schedule", "GITHUB_REF_TYPE": "branch",
        "GITHUB_REF_NAME": "main", "GITHUB_REPOSITORY": "acme/payments",
        "GITHUB_SERVER_URL": url, "GITHUB_API_URL": f"{url}/api/v3",
    }  # fmt: skip


class Project:
    """A service on the stand-in, and its scheduled pipeline."""

    def __init__(self, directory: Path, history: History, provider: type[GitLab] = GitLab) -> None:
        self.directory = directory
        self.template = directory / "template"
        git(directory, "clone", "--quiet", "--branch", BEFORE, str(history.repository), "template")
        git(self.template, "tag", "--delete", AFTER)
        self.service = history.service(
            directory / "service", BEFORE,
            substitute(".copier-answers.yml", "_src_path: .*", f"_src_path: {self.template}"),
        )  # fmt: skip
        self.gitlab = provider(directory / "gitlab", self.service, TOKEN)
        tools = directory / "bin"
        tools.mkdir()
        self.commands = directory / "commands"
        real = shutil.which("git")
        for name, text in (
            ("copier", f'exec {QUICK_COPIER} "$@"\n'),
            # Who looks at the processes of the machine sees this.
            ("git", f'echo "git $*" >>{self.commands}\nexec {real} "$@"\n'),
        ):
            (tools / name).write_text(f"#!/bin/sh\n{text}")
            (tools / name).chmod(0o755)
        self.env = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(directory / "home"),
            "TMPDIR": str(directory / "tmp"),
            "TEMPLATE_UPDATE_TOKEN": TOKEN,
            **(of_github if provider is GitHub else of_gitlab)(self.gitlab.url),
        }
        (directory / "tmp").mkdir()

    def release(self, tag: str) -> None:
        append("template/specs/README.md", f"\nChanged by {tag}.\n")(self.template)
        commit_all(self.template, tag)
        git(self.template, "tag", tag)

    def push(self, branch: str = "main") -> None:
        commit_all(self.service, "Edit")
        git(self.service, "push", "--quiet", str(self.gitlab.repository), f"HEAD:{branch}")

    def job(self, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the job in a workspace of its own; it leaves nothing there and shows no token."""
        place = self.directory / "workspace"
        shutil.rmtree(place, ignore_errors=True)
        workspace = self.gitlab.checkout(place)
        config = (workspace / ".git/config").read_bytes()
        if os.geteuid() == 0:  # as where the runner's helper made it
            for path in (workspace, workspace / ".git"):
                os.chown(path, 65532, 65532)
        result = subprocess.run(
            ["sh", "ci/pipeline/template-update.sh"], cwd=workspace, env={**self.env, **env},
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        assert TOKEN not in result.stdout + result.stderr
        commands = self.commands.read_text() if self.commands.exists() else ""
        assert TOKEN not in commands
        assert (workspace / ".git/config").read_bytes() == config
        assert set(git(workspace, "status", "--porcelain").splitlines()) <= {"?? .pipeline/"}
        assert list((self.directory / "tmp").iterdir()) == []
        return result

    def branch(self) -> Path:
        place = self.directory / "branch"
        shutil.rmtree(place, ignore_errors=True)
        git(self.directory, "clone", "--quiet", "--branch", BRANCH, str(self.gitlab.repository),
            "branch")  # fmt: skip
        return place

    def tip(self) -> str:
        return git(self.gitlab.repository, "rev-parse", BRANCH)


@pytest.fixture
def project(history: History, tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path, history)
    yield made
    made.gitlab.close()


@pytest.fixture
def on_github(history: History, tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path, history, GitHub)
    yield made
    made.gitlab.close()


def test_github_gets_a_pull_request_and_the_next_release_renews_it(on_github: Project) -> None:
    assert on_github.job().returncode == 0
    assert on_github.gitlab.merge_requests == []
    on_github.release("v1000.1.0")
    result = on_github.job()
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"View pull request for {BRANCH}: {on_github.gitlab.url}/acme" in result.stdout
    [request] = on_github.gitlab.merge_requests
    assert request["title"] == f"Update the service template from {BEFORE} to v1000.1.0"
    assert (request["source"], request["target"]) == (BRANCH, "main")
    assert "the commit message" in request["description"]
    assert "Changed by v1000.1.0." in (on_github.branch() / "specs/README.md").read_text()

    tip = on_github.tip()
    assert "has this release already" in on_github.job().stdout
    assert on_github.tip() == tip

    on_github.release("v1000.2.0")
    assert on_github.job().returncode == 0
    [request] = on_github.gitlab.merge_requests
    assert request["title"] == f"Update the service template from {BEFORE} to v1000.2.0"
    assert on_github.tip() != tip

    branch = on_github.branch()
    write("docs/settled.md", "By hand.\n")(branch)
    commit_all(branch, "Settle")
    git(branch, "push", "--quiet", "origin", "HEAD")
    on_github.release("v1000.3.0")
    assert "has a commit of a person" in on_github.job().stderr
    assert "v1000.2.0" in on_github.gitlab.merge_requests[0]["title"]


def test_what_github_refuses_is_said_and_leaves_no_branch(on_github: Project) -> None:
    hub = on_github.gitlab
    assert isinstance(hub, GitHub)
    result = on_github.job(TEMPLATE_UPDATE_TOKEN="")
    assert result.returncode == 0
    assert "TEMPLATE_UPDATE_TOKEN is not set: no pull request is opened" in result.stdout
    on_github.release("v1000.1.0")

    def refusal(**env: str) -> str:
        before = git(hub.repository, "for-each-ref")
        result = on_github.job(**env)
        assert result.returncode == 1, result.stdout
        assert git(hub.repository, "for-each-ref") == before
        assert "Traceback" not in result.stderr
        return result.stderr

    assert "GITHUB_API_URL is not set" in refusal(GITHUB_API_URL="")
    wrong = refusal(TEMPLATE_UPDATE_TOKEN="ghp-wrong")
    assert "wants the permissions Contents and Pull requests" in wrong
    assert "ghp-wrong" not in wrong
    assert "does not answer as GitHub does" in refusal(GITHUB_API_URL="http://127.0.0.1:1")
    hub.refusal = 403, {"message": "Resource not accessible by personal access token"}
    assert f"error: there is no pull request for {BRANCH}" in refusal()
    hub.refusal = 422, {"message": "Validation Failed", "errors": [{"message": "No commits"}]}
    assert "answers 422" in (said := refusal())
    assert "Validation Failed: No commits" in said
    # The token goes nowhere else.
    hub.refusal = 301, {"message": "Moved", "url": "http://127.0.0.1:1/"}
    assert "GitHub answers 301" in refusal()
    assert hub.merge_requests == []

    # One that is open stays as it is, with its branch.
    hub.refusal = None
    assert on_github.job().returncode == 0
    on_github.release("v1000.2.0")
    hub.refusal = 403, {"message": "Resource not accessible by personal access token"}
    refusal()
    hub.refusal = None
    assert on_github.job().returncode == 0
    assert hub.merge_requests[0]["title"].endswith("v1000.2.0")


def test_a_release_opens_a_merge_request_and_the_next_one_renews_it(project: Project) -> None:
    """One merge request, from the first release to the third, and again after the merge."""
    result = project.job()
    assert result.returncode == 0, result.stderr
    assert f"on {BEFORE} already" in result.stdout
    assert project.gitlab.merge_requests == []

    project.release("v1000.1.0")
    result = project.job()
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"View merge request for {BRANCH}" in result.stdout
    assert "push " in project.commands.read_text()
    [request] = project.gitlab.merge_requests
    assert request["title"] == f"Update the service template from {BEFORE} to v1000.1.0"
    assert (request["source"], request["target"]) == (BRANCH, "main")
    assert "remove_source_branch" in request
    branch = project.branch()
    assert "Changed by v1000.1.0." in (branch / "specs/README.md").read_text()
    assert git(branch, "rev-parse", "HEAD^") == git(branch, "rev-parse", "origin/main")
    assert differences(branch, project.service, "go") == {".copier-answers.yml", "specs/README.md"}

    tip = project.tip()
    result = project.job()
    assert result.returncode == 0, result.stderr
    assert "has this release already" in result.stdout
    assert project.tip() == tip

    project.release("v1000.2.0")
    write("docs/notes.md", "Meanwhile.\n")(project.service)
    project.push()
    assert project.job().returncode == 0
    [request] = project.gitlab.merge_requests
    assert request["title"] == f"Update the service template from {BEFORE} to v1000.2.0"
    branch = project.branch()
    assert (branch / "docs/notes.md").exists()
    assert git(branch, "rev-list", "--count", "origin/main..HEAD").strip() == "1"


def test_a_conflict_is_a_draft_that_names_the_files(project: Project) -> None:
    git(project.template, "fetch", "--quiet", "origin", "tag", AFTER)
    substitute("image/Dockerfile", r"--interval=\d+s", "--interval=19s")(project.service)
    append(".editorconfig", "\n[*.sql]\nindent_size = 4\n")(project.service)
    project.push()
    result = project.job()
    assert result.returncode == 0, result.stdout + result.stderr
    [request] = project.gitlab.merge_requests
    assert request["title"] == f"Draft: Update the service template from {BEFORE} to {AFTER}"
    assert "settle `.editorconfig` `image/Dockerfile`;" in request["description"]
    branch = project.branch()
    assert "<<<<<<< before updating" in (branch / "image/Dockerfile").read_text()
    message = git(branch, "show", "--no-patch", "--format=%B")
    assert "A note of the second release." in message
    assert "\n  image/Dockerfile\n" in message
    assert "git reset" not in message
    # The gate of the merge request's own pipeline.
    checked = subprocess.run(
        ["python3", "ci/conformance", "repo"], cwd=branch, capture_output=True, text=True
    )
    assert checked.returncode == 1
    assert "UPD-001" in checked.stdout


def test_a_persons_commits_are_left_alone(project: Project) -> None:
    project.release("v1000.1.0")
    assert project.job().returncode == 0
    branch = project.branch()
    write("docs/settled.md", "By hand.\n")(branch)
    commit_all(branch, "Settle")
    git(branch, "push", "--quiet", "origin", "HEAD")
    tip = project.tip()
    assert project.job().returncode == 0
    project.release("v1000.2.0")
    result = project.job()
    assert result.returncode == 1
    assert "has a commit of a person" in result.stderr
    assert project.tip() == tip
    # Merged, and the branch kept.
    git(project.gitlab.repository, "update-ref", "refs/heads/main", BRANCH)
    result = project.job()
    assert result.returncode == 0, result.stderr
    assert project.gitlab.merge_requests[-1]["title"].endswith("from v1000.1.0 to v1000.2.0")


def test_what_goes_wrong_is_said_and_changes_nothing(project: Project) -> None:
    def refusal(**env: str) -> str:
        before = git(project.gitlab.repository, "for-each-ref")
        result = project.job(**env)
        assert result.returncode == 1
        assert git(project.gitlab.repository, "for-each-ref") == before
        assert project.gitlab.merge_requests == []
        return result.stderr

    assert "TEMPLATE_UPDATE_TOKEN is not set" in refusal(TEMPLATE_UPDATE_TOKEN="")
    assert "CI_COMMIT_BRANCH is not set" in refusal(CI_COMMIT_BRANCH="")
    project.release("v1000.1.0")
    wrong = refusal(TEMPLATE_UPDATE_TOKEN="glpat-wrong")
    assert "error: cannot read http" in wrong
    assert "scope write_repository" in wrong
    assert "glpat-wrong" not in wrong
    assert "cannot read" in refusal(CI_PROJECT_URL="http://127.0.0.1:1/acme/payments")
    git(project.gitlab.repository, "config", "receive.advertisePushOptions", "false")
    assert f"error: cannot push {BRANCH}" in refusal()
    git(project.gitlab.repository, "config", "receive.advertisePushOptions", "true")

    (project.directory / "bin/copier").write_text("#!/bin/sh\necho Traceback >&2\nexit 1\n")
    assert "error: there is no update" in refusal()
    (project.directory / "bin/copier").unlink()
    tools = project.directory / "few"
    tools.mkdir()
    for name in ("git", "sh", "mkdir", "rm", "mktemp"):
        (tools / name).symlink_to(str(shutil.which(name)))
    assert "the job's image has no copier" in refusal(PATH=str(tools))


def test_a_leaked_token_is_found(project: Project) -> None:
    """The usual way to push from a job: with the token in the URL."""
    substitute(
        "ci/pipeline/template-update.sh", "(?m)^remote=.*",
        'remote=$(echo "$CI_PROJECT_URL" | sed "s|://|://x:$TEMPLATE_UPDATE_TOKEN@|").git',
    )(project.service)  # fmt: skip
    project.push()
    project.release("v1000.1.0")
    with pytest.raises(AssertionError, match=re.escape(TOKEN)):
        project.job()


def test_the_token_goes_to_its_own_gitlab_only(project: Project, tmp_path: Path) -> None:
    """A template elsewhere that asks for a password does not get this one."""
    elsewhere = GitLab(tmp_path / "elsewhere", project.service, TOKEN)
    try:
        # It would have taken it.
        address = elsewhere.url.replace("://", f"://template-update:{quote(TOKEN, safe='')}@")
        assert git(tmp_path, "ls-remote", f"{address}/acme/payments.git")
        substitute(
            ".copier-answers.yml", "_src_path: .*", f"_src_path: {elsewhere.url}/acme/payments.git"
        )(project.service)
        project.push()
        result = project.job()
        assert result.returncode == 1
        assert "cannot read the template" in result.stdout
    finally:
        elsewhere.close()
