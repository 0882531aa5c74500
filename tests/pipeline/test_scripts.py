"""The scripts of the pipeline's jobs, each on its own, with a crane that answers from files."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "template" / "{{ pipeline }}" / "ci" / "pipeline"
REPOSITORY = "registry.example.com/platform/payments"
DIGEST = {name: f"sha256:{hashlib.sha256(name.encode()).hexdigest()}" for name in "abcdef"}
REVISION = "0a1b2c3d" * 5
# What GitLab says of a pipeline on the branch main, and of one for a tag.
PIPELINE = {
    "CI_PIPELINE_SOURCE": "push",
    "CI_PIPELINE_IID": "7",
    "CI_PIPELINE_CREATED_AT": "2026-03-20T09:30:00Z",
    "CI_COMMIT_SHA": REVISION,
    "CI_COMMIT_SHORT_SHA": REVISION[:8],
    "CI_COMMIT_BRANCH": "main",
    "CI_COMMIT_REF_SLUG": "main",
}
TAG = {"CI_COMMIT_BRANCH": "", "CI_COMMIT_TAG": "v1.4.2", "CI_COMMIT_REF_SLUG": "v1-4-2"}
REQUEST = {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_COMMIT_BRANCH": "",
    "CI_COMMIT_REF_SLUG": "topic",
    "CI_MERGE_REQUEST_IID": "12",
    "CI_MERGE_REQUEST_PROJECT_ID": "1",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1",
}
# What the job `resolve` notes for the tag.
RESOLVED = {
    "KIND": "release",
    "SERVICE_VERSION": "1.4.2",
    "SERVICE_REVISION": REVISION,
    "SERVICE_CREATED": "2026-03-20T09:30:00Z",
    "BUILD": "7",
    "BASE_NAME": "gcr.io/distroless/static-debian13:nonroot",
    "BASE_DIGEST": DIGEST["b"],
    "CI_IMAGE_TAG": f"{REPOSITORY}/ci:{'e' * 40}",
    "CI_IMAGE_DIGEST": "",
    "CI_IMAGE_TO": "registry",
}
# A registry in a directory: tags/<tag> and manifests/<digest>. BROKEN makes a tag unmovable,
# CORRUPT keeps something else than was pushed.
CRANE = f"""#!/bin/sh
set -eu
echo "$@" >>calls
unknown() {{ echo "Error: MANIFEST_UNKNOWN: manifest unknown" >&2; exit 1; }}
[ -z "${{DOWN:-}}" ] || {{ echo "Error: dial tcp: connection refused" >&2; exit 1; }}
name=${{2:-}}
case $1 in
  digest)
    if [ "$name" = --tarball ]; then echo "sha256:$(sha256sum <"$3" | cut -d ' ' -f 1)"; exit; fi
    case $name in
      {REPOSITORY}@*) [ -e "manifests/${{name#*@}}" ] || unknown; echo "${{name#*@}}" ;;
      {REPOSITORY}/ci:*)
        [ -z "${{DENIED:-}}" ] || {{ echo "Error: GET https://x: $DENIED" >&2; exit 1; }}
        cat "tags/${{name##*:}}" 2>/dev/null || unknown
        ;;
      {REPOSITORY}:*) cat "tags/${{name##*:}}" 2>/dev/null || unknown ;;
      *) cat "bases/$(echo "$name" | tr / _)" 2>/dev/null || unknown ;;
    esac
    ;;
  push) cp "$2" "manifests/${{3#*@}}"; [ -z "${{CORRUPT:-}}" ] || echo x >>"manifests/${{3#*@}}" ;;
  manifest) cat "manifests/${{name#*@}}" ;;
  tag)
    [ "$3" != "${{BROKEN:-}}" ] || {{ echo "Error: denied" >&2; exit 1; }}
    echo "${{2#*@}}" >"tags/$3"
    ;;
  ls) ls tags ;;
  config) cat config.json 2>/dev/null || echo '{{"config":{{}}}}' ;;
  export) tar -c -f - -C "exports/${{4#*@}}" var ;;
  *) exit 2 ;;
