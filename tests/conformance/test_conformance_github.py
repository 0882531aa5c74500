"""The checks on GitHub's workflows: the platform's own, and faults planted around them."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conformance_service import edit, lock, service, write
from conformance_tool import TEMPLATE, run

IMAGE = "registry.example.com/platform/payments"
GOLDEN = Path(__file__).parents[1] / "golden" / "go-github"
TEAM = ".github/workflows/ci.yml"
BUILDS = ".github/workflows/pipeline.yml"
HANDS_OFF = ".github/workflows/hand-off.yml"
UPDATES = ".github/workflows/template-update.yml"
WATCHES = ".github/workflows/watch.yml"
RUNNER = "ci/github/run.sh"

Plant = Callable[[Path], object]


def workflow() -> str:
    """The team's workflow as a render has it."""
    text = (GOLDEN / TEAM).read_text(encoding="utf-8")
    return text.replace("ghcr.io/acme/payments", IMAGE)


def on_github(root: Path) -> Path:
    """A service with the platform's own workflows."""
    service(root)
    (root / ".gitlab-ci.yml").unlink()
    for folder in ("ci/gitlab", "ci/pipeline"):
        shutil.rmtree(root / folder)
    for tree in ("{{ github }}", "{{ pipeline }}"):
        shutil.copytree(TEMPLATE / tree, root, dirs_exist_ok=True)
    (root / f"{TEAM}.jinja").unlink()
    write(root, TEAM, workflow())
    write(root, ".copier-answers.yml", "ci: github\nlanguage: go\nplatform_code: false\n")
    return root


def test_the_platforms_workflows_alone_are_right(tmp_path: Path) -> None:
    answer = run("repo", on_github(tmp_path / "payments"), "--strict")
    assert answer.found == []
    assert answer.code == 0


def team(old: str, new: str) -> Plant:
    return lambda root: edit(root, TEAM, old, new)


def step(line: str) -> Plant:
    """Put a job of the team's between the two, with one step."""
    job = (
        "  mine:\n    needs: pipeline\n    runs-on: ubuntu-latest\n"
        f"    permissions:\n      contents: read\n    steps:\n      - {line}\n"
    )
    return team("  promote:\n", f"{job}\n  promote:\n")


def keys(text: str) -> Plant:
    """Give a job of the team's more keys."""
    job = f"  mine:\n    runs-on: ubuntu-latest\n    {text}\n    steps:\n      - run: make\n"
    return team("  promote:\n", f"{job}\n  promote:\n")


def platform(path: str, old: str, new: str) -> Plant:
    """Change a platform file as the platform would, lock included."""

    def plant(root: Path) -> None:
        before = (root / path).read_bytes()
        edit(root, path, old, new)
        sums = root / ("ci/pipeline" if "ci/pipeline" in path else "ci/github") / "platform.lock"
        sums.write_text(sums.read_text().replace(_sum(before), _sum((root / path).read_bytes())))

    return plant


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def another(name: str, text: str) -> Plant:
    return lambda root: write(root, f".github/workflows/{name}", text)


SECOND = (
    "name: other\non: push\npermissions: {}\njobs:\n  again:\n"
    "    uses: ./.github/workflows/promote.yml\n"
    "    permissions:\n      contents: read\n      packages: write\n"
    f"    with:\n      image-repository: {IMAGE}\n"
)
CHECKOUT = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd"

KANIKO = re.findall(
    r"^kaniko=(\S+)$", (TEMPLATE / "{{ github }}" / RUNNER).read_text("utf-8"), re.MULTILINE
)[0]

