"""The checks on Kubernetes manifests: what deploy/ says, and what it renders to. They need PyYAML.

A kustomization's resource is judged whole: what it does not say is a finding. A patch is judged by
what it says, since it may undo what the resource had.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import dockerfile
from .answers import recorded
from .model import Finding, Unusable
from .records import read_text
from .registry import CHECKS

FOLDER = "deploy"
LIVE, READY = "/livez", "/readyz"
# What the service takes where its manifest sets no variable, in seconds.
DRAIN_DELAY, SHUTDOWN_TIMEOUT = 5, 25
DEFAULT_GRACE, DEFAULT_PERIOD = 30, 10
# What the overlay says before there is a release.
UNRELEASED = "unreleased"

_KUSTOMIZATIONS = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})
_POD_AT = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), ("spec", "template", "spec")),
}
_VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "name", "persistentVolumeClaim", "projected", "secret"}
)
_BUILD = re.compile(r"\d[\w.]*-b\d+")
# What a JSON patch must not take away.
_GUARDED = re.compile(r"securityContext|Probe\b|terminationGracePeriodSeconds|automountServiceAccountToken")


@dataclass(frozen=True)
class Document:
    """A YAML document: where it stands, and whether it is a whole resource or a patch of one."""

    path: str
    body: dict[str, Any]
    whole: bool

    @property
    def kind(self) -> str:
        return str(self.body.get("kind", ""))

    @property
    def name(self) -> str:
        return str(_map(self.body.get("metadata")).get("name", ""))

    @property
    def what(self) -> str:
        return f"{self.kind or 'patch'} {self.name}".rstrip()

    @property
    def pod(self) -> dict[str, Any] | None:
        """What a workload says of its pods; None for what has none."""
        steps = _POD_AT.get(self.kind)
        if steps is None:
            return None
        value: Any = self.body
        for step in steps:
            value = _map(value).get(step)
        return _map(value)


@dataclass(frozen=True)
class Image:
    """What the Dockerfile says of the image that the manifests run."""

    ports: frozenset[int] = frozenset()
    user: int | None = None


def present(root: str) -> bool:
    """Say whether the repository has manifests of the template's, rather than a folder of that name."""
    return recorded(root, "kubernetes") == "true" and os.path.isdir(os.path.join(root, FOLDER))


def repository(root: str) -> Iterator[Finding]:
    """Check every base, overlay, component and patch below deploy/."""
    service = recorded(root, "service_name") or ""
    documents: list[Document] = []
    patches = _patch_files(root)
    for path in _files(root):
        try:
            bodies = _load(_read(root, path))
        except Unusable as error:
            yield _finding("KUB-005", path, str(error))
            continue
        if posixpath.basename(path) in _KUSTOMIZATIONS:
            for body in bodies:
                yield from _images(path, body, service)
                documents += _patches(path, body)
                yield from _removals(path, body)
        else:
            documents += [Document(path, body, path not in patches) for body in bodies]
    yield from _documents(documents, service, _image(root), rendered=False)


def rendered(text: str, where: str, root: str) -> Iterator[Finding]:
    """Check what `kubectl kustomize` writes: every document is whole, and nothing is left open."""
    documents = [Document(where, body, True) for body in _load(text)]
    if not documents:
        raise Unusable(f"{where}: there is no Kubernetes manifest in it")
    yield from _documents(documents, recorded(root, "service_name") or "", _image(root), rendered=True)


# Reading


def _files(root: str) -> list[str]:
    found = []
    for folder, _, names in os.walk(os.path.join(root, FOLDER)):
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        found += [f"{relative}/{name}" for name in names if name.endswith((".yaml", ".yml")) or name in _KUSTOMIZATIONS]
    return sorted(found)


def _patch_files(root: str) -> frozenset[str]:
    """Name the files that a kustomization applies as patches."""
    found = set()
    for path in _files(root):
        if posixpath.basename(path) not in _KUSTOMIZATIONS:
            continue
        try:
            bodies = _load(_read(root, path))
        except Unusable:
            continue
        for body in bodies:
            named = [_map(item).get("path") for item in _list(body.get("patches"))]
            named += _list(body.get("patchesStrategicMerge"))
            found |= {
                posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
                for name in named
                if isinstance(name, str) and "\n" not in name
            }
    return frozenset(found)


def _read(root: str, path: str) -> str:
    try:
        return read_text(os.path.join(root, path))
    except OSError as error:
        raise Unusable(f"it cannot be read: {error.strerror}") from None