esac
"""


class Job:
    """A job's workspace."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in (
            "bin",
            "tags",
            "manifests",
            "bases",
            ".pipeline",
            "ci/image",
            "image",
            "config",
        ):
            (directory / name).mkdir(parents=True)
        shutil.copytree(SCRIPTS, directory / "ci" / "pipeline")
        (directory / "bin" / "crane").write_text(CRANE)
        (directory / "bin" / "crane").chmod(0o755)
        self.env = {
            "PATH": f"{directory / 'bin'}:{os.environ['PATH']}",
            "DOCKER_CONFIG": str(directory / "config"),
            "IMAGE_REPOSITORY": REPOSITORY,
            "CI_IMAGE_REPOSITORY": f"{REPOSITORY}/ci",
            **PIPELINE,
        }

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.directory, env={**self.env, **env}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def script(self, name: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("sh", f"ci/pipeline/{name}", *words, **env)

    def note(self, job: str, **values: str) -> None:
        """Leave what a job before has noted."""
        text = "".join(f"{name}={value}\n" for name, value in values.items())
        (self.directory / ".pipeline" / f"{job}.env").write_text(text)

    def noted(self, job: str) -> dict[str, str]:
        text = (self.directory / ".pipeline" / f"{job}.env").read_text()
        return dict(line.split("=", 1) for line in text.splitlines())

    def tags(self) -> dict[str, str]:
        return {path.name: path.read_text().strip() for path in (self.directory / "tags").iterdir()}

    def tag(self, **tags: str) -> None:
        for name, digest in tags.items():
            (self.directory / "tags" / name).write_text(digest + "\n")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


# promote


class Promotion:
    """A release and a twin that wait for their tags."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.release, self.debug = DIGEST["a"], DIGEST["f"]
        for digest in (self.release, self.debug):
            (job.directory / "manifests" / digest).write_text("an image")
        job.note("resolve", **RESOLVED)
        job.note("attest", RELEASE_DIGEST=self.release, DEBUG_DIGEST=self.debug)

    def run(self, **env: str) -> subprocess.CompletedProcess[str]:
        return self.job.script("promote.sh", **{**TAG, **env})

    def pair(self, tag: str) -> dict[str, str]:
        return {tag: self.release, f"{tag}-debug": self.debug}


@pytest.fixture
def promotion(job: Job) -> Promotion:
    return Promotion(job)


def test_a_release_gets_both_pairs(promotion: Promotion) -> None:
    done = promotion.run()
    assert done.returncode == 0, done.stderr
    assert promotion.job.tags() == {**promotion.pair("1.4.2-b7"), **promotion.pair("1.4.2")}


def test_a_release_is_noted_for_the_overlay(promotion: Promotion) -> None:
    """Both digests, on a line for a person and in a file for the job hand-off."""
    done = promotion.run()
    assert done.returncode == 0, done.stderr
    assert promotion.job.noted("promote") == {
        "SERVICE_VERSION": "1.4.2-b7",
        "RELEASE_DIGEST": promotion.release,
        "DEBUG_DIGEST": promotion.debug,
    }
    name = done.stdout.partition("kustomize edit set image ")[2].partition("=")[0]
    assert re.search(
        rf"kustomize edit set image {name}=\S+/{name}@{promotion.release} && "
        rf"kustomize edit set annotation debug-image:\S+@{promotion.debug} "
        rf"debug-image-of:{promotion.release}\n",
        done.stdout,
    ), done.stdout


def test_an_older_build_is_not_noted(promotion: Promotion) -> None:
    promotion.run()
    promotion.job.tag(**{"1.4.2-b10": DIGEST["b"], "1.4.2-b10-debug": DIGEST["c"]})
    assert promotion.run().returncode == 0
    assert not (promotion.job.directory / ".pipeline/promote.env").exists()


def test_a_rerun_changes_nothing(promotion: Promotion) -> None:
    promotion.run()
    calls = promotion.job.directory / "calls"
    calls.unlink()
    assert promotion.run().returncode == 0
    assert "tag " not in calls.read_text()


def test_a_newer_build_is_not_moved_back(promotion: Promotion) -> None:
    newer = {"1.4.2": DIGEST["b"], "1.4.2-debug": DIGEST["c"]}
    promotion.job.tag(**newer, **{"1.4.2-b10": DIGEST["b"], "1.4.2-b10-debug": DIGEST["c"]})
    done = promotion.run()
    assert done.returncode == 0
    assert "1.4.2 stays: b10 is newer than b7" in done.stdout
    tags = promotion.job.tags()
    assert {name: tags[name] for name in newer} == newer
    assert promotion.pair("1.4.2-b7").items() <= tags.items()


def test_a_newer_build_that_was_not_completed_does_not_count(promotion: Promotion) -> None:
    promotion.job.tag(**{"1.4.2-b10-debug": DIGEST["c"]})
    assert promotion.run().returncode == 0
    assert promotion.job.tags()["1.4.2"] == promotion.release


def test_another_version_is_not_touched(promotion: Promotion) -> None:
    others = {"1.4.20": DIGEST["b"], "1.4.20-b99": DIGEST["b"], "1.4.20-b99-debug": DIGEST["c"]}
    promotion.job.tag(**others)
    assert promotion.run().returncode == 0
    assert others.items() <= promotion.job.tags().items()
    assert promotion.job.tags()["1.4.2"] == promotion.release


def test_a_build_never_moves(promotion: Promotion) -> None:
    settled = {"1.4.2-b7": DIGEST["b"], "1.4.2-b7-debug": DIGEST["c"]}
    promotion.job.tag(**settled)
    done = promotion.run()
    assert done.returncode == 1
    assert "1.4.2-b7 is another image and never moves: start a new pipeline" in done.stderr
    assert promotion.job.tags() == settled


def test_half_a_pair_is_completed(promotion: Promotion) -> None:
    promotion.job.tag(**{"1.4.2-b7-debug": promotion.debug})
    assert promotion.run().returncode == 0
    assert promotion.pair("1.4.2-b7").items() <= promotion.job.tags().items()


def test_the_twin_goes_back_when_the_release_cannot_move(promotion: Promotion) -> None:
    old = {"1.4.2": DIGEST["b"], "1.4.2-debug": DIGEST["c"]}
    promotion.job.tag(**old)
    done = promotion.run(BROKEN="1.4.2")
    assert done.returncode == 1
    assert "cannot move 1.4.2; 1.4.2-debug is back where it was" in done.stderr
    assert old.items() <= promotion.job.tags().items()


def test_a_new_twin_waits_for_its_release(promotion: Promotion) -> None:
    """A tag cannot be taken away everywhere; the next run completes the pair."""
    done = promotion.run(BROKEN="1.4.2-b7")
    assert done.returncode == 1
    assert "cannot set 1.4.2-b7; 1.4.2-b7-debug waits for it: run this job again" in done.stderr
    assert promotion.job.tags().keys() == {"1.4.2-b7-debug"}
    assert promotion.run().returncode == 0
    assert promotion.job.tags() == {**promotion.pair("1.4.2-b7"), **promotion.pair("1.4.2")}


def test_nothing_moves_when_the_twin_cannot(promotion: Promotion) -> None:
    done = promotion.run(BROKEN="1.4.2-b7-debug")
    assert done.returncode == 1
    assert "cannot move 1.4.2-b7-debug; no tag has moved" in done.stderr
    assert promotion.job.tags() == {}


def test_an_unreachable_registry_is_not_an_empty_one(promotion: Promotion) -> None:
    done = promotion.run(DOWN="1")
    assert done.returncode == 1
    assert "cannot ask for" in done.stderr
    assert "connection refused" in done.stderr
    assert promotion.job.tags() == {}


@pytest.mark.parametrize("which", ["release", "debug"])
def test_what_is_not_in_the_registry_gets_no_tag(promotion: Promotion, which: str) -> None:
    digest = getattr(promotion, which)
    (promotion.job.directory / "manifests" / digest).unlink()
    done = promotion.run()
    assert done.returncode == 1
    assert f"error: {REPOSITORY}@{digest} is not there: start a new pipeline" in done.stderr
    assert promotion.job.tags() == {}


def test_a_branch_gets_one_pair_that_stays(promotion: Promotion) -> None:
    version = {"KIND": "branch", "SERVICE_VERSION": "main-0a1b2c3d"}
    promotion.job.note("resolve", **{**RESOLVED, **version})
    branch = PIPELINE | {"CI_COMMIT_TAG": ""}
    assert promotion.run(**branch).returncode == 0
    assert promotion.job.tags() == promotion.pair("main-0a1b2c3d")
    other = {"main-0a1b2c3d": DIGEST["b"], "main-0a1b2c3d-debug": DIGEST["c"]}
    promotion.job.tag(**other)
    done = promotion.run(**branch)
    assert done.returncode == 0
    assert "is there from an earlier pipeline, and stays" in done.stdout
    assert promotion.job.tags() == other


# publish


def released(job: Job, noted: str = "") -> str:
    """A release that was built, and verified or so it is said; its sum."""
    (job.directory / ".pipeline" / "release.tar").write_text("release")
    sum_ = hashlib.sha256(b"release").hexdigest()
    job.note("resolve", **RESOLVED)
    job.note("build", BUILT_WITH="")
    job.note("verify-release", RELEASE_SHA256=noted or sum_)
    return sum_


def test_publish_pushes_the_verified_file_by_digest(job: Job) -> None:
    sum_ = released(job)
    done = job.script("publish.sh", **TAG)
    assert done.returncode == 0, done.stderr
    assert job.noted("publish") == {"RELEASE_DIGEST": f"sha256:{sum_}", "BUILT_WITH": ""}
    assert job.tags() == {}


def test_the_twin_is_published_by_digest_too(job: Job) -> None:
    job.note("resolve", **RESOLVED)
    (job.directory / ".pipeline" / "debug.tar").write_text("twin")
    sum_ = hashlib.sha256(b"twin").hexdigest()
    job.note("verify-debug", DEBUG_SHA256=sum_)
    done = job.script("publish-debug.sh", **TAG)
    assert done.returncode == 0, done.stderr
    assert job.noted("publish-debug") == {"DEBUG_DIGEST": f"sha256:{sum_}"}
    assert job.tags() == {}
    job.note("verify-debug", DEBUG_SHA256="0" * 64)
    done = job.script("publish-debug.sh", **TAG)
    assert done.returncode == 1
    assert ".pipeline/debug.tar is not the file that was verified" in done.stderr


def test_publish_refuses_another_file(job: Job) -> None:
    released(job, "0" * 64)
    done = job.script("publish.sh", **TAG)
    assert done.returncode == 1
    assert "is not the file that was verified" in done.stderr
    assert not list((job.directory / "manifests").iterdir())


def test_publish_compares_what_arrived(job: Job) -> None:
    sum_ = released(job)
    done = job.script("publish.sh", **TAG, CORRUPT="1")
    assert done.returncode == 1
    assert f"want sha256:{sum_}, the digest of .pipeline/release.tar" in done.stderr
    assert not (job.directory / ".pipeline" / "publish.env").exists()


def test_promotion_is_told_by_files_and_not_by_variables(promotion: Promotion) -> None:
    """A project's variable of the same name hides what a job reports."""
    others = {
        "KIND": "branch", "SERVICE_VERSION": "9.9.9", "BUILD": "99", "RELEASE_DIGEST": DIGEST["c"],
    }  # fmt: skip
    assert promotion.run(**others).returncode == 0
    assert promotion.job.tags() == {**promotion.pair("1.4.2-b7"), **promotion.pair("1.4.2")}


# What is no value of its name.
FAULTS = {
    "KIND": "nightly",
    "SERVICE_VERSION": "1.4.2;touch x",
    "SERVICE_REVISION": "main",
    "SERVICE_CREATED": "today",
    "BUILD": "-1",
    "BASE_NAME": "$(touch x)",
    "BASE_DIGEST": "sha256:beef",
    "CI_IMAGE_TAG": f"{REPOSITORY}/ci:latest",
    "CI_IMAGE_DIGEST": "none",
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_resolve_noted_is_checked(promotion: Promotion, name: str) -> None:
    promotion.job.note("resolve", **{**RESOLVED, name: FAULTS[name]})
    done = promotion.run()
    assert done.returncode == 1
    assert f'error: {name} is "{FAULTS[name]}", which is none: .pipeline/resolve.env' in done.stderr
    assert promotion.job.tags() == {}


@pytest.mark.parametrize(
    ("before", "note"),
    [
        ("attest", {"RELEASE_DIGEST": "sha256:0"}),
        ("attest", {}),
        ("attest", {"RELEASE_DIGEST": f"{DIGEST['a']}\nRELEASE_DIGEST={DIGEST['b']}"}),
    ],
)
def test_what_the_jobs_noted_is_checked(
    promotion: Promotion, before: str, note: dict[str, str]
) -> None:
    promotion.job.note(before, **note)
    done = promotion.run()
    assert done.returncode == 1
    assert f".pipeline/{before}.env, from the job {before}" in done.stderr
    assert promotion.job.tags() == {}


def test_a_note_that_is_missing_is_said(promotion: Promotion) -> None:
    (promotion.job.directory / ".pipeline/attest.env").unlink()
    done = promotion.run(RELEASE_DIGEST=promotion.release)
    assert done.returncode == 1
    assert "error: .pipeline/attest.env is missing, which the job attest leaves" in done.stderr


@pytest.mark.parametrize(
    "env",
    [
        {"CI_COMMIT_TAG": "v1.4.3"},
        {"CI_COMMIT_SHA": "f" * 40},
        PIPELINE | {"CI_COMMIT_TAG": ""},
        REQUEST | {"CI_COMMIT_TAG": "", "CI_MERGE_REQUEST_IID": ""},
    ],
)
def test_another_pipelines_version_is_not_promoted(
    promotion: Promotion, env: dict[str, str]
) -> None:
    done = promotion.run(**env)
    assert done.returncode == 1
    assert ".pipeline/resolve.env is about release 1.4.2, and this pipeline is not" in done.stderr
    assert promotion.job.tags() == {}


# merge requests


@pytest.mark.parametrize("script", ["publish.sh", "publish-debug.sh", "attest.sh", "promote.sh"])
def test_a_merge_request_publishes_nothing(promotion: Promotion, script: str) -> None:
    """Whatever the YAML says."""
    released(promotion.job)
    version = {"KIND": "request", "SERVICE_VERSION": "topic-0a1b2c3d"}
    promotion.job.note("resolve", **{**RESOLVED, **version})
    for env in (REQUEST, REQUEST | {"CI_PIPELINE_SOURCE": "parent_pipeline"}):
        done = promotion.job.script(script, **env)
        assert done.returncode == 1
        assert "error: the pipeline of a merge request publishes nothing" in done.stderr
    assert not (promotion.job.directory / "calls").exists()


# credentials


AUTH = '"registry.example.com":{"auth":"dTpw"}'
GITLABS = {"CI_REGISTRY_USER": "u", "CI_REGISTRY_PASSWORD": "p"}


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ({"REGISTRY_USER": "u", "REGISTRY_PASSWORD": "p"}, AUTH),
        ({"CI_REGISTRY": "registry.example.com", **GITLABS}, AUTH),
        ({"DOCKER_AUTH_CONFIG": '{"auths":{}}', "REGISTRY_USER": "u"}, '{"auths":{}}'),
    ],
)  # fmt: skip
def test_login(job: Job, given: dict[str, str], want: str) -> None:
    done = job.run("sh", "-c", ". ci/pipeline/common.sh; login", **given)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    config = job.directory / "config" / "config.json"
    assert want in config.read_text()
    assert config.stat().st_mode & 0o077 == 0


