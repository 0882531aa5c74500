"""The table of docs/pipeline-registries.md, each line tried with crane on registries that ask."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from registries import DIGEST, Registries, registries

from lab import Missing, install
from rendering import ROOT

SCRIPTS = ROOT / "template" / "{{ pipeline }}" / "ci" / "pipeline"
HUB, OWN, GITLAB = "index.docker.io", "registry.example.com", "gitlab.example.com:5050"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
GAR = "europe-docker.pkg.dev"
PLAIN = "registry.internal:5000"


def auth(user: str) -> str:
    return base64.b64encode(user.encode()).decode()


def config(**hosts: str) -> str:
    auths = {host.replace("__", "."): {"auth": auth(user)} for host, user in hosts.items()}
    return json.dumps({"auths": auths}, indent=2)


class Job:
    """A job whose crane is the real one."""

    def __init__(self, directory: Path, world: Registries) -> None:
        self.directory, self.world = directory, world
        (directory / "ci").mkdir()
        (directory / "ci/pipeline").symlink_to(SCRIPTS)
        (directory / "bin").mkdir()
        try:
            (directory / "bin/crane").symlink_to(install.crane())
        except Missing as missing:
            pytest.skip(str(missing))
        self.config = directory / "config"
        self.env = {
            "PATH": f"{directory / 'bin'}:{os.environ['PATH']}", "HOME": str(directory),
            "DOCKER_CONFIG": str(self.config), **world.env(),
        }  # fmt: skip

    def helper(self, name: str, user: str) -> None:
        """A credential helper, as ECR's and GAR's are: a program that is asked for a host."""
        name_, _, password = user.partition(":")
        answer = json.dumps({"Username": name_, "Secret": password})
        program = self.directory / f"bin/docker-credential-{name}"
        program.write_text(f"#!/bin/sh\n[ \"$1\" = get ] && cat >/dev/null && echo '{answer}'\n")
        program.chmod(0o755)

    def run(self, repository: str, *commands: str, **env: str) -> subprocess.CompletedProcess[str]:
        script = f". ci/pipeline/common.sh; login; {'; '.join(commands)}"
        given = {"IMAGE_REPOSITORY": repository, "CI_IMAGE_REPOSITORY": f"{repository}/ci"}
        return subprocess.run(
            ["sh", "-c", script], cwd=self.directory, env={**self.env, **given, **env},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def pushes(self, repository: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run(repository, f"crane tag {repository}@{DIGEST} 1.4.2", **env)

    def pulls(self, image: str, repository: str = f"{OWN}/acme/payments", **env: str) -> bool:
        done = self.run(repository, f"crane digest {image}", **env)
        return done.stdout.endswith(f"{DIGEST}\n")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registries]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    directory = tmp_path_factory.mktemp("registries")
    with registries(directory, HUB, OWN, GITLAB, ECR, GAR, "ghcr.io", "docker.io") as made:
        yield made


@pytest.fixture
def job(world: Registries, tmp_path: Path) -> Job:
    world.readers.clear()
    world.writers.clear()
    world.seen.clear()
    return Job(tmp_path, world)


PAIR = {"REGISTRY_USER": "ada", "REGISTRY_PASSWORD": "l0ve:lace"}
OWN_GITLAB = {
    "CI_REGISTRY": GITLAB, "CI_REGISTRY_IMAGE": f"{GITLAB}/acme/payments",
    "CI_REGISTRY_USER": "gitlab-ci-token", "CI_REGISTRY_PASSWORD": "job",
}  # fmt: skip


def test_nobody_may_push_without(job: Job) -> None:
    """The stand-in does ask."""
    job.world.writers[OWN, "acme/payments"] = "ada:l0ve:lace"
    done = job.pushes(f"{OWN}/acme/payments")
    assert done.returncode != 0
    assert "UNAUTHORIZED" in done.stderr
    assert "no credentials for registry.example.com" in done.stdout


def test_gitlabs_own_registry_needs_nothing(job: Job) -> None:
    job.world.writers[GITLAB, "acme/payments"] = "gitlab-ci-token:job"
    assert job.pushes(f"{GITLAB}/acme/payments", **OWN_GITLAB).returncode == 0


def test_another_registry_takes_the_pair(job: Job) -> None:
    job.world.writers[OWN, "acme/payments"] = "ada:l0ve:lace"
    assert job.pushes(f"{OWN}/acme/payments", **PAIR, **OWN_GITLAB).returncode == 0


@pytest.mark.parametrize("own", ["gitlab", "other"])
def test_credentials_for_pulls_do_not_take_the_place_of_those_for_pushes(
    job: Job, own: str
) -> None:
    """What is read with DOCKER_AUTH_CONFIG, on another host and on the same one."""
    host, given, user = {
        "gitlab": (GITLAB, OWN_GITLAB, "gitlab-ci-token:job"),
        "other": (OWN, PAIR, "ada:l0ve:lace"),
    }[own]
    job.world.writers[host, "acme/payments"] = user
    job.world.readers[host, "bases/"] = "reader:r"
    job.world.readers["ghcr.io", "bases/"] = "reader:g"
    given = given | {"DOCKER_AUTH_CONFIG": config(**{host: "reader:r", "ghcr.io": "reader:g"})}
    repository = f"{host}/acme/payments"
    assert job.pushes(repository, **given).returncode == 0
    assert job.pushes(f"{repository}/ci", **given).returncode == 0
    assert job.pulls(f"{host}/bases/go:1", repository, **given)
    assert job.pulls("ghcr.io/bases/go:1", repository, **given)


@pytest.mark.parametrize("name", ["docker.io", "index.docker.io"])
def test_docker_hub_is_authenticated(job: Job, name: str) -> None:
    job.world.writers[HUB, "acme/payments"] = "ada:l0ve:lace"
    assert job.pushes(f"{name}/acme/payments", **PAIR).returncode == 0
    # The CI image beside it, since Hub knows no third level.
    ci = job.run(f"{name}/acme/payments", "ci_repository", **PAIR).stdout.strip()
    assert ci == f"{name}/acme/payments-ci"
    assert job.pushes(ci, **PAIR).returncode == 0


@pytest.mark.parametrize(
    "key", ["docker.io", "index.docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"]
)
def test_docker_hubs_many_names_in_a_config(job: Job, key: str) -> None:
    job.world.readers[HUB, "library/"] = "ada:pull"
    assert job.pulls("docker.io/library/golang:1", DOCKER_AUTH_CONFIG=config(**{key: "ada:pull"}))


@pytest.mark.parametrize(("host", "helper"), [(ECR, "ecr-login"), (GAR, "gcr")])
@pytest.mark.parametrize("way", ["variable", "config"])
def test_a_credential_helper_is_asked(job: Job, host: str, helper: str, way: str) -> None:
    job.world.writers[host, "acme/payments"] = "AWS:short-lived"
    job.helper(helper, "AWS:short-lived")
    given = {
        "variable": {"CREDENTIAL_HELPERS": f"{host}={helper};ghcr.io=gh"},
        "config": {"DOCKER_AUTH_CONFIG": json.dumps({"credHelpers": {host: helper}})},
    }[way]
    done = job.pushes(f"{host}/acme/payments", **given)
    assert done.returncode == 0, done.stderr
    assert ("docker-credential-gh is not in this job's image" in done.stderr) == (way == "variable")


@pytest.mark.parametrize("value", ["ecr-login", "x.io=", "x.io=a b", "X=/bin/sh", "x.io=$(true)"])
def test_a_helper_that_is_none_is_refused(job: Job, value: str) -> None:
    done = job.run(f"{OWN}/acme/payments", CREDENTIAL_HELPERS=value)
    assert done.returncode == 1
    assert "error: CREDENTIAL_HELPERS: " in done.stderr


@pytest.mark.parametrize("installed", [True, False])
def test_a_store_of_credentials_hides_no_others(job: Job, installed: bool) -> None:
    """A person's config.json names one, such as that of Docker Desktop."""
    if installed:
        job.helper("desktop", "nobody:x")
    job.world.writers[OWN, "acme/payments"] = "ada:l0ve:lace"
    store = json.dumps({"auths": {OWN: {}}, "credsStore": "desktop"})
    done = job.pushes(f"{OWN}/acme/payments", **PAIR, DOCKER_AUTH_CONFIG=store)
    assert done.returncode == 0, done.stderr
    assert ("its credsStore is left out" in done.stderr) != installed


