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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub import REPOSITORY, Hub, Run
from world import PASSWORD, RELEASE_BASE, USER, World

from github_standin import GitHub
from rendering import Render, commit_all, git

BUILT = {
    "resolve", "verify-bases", "ci-image", "lint", "test", "verify", "build", "verify-image",
    "sbom", "scan", "vulnerabilities",
}  # fmt: skip
JOBS = BUILT | {
    "publish", "debug", "verify-debug", "sbom-debug", "scan-debug", "publish-debug", "attest",
    "promote",
}  # fmt: skip
BASE = RELEASE_BASE.split("/", 1)[1]
# Of the server, for what is handed on and for the run that starts another.
TOKEN = "ghs_T0ken/with+signs="


def handing_off(server: GitHub) -> dict[str, str]:
    return {"GITOPS_REPOSITORY": f"{server.url}/{REPOSITORY}.git"}


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
def server(hub: Hub, first: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHub]:
    """The server that has the repository, whose manifests are deployed from it."""
    hub.sign_with("team")
    hub.server = GitHub(tmp_path_factory.mktemp("server"), hub.directory, TOKEN)
    yield hub.server
    hub.server.close()


@pytest.fixture(scope="module")
def released(hub: Hub, server: GitHub) -> dict[str, str]:
    """The run of the tag v1.2.0; the tags of the registry after it."""
    hub.git("tag", "v1.2.0")
    secrets = {"REGISTRY_USER": USER, "REGISTRY_PASSWORD": PASSWORD, **hub.keys}
    run = hub.run(
        tag="v1.2.0", BUILD_NUMBER_OFFSET="1000", secrets={**secrets, "GITOPS_TOKEN": TOKEN},
        **handing_off(server),
    )  # fmt: skip
    assert run.code == 0, run.log
    assert set(run.passed()) == JOBS | {"hand-off"}
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


def test_a_release_is_handed_to_the_repository_that_is_deployed(
    hub: Hub, server: GitHub, released: dict[str, str]
) -> None:
    [request] = server.merge_requests
    (name,) = (tag for tag in released if re.fullmatch(r"1\.2\.0-b\d+", tag))
    assert request["title"] == f"Deploy payments {name}"
    text = hub.git(
        "--git-dir", str(server.repository), "show",
        "deploy/payments:deploy/overlays/production/kustomization.yaml",
    )  # fmt: skip
    overlay = yaml.safe_load(text)
    assert [image["digest"] for image in overlay["images"]] == [released["1.2.0"]]
    twin = overlay["commonAnnotations"]["debug-image"]
    assert twin.endswith(f"@{released['1.2.0-debug']}")


