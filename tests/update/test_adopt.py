"""`make adopt`: projects that nobody made with the template, in ten layouts, and what they become.

Each is made here as small as its tools would have it, and comes with a remote.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml
from history import AFTER, BEFORE, CI, GUIDELINE, History, edited_platform_files, update

from rendering import ROOT, changed_files, commit_all, git, snapshot
from toolchains import tail

BRANCH = "adopt-template"
DIND = """\
build:
  image: docker:28
  services: [docker:28-dind]
  script:
    - docker build -t registry.acme.io/checkout/orders:$CI_COMMIT_SHORT_SHA .
"""
DOCKERFILE = "FROM docker.io/library/alpine:3.22\nCOPY . /app\nCMD /app/run\n"
MAKEFILE = "build:\n\t@echo ours\n"
# Beside the project's own, in every language.
ALWAYS = {
    ".devcontainer/devcontainer.json", ".editorconfig", ".gitattributes", ".pre-commit-config.yaml",
    "AGENTS.md", "catalog-info.yaml", "compose.yaml", "mkdocs.yml",
}  # fmt: skip
PLATFORM = ("specs/", "ci/", ".github/workflows/")
GITHUB = "github" if "github" in CI else "none"
ANSWERS = {"platform_code": False, "kubernetes": False, "tracing": False}


@dataclass
class Sample:
    """A project's files, and what is to become of it."""

    files: dict[str, str]
    answers: dict[str, str]
    beside: set[str]  # what lands as NAME.template
    plain: set[str] = field(default_factory=set)
    reason: str = ""
    updated: bool = True  # is an update tried, too? It takes as long as two of these
    remote: str = "git@git.acme.io:checkout/orders.git"


