"""The life of one service's runs on GitHub, from an empty registry to a rebuild on a patched base.

act runs the workflows, with a registry that asks for a password.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hub import REPOSITORY, Hub
from world import PASSWORD, RELEASE_BASE, USER, World

BUILT = {
    "resolve", "verify-bases", "ci-image", "lint", "test", "verify", "build", "verify-image",
    "sbom", "scan", "vulnerabilities",
}  # fmt: skip
JOBS = BUILT | {
    "publish", "debug", "verify-debug", "sbom-debug", "scan-debug", "publish-debug", "attest",
    "promote",
}  # fmt: skip
BASE = RELEASE_BASE.split("/", 1)[1]


@pytest.fixture(scope="module")
def first(hub: Hub) -> str:
    """The first run of a push to main, on an empty registry; its log."""
    assert hub.tags() == {}
    run = hub.run()
    assert run.code == 0, run.log
    assert set(run.passed()) == JOBS
    assert "is missing and will be built" in run.log
    return run.log


@pytest.fixture(scope="module")
def released(hub: Hub, first: str) -> dict[str, str]:
    """The run of the tag v1.2.0; the tags of the registry after it."""
    hub.sign_with("team")
    hub.git("tag", "v1.2.0")
    run = hub.run(tag="v1.2.0", BUILD_NUMBER_OFFSET="1000")
    assert run.code == 0, run.log
    assert set(run.passed()) == JOBS
    assert "will be built" not in run.log
    assert run.build == str(1000 + hub.number)
    tags = hub.tags()
    assert tags["1.2.0"] == tags[f"1.2.0-b{run.build}"] == run.noted("publish", "RELEASE_DIGEST")
    assert tags["1.2.0-debug"] == tags[f"1.2.0-b{run.build}-debug"]
    return tags


def test_a_branch_gives_one_pair_and_no_version(hub: Hub, first: str) -> None:
    name = f"main-{hub.git('rev-parse', 'HEAD')[:8]}"
    branch = {tag for tag in hub.tags() if not tag[0].isdigit()}
    assert branch == {name, f"{name}-debug"}


def test_a_pull_request_is_verified_and_nothing_is_published(hub: Hub, first: str) -> None:
    before, published = hub.tags(), hub.manifests()
    run = hub.run("pull_request", payload=hub.request(REPOSITORY))
    assert run.code == 0, run.log
    assert set(run.passed()) == BUILT
    assert hub.tags() == before
    assert hub.manifests() == published


def test_the_twin_is_the_release_and_one_layer(
    place: World, hub: Hub, released: dict[str, str]
) -> None:
    release = place.layers(f"{hub.repository}:1.2.0")
    debug = place.layers(f"{hub.repository}:1.2.0-debug")
    assert debug[:-1] == release


def test_both_digests_carry_their_proof(place: World, hub: Hub, released: dict[str, str]) -> None:
    kaniko = place.tools[".in-kaniko"].partition("@sha256:")[2]
    for tag in ("1.2.0", "1.2.0-debug"):
        sbom, provenance = place.proof(f"{hub.repository}@{released[tag]}", "team")
        assert sbom["documentNamespace"]
        builder = provenance["runDetails"]["builder"]
        assert builder["id"].endswith(f"{REPOSITORY}/.github/workflows/pipeline.yml")
        assert [part["digest"] for part in builder["builderDependencies"]] == [{"sha256": kaniko}]


def test_labels_tell_where_the_image_is_from(
    place: World, hub: Hub, released: dict[str, str]
) -> None:
    labels = place.image(f"{hub.repository}:1.2.0")["config"]["Labels"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in labels.items()}
    assert labels["version"] == "1.2.0"
    assert labels["revision"] == hub.git("rev-parse", "v1.2.0^{commit}")
    assert labels["source"] == f"https://github.com/{REPOSITORY}"
    assert labels["base.name"] == RELEASE_BASE
    assert labels["base.digest"] == place.crane("digest", f"{place.address}/mirror/{BASE}")


def test_the_other_forms_build_the_same_digest(
    place: World, hub: Hub, released: dict[str, str], tmp_path: Path
) -> None:
    """From the same version, source and time: as a job of GitLab's, and as one on GitHub that
    its runner has started in the image. Where the stand-in builds, its container's name is in
    what it writes, so there layers and settings are compared."""
    head = hub.git("rev-parse", "v1.2.0^{commit}")
    build = ["sh", "ci/pipeline/build.sh", "release"]
    gitlab = {
        "CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "v1.2.0", "CI_COMMIT_SHA": head,
        "CI_PROJECT_URL": f"https://github.com/{REPOSITORY}",
    }  # fmt: skip
    container = {
        "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_REF_TYPE": "tag",
        "GITHUB_REF_NAME": "v1.2.0", "GITHUB_SHA": head, "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SERVER_URL": "https://github.com", "IN_CONTAINER": "true",
    }  # fmt: skip

    def kept(config: dict[str, Any]) -> Any:
        return config["rootfs"], config["config"] | {"Hostname": "", "Image": ""}

    def built(command: list[str], variables: dict[str, str], **changed: str) -> Any:
        workspace = tmp_path / f"payments-{len(list(tmp_path.iterdir()))}"
        hub.git("clone", "--quiet", "--branch=v1.2.0", str(hub.directory), str(workspace))
        for job in ("resolve", "ci-image"):
            notes = hub.scratch / "artifacts" / number / job
            shutil.copytree(notes, workspace / ".pipeline", dirs_exist_ok=True)
        note = workspace / ".pipeline/resolve.env"
        text = note.read_text()
        for name, value in changed.items():
            text = re.sub(f"(?m)^{name}=.*", f"{name}={value}", text)
        note.write_text(text)
        given = {
            **variables,
            "IMAGE_REPOSITORY": f"{place.address}/{hub.repository}",
            "REGISTRY_MAP": f"docker.io={place.address}/mirror;gcr.io={place.address}/mirror",
            "REGISTRY_USER": USER, "REGISTRY_PASSWORD": PASSWORD,
        }  # fmt: skip
        place.podman(
            "run", "--rm", *(f"--env={name}={value}" for name, value in given.items()),
            *(f"--volume={volume}" for volume in place.volumes),
            f"--volume={workspace}:/builds/acme/payments", "--workdir=/builds/acme/payments",
            place.tools[".in-kaniko"], *command,
        )  # fmt: skip
        archive = workspace / ".pipeline/release.tar"
        if place.executor:
            return place.crane("digest", "--tarball", str(archive))
        with tarfile.open(archive) as tar:
            (entry,) = json.load(tar.extractfile("manifest.json") or io.BytesIO())
            return kept(json.load(tar.extractfile(entry["Config"]) or io.BytesIO()))

    (name,) = (tag for tag in released if re.fullmatch(r"1\.2\.0-b\d+", tag))
    number = str(int(name.removeprefix("1.2.0-b")) - 1000)
    image = place.image(f"{hub.repository}:1.2.0")
    wanted = released["1.2.0"] if place.executor else kept(image)
    assert built(build, gitlab) == wanted
    form = ["sh", "ci/github/run.sh", "kaniko", *build[1:]]
    assert built(form, container) == wanted
    assert built(build, gitlab, SERVICE_CREATED="2026-03-20T09:30:00Z") != wanted


def test_a_schedule_rebuilds_the_newest_release_on_a_patched_base(
    place: World, hub: Hub, released: dict[str, str]
) -> None:
    """Without the offset its number is below the newest, and the version stays."""
    (hub.directory / "cmd" / "note").write_text("LINT: not released yet")
    hub.commit("Work that nobody has released")
    before = hub.tags()
    place.patch_base(RELEASE_BASE, "etc/patched", "a fix\n")
    run = hub.run("schedule")
    assert run.code == 0, run.log
    assert "rebuilding v1.2.0" in run.log
    assert f"1.2.0 stays: b1{hub.number - 1:03} is newer" in run.log or "1.2.0 stays" in run.log
    assert {name: hub.tags()[name] for name in before} == before

    before = hub.tags()
    run = hub.run("schedule", BUILD_NUMBER_OFFSET="1000")
    assert run.code == 0, run.log
    assert f"rebuild: the base {RELEASE_BASE} has changed from sha256:" in run.log
    after = hub.tags()
    moved = {name for name in after if before.get(name) != after[name]}
    build = f"1.2.0-b{run.build}"
    assert moved == {"1.2.0", "1.2.0-debug", build, f"{build}-debug"}
    base = place.contents(f"mirror/{BASE}")
    for tag in ("1.2.0", "1.2.0-debug"):
        assert place.contents(f"{hub.repository}:{tag}")[: len(base)] == base


def test_the_containers_have_no_privilege_and_no_socket(hub: Hub, released: dict[str, str]) -> None:
    runs = [
        line
        for line in (hub.scratch / "docker.log").read_text().splitlines()
        if line.startswith("docker run")
    ]
    assert runs
    for line in runs:
        assert "--cap-drop=ALL" in line
        assert "no-new-privileges" in line
        assert "docker.sock" not in line
        assert line.count("--volume") == 1


def test_the_password_is_nowhere(place: World, hub: Hub, released: dict[str, str]) -> None:
    secrets = [
        PASSWORD.encode(),
        base64.b64encode(f"{USER}:{PASSWORD}".encode()),
        base64.b64encode(PASSWORD.encode()),
    ]

    def search(where: str, data: bytes) -> None:
        assert not [secret for secret in secrets if secret in data], where

    with pytest.raises(AssertionError, match="planted"):
        search("planted", b"{" + secrets[1] + b"}")
    search("the log", hub.logs.encode())
    search("command lines", (hub.scratch / "docker.log").read_bytes())
    for path in (hub.scratch / "artifacts").rglob("*"):
        if path.is_file():
            search(str(path), path.read_bytes())
    for path in (place.registry.config.parent / "storage").rglob("data"):
        data = path.read_bytes()
        search(str(path), gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
