"""Who signed the bases: real cosign where a key signs, and what it is asked for an identity."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from test_attest import Job, Place, job, place
from world import tar_of

from lab import install
from lab.system import run
from rendering import ROOT

__all__ = ["job", "place"]  # the fixtures

DISTROLESS = "gcr.io/distroless/static-debian13"
KANIKO = "ghcr.io/osscontainertools/kaniko"
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

[[signer]]
repository = "ghcr.io/osscontainertools/kaniko"
identity = "{kaniko_identity}"
issuer = "{kaniko_issuer}"
key = "{kaniko_key}"
"""
# Writes what it is asked, and finds nothing in the older form.
COSIGN = """#!/bin/sh
printf '%s\\n' "$*" >>calls
case $* in *--new-bundle-format=true*) ;; *) echo "Error: no signatures found" >&2; exit 1 ;; esac
"""
# An engine that has the image.
PODMAN = """#!/bin/sh
[ "$1" = run ] || exit 0
while case $1 in ghcr.io/*) false ;; esac; do shift; done
shift
exec {cosign} "$@"
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
    empty = {f"{of}{name}": "" for name in ("identity", "issuer", "key") for of in ("", "kaniko_")}
    (job.directory / "ci/house/house.toml").write_text(SIGNER.format(**empty | signer))
    address = job.place.address
    job.env["REGISTRY_MAP"] = f"gcr.io={address}/mirror;ghcr.io={address}/mirror"
    pinned(job, f"sha256:{'e' * 64}")
    (job.directory / ".gitlab-ci.yml").write_text("# .in-kaniko: an image\n")
    return digest


def pinned(job: Job, digest: str) -> None:
    """The Kaniko that the platform's file names."""
    (job.directory / "ci/gitlab").mkdir(exist_ok=True)
    text = f".in-kaniko:\n  image:\n    name: {KANIKO}:v1.28.2-alpine@{digest}\n"
    (job.directory / "ci/gitlab/pipeline.yml").write_text(text)


def signed(job: Job, digest: str, by: str, name: str = DISTROLESS) -> None:
    private, _ = job.place.keys.pair(by)
    flags = ["--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"]
    image = f"{job.place.address}/mirror/{name.partition('/')[2]}@{digest}"
    sign = [install.cosign(), "sign", "--yes", f"--key={private}", *flags, image]
    run(sign, what="cosign sign", env={"COSIGN_PASSWORD": f"of {by}"})