def test_login_elsewhere_does_not_use_gitlabs_credentials(job: Job) -> None:
    given = {
        "CI_REGISTRY": "gitlab.example.com",
        "CI_REGISTRY_USER": "u",
        "CI_REGISTRY_PASSWORD": "p",
    }
    done = job.run("sh", "-c", ". ci/pipeline/common.sh; login", **given)
    assert "no credentials for registry.example.com" in done.stdout
    config = (job.directory / "config" / "config.json").read_text()
    assert config == '{"auths":{"gitlab.example.com":{"auth":"dTpw"}}}\n'


def test_login_wants_both(job: Job) -> None:
    done = job.run("sh", "-c", ". ci/pipeline/common.sh; login", REGISTRY_USER="u")
    assert done.returncode == 1
    assert "REGISTRY_USER and REGISTRY_PASSWORD" in done.stderr


# resolve

DOCKERFILE = """\
# FROM docker.io/library/comment:1 is a comment
ARG BUILDER_IMAGE=docker.io/library/golang:1.26-trixie
ARG RELEASE_IMAGE=gcr.io/distroless/static-debian13:nonroot
ARG DEBUG_FROM=release
FROM ${BUILDER_IMAGE} AS builder
COPY cmd cmd
FROM ${RELEASE_IMAGE} AS release
COPY --from=builder /out /app
FROM ${DEBUG_FROM} AS debug
COPY --from=gcr.io/distroless/static-debian13:debug-nonroot --chown=0:0 \\
  /busybox /busybox
FROM release
"""
CI_DOCKERFILE = """\
FROM docker.io/library/golang:1.26-trixie
COPY go.mod \\
  tools/*.mod tools/
COPY ["go.sum", "./"]
"""


@pytest.fixture
def source(job: Job) -> Job:
    (job.directory / "image" / "Dockerfile").write_text(DOCKERFILE)
    (job.directory / "ci" / "image" / "Dockerfile").write_text(CI_DOCKERFILE)
    (job.directory / "tools").mkdir()
    for name in ("go.mod", "go.sum", "tools/go.mod", "main.go"):
        (job.directory / name).write_text(name)
    for name, digest in (
        ("docker.io/library/golang:1.26-trixie", "a"),
        ("gcr.io/distroless/static-debian13:nonroot", "b"),
        ("gcr.io/distroless/static-debian13:debug-nonroot", "c"),
    ):
        (job.directory / "bases" / name.replace("/", "_")).write_text(DIGEST[digest] + "\n")
    return job


def resolved(job: Job, **env: str) -> dict[str, str]:
    done = job.script("resolve.sh", **env)
    assert done.returncode == 0, done.stderr
    return job.noted("resolve")


def test_resolve_finds_every_base_once(source: Job) -> None:
    values = resolved(source)
    assert (source.directory / ".pipeline" / "bases").read_text().splitlines() == [
        f"- docker.io/library/golang:1.26-trixie {DIGEST['a']}",
        f"RELEASE_IMAGE gcr.io/distroless/static-debian13:nonroot {DIGEST['b']}",
        f"- gcr.io/distroless/static-debian13:debug-nonroot {DIGEST['c']}",
    ]
    assert values["BASE_NAME"] == "gcr.io/distroless/static-debian13:nonroot"
    assert values["BASE_DIGEST"] == DIGEST["b"]
    assert values["SERVICE_VERSION"] == "main-0a1b2c3d"


def test_a_digest_in_the_dockerfile_is_honoured(source: Job) -> None:
    path = source.directory / "image" / "Dockerfile"
    path.write_text(path.read_text().replace("13:nonroot", f"13:nonroot@{DIGEST['d']}"))
    assert resolved(source)["BASE_DIGEST"] == DIGEST["d"]
    assert resolved(source)["BASE_NAME"] == "gcr.io/distroless/static-debian13:nonroot"


def test_a_base_on_scratch_has_no_digest(source: Job) -> None:
    path = source.directory / "image" / "Dockerfile"
    text = path.read_text().replace("FROM ${RELEASE_IMAGE}", "FROM scratch")
    path.write_text("\n".join(line for line in text.splitlines() if "RELEASE_IMAGE=" not in line))
    values = resolved(source)
    assert (values["BASE_NAME"], values["BASE_DIGEST"]) == ("scratch", "")


def test_a_base_that_cannot_be_resolved_is_one_line(source: Job) -> None:
    (source.directory / "bases" / "gcr.io_distroless_static-debian13:nonroot").unlink()
    done = source.script("resolve.sh")
    assert done.returncode == 1
    assert done.stderr == (
        "error: image/Dockerfile: cannot resolve the image "
        "gcr.io/distroless/static-debian13:nonroot: Error: MANIFEST_UNKNOWN: manifest unknown\n"
    )


def test_a_mirror_is_asked_in_place_of_the_host(source: Job) -> None:
    source.script("resolve.sh", REGISTRY_MAP="quay.io=x;gcr.io=mirror.example.com/gcr")
    calls = (source.directory / "calls").read_text()
    assert "digest mirror.example.com/gcr/distroless/static-debian13:nonroot\n" in calls
    assert "digest docker.io/library/golang:1.26-trixie\n" in calls


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "tools/go.mod", "ci/image/Dockerfile"])
def test_the_ci_image_has_another_name_when_an_input_changes(source: Job, name: str) -> None:
    before = resolved(source)["CI_IMAGE_TAG"]
    path = source.directory / name
    path.write_text(path.read_text() + "# changed\n")
    assert resolved(source)["CI_IMAGE_TAG"] != before


def test_the_ci_image_has_another_name_when_its_base_changes(source: Job) -> None:
    before = resolved(source)["CI_IMAGE_TAG"]
    (source.directory / "bases" / "docker.io_library_golang:1.26-trixie").write_text(DIGEST["e"])
    assert resolved(source)["CI_IMAGE_TAG"] != before


@pytest.mark.parametrize("name", ["main.go", "image/Dockerfile"])
def test_the_ci_image_keeps_its_name_when_something_else_changes(source: Job, name: str) -> None:
    before = resolved(source)["CI_IMAGE_TAG"]
    path = source.directory / name
    path.write_text(path.read_text() + "# changed\n")
    assert resolved(source)["CI_IMAGE_TAG"] == before


def test_an_input_that_is_missing_is_said(source: Job) -> None:
    (source.directory / "go.sum").unlink()
    done = source.script("resolve.sh")
    assert done.returncode == 1
    assert "error: ci/image/Dockerfile copies go.sum, which is missing" in done.stderr


@pytest.mark.parametrize(
    ("tag", "version"),
    [("v1.4.2", "1.4.2"), ("1.4.2", "1.4.2"), ("v1.4.2-rc.1", "1.4.2-rc.1")],
)
def test_a_tag_is_a_version(source: Job, tag: str, version: str) -> None:
    assert resolved(source, CI_COMMIT_TAG=tag)["SERVICE_VERSION"] == version


@pytest.mark.parametrize(
    "tag", ["v1.4", "v1.4.2+x", "v1.4.2-b7", "v1.4.2-debug", "v1.4.2-b7-debug", "v1.4.2 x"]
)
def test_a_tag_that_is_no_version_is_refused(source: Job, tag: str) -> None:
    done = source.script("resolve.sh", CI_COMMIT_TAG=tag)
    assert done.returncode == 1
    assert f"error: the git tag {tag} " in done.stderr


def test_images_that_are_named_literally_are_pinned(source: Job) -> None:
    resolved(source)
    pin = ["-v", "mode=pin", "-v", "bases=.pipeline/bases", "-f", "ci/pipeline/dockerfile.awk"]
    done = source.run("awk", *pin, "image/Dockerfile")
    name = "gcr.io/distroless/static-debian13:debug-nonroot"
    assert done.stdout == DOCKERFILE.replace(name, f"{name}@{DIGEST['c']}")


