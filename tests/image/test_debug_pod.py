"""`make debug-pod`: kubectl itself, asked by the script, against a cluster that has one pod."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import Missing, install
from rendering import Render

RUNNING, TWIN = "sha256:" + "a" * 64, "sha256:" + "b" * 64
REPOSITORY = "registry.example.com/platform/payments"
POD = "payments-6c5f9d7b8-x2x4v"
ANNOTATIONS = {"debug-image": f"{REPOSITORY}@{TWIN}", "debug-image-of": RUNNING}


@dataclass
class Cluster:
    """One pod; what kubectl asks to change of it is kept, and refused."""

    pod: dict[str, Any]
    config: Path
    asked: list[dict[str, Any]] = field(default_factory=list)


def status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": "Forbidden" if code == 403 else "NotFound", "message": message}  # fmt: skip


@pytest.fixture
def cluster(render: Render, tmp_path: Path) -> Iterator[Cluster]:
    """The pod is the one that the service's own Deployment makes."""
    deployment = yaml.safe_load(
        (render() / "deploy/base/deployment.yaml").read_text(encoding="utf-8")
    )
    pod = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": POD, "namespace": "payments", "annotations": dict(ANNOTATIONS)},
        "spec": deployment["spec"]["template"]["spec"],
        "status": {"phase": "Running", "containerStatuses": [
            {"name": "payments", "imageID": f"{REPOSITORY}@{RUNNING}", "state": {"running": {}}},
        ]},
    }  # fmt: skip
    pod["spec"]["containers"][0]["image"] = f"{REPOSITORY}@{RUNNING}"
    path = f"/api/v1/namespaces/payments/pods/{POD}"

    class Handler(BaseHTTPRequestHandler):
        def answer(self, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(body.get("code", 200))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            where = self.path.split("?")[0]
            if where == "/api":
                self.answer({"kind": "APIVersions", "versions": ["v1"]})
            elif where == "/apis":
                self.answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
            elif where == "/api/v1":
                names = {"pods": "Pod", "pods/ephemeralcontainers": "Pod"}
                self.answer({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
                    {"name": name, "kind": kind, "namespaced": True, "verbs": ["get", "patch"]}
                    for name, kind in names.items()
                ]})  # fmt: skip
            elif where == path:
                self.answer(pod)
            else:
                self.answer(status(404, f"{where} is not there"))

        def do_PATCH(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.asked.append({"path": self.path.split("?")[0], **json.loads(body)})
            self.answer(status(403, "this cluster only listens"))

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        config = tmp_path / "kubeconfig"
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "here", "users": [],
            "clusters": [{"name": "here", "cluster": {"server": address}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "namespace": "payments"}}],
        }))  # fmt: skip
        made = Cluster(pod, config)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """kubectl, and nothing that asks a registry."""
    directory = tmp_path / "bin"
    directory.mkdir()
    try:
        (directory / "kubectl").symlink_to(install.kubectl())
    except Missing as missing:
        pytest.skip(str(missing))
    for name in ("sh", "make", "awk", "sed", "grep", "head", "cut", "paste", "mktemp", "rm",
                 "git", "cat"):  # fmt: skip
        found = shutil.which(name)
        assert found, name
        (directory / name).symlink_to(found)
    return directory


