"""Kubernetes' own API server, with a namespace that enforces `restricted`, admits what we deploy.

It is built from source, which takes half an hour once: NIGHTLY=1. No node runs a pod here; what
is asked is what the API server lets in.
"""

from __future__ import annotations

import json
import shlex
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from services import IMAGES
from test_manifests import kustomize, pod_of

from lab import LabError, install
from lab.registry import free_port, start, stop
from rendering import COMBINATIONS, Render

TOKEN = "of-the-tests"
RELEASE, TWIN = (f"registry.example.com/platform/payments@sha256:{c * 64}" for c in "ab")
ENFORCED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass
class Cluster:
    """An API server without a node, and kubectl for it."""

    config: Path

    def kubectl(self, *words: str, given: Any = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [install.kubectl(), f"--kubeconfig={self.config}", *words],
            input="" if given is None else given if isinstance(given, str) else json.dumps(given),
            capture_output=True, text=True,
        )  # fmt: skip

    def create(self, document: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        return self.kubectl("create", "--filename=-", given={"apiVersion": "v1", **document})

    def namespace(self, name: str, labels: dict[str, str]) -> str:
        metadata = {"name": name, "labels": labels}
        done = self.create({"kind": "Namespace", "metadata": metadata})
        assert done.returncode == 0, done.stderr
        return name


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    place = tmp_path_factory.mktemp("cluster")
    server, etcd = install.api_server()
    install.packages(["openssl"])
    subprocess.run(["openssl", "genrsa", "-out", place / "key"], check=True, capture_output=True)
    (place / "tokens").write_text(f"{TOKEN},tests,tests,system:masters\n")
    store, peers, port = (free_port() for _ in range(3))
    address = f"https://127.0.0.1:{port}"
    trusting = ssl._create_unverified_context()

    def answers(url: str) -> bool:
        asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        try:
            with urllib.request.urlopen(asked, context=trusting) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    daemons = []

    def run(ready: str, name: str, *command: object) -> None:
        pid = start([str(word) for word in command], place / f"{name}.log", lambda: answers(ready))
        if pid is None:
            raise LabError(f"{name} ended:\n{(place / f'{name}.log').read_text()[-2000:]}")
        daemons.append(pid)

    try:
        run(
            f"http://127.0.0.1:{store}/health", "etcd", etcd, f"--data-dir={place / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{store}",
            f"--advertise-client-urls=http://127.0.0.1:{store}",
            f"--listen-peer-urls=http://127.0.0.1:{peers}",
        )  # fmt: skip
        run(
            f"{address}/readyz", "kube-apiserver", server,
            f"--etcd-servers=http://127.0.0.1:{store}", f"--cert-dir={place / 'certificates'}",
            f"--secure-port={port}", "--bind-address=127.0.0.1",
            # It wants one that is not loopback, and tells nobody.
            "--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none",
            f"--token-auth-file={place / 'tokens'}", "--authorization-mode=AlwaysAllow",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={place / 'key'}",
            f"--service-account-signing-key-file={place / 'key'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            # No controller makes the accounts that it would look for.
            "--disable-admission-plugins=ServiceAccount",
        )  # fmt: skip
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {
                "server": address, "insecure-skip-tls-verify": True,
            }}],
            "users": [{"name": "tests", "user": {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "tests"}}],
        }  # fmt: skip
        (place / "kubeconfig").write_text(json.dumps(config))
        yield Cluster(place / "kubeconfig")
    finally:
        for pid in reversed(daemons):
            stop(pid, place)


def pod(template: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The pod that the Deployment's controller makes, with what the pipeline sets."""
    metadata = template["metadata"] | {
        "name": "payments-6c5f9d7b8-x2x4v", "namespace": namespace,
        "annotations": {
            "debug-image": TWIN, "debug-image-of": RELEASE.partition("@")[2],
        },
    }  # fmt: skip
    template["spec"]["containers"][0]["image"] = RELEASE
    return {"kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.mark.parametrize("name", IMAGES)
def test_the_pod_and_its_debug_container_are_admitted(
    name: str, cluster: Cluster, render: Render
) -> None:
    service = render(**COMBINATIONS[name])
    rendered = kustomize(service)
    namespace = cluster.namespace(name, ENFORCED)
    # All that the overlay has, with the namespace that a cluster's owner makes.
    documents = rendered.replace("namespace: payments\n", f"namespace: {namespace}\n")
    applied = cluster.kubectl(
        "apply", "--dry-run=server", "--validate=strict", "--filename=-", given=documents
    )
    assert applied.returncode == 0, applied.stderr
    assert "Warning" not in applied.stderr
    template = pod_of(rendered)
    created = cluster.create(pod(template, namespace))
    assert created.returncode == 0, created.stderr

    words = debug_line(cluster, service, namespace)
    assert "--profile=restricted" in words
    general = ["--profile=general" if word == "--profile=restricted" else word for word in words]
    refused = cluster.kubectl(*general)
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr
    admitted = cluster.kubectl(*words)
    assert admitted.returncode == 0, admitted.stderr
    found = cluster.kubectl("get", "pod", f"--namespace={namespace}", "--output=json")
    (there,) = json.loads(found.stdout)["items"]
    (debugger,) = there["spec"]["ephemeralContainers"]
    assert debugger["image"] == TWIN
    assert debugger["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def debug_line(cluster: Cluster, service: Path, namespace: str) -> list[str]:
    """What `make debug-pod` prints; no node starts the container, so nothing is attached to."""
    done = subprocess.run(
        ["make", "--no-print-directory", "debug-pod", "POD=payments-6c5f9d7b8-x2x4v",
         f"NAMESPACE={namespace}"],
        cwd=service, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env={"PATH": f"{install.kubectl().parent}:/usr/bin:/bin", "KUBECONFIG": str(cluster.config),
             "HOME": str(cluster.config.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, *words = shlex.split(done.stdout.splitlines()[-1])
    words.insert(words.index("debug") + 1, "--attach=false")
    return words


WEAK = {
    "privilege": ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
    "root": ("runAsNonRoot: true", "runAsNonRoot: false"),
    "host": ("automountServiceAccountToken: false", "hostNetwork: true"),
}


@pytest.mark.parametrize("fault", WEAK)
def test_a_weak_pod_is_refused(fault: str, cluster: Cluster, render: Render) -> None:
    """Where the namespace enforces it, and only there."""
    rendered = kustomize(render()).replace(*WEAK[fault])
    namespace = cluster.namespace(f"weak-{fault}", ENFORCED)
    refused = cluster.create(pod(pod_of(rendered), namespace))
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr
    namespace = cluster.namespace(f"any-{fault}", {})
    assert cluster.create(pod(pod_of(rendered), namespace)).returncode == 0
