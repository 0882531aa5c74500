"""Every format that builders write is read the same way."""

from __future__ import annotations

import gzip
import json
import platform
import tarfile
from pathlib import Path

import pytest
from conformance_images import (
    BASH,
    PYTHON,
    Spec,
    archive,
    configuration,
    directory,
    docker_archive,
    docker_members,
    file,
    gz,
    layer_tar,
    oci_archive,
    oci_directory,
    oci_members,
    program,
    release,
    twin,
)
from conformance_tool import run, run_process

HOST = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "amd64")
OTHER = "arm64" if HOST == "amd64" else "amd64"


def plain(data: bytes) -> bytes:
    return data


def two_members(data: bytes) -> bytes:
    half = len(data) // 2
    return gzip.compress(data[:half]) + gzip.compress(data[half:])


def padded(data: bytes) -> bytes:
    return gz(data) + bytes(1024)


def shelled() -> Spec:
    return release().add(program("app/x", BASH))


@pytest.mark.parametrize("pack", [gz, plain, two_members, padded])
@pytest.mark.parametrize("form", ["docker", "oci", "oci-dir"])
@pytest.mark.parametrize("clean", [True, False])
def test_formats(tmp_path: Path, form: str, pack: object, clean: bool) -> None:
    spec = release() if clean else shelled()
    if form == "docker":
        path = docker_archive(tmp_path / "image.tar", spec, pack)
    elif form == "oci":
        path = oci_archive(tmp_path / "image.tar", oci_members(spec, pack=pack))
    else:
        path = oci_directory(tmp_path / "image", oci_members(spec, pack=pack))
    answer = run("image", path, "--language", "go", "--format", "json")
    assert (answer.code, answer.ids) == ((0, set()) if clean else (1, {"IMG-001"})), answer


def test_zipped_archive(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "image.tar", shelled())
    zipped = tmp_path / "image.tar.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert run("image", zipped, "--language", "go", "--format", "json").ids == {"IMG-001"}