def _load(text: str) -> list[dict[str, Any]]:
    import yaml

    try:
        return [body for body in yaml.safe_load_all(text) if isinstance(body, dict)]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or type(error).__name__
        raise Unusable(f"it is no YAML{place}: {reason}") from None


def _patches(path: str, kustomization: dict[str, Any]) -> Iterator[Document]:
    """Give what a kustomization patches in place, a JSON patch as the document that it writes."""
    inline = [(_map(item).get("patch"), _map(_map(item).get("target"))) for item in _list(kustomization.get("patches"))]
    inline += [(item, {}) for item in _list(kustomization.get("patchesStrategicMerge"))]
    for text, target in inline:
        if not isinstance(text, str) or "\n" not in text:
            continue
        kind = str(target.get("kind") or "Deployment")
        for operation in _operations(text):
            if operation.get("op") in ("add", "replace"):
                body = _nested(str(operation.get("path", "")), operation.get("value"))
                yield Document(path, {"kind": kind, **_map(body)}, False)
        try:
            bodies = _load(text)
        except Unusable:
            continue
        yield from (Document(path, {"kind": kind, **body}, False) for body in bodies)


def _operations(text: str) -> list[dict[str, Any]]:
    import yaml

    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError:
        return []
    return [operation for operation in _list(read) if isinstance(operation, dict)]


def _nested(pointer: str, value: Any) -> Any:
    """Build the document in which a JSON pointer leads to a value."""
    for step in reversed(pointer.split("/")[1:]):
        name = step.replace("~1", "/").replace("~0", "~")
        value = [value] if name == "-" or name.isdigit() else {name: value}
    return value


def _removals(path: str, kustomization: dict[str, Any]) -> Iterator[Finding]:
    for item in _list(kustomization.get("patches")):
        text = _map(item).get("patch")
        for operation in _operations(text) if isinstance(text, str) else []:
            pointer = str(operation.get("path", ""))
            if operation.get("op") == "remove" and _GUARDED.search(pointer):
                yield _finding("KUB-001", path, f"a patch removes {pointer}, which the base needs")


def _image(root: str) -> Image:
    try:
        parsed = dockerfile.parse(_read(root, "image/Dockerfile"))
    except (dockerfile.DockerfileError, Unusable):
        return Image()
    stage = parsed.stage("release")
    if stage is None:
        return Image()
    ports = {
        int(word.partition("/")[0])
        for instruction in stage.all("EXPOSE")
        for word in instruction.words
        if word.partition("/")[0].isdigit()
    }
    user = stage.last("USER")
    number = (user.words or [""])[0].partition(":")[0] if user else ""
    return Image(frozenset(ports), int(number) if number.isdigit() else None)


# Judging


def _documents(documents: list[Document], service: str, image: Image, rendered: bool) -> Iterator[Finding]:
    for document in documents:
        pod = document.pod
        if pod is not None and (pod or document.whole):
            for check, message in [
                *(("KUB-001", message) for message in _unrestricted(pod, document.whole)),
                *(("KUB-002", message) for message in _probes(pod, service, document.whole)),
                *(("KUB-003", message) for message in _shutdown(pod, service)),
                *(("KUB-004", message) for message in _build(pod, service, rendered)),
                *(("KUB-005", message) for message in _against_image(pod, service, image)),
            ]:
                yield _finding(check, document.path, f"{document.what}: {message}")
    yield from _together(documents, rendered)