def test_a_base_may_be_quoted(source: Job) -> None:
    """As Docker reads it; and several arguments may share an instruction."""
    path = source.directory / "image/Dockerfile"
    plain = path.read_text()
    expected = resolved(source)
    bases = (source.directory / ".pipeline/bases").read_text()
    for quoted in (
        plain.replace("ARG RELEASE_IMAGE=gcr.io/distroless/static-debian13:nonroot",
                      'ARG RELEASE_IMAGE="gcr.io/distroless/static-debian13:nonroot"'),
        plain.replace("ARG RELEASE_IMAGE=gcr.io/distroless/static-debian13:nonroot",
                      "ARG OTHER=x RELEASE_IMAGE='gcr.io/distroless/static-debian13:nonroot'"),
    ):  # fmt: skip
        assert quoted != plain
        path.write_text(quoted)
        assert resolved(source) == expected
        assert (source.directory / ".pipeline/bases").read_text() == bases


def test_a_base_without_a_default_is_not_taken_for_scratch(source: Job) -> None:
    path = source.directory / "image/Dockerfile"
    text = path.read_text()
    path.write_text(text.replace("ARG RELEASE_IMAGE=gcr.io/distroless/static-debian13:nonroot",
                                 "ARG RELEASE_IMAGE"))  # fmt: skip
    assert path.read_text() != text
    done = source.script("resolve.sh")
    assert done.returncode == 1
    assert "error: image/Dockerfile: ARG RELEASE_IMAGE names no image" in done.stderr


def debian(job: Job, digest: str, **versions: str) -> None:
    """A base with Debian packages."""
    status = job.directory / "exports" / digest / "var/lib/dpkg/status.d"
    status.mkdir(parents=True)
    for name, version in versions.items():
        (status / name).write_text(f"Package: {name}\nArchitecture: all\nVersion: {version}\n\n")


def scheduled(job: Job) -> None:
    """The files of the release v1.4.2, as the job `release-source` leaves them."""
    release = job.directory / ".pipeline" / "source"
    for name in ("image", "ci/image", "tools"):
        shutil.copytree(job.directory / name, release / name)
    for name in ("go.mod", "go.sum"):
        shutil.copy(job.directory / name, release)
    sum_ = job.run("sh", "-c", ". ci/pipeline/common.sh; tree_sum .pipeline/source").stdout.strip()
    job.note("release-source", RELEASE_TAG="v1.4.2", RELEASE_REVISION="a" * 40, SOURCE_SHA256=sum_)


def rebuild(job: Job, old: str) -> str:
    """What `resolve` says of the base in a scheduled pipeline, with what was published on `old`."""
    label = f'"org.opencontainers.image.base.digest":"{old}"'
    (job.directory / "config.json").write_text(f'{{"config":{{"Labels":{{{label}}}}}}}\n')
    scheduled(job)
    done = job.script("resolve.sh", CI_PIPELINE_SOURCE="schedule")
    assert done.returncode == 0, done.stderr
    return "".join(line for line in done.stdout.splitlines(True) if line.startswith("rebuild: "))


def test_a_rebuild_is_of_the_releases_files_whatever_the_yaml_says(source: Job) -> None:
    """A team's `workflow` takes a variable of the platform's away, or a project has one."""
    scheduled(source)
    schedule = {"CI_PIPELINE_SOURCE": "schedule"}
    expected = resolved(source, **schedule)
    assert expected["SERVICE_VERSION"] == "1.4.2"
    assert expected["SERVICE_REVISION"] == "a" * 40
    assert expected["SOURCE_DIR"] == ".pipeline/source"
    (source.directory / "go.mod").write_text("the branch has gone on")
    others = {"SOURCE_DIR": ".", "RELEASE_TAG": "v9.9.9", "RELEASE_REVISION": "b" * 40}
    assert resolved(source, **schedule, **others) == expected


def without_a_note(directory: Path) -> None:
    (directory / ".pipeline/release-source.env").unlink()


def without_files(directory: Path) -> None:
    shutil.rmtree(directory / ".pipeline/source")


def with_other_files(directory: Path) -> None:
    """As a cache or another job's artifact may bring them."""
    shutil.copy(directory / "main.go", directory / ".pipeline/source/main.go")


def with_an_edit(directory: Path) -> None:
    (directory / ".pipeline/source/go.sum").write_text("x")


@pytest.mark.parametrize("spoil", [without_a_note, without_files, with_other_files, with_an_edit])
@pytest.mark.parametrize("script", ["resolve.sh", "build.sh ci", "verify.sh release", "source.sh"])
def test_a_schedule_without_the_releases_own_files_is_refused(
    source: Job, script: str, spoil: Callable[[Path], None]
) -> None:
    scheduled(source)
    source.note("resolve", **{**RESOLVED, "SERVICE_REVISION": "a" * 40})
    source.note("ci-image", BUILDER_IMAGE=f"{REPOSITORY}/ci@{DIGEST['d']}")
    spoil(source.directory)
    done = source.script(*script.split(), CI_PIPELINE_SOURCE="schedule")
    assert done.returncode == 1
    assert "start a new pipeline" in done.stderr
    assert done.stdout == ""


def test_a_job_asks_where_the_files_are(source: Job) -> None:
    image = f"{REPOSITORY}/ci@{DIGEST['d']}"
    source.note("ci-image", BUILDER_IMAGE=image)
    assert source.script("source.sh", BUILDER_IMAGE=image).stdout == ".\n"
    scheduled(source)
    done = source.script("source.sh", CI_PIPELINE_SOURCE="schedule")
    assert done.stdout == ".pipeline/source\n"


def test_a_job_in_another_image_than_the_ci_image_is_refused(source: Job) -> None:
    source.note("ci-image", BUILDER_IMAGE=f"{REPOSITORY}/ci@{DIGEST['d']}")
    done = source.script("source.sh", BUILDER_IMAGE="docker.io/library/golang:1")
    assert done.returncode == 1
    assert "error: this job runs in docker.io/library/golang:1, and the CI image is" in done.stderr


def test_a_merge_request_is_built_under_its_branchs_name(source: Job) -> None:
    values = resolved(source, **REQUEST)
    assert (values["KIND"], values["SERVICE_VERSION"]) == ("request", "topic-0a1b2c3d")
    assert values["CI_IMAGE_TAG"].startswith(f"{REPOSITORY}/ci:")


FORK = REQUEST | {
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "2",
    "CI_REGISTRY_IMAGE": "gitlab.example.com:5050/ada/payments",
}


def test_a_fork_takes_the_ci_image_where_it_can_read_it(source: Job) -> None:
    wanted = resolved(source)["CI_IMAGE_TAG"]
    source.tag(**{wanted.rpartition(":")[2]: DIGEST["d"]})
    values = resolved(source, **FORK)
    assert (values["CI_IMAGE_TAG"], values["CI_IMAGE_DIGEST"]) == (wanted, DIGEST["d"])


@pytest.mark.parametrize("denied", ["", "UNAUTHORIZED: authentication required", "DENIED: denied"])
def test_a_fork_builds_the_ci_image_into_its_own_registry(source: Job, denied: str) -> None:
    values = resolved(source, **FORK, DENIED=denied)
    repository, _, name = values["CI_IMAGE_TAG"].rpartition(":")
    assert repository == "gitlab.example.com:5050/ada/payments/ci"
    assert name == resolved(source)["CI_IMAGE_TAG"].rpartition(":")[2]
    assert values["CI_IMAGE_DIGEST"] == ""


@pytest.mark.parametrize("user", ["", "ada"])
def test_a_request_without_credentials_does_as_a_fork(source: Job, user: str) -> None:
    """The variables are protected, and the request's branch is not."""
    own = {"CI_REGISTRY_IMAGE": "gitlab.example.com:5050/acme/payments"}
    pair = {"REGISTRY_USER": user, "REGISTRY_PASSWORD": user}
    repository = resolved(source, **REQUEST | own, **pair)["CI_IMAGE_TAG"].rpartition(":")[0]
    assert repository == (f"{REPOSITORY}/ci" if user else f"{own['CI_REGISTRY_IMAGE']}/ci")


def test_docker_hub_keeps_the_ci_image_beside_the_service(source: Job) -> None:
    """It knows no level below an account's repositories."""
    hub = "docker.io/acme/payments"
    given = {"IMAGE_REPOSITORY": hub, "CI_IMAGE_REPOSITORY": f"{hub}/ci"}
    text = CRANE.replace(REPOSITORY, hub).replace(f"{hub}/ci:", f"{hub}-ci:")
    (source.directory / "bin/crane").write_text(text)
    assert resolved(source, **given)["CI_IMAGE_TAG"].startswith(f"{hub}-ci:")
    # A person's own choice stays.
    other = "docker.io/acme/ci-images"
    text = text.replace(f"{hub}-ci:", f"{other}:")
    (source.directory / "bin/crane").write_text(text)
    own = resolved(source, **given | {"CI_IMAGE_REPOSITORY": other})
    assert own["CI_IMAGE_TAG"].startswith(f"{other}:")


def test_a_fork_without_a_registry_is_told(source: Job) -> None:
    done = source.script("resolve.sh", **FORK | {"CI_REGISTRY_IMAGE": ""})
    assert done.returncode == 1
    assert "turn on its container registry" in done.stderr


def test_only_a_fork_goes_elsewhere_where_it_is_denied(source: Job) -> None:
    for env in ({}, REQUEST):
        done = source.script("resolve.sh", **env, DENIED="DENIED: requested access is denied")
        assert done.returncode == 1
        assert "error: cannot ask for" in done.stderr
    done = source.script("resolve.sh", **FORK, DOWN="1")
    assert done.returncode == 1


