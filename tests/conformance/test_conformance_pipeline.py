"""The pipeline as a team writes it around the platform's jobs."""

# The files of a team, each on one line.
# ruff: noqa: E501

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
        "/kaniko/executor --secret id=packages,env=CREDENTIALS .",
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


# The effective pipeline


def ids(root: Path, text: str) -> list[str]:
    return [item[:7] for item in found(root, text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages: [go]\nrelease:\n  stage: go\n  script: [make image]\n", "does not include"),
        (
            "include:\n  - local: /ci/gitlab/pipeline.yml\n    rules:\n      - if: $NEVER\n",
            "is included under rules",
        ),
        (
            "include:\n  - local: /ci/mine.yml\n    rules:\n      - if: $NEVER\n",
            "does not include",
        ),
        ("child:\n  trigger:\n    include: ci/gitlab/pipeline.yml\n", "only a child pipeline"),
        ("include: /ci/gitlab/template-update.yml\n", "does not include"),
    ],
)
def test_a_pipeline_without_the_platforms_jobs(root: Path, text: str, words: str) -> None:
    write(root, "ci/mine.yml", "include: /ci/gitlab/pipeline.yml\n")
    findings = [item for item in found(root, text) if item.startswith("PIP-009")]
    assert len(findings) == 1, findings
    assert words in findings[0]


@pytest.mark.parametrize(
    "text",
    [
        "include: /ci/gitlab/pipeline.yml\n",
        "include: ci/mine.yml\n",
        "include:\n  - local: ci/gitlab/*.yml\n",
        "include:\n  - {local: /ci/gitlab/pipeline.yml}\n  - {local: /ci/x.yml, rules: [{if: $X}]}\n",
    ],
)
def test_a_pipeline_with_them(root: Path, text: str) -> None:
    write(root, "ci/mine.yml", "include: /ci/gitlab/pipeline.yml\n")
    write(root, "ci/x.yml", "x: {stage: check, script: [make x]}\n")
    assert found(root, text) == []


ALTERED = {
    ".in-ci-image:\n  before_script: ['exit 0']\n": ".in-ci-image is the platform's job, and before_script",
    "publish:\n  before_script: [cp a b]\n": "publish is the platform's job, and before_script",
    "verify:\n  script: ['true']\n  allow_failure: true\n": "verify is the platform's job, and allow_failure, script",
    ".publishes:\n  rules: [{when: always}]\n": ".publishes is the platform's job, and rules",
    "test:\n  image: docker.io/x/y:1\n": "test is the platform's job, and image",
    "lint:\n  interruptible: false\n  parallel: 2\n": "lint is the platform's job, and interruptible, parallel",
    "build:\n  after_script: [make x]\n": "build is the platform's job, and after_script",
    ".in-kaniko:\n  image: docker.io/evil/kaniko:v1.28.3-alpine@sha256:" + "a" * 64 + "\n": "another program",
    ".in-crane:\n  image:\n    name: docker.io/x/shell:1\n": "another program",
    "build:\n  variables: {SOURCE_DIR: x}\n": "the variable SOURCE_DIR is set here",
    "default:\n  before_script: [exit 0]\n": "default sets before_script",
    "default:\n  hooks: {pre_get_sources_script: [x]}\n": "default sets hooks",
    "before_script: [exit 0]\n": "before_script stands before all jobs",
    "stages: [prepare, build, check, publish, promote, deploy]\n": "stages does not have",
    "workflow:\n  rules: [{when: never}]\n": "workflow starts no pipeline for a schedule, a tag",
    "workflow:\n  rules: [{if: $CI_MERGE_REQUEST_IID}, {if: $CI_COMMIT_TAG}]\n": "for a schedule, a push to the",
    "workflow:\n  rules: [{if: '$CI_PIPELINE_SOURCE == \"schedule\"', when: never}, {when: always}]\n": "a schedule",
    "workflow:\n  rules: [{if: $CI_COMMIT_BRANCH, changes: [src/**]}, {if: $CI_COMMIT_TAG}]\n": "a schedule, a push",
}  # fmt: skip


@pytest.mark.parametrize("text", ALTERED)
def test_what_a_team_may_not_set(root: Path, text: str) -> None:
    (finding,) = [item for item in found(root, HEAD + text) if not item.startswith("PIP-004")]
    assert finding.startswith("PIP-009  .gitlab-ci.yml:")
    assert ALTERED[text] in finding


@pytest.mark.parametrize(
    "name", ["SOURCE_DIR", "BUILDER_IMAGE", "PATH", "CI_DEBUG_TRACE", "LD_PRELOAD"]
)
def test_a_variable_that_the_platforms_jobs_read(root: Path, name: str) -> None:
    (finding,) = found(root, f"{HEAD}  {name}: docker.io/x/y:1\n")
    assert finding == (
        f"PIP-009  .gitlab-ci.yml:5: the variable {name} is set here, which the platform's jobs read"
    )