def _unrestricted(pod: dict[str, Any], whole: bool) -> Iterator[str]:
    """Say what Pod Security's profile `restricted` refuses, and a root that can be written."""
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"{field} is on"
    general = _map(pod.get("securityContext"))
    yield from _identity(general, "the pod")
    for volume in _list(pod.get("volumes")):
        for source in sorted(set(_map(volume)) - _VOLUMES):
            yield f"the volume {_map(volume).get('name')} is a {source}, which a restricted pod may not have"
    for container in _containers(pod):
        own = _map(container.get("securityContext"))
        name = f"container {container.get('name', '')}".rstrip()
        yield from _identity(own, name)
        if own.get("privileged"):
            yield f"{name} is privileged"
        if own.get("procMount", "Default") != "Default":
            yield f"{name} sets procMount"
        for port in _list(container.get("ports")):
            if _map(port).get("hostPort"):
                yield f"{name} takes a port of its node"
        added = set(map(str, _list(_map(own.get("capabilities")).get("add")))) - {"NET_BIND_SERVICE"}
        if added:
            yield f"{name} adds the capabilities {', '.join(sorted(added))}"
        # What a patch leaves out is the base's.
        if own.get("allowPrivilegeEscalation", whole) is not False:
            yield f"{name} does not set allowPrivilegeEscalation: false"
        if own.get("readOnlyRootFilesystem", not whole) is not True:
            yield f"{name} does not set readOnlyRootFilesystem: true"
        if not whole:
            continue
        if "ALL" not in _list(_map(own.get("capabilities")).get("drop")):
            yield f"{name} does not drop ALL capabilities"
        if own.get("runAsNonRoot", general.get("runAsNonRoot")) is not True:
            yield f"{name} does not set runAsNonRoot: true"
        if not (own.get("seccompProfile") or general.get("seccompProfile")):
            yield f"{name} has no seccompProfile; want type: RuntimeDefault"


def _identity(context: dict[str, Any], who: str) -> Iterator[str]:
    if context.get("runAsUser") == 0:
        yield f"{who} runs as root"
    if context.get("runAsNonRoot") is False:
        yield f"{who} sets runAsNonRoot: false"
    if _map(context.get("seccompProfile")).get("type", "RuntimeDefault") not in ("RuntimeDefault", "Localhost"):
        yield f"{who} has the seccompProfile {_map(context['seccompProfile'])['type']}"


def _probes(pod: dict[str, Any], service: str, whole: bool) -> Iterator[str]:
    container = _service(pod, service)
    for field, path in (("startupProbe", LIVE), ("livenessProbe", LIVE), ("readinessProbe", READY)):
        probe = container.get(field)
        if probe is None:
            if whole and container and field != "startupProbe":
                yield f"there is no {field}; want httpGet {path}"
            continue
        probe = _map(probe)
        if {"exec", "tcpSocket", "grpc"} & set(probe):
            yield f"the {field} is not httpGet; want {path}"
        elif whole or "httpGet" in probe:
            found = _map(probe.get("httpGet")).get("path", path if not whole else "/")
            if found != path:
                yield f"the {field} asks {found}; want {path}"
    ready = _map(container.get("readinessProbe"))
    delay = _variable(container, "DRAIN_DELAY_SECONDS", DRAIN_DELAY)
    period = ready.get("periodSeconds", DEFAULT_PERIOD if whole and ready else 0)
    if isinstance(period, int) and period >= delay > 0:
        yield f"readiness is asked every {period} s; want less than DRAIN_DELAY_SECONDS, {delay} s"


def _shutdown(pod: dict[str, Any], service: str) -> Iterator[str]:
    container = _service(pod, service)
    timeout = _variable(container, "SHUTDOWN_TIMEOUT_SECONDS", SHUTDOWN_TIMEOUT)
    grace = pod.get("terminationGracePeriodSeconds", DEFAULT_GRACE)
    if isinstance(grace, int) and grace <= timeout:
        yield f"terminationGracePeriodSeconds is {grace}; want more than SHUTDOWN_TIMEOUT_SECONDS, {timeout}"
    if _map(container.get("lifecycle")).get("preStop"):
        yield "there is a preStop hook; the service waits by itself, for DRAIN_DELAY_SECONDS"


def _build(pod: dict[str, Any], service: str, rendered: bool) -> Iterator[str]:
    for container in _containers(pod):
        reference = str(container.get("image", ""))
        if reference and _names(reference, service) and (rendered or ":" in reference.rpartition("/")[2]):
            yield from _one_build(reference)


def _one_build(reference: str) -> Iterator[str]:
    name, _, digest = reference.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if digest or tag == UNRELEASED or _BUILD.fullmatch(tag):
        return
    why = "a debug image" if tag.endswith("-debug") else "a tag that moves"
    yield f"{reference} is {why}; want a digest or <version>-b<build>"


def _images(path: str, kustomization: dict[str, Any], service: str) -> Iterator[Finding]:
    for item in map(_map, _list(kustomization.get("images"))):
        if not _names(str(item.get("name", "")), service):
            continue
        name = str(item.get("newName") or item["name"])
        digest, tag = item.get("digest"), item.get("newTag")
        if digest or tag:
            reference = f"{name}@{digest}" if digest else f"{name}:{tag}"
            for message in _one_build(reference):
                yield _finding("KUB-004", path, message)