@pytest.mark.parametrize(
    "repository",
    ["https://registry.example.com/x", "registry.example.com", "r/X", "r.io/x:1", "r/x y"],
)
@pytest.mark.parametrize("name", ["IMAGE_REPOSITORY", "CI_IMAGE_REPOSITORY"])
def test_a_repository_that_is_none_is_refused(source: Job, name: str, repository: str) -> None:
    done = source.script("resolve.sh", **{name: repository})
    assert done.returncode == 1
    assert f'error: {name} is "{repository}", which is none: want a registry' in done.stderr


def test_a_rebuild_says_what_changed_in_the_base(source: Job) -> None:
    debian(source, DIGEST["e"], tzdata="2026a-0", netbase="6.5", libold="1")
    debian(source, DIGEST["b"], tzdata="2026b-0", netbase="6.5", libnew="2")
    base = "gcr.io/distroless/static-debian13:nonroot"
    assert rebuild(source, DIGEST["e"]) == (
        f"rebuild: the base {base} has changed from {DIGEST['e']} to {DIGEST['b']}\n"
        "rebuild:   libnew 2 is new\n"
        "rebuild:   tzdata 2026a-0 is now 2026b-0\n"
        "rebuild:   libold 1 is gone\n"
    )


def test_a_rebuild_on_the_same_base_says_so(source: Job) -> None:
    assert "has not changed since 1.4.2 was built" in rebuild(source, DIGEST["b"])


def test_a_rebuild_goes_on_where_the_old_base_is_gone(source: Job) -> None:
    assert "cannot be compared" in rebuild(source, DIGEST["f"])


# release-source


@pytest.fixture
def history(job: Job) -> Job:
    """A repository in which 1.10.0 is the newest release, and the branch has gone on."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    job.run(*git, "init", "--quiet")
    for tag in ("1.9.0", "v1.10.0", "v2.0.0-rc.1", "nightly", ""):
        (job.directory / "file").write_text(tag)
        job.run(*git, "add", "file")
        assert job.run(*git, "commit", "--quiet", "--message", "x").returncode == 0
        if tag:
            job.run(*git, "tag", tag)
    return job


def test_a_schedule_takes_the_newest_release(history: Job) -> None:
    done = history.script("release-source.sh")
    assert done.returncode == 0, done.stderr
    assert (history.directory / ".pipeline" / "source" / "file").read_text() == "v1.10.0"
    commit = history.run("git", "rev-parse", "v1.10.0^{commit}").stdout.strip()
    noted = history.noted("release-source")
    assert (noted["RELEASE_TAG"], noted["RELEASE_REVISION"]) == ("v1.10.0", commit)
    assert history.run("git", "status", "--porcelain", "file").stdout == ""


def test_a_shallow_clone_has_no_newest_release(history: Job, tmp_path: Path) -> None:
    """A variable GIT_DEPTH of the project hides the job's, and the newest tag may be missing."""
    clone = Job(tmp_path / "clone")
    clone.run("git", "init", "--quiet")
    origin = f"file://{history.directory}"
    clone.run("git", "fetch", "--quiet", "--depth=1", origin, "refs/tags/1.9.0:refs/tags/1.9.0")
    done = clone.script("release-source.sh", GIT_DEPTH="1")
    assert done.returncode == 1
    assert "error: the clone is shallow" in done.stderr
    assert 'GIT_DEPTH is "1"' in done.stderr


def test_names_of_every_kind_are_in_the_sum(history: Job) -> None:
    """The sum is the same under any locale, and a file that changes changes it."""
    source = history.directory / "tree"
    source.mkdir()
    for name in ("a b", "größe", "back\\slash", "new\nline", "-n", "plain"):
        (source / name).write_text(name)
    (source / "link").symlink_to("plain")
    (source / "dangling").symlink_to("nowhere at all")
    command = ("sh", "-c", ". ci/pipeline/common.sh; tree_sum tree")
    sums = {history.run(*command, LC_ALL=locale).stdout for locale in ("C", "C.UTF-8", "")}
    busybox = shutil.which("busybox")
    if busybox:
        sums.add(history.run(busybox, *command).stdout)
    assert len(sums) == 1
    for edit in (
        lambda: (source / "a b").write_text("x"),
        lambda: (source / "-n").unlink(),
        lambda: ((source / "link").unlink(), (source / "link").symlink_to("a b")),
    ):
        edit()
        sums.add(history.run(*command).stdout)
    assert len(sums) == 4


def test_a_schedule_without_a_release_says_so(job: Job) -> None:
    job.run("git", "init", "--quiet")
    done = job.script("release-source.sh")
    assert done.returncode == 1
    assert "error: nothing to rebuild: git has no tag such as v1.4.2" in done.stderr


# local


@pytest.fixture
def laptop(job: Job) -> Job:
    """A machine with gitlab-ci-local and podman."""
    (job.directory / "ci" / "engine.sh").write_text('#!/bin/sh\necho "${ENGINE:-podman}"\n')
    (job.directory / "ci" / "engine.sh").chmod(0o755)
    program = job.directory / "bin" / "gitlab-ci-local"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >arguments\n')
    program.chmod(0o755)
    return job


def test_make_ci_runs_gitlab_ci_local(laptop: Job) -> None:
    done = laptop.run(
        "sh", "ci/pipeline/local.sh", "lint", IMAGE_REPOSITORY="localhost:5000/payments"
    )
    assert done.returncode == 0, done.stderr
    assert (laptop.directory / "arguments").read_text().split() == [
        "--container-executable", "podman", "--network", "host", "--no-artifacts-to-source",
        "--variable", "IMAGE_REPOSITORY=localhost:5000/payments", "lint",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"IMAGE_REPOSITORY": ""}, "IMAGE_REPOSITORY is not set"),
        ({"ENGINE": "buildah"}, "the pipeline needs docker or podman"),
        ({"PATH": "/usr/bin:/bin"}, "gitlab-ci-local is not installed"),
    ],
)
def test_make_ci_says_what_is_missing(laptop: Job, env: dict[str, str], message: str) -> None:
    done = laptop.run("sh", "ci/pipeline/local.sh", **env)
    assert done.returncode != 0
    assert message in done.stderr


# GitHub


HUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "ada",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_REF_NAME": "main",
    "GITHUB_REF_TYPE": "branch",
    "GITHUB_REPOSITORY": "Acme/payments",
    "GITHUB_RUN_NUMBER": "7",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_SHA": REVISION,
}
HUB_TAG = {"GITHUB_REF_NAME": "v1.4.2", "GITHUB_REF_TYPE": "tag"}
HUB_REQUEST = {
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_REF_NAME": "12/merge",
    "GITHUB_HEAD_REF": "Fix/A_thing-",
    "PULL_REQUEST_REPOSITORY": "Acme/payments",
}
HUB_FORK = {**HUB_REQUEST, "PULL_REQUEST_REPOSITORY": "somebody/payments"}


def provider(**env: str) -> dict[str, str]:
    """What provider.sh makes of what GitHub says."""
    names = (
        "trigger", "fork", "git_tag", "git_branch", "branch_name", "short_revision",
        "pipeline_number", "project_url", "project_image",
    )  # fmt: skip
    script = ". ./provider.sh\n" + "".join(f'echo "{name}=${name}"\n' for name in names)
    done = subprocess.run(
        ["sh", "-euc", script], cwd=SCRIPTS, env={"PATH": os.environ["PATH"], **HUB, **env},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("env", "trigger", "fork"),
    [
        ({}, "branch", ""),
        ({"GITHUB_EVENT_NAME": "workflow_dispatch"}, "schedule", ""),
        ({"GITHUB_EVENT_NAME": "workflow_dispatch", **HUB_TAG}, "tag", ""),
        (HUB_TAG, "tag", ""),
        ({"GITHUB_EVENT_NAME": "schedule"}, "schedule", ""),
        ({"GITHUB_EVENT_NAME": "schedule", **HUB_TAG}, "schedule", ""),
        (HUB_REQUEST, "request", ""),
        (HUB_FORK, "request", "true"),
        ({**HUB_REQUEST, "GITHUB_ACTOR": "dependabot[bot]"}, "request", "true"),
        ({**HUB_FORK, "GITHUB_EVENT_NAME": "pull_request_target"}, "request", "true"),
        ({"GITHUB_EVENT_NAME": "merge_group"}, "request", ""),
    ],
)
def test_what_started_a_run_on_github(env: dict[str, str], trigger: str, fork: str) -> None:
    found = provider(**env)
    assert (found["trigger"], found["fork"]) == (trigger, fork)
    assert found["project_url"] == "https://github.com/Acme/payments"
    assert found["project_image"] == "ghcr.io/acme/payments"
    assert found["short_revision"] == REVISION[:8]


def test_names_on_github() -> None:
    assert provider()["git_branch"] == "main"
    assert provider()["git_tag"] == ""
    assert provider(**HUB_TAG)["git_tag"] == "v1.4.2"
    assert provider(**HUB_REQUEST)["branch_name"] == "fix-a-thing"
    assert provider(**HUB_REQUEST, GITHUB_ACTOR="x")["git_branch"] == ""
    long = provider(GITHUB_REF_NAME="x" * 62 + "/y")["branch_name"]
    assert long == "x" * 62


