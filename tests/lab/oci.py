"""Layers and images, written deterministically and read back.

A layer is a gzipped tar with sorted paths and fixed times. An image is an index
of one manifest, as the public registries serve it. Blobs live in one directory,
named by their digest, so images share the layers they have in common.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import io
import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from .system import LabError, sha256

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
CREATED = "1970-01-01T00:00:00Z"
T = TypeVar("T")


@dataclass(frozen=True)
class Layer:
    """A layer in the blob directory."""

    digest: str
    diff_id: str
    size: int


class _Hashing(io.RawIOBase):
    """Passes bytes on and knows their digest."""

    def __init__(self, sink: Any) -> None:
        self.sink, self.hash, self.size = sink, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hash.update(data)
        self.size += len(data)
        self.sink.write(data)
        return len(data)

    @property
    def digest(self) -> str:
        return "sha256:" + self.hash.hexdigest()


class Tree:
    """The content of one layer: paths, each with its tar header and its bytes."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[tarfile.TarInfo, Callable[[], Any] | None]] = {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def hold(self, source: contextlib.AbstractContextManager[T]) -> T:
        """Keep a source open until the layer is written."""
        return self._open.enter_context(source)

    def __contains__(self, path: str) -> bool:
        return self._name(path) in self._entries

    @staticmethod
    def _name(path: str) -> str:
        return str(PurePosixPath("/") / path).lstrip("/")

    def _put(self, info: tarfile.TarInfo, data: Callable[[], Any] | None = None) -> None:
        info.name = self._name(info.name)
        info.mtime = 0
        info.uname = info.gname = ""
        info.pax_headers = {}
        if info.name:
            self._entries[info.name] = (info, data)

    def directory(self, path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, uid, gid
        self._put(info)

    def file(self, path: str, content: str | bytes | Path, mode: int = 0o644) -> None:
        info = tarfile.TarInfo(path)
        info.mode = mode
        if isinstance(content, Path):
            info.size = content.stat().st_size
            self._put(info, lambda: content.open("rb"))
        else:
            data = content.encode() if isinstance(content, str) else content
            info.size = len(data)
            self._put(info, lambda: io.BytesIO(data))

    def symlink(self, path: str, target: str) -> None:
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, target
        self._put(info)

    def hardlink(self, path: str, target: str) -> None:
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.linkname = tarfile.LNKTYPE, 0o755, self._name(target)
        self._put(info)

    def tar(self, source: tarfile.TarFile, keep: Callable[[str], bool] = lambda _: True) -> None:
        """Everything in an open tar but devices."""
        for info in source:
            if info.ischr() or info.isblk() or info.isfifo() or not keep(self._name(info.name)):
                continue
            original = info.replace(deep=True)
            if info.islnk():
                info.linkname = self._name(info.linkname)
            self._put(info, partial(source.extractfile, original) if info.isreg() else None)

    def copy(
        self,
        source: Path,
        path: str,
        keep: Callable[[str], bool] = lambda _: True,
        umask: int = 0o022,
    ) -> None:
        """A directory of this machine, owned by root; `keep` sees the paths below it."""
        self.directory(path, 0o777 & ~umask)
        for root, directories, files in os.walk(source):
            below = os.path.relpath(root, source)
            for name in sorted(directories + files):
                relative = os.path.normpath(os.path.join(below, name))
                target = f"{path}/{relative}"
                full = Path(root, name)
                if not keep(relative):
                    if name in directories:
                        directories.remove(name)
                elif full.is_symlink():
                    self.symlink(target, os.readlink(full))
                elif full.is_dir():
                    self.directory(target, 0o777 & ~umask)
                elif full.is_file():
                    executable = full.stat().st_mode & stat.S_IXUSR
                    self.file(target, full, (0o777 if executable else 0o666) & ~umask)

    def write(self, blobs: Path, level: int = 6) -> Layer:
        """Write the layer into the blob directory."""
        blobs.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=blobs, prefix=".new-", delete=False) as out:
            packed = _Hashing(out)
            with gzip.GzipFile("", "wb", level, packed, mtime=0) as zipped:
                plain = _Hashing(zipped)
                with tarfile.open(mode="w|", fileobj=plain, format=tarfile.GNU_FORMAT) as tar:
                    # A hard link must follow the file that it names.
                    for name in sorted(
                        self._entries, key=lambda n: (self._entries[n][0].islnk(), n.split("/"))
                    ):
                        info, data = self._entries[name]
                        if data is None:
                            tar.addfile(info)
                        else:
                            with data() as handle:
                                tar.addfile(info, handle)
        os.chmod(out.name, 0o644)
        os.replace(out.name, blobs / packed.digest.removeprefix("sha256:"))
        return Layer(packed.digest, plain.digest, packed.size)


def write_blob(blobs: Path, value: Any) -> tuple[str, int]:
    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    digest = sha256(data)
    (blobs / digest).write_bytes(data)
    return f"sha256:{digest}", len(data)


def write_image(
    blobs: Path,
    layers: list[tuple[Layer, str]],
    config: dict[str, Any],
    annotations: dict[str, str],
    architecture: str,
) -> str:
    """Write an index of one image (layers come with what made them); return its digest."""
    platform = {"architecture": architecture, "os": "linux"}
    config_digest, config_size = write_blob(
        blobs,
        {
            **platform,
            "created": CREATED,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer, _ in layers]},
            "history": [{"created": CREATED, "created_by": by} for _, by in layers],
        },
    )
    manifest_digest, manifest_size = write_blob(
        blobs,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config_digest, "size": config_size},
            "layers": [
                {"mediaType": LAYER, "digest": layer.digest, "size": layer.size}
                for layer, _ in layers
            ],
            **({"annotations": annotations} if annotations else {}),
        },
    )
    digest, _ = write_blob(
        blobs,
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [
                {
                    "mediaType": MANIFEST,
                    "digest": manifest_digest,
                    "size": manifest_size,
                    "platform": platform,
                }
            ],
        },
    )
    return digest