def test_the_images_own_config_is_added_to(job: Job) -> None:
    job.world.readers["ghcr.io", ""] = "image:i"
    job.world.writers[OWN, "acme/payments"] = "ada:l0ve:lace"
    job.config.mkdir()
    (job.config / "config.json").write_text(config(ghcr__io="image:i"))
    assert job.pulls("ghcr.io/bases/go:1", **PAIR)
    assert job.pushes(f"{OWN}/acme/payments", **PAIR).returncode == 0
    assert (job.config / "config.json").stat().st_mode & 0o077 == 0


def test_a_config_may_be_a_file(job: Job) -> None:
    """A variable of GitLab's type File holds a path."""
    job.world.readers["ghcr.io", ""] = "reader:g"
    (job.directory / "given.json").write_text(config(ghcr__io="reader:g"))
    given = str(job.directory / "given.json")
    assert job.pulls("ghcr.io/bases/go:1", DOCKER_AUTH_CONFIG=given)


def test_the_dependency_proxy_is_known(job: Job) -> None:
    proxy = "gitlab.example.com:5050"
    job.world.readers[proxy, "acme/dependency_proxy"] = "proxy:p"
    given = {
        "CI_DEPENDENCY_PROXY_SERVER": proxy, "CI_DEPENDENCY_PROXY_USER": "proxy",
        "CI_DEPENDENCY_PROXY_PASSWORD": "p",
    }  # fmt: skip
    image = f"{proxy}/acme/dependency_proxy/containers/golang:1"
    assert job.pulls(image, **given)


