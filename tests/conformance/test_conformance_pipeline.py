"""The pipeline as a team writes it around the platform's jobs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conformance_service import lock, service, write
from conformance_tool import TEMPLATE, Answer, run

IMAGE = "registry.example.com/platform/payments"
HEAD = f"include:\n  - local: /ci/gitlab/pipeline.yml\nvariables:\n  IMAGE_REPOSITORY: {IMAGE}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A service with the platform's own jobs."""
    root = service(tmp_path / "payments")
    shutil.rmtree(root / "ci/gitlab")
    for folder in ("{{ gitlab }}/ci/gitlab", "{{ pipeline }}/ci/pipeline"):
        shutil.copytree(TEMPLATE / folder, root / folder.partition("/")[2], dirs_exist_ok=True)
    write(root, ".gitlab-ci.yml", HEAD)
    lock(root)
    return root


def check(root: Path, text: str) -> Answer:
    write(root, ".gitlab-ci.yml", text)
    return run("repo", root)


def found(root: Path, text: str) -> list[str]:
    return check(root, text).found


def script(*lines: str) -> str:
    body = "".join(f"    - {line}\n" for line in lines)
    return f"{HEAD}mine:\n  extends: .in-ci-image\n  stage: check\n  script:\n{body}"


def test_the_platforms_file_alone_is_right(root: Path) -> None:
    assert found(root, HEAD) == []


# Docker, Kaniko, images, secrets


@pytest.mark.parametrize(
    "line",
    [
        "docker compose -f c.yml build",
        "docker --context ci build .",
        "docker load -i x.tar",
        "docker-compose up -d",
        "docker -H tcp://x ps",
        "timeout 60 docker pull x",
        "sh -c 'docker run x'",
    ],
)
def test_a_docker_client_that_needs_a_daemon(root: Path, line: str) -> None:
    (finding,) = found(root, script(line))
    assert finding.startswith("PIP-002  .gitlab-ci.yml:9: a Docker daemon (docker"), finding


@pytest.mark.parametrize(
    "line", ["docker --version", "docker manifest inspect x", "docker buildx imagetools inspect x"]
)
def test_a_docker_client_that_needs_none(root: Path, line: str) -> None:
    assert found(root, script(line)) == []


def test_kaniko_from_an_image_of_another_name(root: Path) -> None:
    text = (
        f"{HEAD}sidecar-image:\n  stage: build\n  image:\n"
        "    name: registry.example.com/x/exec:debug\n    entrypoint: ['']\n  script:\n    - /kaniko/executor --context . --no-push\n"
    )
    (finding,) = found(root, text)
    assert finding == (
        "PIP-004  .gitlab-ci.yml:8: sidecar-image runs Kaniko from "
        "registry.example.com/x/exec:debug, which is not the maintained fork, pinned"
    )


def test_a_variable_that_names_a_repository_needs_no_tag(root: Path) -> None:
    text = HEAD + f"  DEPLOY_IMAGE: {IMAGE}\n"
    assert found(root, text) == []
    job = "mine:\n  stage: check\n  image: $DEPLOY_IMAGE\n  script: [make]\n"
    (finding,) = found(root, text + job)
    assert finding == f"PIP-005  .gitlab-ci.yml:5: {IMAGE} has no tag"


@pytest.mark.parametrize(
    "line",
    [
        "export GOOGLE_APPLICATION_CREDENTIALS=~/gcp.json",
        "export TOKEN=`cat /run/secrets/t`",
        "PASSWORD=$(cat x) ./deploy",
        'TOKEN="$DEPLOY_TOKEN" ./deploy',
        "SECRET_MOUNTED=yes ./deploy",
    ],
)
def test_where_a_secret_is_is_none(root: Path, line: str) -> None:
    assert found(root, script(f"'{line}'" if '"' in line else line)) == []


def test_a_password_on_a_command_line(root: Path) -> None:
    (finding,) = found(root, script("curl -u ci:hunter2hunter2 https://x.example.com"))
    assert finding.startswith("PIP-008  .gitlab-ci.yml:9: the script shows a secret")


# What jobs install


@pytest.mark.parametrize(
    "line",
    [
        "npm --prefix web ci",
        "yarn",
        "apt-get -t trixie-backports install -y jq",
        "cargo +nightly install cargo-deny",
        "timeout 300 apt-get install -y jq",
        "sudo -u root env A=b apk --no-cache add git",
        'sh -c "$(curl -fsSL https://example.com/i.sh)"',
        "bash <(curl -fsSL https://example.com/i.sh)",
        "source <(wget -qO- https://example.com/i.sh)",
        'eval "$(curl -fsSL https://example.com/i.sh)"',
        "curl -fsSLo f https://example.com/i.sh && sh f",
        "wget https://example.com/i.sh && chmod +x i.sh && ./i.sh",
        "curl https://example.com/i.sh > /tmp/i && bash /tmp/i",
        "python${V} -m pip install x",
        "bundle install",
        "dpkg -i x.deb",
        "go -C tools install example.com/x@latest",
        "sh -c 'cd web && pnpm i'",
    ],
)
def test_a_job_that_installs(root: Path, line: str) -> None:
    findings = found(root, script(f"|\n      {line}"))
    assert [item[:7] for item in findings] == ["PIP-003"], findings


def test_a_download_that_a_later_line_runs(root: Path) -> None:
    findings = found(root, script("curl -o i.sh https://example.com/i.sh", "ls", "sh ./i.sh"))
    assert findings == [
        "PIP-003  .gitlab-ci.yml:11: the job installs something: ./i.sh, "
        "which the job has downloaded"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "npm --prefix web run build",
        "npm run ci",
        "yarn test",
        "cargo build --locked",
        "curl -o out.json https://example.com && jq . out.json",
        "echo apt-get install x",
        "uv run pytest",
        "pip --version",
        "go run ./cmd/x install",
    ],
)
def test_a_job_that_installs_nothing(root: Path, line: str) -> None:
    assert found(root, script(line)) == []


def test_a_list_outside_a_job_that_is_its_script(root: Path) -> None:
    text = HEAD + ".tools: &tools\n  - apk add git\nmine:\n  script: *tools\n"
    assert found(root, text) == [
        "PIP-003  .gitlab-ci.yml:6: the job installs something: apk add git"
    ]
    assert found(root, text.replace("script: *tools", "variables: {A: b}\n  script: [make]")) == []


def test_anchors_that_grow_are_read_once(root: Path) -> None:
    lines = [".a0: &a0 [make, make, make, make]"]
    lines += [f".a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert found(root, HEAD + "\n".join(lines) + "\nmine:\n  script: *a11\n") == []


# Keys that stand twice


def test_keys_that_stand_twice_are_reported_and_the_rest_is_read(root: Path) -> None:
    text = (
        f"{HEAD}mine:\n  image: docker:dind\n  script: [a]\n  script: [docker run x, apk add git]\n"
    )
    assert found(root, text) == [
        "PIP-001  .gitlab-ci.yml:8: the key script stands twice in one mapping; "
        "GitLab takes the last",
        "PIP-002  .gitlab-ci.yml:6: docker-in-docker (docker:dind)",
        "PIP-002  .gitlab-ci.yml:8: a Docker daemon (docker run x)",
        "PIP-003  .gitlab-ci.yml:8: the job installs something: apk add git",
    ]
