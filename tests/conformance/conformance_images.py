"""Images made by hand, byte by byte, in every format that the tool reads."""

from __future__ import annotations

import copy
import gzip
import hashlib
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
PRIVATE_KEY = (
    b"-----BEGIN PRIVATE KEY-----\n"
    b"MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQi\n"
    b"-----END PRIVATE KEY-----\n"
)
PKCS12 = b"\x30\x82\x04\x00" + bytes.fromhex("060b2a864886f70d010c0a0102") + bytes(64)
LOADER = "/lib64/ld-linux-x86-64.so.2"
LABELS = {
    f"org.opencontainers.image.{name}": value
    for name, value in {
        "title": "payments",
        "version": "1.4.0",
        "revision": "0123456789abcdef",
        "created": "2026-03-20T09:30:00Z",
        "source": "https://git.example.com/payments",
        "base.name": "gcr.io/distroless/static-debian13:nonroot",
        "base.digest": "sha256:" + "a" * 64,
    }.items()
}


def elf(content: bytes = b"", interpreter: str = "") -> bytes:
    """A 64-bit executable as far as a reader of headers can tell."""
    loader = interpreter.encode() + b"\0" if interpreter else b""
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack(
        "<IIQQQQQQ", 3 if loader else 1, 5, 120, 0, 0, len(loader), len(loader), 1
    )
    return header + segment + loader + content


# What tells a program: each has a hint and a proof of another kind.
BUSYBOX_TEXT = b"\0BusyBox is a multi-call binary that combines many\0applet not found\0"
BASH = b"\0GNU bash, version 5\0%s: ambiguous redirect\0"
DASH = b"\0job control turned off\0parameter not set\0"
PYTHON = b"\0Py_BytesMain\0PYTHONHASHSEED\0"
PERL = b"\0perl_parse\0PERL5DB\0"
JAVA = b"\0JLI_Launch\0libjli.so\0"
NODE = b"\0_ZN4node5Start\0NODE_OPTIONS\0"
BUSYBOX = elf(BUSYBOX_TEXT)
GO_INFO = bytes.fromhex("3077af0c9274080241e1c107e6d618e6")


def go_program(main: str) -> bytes:
    """What a Go program says of its own build, wherever it stands in the file."""
    return bytes(300) + GO_INFO + f"path\t{main}\nmod\t{main}\tv1.0.0\n".encode() + bytes(64)


def zipped(members: dict[str, bytes], stream: bool = False, stored: bool = False) -> bytes:
    """A zip; `stream` leaves the sizes to descriptors behind the members, as the tool jar does."""
    buffer = io.BytesIO()
    target = _Unseekable(buffer) if stream else buffer
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


class _Unseekable(io.RawIOBase):
    """A target that zipfile cannot go back in."""

    def __init__(self, target: io.BytesIO) -> None:
        self._target = target

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._target.write(data)


def java_keystore(*kinds: str) -> bytes:
    """A JKS file, as far as a reader of entries can tell."""
    entries = b""
    for kind in kinds:
        alias = struct.pack(">H", 4) + b"name" + bytes(8)
        certificate = struct.pack(">H", 5) + b"X.509" + struct.pack(">I", 300) + bytes(300)
        entries += struct.pack(">I", {"key": 1, "certificate": 2}[kind]) + alias + certificate
    return b"\xfe\xed\xfe\xed" + struct.pack(">II", 2, len(kinds)) + entries + bytes(20)


@dataclass
class Item:
    """One entry of a layer."""

    path: str
    kind: bytes = tarfile.REGTYPE
    data: bytes = b""
    mode: int = 0o644
    link: str = ""
    uid: int = 0
    gid: int = 0
    pax: dict[str, str] = field(default_factory=dict)


def file(path: str, data: bytes | str = b"", mode: int = 0o644, **more: Any) -> Item:
    return Item(path, data=data.encode() if isinstance(data, str) else data, mode=mode, **more)


def program(path: str, content: bytes = b"", **more: Any) -> Item:
    return file(path, elf(content), more.pop("mode", 0o755), **more)


def directory(path: str, mode: int = 0o755, **more: Any) -> Item:
    return Item(path, tarfile.DIRTYPE, mode=mode, **more)


def symlink(path: str, target: str) -> Item:
    return Item(path, tarfile.SYMTYPE, mode=0o777, link=target)


def hardlink(path: str, target: str, mode: int = 0o644) -> Item:
    return Item(path, tarfile.LNKTYPE, mode=mode, link=target)


def whiteout(path: str) -> Item:
    folder, _, name = path.rpartition("/")
    return file(f"{folder}/.wh.{name}" if folder else f".wh.{name}")


def opaque(path: str) -> Item:
    return file(f"{path}/.wh..wh..opq")


Layer = list[Item]


@dataclass
class Spec:
    """An image before it is written."""

    layers: list[Layer]
    config: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)
    architecture: str = "amd64"

    def copy(self) -> Spec:
        return copy.deepcopy(self)

    def add(self, *items: Item) -> Spec:
        """Add entries to the last layer."""
        self.layers[-1].extend(items)
        return self


