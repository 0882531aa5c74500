"""What deploy/ renders to, for every language: valid, and what the checks and the image say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from services import IMAGES

from lab import install
from rendering import COMBINATIONS, Render

KUBERNETES = "1.36"
SERVICES = {name: COMBINATIONS[name] for name in IMAGES} | {
    "digits": {"service_name": "3scale"},
    "a YAML word": {"service_name": "null"},
}
OVERLAY = "deploy/overlays/production"
# What Pod Security keeps out of a `restricted` namespace: a change of the rendered overlay.
WEAK = {
    "privilege": ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
    "capabilities": ("- ALL", "- NET_RAW"),
    "root": ("runAsNonRoot: true", "runAsNonRoot: false"),
    "seccomp": ("type: RuntimeDefault", "type: Unconfined"),
}


def kustomize(service: Path, directory: str = OVERLAY) -> str:
    done = subprocess.run(
        [install.kustomize(), "build", service / directory], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def conformance(service: Path, manifests: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "ci/conformance", "manifests", "-"]
    return subprocess.run(command, cwd=service, input=manifests, capture_output=True, text=True)


def pod_of(rendered: str) -> dict[str, Any]:
    """The pod's template of the one Deployment."""
    documents = yaml.safe_load_all(rendered)
    (deployment,) = (document for document in documents if document["kind"] == "Deployment")
    template: dict[str, Any] = deployment["spec"]["template"]
    return template


def refused(**pods: dict[str, Any]) -> dict[str, str]:
    """Which of the pods Pod Security's own code keeps out of a `restricted` namespace, and why."""
    program = install.pod_security(Path(__file__).parent / "pod_security" / "main.go")
    done = subprocess.run([program], input=json.dumps(pods), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    reasons: dict[str, str] = json.loads(done.stdout)
    return reasons


@pytest.mark.parametrize("name", SERVICES)
def test_the_overlay_is_valid_and_clean(name: str, render: Render) -> None:
    service = render(**SERVICES[name])
    rendered = kustomize(service)
    documents = list(yaml.safe_load_all(rendered))
    assert [document["kind"] for document in documents] == [
        "Service", "Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy",
    ]  # fmt: skip
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    done = conformance(service, rendered)
    assert done.returncode == 0, done.stdout + done.stderr
    assert refused(pod=pod_of(rendered)) == {}


def test_a_weak_pod_is_refused(render: Render) -> None:
    """Each of these is refused for its own reason, and the pod without them is not."""
    rendered = kustomize(render())
    pods = {name: pod_of(rendered.replace(*change)) for name, change in WEAK.items()}
    reasons = refused(sound=pod_of(rendered), **pods)
    assert set(reasons) == set(WEAK)
    assert "allowPrivilegeEscalation != false" in reasons["privilege"]
    assert "unrestricted capabilities" in reasons["capabilities"]
    assert "runAsNonRoot != true" in reasons["root"]
    assert "seccompProfile" in reasons["seccomp"]


def test_a_misspelt_field_and_a_weak_pod_are_found(render: Render) -> None:
    service = render()
    rendered = kustomize(service)
    wrong = rendered.replace("terminationGracePeriodSeconds", "terminationGraceSeconds")
    (deployment,) = (d for d in yaml.safe_load_all(wrong) if d["kind"] == "Deployment")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)
    weak = rendered.replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
    assert "KUB-001" in conformance(service, weak).stdout
    assert "selects no pod" in conformance(
        service, rendered.replace("  selector:\n    app.kubernetes.io/name: payments",
                                  "  selector:\n    app: payments"),
    ).stdout  # fmt: skip


def test_the_pod_monitor_is_a_component(render: Render, tmp_path: Path) -> None:
    service = Path(shutil.copytree(render(), tmp_path / "service", symlinks=True))
    overlay = service / OVERLAY / "kustomization.yaml"
    with overlay.open("a", encoding="utf-8") as file:
        file.write("\ncomponents:\n  - ../../components/pod-monitor\n")
    (monitor,) = (
        document
        for document in yaml.safe_load_all(kustomize(service))
        if document["kind"] == "PodMonitor"
    )
    assert monitor["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": "payments"}
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "http", "path": "/metrics"}]


def test_the_pipelines_digest_is_what_is_deployed(render: Render, tmp_path: Path) -> None:
    """The command that the overlay names, with kustomize itself."""
    service = Path(shutil.copytree(render(), tmp_path / "service", symlinks=True))
    reference = f"registry.example.com/platform/payments@sha256:{'a' * 64}"
    subprocess.run(
        [install.kustomize(), "edit", "set", "image", f"payments={reference}"],
        cwd=service / OVERLAY, check=True,
    )  # fmt: skip
    rendered = kustomize(service)
    assert f"image: {reference}\n" in rendered
    assert conformance(service, rendered).returncode == 0


def test_the_twins_digest_reaches_the_pod(render: Render, tmp_path: Path) -> None:
    """The line that `promote` prints, with kustomize itself; make debug-pod reads the pod."""
    service = Path(shutil.copytree(render(), tmp_path / "service", symlinks=True))
    repository = "registry.example.com/platform/payments"
    release, twin = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    script = (service / "ci/pipeline/promote.sh").read_text(encoding="utf-8")
    (line,) = re.findall(r"echo \"  (kustomize edit set image .*)\"$", script, re.MULTILINE)
    environment = {
        "PATH": f"{install.kustomize().parent}:/usr/bin:/bin", "IMAGE_REPOSITORY": repository,
        "release": release, "debug": twin,
    }  # fmt: skip
    command = ["sh", "-euc", f'eval "{line}"']
    subprocess.run(command, cwd=service / OVERLAY, env=environment, check=True)
    rendered = kustomize(service)
    assert f"image: {repository}@{release}\n" in rendered
    (deployment,) = (d for d in yaml.safe_load_all(rendered) if d["kind"] == "Deployment")
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"debug-image": f"{repository}@{twin}", "debug-image-of": release}
    assert conformance(service, rendered).returncode == 0