PLANTS: dict[str, list[Plant]] = {
    "PIP-001": [
        team("jobs:\n", "jobs: [\n"),
        team("permissions: {}\n", "permissions: {}\npermissions: {}\n"),
        step("uses: ./.github/actions/none"),
    ],
    "PIP-002": [
        step("run: docker build -t x ."),
        step("run: docker run --rm alpine:3 true"),
        step("run: sudo docker push x"),
        step("run: podman run --privileged x"),
        step("run: curl --unix-socket /var/run/docker.sock http://x"),
        step("uses: docker/build-push-action@263435318d21b8e681c14492fe198d362a7d2c83"),
        keys("container: {image: debian:13, options: --privileged}"),
        keys(f"container: {KANIKO}"),
        team(f'repository: "{IMAGE}"\n', f'repository: "{IMAGE}"\n      containers: true\n'),
        team(
            f'repository: "{IMAGE}"\n',
            f'repository: "{IMAGE}"\n      containers: true\n      runner: ubuntu-24.04\n',
        ),
        keys("container: {image: debian:13, volumes: [/var/run/docker.sock:/docker.sock]}"),
        keys("services: {docker: {image: docker:28-dind}}"),
        keys("env: {DOCKER_HOST: tcp://docker:2375}"),
        # The platform's own step, and no more than it.
        platform(RUNNER, "--cap-drop=ALL ", ""),
        platform(RUNNER, "--cap-add=FOWNER", "--cap-add=SYS_ADMIN"),
        platform(RUNNER, "--security-opt=no-new-privileges", "--security-opt=seccomp=unconfined"),
        platform(RUNNER, "docker run --rm", "docker run --rm --pid=host"),
        platform(RUNNER, '--volume "$PWD:/workspace"', "--volume /:/host"),
        platform(RUNNER, "docker load --quiet", "docker build --quiet"),
        platform("ci/pipeline/build.sh", "target=${1:-}", "target=${1:-}; docker pull x"),
    ],
    "PIP-003": [
        step("run: sudo apt-get install -y jq"),
        step("run: curl -fsSL https://example.com/install.sh | sh"),
        step("uses: actions/setup-node@6044e13b5dc448c55e2357c09f80417699197238"),
    ],
    "PIP-004": [
        team(
            f'repository: "{IMAGE}"\n',
            f'repository: "{IMAGE}"\n      kaniko-image: gcr.io/kaniko-project/executor:v1.23.2\n',
        ),
        platform(RUNNER, "-alpine@", "-debug@"),
        keys("container: {image: debian:13}\n    env: {RUN: /kaniko/executor}"),
    ],
    "PIP-005": [
        step("uses: actions/checkout@v6"),
        step("uses: docker://alpine:latest"),
        keys("container: debian"),
        keys("services: {db: {image: postgres:latest}}"),
        team(
            f'repository: "{IMAGE}"\n',
            f'repository: "{IMAGE}"\n      crane-image: mirror.example.com/crane:v0.22.1\n',
        ),
    ],
    "PIP-006": [platform("ci/pipeline/common.sh", "DEBUG_FROM=", "FROM=")],
    "PIP-007": [team('  schedule:\n    # Every week: the newest release is built anew on fresh '
                     'bases.\n    - cron: "1 0 * * 2"\n', ""),
                team("  workflow_dispatch:\n", "")],
    "PIP-008": [
        keys("env: {DEPLOY_TOKEN: abcdef}"),
        step("run: curl -u ci:hunter2hunter2 https://x.example.com"),
    ],
    "PIP-009": [
        team("/pipeline.yml\n    perm", "/pipeline.yml\n    if: false\n    perm"),
        team("    needs: [pipeline]\n", ""),
        team("    needs: [pipeline]\n", "    needs: [pipeline]\n    if: always()\n"),
        team('    tags: ["v[0-9]+.[0-9]+.[0-9]+*", "[0-9]+.[0-9]+.[0-9]+*"]\n', ""),
        team("  pull_request:\n", ""),
        lambda root: write(root, TEAM, workflow().partition("  # The team's own")[0]),
    ],
    "PIP-010": [lambda root: (root / "ci/image/Dockerfile").unlink()],
    "PIP-011": [team("    branches: [main]\n", '    branches: ["**"]\n')],
    "PIP-012": [
        team("permissions: {}\n", ""),
        team("permissions: {}\n", "permissions: write-all\n"),
        team("  pull_request:\n", "  pull_request:\n  pull_request_target:\n"),
        team("      packages: write\n", "      packages: read\n"),
        team("      packages: write\n", "      packages: write\n      actions: read\n"),
        platform(BUILDS, "      packages: read\n", "      packages: read\n      actions: read\n"),
        platform(HANDS_OFF, "      contents: read\n", "      contents: write\n"),
        platform(UPDATES, "permissions: {}\n", ""),
        platform(WATCHES, "permissions: {}\n", "permissions: {actions: write}\n"),
        platform(UPDATES, "  workflow_dispatch:\n", "  pull_request_target:\n"),
        lambda root: write(
            root, TEAM, re.sub(r"    secrets:\n(      .*\n)+", "    secrets: inherit\n", workflow())
        ),
    ],
    "PIP-013": [
        another("other.yml", SECOND),
        team(f'repository: "{IMAGE}"\n', f'repository: "{IMAGE}-x"\n'),
        team(
            f'hand-off.yml\n    permissions:\n      contents: read\n    with:\n'
            f'      image-repository: "{IMAGE}"\n',
            f'hand-off.yml\n    permissions:\n      contents: read\n    with:\n'
            f'      image-repository: "{IMAGE}-x"\n',
        ),
    ],
    "PIP-015": [
        keys("environment: signing"),
        keys("environment: {name: signing}"),
        step("run: make x\n        env: {KEY: '${{ secrets.COSIGN_PRIVATE_KEY }}'}"),
        lambda root: write(root, "ci/signing/cosign.key", PRIVATE_KEY),
    ],
}  # fmt: skip
PRIVATE_KEY = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
CASES = [
    pytest.param(check, plant, id=f"{check}-{number}")
    for check, group in PLANTS.items()
    for number, plant in enumerate(group, 1)
]


