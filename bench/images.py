"""Sizes and contents of images: they are the same on every run, so each is measured once."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

from lab import Image
from lab.oci import Layer, Tree, write_image
from lab.system import LabError

from .results import Results, digest
from .run import Options, say
from .subjects import Subject, Workshop, languages, subjects

SECTION = "images"
# Sizes are compared as gzip packs them at its default level, whatever packed the base.
LEVEL = 6
SMALL = 16_384
# Raise it when what is measured changes.
METHOD = 3
CHECKS = {
    "shells": "IMG-001",
    "package_managers": "IMG-002",
    "interpreters": "IMG-003",
    "setuid": "IMG-004",
}


def measure(workshop: Workshop, results: Results, options: Options) -> None:
    offered = [subject.name for language in languages() for subject in subjects(language)]
    results.keep(SECTION, offered)
    wanted = [
        subject
        for language in options.languages
        for subject in subjects(language)
        if workshop.available(subject)
    ]
    # Sizes first: they are what the targets are about, and looking into images takes longer.
    for measured in (sizes, insides):
        for number, subject in enumerate(wanted, 1):
            inputs = digest(workshop.inputs(subject), METHOD)
            row = results.row(SECTION, subject.name, inputs, options.again and measured is sizes)
            if measured.__name__ in row.get("done", []):
                continue
            say(f"images, {measured.__name__} {number}/{len(wanted)}: {subject.name}")
            image = workshop.build(subject)
            row |= {"language": subject.language, "kind": subject.kind, "base": subject.base}
            row |= measured(workshop, subject, image)
            row["done"] = [*row.get("done", []), measured.__name__]
            image.oci_archive.unlink()
            results.save(row)


def sizes(workshop: Workshop, subject: Subject, image: Image) -> dict[str, Any]:
    found = contents(image, closely=subject.kind == "release")
    if subject.kind == "release":
        debug = workshop.build(subject, "debug")
        found |= {
            "base_compressed": base_size(workshop, subject),
            "debug_compressed": sum(compressed(debug)),
        }
        debug.oci_archive.unlink()
    return found


def insides(workshop: Workshop, subject: Subject, image: Image) -> dict[str, Any]:
    return programs(workshop, subject, image) | {"packages": packages(image)}


class _Packed(io.RawIOBase):
    """Counts what gzip would make of what passes through."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        self._source = source
        self._packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._source.read(size)
        self.size += len(self._packer.compress(data))
        return data

    def end(self) -> int:
        while self.read(1 << 20):
            pass
        self.size += len(self._packer.flush())
        return self.size


def _opened(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], name: str) -> Any:
    blob = archive.extractfile(members["blobs/" + name.replace(":", "/")])
    assert blob is not None
    return gzip.open(blob)


def compressed(image: Image) -> list[int]:
    """Bytes of each layer, packed alike."""
    found = []
    with tarfile.open(image.oci_archive) as archive:
        members = {info.name.removeprefix("./"): info for info in archive}
        for name in image.layers:
            with _opened(archive, members, name) as plain:
                found.append(_Packed(plain).end())
    return found


def contents(image: Image, closely: bool = True) -> dict[str, Any]:
    """Sizes and files; closely, also what an image has twice or did not need to have."""
    packed_sizes: list[int] = []
    unpacked, shadowed = 0, 0
    seen: set[str] = set()
    copies: dict[str, list[tuple[str, int]]] = defaultdict(list)
    symbols: list[str] = []
    with tarfile.open(image.oci_archive) as archive:
        members = {info.name.removeprefix("./"): info for info in archive}
        for name in image.layers:
            with _opened(archive, members, name) as plain:
                packed = _Packed(plain)
                with tarfile.open(fileobj=packed, mode="r|") as layer:
                    for info in layer:
                        if not info.isreg():
                            continue
                        path = "/" + info.name.removeprefix("./").strip("/")
                        unpacked += info.size
                        if path in seen:
                            shadowed += info.size
                        seen.add(path)
                        if closely and info.size >= SMALL:
                            handle = layer.extractfile(info)
                            assert handle is not None
                            data = handle.read()
                            copies[hashlib.sha256(data).hexdigest()].append((path, info.size))
                            if has_symbols(data):
                                symbols.append(path)
                packed_sizes.append(packed.end())
    files = image.files
    regular = {path: info.size for path, info in files.items() if info.isreg() or info.islnk()}
    twice = {path: size for group in copies.values() for path, size in group[1:]}
    return {
        "compressed": sum(packed_sizes),
        "layers": packed_sizes,
        "unpacked": unpacked,
        "files": len(regular),
        "shadowed_bytes": shadowed,
        "duplicate_bytes": sum(size for path, size in twice.items() if path in regular),
        "with_symbols": sorted(path for path in symbols if path in regular)[:20],
        "largest": sorted(regular.items(), key=lambda item: (-item[1], item[0]))[:8],
    }