def release() -> Spec:
    """A clean release image of a Go service."""
    base = [
        directory("etc/"),
        directory("etc/ssl/certs/"),
        file("etc/ssl/certs/ca-certificates.crt", CERTIFICATE),
        file(
            "etc/passwd",
            "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:\n",
        ),
        directory("usr/bin/"),
        symlink("bin", "usr/bin"),
        directory("tmp/", 0o1777),
    ]
    service = [directory("app/"), program("app/payments")]
    config = {
        "User": "65532:65532",
        "Env": [
            "PATH=/usr/local/bin:/usr/bin:/bin",
            "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
        ],
        "Entrypoint": ["/app/payments"],
        "Healthcheck": {"Test": ["CMD", "/app/payments", "healthcheck"]},
        "ExposedPorts": {"8080/tcp": {}},
        "Labels": dict(LABELS),
        "WorkingDir": "/",
    }
    return Spec([base, service], config, [{"created_by": "COPY /out/payments /app/payments"}])


def twin(of: Spec | None = None) -> Spec:
    """The debug image of a release."""
    spec = (of or release()).copy()
    tools = [
        directory("busybox/"),
        file("busybox/busybox", BUSYBOX, 0o755),
        symlink("busybox/sh", "/busybox/busybox"),
        symlink("busybox/awk", "/busybox/busybox"),
        symlink("busybox/dpkg", "/busybox/busybox"),
    ]
    spec.layers.append(tools)
    config = spec.config
    config["Cmd"] = config.pop("Entrypoint") + config.pop("Cmd", [])
    config["Env"] = [
        entry + ":/busybox" if entry.startswith("PATH=") else entry for entry in config["Env"]
    ]
    return spec


def layer_tar(layer: Layer) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for item in layer:
            info = tarfile.TarInfo(item.path.rstrip("/"))
            info.type, info.mode, info.size = item.kind, item.mode, len(item.data)
            info.uid, info.gid, info.linkname, info.pax_headers = (
                item.uid,
                item.gid,
                item.link,
                item.pax,
            )
            tar.addfile(info, io.BytesIO(item.data))
    return buffer.getvalue()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


Packer = Callable[[bytes], bytes]


def gz(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


def configuration(spec: Spec, tars: list[bytes]) -> bytes:
    return json.dumps(
        {
            "architecture": spec.architecture,
            "os": "linux",
            "config": spec.config,
            "history": spec.history,
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
        }
    ).encode()


def archive(path: Path, members: list[tuple[str, bytes]]) -> Path:
    """Write a plain tar of named blobs."""
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def docker_members(spec: Spec, pack: Packer = gz) -> list[tuple[str, bytes]]:
    """What Kaniko's --tar-path, crane and docker save write."""
    tars = [layer_tar(layer) for layer in spec.layers]
    config = configuration(spec, tars)
    packed = [pack(tar) for tar in tars]
    names = [digest(blob).removeprefix("sha256:") + ".tar.gz" for blob in packed]
    manifest = [
        {"Config": digest(config), "RepoTags": ["registry.example.com/payments:1"], "Layers": names}
    ]
    return [
        (digest(config), config),
        *dict(zip(names, packed, strict=True)).items(),
        ("manifest.json", json.dumps(manifest).encode()),
    ]


def docker_archive(path: Path, spec: Spec, pack: Packer = gz) -> Path:
    return archive(path, docker_members(spec, pack))


def oci_members(
    *specs: Spec,
    pack: Packer = gz,
    media: str = "application/vnd.oci.image.layer.v1.tar+gzip",
    nested: bool = False,
    platforms: bool = True,
) -> dict[str, bytes]:
    """An OCI layout as named blobs; several images make an index of platforms."""
    blobs: dict[str, bytes] = {}

    def put(data: bytes) -> dict[str, Any]:
        blobs["blobs/" + digest(data).replace(":", "/")] = data
        return {"digest": digest(data), "size": len(data)}

    manifests = []
    for spec in specs:
        tars = [layer_tar(layer) for layer in spec.layers]
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                **put(configuration(spec, tars)),
            },
            "layers": [{"mediaType": media, **put(pack(tar))} for tar in tars],
        }
        entry = {"mediaType": manifest["mediaType"], **put(json.dumps(manifest).encode())}
        if platforms:
            entry["platform"] = {"os": "linux", "architecture": spec.architecture}
        manifests.append(entry)
    if nested:
        inner = {"schemaVersion": 2, "manifests": manifests}
        manifests = [
            {
                "mediaType": "application/vnd.oci.image.index.v1+json",
                **put(json.dumps(inner).encode()),
            }
        ]
    index = {"schemaVersion": 2, "manifests": manifests}
    return {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps(index).encode(),
        **blobs,
    }


def oci_directory(path: Path, members: dict[str, bytes]) -> Path:
    for name, data in members.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return path


def oci_archive(path: Path, members: dict[str, bytes]) -> Path:
    return archive(path, list(members.items()))
