"""Damaged and hostile images: exit code 2 and one clear line, never a traceback."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conformance.content import Inspector
from conformance.model import Unusable
from conformance.rootfs import RootFS
from conformance.tarstream import ByteStream, entries
from conformance_images import (
    Item,
    archive,
    directory,
    docker_archive,
    docker_members,
    file,
    hardlink,
    layer_tar,
    oci_archive,
    oci_directory,
    oci_members,
    release,
    symlink,
)
from conformance_tool import TOOL, Answer, run, run_process
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance import oci


def refused(answer: Answer, *words: str) -> None:
    assert answer.code == 2, answer
    assert answer.out == ""
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.startswith("conformance: ")
    for word in words:
        assert word in answer.err


def check(path: Path) -> Answer:
    return run("image", path, "--language", "go")


def test_missing_file(tmp_path: Path) -> None:
    refused(check(tmp_path / "none.tar"), "none.tar", "No such file")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.tar").touch()
    refused(check(tmp_path / "empty.tar"), "the file is empty")


def test_empty_directory(tmp_path: Path) -> None:
    refused(check(tmp_path), "neither an OCI layout nor a docker archive")


@pytest.mark.parametrize(
    "data", [b"hello world\n" * 100, b"\x7fELF" + bytes(5000), b"PK\3\4" + bytes(900)]
)
def test_not_a_tar(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(data)
    refused(check(path), "not a tar archive")


def test_a_tar_that_is_no_image(tmp_path: Path) -> None:
    refused(
        check(archive(tmp_path / "x.tar", [("a", b"b")])),
        "neither an OCI layout nor a docker archive",
    )


def test_device(tmp_path: Path) -> None:
    refused(check(Path("/dev/zero")), "neither a file nor a directory")


def test_fifo_as_blob(tmp_path: Path) -> None:
    path = oci_directory(tmp_path / "image", oci_members(release()))
    blob = max((path / "blobs" / "sha256").iterdir(), key=lambda item: item.stat().st_size)
    blob.unlink()
    os.mkfifo(blob)
    refused(check(path), "missing from the archive")


def test_truncated_archives(tmp_path: Path) -> None:
    whole = docker_archive(tmp_path / "whole.tar", release()).read_bytes()
    last = whole.rstrip(b"\0")
    for cut in range(1, len(last) - 1, 397):
        path = tmp_path / "cut.tar"
        path.write_bytes(whole[:cut])
        refused(check(path))


def test_truncated_gzip(tmp_path: Path) -> None:
    def cut(data: bytes) -> bytes:
        return gzip.compress(data)[:-20]

    refused(check(docker_archive(tmp_path / "i.tar", release(), cut)), "layer 1", "truncated")


def test_corrupt_gzip(tmp_path: Path) -> None:
    def corrupt(data: bytes) -> bytes:
        packed = bytearray(gzip.compress(data))
        packed[40:60] = bytes(20)
        return bytes(packed)

    refused(check(docker_archive(tmp_path / "i.tar", release(), corrupt)), "layer 1", "gzip")


@pytest.mark.parametrize(
    ("victim", "words"),
    [
        ("index.json", "neither an OCI layout"),
        ("manifest", "the manifest is missing"),
        ("config", "the configuration is missing"),
        ("layer", "layer 1 is missing"),
    ],
)
def test_missing_blobs(tmp_path: Path, victim: str, words: str) -> None:
    members = oci_members(release())
    del members[_blob(members, victim)]
    refused(check(oci_archive(tmp_path / "i.tar", members)), words)


def _blob(members: dict[str, bytes], what: str) -> str:
    if what == "index.json":
        return what
    index = json.loads(members["index.json"])
    name = "blobs/" + index["manifests"][0]["digest"].replace(":", "/")
    if what == "manifest":
        return name
    manifest = json.loads(members[name])
    descriptor = manifest["config"] if what == "config" else manifest["layers"][0]
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


@pytest.mark.parametrize("victim", ["manifest", "config", "layer"])
def test_digests_that_do_not_match(tmp_path: Path, victim: str) -> None:
    members = oci_members(release(), pack=lambda data: data)
    name = _blob(members, victim)
    members[name] = bytes([members[name][0] ^ 1]) + members[name][1:]
    refused(check(oci_archive(tmp_path / "i.tar", members)), "digest")


def test_size_that_does_not_match(tmp_path: Path) -> None:
    members = oci_members(release())
    members[_blob(members, "layer")] += b"\0"
    refused(check(oci_archive(tmp_path / "i.tar", members)), "its descriptor says")


def test_layer_that_is_not_the_one_that_was_configured(tmp_path: Path) -> None:
    """Docker archives have no digests of blobs; the configuration's diff_ids remain."""
    other = release()
    other.layers[1][1].data += b"changed"
    swapped = [
        (name, data if not name.endswith("gz") else other_data)
        for (name, data), (_, other_data) in zip(
            docker_members(release()), docker_members(other), strict=True
        )
    ]
    refused(check(archive(tmp_path / "i.tar", swapped)), "layer 2", "digest")


