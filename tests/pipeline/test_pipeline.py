"""The life of one service's pipelines, from an empty registry to a rebuild on a patched base."""

from __future__ import annotations

import base64
import gzip
import shutil

import pytest
from world import PASSWORD, RELEASE_BASE, USER, Project, World

JOBS = (
    "resolve", "verify-bases", "ci-image", "lint", "test", "verify", "build", "verify-image",
    "sbom", "scan", "vulnerabilities", "publish", "debug", "verify-debug", "sbom-debug",
    "scan-debug", "publish-debug", "attest", "promote",
)  # fmt: skip
KANIKO = f"ghcr.io/osscontainertools/kaniko:v1.28.2-alpine@sha256:{'4' * 64}"
BASE = RELEASE_BASE.split("/", 1)[1]


@pytest.fixture(scope="module")
def first(project: Project, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The first pipeline, on a branch and an empty registry, by `make ci`; its log."""
    assert project.tags() == {}
    run = project.make_ci(tmp_path_factory.mktemp("home"))
    assert run.code == 0, run.log
    assert all(run.ran(job) for job in JOBS), run.log
    assert "is missing and will be built" in run.log
    assert "unsigned: nothing says how to sign" in run.log
    return run.log


@pytest.fixture(scope="module")
def released(project: Project, first: str) -> dict[str, str]:
    """The pipeline of the tag v1.2.0, the first that is signed; the registry's tags after it."""
    project.sign_with("team")
    project.git("tag", "v1.2.0")
    run = project.run(tag="v1.2.0", CI_JOB_IMAGE=KANIKO)
    assert run.code == 0, run.log
    assert "will be built" not in run.log
    tags = project.tags()
    pair = {f"1.2.0-b{run.build}", f"1.2.0-b{run.build}-debug"}
    assert pair < tags.keys()
    assert tags["1.2.0"] == tags[f"1.2.0-b{run.build}"]
    assert tags["1.2.0-debug"] == tags[f"1.2.0-b{run.build}-debug"]
    return tags


def test_a_branch_gives_one_pair_and_no_version(project: Project, first: str) -> None:
    name = f"main-{project.git('rev-parse', 'HEAD')[:8]}"
    branch = {tag for tag in project.tags() if not tag[0].isdigit()}
    assert branch == {name, f"{name}-debug"}


@pytest.mark.parametrize(
    ("database", "line"),
    [
        ("critical", "CVE-2026-20005 (critical) in github.com/prometheus/client_golang"),
        ("stale", "the database of flaws is stale"),
    ],
    ids=["a bump is due", "a stale database"],
)
def test_a_scan_that_fails_leaves_every_tag(
    project: Project, first: str, database: str, line: str
) -> None:
    """The jobs from the scan on, once more: with a database that knows of a flaw, or an old one."""
    before, published = project.tags(), project.manifests()
    url = f"https://mirror.example.com/{database}.tar.zst"
    run = project.run(jobs=("scan", "vulnerabilities", "publish"), VULNERABILITY_DB_URL=url)
    assert run.failed() == ["vulnerabilities"], run.log
    assert line in run.log
    assert not run.ran("publish")
    assert project.tags() == before
    assert project.manifests() == published


def test_a_merge_request_is_verified_and_nothing_is_published(project: Project, first: str) -> None:
    before, published = project.tags(), project.manifests()
    run = project.run(CI_PIPELINE_SOURCE="merge_request_event", CI_MERGE_REQUEST_IID="12")
    assert run.code == 0, run.log
    assert [job for job in JOBS if run.ran(job)] == list(JOBS[: JOBS.index("publish")])
    assert project.tags() == before
    assert project.manifests() == published


def test_the_twin_is_the_release_and_one_layer(
    place: World, project: Project, released: dict[str, str]
) -> None:
    release = place.layers(f"{project.repository}:1.2.0")
    debug = place.layers(f"{project.repository}:1.2.0-debug")
    assert debug[:-1] == release


def test_both_digests_carry_their_proof(
    place: World, project: Project, released: dict[str, str]
) -> None:
    """The SBOM that was scanned, and a provenance that names the twin and the bases."""
    for tag, twin in (("1.2.0", "1.2.0-debug"), ("1.2.0-debug", "")):
        image = f"{project.repository}@{released[tag]}"
        sbom, provenance = place.proof(image, "team")
        assert sbom["documentNamespace"]
        build, details = provenance["buildDefinition"], provenance["runDetails"]
        parts = {part["uri"]: part["digest"] for part in build["resolvedDependencies"]}
        base = place.crane("digest", f"{place.address}/mirror/{BASE}")
        assert parts[f"docker://{RELEASE_BASE}"] == {"sha256": base.partition(":")[2]}
        commit = project.git("rev-parse", "v1.2.0^{commit}")
        url = "https://gitlab.example.com/platform/payments"
        assert parts[f"git+{url}@refs/tags/v1.2.0"] == {"gitCommit": commit}
        [kaniko] = details["builder"]["builderDependencies"]
        assert kaniko["digest"] == {"sha256": "4" * 64}
        named = [part["digest"]["sha256"] for part in details.get("byproducts", [])]
        assert named == ([released[twin].partition(":")[2]] if twin else [])


def test_labels_tell_where_the_image_is_from(
    place: World, project: Project, released: dict[str, str]
) -> None:
    labels = place.image(f"{project.repository}:1.2.0")["config"]["Labels"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in labels.items()}
    assert labels["version"] == "1.2.0"
    assert labels["revision"] == project.git("rev-parse", "v1.2.0^{commit}")
    assert labels["source"] == "https://gitlab.example.com/platform/payments"
    assert labels["base.name"] == RELEASE_BASE
    assert labels["base.digest"] == place.crane("digest", f"{place.address}/mirror/{BASE}")


def test_a_schedule_rebuilds_the_newest_release_on_a_patched_base(
    place: World, project: Project, released: dict[str, str]
) -> None:
    """And then an older version is built anew: no tag of the newer one moves."""
    (project.directory / "cmd" / "note").write_text("LINT: not released yet")
    project.commit("Work that nobody has released")
    before = project.tags()
    place.patch_base(RELEASE_BASE, "etc/patched", "a fix\n")
    # A project's variable of a name that the platform's YAML once had changes nothing.
    # A flaw that the base still has stops nothing.
    database = "https://mirror.example.com/base.tar.zst"
    run = project.run(schedule=True, SOURCE_DIR=".", VULNERABILITY_DB_URL=database)
    assert run.code == 0, run.log
    assert "rebuilding v1.2.0" in run.log
    assert "tzdata 2026a-0+deb13u1: no fix yet: CVE-2026-20001 (high)" in run.log
    assert f"rebuild: the base {RELEASE_BASE} has changed from sha256:" in run.log
    after = project.tags()
    moved = {name for name in after if before.get(name) != after[name]}
    build = f"1.2.0-b{run.build}"
    assert moved == {"1.2.0", "1.2.0-debug", build, f"{build}-debug"}
    base = place.contents(f"mirror/{BASE}")
    for tag in ("1.2.0", "1.2.0-debug"):
        assert place.contents(f"{project.repository}:{tag}")[: len(base)] == base

    project.git("reset", "--quiet", "--hard", "v1.2.0")
    run = project.run(tag="v1.1.0")
    assert run.code == 0, run.log
    older = {"1.1.0", "1.1.0-debug", f"1.1.0-b{run.build}", f"1.1.0-b{run.build}-debug"}
    assert project.tags().keys() - after.keys() == older
    assert {name: project.tags()[name] for name in after} == after


def test_the_password_is_nowhere(place: World, project: Project, released: dict[str, str]) -> None:
    secrets = [
        PASSWORD.encode(),
        base64.b64encode(f"{USER}:{PASSWORD}".encode()),
        base64.b64encode(PASSWORD.encode()),
    ]

    def search(where: str, data: bytes) -> None:
        assert not [secret for secret in secrets if secret in data], where

    with pytest.raises(AssertionError, match="planted"):
        search("planted", b"{" + secrets[1] + b"}")
    search("the log", project.logs.encode())
    # Layers, and the configurations: history, labels and environment.
    blobs = [
        path for path in (place.registry.config.parent / "storage").rglob("data") if path.is_file()
    ]
    assert blobs
    for path in blobs:
        data = path.read_bytes()
        search(str(path), gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    state = project.directory / ".gitlab-ci-local" / "artifacts"
    for path in state.rglob("*"):
        if path.is_file():
            search(str(path), path.read_bytes())
    shutil.rmtree(state)
