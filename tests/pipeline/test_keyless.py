"""Keyless signatures: Fulcio itself, tokens as GitLab's are, and no log."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from sigstore import Fulcio, GitLab
from test_attest import FORMS, RESOLVED, Job, Place, job, place

from lab import Missing, install

__all__ = ["job", "place"]  # the fixtures
PROJECT = "platform/payments"


@pytest.fixture(scope="module")
def gitlab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLab]:
    made = GitLab(tmp_path_factory.mktemp("gitlab"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def fulcio(gitlab: GitLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fulcio]:
    try:
        made = Fulcio(tmp_path_factory.mktemp("fulcio"), gitlab)
    except Missing as missing:
        pytest.skip(str(missing))
    yield made
    made.close()


@pytest.fixture
def keyless(job: Job, gitlab: GitLab, fulcio: Fulcio) -> Job:
    """The jobs of a release whose service has no key, and a Sigstore of its own."""
    (job.directory / "ci/signing/cosign.pub").write_text("No key.\n")
    for file in (fulcio.trusted_root, fulcio.signing_config):
        shutil.copy(file, job.directory / "ci/signing")
    del job.env["COSIGN_PRIVATE_KEY"]
    job.env |= {
        "SIGNING": "keyless",
        "SIGSTORE_ID_TOKEN": gitlab.token("v1.4.2"),
        "CI_SERVER_URL": gitlab.url,
        "CI_PROJECT_URL": f"{gitlab.url}/{PROJECT}",
        "CI_PIPELINE_URL": f"{gitlab.url}/{PROJECT}/-/pipelines/7",
    }
    return job


def identity(gitlab: GitLab, ref: str) -> str:
    return f"{gitlab.url}/{PROJECT}//.gitlab-ci.yml@refs/{ref}"


def accepted(job: Job, verb: str, name: str, identity: str, issuer: str, *words: str) -> bool:
    """Whether a consumer accepts an image of this identity."""
    done = subprocess.run(
        [
            install.cosign(), verb, f"--certificate-identity={identity}",
            f"--certificate-oidc-issuer={issuer}", "--trusted-root=ci/signing/trusted-root.json",
            "--insecure-ignore-tlog=true", "--insecure-ignore-sct=true", *words, job.image(name),
        ],
        cwd=job.directory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def test_both_digests_are_signed_by_the_tags_identity(
    keyless: Job, place: Place, gitlab: GitLab
) -> None:
    done = keyless.script("attest.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    expected = identity(gitlab, "tags/v1.4.2")
    for name in ("release", "debug"):
        for words in FORMS.values():
            assert accepted(keyless, "verify", name, expected, gitlab.url, *words)
            for kind in ("spdxjson", "slsaprovenance1"):
                type_ = f"--type={kind}"
                assert accepted(
                    keyless, "verify-attestation", name, expected, gitlab.url, type_, *words
                )
    for words in FORMS.values():
        another = identity(gitlab, "tags/v1.4.3")
        assert not accepted(keyless, "verify", "release", another, gitlab.url, *words)
        issuer = "https://gitlab.example.com"
        assert not accepted(keyless, "verify", "release", expected, issuer, *words)
    done = keyless.script("promote.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert keyless.tags() == {"1.4.2", "1.4.2-debug", "1.4.2-b7", "1.4.2-b7-debug"}

    # And the job watch finds the list of it.
    base = "mirror/distroless/static-debian13"
    place.image(base, keyless.directory / "release.layer")
    place.crane("tag", f"{place.address}/{base}:1", "nonroot")
    keyless.env["REGISTRY_MAP"] += f";gcr.io={place.address}/mirror"
    branch = {"CI_COMMIT_TAG": "", "CI_COMMIT_REF_NAME": "main", "CI_PIPELINE_SOURCE": "schedule"}
    done = keyless.script("watch-list.sh", **branch)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"1.4.2 is {keyless.digests['release']}\n")
    assert (keyless.directory / ".pipeline/watch/1.4.2.spdx.json").stat().st_size


@pytest.mark.parametrize(
    "token",
    [{"ref": "v1.4.3"}, {"ref": "main", "kind": "branch"},
     {"ref": "v1.4.2", "project": "platform/orders"}],
    ids=["another tag", "a branch", "another project"],
)  # fmt: skip
def test_a_token_of_another_pipeline_leaves_every_tag(
    keyless: Job, gitlab: GitLab, token: dict[str, str]
) -> None:
    keyless.env["SIGSTORE_ID_TOKEN"] = gitlab.token(**token)
    line = keyless.fails("attest.sh", "promote.sh")
    expected = identity(gitlab, "tags/v1.4.2")
    assert f"has no signature (referrer) by {expected}: " in line
    assert keyless.env["SIGSTORE_ID_TOKEN"] not in line


def test_a_token_that_is_none_stops(keyless: Job) -> None:
    keyless.env["SIGSTORE_ID_TOKEN"] = "s3cret"
    line = keyless.fails("attest.sh", "promote.sh")
    assert "cannot sign" in line
    assert "s3cret" not in line


def test_a_signing_config_wants_its_root(keyless: Job) -> None:
    (keyless.directory / "ci/signing/trusted-root.json").unlink()
    line = keyless.fails("attest.sh", "promote.sh")
    assert "ci/signing/signing-config.json is there without ci/signing/trusted-root.json" in line


def shown(job: Job, place: Place, **env: str) -> tuple[int, str]:
    (job.directory / "bin").mkdir(exist_ok=True)
    if not (job.directory / "bin/cosign").exists():
        (job.directory / "bin/cosign").symlink_to(place.cosign_program)
    path = f"{job.directory / 'bin'}:{job.env['PATH']}"
    done = job.script("show-provenance.sh", job.image("release"), PATH=path, **env)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("ref", "kind", "accepted"),
    [("v1.4.2", "tag", True), ("main", "branch", True), ("topic", "branch", False)],
)
def test_make_provenance_accepts_the_tag_and_the_schedules_branch(
    keyless: Job, place: Place, gitlab: GitLab, ref: str, kind: str, accepted: bool
) -> None:
    keyless.env["SIGSTORE_ID_TOKEN"] = gitlab.token(ref, kind)
    branch = {}
    if kind == "branch":
        version = {"KIND": "branch", "SERVICE_VERSION": f"{ref}-0a1b2c3d"}
        keyless.note("resolve", **{**RESOLVED, **version})
        branch = {"CI_COMMIT_TAG": "", "CI_COMMIT_REF_NAME": ref, "CI_COMMIT_REF_SLUG": ref}
    done = keyless.script("attest.sh", **branch)
    assert done.returncode == 0, done.stdout + done.stderr
    code, text = shown(keyless, place, PROJECT=f"{gitlab.url}/{PROJECT}")
    assert (code == 0) == accepted, text
    if accepted:
        assert f"source     git+{gitlab.url}/{PROJECT}@refs/" in text
    else:
        assert "is not signed by ^https://" in text
    code, text = shown(keyless, place, PROJECT=f"{gitlab.url}/platform/orders")
    assert code == 1, text
    code, text = shown(keyless, place)
    assert code == 1
    assert "set PROJECT=https://" in text