@pytest.mark.parametrize(
    "item",
    [
        file("../../etc/cron.d/x", b"evil"),
        file("app/../../x", b"evil"),
        hardlink("app/shadow", "../../etc/shadow"),
    ],
    ids=["up", "down-and-up", "hardlink"],
)
def test_paths_out_of_the_root(tmp_path: Path, item: Item) -> None:
    refused(
        check(docker_archive(tmp_path / "i.tar", release().add(item))), "out of the image's root"
    )


def test_archive_members_out_of_the_root(tmp_path: Path) -> None:
    members = [*docker_members(release()), ("../../escape", b"x")]
    refused(check(archive(tmp_path / "i.tar", members)), "out of its root")


def test_manifest_that_points_out_of_the_archive(tmp_path: Path) -> None:
    manifest = [{"Config": "../../etc/passwd", "Layers": []}]
    path = oci_directory(tmp_path / "i", {"manifest.json": json.dumps(manifest).encode()})
    refused(check(path), "out of its root")


def test_digest_that_is_a_path(tmp_path: Path) -> None:
    index = {"manifests": [{"digest": "sha256:../../../etc/passwd", "size": 1}]}
    path = oci_directory(tmp_path / "i", {"index.json": json.dumps(index).encode()})
    refused(check(path), "unsupported digest")


def test_hard_link_to_nothing(tmp_path: Path) -> None:
    refused(
        check(docker_archive(tmp_path / "i.tar", release().add(hardlink("app/x", "app/none")))),
        "not there",
    )


def test_entry_below_a_file(tmp_path: Path) -> None:
    refused(
        check(docker_archive(tmp_path / "i.tar", release().add(file("app/payments/x")))),
        "not a directory",
    )


def test_links_in_a_circle_are_harmless(tmp_path: Path) -> None:
    spec = release().add(symlink("app/a", "b"), symlink("app/b", "a"), symlink("app/sh", "a"))
    assert check(docker_archive(tmp_path / "i.tar", spec)).code == 0


def test_two_images_in_one_file(tmp_path: Path) -> None:
    one, two = release(), release()
    two.config["User"] = "1"
    refused(
        check(oci_archive(tmp_path / "i.tar", oci_members(one, two, platforms=False))), "2 images"
    )
    both = [*docker_members(one), *docker_members(two)]
    manifests = [json.loads(data)[0] for name, data in both if name == "manifest.json"]
    members = [item for item in both if item[0] != "manifest.json"]
    members.append(("manifest.json", json.dumps(manifests).encode()))
    refused(check(archive(tmp_path / "d.tar", members)), "2 images")


@pytest.mark.parametrize(
    "document",
    [
        b"{",
        b"[]",
        b"null",
        b"[" * 200_000,
        b'{"manifests": 3}',
        b'{"manifests": []}',
        b'{"manifests": [1]}',
        b"{}",
    ],
)
def test_strange_indexes(tmp_path: Path, document: bytes) -> None:
    refused(check(oci_directory(tmp_path / "i", {"index.json": document})))


@pytest.mark.parametrize(
    "document",
    [b"[]", b"{}", b"[3]", b'[{"Config": 3}]', b'[{"Config": "x"}]', b'[{"Layers": []}]'],
)
def test_strange_manifests(tmp_path: Path, document: bytes) -> None:
    refused(check(oci_directory(tmp_path / "i", {"manifest.json": document})))


def test_index_that_leads_to_itself(tmp_path: Path) -> None:
    members = oci_members(release(), nested=True)
    for _ in range(6):
        inner = members["index.json"]
        members |= oci_members(release())
        name = _put(members, inner)
        members["index.json"] = json.dumps(
            {"manifests": [{"digest": name, "size": len(inner)}]}
        ).encode()
    refused(check(oci_directory(tmp_path / "i", members)), "does not lead to an image")


def _put(members: dict[str, bytes], data: bytes) -> str:
    from conformance_images import digest

    members["blobs/" + digest(data).replace(":", "/")] = data
    return digest(data)