@pytest.mark.parametrize("value", ["{", "not json", '{"auths": [}', '{"auths":{}} trailing'])
def test_what_is_not_json_is_named_and_not_shown(job: Job, value: str) -> None:
    secret = f"{value} s3cret"
    done = job.run(f"{OWN}/acme/payments", DOCKER_AUTH_CONFIG=secret)
    assert done.returncode == 1
    assert "error: DOCKER_AUTH_CONFIG is not JSON" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_a_registry_without_tls_is_told_to_crane(job: Job) -> None:
    job.world.writers[PLAIN, "acme/payments"] = "ada:l0ve:lace"
    done = job.pushes(f"{PLAIN}/acme/payments", **PAIR, PLAIN_HTTP_REGISTRIES=f"x:1;{PLAIN}")
    assert done.returncode == 0, done.stderr
    assert job.pushes(f"{PLAIN}/acme/payments", **PAIR).returncode != 0


def test_no_secret_is_on_a_command_line(job: Job) -> None:
    """Whoever lists the processes of the machine sees the words of each."""
    words = job.directory / "words"
    for name in ("awk", "base64", "crane", "grep", "sed", "tr", "cat"):
        real = (job.directory / "bin" / name).resolve() if name == "crane" else shutil.which(name)
        program = job.directory / "bin" / name
        program.unlink(missing_ok=True)
        program.write_text(f'#!/bin/sh\necho "$@" >>{words}\nexec {real} "$@"\n')
        program.chmod(0o755)
    job.world.writers[OWN, "acme/payments"] = "ada:l0ve:lace"
    assert job.pushes(f"{OWN}/acme/payments", **PAIR).returncode == 0
    for secret in ("l0ve:lace", auth("ada:l0ve:lace")):
        assert secret not in words.read_text()


def test_the_docs_name_every_setting() -> None:
    text = (ROOT / "docs/pipeline-registries.md").read_text(encoding="utf-8")
    for name in (
        "DOCKER_AUTH_CONFIG",
        "CREDENTIAL_HELPERS",
        "PLAIN_HTTP_REGISTRIES",
        "REGISTRY_USER",
    ):
        assert re.search(rf"`{name}\b", text), name
