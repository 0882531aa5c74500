"""Images as files: OCI layouts and docker archives, read where they lie."""

from __future__ import annotations

import hashlib
import json
import os
import platform as host
import posixpath
import queue
import re
import stat
import threading
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from . import tarstream
from .model import Unusable, printable

CHUNK = 1 << 18
MAX_JSON = 8 << 20
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"

_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "i686": "386",
    "loongarch64": "loong64",
}


@dataclass(frozen=True)
class Limits:
    """What an image may make this tool do."""

    unpacked: int = 16 << 30
    entries: int = 500_000


class Budget:
    """Counts what has been unpacked, over all layers of an image."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._bytes = 0
        self._entries = 0

    def spend_bytes(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self.limits.unpacked:
            raise Unusable(
                f"the image unpacks to more than {self.limits.unpacked} bytes; raise --max-bytes if it is meant"
            )

    def spend_entry(self) -> None:
        self._entries += 1
        if self._entries > self.limits.entries:
            raise Unusable(f"the image has more than {self.limits.entries} files")


class Archive:
    """Named blobs, in a directory or in a tar file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def has(self, name: str) -> bool:
        raise NotImplementedError

    def size(self, name: str) -> int:
        raise NotImplementedError

    def chunks(self, name: str) -> Iterator[bytes]:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def json(self, name: str, what: str, digest: str | None = None) -> Any:
        if not self.has(name):
            raise Unusable(f"{what} {printable(name)} is missing from the archive")
        if self.size(name) > MAX_JSON:
            raise Unusable(f"{what} {printable(name)} is larger than {MAX_JSON} bytes")
        data = b"".join(self.chunks(name))
        if digest is not None:
            verifier = Verifier(digest, what)
            verifier.update(data)
            verifier.finish()
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise Unusable(f"{what} {printable(name)} is not valid JSON") from None