@pytest.mark.parametrize(
    "config",
    [
        {
            "Env": "PATH",
            "Entrypoint": "sh",
            "User": 7,
            "Labels": [],
            "Healthcheck": {"Test": 3},
            "Cmd": {},
        },
        {"Env": [1, None], "Entrypoint": [1], "User": None, "Labels": {"a": None}, "WorkingDir": 3},
        {"Env": {}, "Entrypoint": {}, "Healthcheck": [], "Labels": "x"},
    ],
)
def test_strange_configurations_are_findings_or_refused(
    tmp_path: Path, config: dict[str, object]
) -> None:
    spec = release()
    spec.config = config
    assert check(docker_archive(tmp_path / "i.tar", spec)).code in (1, 2)


# Bombs


def _flatten(path: Path, limits: oci.Limits) -> None:
    with oci.open_image(str(path), limits=limits) as image:
        RootFS().apply(image, Inspector())


def test_a_layer_that_unpacks_to_too_much(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "i.tar", release().add(file("app/zeros", bytes(20 << 20))))
    with pytest.raises(Unusable, match="unpacks to more than"):
        _flatten(path, oci.Limits(unpacked=10 << 20))
    refused(
        run("image", path, "--language", "go", "--max-bytes", str(10 << 20)), "unpacks to more than"
    )
    assert path.stat().st_size < 1 << 20


def test_an_archive_that_unpacks_to_too_much(tmp_path: Path) -> None:
    plain = docker_archive(
        tmp_path / "i.tar", release().add(file("a", bytes(20 << 20))), lambda data: data
    )
    path = tmp_path / "i.tar.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(Unusable, match="unpacks to more than"):
        _flatten(path, oci.Limits(unpacked=10 << 20))


def test_too_many_files(tmp_path: Path) -> None:
    path = docker_archive(
        tmp_path / "i.tar", release().add(*(file(f"app/{number}") for number in range(200)))
    )
    with pytest.raises(Unusable, match="more than 100 files"):
        _flatten(path, oci.Limits(entries=100))


def _with_layer(tmp_path: Path, raw: bytes) -> Path:
    """A docker archive whose last layer is these very bytes."""
    from conformance_images import digest

    spec = release()
    tars = [layer_tar(spec.layers[0]), raw]
    config = json.dumps(
        {
            "os": "linux",
            "config": spec.config,
            "rootfs": {"diff_ids": [digest(tar) for tar in tars]},
        }
    ).encode()
    manifest = [{"Config": "c.json", "Layers": ["0", "1"]}]
    members = [
        ("c.json", config),
        ("0", tars[0]),
        ("1", raw),
        ("manifest.json", json.dumps(manifest).encode()),
    ]
    return archive(tmp_path / "i.tar", members)


def _header(**fields: object) -> bytes:
    info = tarfile.TarInfo("app/x")
    for name, value in fields.items():
        setattr(info, name, value)
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (_header(size=1 << 60) + bytes(1024), "truncated"),
        (_header(type=tarfile.XHDTYPE, size=1 << 40), "header extension"),
        (_header(type=tarfile.GNUTYPE_LONGNAME, size=1 << 30), "header extension"),
        (_header(type=tarfile.GNUTYPE_SPARSE, size=0), "sparse"),
        (
            _header(type=tarfile.XHDTYPE, size=8) + b"99 a=b\n\n" + bytes(504),
            "damaged extended header",
        ),
        (
            _header(type=tarfile.XHDTYPE, size=12) + b"12 size=-10\n" + bytes(500) + _header(),
            "impossible number",
        ),
        (_header()[:-1] + b"x" + _header(), "corrupt"),
        (b"x" * 1024, "corrupt"),
        (_header()[:100], "truncated"),
    ],
    ids=[
        "huge",
        "huge-pax",
        "huge-name",
        "sparse",
        "bad-pax",
        "negative",
        "checksum",
        "noise",
        "short",
    ],
)
def test_strange_layers(tmp_path: Path, raw: bytes, words: str) -> None:
    refused(check(_with_layer(tmp_path, raw)), words)


def _extension(kind: bytes, *records: str, data: bytes = b"", name: str = "x") -> bytes:
    """A header that describes the members behind it: PAX records, or a long GNU name."""
    for record in records:
        rest = f" {record}\n"
        length = len(rest) + len(str(len(rest)))
        data += f"{len(f'{length}{rest}')}{rest}".encode()
    return _header(name=name, type=kind, size=len(data)) + data + bytes(-len(data) % 512)