@pytest.mark.parametrize(
    "text",
    [
        "  REGISTRY_MAP: docker.io=x.example.com\n  CACHE_REPOSITORY: x.example.com/c\n  KANIKO_FLAGS: -v=debug\n",
        "  CI_IMAGE_REPOSITORY: x.example.com/ci\n  CI_IMAGE_FLAGS: --build-arg A=b\n  HTTPS_PROXY: http://p:1\n",
        "  SSL_CERT_FILE: /x\n  GOFLAGS: -p=1\n  DEPLOY_HOST: x.example.com\n",
        "build:\n  tags: [large]\n  timeout: 2h\n  retry: 1\n  variables: {KANIKO_FLAGS: -v=debug}\n",
        "test:\n  services: [docker.io/library/postgres:18]\n  cache: {paths: [.cache]}\n",
        ".in-crane:\n  image: mirror.example.com/crane/debug:v0.22.1\n",
        ".in-kaniko:\n  image:\n    name: mirror.example.com:5000/ghcr/osscontainertools/kaniko:"
        "v1.28.2-alpine@sha256:" + "a" * 64 + "\n",
        "default:\n  tags: [x]\n  image: docker.io/x/y:1\n  retry: 1\n  timeout: 1h\n",
        "stages: [prepare, check, build, scan, publish, promote, deploy, after]\n",
        "workflow:\n  name: $CI_COMMIT_TITLE\n",
        "workflow:\n  auto_cancel: {on_new_commit: none}\n",
        "workflow:\n  rules:\n    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH\n    - if: $CI_COMMIT_TAG\n",
        "workflow:\n  rules:\n    - if: $CI_COMMIT_TITLE =~ /^WIP/i\n      when: never\n    - when: always\n"
        .replace("- when: always", "- if: ($CI_COMMIT_TAG || $CI_COMMIT_BRANCH) && $CI_COMMIT_SHA != null"),
        "smoke:\n  extends: .in-ci-image\n  stage: check\n  script: [make smoke]\n",
        "rollout:\n  stage: deploy\n  when: manual\n  needs: [promote]\n  script: [make]\n",
    ],
)  # fmt: skip
def test_what_a_team_may_set(root: Path, text: str) -> None:
    """What docs/pipeline*.md tell teams, of 0.2.0 too."""
    assert found(root, HEAD + text) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Workflows/Branch-Pipelines.gitlab-ci.yml", []),
        ("Workflows/MergeRequest-Pipelines.gitlab-ci.yml", []),
    ],
)
def test_the_workflow_templates_of_gitlab_are_known(
    root: Path, name: str, expected: list[str]
) -> None:
    text = f"include:\n  - local: /ci/gitlab/pipeline.yml\n  - template: {name}\n"
    answer = check(root, text)
    assert (answer.found, "not read" in answer.out) == (expected, False), answer.out


@pytest.mark.parametrize(
    ("rules", "twice"),
    [
        ("[{when: always}]", True),
        ("[{if: $CI_MERGE_REQUEST_IID}, {if: $CI_COMMIT_TAG}, {if: $CI_COMMIT_BRANCH}]", True),
        (
            "[{if: '$CI_PIPELINE_SOURCE == \"merge_request_event\"'}, "
            "{if: '$CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS && $CI_PIPELINE_SOURCE == \"push\"', when: never}, "
            "{if: '$CI_COMMIT_BRANCH || $CI_COMMIT_TAG'}]",
            False,
        ),
        ("[{if: $CI_COMMIT_TAG}, {if: $CI_COMMIT_BRANCH}]", False),
    ],
)  # fmt: skip
def test_two_pipelines_for_one_push(root: Path, rules: str, twice: bool) -> None:
    assert ids(root, f"{HEAD}workflow:\n  rules: {rules}\n") == (["PIP-011"] if twice else [])


@pytest.mark.parametrize(
    ("include", "shown"),
    [
        ("template: Jobs/SAST.gitlab-ci.yml", "template: Jobs/SAST.gitlab-ci.yml"),
        ("project: x/y\n    ref: main\n    file: /a.yml", "project: x/y, ref: main, file: /a.yml"),
        ("remote: https://example.com/a.yml", "remote: https://example.com/a.yml"),
        ("component: $CI_SERVER_FQDN/x/y@1", "component: $CI_SERVER_FQDN/x/y@1"),
        ("local: /ci/$NAME.yml", "local: /ci/$NAME.yml"),
    ],
)
def test_what_cannot_be_read_here_is_listed(root: Path, include: str, shown: str) -> None:
    text = f"include:\n  - local: /ci/gitlab/pipeline.yml\n  - {include}\n"
    answer = check(root, text)
    assert answer.code == 0, answer.out
    assert answer.lines[0] == f"not read: .gitlab-ci.yml:3 {shown}"
    assert run("repo", root, "--strict").code == 0


def test_a_job_of_a_file_that_a_rule_includes_counts_too(root: Path) -> None:
    write(root, "ci/x.yml", "verify: {script: ['true']}\n")
    text = "include:\n  - local: /ci/gitlab/pipeline.yml\n  - local: /ci/x.yml\n"
    assert ids(root, text) == ["PIP-009"]
    assert ids(root, text + "    rules: [{if: $X}]\n") == ["PIP-009"]