def test_labels_tell_where_the_image_is_from(
    place: World, hub: Hub, released: dict[str, str]
) -> None:
    labels = place.image(f"{hub.repository}:1.2.0")["config"]["Labels"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in labels.items()}
    assert labels["version"] == "1.2.0"
    assert labels["revision"] == hub.git("rev-parse", "v1.2.0^{commit}")
    assert labels["source"] == f"{hub.url}/{REPOSITORY}"
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
        "CI_PROJECT_URL": f"{hub.url}/{REPOSITORY}",
    }  # fmt: skip
    container = {
        "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_REF_TYPE": "tag",
        "GITHUB_REF_NAME": "v1.2.0", "GITHUB_SHA": head, "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SERVER_URL": hub.url, "IN_CONTAINER": "true",
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


def watch(hub: Hub) -> Run:
    """Run watch.yml, with a database that knows a flaw of the release's base."""
    secrets = {"REGISTRY_USER": USER, "REGISTRY_PASSWORD": PASSWORD, "GITHUB_TOKEN": TOKEN}
    tools = hub.world.tools
    return hub.run(
        "schedule", workflow="watch.yml", secrets=secrets,
        WATCHED_IMAGE=f"{hub.world.address}/{hub.repository}",
        WATCH_CRANE_IMAGE=tools[".in-crane"], WATCH_GRYPE_IMAGE=tools[".in-grype"],
        VULNERABILITY_DB_URL="https://mirror.example.com/base.tar.zst",
    )  # fmt: skip


def test_a_schedule_rebuilds_the_newest_release_on_a_patched_base(
    place: World, hub: Hub, server: GitHub, released: dict[str, str]
) -> None:
    """Without the offset its number is below the newest, and the version stays. The next rebuild
    is the one that the watch asks for, and the release is not handed on without a token."""
    (hub.directory / "cmd" / "note").write_text("LINT: not released yet")
    hub.commit("Work that nobody has released")
    before = hub.tags()
    place.patch_base(RELEASE_BASE, "etc/patched", "a fix\n")
    run = hub.run("schedule")
    assert run.code == 0, run.log
    assert "rebuilding v1.2.0" in run.log
    assert f"1.2.0 stays: b1{hub.number - 1:03} is newer" in run.log or "1.2.0 stays" in run.log
    assert {name: hub.tags()[name] for name in before} == before

    run = watch(hub)
    assert run.code == 0, run.log
    assert set(run.passed()) == {"watch-scan", "watch"}
    assert "1.2.0: a rebuild fixes CVE-2026-20001 in tzdata" in run.log
    assert server.dispatched == [("ci.yml/dispatches", {"ref": "main"})]

    before = hub.tags()
    run = hub.run("workflow_dispatch", BUILD_NUMBER_OFFSET="1000", **handing_off(server))
    assert run.code == 0, run.log
    assert "the secret GITOPS_TOKEN is not set: no pull request is opened" in run.log
    assert len(server.merge_requests) == 1
    assert f"rebuild: the base {RELEASE_BASE} has changed from sha256:" in run.log
    after = hub.tags()
    moved = {name for name in after if before.get(name) != after[name]}
    build = f"1.2.0-b{run.build}"
    assert moved == {"1.2.0", "1.2.0-debug", build, f"{build}-debug"}
    base = place.contents(f"mirror/{BASE}")
    for tag in ("1.2.0", "1.2.0-debug"):
        assert place.contents(f"{hub.repository}:{tag}")[: len(base)] == base


def test_the_templates_next_release_is_a_pull_request(
    place: World, render: Render, template_repository: Path, tmp_path: Path
) -> None:
    """By template-update.yml: without a token it says so, and ends."""
    template = tmp_path / "template"
    git(tmp_path, "clone", "--quiet", str(template_repository), "template")
    git(template, "tag", "v1000.0.0")
    with (template / "template" / "specs" / "README.md").open("a") as file:
        file.write("\nOf the next release.\n")
    commit_all(template, "Release")
    git(template, "tag", "v1000.1.0")
    service = tmp_path / "payments"
    shutil.copytree(render(language="go", ci="github"), service, symlinks=True)
    answers = service / ".copier-answers.yml"
    text = re.sub("(?m)^_commit: .*", "_commit: v1000.0.0", answers.read_text())
    answers.write_text(re.sub("(?m)^_src_path: .*", f"_src_path: {template}", text))
    commit_all(service, "Scaffold")
    git(service, "remote", "add", "origin", f"https://github.com/{REPOSITORY}.git")

    hub = Hub(place, service, "acme/payments", tmp_path / "hub")
    image, mounted = place.updates
    hub.mount(*mounted, template)
    hub.server = GitHub(tmp_path / "server", service, TOKEN)
    try:
        secrets = {"DOCKER_AUTH_CONFIG": (place.directory / "config.json").read_text()}
        update = {"workflow": "template-update.yml", "TEMPLATE_UPDATE_IMAGE": image}
        run = hub.run("schedule", secrets=secrets, **update)
        assert run.code == 0, run.log
        assert "TEMPLATE_UPDATE_TOKEN is not set: no pull request is opened" in run.log
        assert hub.server.merge_requests == []
        run = hub.run("schedule", secrets={**secrets, "TEMPLATE_UPDATE_TOKEN": TOKEN}, **update)
        assert run.code == 0, run.log
        [request] = hub.server.merge_requests
        assert request["title"] == "Update the service template from v1000.0.0 to v1000.1.0"
        branch = "template-update/main:specs/README.md"
        assert "Of the next release." in git(hub.server.repository, "show", branch)
        assert TOKEN not in hub.logs + (hub.scratch / "docker.log").read_text()
    finally:
        hub.server.close()


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
        TOKEN.encode(),
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
