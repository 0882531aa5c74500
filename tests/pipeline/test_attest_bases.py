"""Who signed the bases: real cosign where a key signs, and what it is asked for an identity."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_attest import Job, Place, job, place
from world import tar_of

from lab import install
from lab.system import run

__all__ = ["job", "place"]  # the fixtures

DISTROLESS = "gcr.io/distroless/static-debian13"
SIGNER = """\
[[base]]
language = "go"
release = "gcr.io/distroless/static-debian13:nonroot"

[[signer]]
repository = "docker.io/library/golang"
identity = ""
issuer = ""
key = ""

[[signer]]
repository = "gcr.io/distroless/static-debian13"
identity = "{identity}"
issuer = "{issuer}"
key = "{key}"
"""
# Writes what it is asked, and finds nothing in the older form.
COSIGN = """#!/bin/sh
printf '%s\\n' "$*" >>calls
case $* in *--new-bundle-format=true*) ;; *) echo "Error: no signatures found" >&2; exit 1 ;; esac
"""


def base(job: Job, **signer: str) -> str:
    """A base on the mirror, and what the table says of it; its digest."""
    layer = job.directory / "base.layer"
    layer.write_bytes(tar_of({"etc/base": str(job.directory).encode()}))
    digest = job.place.image("mirror/distroless/static-debian13", layer)
    (job.directory / ".pipeline/bases").write_text(
        f"- docker.io/library/golang:1.26-trixie sha256:{'a' * 64}\n"
        f"RELEASE_IMAGE {DISTROLESS}:nonroot {digest}\n"
        f"- quay.io/team/own:1 sha256:{'d' * 64}\n"
    )
    (job.directory / "ci/house").mkdir()
    text = SIGNER.format(**{"identity": "", "issuer": "", "key": "", **signer})
    (job.directory / "ci/house/house.toml").write_text(text)
    address = job.place.address
    job.env["REGISTRY_MAP"] = f"gcr.io={address}/mirror;ghcr.io={address}/mirror"
    return digest


def signed(job: Job, digest: str, by: str) -> None:
    private, _ = job.place.keys.pair(by)
    flags = ["--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"]
    image = f"{job.place.address}/mirror/distroless/static-debian13@{digest}"
    sign = [install.cosign(), "sign", "--yes", f"--key={private}", *flags, image]
    run(sign, what="cosign sign", env={"COSIGN_PASSWORD": f"of {by}"})


def test_a_base_that_its_signer_signed_passes(job: Job) -> None:
    """By its digest; the ones that nobody signs are said."""
    public = job.place.keys.pair("publisher")[1]
    digest = base(job, key=str(public))
    signed(job, digest, "publisher")
    done = job.script("verify-bases.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    golang, distroless, own = done.stdout.splitlines()[-3:]
    assert golang.startswith("base docker.io/library/golang:1.26-trixie@sha256:")
    assert "is unsigned, or nobody knows by whom" in golang
    assert distroless == f"base {DISTROLESS}@{digest} is signed by {public}"
    assert "names no signer for quay.io/team/own" in own


@pytest.mark.parametrize("by", ["", "somebody else"])
def test_a_base_signed_by_somebody_else_stops_the_pipeline(job: Job, by: str) -> None:
    public = job.place.keys.pair("publisher")[1]
    digest = base(job, key=str(public))
    if by:
        signed(job, digest, by)
    line = job.fails("verify-bases.sh")
    assert line.startswith(f"error: the base {DISTROLESS}@{digest} is not signed by {public}: ")


@pytest.mark.parametrize("root", [False, True])
def test_a_keyless_signature_is_of_this_identity(job: Job, root: bool) -> None:
    identity, issuer = "keyless@distroless.iam.gserviceaccount.com", "https://accounts.google.com"
    digest = base(job, identity=identity, issuer=issuer)
    script = job.directory / "ci/pipeline/cosign.sh"
    (job.directory / "cosign").write_text(COSIGN)
    (job.directory / "cosign").chmod(0o755)
    program = '"$cosign_dir/ko-app/cosign"'
    script.write_text(script.read_text().replace(program, f'"{job.directory}/cosign"'))
    if root:
        (job.directory / "ci/signing/trusted-root.json").write_text("{}")
    done = job.script("verify-bases.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    asked = Path(job.directory / "calls").read_text().splitlines()
    assert len(asked) == 2
    for line in asked:
        assert f"--certificate-identity {identity} --certificate-oidc-issuer {issuer}" in line
        assert ("--trusted-root ci/signing/trusted-root.json" in line) == root
        assert line.endswith(f"/mirror/distroless/static-debian13@{digest}")


def test_switched_off_it_says_what_else_is_wanted(job: Job) -> None:
    base(job)
    done = job.script("verify-bases.sh", BASE_VERIFICATION="off")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("BASE_VERIFICATION is off")
    assert "PIP-014" in done.stdout
    line = job.fails("verify-bases.sh", BASE_VERIFICATION="no")
    assert 'BASE_VERIFICATION is "no": want on or off' in line


def test_what_is_shown_is_verified_first(job: Job, place: Place) -> None:
    """`make provenance`: an image, as a person names it, and one of somebody else's."""
    assert job.script("attest.sh").returncode == 0
    (job.directory / "bin").mkdir()
    (job.directory / "bin/cosign").symlink_to(place.cosign_program)
    job.env["PATH"] = f"{job.directory / 'bin'}:{job.env['PATH']}"

    def shown(image: str) -> tuple[int, str]:
        script = ["sh", "ci/pipeline/show-provenance.sh", image]
        return job.command(*script)

    code, text = shown(job.image("debug"))
    assert code == 0, text
    assert f"{job.image('debug')} is signed by a key of ci/signing/cosign.pub\n" in text
    assert (
        "\nsource     git+https://gitlab.example.com/platform/payments@refs/tags/v1.4.2\n" in text
    )
    assert f"\nfrom       {job.repository} sha256:{job.digests['release'][7:]}\n" in text
    assert "\npackages   none\n" in text
    job.trust("another")
    code, text = shown(job.image("debug"))
    assert code == 1
    assert "is not signed by a key of ci/signing/cosign.pub" in text
    (job.directory / "ci/signing/cosign.pub").write_text("none yet\n")
    code, text = shown(job.image("debug"))
    assert code == 1
    assert "error: ci/signing/cosign.pub has no public key" in text