SAMPLES = {
    "go-dockerfile-at-root": Sample(
        {
            "go.mod": "module git.acme.io/checkout/orders\n\ngo 1.26\n",
            "go.sum": "",
            "cmd/orders/main.go": "package main\n\nfunc main() {}\n",
            "internal/shop/shop.go": "package shop\n",
            "Dockerfile": "FROM docker.io/library/golang:1.26 AS build\nFROM scratch\n",
            "Makefile": MAKEFILE + "IMAGE = registry.acme.io/checkout/orders\n",
            "README.md": "# Orders\n",
            ".gitignore": "*.lock\n/bin/\n",
            ".github/CODEOWNERS": "*.md @docs\n* @acme/checkout\n",
        },
        {
            "language": "go", "service_name": "orders", "module_root": "git.acme.io/checkout",
            "owner": "acme/checkout", "registry": "registry.acme.io/checkout",
            "runtime_base": "scratch", "ci": "gitlab",
        },
        {"Dockerfile", "Makefile", "README.md", ".gitignore", ".dockerignore", "CODEOWNERS",
         "ci/image/Dockerfile", ".gitlab-ci.yml"},
        {"renovate.json"},
    ),
    "go-module-below": Sample(
        {
            "backend/go.mod": "module git.acme.io/checkout/orders/backend\n\ngo 1.26\n",
            "backend/main.go": "package main\n\nfunc main() {}\n",
            "backend/Dockerfile": DOCKERFILE,
            "web/index.js": "export {}\n",
        },
        {"language": "go", "service_name": "orders", "module_root": "git.acme.io/checkout"},
        {"image/Dockerfile", "Makefile", "README.md", ".gitignore", ".dockerignore",
         "ci/image/Dockerfile", ".gitlab-ci.yml"},
        {"CODEOWNERS", "renovate.json"},
        reason="its go.mod is in backend/", updated=False,
    ),
    "spring-boot-gradle": Sample(
        {
            "settings.gradle.kts": 'rootProject.name = "orders"\n',
            "build.gradle.kts": (
                'plugins { id("org.springframework.boot") version "4.0.1" }\n'
                'group = "io.acme.checkout"\ndescription = "Takes orders"\n'
            ),
            "gradlew": "#!/bin/sh\n",
            "src/main/java/io/acme/checkout/App.java": "package io.acme.checkout;\nclass App {}\n",
            "package.json": '{"name": "hooks", "private": true}\n',
        },
        {"language": "java", "service_name": "orders", "module_root": "io.acme.checkout",
         "description": "Takes orders", "owner": "checkout"},
        {"image/Dockerfile", "Makefile", "README.md", ".gitignore", ".dockerignore", "mvnw",
         ".mvn/jvm.config", ".mvn/maven.config", ".mvn/wrapper/maven-wrapper.properties",
         "ci/image/Dockerfile", ".gitlab-ci.yml"},
        {"CODEOWNERS", "renovate.json"},
        reason="it builds with Gradle (build.gradle.kts)", updated=False,
    ),
    "spring-boot-maven": Sample(
        {
            "pom.xml": (
                '<project xmlns="http://maven.apache.org/POM/4.0.0"><parent>'
                "<groupId>org.springframework.boot</groupId><artifactId>x</artifactId></parent>"
                "<groupId>io.acme</groupId><artifactId>orders</artifactId></project>\n"
            ),
            "mvnw": "#!/bin/sh\n",
            ".mvn/wrapper/maven-wrapper.properties": "distributionUrl=x\n",
            "src/main/java/io/acme/App.java": "package io.acme;\nclass App {}\n",
            "Dockerfile": "FROM docker.io/library/eclipse-temurin:25-jre-alpine\nCMD x\n",
        },
        {"language": "java", "service_name": "orders", "module_root": "io.acme",
         "runtime_base": "jre-alpine"},
        {"Dockerfile", "README.md", ".gitignore", ".dockerignore", "mvnw", ".mvn/jvm.config",
         ".mvn/maven.config", ".mvn/wrapper/maven-wrapper.properties", ".gitlab-ci.yml"},
        {"Makefile", "CODEOWNERS", "renovate.json", "ci/image/Dockerfile"},
    ),
    "poetry": Sample(
        {
            "pyproject.toml": (
                '[tool.poetry]\nname = "orders_api"\ndescription = "Takes \\"orders\\""\n'
            ),
            "poetry.lock": "# locked\n",
            "orders_api/__init__.py": "",
            ".python-version": "3.12\n",
            "renovate.json5": "{}\n",
        },
        {"language": "python", "service_name": "orders-api", "description": 'Takes "orders"'},
        {"image/Dockerfile", "Makefile", "README.md", ".gitignore", ".dockerignore",
         ".python-version", "renovate.json", "ci/image/Dockerfile", ".gitlab-ci.yml"},
        {"CODEOWNERS"},
        reason="it builds with Poetry (poetry.lock)",
    ),
    "pip": Sample(
        {
            "requirements.txt": "fastapi==0.116.0\n",
            "app/main.py": "app = None\n",
            "Jenkinsfile": "node { sh 'docker build -t registry.acme.io/py/orders .' }\n",
            "docker/Dockerfile": DOCKERFILE,
        },
        {"language": "python", "service_name": "orders", "ci": "none",
         "registry": "registry.acme.io/py"},
        {"image/Dockerfile", "Makefile", "README.md", ".gitignore", ".dockerignore",
         ".python-version", "ci/image/Dockerfile"},
        {"CODEOWNERS", "renovate.json"},
        reason="its dependencies are in requirements.txt, and not in a uv.lock", updated=False,
    ),
    "pnpm": Sample(
        {
            "package.json": '{"name": "@acme/orders", "packageManager": "pnpm@10.1.0"}\n',
            "pnpm-lock.yaml": "lockfileVersion: '9.0'\n",
            "tsconfig.json": "{}\n",
            "src/server.ts": "export {}\n",
            ".nvmrc": "22\n",
        },
        {"language": "node", "service_name": "orders", "registry": "registry.gitlab.com/acme/shop",
         "owner": "acme/shop"},
        {"image/Dockerfile", "Makefile", "README.md", ".gitignore", ".dockerignore",
         ".node-version", ".npmrc", "biome.json", "tsconfig.json", "tsconfig.build.json",
         "ci/image/Dockerfile", ".gitlab-ci.yml"},
        {"CODEOWNERS", "renovate.json"},
        reason="it builds with pnpm (pnpm-lock.yaml)",
        remote="https://robot:s3cret@gitlab.com/acme/shop/orders.git",
    ),
    "npm-workspace": Sample(
        {
            "package.json": '{"name": "root", "private": true, "workspaces": ["packages/*"]}\n',
            "package-lock.json": "{}\n",
            "packages/orders/package.json": '{"name": "@acme/orders"}\n',
            "packages/orders/index.ts": "export {}\n",
            "GNUmakefile": MAKEFILE,
        },
        {"language": "node", "service_name": "orders", "registry": "ghcr.io/acme", "ci": GITHUB},
        {"image/Dockerfile", "Makefile", "README.md", ".gitignore", ".dockerignore",
         ".node-version", ".npmrc", "biome.json", "tsconfig.json", "tsconfig.build.json",
         "ci/image/Dockerfile",
         *([".github/workflows/ci.yml"] if GITHUB == "github" else [])},
        {"CODEOWNERS", "renovate.json"},
        reason="it is a workspace (package.json)", updated=False,
        remote="ssh://git@github.com/Acme/Orders.git",
    ),
    "rust-workspace": Sample(
        {
            "Cargo.toml": '[workspace]\nmembers = ["crates/*"]\n',
            "Cargo.lock": "version = 4\n",
            "crates/orders/Cargo.toml": '[package]\nname = "orders"\nversion = "0.1.0"\n',
            "crates/orders/src/main.rs": "fn main() {}\n",
        },
        {"language": "rust", "service_name": "orders"},
        {"image/Dockerfile", "Makefile", "README.md", ".gitignore", ".dockerignore",
         "ci/image/Dockerfile", ".gitlab-ci.yml"},
        {"CODEOWNERS", "renovate.json"},
        reason="it is a workspace (Cargo.toml)", updated=False,
    ),
    "gitlab-docker-in-docker": Sample(
        {
            "Cargo.toml": '[package]\nname = "orders"\nversion = "0.1.0"\n',
            "Cargo.lock": "version = 4\n",
            "src/main.rs": "fn main() {}\n",
            "tests/it.rs": "",
            "image/Dockerfile": DOCKERFILE,
            ".gitlab-ci.yml": DIND,
        },
        {"language": "rust", "service_name": "orders", "ci": "gitlab",
         "registry": "registry.acme.io/checkout"},
        {"image/Dockerfile", "README.md", ".gitignore", ".dockerignore", ".gitlab-ci.yml"},
        {"Makefile", "CODEOWNERS", "renovate.json", "ci/image/Dockerfile"},
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def checkout(history: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the template, on its last release but one, with the scripts of this one."""
    place = tmp_path_factory.mktemp("adopt") / "checkout"
    source = str(history.repository)
    git(place.parent, "clone", "--quiet", "--branch", BEFORE, source, str(place))
    (place / "scripts").mkdir()
    for name in ("adopt.py", "layout.py", "releases.py", "source.sh"):
        shutil.copy2(ROOT / "scripts" / name, place / "scripts")
    commit_all(place, "Scripts")
    return place


def adopt(
    checkout: Path,
    project: Path | str,
    *options: str,
    cwd: Path | None = None,
    early: bool = False,
    **env: str,
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", str(ROOT / "tests/quick_copier.py"),
               str(checkout / "scripts/adopt.py"), str(project), *options]  # fmt: skip
    if early:  # It refuses before it comes to Copier.
        del command[3]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True,
    )  # fmt: skip


def make_project(place: Path, sample: Sample) -> Path:
    for path, text in sample.files.items():
        file = place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if path in ("mvnw", "gradlew"):
            file.chmod(0o755)
    git(place, "init", "--quiet")
    git(place, "remote", "add", "origin", sample.remote)
    commit_all(place, "Ours")
    return place


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "orders", SAMPLES["go-dockerfile-at-root"])


def answers_of(project: Path) -> dict[str, Any]:
    answers: dict[str, Any] = yaml.safe_load((project / ".copier-answers.yml").read_text())
    return answers


def status(project: Path) -> str:
    return git(project, "status", "--porcelain")


def beside(project: Path) -> set[str]:
    listed = git(project, "ls-files", "-z", "--", "*.template").split("\0")
    return {path.removesuffix(".template") for path in listed if path}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_project_is_brought_under_the_template(
    name: str, checkout: Path, history: History, tmp_path: Path
) -> None:
    sample = SAMPLES[name]
    project = make_project(tmp_path / "orders", sample)
    before, head = snapshot(project), git(project, "rev-parse", "HEAD")

    result = adopt(checkout, project, "--defaults")
    assert result.returncode == 0, tail(result)
    said = result.stdout + result.stderr
    assert "Traceback" not in said
    assert "s3cret" not in said
    # Nothing of the project's is touched, committed or left out of git.
    after = snapshot(project)
    assert {path: after.get(path) for path in before if ".git/" not in path} == before
    assert git(project, "rev-parse", "HEAD") == head
    assert git(project, "branch", "--show-current").strip() == BRANCH
    assert all(line.startswith("A  ") for line in status(project).splitlines()), status(project)
    assert git(project, "ls-files", "--", "ci/platform.lock").strip()

    answers = answers_of(project)
    assert answers | ANSWERS | sample.answers == answers
    assert (answers["_src_path"], answers["_commit"]) == (str(history.repository), BEFORE)
    pipelines = {"ci/signing/cosign.pub"} if answers["ci"] != "none" else set()
    wanted = sample.beside | ALWAYS | pipelines
    assert beside(project) == wanted
    added = {path for path in after.keys() - before.keys() if not path.endswith(".template")}
    others = {path for path in added if not path.startswith(PLATFORM)}
    assert others - {".copier-answers.yml"} == sample.plain - {"ci/image/Dockerfile"}
    assert ("ci/image/Dockerfile" in added) == ("ci/image/Dockerfile" in sample.plain)
    assert edited_platform_files(project) == set()
    assert ("ci/gitlab/pipeline.yml" in added) == (answers["ci"] == "gitlab")

    # It says why, and ends with the list.
    for path in wanted:
        assert f"  {path}.template " in result.stderr
        assert f"{path}.template: " in result.stdout
    misfit = "Dockerfiles and Makefile are not for this project as it is"
    assert (f"{misfit}: {sample.reason}" if sample.reason else "") in result.stderr
    assert (misfit in result.stderr) == bool(sample.reason)
    assert "orders: what is met, and what is missing, in the order to do it" in result.stdout
    assert result.stdout.index("\nthe template\n") < result.stdout.index("\nbeside yours")

    if not sample.updated:
        return
    # The next release comes as to every service, and touches nothing of the project's either.
    commit_all(project, "Adopt")
    plain = {path for path in sample.files if path not in sample.beside}
    result = update(project)
    assert answers_of(project)["_commit"] == AFTER, result.stderr
    assert "A later rule" in (project / GUIDELINE).read_text()
    assert edited_platform_files(project) == set()
    updated = snapshot(project)
    assert {path: updated[path] for path in plain} == {path: before[path] for path in plain}
    # What the project does not have, no update brings, and what is its own as a whole conflicts
    # where the release changes the template's: it is listed, and one command keeps the project's.
    expected = sample.files.keys() | (after.keys() - before.keys())
    new = {path for path in updated.keys() - expected if not path.startswith(("ci/", "specs/"))}
    assert new == {".hadolint.yaml"}
    left = [line[3:] for line in status(project).splitlines() if line.startswith("UU ")]
    assert set(left) <= sample.files.keys() & sample.beside
    assert result.returncode == (1 if left else 0), result.stderr
    for path in left:
        git(project, "checkout", "--ours", "--", path)
    final = snapshot(project)
    assert {path: final[path] for path in before} == before


def test_once_all_is_merged_the_checks_pass_and_make_update_merges(
    checkout: Path, project: Path
) -> None:
    assert adopt(checkout, project, "--defaults").returncode == 0
    for path in beside(project):
        (project / f"{path}.template").replace(project / path)
    (project / "image").mkdir()
    (project / "Dockerfile").rename(project / "image/Dockerfile")
    (project / "Dockerfile").symlink_to("image/Dockerfile")
    with (project / "Makefile").open("a") as file:
        file.write("\n" + MAKEFILE.replace("build", "ours"))
    commit_all(project, "Adopt")
    checks = [sys.executable, "-B", "ci/conformance", "repo"]
    result = subprocess.run(checks, cwd=project, capture_output=True, text=True)
    assert result.returncode == 0, tail(result)

    quick = f"{sys.executable} -W ignore {ROOT / 'tests/quick_copier.py'}"
    result = subprocess.run(
        ["make", "--no-print-directory", "update"], cwd=project,
        env={**os.environ, "COPIER": quick}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True,
    )  # fmt: skip
    # They have the template's text and the project's lines.
    assert result.returncode == 0, tail(result)
    assert answers_of(project)["_commit"] == AFTER
    assert "## Build the image\n" in (project / "Makefile").read_text()
    assert "@echo ours" in (project / "Makefile").read_text()
    assert "--interval=17s" in (project / "image/Dockerfile").read_text()


# What it is told


def test_it_asks_with_what_it_worked_out_as_the_defaults(checkout: Path, project: Path) -> None:
    child = pexpect.spawn(
        sys.executable, ["-W", "ignore", str(checkout / "scripts/adopt.py"), str(project)],
        dimensions=(40, 80), encoding="utf-8", timeout=60,
        env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
    )  # fmt: skip
    for question, answer in {
        "What is the service called?": "",
        "What does it do?": "\x01\x0bTakes orders",
        "Which team owns it?": "",
        "Which language is it written in?": "",
        "What does its production image stand on?": "",
        "What builds and publishes its image?": "",
        "Which registry keeps its images?": "",
        "Which prefix do its Go modules have?": "",
    }.items():
        child.expect_exact(question)
        child.send(f"{answer}\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    asked = {"description": "Takes orders"}
    answers = answers_of(project)
    assert answers | ANSWERS | SAMPLES["go-dockerfile-at-root"].answers | asked == answers


def test_data_answers_and_chooses_what_is_read_and_all_can_be_undone(
    checkout: Path, project: Path
) -> None:
    (project / "pyproject.toml").write_text('[project]\nname = "forecasts"\n')
    commit_all(project, "Two languages")
    before, branch = snapshot(project), git(project, "branch", "--show-current").strip()
    data = "language=python owner=acme/data description=Tells the weather of tomorrow"
    result = adopt(checkout, project, "--defaults", DATA=data)
    assert result.returncode == 0, tail(result)
    answers = answers_of(project)
    assert (answers["language"], answers["service_name"]) == ("python", "forecasts")
    assert (answers["owner"], answers["description"]) == (
        "acme/data", "Tells the weather of tomorrow",
    )  # fmt: skip
    undo = result.stdout.rsplit("commit: ", 1)[1]
    assert undo.strip().endswith(f"git switch {branch} && git branch -D {BRANCH}")
    subprocess.run(undo, shell=True, cwd=project, check=True, capture_output=True)
    assert changed_files(project, before) == []
    assert git(project, "branch").split() == ["*", branch]


def test_what_cannot_be_read_or_is_refused_is_passed_over(checkout: Path, tmp_path: Path) -> None:
    broken = Sample(
        {"pyproject.toml": "[[[", "package.json": "[1, {", "pom.xml": "<a", "setup.cfg": "x",
         "a.py": "", "CODEOWNERS": "\x00\n* @Acme/Check_!out\n"},
        {}, set(),
    )  # fmt: skip
    project = make_project(tmp_path / "Über Orders", broken)
    result = adopt(checkout, project, "--defaults")
    assert result.returncode == 0, tail(result)
    assert answers_of(project)["language"] == "python"
    assert answers_of(project)["service_name"] == "orders"
    assert answers_of(project)["owner"] == "platform"
    refused_by_the_template = "since the template does not take acme/check_!out"
    assert f"owner is platform, the template's default, {refused_by_the_template}" in result.stderr


def test_a_service_below_a_repositorys_root(checkout: Path, tmp_path: Path) -> None:
    make_project(tmp_path / "mono", Sample({"README.md": "# All\n"}, {}, set()))
    for path, text in SAMPLES["go-dockerfile-at-root"].files.items():
        file = tmp_path / "mono/services/orders" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    # And one that has a file where the platform's belongs.
    (tmp_path / "mono/services/orders/specs").mkdir()
    (tmp_path / "mono/services/orders/specs/README.md").write_text("ours\n")
    commit_all(tmp_path / "mono", "Orders")
    result = adopt(checkout, "mono/services/orders", "--defaults", cwd=tmp_path)
    assert result.returncode == 0, tail(result)
    assert "GitLab reads the root's .gitlab-ci.yml" in " ".join(result.stdout.split())
    changed = {line[3:].split("/")[0] for line in status(tmp_path / "mono").splitlines()}
    assert changed == {"services"}
    assert (tmp_path / "mono/services/orders/specs/README.md").read_text() == "ours\n"
    assert (tmp_path / "mono/services/orders/specs/README.md.template").exists()
    assert "the platform's file belongs here: move yours elsewhere" in result.stderr


def test_settings_and_hooks_of_a_person_do_not_steer_it(
    checkout: Path, project: Path, tmp_path: Path
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction"):
        (hooks / name).write_text("#!/bin/sh\necho a hook >&2\nexit 1\n")
        (hooks / name).chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[core]\n\thooksPath = {hooks}\n\tautocrlf = input\n\tsafecrlf = true\n"
        "\tquotePath = true\n[color]\n\tui = always\n[column]\n\tui = always\n"
        "[status]\n\tshowUntrackedFiles = no\n\tshort = true\n[user]\n\tname = A\n\temail = a@b.c\n"
    )
    other = tmp_path / "other"
    other.mkdir()
    commit_all(other, "Other")
    result = adopt(
        checkout, project, "--defaults", GIT_CONFIG_GLOBAL=str(config),
        GIT_DIR=str(other / ".git"), GIT_WORK_TREE=str(other),
    )  # fmt: skip
    assert result.returncode == 0, tail(result)
    assert "a hook" not in result.stderr
    assert git(project, "branch", "--show-current").strip() == BRANCH
    assert git(other, "branch", "--show-current").strip() != BRANCH


def test_make_adopt_hands_its_words_on() -> None:
    for words, expected in {
        "": "adopt: say which: make adopt DEST=../existing",
        "DEST=../not here": "adopt: ../not here does not exist; DEST is the project to adopt",
    }.items():
        command = ["make", "--no-print-directory", "--old-file=.venv/.copier", "adopt"]
        result = subprocess.run(
            [*command, *([words] if words else [])], cwd=ROOT, capture_output=True, text=True
        )
        assert result.returncode == 2
        assert result.stderr.startswith(expected), result.stderr


# What it refuses: one line that says what to do, and nothing is changed


@pytest.fixture
def unchanged(project: Path) -> Iterator[None]:
    before = snapshot(project)
    branch = git(project, "branch", "--show-current")
    yield
    assert changed_files(project, before) == []
    assert git(project, "branch", "--show-current") == branch


def refused(
    checkout: Path, project: Path | str, *options: str, early: bool = True, **given: Any
) -> str:
    result = adopt(checkout, project, *options, early=early, **given)
    assert result.returncode == 2, tail(result)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    return result.stderr


def test_a_place_that_is_not_there_or_no_directory(checkout: Path, tmp_path: Path) -> None:
    assert "nowhere does not exist; DEST is the project to adopt" in refused(
        checkout, "nowhere", "--defaults", cwd=tmp_path
    )
    (tmp_path / "file").touch()
    assert "file is not a directory" in refused(checkout, tmp_path / "file")


def test_no_repository_or_no_commit(checkout: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    assert "is not a git repository" in refused(checkout, plain, "--defaults")
    git(plain, "init", "--quiet")
    assert "has no commit to go back to" in refused(checkout, plain, "--defaults")


@pytest.mark.parametrize("path", ["new.txt", "go.mod"])
def test_a_dirty_tree(checkout: Path, project: Path, path: str) -> None:
    git(project, "config", "status.showUntrackedFiles", "no")
    with (project / path).open("a") as file:
        file.write("// ours\n")
    said = refused(checkout, project, "--defaults")
    assert "uncommitted changes; commit or stash them first" in said
    assert path in said
    assert git(project, "branch", "--show-current").strip() == "main"
    assert (project / path).read_text().endswith("// ours\n")


def test_a_service_of_a_template(checkout: Path, project: Path) -> None:
    (project / ".copier-answers.yml").write_text("_src_path: x\n")
    commit_all(project, "Answers")
    said = refused(checkout, project, "--defaults")
    assert "under a template already" in said
    assert "make update" in said


def test_a_branch_of_that_name(checkout: Path, project: Path, unchanged: None) -> None:
    git(project, "branch", BRANCH)
    assert f"git branch -D {BRANCH}" in refused(checkout, project, "--defaults")


def test_the_template_itself(checkout: Path) -> None:
    said = refused(checkout, checkout, "--defaults")
    assert "is in this checkout of the template" in said


def test_a_release_from_before(tmp_path: Path, project: Path, unchanged: None) -> None:
    """Its copy would have written source."""
    old = tmp_path / "old"
    (old / "scripts").mkdir(parents=True)
    for name in ("adopt.py", "layout.py", "releases.py", "source.sh"):
        shutil.copy2(ROOT / "scripts" / name, old / "scripts")
    (old / "copier.yml").write_text("service_name:\n  type: str\n")
    commit_all(old, "Old")
    git(old, "tag", "v0.2.0")
    assert "the release v0.2.0 of the template is older than adopting" in refused(
        old, project, "--defaults"
    )


def test_no_language(checkout: Path, tmp_path: Path) -> None:
    project = make_project(tmp_path / "x", Sample({"README.md": "# X\n"}, {}, set()))
    said = refused(checkout, project, "--defaults")
    assert "cannot tell the language" in said
    assert 'DATA="language=go"' in said
    result = adopt(checkout, project, "--defaults", DATA="language=go")
    assert result.returncode == 0, tail(result)
    assert answers_of(project)["service_name"] == "orders"  # as the remote
    assert "for this project as it is: it has none of go.mod, go.work" in result.stderr


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("servce_name=orders", '"servce_name" is no question'),
        ("service_name=Orders!", "Example: order-book."),
        ("platform_code=true", "platform_code is false in a project that brings its own code"),
    ],
)
def test_data_that_is_refused(
    checkout: Path, project: Path, unchanged: None, data: str, expected: str
) -> None:
    assert expected in refused(checkout, project, "--defaults", DATA=data)


def test_nobody_to_ask(checkout: Path, project: Path, unchanged: None) -> None:
    assert "no terminal to ask in; DEFAULTS=1 takes" in refused(checkout, project)


def test_a_file_where_a_directory_has_to_be(checkout: Path, project: Path) -> None:
    (project / "specs").write_text("ours\n")
    commit_all(project, "In the way")
    before = snapshot(project)
    said = refused(checkout, project, "--defaults", early=False)
    assert "specs is a file, and the template has a directory there" in said
    assert changed_files(project, before) == []


def test_a_link_that_leads_elsewhere(checkout: Path, project: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (project / "ci").symlink_to(tmp_path / "elsewhere")
    commit_all(project, "A link")
    assert "ci is a link" in refused(checkout, project, "--defaults", early=False)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_template_file_of_the_projects_own(checkout: Path, project: Path) -> None:
    (project / "Makefile.template").write_text("ours\n")
    commit_all(project, "Ours")
    said = refused(checkout, project, "--defaults", early=False)
    assert "Makefile.template exists" in said
    assert (project / "Makefile.template").read_text() == "ours\n"


@pytest.mark.parametrize("path", ["index.lock", f"refs/heads/{BRANCH}/other"])
def test_a_failure_half_way_leaves_the_project_as_it_was(
    checkout: Path, project: Path, unchanged: None, path: str
) -> None:
    """Git refuses the new files in the index, or the branch: by then they are all written."""
    before = status(project)
    obstacle = project / ".git" / path
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text(git(project, "rev-parse", "HEAD"))
    said = refused(checkout, project, "--defaults", early=False)
    obstacle.unlink()
    assert path.removeprefix("refs/heads/") in said
    assert "The project is as it was" in said
    assert status(project) == before == ""


def test_ctrl_c_leaves_the_project_as_it_was(
    checkout: Path, project: Path, unchanged: None, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(checkout / "scripts/adopt.py"), str(project),
         "--defaults"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr
    for line in process.stderr:
        if "worked out of" in line:
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted. The project is as it was" in said
    assert "Traceback" not in said