def push(blobs: Path, digest: str, address: str, repository: str, tag: str) -> None:
    """Send an index and all that it names to a plain-HTTP registry."""
    connection = http.client.HTTPConnection(address)

    def request(method: str, url: str, body: Any = None, **headers: str) -> tuple[int, str]:
        connection.request(method, url, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        if answer.status >= 400 and (method, answer.status) != ("HEAD", 404):
            raise LabError(f"registry {address}: {method} {url}: {answer.status} {text.strip()}")
        return answer.status, answer.getheader("Location") or ""

    def send_blob(blob: str) -> None:
        if request("HEAD", f"/v2/{repository}/blobs/{blob}")[0] == 200:
            return
        _, location = request("POST", f"/v2/{repository}/blobs/uploads/", "")
        location = location.removeprefix(f"http://{address}")
        joint = "&" if "?" in location else "?"
        path = blobs / blob.removeprefix("sha256:")
        with path.open("rb") as handle:
            request(
                "PUT",
                f"{location}{joint}digest={blob}",
                handle,
                **{
                    "Content-Length": str(path.stat().st_size),
                    "Content-Type": "application/octet-stream",
                },
            )

    def send_manifest(reference: str, blob: str, media_type: str) -> None:
        data = (blobs / blob.removeprefix("sha256:")).read_bytes()
        request(
            "PUT", f"/v2/{repository}/manifests/{reference}", data, **{"Content-Type": media_type}
        )

    index = json.loads((blobs / digest.removeprefix("sha256:")).read_text())
    for entry in index["manifests"]:
        manifest = json.loads((blobs / entry["digest"].removeprefix("sha256:")).read_text())
        for blob in [*manifest["layers"], manifest["config"]]:
            send_blob(blob["digest"])
        send_manifest(entry["digest"], entry["digest"], entry["mediaType"])
    send_manifest(tag, digest, INDEX)
    connection.close()


@dataclass
class Image:
    """An image in an OCI archive (a tar of an OCI layout)."""

    oci_archive: Path
    load: Callable[[Image], str] = field(repr=False)

    def _read(self, name: str) -> bytes:
        with tarfile.open(self.oci_archive) as tar:
            for info in tar:
                if info.name.removeprefix("./") == name:
                    handle = tar.extractfile(info)
                    assert handle is not None
                    return handle.read()
        raise LabError(f"{self.oci_archive}: no {name} in the archive")

    def _blob(self, digest: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._read("blobs/" + digest.replace(":", "/")))
        return value

    @cached_property
    def digest(self) -> str:
        """The digest of the image's manifest."""
        descriptor = json.loads(self._read("index.json"))["manifests"][0]
        while descriptor.get("mediaType") in (INDEX, DOCKER_INDEX):
            descriptor = self._blob(descriptor["digest"])["manifests"][0]
        return str(descriptor["digest"])

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return self._blob(self.digest)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The image's whole configuration document: architecture, history, config."""
        return self._blob(self.manifest["config"]["digest"])

    @property
    def config(self) -> dict[str, Any]:
        """What a container inherits: User, Env, Entrypoint, Cmd, Labels, …"""
        return self.document.get("config") or {}

    @property
    def env(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.config.get("Env") or [])

    @property
    def layers(self) -> list[str]:
        """The digests of the layers, the lowest first."""
        return [layer["digest"] for layer in self.manifest["layers"]]

    @property
    def size(self) -> int:
        """Bytes of all layers as a registry stores them."""
        return sum(layer["size"] for layer in self.manifest["layers"])

    @cached_property
    def ref(self) -> str:
        """The name of the image in the container engine's storage."""
        return self.load(self)

    def _layers(self) -> Iterator[tarfile.TarFile]:
        with tarfile.open(self.oci_archive) as outer:
            members = {info.name.removeprefix("./"): info for info in outer}
            for digest in self.layers:
                blob = outer.extractfile(members["blobs/" + digest.replace(":", "/")])
                with tarfile.open(fileobj=blob) as layer:
                    yield layer

    @property
    def layers_with_files(self) -> list[str]:
        """The digests of the layers that have an entry, the lowest first."""
        pairs = zip(self.layers, self._layers(), strict=True)
        return [digest for digest, layer in pairs if layer.next()]

    @cached_property
    def files(self) -> dict[str, tarfile.TarInfo]:
        """Every path of the image, absolute, with its tar header; whiteouts applied."""
        found: dict[str, tarfile.TarInfo] = {}
        for layer in self._layers():
            for info in layer:
                path = "/" + info.name.removeprefix("./").strip("/")
                parent, name = path.rsplit("/", 1)
                if name == ".wh..wh..opq":
                    gone = parent + "/"
                    found = {p: i for p, i in found.items() if not p.startswith(gone)}
                elif name.startswith(".wh."):
                    gone = f"{parent}/{name.removeprefix('.wh.')}"
                    found = {
                        p: i for p, i in found.items() if p != gone and not p.startswith(gone + "/")
                    }
                else:
                    found[path] = info
        return found

    def read(self, path: str) -> bytes:
        """The bytes of one regular file (links are not followed)."""
        content: bytes | None = None
        for layer in self._layers():
            for info in layer:
                if "/" + info.name.removeprefix("./").strip("/") == path and info.isreg():
                    handle = layer.extractfile(info)
                    assert handle is not None
                    content = handle.read()
        if content is None:
            raise LabError(f"{path}: no such file in the image")
        return content