def _against_image(pod: dict[str, Any], service: str, image: Image) -> Iterator[str]:
    container = _service(pod, service)
    ports = {_map(port).get("containerPort") for port in _list(container.get("ports"))} - {None}
    if image.ports and ports - image.ports:
        wrong = ", ".join(str(port) for port in sorted(ports - image.ports, key=str))
        yield f"port {wrong} is not what image/Dockerfile exposes, {', '.join(map(str, sorted(image.ports)))}"
    for context in (_map(pod.get("securityContext")), _map(container.get("securityContext"))):
        user = context.get("runAsUser")
        if user and image.user is not None and user != image.user:
            yield f"runAsUser is {user}, and image/Dockerfile has the user {image.user}"


def _together(documents: list[Document], rendered: bool) -> Iterator[Finding]:
    """Compare documents with one another."""
    workloads = {(item.kind, item.name): item for item in documents if item.pod is not None and item.whole}
    ports: set[object] = {
        _map(port).get(key)
        for item in workloads.values()
        for container in _containers(item.pod or {})
        for port in _list(container.get("ports"))
        for key in ("name", "containerPort")
    }
    for item in documents:
        spec = _map(item.body.get("spec"))
        if item.kind == "HorizontalPodAutoscaler" and "scaleTargetRef" in spec:
            target = _map(spec["scaleTargetRef"])
            scaled = workloads.get((str(target.get("kind")), str(target.get("name"))))
            if scaled is None:
                yield _finding("KUB-005", item.path, f"{item.what} scales a {target.get('kind')} that is not there")
            else:
                yield from (
                    _finding("KUB-005", other.path, f"{other.what} sets replicas, which {item.what} sets")
                    for other in documents
                    if (other.kind, other.name) == (scaled.kind, scaled.name)
                    and "replicas" in _map(other.body.get("spec"))
                )
        elif item.kind == "Service":
            for port in map(_map, _list(spec.get("ports"))):
                wanted = port.get("targetPort", port.get("port"))
                if ports and wanted is not None and wanted not in ports:
                    yield _finding("KUB-005", item.path, f"{item.what} leads to the port {wanted}, which no pod has")
            yield from _selector(item, spec.get("selector"), workloads, rendered)
        elif item.kind == "PodDisruptionBudget":
            if spec.get("maxUnavailable") in (0, "0", "0%") or spec.get("minAvailable") == "100%":
                yield _finding("KUB-005", item.path, f"{item.what} lets no pod go, which blocks the drain of a node")
            yield from _selector(item, _map(spec.get("selector")).get("matchLabels"), workloads, rendered)
        elif item.kind == "NetworkPolicy":
            if "Egress" in _list(spec.get("policyTypes")) or "egress" in spec:
                yield _finding("KUB-005", item.path, f"{item.what} limits egress, which cuts off DNS")
            yield from _selector(item, _map(spec.get("podSelector")).get("matchLabels"), workloads, rendered)


def _selector(
    item: Document, labels: Any, workloads: dict[tuple[str, str], Document], rendered: bool
) -> Iterator[Finding]:
    """Only what is rendered has the labels that kustomize adds."""
    if not rendered or not isinstance(labels, dict) or not labels:
        return
    for workload in workloads.values():
        template = _map(_map(workload.body.get("spec")).get("template"))
        has = _map(_map(template.get("metadata")).get("labels"))
        if labels.items() <= has.items():
            return
    yield _finding("KUB-005", item.path, f"{item.what} selects no pod")


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        container
        for field in ("initContainers", "containers", "ephemeralContainers")
        for container in _list(pod.get(field))
        if isinstance(container, dict)
    ]


def _service(pod: dict[str, Any], service: str) -> dict[str, Any]:
    """Find the service's own container among those of a pod; an empty one where there is none."""
    containers = [item for item in _list(pod.get("containers")) if isinstance(item, dict)]
    own = [item for item in containers if _names(str(item.get("image", "")), service) or item.get("name") == service]
    return (own or containers or [{}])[0]


def _names(reference: str, service: str) -> bool:
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[0] == service


def _variable(container: dict[str, Any], name: str, default: int) -> int:
    for entry in map(_map, _list(container.get("env"))):
        if entry.get("name") == name and str(entry.get("value", "")).isdigit():
            return int(entry["value"])
    return default


def _finding(check: str, path: str, message: str) -> Finding:
    return Finding(check, path, message, CHECKS[check].fix)


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