def debug_pod(
    service: Path, cluster: Cluster, tools: Path, *words: str, pod: str = POD
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(tools), "KUBECONFIG": str(cluster.config), "HOME": str(tools)}
    return subprocess.run(
        [tools / "make", "--no-print-directory", "debug-pod", f"POD={pod}", *words],
        cwd=service, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip


def line_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The words of the line that was printed, which is the last one."""
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout.splitlines()[-1])
    assert words[0] == "kubectl"
    assert words[-2:] == ["--", "/busybox/sh"]
    return words


def crane(tools: Path, tags: dict[str, str]) -> None:
    """A registry that has these tags."""
    cases = "".join(
        f'"digest {REPOSITORY}:{tag}") echo {digest} ;;\n' for tag, digest in tags.items()
    )
    names = "\n".join(tags)
    (tools / "crane").write_text(
        f'#!/bin/sh\ncase "$*" in\n"ls {REPOSITORY}") echo "{names}" ;;\n'
        f"{cases}*) exit 1 ;;\nesac\n"
    )
    (tools / "crane").chmod(0o755)


def test_the_twin_is_the_one_that_came_with_the_image(
    render: Render, cluster: Cluster, tools: Path
) -> None:
    words = line_of(debug_pod(render(), cluster, tools, "NAMESPACE=payments"))
    assert words[1:-2] == [
        "--namespace", "payments", "debug", "--stdin", "--tty", POD, "--container=debugger",
        f"--image={REPOSITORY}@{TWIN}", "--target=payments", "--profile=restricted",
    ]  # fmt: skip


def test_the_line_is_what_kubectl_takes(render: Render, cluster: Cluster, tools: Path) -> None:
    """As a person pastes it, and as RUN=1 does."""
    printed = debug_pod(render(), cluster, tools).stdout
    pasted = subprocess.run(
        ["sh", "-c", printed], capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}",
             "KUBECONFIG": str(cluster.config)},
    )  # fmt: skip
    assert "this cluster only listens" in pasted.stderr
    done = debug_pod(render(), cluster, tools, "RUN=1")
    assert done.returncode != 0
    assert "this cluster only listens" in done.stderr
    first, second = cluster.asked
    assert first == second
    assert first["path"].endswith(f"/pods/{POD}/ephemeralcontainers")
    (container,) = first["spec"]["ephemeralContainers"]
    assert container["image"] == f"{REPOSITORY}@{TWIN}"
    assert container["targetContainerName"] == "payments"
    assert container["command"] == ["/busybox/sh"]
    security = container["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    # The pod says which user, and an ephemeral container has the pod's.
    assert cluster.pod["spec"]["securityContext"]["runAsUser"] == 65532
    assert "runAsUser" not in security


def test_the_user_of_the_container_is_that_of_the_shell(
    render: Render, cluster: Cluster, tools: Path, tmp_path: Path
) -> None:
    cluster.pod["spec"]["containers"][0]["securityContext"] |= {
        "runAsUser": 10001, "runAsGroup": 10002,
    }  # fmt: skip
    printed = debug_pod(render(), cluster, tools).stdout
    subprocess.run(
        ["sh", "-c", printed], cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}",
             "KUBECONFIG": str(cluster.config)},
    )  # fmt: skip
    debug_pod(render(), cluster, tools, "RUN=1")
    assert len(cluster.asked) == 2
    for asked in cluster.asked:
        (container,) = asked["spec"]["ephemeralContainers"]
        security = container["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == (10001, 10002)


def test_a_note_of_another_image_is_not_believed(
    render: Render, cluster: Cluster, tools: Path
) -> None:
    """Somebody set the digest and left the twin: the registry decides, or nobody."""
    cluster.pod["metadata"]["annotations"]["debug-image-of"] = "sha256:" + "c" * 64
    done = debug_pod(render(), cluster, tools)
    assert done.returncode != 0
    assert "install crane or skopeo" in done.stderr
    other = "sha256:" + "d" * 64
    crane(tools, {
        "1.4.1-b7": other, "1.4.1-b7-debug": other, "1.4.2-b9": RUNNING,
        "1.4.2-b8": RUNNING, "1.4.2-b8-debug": TWIN,
    })  # fmt: skip
    assert f"--image={REPOSITORY}@{TWIN}" in line_of(debug_pod(render(), cluster, tools))
    crane(tools, {"1.4.2-b9": RUNNING, "1.4.1-b7": other, "1.4.1-b7-debug": other})
    done = debug_pod(render(), cluster, tools)
    assert done.returncode != 0
    assert f"has no tag for {RUNNING} that has a twin" in done.stderr


def test_the_tag_of_a_build_names_its_twin(render: Render, cluster: Cluster, tools: Path) -> None:
    cluster.pod["metadata"]["annotations"] = {}
    cluster.pod["spec"]["containers"][0]["image"] = f"{REPOSITORY}:1.4.2-b318"
    assert f"--image={REPOSITORY}:1.4.2-b318-debug" in line_of(debug_pod(render(), cluster, tools))


def test_a_second_session_has_a_name_of_its_own(
    render: Render, cluster: Cluster, tools: Path
) -> None:
    cluster.pod["spec"]["ephemeralContainers"] = [{"name": "debugger"}, {"name": "debugger-2"}]
    assert "--container=debugger-3" in line_of(debug_pod(render(), cluster, tools))


def test_the_container_is_the_services(render: Render, cluster: Cluster, tools: Path) -> None:
    sidecar = {"name": "proxy", "image": "proxy:1"}
    cluster.pod["spec"]["containers"].append(sidecar)
    assert "--target=payments" in line_of(debug_pod(render(), cluster, tools))
    done = debug_pod(render(), cluster, tools, "CONTAINER=gone")
    assert done.returncode != 0
    assert "no container gone; it has: payments proxy" in done.stderr


def test_what_is_wrong_is_said(render: Render, cluster: Cluster, tools: Path) -> None:
    for pod, said in (
        ("", "say which pod"),
        ("a;touch pwned", "want a name such as"),
        ("payments-gone", "is not there"),
    ):
        done = debug_pod(render(), cluster, tools, pod=pod)
        assert done.returncode != 0
        assert said in done.stderr