@pytest.mark.parametrize(
    ("run", "offset", "number"),
    [
        ("7", "", "7"), ("7", "0", "7"), ("7", "1234", "1241"), ("7", "01234", "1241"),
        ("8", "9007199254740", "9007199254748"), ("7", "many", ""), ("7", "1/2", ""), ("", "3", ""),
    ],
)  # fmt: skip
def test_builds_go_on_from_the_offset(run: str, offset: str, number: str) -> None:
    found = provider(GITHUB_RUN_NUMBER=run, BUILD_NUMBER_OFFSET=offset)
    assert found["pipeline_number"] == number


@pytest.mark.parametrize(
    ("env", "to"),
    [
        ({**HUB_FORK, "DENIED": "UNAUTHORIZED: authentication required"}, "file"),
        (HUB_FORK, "file"),
        (HUB_REQUEST, "file"),  # without credentials, as Dependabot's
        ({**HUB_REQUEST, "REGISTRY_USER": "u", "REGISTRY_PASSWORD": "p"}, "registry"),
        ({}, "registry"),
    ],
)
def test_a_ci_image_that_may_not_be_pushed_is_a_file(
    source: Job, env: dict[str, str], to: str
) -> None:
    values = resolved(source, **{**HUB, **env})
    assert values["CI_IMAGE_TO"] == to
    assert values["CI_IMAGE_TAG"].startswith(f"{REPOSITORY}/ci:")


NETRC = "machine packages.acme.example login builder password s3cr3t"


@pytest.mark.parametrize("given", ["file", "text", "nothing"])
def test_the_ci_image_gets_the_credentials_for_packages(source: Job, given: str) -> None:
    """As a secret of that one build: neither the command line nor a log has it."""
    resolved(source)
    build, file = source.directory / "ci/pipeline/build.sh", source.directory.parent / "netrc"
    build.write_text(build.read_text().replace("/kaniko/executor", "sh ./executor"))
    (source.directory / "executor").write_text(
        'while [ $# -gt 0 ]; do\n  echo "$1" >>arguments\n'
        f'  [ "$1" != --digest-file ] || echo {DIGEST["a"]} >"$2"\n  shift\ndone\n'
    )
    file.write_text(NETRC)
    values = {"file": str(file), "text": NETRC, "nothing": ""}
    done = source.script("build.sh", "ci", PACKAGE_CREDENTIALS=values[given])
    assert done.returncode == 0, done.stderr
    arguments = (source.directory / "arguments").read_text().splitlines()
    secrets = [arguments[at + 1] for at, word in enumerate(arguments) if word == "--secret"]
    assert secrets == {
        "file": [f"id=packages,src={file}"],
        "text": ["id=packages,env=PACKAGE_CREDENTIALS"],
        "nothing": [],
    }[given]  # fmt: skip
    assert "s3cr3t" not in done.stdout + done.stderr + " ".join(arguments)


def test_a_house_says_where_registries_are(source: Job) -> None:
    jobs = source.directory / "ci/house/jobs.sh"
    jobs.parent.mkdir(exist_ok=True)
    jobs.write_text(': "${REGISTRY_MAP:=gcr.io=mirror.acme.example/gcr}"\n')
    source.script("resolve.sh")
    calls = (source.directory / "calls").read_text()
    assert "digest mirror.acme.example/gcr/distroless/static-debian13:nonroot\n" in calls
    assert "digest docker.io/library/golang:1.26-trixie\n" in calls


# sbom, scan and vulnerabilities

GRYPE = (Path(__file__).with_name("grype.sh")).read_text(encoding="utf-8")
SCANS = Path(__file__).with_name("scans")
SPDX = '{\n "spdxVersion": "SPDX-2.3",\n "packages": [\n  {}\n ]\n}\n'
SYFT = """#!/bin/sh
echo "$PWD $*" >>"$CALLS"
while [ $# -gt 0 ]; do
  case $1 in --output) printf '%s' "$SPDX" >"${2#*=}" ;; esac
  shift
done
"""


class Listing:
    """A verified release, and tools that answer."""

    def __init__(self, job: Job) -> None:
        self.job, place = job, job.directory
        job.note("resolve", **RESOLVED)
        self.calls = place / "calls"
        self.pack({"etc/passwd": "x"})
        for name, text in (("syft", SYFT), ("grype", GRYPE)):
            text = text.replace("#!/busybox/sh", "#!/bin/sh").replace("/scans/", f"{SCANS}/")
            (place / "bin" / name).write_text(text)
            (place / "bin" / name).chmod(0o755)
        (place / "ci" / "conformance").symlink_to(SCRIPTS.parents[2] / "ci" / "conformance")
        (place / "go.mod").write_text("require github.com/prometheus/client_golang v1.22.0\n")

    def pack(self, files: dict[str, str], compressed: bool = True) -> None:
        """Leave a release of one layer, as the job before has verified it."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w:gz" if compressed else "w") as tar:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
        tarball = self.job.directory / ".pipeline" / "release.tar"
        with tarfile.open(tarball, "w") as tar:
            for name, data in (("manifest.json", b"[]"), ("layer.tar.gz", layer.getvalue())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
        self.job.note("verify-release", RELEASE_SHA256=digest)

    def sbom(self, spdx: str = SPDX) -> subprocess.CompletedProcess[str]:
        return self.job.script("sbom.sh", "release", **TAG, SPDX=spdx, CALLS=str(self.calls))

    def scan(self, database: str = "clean", **env: str) -> subprocess.CompletedProcess[str]:
        assert self.sbom().returncode == 0
        url = f"https://mirror.example.com/{database}.tar.zst"
        return self.job.script("scan.sh", "release", **TAG, VULNERABILITY_DB_URL=url, **env)

    def verdict(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.job.script("vulnerabilities.sh", *words, **{**TAG, **env})


@pytest.fixture
def listing(job: Job) -> Listing:
    return Listing(job)


def test_what_is_in_an_image_is_listed_outside_the_checkout(listing: Listing) -> None:
    done = listing.sbom()
    assert done.returncode == 0, done.stderr
    place = listing.job.directory
    spdx = place / ".pipeline" / "release.spdx.json"
    assert listing.job.noted("sbom") == {
        "RELEASE_SBOM_SHA256": hashlib.sha256(spdx.read_bytes()).hexdigest()
    }
    assert (place / ".pipeline" / "release.cdx.json").exists()
    [call] = listing.calls.read_text().splitlines()
    assert not call.startswith(str(place))
    assert f"docker-archive:{place}/.pipeline/release.tar" in call
    assert f"--source-name {REPOSITORY} --source-version 1.4.2" in call


def test_another_tarball_than_the_verified_one_is_not_listed(listing: Listing) -> None:
    listing.job.note("verify-release", RELEASE_SHA256="0" * 64)
    done = listing.sbom()
    assert done.returncode == 1
    assert "is not the file that was verified" in done.stderr


@pytest.mark.parametrize("compressed", [True, False])
def test_a_base_whose_debian_packages_are_not_found_stops_the_job(
    listing: Listing, compressed: bool
) -> None:
    listing.pack({"./var/lib/dpkg/status.d/tzdata": "Package: tzdata\n"}, compressed)
    done = listing.sbom()
    assert done.returncode == 1
    assert (
        "release.tar has Debian packages in var/lib/dpkg/status.d, and the list has" in done.stderr
    )
    assert not (listing.job.directory / ".pipeline" / "sbom.env").exists()
    found = SPDX.replace("{}", '{"referenceLocator": "pkg:deb/debian/tzdata@1"}')
    assert listing.sbom(found).returncode == 0


def test_crates_are_those_of_the_lock_file(listing: Listing) -> None:
    (listing.job.directory / "Cargo.lock").write_text("version = 4\n")
    assert listing.sbom().returncode == 0
    assert listing.calls.read_text().splitlines()[1].count("Cargo.lock") == 1
    spdx = json.loads((listing.job.directory / ".pipeline" / "release.spdx.json").read_text())
    assert len(spdx["packages"]) == 2


def test_a_scan_without_flaws_lets_the_image_be_published(listing: Listing) -> None:
    done = listing.scan()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Built: ")
    done = listing.verdict()
    assert done.returncode == 0, done.stderr


def test_the_database_is_grypes_own_unless_another_is_named(listing: Listing) -> None:
    assert listing.sbom().returncode == 0
    assert listing.job.script("scan.sh", "release", **TAG).returncode == 0


def test_a_database_out_of_reach_is_said(listing: Listing) -> None:
    done = listing.scan("missing")
    assert done.returncode == 1
    assert "error: cannot get the database of flaws from https://mirror.example.com/" in done.stderr


def test_the_flaws_of_the_twin_are_shown_and_stop_nothing(listing: Listing) -> None:
    (listing.job.directory / ".pipeline" / "debug.spdx.json").write_text(SPDX)
    url = "https://mirror.example.com/critical.tar.zst"
    listing.job.note("sbom-debug", DEBUG_SBOM_SHA256="0" * 64)
    done = listing.job.script("scan.sh", "debug", **TAG, VULNERABILITY_DB_URL=url)
    assert "debug.spdx.json is not the file that was verified" in done.stderr
    listing.job.note("sbom-debug", DEBUG_SBOM_SHA256=hashlib.sha256(SPDX.encode()).hexdigest())
    done = listing.job.script("scan.sh", "debug", **TAG, VULNERABILITY_DB_URL=url)
    assert done.returncode == 0, done.stderr
    assert "GHSA-dddd-eeee-ffff" in done.stdout
    assert (listing.job.directory / ".pipeline" / "debug.scan.json").exists()


def test_another_list_than_the_jobs_is_not_scanned(listing: Listing) -> None:
    assert listing.sbom().returncode == 0
    (listing.job.directory / ".pipeline" / "release.spdx.json").write_text(SPDX + "\n")
    done = listing.job.script("scan.sh", "release", **TAG)
    assert done.returncode == 1
    assert "is not the file that was verified" in done.stderr


@pytest.mark.parametrize(
    ("database", "code", "line"),
    [
        ("base", 0, "tzdata 2026a-0+deb13u1: no fix yet: CVE-2026-20001 (high)"),
        ("critical", 1, "VUL-001  go.mod:1: CVE-2026-20005 (critical) in github.com/prometheus"),
        ("stale", 2, "the database of flaws is stale: it was built at 2026-11-01T00:00Z"),
    ],
)
def test_a_verdict_in_one_line(listing: Listing, database: str, code: int, line: str) -> None:
    assert listing.scan(database).returncode == 0
    done = listing.verdict()
    assert done.returncode == code, done.stdout + done.stderr
    assert [text for text in (done.stdout + done.stderr).splitlines() if line in text]


def test_the_greatest_age_is_a_variable(listing: Listing) -> None:
    assert listing.scan("stale").returncode == 0
    assert listing.verdict(VULNERABILITY_DB_MAX_AGE="100000").returncode == 0
    done = listing.verdict(VULNERABILITY_DB_MAX_AGE="5 days")
    assert done.returncode == 1
    assert 'VULNERABILITY_DB_MAX_AGE is "5 days": want hours' in done.stderr


# watch

ATTESTED = {
    "_type": "https://in-toto.io/Statement/v0.1",
    "predicateType": "https://spdx.dev/Document",
    "subject": [{"name": REPOSITORY, "digest": {"sha256": "1"}}],
    "predicate": {"spdxVersion": "SPDX-2.3", "packages": [{"name": "tzdata"}]},
}
BASE = "gcr.io/distroless/static-debian13:nonroot"
BUILDER = "docker.io/library/golang:1.26-trixie"
COSIGN = """#!/bin/sh
case $* in
  *spdxjson*) cat "$ATTESTED/${IMAGE_REPOSITORY##*/}.spdx" 2>/dev/null ;;
  *slsaprovenance1*) cat "$ATTESTED/${IMAGE_REPOSITORY##*/}.slsa" 2>/dev/null ;;