def test_archive_with_dot_slash_names_and_links_between_layers(tmp_path: Path) -> None:
    spec = shelled()
    tars = [layer_tar(layer) for layer in spec.layers]
    config = configuration(spec, tars)
    manifest = [
        {"Config": "config.json", "RepoTags": None, "Layers": ["a/layer.tar", "b/layer.tar"]}
    ]
    path = archive(
        tmp_path / "image.tar",
        [
            ("./a/layer.tar", tars[0]),
            ("./c/layer.tar", tars[1]),
            ("./config.json", config),
            ("./manifest.json", json.dumps(manifest).encode()),
        ],
    )
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("./b/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../c/layer.tar"
        tar.addfile(link)
    assert run("image", path, "--language", "go", "--format", "json").ids == {"IMG-001"}


def test_archive_that_is_both_layout_and_docker_archive(tmp_path: Path) -> None:
    """Docker 25 and newer write one file with both."""
    members = oci_members(shelled()) | dict(docker_members(shelled()))
    path = oci_archive(tmp_path / "image.tar", members)
    assert run("image", path, "--language", "go", "--format", "json").ids == {"IMG-001"}


def test_empty_layers(tmp_path: Path) -> None:
    spec = release()
    spec.layers[1:1] = [[], []]
    assert run("image", docker_archive(tmp_path / "image.tar", spec), "--language", "go").code == 0


@pytest.mark.parametrize("nested", [False, True])
def test_index_takes_the_image_for_this_machine(tmp_path: Path, nested: bool) -> None:
    ours, theirs = release(), shelled()
    ours.architecture, theirs.architecture = HOST, OTHER
    path = oci_archive(tmp_path / "image.tar", oci_members(theirs, ours, nested=nested))
    answer = run("image", path, "--language", "go")
    assert answer.code == 0
    assert f"(linux/{HOST})" in answer.out
    chosen = run("image", path, "--language", "go", "--platform", f"linux/{OTHER}")
    assert chosen.code == 1
    assert f"(linux/{OTHER})" in chosen.out


def test_index_without_this_machine_says_what_it_has(tmp_path: Path) -> None:
    one, two = release(), release()
    one.architecture, two.architecture = "s390x", "ppc64le"
    path = oci_archive(tmp_path / "image.tar", oci_members(one, two))
    answer = run("image", path, "--language", "go")
    assert answer.code == 2
    assert "only for linux/ppc64le, linux/s390x; choose one with --platform" in answer.err


def test_index_with_an_attestation(tmp_path: Path) -> None:
    members = oci_members(release())
    index = json.loads(members["index.json"])
    attestation = dict(index["manifests"][0])
    attestation["digest"] = "sha256:" + "0" * 64
    attestation["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    index["manifests"].append(attestation)
    members["index.json"] = json.dumps(index).encode()
    assert run("image", oci_archive(tmp_path / "i.tar", members), "--language", "go").code == 0


def test_zstd_layers_are_read_or_refused_by_name(tmp_path: Path) -> None:
    def fake(data: bytes) -> bytes:
        return b"\x28\xb5\x2f\xfd" + data

    path = oci_archive(tmp_path / "image.tar", oci_members(release(), pack=fake))
    answer = run("image", path, "--language", "go")
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "zstd" in answer.err


def test_zstd_layers_with_a_decompressor(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    pack = zstandard.ZstdCompressor().compress
    path = oci_archive(tmp_path / "image.tar", oci_members(shelled(), pack=pack))
    assert run("image", path, "--language", "go", "--format", "json").ids == {"IMG-001"}


def test_long_names_and_names_that_are_not_text(tmp_path: Path) -> None:
    deep = "/".join(["a-rather-long-directory-name"] * 12)
    spec = release().add(
        directory("app/data/"),
        program(f"app/{deep}/sh", mode=0o755),
        file("app/data/\udcff\nx", mode=0o666),
    )
    answer = run("image", docker_archive(tmp_path / "image.tar", spec), "--language", "go")
    assert [line[:7] for line in answer.found] == ["IMG-001", "IMG-005"]
    assert deep in answer.found[0]
    assert "\\nx" in answer.found[1]


def test_the_language_comes_from_the_repository(tmp_path: Path) -> None:
    spec = release().add(program("usr/bin/python3.13", PYTHON))
    path = docker_archive(tmp_path / "image.tar", spec)
    repo = tmp_path / "repo"
    repo.mkdir()
    nothing = run("image", path, "--repo", repo)
    assert nothing.code == 2
    assert "pass --language" in nothing.err
    (repo / "go.mod").touch()
    assert run("image", path, "--repo", repo, "--format", "json").ids == {"IMG-003"}
    (repo / ".copier-answers.yml").write_text("_commit: 1\nlanguage: python\n")
    assert run("image", path, "--repo", repo).code == 0


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("User", 7, "User is a number, expected a string"),
        ("Env", 5, "Env is a number, expected a list of strings"),
        ("Env", ["A=1", None], "Env has null in it, expected a list of strings"),
        ("Entrypoint", {"a": 1}, "Entrypoint is an object, expected a list of strings"),
        ("Cmd", [["x"]], "Cmd has a list in it, expected a list of strings"),
        ("Healthcheck", "x", "Healthcheck is a string, expected an object"),
        ("Healthcheck", {"Test": True}, "Healthcheck.Test is true or false, expected a list"),
        ("Labels", ["x"], "Labels is a list, expected an object of strings"),
        ("Labels", {"x": 1.5}, "Labels has a number in it, expected an object of strings"),
        ("WorkingDir", [], "WorkingDir is a list, expected a string"),
    ],
)
def test_a_setting_of_another_type_is_refused(
    tmp_path: Path, key: str, value: object, words: str
) -> None:
    spec = release()
    spec.config[key] = value
    answer = run("image", docker_archive(tmp_path / "i.tar", spec), "--language", "go")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert f"i.tar: the image configuration's {words}" in answer.err


@pytest.mark.parametrize("key", ["Env", "Cmd", "Healthcheck", "Labels", "WorkingDir", "User"])
def test_a_setting_that_is_null_is_not_set(tmp_path: Path, key: str) -> None:
    spec = release()
    spec.config[key] = None
    answer = run("image", docker_archive(tmp_path / "i.tar", spec), "--language", "go")
    assert answer.code in (0, 1)


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("²", 'USER is "²", expected numbers'),
        ("9" * 5000, f'USER is "{"9" * 40}…", expected numbers'),
        ("65532:" + "9" * 5000, f'USER is "65532:{"9" * 34}…", expected numbers'),
        ("1:²", 'USER is "1:²", expected numbers'),
        ("000", 'USER is "000", which is root'),
    ],
)
def test_users_that_are_no_numbers(tmp_path: Path, user: str, message: str) -> None:
    spec = release()
    spec.config["User"] = user
    answer = run("image", docker_archive(tmp_path / "i.tar", spec), "--language", "go")
    assert answer.found == [f"IMG-006  config: {message}"]


def test_debug_image_without_its_release(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "debug.tar", twin())
    assert run("image", path, "--language", "go", "--format", "json").ids >= {"IMG-001"}
    assert run("image", path, "--language", "go", "--debug").code == 0


def test_twin_between_formats(tmp_path: Path) -> None:
    of = oci_directory(tmp_path / "release", oci_members(release()))
    debug = docker_archive(tmp_path / "debug.tar", twin())
    answer = run_process("image", debug, "--twin", of, "--language", "go", cwd=tmp_path)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith("17 checks, no findings\n")