def test_a_base_that_its_signer_signed_passes(job: Job) -> None:
    """By its digest; the ones that nobody signs are said."""
    public = job.place.keys.pair("publisher")[1]
    digest = base(job, key=str(public))
    signed(job, digest, "publisher")
    done = job.script("verify-bases.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    golang, distroless, own, kaniko = done.stdout.splitlines()[-4:]
    assert golang.startswith("base docker.io/library/golang:1.26-trixie@sha256:")
    assert "is unsigned, or nobody knows by whom" in golang
    assert distroless == f"base {DISTROLESS}@{digest} is signed by {public}"
    assert "names no signer for quay.io/team/own" in own
    assert kaniko.startswith(f"Kaniko {KANIKO}:v1.28.2-alpine@sha256:eee")


@pytest.mark.parametrize("by", ["", "somebody else"])
def test_a_base_signed_by_somebody_else_stops_the_pipeline(job: Job, by: str) -> None:
    public = job.place.keys.pair("publisher")[1]
    digest = base(job, key=str(public))
    if by:
        signed(job, digest, by)
    line = job.fails("verify-bases.sh")
    assert line.startswith(f"error: the base {DISTROLESS}@{digest} is not signed by {public}: ")


def kaniko(job: Job, text: str) -> str:
    """An image on the mirror that is Kaniko; its digest."""
    layer = job.directory / "kaniko.layer"
    layer.write_bytes(tar_of({"kaniko/executor": f"{text} {job.directory}".encode()}))
    return job.place.image("mirror/osscontainertools/kaniko", layer)


def test_the_kaniko_that_its_project_signed_passes(job: Job) -> None:
    """The platform's pin, or the team's own, which may come from another host."""
    public = job.place.keys.pair("publisher")[1]
    base(job, kaniko_key=str(public))
    pin, own = kaniko(job, "the pin"), kaniko(job, "a newer one")
    pinned(job, pin)
    signed(job, pin, "publisher", KANIKO)
    done = job.script("verify-bases.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"\nKaniko {KANIKO}@{pin} is signed by {public}\n")
    name = "mirror.example.com/hub/osscontainertools/kaniko:v1.29.0-alpine"
    (job.directory / ".gitlab-ci.yml").write_text(
        f'# image: {name}@sha256:{"f" * 64}\n.in-kaniko:\n  image:\n    name: "{name}@{own}"\n'
    )
    line = job.fails("verify-bases.sh")
    assert line.startswith(f"error: the Kaniko {KANIKO}@{own} is not signed by {public}: ")
    signed(job, own, "publisher", KANIKO)
    done = job.script("verify-bases.sh")
    assert done.stdout.endswith(f"\nKaniko {KANIKO}@{own} is signed by {public}\n")


def test_a_kaniko_signed_by_somebody_else_stops_the_pipeline(job: Job) -> None:
    public = job.place.keys.pair("publisher")[1]
    base(job, kaniko_key=str(public))
    digest = kaniko(job, "planted")
    pinned(job, digest)
    signed(job, digest, "somebody else", KANIKO)
    line = job.fails("verify-bases.sh")
    assert line.startswith(f"error: the Kaniko {KANIKO}@{digest} is not signed by {public}: ")


def test_a_pin_that_is_gone_is_no_reason_to_pass(job: Job) -> None:
    base(job)
    (job.directory / "ci/gitlab/pipeline.yml").write_text("")
    line = job.fails("verify-bases.sh")
    assert "ci/gitlab/pipeline.yml names no image osscontainertools/kaniko" in line


@pytest.mark.parametrize("root", [False, True])
def test_a_keyless_signature_is_of_this_identity(job: Job, root: bool) -> None:
    identity, issuer = "keyless@distroless.iam.gserviceaccount.com", "https://accounts.google.com"
    workflow = "https://github.com/osscontainertools/kaniko/.github/workflows/images.yaml"
    github = "https://token.actions.githubusercontent.com"
    digest = base(
        job, identity=identity, issuer=issuer,
        kaniko_identity=f"{workflow}@refs/tags/v*", kaniko_issuer=github,
    )  # fmt: skip
    script = job.directory / "ci/pipeline/cosign.sh"
    (job.directory / "cosign").write_text(COSIGN)
    (job.directory / "cosign").chmod(0o755)
    program = '"$cosign_program"'
    script.write_text(script.read_text().replace(program, f'"{job.directory}/cosign"'))
    if root:
        (job.directory / "ci/signing/trusted-root.json").write_text("{}")
    done = job.script("verify-bases.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    asked = Path(job.directory / "calls").read_text().splitlines()
    assert len(asked) == 4
    for line in asked[:2]:
        assert f"--certificate-identity {identity} --certificate-oidc-issuer {issuer}" in line
        assert ("--trusted-root ci/signing/trusted-root.json" in line) == root
        assert line.endswith(f"/mirror/distroless/static-debian13@{digest}")
    for line in asked[2:]:
        [tagged] = re.findall("--certificate-identity-regexp (\\S+) ", line)
        assert f" --certificate-oidc-issuer {github} " in line
        assert ("--trusted-root ci/signing/trusted-root.json" in line) == root
        assert line.endswith(f"/mirror/osscontainertools/kaniko@sha256:{'e' * 64}")
        assert re.search(tagged, f"{workflow}@refs/tags/v1.28.2")
        for other in (f"{workflow}@refs/heads/main", f"{workflow}@refs/tags/v1@x",
                      workflow.replace(".com", "-com") + "@refs/tags/v1.28.2",
                      f"https://evil.example.com/{workflow}@refs/tags/v1.28.2"):  # fmt: skip
            assert not re.search(tagged, other)


def test_switched_off_it_says_what_else_is_wanted(job: Job) -> None:
    base(job)
    done = job.script("verify-bases.sh", BASE_VERIFICATION="off")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("BASE_VERIFICATION is off")
    assert "PIP-014" in done.stdout
    line = job.fails("verify-bases.sh", BASE_VERIFICATION="no")
    assert 'BASE_VERIFICATION is "no": want on or off' in line


def shown(job: Job, image: str) -> tuple[int, str]:
    """`make provenance`, as a person calls it."""
    return job.command("sh", "ci/pipeline/show-provenance.sh", image)


def test_what_is_shown_is_verified_first(job: Job, place: Place) -> None:
    """An image, as a person names it, and one of somebody else's."""
    assert job.script("attest.sh").returncode == 0
    (job.directory / "bin").mkdir()
    (job.directory / "bin/cosign").symlink_to(place.cosign_program)
    job.env["PATH"] = f"{job.directory / 'bin'}:{job.env['PATH']}"
    code, text = shown(job, job.image("debug"))
    assert code == 0, text
    assert f"{job.image('debug')} is signed by a key of ci/signing/cosign.pub\n" in text
    assert (
        "\nsource     git+https://gitlab.example.com/platform/payments@refs/tags/v1.4.2\n" in text
    )
    assert f"\nfrom       {job.repository} sha256:{job.digests['release'][7:]}\n" in text
    assert "\npackages   none\n" in text

    # Without the program an engine runs its image.
    (job.directory / "bin/cosign").unlink()
    shutil.copy(ROOT / "template/ci/engine.sh", job.directory / "ci")
    (job.directory / "bin/podman").write_text(PODMAN.format(cosign=place.cosign_program))
    (job.directory / "bin/podman").chmod(0o755)
    job.env |= {"ENGINE": "podman", "HOME": str(job.directory)}
    code, again = shown(job, job.image("debug"))
    assert code == 0, again
    assert again.startswith("cosign is not installed: it runs in ghcr.io/sigstore/cosign/cosign:v3")
    assert again.partition("\n")[2] == text
    (job.directory / "config.json").write_text('{"credHelpers": {"gcr.io": "gcloud"}}')
    job.trust("another")
    code, text = shown(job, job.image("debug"))
    assert code == 1
    assert "is not signed by a key of ci/signing/cosign.pub" in text
    assert "config.json names a program that knows the credentials" in text
    (job.directory / "ci/signing/cosign.pub").write_text("none yet\n")
    code, text = shown(job, job.image("debug"))
    assert code == 1
    assert "error: ci/signing/cosign.pub has no public key" in text
