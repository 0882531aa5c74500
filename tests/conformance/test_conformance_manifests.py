"""The checks on manifests: the template's own are clean, and each planted fault is found."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conformance_tool import run

from rendering import Render

Plant = Callable[[Path], object]

DEPLOYMENT = "deploy/base/deployment.yaml"
OVERLAY = "deploy/overlays/production/kustomization.yaml"
RESOURCES = "deploy/overlays/production/resources.yaml"


@pytest.fixture
def service(render: Render, tmp_path: Path) -> Path:
    return Path(shutil.copytree(render(), tmp_path / "payments", symlinks=True))


def edit(path: str, pattern: str, replacement: str) -> Plant:
    def plant(root: Path) -> None:
        text = (root / path).read_text(encoding="utf-8")
        changed, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count, f"{path} has no {pattern}"
        (root / path).write_text(changed, encoding="utf-8")

    return plant


def patch(text: str) -> Plant:
    """Have the overlay patch the deployment in place."""
    lines = "".join(f"      {line}\n" for line in text.strip().splitlines())
    return edit(
        OVERLAY, r"^patches:\n",
        f"patches:\n  - target:\n      kind: Deployment\n    patch: |-\n{lines}",
    )  # fmt: skip


def container(line: str) -> Plant:
    return edit(DEPLOYMENT, r"^          ports:\n", f"          {line}\n          ports:\n")


def pod(line: str) -> Plant:
    return edit(DEPLOYMENT, r"^      containers:\n", f"      {line}\n      containers:\n")


PLANTED: dict[str, list[tuple[Plant, str]]] = {
    "KUB-001": [
        (edit(DEPLOYMENT, r"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
         "readOnlyRootFilesystem"),
        (edit(DEPLOYMENT, r"^ +readOnlyRootFilesystem: true\n", ""), "readOnlyRootFilesystem"),
        (edit(DEPLOYMENT, r"^ +allowPrivilegeEscalation: false\n", ""), "allowPrivilegeEscalation"),
        (edit(DEPLOYMENT, r"- ALL", "- NET_RAW"), "does not drop ALL"),
        (edit(DEPLOYMENT, r"runAsNonRoot: true", "runAsNonRoot: false"), "runAsNonRoot"),
        (edit(DEPLOYMENT, r"runAsUser: 65532", "runAsUser: 0"), "runs as root"),
        (edit(DEPLOYMENT, r"type: RuntimeDefault", "type: Unconfined"), "Unconfined"),
        (edit(DEPLOYMENT, r"^ +seccompProfile:\n.*\n", ""), "seccompProfile"),
        (pod("hostNetwork: true"), "hostNetwork"),
        (pod("volumes: [{name: root, hostPath: {path: /}}]"), "hostPath"),
        (edit(DEPLOYMENT, "containerPort: 8080", "containerPort: 8080\n              hostPort: 80"),
         "port of its node"),
        (patch("- op: add\n  path: /spec/template/spec/containers/0/securityContext/privileged\n"
               "  value: true"), "privileged"),
        (patch("- op: remove\n  path: /spec/template/spec/containers/0/securityContext"),
         "removes"),
        (edit(RESOURCES, r"^          resources:",
              "          securityContext: {readOnlyRootFilesystem: false}\n          resources:"),
         "readOnlyRootFilesystem"),
    ],
    "KUB-002": [
        (edit(DEPLOYMENT, "/readyz", "/"), "want /readyz"),
        (edit(DEPLOYMENT, "/livez", "/healthz"), "want /livez"),
        (edit(DEPLOYMENT, "periodSeconds: 2", "periodSeconds: 10"), "every 10 s"),
        (container("env: [{name: DRAIN_DELAY_SECONDS, value: '2'}]"), "every 2 s"),
        (edit(DEPLOYMENT, r"^          livenessProbe:\n(?:            .*\n)+", ""),
         "no livenessProbe"),
        (patch("- op: add\n  path: /spec/template/spec/containers/0/livenessProbe\n"
               "  value: {exec: {command: [sh]}}"), "not httpGet"),
    ],
    "KUB-003": [
        (edit(DEPLOYMENT, "terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds: 25"),
         "is 25"),
        (patch("- op: replace\n  path: /spec/template/spec/terminationGracePeriodSeconds\n"
               "  value: 10"), "is 10"),
        (container("lifecycle: {preStop: {sleep: {seconds: 5}}}"), "preStop"),
    ],
    "KUB-004": [
        (edit(OVERLAY, "newTag: unreleased", "newTag: 1.4.2"), "tag that moves"),
        (edit(OVERLAY, "newTag: unreleased", "newTag: 1.4.2-b7-debug"), "debug image"),
        (edit(OVERLAY, "newTag: unreleased", "newTag: latest"), "latest is a tag that moves"),
        (edit(DEPLOYMENT, 'image: "payments"', 'image: "r.example.com/payments:main"'), "main"),
    ],
    "KUB-005": [
        (edit(DEPLOYMENT, "containerPort: 8080", "containerPort: 9090"), "image/Dockerfile"),
        (edit(DEPLOYMENT, "runAsUser: 65532", "runAsUser: 1000"), "65532"),
        (edit(DEPLOYMENT, r"^spec:\n", "spec:\n  replicas: 3\n"), "sets replicas"),
        (edit("deploy/base/service.yaml", "targetPort: http", "targetPort: web"), "web"),
        (edit("deploy/base/poddisruptionbudget.yaml", "maxUnavailable: 1", "maxUnavailable: 0"),
         "drain of a node"),
        (edit("deploy/base/networkpolicy.yaml", "- Ingress", "- Ingress\n    - Egress"), "egress"),
        (edit("deploy/base/horizontalpodautoscaler.yaml", r'    name: "payments"',
              '    name: "other"'), "not there"),
        (edit("deploy/base/service.yaml", r"ports:", "ports: ["), "no YAML"),
    ],
}  # fmt: skip


def findings(service: Path) -> list[dict[str, str]]:
    report = run("repo", service, "--format", "json").report
    return [item for item in report["findings"] if item["check"].startswith("KUB")]


def test_the_templates_manifests_are_clean(service: Path) -> None:
    found = findings(service)
    assert found == []


@pytest.mark.parametrize(
    ("check", "plant", "says"),
    [
        pytest.param(check, plant, says, id=f"{check}-{number}")
        for check, faults in PLANTED.items()
        for number, (plant, says) in enumerate(faults)
    ],
)
def test_a_planted_fault_is_found(check: str, plant: Plant, says: str, service: Path) -> None:
    plant(service)
    found = findings(service)
    assert {item["check"] for item in found} == {check}, found
    assert any(says in item["message"] for item in found), found


@pytest.mark.parametrize(
    "image",
    ["newTag: 1.4.2-b7", "digest: sha256:" + "a" * 64],
)
def test_one_build_is_accepted(image: str, service: Path) -> None:
    edit(OVERLAY, "newTag: unreleased", image)(service)
    found = findings(service)
    assert found == []


def test_a_folder_of_that_name_is_not_read(service: Path) -> None:
    """A service that deploys in a way of its own may have a deploy/ of its own."""
    edit(".copier-answers.yml", "kubernetes: true", "kubernetes: false")(service)
    edit(DEPLOYMENT, "/readyz", "/")(service)
    report = run("repo", service, "--format", "json").report
    assert not [item for item in report["checked"] if item.startswith("KUB")]