esac || { echo "Error: no matching attestations" >&2; exit 1; }
"""


class Watch:
    """A published release with attestations, and a provider that starts pipelines."""

    def __init__(self, job: Job, provider: str, url: str) -> None:
        self.job, self.provider, place = job, provider, job.directory
        self.attested = place / "attested"
        self.attested.mkdir()
        job.tag(**{"1.4.2": DIGEST["a"], "1.4.2-debug": DIGEST["c"], "1.3.0": DIGEST["d"]})
        for digest in (DIGEST["a"], DIGEST["d"]):
            (place / "manifests" / digest).write_text("image")
        (place / "ci" / "signing").mkdir()
        (place / "ci" / "signing" / "cosign.pub").write_text(
            "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n"
        )
        (place / "ci" / "conformance").symlink_to(SCRIPTS.parents[2] / "ci" / "conformance")
        (place / "go.mod").write_text("require github.com/prometheus/client_golang v1.22.0\n")
        for name in (BASE, BUILDER):
            (place / "bases" / name.replace("/", "_")).write_text(DIGEST["b"] + "\n")
        # crane and cosign: what `export` writes has a cosign that answers from files.
        program = place / "cosign" / "ko-app" / "cosign"
        program.parent.mkdir(parents=True)
        program.write_text(COSIGN)
        program.chmod(0o755)
        crane = place / "bin" / "crane"
        crane.write_text(
            crane.read_text().replace(
                "  export) ", '  export) [ -z "${5:-}" ] || exec tar -c -f "$5" -C cosign ko-app;'
            )
        )
        grype = place / "bin" / "grype"
        grype.write_text(
            GRYPE.replace("#!/busybox/sh", "#!/bin/sh")
            .replace("registry:*) scan=/scans/clean.json", 'registry:*) scan="$TODAY"')
            .replace("/scans/", f"{SCANS}/")
            .replace("    case $6 in\n", '    echo "$6" >>"$CALLS"\n    case $6 in\n')
        )  # fmt: skip
        grype.chmod(0o755)
        self.calls = place / "calls-of-grype"
        self.env = {
            "ATTESTED": str(self.attested),
            "CALLS": str(self.calls),
            "TODAY": str(SCANS / "clean.json"),
        }
        self.env |= {
            "gitlab": {
                "CI_PIPELINE_SOURCE": "schedule",
                "WATCH": "true",
                "CI_API_V4_URL": f"{url}/api/v4",
                "CI_PROJECT_ID": "7",
                "CI_JOB_TOKEN": "job-token",
                "CI_DEFAULT_BRANCH": "main",
            },
            "github": {
                **HUB,
                "GITHUB_EVENT_NAME": "schedule",
                "GITHUB_API_URL": f"{url}/api/v3",
                "GIT_TOKEN": "job-token",
            },
        }[provider]

    def attest(self, base: str = DIGEST["b"], reprinted: bool = False) -> None:
        """Give the release its list, and a provenance on a base of that digest; as it was
        written, or as a build of cosign prints what it has parsed."""
        separators = (", ", ":") if reprinted else (",", ":")

        def write(kind: str, statement: dict[str, object]) -> None:
            payload = base64.b64encode(json.dumps(statement, separators=separators).encode())
            envelope = json.dumps({"payload": payload.decode()}, separators=(",", ":"))
            (self.attested / f"payments.{kind}").write_text(envelope + "\n")

        write("spdx", ATTESTED)
        dependencies = [
            {"name": name, "uri": f"docker://{image}", "digest": {"sha256": digest[7:]}}
            for name, image, digest in (
                ("RELEASE_IMAGE", BASE, base),
                ("", BUILDER, DIGEST["b"]),
                ("BUILDER_IMAGE", f"{REPOSITORY}/ci", DIGEST["e"]),
                ("DEBUG_IMAGE", "gcr.io/distroless/static-debian13:debug", DIGEST["f"]),
            )
        ]
        if reprinted:
            dependencies = [
                {name: value for name, value in sorted(item.items()) if value}
                for item in dependencies
            ]
        predicate = {"buildDefinition": {"resolvedDependencies": dependencies}}
        write("slsa", {**ATTESTED, "predicate": predicate})

    def run(self, database: str = "clean", **env: str) -> subprocess.CompletedProcess[str]:
        """Run the three jobs one after the other, until one fails."""
        url = f"https://mirror.example.com/{database}.tar.zst"
        env = {**self.env, "VULNERABILITY_DB_URL": url, **env}
        for command in (
            ("sh", "ci/pipeline/watch-list.sh"),
            ("sh", "ci/pipeline/watch-scan.sh"),
            (sys.executable, "-B", "ci/pipeline/watch.py"),
        ):
            done = self.job.run(*command, **env)
            if done.returncode:
                break
        return done


class Trigger(http.server.BaseHTTPRequestHandler):
    """What starts a pipeline: GitLab's trigger API, and GitHub's for a workflow."""

    asked: ClassVar[list[tuple[str, str, str]]] = []
    refusal = 0

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append((self.path, self.headers.get("Authorization", ""), text))
        gitlab = "/api/v4/" in self.path
        self.send_response(self.refusal or (201 if gitlab else 204))
        self.end_headers()
        if self.refusal:
            self.wfile.write(b'{"message": "Resource not accessible"}')
        elif gitlab:
            self.wfile.write(b'{"web_url": "https://gitlab.example.com/pipelines/8"}')

    def log_message(self, *_: object) -> None:
        pass


STARTED = {
    "gitlab": (
        "https://gitlab.example.com/pipelines/8",
        ("/api/v4/projects/7/trigger/pipeline", "",
         "token=job-token&ref=main&variables%5BREBUILD%5D=true"),
    ),
    "github": (
        "https://github.com/Acme/payments/actions/workflows/ci.yml",
        ("/api/v3/repos/Acme/payments/actions/workflows/ci.yml/dispatches", "Bearer job-token",
         '{"ref": "main"}'),
    ),
}  # fmt: skip


@pytest.fixture(params=STARTED)
def watch(job: Job, request: pytest.FixtureRequest) -> Iterator[Watch]:
    Trigger.asked.clear()
    Trigger.refusal = 0
    server = http.server.HTTPServer(("127.0.0.1", 0), Trigger)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Watch(job, request.param, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_nothing_is_started_where_the_base_has_not_changed(watch: Watch) -> None:
    watch.attest()
    done = watch.run("base")
    assert done.returncode == 0, done.stderr
    # A path is no registry without TLS.
    assert "--insecure" not in (watch.job.directory / "calls").read_text()
    assert "tzdata 2026a-0+deb13u1: no fix yet" in " ".join(done.stdout.split())
    assert Trigger.asked == []
    # No base is looked at, and no image of the service.
    assert [line.partition(":")[0] for line in watch.calls.read_text().splitlines()] == ["sbom"]


@pytest.mark.parametrize("reprinted", [False, True])
def test_a_base_that_is_fixed_under_its_tag_starts_the_rebuild(
    watch: Watch, reprinted: bool
) -> None:
    watch.attest(base=DIGEST["f"], reprinted=reprinted)
    done = watch.run("base")
    assert done.returncode == 0, done.stderr
    assert "1.4.2: a rebuild fixes CVE-2026-20001 in tzdata" in done.stdout
    address, asked = STARTED[watch.provider]
    assert f"started the rebuild: {address}\n" in done.stdout
    assert Trigger.asked == [asked]
    assert "job-token" not in done.stdout + done.stderr
    scanned = watch.calls.read_text()
    assert f"registry:gcr.io/distroless/static-debian13@{DIGEST['b']}\n" in scanned
    assert f"registry:docker.io/library/golang@{DIGEST['b']}\n" in scanned
    assert scanned.count("registry:") == 2


def test_a_base_that_changed_and_has_the_flaw_starts_nothing(watch: Watch) -> None:
    watch.attest(base=DIGEST["f"])
    done = watch.run("base", TODAY=str(SCANS / "base.json"))
    assert done.returncode == 0, done.stderr
    assert Trigger.asked == []


def test_a_release_without_a_list_is_rebuilt(watch: Watch) -> None:
    done = watch.run()
    assert done.returncode == 0, done.stderr
    assert "1.4.2 has no list of what is in it" in done.stdout
    assert len(Trigger.asked) == 1


def test_a_release_whose_bases_nobody_names_is_no_verdict(watch: Watch) -> None:
    watch.attest()
    provenance = watch.attested / "payments.slsa"
    payload = base64.b64encode(json.dumps(ATTESTED).encode()).decode()
    provenance.write_text(json.dumps({"payload": payload}, separators=(",", ":")) + "\n")
    done = watch.run("base")
    assert done.returncode == 1
    assert "error: the provenance of 1.4.2 names no image that it was made of" in done.stderr
    provenance.unlink()
    done = watch.run("base")
    assert done.returncode == 1
    assert "error: 1.4.2 has no provenance by a key of ci/signing/cosign.pub" in done.stderr
    assert Trigger.asked == []


def test_a_bump_that_is_due_fails_and_starts_nothing(watch: Watch) -> None:
    watch.attest()
    done = watch.run("critical")
    assert done.returncode == 1
    assert "VUL-001  go.mod:1: CVE-2026-20005 (critical)" in done.stdout
    assert Trigger.asked == []


def test_what_is_deployed_is_looked_at_too(watch: Watch) -> None:
    watch.attest()
    done = watch.run(DEPLOYED="1.3.0,1.4.2")
    assert done.returncode == 0, done.stderr
    assert [line[:5] for line in done.stdout.splitlines() if ": 2 checks" in line] == [
        "1.3.0",
        "1.4.2",
    ]
    done = watch.run(DEPLOYED="1.2.0")
    assert "error: registry.example.com/platform/payments:1.2.0 is not there" in done.stderr
    done = watch.run(DEPLOYED="../x")
    assert 'error: SERVICE_VERSION is "../x"' in done.stderr


@pytest.mark.parametrize("code", [301, 403])
def test_a_rebuild_that_is_refused_fails_the_job(watch: Watch, code: int) -> None:
    Trigger.refusal = code
    done = watch.run()
    assert done.returncode == 2
    assert "error: cannot start the rebuild: " in done.stderr
    assert f"answers {code}: " in done.stderr
    assert "Resource not accessible" in done.stderr
    assert "job-token" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_an_api_to_ask_the_watch_says_what_is_missing(watch: Watch) -> None:
    name = {"gitlab": "CI_JOB_TOKEN", "github": "GIT_TOKEN"}[watch.provider]
    del watch.env[name]
    done = watch.run()
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"error: cannot start the rebuild: {name} is not set" in done.stderr


def test_a_stale_database_fails_the_watch(watch: Watch) -> None:
    watch.attest()
    done = watch.run("stale")
    assert done.returncode == 2
    assert "error: the database of flaws is stale" in done.stderr


def test_a_rebuild_that_watch_starts_is_one_of_the_schedules(job: Job) -> None:
    given = {"CI_PIPELINE_SOURCE": "pipeline", "REBUILD": "true"}
    script = '. ci/pipeline/common.sh; echo "$trigger"'
    assert job.run("sh", "-c", script, **given).stdout == "schedule\n"
    assert job.run("sh", "-c", script, CI_PIPELINE_SOURCE="pipeline").stdout == "branch\n"
    assert job.run("sh", "-c", script, REBUILD="true").stdout == "branch\n"


RUNNER = SCRIPTS.parents[2] / "{{ github }}" / "ci" / "github"
SECRETS = {
    "REGISTRY_USER": "u", "REGISTRY_PASSWORD": "of-the-registry", "GITHUB_TOKEN": "of-the-job",
    "DOCKER_AUTH_CONFIG": "", "TEMPLATE_UPDATE_TOKEN": "of-the-update",
}  # fmt: skip


@pytest.fixture
def runner(job: Job) -> Job:
    """A workspace on GitHub, with a docker that says how it was called."""
    (job.directory / "ci" / "github").symlink_to(RUNNER)
    (job.directory / "bin" / "docker").write_text('#!/bin/sh\necho "docker $*" >>docker.log\n')
    (job.directory / "bin" / "docker").chmod(0o755)
    job.env |= {**HUB, **SECRETS, "HOME": str(job.directory / "config")}
    return job


def test_the_update_runs_in_its_image_and_its_token_is_on_no_command_line(runner: Job) -> None:
    update = ("sh", "ci/github/run.sh", "update", "ci/pipeline/template-update.sh")
    image = f"ghcr.io/acme/template-update:1@{DIGEST['a']}"
    done = runner.run(*update, TEMPLATE_UPDATE_IMAGE=image, IMAGE_REPOSITORY="")
    assert done.returncode == 0, done.stderr
    *_, line = (runner.directory / "docker.log").read_text().splitlines()
    assert line.endswith(f" {image} sh ci/pipeline/template-update.sh")
    assert "--env TEMPLATE_UPDATE_TOKEN" in line
    assert "--env GITHUB_API_URL" in line
    assert "REGISTRY_PASSWORD" not in line
    assert not [value for value in SECRETS.values() if value.startswith("of-") and value in line]
    done = runner.run(*update, TEMPLATE_UPDATE_IMAGE="ghcr.io/acme/template-update:1")
    assert done.returncode == 1
    assert "is not pinned" in done.stderr


def test_grype_has_credentials_where_it_reads_bases_only(runner: Job) -> None:
    for where in ("grype", "watch"):
        done = runner.run("sh", "ci/github/run.sh", where, "x.sh", DEPLOYED="1.4.2-b3")
        assert done.returncode == 0, done.stderr
        *_, line = (runner.directory / "docker.log").read_text().splitlines()
        assert "/grype:v" in line
        assert "--env DEPLOYED" in line
        assert ("REGISTRY_PASSWORD" in line) == ("REGISTRY_MAP" in line) == (where == "watch")


@pytest.mark.parametrize(("branch", "code"), [("main", 0), ("topic", 1)])
def test_a_rebuild_is_of_the_default_branch(runner: Job, branch: str, code: int) -> None:
    script = runner.directory / "release-source.sh"
    script.write_text((RUNNER / "release-source.sh").read_text().partition("# In a container")[0])
    done = runner.run("sh", str(script), GITHUB_REF_NAME=branch, DEFAULT_BRANCH="main")
    assert done.returncode == code
    assert ("start it on main, not on topic" in done.stderr) == bool(code)
    assert runner.run("sh", str(script), GITHUB_REF_NAME="main").returncode == 0


def test_in_a_container_of_the_runners_the_command_runs_as_it_is(runner: Job) -> None:
    def contained(*words: str) -> subprocess.CompletedProcess[str]:
        return runner.run("sh", "ci/github/run.sh", *words, IN_CONTAINER="true")

    shown = 'echo "${REGISTRY_PASSWORD-none} ${GITHUB_TOKEN-none} ${DOCKER_AUTH_CONFIG-none}"'
    assert contained("ci", "sh", "-c", shown).stdout == "none none none\n"
    runner.note("resolve", **RESOLVED)
    (runner.directory / "own.sh").write_text(f"{shown}\n")
    assert contained("crane", "own.sh").stdout == "of-the-registry of-the-job \n"
    assert not (runner.directory / "docker.log").exists()
    done = contained("kaniko", "ci/pipeline/build.sh", "ci")
    assert done.returncode == 1
    assert "containers: true wants kaniko-image in .github/workflows/ci.yml" in done.stderr
    (runner.directory / "bin" / "docker").write_text("#!/bin/sh\nexit 1\n")
    done = runner.run("sh", "ci/github/run.sh", "crane", "own.sh")
    assert done.returncode == 1
    assert "this runner has no docker" in done.stderr


def test_a_fork_builds_no_ci_image_where_nothing_could_load_it(source: Job) -> None:
    done = source.script("resolve.sh", **{**HUB, **HUB_FORK, "IN_CONTAINER": "true"})
    assert done.returncode == 1, done.stdout
    assert "is not there for a pull request that may not push it" in done.stderr
