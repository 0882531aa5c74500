"""Syft and Grype themselves, on an image with Debian packages and on a lock file of Rust.

The database has planted flaws: recording.py has written it.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from recording import DATABASE, PACKAGES, SCANS, recorded
from test_scripts import RESOLVED, TAG, Job

from lab import Lab, Missing, install
from rendering import ROOT

BASE = "gcr.io/distroless/static-debian13:nonroot"
# The database grows old, and the tests with it.
FOR_EVER = {"VULNERABILITY_DB_URL": str(DATABASE), "VULNERABILITY_DB_MAX_AGE": "1000000"}


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base as a docker archive."""
    directory = tmp_path_factory.mktemp("base")
    try:
        with Lab() as lab:
            lab.bases_for((BASE,))
            source = f"{lab.registry.address}/{BASE.split('/', 1)[1]}"
            crane = [install.crane(), "pull", "--insecure", "--platform=linux/amd64"]
            subprocess.run([*crane, source, directory / "image.tar"], check=True)
    except Missing as missing:
        pytest.skip(str(missing))
    return directory / "image.tar"


@pytest.fixture
def verified(tmp_path: Path, tarball: Path) -> Job:
    job = Job(tmp_path)
    job.note("resolve", **RESOLVED)
    take(job, tarball)
    for name, program in (("syft", install.syft()), ("grype", install.grype())):
        (tmp_path / "bin" / name).symlink_to(program)
    (tmp_path / "ci" / "conformance").symlink_to(ROOT / "template" / "ci" / "conformance")
    return job


def take(job: Job, tarball: Path) -> None:
    """Leave a tarball as the verified release."""
    target = job.directory / ".pipeline" / "release.tar"
    shutil.copy(tarball, target)
    done = subprocess.run(["sha256sum", target], check=True, capture_output=True, text=True)
    job.note("verify-release", RELEASE_SHA256=done.stdout.split()[0])


def judged(job: Job) -> subprocess.CompletedProcess[str]:
    for script in (("sbom.sh", "release"), ("scan.sh", "release")):
        done = job.script(*script, **TAG, **FOR_EVER)
        assert done.returncode == 0, done.stdout + done.stderr
    return job.script("vulnerabilities.sh", **TAG, **FOR_EVER)


def test_the_packages_of_a_base_are_listed_and_looked_up(verified: Job) -> None:
    done = judged(verified)
    assert done.returncode == 0, done.stdout + done.stderr
    text = " ".join(done.stdout.split())
    assert "no fix yet: CVE-2026-20001 (high)" in text
    assert "no fix yet: CVE-2026-20002 (negligible)" in text
    cyclonedx = json.loads((verified.directory / ".pipeline" / "release.cdx.json").read_text())
    assert cyclonedx["bomFormat"] == "CycloneDX"
    assert "tzdata" in {item["name"] for item in cyclonedx["components"]}


def test_a_crate_of_the_lock_file_wants_its_bump(verified: Job) -> None:
    shutil.copy(ROOT / "partials" / "rust" / "Cargo.lock", verified.directory)
    done = judged(verified)
    assert done.returncode == 1
    assert "CVE-2026-20006 (critical) in serde 1." in done.stdout
    assert "fix: bump serde to 99.0.0" in done.stdout


def test_a_database_that_is_too_old_fails(verified: Job) -> None:
    judged(verified)
    done = verified.script("vulnerabilities.sh", **TAG)
    assert done.returncode == 2
    assert "the database of flaws is stale: it was built at 2026-11-01" in done.stderr


def test_layers_without_directories_stop_the_job(verified: Job, tmp_path: Path) -> None:
    """Syft finds no package below a directory that no layer names."""
    bare = tmp_path / "bare.tar"
    source = verified.directory / ".pipeline" / "release.tar"
    with tarfile.open(source) as old, tarfile.open(bare, "w") as new:
        for member in old:
            data = old.extractfile(member)
            assert data is not None
            content = data.read()
            if member.name.endswith(".gz"):
                content = without_directories(content)
                member.size = len(content)
            (tmp_path / "member").write_bytes(content)
            with (tmp_path / "member").open("rb") as file:
                new.addfile(member, file)
    take(verified, bare)
    done = verified.script("sbom.sh", "release", **TAG)
    assert done.returncode == 1
    assert "and the list has none of them" in done.stderr


def without_directories(layer: bytes) -> bytes:
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as old,
        tarfile.open(fileobj=packed, mode="w") as new,
    ):
        for member in old:
            if not (member.isdir() and "dpkg" in member.name) and member.name not in (
                "var",
                "var/lib",
            ):
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
    return gzip.compress(packed.getvalue())


def test_the_recorded_scans_are_what_grype_says(tmp_path: Path) -> None:
    """recording.py writes them."""
    for name, document in recorded(sorted(PACKAGES), tmp_path).items():
        assert json.loads((SCANS / f"{name}.json").read_text()) == document, name
