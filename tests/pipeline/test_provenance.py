"""`make provenance` on a machine with a container engine and without cosign."""

from __future__ import annotations

import os
import shutil

from sigstore import GitLab
from test_attest import Job, Place, job, place
from test_keyless import PROJECT, fulcio, gitlab, keyless

from rendering import ROOT

__all__ = ["fulcio", "gitlab", "job", "keyless", "place"]  # the fixtures


def on_a_laptop(job: Job, place: Place) -> None:
    """The engine knows where the image of cosign is, and the person has logged in nowhere."""
    shutil.copy(ROOT / "template/ci/engine.sh", job.directory / "ci")
    mirror = f'location = "{place.address}/mirror"\ninsecure = true\n'
    (job.directory / "registries.conf").write_text(f'[[registry]]\nprefix = "ghcr.io"\n{mirror}')
    job.env |= place.env | {
        "PATH": os.environ["PATH"], "HOME": str(job.directory), "ENGINE": "podman",
        "CONTAINERS_REGISTRIES_CONF": str(job.directory / "registries.conf"),
    }  # fmt: skip
    del job.env["DOCKER_CONFIG"]
    assert not shutil.which("cosign", path=job.env["PATH"])


def test_with_the_keys_of_the_repository(job: Job, place: Place) -> None:
    assert job.script("attest.sh").returncode == 0
    on_a_laptop(job, place)
    code, text = job.command("sh", "ci/pipeline/show-provenance.sh", job.image("release"))
    assert code == 0, text
    assert "cosign is not installed: it runs in ghcr.io/sigstore/cosign/cosign:v3" in text
    assert f"{job.image('release')} is signed by a key of ci/signing/cosign.pub\n" in text
    assert "\nsource     git+https://gitlab.example.com/platform/payments@" in text
    job.trust("another")
    code, text = job.command("sh", "ci/pipeline/show-provenance.sh", job.image("release"))
    assert code == 1
    assert "is not signed by a key of ci/signing/cosign.pub" in text


def test_with_the_identity_of_the_project(keyless: Job, place: Place, gitlab: GitLab) -> None:
    done = keyless.script("attest.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    on_a_laptop(keyless, place)
    show = ("sh", "ci/pipeline/show-provenance.sh", keyless.image("debug"))
    keyless.env["PROJECT"] = f"{gitlab.url}/{PROJECT}"
    code, text = keyless.command(*show)
    assert code == 0, text
    assert f"source     git+{gitlab.url}/{PROJECT}@refs/tags/v1.4.2\n" in text
    keyless.env["PROJECT"] = f"{gitlab.url}/platform/orders"
    assert keyless.command(*show)[0] == 1
