"""Signatures and attestations with real cosign, on a registry without the referrers API."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_scripts import PIPELINE, RESOLVED, REVISION, SCRIPTS, TAG
from vault import TOKEN, Vault
from world import pin_cosign, tar_of

from lab import Lab, Missing, install
from lab.system import run

BASE = f"sha256:{'b' * 64}"
KANIKO = f"ghcr.io/osscontainertools/kaniko:v1.28.2-alpine@sha256:{'4' * 64}"
FORMS = {
    "referrer": [],
    "tags": ["--new-bundle-format=false"],
}
SLSA = "https://slsa.dev/provenance/v1"
SPDX = "https://spdx.dev/Document"


class Keys:
    """Key pairs of a team."""

    def __init__(self, directory: Path, cosign: Path) -> None:
        self.directory, self._cosign = directory, cosign

    def pair(self, name: str) -> tuple[Path, Path]:
        """The private and the public key of this name."""
        private, public = (self.directory / f"{name}.{kind}" for kind in ("key", "pub"))
        if not private.exists():
            env = {"COSIGN_PASSWORD": f"of {name}"}
            prefix = f"--output-key-prefix={self.directory / name}"
            run([self._cosign, "generate-key-pair", prefix], what="generate-key-pair", env=env)
        return private, public


class Place:
    """A registry with cosign's image, real crane and real cosign."""

    def __init__(self, address: str, directory: Path, env: dict[str, str]) -> None:
        self.address, self.directory, self.env = address, directory, env
        self.crane_program, self.cosign_program = install.crane(), install.cosign()
        self.keys = Keys(directory, self.cosign_program)
        layer = directory / "cosign.tar"
        layer.write_bytes(tar_of({"ko-app/cosign": self.cosign_program.read_bytes()}))
        name = "mirror/sigstore/cosign/cosign"
        self.image(name, layer)
        tag = f"{address}/{name}:1"
        self.crane("mutate", "--entrypoint=/ko-app/cosign", f"--tag={tag}", tag)
        self.cosign = self.crane("digest", tag)
        layer.unlink()

    def crane(self, *arguments: str) -> str:
        return run([self.crane_program, *arguments], what=f"crane {arguments[0]}").strip()

    def image(self, repository: str, layer: Path) -> str:
        """Push an image with a layer; its digest."""
        name = f"{self.address}/{repository}:1"
        self.crane("append", "--platform=linux/amd64", f"--new_layer={layer}", f"--new_tag={name}")
        return self.crane("digest", name)

    def verify(self, verb: str, image: str, public: Path, *words: str) -> list[dict[str, Any]]:
        """What cosign says as a consumer runs it; nothing where it refuses."""
        done = subprocess.run(
            [self.cosign_program, verb, f"--key={public}", "--insecure-ignore-tlog=true",
             *words, image], capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return []
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return [json.loads(base64.b64decode(item["payload"])) for item in found] or [{}]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    try:
        with Lab() as lab, lab.empty_registry() as registry:
            yield Place(registry.address, tmp_path_factory.mktemp("place"), dict(lab.env))
    except Missing as missing:
        pytest.skip(str(missing))


class Job:
    """The workspace of the jobs after verify-debug."""

    def __init__(self, place: Place, directory: Path, repository: str) -> None:
        self.place, self.directory = place, directory
        self.repository = f"{place.address}/{repository}"
        (directory / ".pipeline").mkdir()
        (directory / "ci/signing").mkdir(parents=True)
        shutil.copytree(SCRIPTS, directory / "ci/pipeline")
        pin_cosign(directory, place.cosign)
        self.digests = {}
        for name in ("release", "debug"):
            layer = directory / f"{name}.layer"
            layer.write_bytes(tar_of({"app/name": f"{name} of {repository}".encode()}))
            self.digests[name] = place.image(repository, layer)
            self.sbom(name)
        self.env = {
            "PATH": f"{place.crane_program.parent}:{os.environ['PATH']}",
            "DOCKER_CONFIG": str(directory),
            "IMAGE_REPOSITORY": self.repository,
            "REGISTRY_MAP": f"ghcr.io={place.address}/mirror",
            "CI_PROJECT_URL": "https://gitlab.example.com/platform/payments",
            "CI_PIPELINE_URL": "https://gitlab.example.com/platform/payments/-/pipelines/7",
            "CI_SERVER_URL": "https://gitlab.example.com",
            **PIPELINE, **TAG, "CI_COMMIT_REF_NAME": "v1.4.2",
        }  # fmt: skip
        self.note("resolve", **RESOLVED)
        (directory / ".pipeline/bases").write_text(
            f"RELEASE_IMAGE gcr.io/distroless/static-debian13:nonroot {BASE}\n"
            f"- docker.io/library/golang:1.26 sha256:{'a' * 64}\n"
        )
        self.note("ci-image", BUILDER_IMAGE=f"{self.repository}/ci@sha256:{'c' * 64}")
        self.note("publish", RELEASE_DIGEST=self.digests["release"], BUILT_WITH=KANIKO)
        self.note("publish-debug", DEBUG_DIGEST=self.digests["debug"])
        self.trust("first")
        self.sign_with("first")

    def note(self, job: str, **values: str) -> None:
        text = "".join(f"{name}={value}\n" for name, value in values.items())
        (self.directory / ".pipeline" / f"{job}.env").write_text(text)

    def sbom(self, name: str) -> None:
        document = {
            "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
            "dataLicense": "CC0-1.0", "packages": [],
            "documentNamespace": f"https://anchore.com/syft/image/{name}-{self.digests[name]}",
            "creationInfo": {"created": "2026-03-20T09:30:00Z", "creators": ["Tool: syft"]},
        }  # fmt: skip
        text = json.dumps(document, indent=2)
        (self.directory / f".pipeline/{name}.spdx.json").write_text(text)
        note = {f"{name.upper()}_SBOM_SHA256": hashlib.sha256(text.encode()).hexdigest()}
        self.note("sbom" if name == "release" else "sbom-debug", **note)

    def trust(self, *names: str) -> None:
        """Commit these public keys."""
        text = "The keys of this service.\n"
        text += "".join(self.place.keys.pair(name)[1].read_text() for name in names)
        (self.directory / "ci/signing/cosign.pub").write_text(text)

    def sign_with(self, name: str) -> None:
        private, _ = self.place.keys.pair(name)
        self.env |= {"COSIGN_PRIVATE_KEY": str(private), "COSIGN_PASSWORD": f"of {name}"}

    def image(self, name: str) -> str:
        return f"{self.repository}@{self.digests[name]}"

    def script(self, name: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", f"ci/pipeline/{name}", *words], cwd=self.directory, env={**self.env, **env},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def command(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            words, cwd=self.directory, env=self.env, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout

    def tags(self) -> set[str]:
        """The tags but for those that carry signatures and the image's own."""
        names = self.place.crane("ls", self.repository).split()
        return {name for name in names if not name.startswith("sha256-")} - {"1"}

    def fails(self, *scripts: str, **env: str) -> str:
        """Run the jobs to the first that fails: no tag is there; its one line."""
        for name in scripts:
            done = self.script(name, **env)
            if done.returncode:
                break
        else:
            pytest.fail("no job failed")
        assert self.tags() == set()
        [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        return line


@pytest.fixture
def job(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Job:
    name = "".join(letter for letter in request.node.name.lower() if letter.isalnum())
    return Job(place, tmp_path, f"team/{name}")


def test_both_digests_get_everything_and_then_their_tags(job: Job, place: Place) -> None:
    done = job.script("attest.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert job.tags() == set()
    public = place.keys.pair("first")[1]
    for name in ("release", "debug"):
        image = job.image(name)
        for words in FORMS.values():
            assert place.verify("verify", image, public, *words)
            [sbom] = place.verify("verify-attestation", image, public, "--type=spdxjson", *words)
            assert sbom["predicate"]["name"] == name
            [slsa] = place.verify(
                "verify-attestation", image, public, "--type=slsaprovenance1", *words
            )
            assert slsa["predicateType"] == SLSA
            assert slsa["subject"][0]["digest"] == {"sha256": job.digests[name][7:]}
    done = job.script("promote.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert job.tags() == {"1.4.2", "1.4.2-debug", "1.4.2-b7", "1.4.2-b7-debug"}

    # A mirror that gets the tags of the digest, too, has the proof in both forms.
    digest, mirror = job.digests["release"], f"{place.address}/mirror-of/{job.repository[-20:]}"
    place.crane("copy", job.image("release"), f"{mirror}:1.4.2")
    assert not place.verify("verify", f"{mirror}@{digest}", public)
    for tag in place.crane("ls", job.repository).split():
        if tag.startswith(f"sha256-{digest[7:]}"):
            place.crane("copy", f"{job.repository}:{tag}", f"{mirror}:{tag}")
    for words in FORMS.values():
        assert place.verify("verify", f"{mirror}@{digest}", public, *words)
        assert place.verify(
            "verify-attestation", f"{mirror}@{digest}", public, "--type=spdxjson", *words
        )


def test_the_provenance_states_what_the_pipeline_knows(job: Job, place: Place) -> None:
    assert job.script("attest.sh").returncode == 0
    public = place.keys.pair("first")[1]
    found = {
        name: place.verify("verify-attestation", job.image(name), public, "--type=slsaprovenance1")[
            0
        ]["predicate"]
        for name in ("release", "debug")
    }
    url = "https://gitlab.example.com/platform/payments"
    build, details = found["release"]["buildDefinition"], found["release"]["runDetails"]
    assert build["externalParameters"]["source"] == f"git+{url}@refs/tags/v1.4.2"
    assert build["externalParameters"]["target"] == "release"
    arguments = build["externalParameters"]["buildArguments"]
    assert arguments["VERSION"] == "1.4.2"
    assert arguments["BUILDER_IMAGE"] == f"{job.repository}/ci@sha256:{'c' * 64}"
    name = "gcr.io/distroless/static-debian13:nonroot"
    assert arguments["RELEASE_IMAGE"] == f"{name}@{BASE}"
    dependencies = {item["uri"]: item["digest"] for item in build["resolvedDependencies"]}
    assert dependencies == {
        f"git+{url}@refs/tags/v1.4.2": {"gitCommit": REVISION},
        f"docker://{name}": {"sha256": "b" * 64},
        "docker://docker.io/library/golang:1.26": {"sha256": "a" * 64},
        f"docker://{job.repository}/ci": {"sha256": "c" * 64},
    }
    assert details["builder"]["id"] == f"{url}//.gitlab-ci.yml"
    [kaniko] = details["builder"]["builderDependencies"]
    assert kaniko["digest"] == {"sha256": "4" * 64}
    assert details["metadata"]["invocationId"] == f"{url}/-/pipelines/7"
    [twin] = details["byproducts"]
    assert twin["digest"] == {"sha256": job.digests["debug"][7:]}
    # The twin was built from the release.
    parts = found["debug"]["buildDefinition"]["resolvedDependencies"]
    assert {item.get("name"): item["digest"] for item in parts}["DEBUG_FROM"] == {
        "sha256": job.digests["release"][7:]
    }


def test_keys_rotate_between_two_releases(job: Job, place: Place) -> None:
    """A release of each key; both are proven by the list, and neither by the other's key."""
    assert job.script("attest.sh").returncode == 0
    first = job.image("release")
    job.trust("first", "second")
    job.sign_with("second")
    layer = job.directory / "next.layer"
    layer.write_bytes(tar_of({"app/name": b"the next release"}))
    job.digests["release"] = place.image(job.repository.partition("/")[2], layer)
    job.sbom("release")
    job.note("publish", RELEASE_DIGEST=job.digests["release"], BUILT_WITH=KANIKO)
    done = job.script("attest.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    second = job.image("release")
    old, new = (place.keys.pair(name)[1] for name in ("first", "second"))
    assert place.verify("verify", first, old)
    assert place.verify("verify", second, new)
    assert not place.verify("verify", second, old)


def wrong_key(job: Job) -> None:
    job.sign_with("another")


def no_public_key(job: Job) -> None:
    (job.directory / "ci/signing/cosign.pub").write_text("No key yet.\n")


def sbom_of_another_image(job: Job) -> None:
    path = job.directory / ".pipeline/release.spdx.json"
    path.write_text((job.directory / ".pipeline/debug.spdx.json").read_text())


def no_sbom(job: Job) -> None:
    (job.directory / ".pipeline/debug.spdx.json").unlink()


def an_image_that_is_gone(job: Job) -> None:
    job.digests["debug"] = f"sha256:{'0' * 64}"
    job.note("publish-debug", DEBUG_DIGEST=job.digests["debug"])


def without_a_password(job: Job) -> None:
    job.env["COSIGN_PASSWORD"] = ""


def nothing_to_sign_with(job: Job) -> None:
    del job.env["COSIGN_PRIVATE_KEY"]


def a_key_that_is_none(job: Job) -> None:
    job.env["COSIGN_PRIVATE_KEY"] = "s3cret-words"


def no_cosign(job: Job) -> None:
    job.env["REGISTRY_MAP"] = "ghcr.io=127.0.0.1:9/mirror"


FAULTS: dict[Callable[[Job], None], str] = {
    wrong_key: "has no signature (referrer) by a key of ci/signing/cosign.pub",
    no_public_key: "ci/signing/cosign.pub has no public key",
    sbom_of_another_image: ".pipeline/release.spdx.json is not the file that was verified",
    no_sbom: ".pipeline/debug.spdx.json is missing",
    an_image_that_is_gone: "cannot sign",
    without_a_password: "cannot sign",
    nothing_to_sign_with: "1.4.2 is not signed: set COSIGN_PRIVATE_KEY",
    no_cosign: "cannot take cosign from 127.0.0.1:9/mirror/sigstore/cosign/cosign:v",
    a_key_that_is_none: "COSIGN_PRIVATE_KEY is neither a file, a key nor a KMS URI",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_leaves_every_tag_where_it_was(job: Job, fault: Callable[[Job], None]) -> None:
    fault(job)
    line = job.fails("attest.sh", "promote.sh")
    assert FAULTS[fault] in line
    assert "s3cret" not in line
    assert not (job.directory / ".pipeline/attest.env").exists()


@pytest.mark.parametrize("verb", ["sign", "attest"])
@pytest.mark.parametrize("form", FORMS)
def test_what_was_not_written_is_missed(job: Job, verb: str, form: str) -> None:
    """cosign says that it wrote, and did not: the digest is unsigned, or has no provenance."""
    script = job.directory / "ci/pipeline/attest.sh"
    text = script.read_text()
    what = "signature" if verb == "sign" else "slsaprovenance1"
    skipped = f'"{verb}.{form}") [ "$verb" = sign ] || case $* in *slsa*) ;; *) false ;; esac ;;'
    text = text.replace(
        '  cosign "$verb" --yes',
        f'  if case "$verb.$form" in {skipped} *) false ;; esac; then return; fi\n'
        '  cosign "$verb" --yes',
    )
    script.write_text(text)
    line = job.fails("attest.sh", "promote.sh")
    assert f"has no {what} ({form}) by a key of ci/signing/cosign.pub" in line


def test_a_branch_is_promoted_unsigned_and_the_log_says_so(job: Job) -> None:
    nothing_to_sign_with(job)
    version = {"KIND": "branch", "SERVICE_VERSION": "main-0a1b2c3d"}
    job.note("resolve", **{**RESOLVED, **version})
    branch = {"CI_COMMIT_TAG": "", "CI_COMMIT_BRANCH": "main", "CI_COMMIT_REF_SLUG": "main"}
    done = job.script("attest.sh", **branch)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("unsigned: nothing says how to sign")
    assert job.script("promote.sh", **branch).returncode == 0
    assert job.tags() == {"main-0a1b2c3d", "main-0a1b2c3d-debug"}


def test_a_service_of_before_is_warned_until_a_day(job: Job) -> None:
    """It has no file of keys; an update brings none."""
    nothing_to_sign_with(job)
    (job.directory / "ci/signing/cosign.pub").unlink()
    done = job.script("attest.sh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("WARNING: 1.4.2 is not signed. From ")
    job.note("resolve", **{**RESOLVED, "SERVICE_CREATED": "2027-07-01T00:00:00Z"})
    assert "1.4.2 is not signed, which a service of before 0.3.0" in job.fails("attest.sh")


def test_a_key_may_be_the_variables_text(job: Job, place: Place) -> None:
    """As a secret of GitHub is."""
    job.env["COSIGN_PRIVATE_KEY"] = Path(job.env["COSIGN_PRIVATE_KEY"]).read_text()
    done = job.script("attest.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert place.verify("verify", job.image("debug"), place.keys.pair("first")[1])


def test_a_kms_signs_by_its_uri(job: Job, place: Place, tmp_path: Path) -> None:
    """The key stays where it is; what goes wrong there is said in its words."""
    vault = Vault(tmp_path, "payments")
    try:
        (job.directory / "ci/signing/cosign.pub").write_text(vault.public.read_text())
        job.env |= {"COSIGN_PRIVATE_KEY": "hashivault://payments", "COSIGN_PASSWORD": ""}
        job.env |= {"VAULT_ADDR": vault.url, "VAULT_TOKEN": "hvs.An0ther"}
        line = job.fails("attest.sh", "promote.sh")
        assert "cannot sign" in line
        assert "hvs" not in line
        job.env["VAULT_TOKEN"] = TOKEN
        done = job.script("attest.sh")
        assert done.returncode == 0, done.stdout + done.stderr
        for words in FORMS.values():
            assert place.verify("verify", job.image("debug"), vault.public, *words)
    finally:
        vault.close()


def test_the_uri_of_a_kms_is_no_file(job: Job) -> None:
    """cosign knows each kind of KMS, and says what is wrong with a URI."""
    job.env["COSIGN_PRIVATE_KEY"] = "awskms://alias"
    line = job.fails("attest.sh", "promote.sh")
    assert "kms specification should be in the format awskms://" in line