def _edited(header: bytes, **fields: bytes) -> bytes:
    """Write bytes into a header that tarfile would not write; the checksum is made good."""
    places = {"name": 0, "size": 124, "kind": 156, "magic": 257, "prefix": 345, "trailer": 508}
    raw = bytearray(header)
    for field, value in fields.items():
        raw[places[field] : places[field] + len(value)] = value
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


PAX, GLOBAL = tarfile.XHDTYPE, tarfile.XGLTYPE
LONG_NAME, LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
SHELL = _header(name="bin/sh")
LINK = _header(name="bin/sh", type=tarfile.LNKTYPE, linkname="app/x")
STAR = _edited(
    _header(name="sh"), magic=b"ustar\0", prefix=b"b" * 131 + b"07777777777\0", trailer=b"tar\0"
)


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        (_extension(PAX, "path=") + SHELL, "file bin/sh"),
        (_extension(PAX, "path=app/y", "path=") + SHELL, "file bin/sh"),
        (_extension(PAX, "linkpath=", "size=", "uid=") + LINK, "link bin/sh app/x"),
        (_extension(PAX, "path=app/y") + _extension(PAX, "comment=z") + SHELL, "file bin/sh"),
        (_extension(PAX, "path=app/y") + _extension(PAX) + SHELL, "file bin/sh"),
        (_extension(PAX, "path=app/y") + SHELL + SHELL, "file app/y, file bin/sh"),
        (
            _extension(LONG_NAME, data=b"bin/sh\0") + _extension(PAX, "path=app/y") + _header(),
            "file bin/sh",
        ),
        (
            _extension(PAX, "path=app/y") + _extension(LONG_NAME, data=b"bin/sh\0") + _header(),
            "file bin/sh",
        ),
        (
            _extension(LONG_LINK, data=b"app/z\0") + _extension(PAX, "linkpath=app/y") + LINK,
            "link bin/sh app/z",
        ),
        (_extension(LONG_NAME, data=b"bin/sh\0/../y") + _header(), "file bin/sh"),
        (
            _extension(LONG_NAME, data=b"app/y") + _extension(LONG_NAME, data=b"\0") + SHELL,
            "file bin/sh",
        ),
        (_extension(PAX, "path=app/y") + _extension(GLOBAL) + SHELL, "global x, file bin/sh"),
        (
            _extension(LONG_NAME, data=b"app/y") + _extension(GLOBAL, "comment=z") + SHELL,
            "global x, file bin/sh",
        ),
        (_edited(SHELL, name=b"bin/sh/"), "file bin/sh/"),
        (_edited(SHELL, name=b"bin/sh/", kind=b"\0"), "dir bin/sh/"),
        (_edited(_header(), size=b"\0" * 8 + b"1000") + SHELL + SHELL, "file app/x, file bin/sh"),
        (STAR, f"file {'b' * 131}/sh"),
    ],
    ids=[
        "empty-path",
        "last-path-empty",
        "empty-others",
        "second-extension-replaces",
        "second-extension-empty",
        "extension-of-one-member",
        "gnu-name-then-pax",
        "pax-then-gnu-name",
        "gnu-link-and-pax",
        "gnu-name-ends-at-nul",
        "empty-gnu-name",
        "global-ends-extension",
        "global-ends-gnu-name",
        "file-with-slash",
        "old-directory-with-slash",
        "size-behind-nul",
        "star-prefix",
    ],
)
def test_names_are_those_that_engines_see(raw: bytes, seen: str) -> None:
    """What Go's archive/tar, which every engine uses, makes of the same bytes."""
    members = [entry for entry, _ in entries(ByteStream(iter([raw]), "layer"))]
    assert ", ".join(f"{item.kind} {item.name} {item.link}".strip() for item in members) == seen


@pytest.mark.parametrize(
    "raw",
    [
        _extension(PAX, "path=") + _header(name="usr/bin/sh", mode=0o755),
        _extension(PAX, "path=app/y") + _extension(PAX) + _header(name="usr/bin/sh", mode=0o755),
        _extension(LONG_NAME, data=b"usr/bin/sh\0")
        + _extension(PAX, "path=app/y")
        + _header(mode=0o755),
        _edited(_header(mode=0o755), name=b"usr/bin/sh/"),
    ],
    ids=["empty-path", "two-extensions", "gnu-and-pax", "slash"],
)
def test_a_shell_under_another_name_is_found(tmp_path: Path, raw: bytes) -> None:
    answer = check(_with_layer(tmp_path, raw))
    assert any(line.startswith("IMG-001") and "/usr/bin/sh" in line for line in answer.found), (
        answer
    )