class DirectoryArchive(Archive):
    def _file(self, name: str) -> str:
        return os.path.join(self.path, *name.split("/"))

    def has(self, name: str) -> bool:
        try:
            return stat.S_ISREG(os.stat(self._file(name)).st_mode)
        except OSError:
            return False

    def size(self, name: str) -> int:
        return os.path.getsize(self._file(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        with open(self._file(name), "rb") as file:
            yield from iter(lambda: file.read(CHUNK), b"")


class TarArchive(Archive):
    def __init__(self, path: str, limits: Limits) -> None:
        super().__init__(path)
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115 - closed by close()
        size = os.path.getsize(path)
        if self._file.read(2) == GZIP:
            self._file.close()
            self._file, size = _unzipped(path, limits)
        self._members: dict[str, tuple[int, int]] = {}
        try:
            self._read_index(size, limits)
        except BaseException:
            self._file.close()
            raise

    def _read_index(self, size: int, limits: Limits) -> None:
        self._file.seek(0)
        links: dict[str, str] = {}
        stream = tarstream.FileStream(self._file, size, "the archive")
        for count, (entry, _) in enumerate(tarstream.entries(stream)):
            if count > limits.entries:
                raise Unusable(f"the archive has more than {limits.entries} members")
            name = inside(entry.name, "the archive")
            self._members.pop(name, None)
            links.pop(name, None)
            if entry.kind == tarstream.FILE:
                self._members[name] = (stream.offset, entry.size)
            elif entry.kind == tarstream.HARDLINK:
                links[name] = inside(entry.link, "the archive")
            elif entry.kind == tarstream.SYMLINK:
                links[name] = inside(posixpath.join(posixpath.dirname(name), entry.link), "the archive")
        for name, target in links.items():
            for _ in range(8):
                target = links.get(target, target)
            if target in self._members:
                self._members[name] = self._members[target]

    def has(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        return self._members[name][1]

    def chunks(self, name: str) -> Iterator[bytes]:
        offset, left = self._members[name]
        while left:
            self._file.seek(offset)
            chunk = self._file.read(min(CHUNK, left))
            if not chunk:
                raise Unusable("the archive is truncated")
            yield chunk
            offset += len(chunk)
            left -= len(chunk)

    def close(self) -> None:
        self._file.close()


def _unzipped(path: str, limits: Limits) -> tuple[BinaryIO, int]:
    import gzip

    file = gzip.open(path, "rb")  # noqa: SIM115 - closed by the archive
    size = 0
    try:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            if size > limits.unpacked:
                raise Unusable(f"the archive unpacks to more than {limits.unpacked} bytes")
    except Unusable:
        file.close()
        raise
    except (OSError, EOFError, zlib.error):
        file.close()
        raise Unusable("the archive's gzip data is corrupt or truncated") from None
    return file, size  # type: ignore[return-value]


def inside(name: str, what: str) -> str:
    """Return the path relative to the root, or fail if it leads out of it."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise Unusable(f"{what} has a path that leads out of its root: {printable(name)}")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


class Verifier:
    """Compares what was read with the digest that was promised."""

    def __init__(self, digest: str, what: str) -> None:
        algorithm, _, self._expected = digest.partition(":")
        if algorithm not in ("sha256", "sha512") or not re.fullmatch(r"[0-9a-f]{64,128}", self._expected):
            raise Unusable(f"{what} has an unsupported digest: {printable(digest[:100])}")
        self._hash = hashlib.new(algorithm)
        self._what = what
        self.update = self._hash.update

    def finish(self) -> None:
        if self._hash.hexdigest() != self._expected:
            raise Unusable(
                f"{self._what} does not match its digest: expected {self._expected}, got {self._hash.hexdigest()}"
            )


@dataclass
class Layer:
    """One layer: the blob, and what it must unpack to."""

    archive: Archive
    blob: str
    diff_id: str
    what: str
    digest: str | None = None

    def stream(self, budget: Budget) -> tarstream.ByteStream:
        return tarstream.ByteStream(_ahead(self._unpacked(budget)), self.what)

    def _unpacked(self, budget: Budget) -> Iterator[bytes]:
        verifier = Verifier(self.diff_id, f"{self.what} (unpacked)")
        for chunk in _decompressed(self._packed(), self.what):
            budget.spend_bytes(len(chunk))
            verifier.update(chunk)
            yield chunk
        verifier.finish()

    def _packed(self) -> Iterator[bytes]:
        if self.digest is None or self.digest == self.diff_id:
            yield from self.archive.chunks(self.blob)
            return
        verifier = Verifier(self.digest, self.what)
        for chunk in self.archive.chunks(self.blob):
            verifier.update(chunk)
            yield chunk
        verifier.finish()


def _ahead(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack in a second thread while the first one looks at the files; both drop the GIL."""
    ready: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=4)
    stopped = threading.Event()

    def hand_over(item: bytes | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for chunk in chunks:
                hand_over(chunk)
                if stopped.is_set():
                    return
            hand_over(None)
        except BaseException as error:  # raised again where the chunks are read
            hand_over(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def _decompressed(chunks: Iterator[bytes], what: str) -> Iterator[bytes]:
    first = next(chunks, b"")
    if first.startswith(GZIP):
        yield from _gunzip(first, chunks, what)
    elif first.startswith(ZSTD):
        yield from _unzstd(first, chunks, what)
    elif first:
        yield first
        yield from chunks


def _gunzip(first: bytes, chunks: Iterator[bytes], what: str) -> Iterator[bytes]:
    inflate = zlib.decompressobj(wbits=31)
    data: bytes | None = first
    try:
        while data is not None:
            while data:
                if inflate.eof:
                    # A layer may be several gzip members, or be padded with zeros.
                    data = data.lstrip(b"\0")
                    inflate = zlib.decompressobj(wbits=31) if data else inflate
                    continue
                output = inflate.decompress(data, 4 * CHUNK)
                data = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
                if output:
                    yield output
                elif data and not inflate.eof:
                    raise zlib.error
            data = next(chunks, None)
        while not inflate.eof:
            output = inflate.decompress(b"", 4 * CHUNK)
            if not output:
                raise Unusable(f"{what} is truncated")
            yield output
    except zlib.error:
        raise Unusable(f"{what} has corrupt gzip data") from None


def _unzstd(first: bytes, chunks: Iterator[bytes], what: str) -> Iterator[bytes]:
    inflate = _zstd_decompressor(what)
    data: bytes | None = first
    try:
        while data is not None:
            output = inflate.decompress(data)
            for start in range(0, len(output), 4 * CHUNK):
                yield output[start : start + 4 * CHUNK]
            data = inflate.unused_data if inflate.eof else b""
            if inflate.eof:
                inflate = _zstd_decompressor(what) if data else inflate
            if not data:
                data = next(chunks, None)
                if data is not None and inflate.eof:
                    inflate = _zstd_decompressor(what)
    except Unusable:
        raise
    except Exception:  # each of the libraries has an error class of its own
        raise Unusable(f"{what} has corrupt zstd data") from None
    if not inflate.eof:
        raise Unusable(f"{what} is truncated")


def _zstd_decompressor(what: str) -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]

        return zstd.ZstdDecompressor()
    except ImportError:
        pass
    try:
        import zstandard  # type: ignore[import-not-found, unused-ignore]

        return zstandard.ZstdDecompressor().decompressobj()
    except ImportError:
        raise Unusable(
            f"{what} is compressed with zstd, which this Python cannot read; "
            "use Python 3.14, install zstandard, or build with gzip layers"
        ) from None


@dataclass
class Image(AbstractContextManager["Image"]):
    """An opened image: its configuration and its layers."""

    path: str
    archive: Archive
    platform: str
    config: dict[str, Any]
    layers: list[Layer]
    budget: Budget
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def diff_ids(self) -> list[str]:
        return [layer.diff_id for layer in self.layers]

    def __exit__(self, *_: object) -> None:
        self.archive.close()


def open_image(path: str, platform: str | None = None, limits: Limits | None = None) -> Image:
    """Open an OCI layout or a docker archive, as a directory or a tar file."""
    limits = limits or Limits()
    archive = _open_archive(path, limits)
    try:
        if archive.has("index.json"):
            config, layers, found = _from_layout(archive, platform)
        elif archive.has("manifest.json"):
            config, layers, found = _from_docker_archive(archive)
        elif archive.has("repositories"):
            raise Unusable(
                "the archive has docker's format of before version 1.10, which has no manifest; save the image again"
            )
        else:
            raise Unusable("it is neither an OCI layout nor a docker archive: no index.json and no manifest.json in it")
        settings = _settings(config)
        return Image(path, archive, found, config, layers, Budget(limits), settings)
    except BaseException:
        archive.close()
        raise


def _open_archive(path: str, limits: Limits) -> Archive:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return DirectoryArchive(path)
        if not stat.S_ISREG(mode):
            raise Unusable("it is neither a file nor a directory")
        if not os.path.getsize(path):
            raise Unusable("the file is empty")
        return TarArchive(path, limits)
    except OSError as error:
        raise Unusable(f"cannot read it: {error.strerror}") from None


def _from_docker_archive(archive: Archive) -> tuple[dict[str, Any], list[Layer], str]:
    manifests = _sequence(archive.json("manifest.json", "the manifest"), "manifest.json")
    if len({json.dumps(item, sort_keys=True) for item in manifests}) != 1:
        raise Unusable(f"manifest.json names {len(manifests)} images; save one image at a time")
    manifest = _mapping(manifests[0], "manifest.json")
    config_name = inside(_string(manifest.get("Config"), "manifest.json: Config"), "manifest.json")
    promised = re.search(r"(?:^|[/:])([0-9a-f]{64})(?:\.json)?$", config_name)
    digest = f"sha256:{promised.group(1)}" if promised else None
    config = _mapping(archive.json(config_name, "the image configuration", digest), "the image configuration")
    names = [
        inside(_string(name, "manifest.json: Layers"), "manifest.json")
        for name in _sequence(manifest.get("Layers") or [], "manifest.json: Layers")
    ]
    blobs: list[tuple[str, str | None]] = [(name, None) for name in names]
    return config, _layers(archive, blobs, config), _platform_of(config)


def _from_layout(archive: Archive, wanted: str | None) -> tuple[dict[str, Any], list[Layer], str]:
    descriptor: dict[str, Any] = {}
    document = _mapping(archive.json("index.json", "the index"), "index.json")
    for _ in range(4):
        if "manifests" not in document:
            break
        descriptor = _choose(_sequence(document["manifests"], "index.json: manifests"), wanted)
        name, digest = _blob(archive, descriptor, "the manifest")
        document = _mapping(archive.json(name, "the manifest", digest), "the manifest")
    if "config" not in document or "layers" not in document:
        raise Unusable("the index does not lead to an image manifest")
    name, digest = _blob(archive, _mapping(document["config"], "the manifest's config"), "the configuration")
    config = _mapping(archive.json(name, "the image configuration", digest), "the image configuration")
    blobs: list[tuple[str, str | None]] = []
    for position, item in enumerate(_sequence(document["layers"], "the manifest's layers"), 1):
        blobs.append(_blob(archive, _mapping(item, "a layer's descriptor"), f"layer {position}"))
    return config, _layers(archive, blobs, config), _platform_of(config)


def _layers(archive: Archive, blobs: list[tuple[str, str | None]], config: dict[str, Any]) -> list[Layer]:
    rootfs = _mapping(config.get("rootfs") or {}, "the image configuration's rootfs")
    diff_ids = _sequence(rootfs.get("diff_ids") or [], "the image configuration's diff_ids")
    if len(diff_ids) != len(blobs):
        raise Unusable(f"the manifest names {len(blobs)} layers, the configuration {len(diff_ids)}")
    layers = []
    for position, ((name, digest), diff_id) in enumerate(zip(blobs, diff_ids), 1):
        if not archive.has(name):
            raise Unusable(f"layer {position} ({printable(name)}) is missing from the archive")
        layers.append(Layer(archive, name, _string(diff_id, "a diff_id"), f"layer {position}", digest))
    return layers


def _blob(archive: Archive, descriptor: dict[str, Any], what: str) -> tuple[str, str]:
    digest = _string(descriptor.get("digest"), f"{what}'s digest")
    Verifier(digest, what)
    name = "blobs/" + digest.replace(":", "/", 1)
    if not archive.has(name):
        raise Unusable(f"{what} is missing from the archive: {name}")
    size = descriptor.get("size")
    if size != archive.size(name):
        raise Unusable(f"{what} has {archive.size(name)} bytes, its descriptor says {printable(str(size)[:40])}")
    return name, digest


def _choose(manifests: list[Any], wanted: str | None) -> dict[str, Any]:
    """Pick the image for this machine, or the one asked for."""
    images: dict[str, tuple[str, dict[str, Any]]] = {}
    for item in manifests:
        descriptor = _mapping(item, "a manifest's descriptor")
        annotations = descriptor.get("annotations")
        if isinstance(annotations, dict) and "vnd.docker.reference.type" in annotations:
            continue  # an attestation about another entry
        images[_string(descriptor.get("digest"), "a manifest's digest")] = (
            _platform_of(descriptor.get("platform")),
            descriptor,
        )
    if not images:
        raise Unusable("the index names no image")
    choices = list(images.values())
    unknown = all(name == "unknown" for name, _ in choices)
    if len(choices) == 1 and (wanted is None or unknown):
        return choices[0][1]
    if unknown:
        raise Unusable(f"the index names {len(choices)} images; save one image at a time")
    target = wanted or f"linux/{_ARCHITECTURES.get(host.machine(), host.machine())}"
    for name, descriptor in choices:
        if name == target or name.startswith(target + "/"):
            return descriptor
    found = ", ".join(sorted({printable(name) for name, _ in choices}))
    raise Unusable(f"the index has no image for {target}, only for {found}; choose one with --platform")


def _platform_of(value: object) -> str:
    if not isinstance(value, dict):
        return "unknown"
    parts = [value.get("os"), value.get("architecture"), value.get("variant")]
    return "/".join(part for part in parts if isinstance(part, str) and part) or "unknown"


_TYPES = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the image, each of the type that the checks rely on, or raise Unusable."""
    what = "the image configuration's "
    settings = _mapping(config.get("config") or {}, f"{what}config")
    health = settings.get("Healthcheck")
    _typed(health, f"{what}Healthcheck", dict, "an object")
    _typed_items((health or {}).get("Test"), f"{what}Healthcheck.Test", list, "a list of strings")
    for key in ("User", "WorkingDir"):
        _typed(settings.get(key), what + key, str, "a string")
    for key in ("Env", "Entrypoint", "Cmd"):
        _typed_items(settings.get(key), what + key, list, "a list of strings")
    _typed_items(settings.get("Labels"), f"{what}Labels", dict, "an object of strings")
    return settings


def _typed(value: object, what: str, kind: type, expected: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise Unusable(f"{what} is {_TYPES[type(value)]}, expected {expected}")


def _typed_items(value: Any, what: str, kind: type, expected: str) -> None:
    _typed(value, what, kind, expected)
    for item in value.values() if isinstance(value, dict) else value or []:
        if not isinstance(item, str):
            raise Unusable(f"{what} has {_TYPES[type(item)]} in it, expected {expected}")


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unusable(f"{what} is not a JSON object")
    return value


def _sequence(value: object, what: str) -> list[Any]:
    if not isinstance(value, list) or (not value and what == "manifest.json"):
        raise Unusable(f"{what} is not a list")
    return value


def _string(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise Unusable(f"{what} is missing")
    return value
