"""`make verify`: the repository, and the images of this version where an engine has them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conformance_images import (
    BUSYBOX,
    Spec,
    directory,
    docker_archive,
    elf,
    file,
    oci_archive,
    oci_members,
    release,
    twin,
)

from rendering import Render

TOOLS = ["sh", "make", "git", "mktemp", "rm", "cp", "tr", "cat", "sed"]
IMAGE = "registry.example.com/platform/payments:1.4.0"
ENGINES = ["docker", "podman", "buildah"]

# What each engine is asked, and nothing else: any other call fails. An image is a file in $STORE.
STUBS = {
    "docker": """
        "image inspect") test -f "$(stored "$3")" || { echo "No such image: $3" >&2; exit 1; } ;;
        "image save") [ "$3" = --output ] && cp "$(stored "$5")" "$4" ;;
    """,
    "podman": """
        "image exists") test -f "$(stored "$3")" ;;
        "image save") [ "$3 $4 $5 $6" = "--quiet --format docker-archive --output" ] &&
          cp "$(stored "$8")" "$7" ;;
    """,
    "buildah": """
        "inspect --type") [ "$3" = image ] || exit 99
          test -f "$(stored "$4")" || { echo "$4: image not known" >&2; exit 125; } ;;
        "push --quiet") cp "$(stored "$3")" "$(to="${4#docker-archive:}"; echo "${to%%:*}")" ;;
    """,
}


@dataclass
class Machine:
    """A service, and the engines of the machine that it is on."""

    service: Path
    bin: Path
    variables: dict[str, str] = field(default_factory=dict)

    def engine(self, name: str, **images: Path) -> None:
        """Install an engine that holds a release and a debug image, one of them, or none."""
        store = self.bin.parent / f"{name}-images"
        store.mkdir()
        for kind, path in images.items():
            suffix = "" if kind == "release" else f"-{kind}"
            shutil.copy(path, store / f"{IMAGE}{suffix}".translate(str.maketrans("/:", "__")))
        self.script(
            name,
            f"stored() {{ echo '{store}'/$(echo \"$1\" | tr /: __); }}\n"
            f'case "$1 $2" in {STUBS[name]} *) exit 99 ;; esac',
        )

    def script(self, name: str, body: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o755)

    def verify(self, **variables: str) -> subprocess.CompletedProcess[str]:
        scratch = self.bin.parent / "scratch"
        scratch.mkdir(exist_ok=True)
        result = subprocess.run(
            ["make", "--no-print-directory", "verify", "VERSION=1.4.0"], cwd=self.service,
            env={"PATH": str(self.bin), "TMPDIR": str(scratch), **variables},
            capture_output=True, text=True,
        )  # fmt: skip
        assert list(scratch.iterdir()) == [], "something was left behind"
        return result


@pytest.fixture
def machine(scaffold: Render, tmp_path: Path) -> Machine:
    machine = Machine(scaffold(), tmp_path / "bin")
    machine.bin.mkdir()
    for tool in TOOLS:
        (machine.bin / tool).symlink_to(str(shutil.which(tool)))
    machine.script("python3", f"exec '{sys.executable}' \"$@\"")
    return machine


Save = Callable[[str, Spec], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    return lambda name, spec: docker_archive(tmp_path / f"{name}.tar", spec)


NOT_CHECKED = f"{IMAGE}: not checked, no container engine here has it (make image builds it)"


def test_without_an_engine_the_repository_is_checked(machine: Machine) -> None:
    result = machine.verify()
    assert (result.returncode, result.stderr) == (0, "")
    repository, image = result.stdout.splitlines()
    assert (repository[:10], repository[-11:]) == ("payments: ", "no findings")
    assert image == NOT_CHECKED


def test_an_engine_without_the_image(machine: Machine, save: Save) -> None:
    machine.script("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    machine.engine("podman")
    machine.engine("buildah", debug=save("debug", twin()))
    result = machine.verify()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == NOT_CHECKED


@pytest.mark.parametrize("engine", ENGINES)
def test_the_release_image_is_checked(engine: str, machine: Machine, save: Save) -> None:
    machine.engine(engine, release=save("release", release()))
    result = machine.verify()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1:] == [f"{IMAGE} (linux/amd64): 12 checks, no findings"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fault_of_the_release_image_fails(engine: str, machine: Machine, save: Save) -> None:
    faulty = release().add(file("app/x", BUSYBOX, 0o755))
    machine.engine(engine, release=save("release", faulty))
    result = machine.verify()
    assert result.returncode != 0
    assert result.stdout.splitlines()[1].startswith("IMG-001  /app/x: ")


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_the_twin_is_checked_against_the_release(engine: str, machine: Machine, save: Save) -> None:
    machine.engine(engine, release=save("release", release()), debug=save("debug", twin()))
    result = machine.verify()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[2] == f"{IMAGE}-debug (linux/amd64): 17 checks, no findings"


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_the_twin_of_another_release_fails(engine: str, machine: Machine, save: Save) -> None:
    other = release()
    other.layers[1][1].data = elf(b"of yesterday")
    machine.engine(engine, release=save("release", release()), debug=save("debug", twin(other)))
    result = machine.verify()
    assert result.returncode != 0
    assert [line[:7] for line in result.stdout.splitlines() if line[3:4] == "-"] == ["TWN-001"]
    assert "make image debug-image" in result.stdout


def test_buildah_builds_the_twin_apart(machine: Machine, save: Save) -> None:
    """Its debug image has other layers: it is checked for itself, and a fault is found."""
    other = release()
    other.layers[1][1].data = elf(b"of another run")
    debug = save("debug", twin(other))
    machine.engine("buildah", release=save("release", release()), debug=debug)
    result = machine.verify()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[2] == f"{IMAGE}-debug (linux/amd64): 12 checks, no findings"

    shelled = twin(other.add(directory("opt/"), file("opt/x", BUSYBOX, 0o755)))
    kept = next((machine.bin.parent / "buildah-images").glob("*-debug"))
    shutil.copy(save("debug", shelled), kept)
    result = machine.verify()
    assert result.returncode != 0
    assert result.stdout.splitlines()[2].startswith("IMG-001  /opt/x: ")


def test_findings_of_repository_and_image_come_together(machine: Machine, save: Save) -> None:
    (machine.service / "Dockerfile").unlink()
    faulty = release().add(file("app/x", BUSYBOX, 0o755))
    machine.engine("podman", release=save("release", faulty))
    result = machine.verify()
    assert result.returncode != 0
    found = [line[:7] for line in result.stdout.splitlines() if line[3:4] == "-"]
    assert found == ["DKF-016", "IMG-001"]


def test_findings_of_the_repository_alone_fail_too(machine: Machine, save: Save) -> None:
    (machine.service / "Dockerfile").unlink()
    machine.engine("podman", release=save("release", release()))
    assert machine.verify().returncode != 0


def test_engine_says_whom_to_ask(machine: Machine, save: Save) -> None:
    machine.engine("docker", release=save("release", release()))
    machine.engine("podman")
    assert machine.verify(ENGINE="podman").stdout.splitlines()[-1] == NOT_CHECKED
    assert "12 checks" in machine.verify(ENGINE="docker").stdout
    result = machine.verify(ENGINE="rkt")
    assert result.returncode != 0
    assert 'ENGINE: got "rkt", want docker, podman or buildah' in result.stderr


def test_an_image_that_cannot_be_saved(machine: Machine) -> None:
    machine.script("podman", "[ $2 = exists ] || { echo 'no space left on device' >&2; exit 125; }")
    result = machine.verify()
    assert result.returncode != 0
    assert "no space left on device" in result.stderr


def test_an_archive_with_an_index(machine: Machine, tmp_path: Path) -> None:
    """Docker with containerd's image store saves an OCI layout."""
    path = oci_archive(tmp_path / "release.tar", oci_members(release()))
    machine.engine("docker", release=path)
    result = machine.verify()
    assert (result.returncode, result.stderr) == (0, "")
    assert "12 checks, no findings" in result.stdout