@pytest.mark.parametrize(
    "record",
    ["path=app/y", "linkpath=app/y", "size=1", "uid=1", "gid=1", "GNU.sparse.name=app/y"],
)
def test_a_global_header_that_readers_disagree_on(tmp_path: Path, record: str) -> None:
    raw = _extension(GLOBAL, record) + SHELL
    words = "sparse" if "sparse" in record else "global header"
    refused(check(_with_layer(tmp_path, raw)), "layer 2", words)


@pytest.mark.parametrize(
    "name", ["", ".", "etc/passwd", "bin", "etc/.wh.passwd", "app/.wh..wh..opq"]
)
def test_a_global_header_named_like_a_file(tmp_path: Path, name: str) -> None:
    """Engines remove what is there under the header's own name before they ignore it."""
    raw = _extension(GLOBAL, "comment=z", name=name) + SHELL
    refused(check(_with_layer(tmp_path, raw)), "layer 2", "global header")


def test_a_global_header_with_a_comment_is_harmless(tmp_path: Path) -> None:
    """As git archive writes it."""
    app = layer_tar(release().layers[1])
    raw = _extension(GLOBAL, "comment=" + "0" * 40, name="pax_global_header") + app
    assert check(_with_layer(tmp_path, raw)).code == 0


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("name", ["", ".", "//"])
def test_a_file_without_a_name(tmp_path: Path, kind: bytes, name: str) -> None:
    raw = _header(name=name, type=kind, linkname="etc/passwd")
    refused(check(_with_layer(tmp_path, raw)), "layer 2", "without a name")


@pytest.mark.parametrize(
    "fields",
    [
        {"size": b"0o17\0"},
        {"size": b"-7\0"},
        {"size": b"1_7\0"},
        {"size": b"\t7\0"},
        {"prefix": b"bin\0"},
    ],
    ids=["python", "sign", "underscore", "tab", "prefix-of-a-gnu-header"],
)
def test_numbers_that_only_python_reads(tmp_path: Path, fields: dict[str, bytes]) -> None:
    raw = _edited(_header(), **fields)
    refused(check(_with_layer(tmp_path, raw + bytes(1024))), "impossible number")


def test_very_deep_directories(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "i.tar", release().add(directory("d/" * 3000)))
    refused(check(path), "levels")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_damage_is_a_clear_answer(tmp_path: Path, data: st.DataObject) -> None:
    """A flipped byte anywhere never leads to a traceback."""
    whole = bytearray(docker_archive(tmp_path / "i.tar", release(), lambda tar: tar).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "i.tar").write_bytes(whole)
    answer = check(tmp_path / "i.tar")
    assert answer.code in (0, 1, 2)
    if answer.code == 2:
        refused(answer)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(max_size=4096))
def test_any_bytes_as_a_layer(tmp_path: Path, raw: bytes) -> None:
    assert check(_with_layer(tmp_path, raw)).code in (1, 2)


def test_a_person_sees_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(b"no")
    refused(run_process("image", path, "--language", "go"), "x.tar")


def test_nothing_is_written(tmp_path: Path) -> None:
    before = sorted(TOOL.rglob("*"))
    inner = tmp_path / "cwd"
    inner.mkdir()
    path = docker_archive(tmp_path / "i.tar", release())
    assert run_process("image", path, "--language", "go", cwd=inner).code == 0
    assert list(inner.iterdir()) == []
    assert sorted(TOOL.rglob("*")) == before


# Memory

MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.fixture
def large_image(tmp_path: Path) -> Path:
    """1 GB unpacked: one large executable, one large file, and very many small ones."""
    elf = release().layers[1][1].data
    spec = release()
    spec.layers.append(
        [file("app/model", bytes(300 << 20)), file("app/engine", elf + bytes(650 << 20), 0o755)]
    )
    spec.layers.append(
        [file(f"app/data/{number % 97}/{number}", b"x" * 900) for number in range(40_000)]
    )
    return docker_archive(tmp_path / "large.tar", spec, lambda data: gzip.compress(data, 1))


@pytest.mark.slow
def test_memory_stays_small(large_image: Path) -> None:
    command = [sys.executable, str(TOOL), "image", str(large_image), "--language", "go"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], capture_output=True, text=True, check=True
    )
    code, kilobytes = map(int, done.stdout.split())
    assert code == 0, done
    assert kilobytes < 100 * 1024
