"""Pipelines of one service, run with gitlab-ci-local, in the order of its life."""

from __future__ import annotations

import base64
import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
from world import PASSWORD, RELEASE_BASE, USER, Project, World

JOBS = (
    "resolve", "ci-image", "lint", "test", "verify", "build", "verify-image", "publish", "debug",
    "verify-debug", "promote",
)  # fmt: skip


@pytest.fixture(scope="module")
def first(project: Project) -> str:
    """The first pipeline, on a branch and an empty registry; its log."""
    assert project.tags() == {}
    run = project.run()
    assert run.code == 0, run.log
    assert all(run.ran(job) for job in JOBS), run.log
    assert "is missing and will be built" in run.log
    return run.log


@pytest.fixture(scope="module")
def released(project: Project, first: str) -> dict[str, str]:
    """The pipeline of the tag v1.2.0; the tags of the registry after it."""
    project.git("tag", "v1.2.0")
    run = project.run(tag="v1.2.0")
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
    assert project.tags().keys() == {name, f"{name}-debug"}


def test_the_twin_is_the_release_and_one_layer(project: Project, released: dict[str, str]) -> None:
    release = project.world.layers("platform/payments:1.2.0")
    debug = project.world.layers("platform/payments:1.2.0-debug")
    assert debug[:-1] == release


def test_labels_tell_where_the_image_is_from(
    place: World, project: Project, released: dict[str, str]
) -> None:
    labels = place.image("platform/payments:1.2.0")["config"]["Labels"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in labels.items()}
    assert labels["version"] == "1.2.0"
    assert labels["revision"] == project.git("rev-parse", "v1.2.0^{commit}")
    assert labels["source"] == "https://gitlab.example.com/platform/payments"
    assert labels["base.name"] == RELEASE_BASE
    name = RELEASE_BASE.split("/", 1)[1]
    assert labels["base.digest"] == place.crane("digest", f"{place.address}/mirror/{name}")


def _shell_in_release(directory: Path) -> None:
    path = directory / "image" / "Dockerfile"
    text = path.read_text()
    path.write_text(
        text.replace("USER 65532", "COPY --from=builder /bin/busybox /app/tool\nUSER 65532", 1)
    )


FAULTS = {
    "lint": lambda directory: (directory / "cmd" / "note").write_text("LINT"),
    "test": lambda directory: (directory / "cmd" / "note").write_text("BROKEN"),
    "verify": lambda directory: (directory / "Dockerfile").unlink(),
    "verify-image": _shell_in_release,
}


@pytest.mark.parametrize("job", FAULTS)
def test_a_fault_stops_the_pipeline_and_moves_no_tag(
    project: Project, released: dict[str, str], job: str
) -> None:
    FAULTS[job](project.directory)
    project.commit(f"Plant a fault for {job}")
    try:
        run = project.run(tag="v1.3.0")
    finally:
        project.git("reset", "--quiet", "--hard", "HEAD~1")
    assert run.code != 0
    assert run.failed() == [job], run.log
    assert not run.ran("publish")
    assert not run.ran("promote")
    assert project.tags() == released


def test_an_unreachable_registry_is_one_clear_line(
    project: Project, released: dict[str, str]
) -> None:
    mirror = "docker.io=127.0.0.1:9/mirror;gcr.io=127.0.0.1:9/mirror"
    run = project.run(tag="v1.3.0", REGISTRY_MAP=mirror)
    assert run.failed() == ["resolve"]
    assert (
        "error: ci/image/Dockerfile: cannot resolve the image docker.io/library/python" in run.log
    )
    assert project.tags() == released


def test_wrong_credentials_are_one_clear_line(project: Project, released: dict[str, str]) -> None:
    run = project.run(tag="v1.3.0", REGISTRY_PASSWORD="wrong")
    assert run.failed() == ["resolve"]
    assert "error: ci/image/Dockerfile: cannot resolve the image" in run.log
    assert "UNAUTHORIZED" in run.log
    assert project.tags() == released


def test_a_killed_build_moves_no_tag_and_a_rerun_succeeds(
    place: World, project: Project, released: dict[str, str]
) -> None:
    with subprocess.Popen(
        project.command(tag="v1.3.0"), cwd=project.directory, env=project.environment(), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout
        log = ""
        for line in process.stdout:
            log += line
            if line.startswith("build ") and "$ sh ci/gitlab/build.sh release" in line:
                project.kill("build")
    run = project.ended(process.returncode, log)
    assert run.failed() == ["build"], run.log
    assert project.tags() == released

    project.git("tag", "v1.3.0")
    run = project.run(tag="v1.3.0")
    assert run.code == 0, run.log
    tags = project.tags()
    assert tags["1.3.0"] == tags[f"1.3.0-b{run.build}"]
    assert tags["1.3.0-debug"] == tags[f"1.3.0-b{run.build}-debug"]
    assert {name: tags[name] for name in released} == released


def test_a_schedule_rebuilds_the_newest_release_on_a_patched_base(
    place: World, project: Project, released: dict[str, str]
) -> None:
    before = project.tags()
    (project.directory / "cmd" / "note").write_text("LINT: not released yet")
    project.commit("Work that nobody has released")
    place.patch_base(RELEASE_BASE, "etc/patched", "a fix\n")
    run = project.run(schedule=True)
    assert run.code == 0, run.log
    assert "rebuilding v1.3.0" in run.log
    assert f"rebuild: the base {RELEASE_BASE} has changed from sha256:" in run.log
    after = project.tags()
    moved = {name for name in after if before.get(name) != after[name]}
    build = f"1.3.0-b{run.build}"
    assert moved == {"1.3.0", "1.3.0-debug", build, f"{build}-debug"}
    base = place.contents(f"mirror/{RELEASE_BASE.split('/', 1)[1]}")
    for tag in ("1.3.0", "1.3.0-debug"):
        assert place.contents(f"platform/payments:{tag}")[: len(base)] == base


def test_the_password_is_nowhere(place: World, project: Project, released: dict[str, str]) -> None:
    secrets = [
        PASSWORD.encode(),
        base64.b64encode(f"{USER}:{PASSWORD}".encode()),
        base64.b64encode(PASSWORD.encode()),
    ]
    for secret in secrets:
        assert secret.decode() not in project.logs
    blobs = [
        path for path in (place.registry.config.parent / "storage").rglob("data") if path.is_file()
    ]
    assert blobs
    for path in blobs:
        data = path.read_bytes()
        with_layers = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        assert not any(secret in with_layers for secret in secrets), path
    state = project.directory / ".gitlab-ci-local" / "artifacts"
    for path in state.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets), path
    shutil.rmtree(state)