@pytest.mark.parametrize(("check", "plant"), CASES)
def test_a_planted_fault_is_found(tmp_path: Path, check: str, plant: Plant) -> None:
    root = on_github(tmp_path / "payments")
    plant(root)
    answer = run("repo", root, "--format", "json")
    assert check in answer.ids, answer.out
    # A second caller of promote.yml has no job that it needs, either.
    assert answer.ids <= {check, *({"PIP-009"} if check == "PIP-013" else set())}, answer.out


def test_bases_that_nobody_verifies_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job verify has the variable that the pipeline has."""
    root = on_github(tmp_path / "payments")
    monkeypatch.setenv("BASE_VERIFICATION", "off")
    assert run("repo", root, "--format", "json").ids == {"PIP-014"}
    monkeypatch.setenv("BASE_VERIFICATION", "on")
    assert run("repo", root, "--format", "json").ids == set()


def test_what_a_team_may_do(tmp_path: Path) -> None:
    """A job of its own between the two, in the CI image, and one behind the promotion."""
    root = on_github(tmp_path / "payments")
    text = re.sub(r"^  # ?(  .*|smoke-test:)$", r"  \1", workflow(), flags=re.MULTILINE)
    assert "\n  smoke-test:\n" in text
    text = text.replace("needs: [pipeline]", "needs: [pipeline, smoke-test]")
    text += (
        "\n  deploy:\n    needs: promote\n    runs-on: ubuntu-latest\n    permissions: {}\n"
        f"    environment: production\n    steps:\n      - uses: {CHECKOUT}\n      - run: make x\n"
    )
    write(root, TEAM, text)
    assert run("repo", root, "--strict").found == []


def test_runners_in_kubernetes_without_docker(tmp_path: Path) -> None:
    """Each job in a container of the pinned image, on runners of one's own."""
    root = on_github(tmp_path / "payments")
    given = f'repository: "{IMAGE}"\n'
    images = f"      crane-image: registry.example.com/crane@sha256:{'a' * 64}\n"
    runners = f"{given}      runner: kubernetes\n      containers: true\n{images}"
    before, calls, rest = workflow().partition("\n  promote:\n")
    before = before.replace(given, f"{runners}      kaniko-image: {KANIKO}\n", 1)
    write(root, TEAM, before + calls + rest.replace(given, runners, 1))
    assert run("repo", root, "--strict").found == []
    edit(root, TEAM, KANIKO, KANIKO.replace("-alpine", "-debug"))
    assert run("repo", root, "--format", "json").ids == {"PIP-004"}


def test_an_edit_of_a_platform_workflow_is_found(tmp_path: Path) -> None:
    root = on_github(tmp_path / "payments")
    edit(root, BUILDS, "timeout-minutes: 15", "timeout-minutes: 5")
    (finding,) = run("repo", root).found
    assert finding == f"PLT-002  {BUILDS}: the platform file was edited"
    (root / BUILDS).unlink()
    assert any(line.startswith(f"PLT-003  {BUILDS}") for line in run("repo", root).found)


def test_annotations(tmp_path: Path) -> None:
    root = on_github(tmp_path / "payments")
    step("run: docker build -t x .")(root)
    (line,) = run("repo", root, "--format", "github").lines
    number = workflow().splitlines().index("  promote:") + 7
    assert line.startswith(
        f"::error file={TEAM},line={number},title=PIP-002 unprivileged::a Docker"
    )


def test_workflows_of_a_service_without_the_platforms_are_not_read(tmp_path: Path) -> None:
    root = service(tmp_path / "payments")
    write(
        root, ".github/workflows/theirs.yml", "on: push\njobs: {x: {steps: [{run: docker ps}]}}\n"
    )
    lock(root)
    assert run("repo", root).found == []