def has_symbols(data: bytes) -> bool:
    """Whether an ELF file has a symbol table (a section of type 2) or debug information."""
    if data[:5] != b"\x7fELF\x02":
        return False
    offset = int.from_bytes(data[40:48], "little")
    size, count, names = (int.from_bytes(data[at : at + 2], "little") for at in (58, 60, 62))
    if not offset or not count:
        return False
    sections = [data[offset + size * n : offset + size * (n + 1)] for n in range(count)]
    if any(section[4:8] == b"\x02\x00\x00\x00" for section in sections):
        return True
    start = int.from_bytes(sections[names][24:32], "little")
    length = int.from_bytes(sections[names][32:40], "little")
    return b".debug_info" in data[start : start + length]


def programs(workshop: Workshop, subject: Subject, image: Image) -> dict[str, Any]:
    """What the service's own conformance checks find, by kind."""
    service = workshop.service(subject.language, subject.base)
    command = [
        sys.executable, "ci/conformance", "image", str(image.oci_archive), "--format", "json",
        "--language", subject.language, "--max-bytes", str(20_000_000_000),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=service, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise LabError(f"conformance cannot read {subject.name}: {done.stderr.strip()}")
    found = [finding["check"] for finding in json.loads(done.stdout)["findings"]]
    return {key: found.count(check) for key, check in CHECKS.items()}


def packages(image: Image) -> dict[str, int] | None:
    """Packages by type as syft sees them in the image, without a network."""
    environment = os.environ | {"SYFT_CHECK_FOR_APP_UPDATE": "false"}
    with tempfile.TemporaryDirectory(dir=image.oci_archive.parent) as work:
        with_directories(image, Path(work))
        command = [
            str(Path(sys.executable).parent / "syft"), "scan", f"oci-dir:{work}",
            "--output", "syft-json", "--quiet",
        ]  # fmt: skip
        done = subprocess.run(
            command, env=environment | {"TMPDIR": work}, capture_output=True, text=True, check=False
        )
    if done.returncode:
        say(f"syft cannot scan it: {done.stderr.strip()[-300:]}")
        return None
    counts: dict[str, int] = defaultdict(int)
    for artifact in json.loads(done.stdout)["artifacts"]:
        counts[artifact["type"]] += 1
    return dict(sorted(counts.items()))


def with_directories(image: Image, layout: Path) -> None:
    """Unpack the archive, with a first layer of the directories that no layer has.

    syft finds distroless' list of packages only where its directory has an entry of its own.
    """
    with tarfile.open(image.oci_archive) as archive:
        archive.extractall(layout, filter="data")
    blobs = layout / "blobs/sha256"
    known = image.files
    with Tree() as tree:
        for parent in sorted({str(up) for path in known for up in PurePosixPath(path).parents}):
            if parent not in known:
                tree.directory(parent)
        layers = [(tree.write(blobs), "directories")]
    named = zip(image.manifest["layers"], image.document["rootfs"]["diff_ids"], strict=True)
    layers += [(Layer(one["digest"], plain, one["size"]), "") for one, plain in named]
    index = write_image(blobs, layers, image.config, {}, image.document["architecture"])
    (layout / "index.json").write_bytes((blobs / index.removeprefix("sha256:")).read_bytes())
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def base_size(workshop: Workshop, subject: Subject) -> int:
    """Bytes of the base's layers in the release image; nothing for an empty base."""
    dockerfile = workshop.service(subject.language, subject.base) / "image/Dockerfile"
    for line in dockerfile.read_text().splitlines():
        if line.startswith("ARG RELEASE_IMAGE="):
            base = workshop.lab.pull(line.partition("=")[2])
            size = sum(compressed(base))
            base.oci_archive.unlink()
            return size
    return 0
