"""The hermetic CI image: a service's jobs, and its own image, need nothing but what is in it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from services import IMAGES, Service

from lab import Image, Lab, LabError, bases, install
from lab.system import run
from rendering import COMBINATIONS, NIGHTLY, Render, commit_all, git

LANGUAGES = list(dict.fromkeys(COMBINATIONS[name]["language"] for name in IMAGES))
DOCKERFILE = "ci/image/Dockerfile"


def services(language: str, lab: Lab, render: Render) -> list[Service]:
    """The language's service on each of its bases, the default one first."""
    found = [COMBINATIONS[name] for name in IMAGES if COMBINATIONS[name]["language"] == language]
    return [Service(lab, render(**answers), answers) for answers in found]


def trust_the_machine(service: Path) -> None:
    """Debian's ca-certificates drops the authorities of this machine, such as a proxy's."""
    if not bases.MACHINE_CERTIFICATES.exists():
        return
    shutil.copy(bases.MACHINE_CERTIFICATES, service / "machine.crt")
    with (service / ".dockerignore").open("a") as file:
        file.write("!machine.crt\n")
    mount = "type=bind,source=machine.crt,target=/usr/local/share/ca-certificates/machine.crt"
    text = (service / DOCKERFILE).read_text()
    (service / DOCKERFILE).write_text(re.sub("^RUN ", f"RUN --mount={mount} ", text, flags=re.M))


def shorter(language: str, lab: Lab) -> list[str]:
    """Options that save time and no check: the cold build optimises, and starts from nothing."""
    if language == "go":
        cache = lab.cache / "go-build"
        cache.mkdir(exist_ok=True)
        # The cache knows results of tests, too; -count=1 runs them.
        return [f"--volume={cache}:/root/.cache/go-build", "--env=GOFLAGS=-mod=readonly -count=1"]
    if language == "rust":
        profiles = {"DEV_DEBUG": "0", "RELEASE_OPT_LEVEL": "0", "RELEASE_LTO": "off"}
        return [f"--env=CARGO_PROFILE_{name}={value}" for name, value in profiles.items()]
    return []


@dataclass
class Built:
    """A language, the images of its services, and its CI image."""

    language: str
    services: list[Service]
    image: Image


@pytest.fixture(scope="module", params=LANGUAGES)
def built(
    request: pytest.FixtureRequest,
    lab: Lab,
    render: Render,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Built]:
    found = services(request.param, lab, render)
    context = tmp_path_factory.mktemp("context") / "payments"
    shutil.copytree(found[0].directory, context, symlinks=True)
    trust_the_machine(context)
    image = lab.build(context, dockerfile=DOCKERFILE, packed=False)
    try:
        yield Built(request.param, found, image)
    finally:  # It is large, and so is what it was loaded into.
        image.oci_archive.unlink()
        if "ref" in image.__dict__:
            run([lab.engine, "rmi", image.ref], what="removing the CI image", env=lab.env)


def job(built: Built, lab: Lab, directory: Path, *verbs: str) -> None:
    """Run `make` in the CI image as a job does, without a network."""
    command = [
        lab.engine, "run", "--rm", "--network=none", "--pull=never", "--entrypoint=",
        f"--volume={directory}:/builds/payments", "--workdir=/builds/payments",
        *shorter(built.language, lab), built.image.ref, "make", "--no-print-directory", *verbs,
    ]  # fmt: skip
    run(command, what=f"make {' '.join(verbs)}", env=lab.env)


@pytest.fixture
def service(built: Built, tmp_path: Path) -> Path:
    directory = tmp_path / "payments"
    clutter = shutil.ignore_patterns("__pycache__")
    shutil.copytree(built.services[0].directory, directory, symlinks=True, ignore=clutter)
    commit_all(directory, "Scaffold")
    return directory


def test_day_one_needs_no_network(built: Built, lab: Lab, service: Path) -> None:
    """What a team types and what the jobs run passes, and leaves nothing that git would show."""
    job(built, lab, service, "fetch", "lint", "test", "verify", "build")
    assert git(service, "status", "--porcelain") == ""
    job(built, lab, service, "clean")
    assert git(service, "status", "--porcelain", "--ignored") == ""


# What a team does in an editor, and no job does: ask for something that is not in the image.
ASKS_THE_NETWORK = {
    "go": "go mod download rsc.io/quote@v1.5.2",
    "rust": "cargo info semver",
    "java": "sh ./mvnw -q dependency:get -Dartifact=org.hamcrest:hamcrest-core:2.1",
    "python": "echo six | uv pip compile --no-cache --quiet -",
    "node": "npm view is-number version",
}


def online(service: Path) -> dict[str, str]:
    """The variables of devcontainer.json, ${localEnv:NAME:default} as where NAME is not set."""
    container = json.loads((service / ".devcontainer/devcontainer.json").read_text())
    return {
        name: re.sub(r"\$\{localEnv:\w+:(.*)\}", r"\1", value)
        for name, value in container["containerEnv"].items()
    }


def in_editor(built: Built, lab: Lab, service: Path, script: str, env: dict[str, str]) -> None:
    """Run a line as an editor's terminal does: the same image as the jobs', the same user, in
    the editor's folder, with a network."""
    variables = [f"--env={name}={value}" for name, value in env.items()]
    command = [
        lab.engine, "run", "--rm", "--pull=never", "--entrypoint=", *variables,
        *shorter(built.language, lab), f"--volume={service}:/workspaces/payments",
        "--workdir=/workspaces/payments", built.image.ref, "sh", "-c", script,
    ]  # fmt: skip
    run(command, what=script, env=lab.env)


def test_the_devcontainer_has_a_network(built: Built, lab: Lab, service: Path) -> None:
    script = ASKS_THE_NETWORK[built.language]
    in_editor(built, lab, service, script, online(service))
    with pytest.raises(LabError, match="failed"):
        in_editor(built, lab, service, script, {})


def by_its_own_tool(built: Built, lab: Lab, service: Path) -> None:
    """`devcontainer up`, as an editor calls it, with the image that was built for the jobs."""
    place = service / ".devcontainer/devcontainer.json"
    text = place.read_text()
    container = json.loads(text)
    del container["build"]
    place.write_text(json.dumps(container | {"image": built.image.ref}))
    modules = install.npm_packages("devcontainer", Path(__file__).parent / "devcontainer")
    path = f"{install.node_bin()}:{os.environ['PATH']}"

    def devcontainer(verb: str, *words: str) -> str:
        command = [
            "node", modules / "@devcontainers/cli/devcontainer.js", verb,
            "--docker-path=podman", f"--workspace-folder={service}", *words,
        ]  # fmt: skip
        return run(command, what=f"devcontainer {verb}", env=dict(lab.env) | {"PATH": path})

    started = json.loads(devcontainer("up").splitlines()[-1])
    try:
        devcontainer("exec", "make", "lint", "test", "build")
    finally:
        name = started["containerId"]
        run(["podman", "rm", "--force", name], what="podman rm", env=lab.env)
        place.write_text(text)
    assert git(service, "status", "--porcelain") == ""


# The jobs have shown above that the verbs work in this image, for each language.
EDITED = LANGUAGES if NIGHTLY else ["go"]


@pytest.mark.parametrize("built", EDITED, indirect=True)
def test_the_devcontainer_lints_tests_and_builds(built: Built, lab: Lab, service: Path) -> None:
    in_editor(built, lab, service, "make lint test build", online(service))
    assert git(service, "status", "--porcelain") == ""
    if NIGHTLY:
        by_its_own_tool(built, lab, service)
    # It can fail: what the editor has in front of it is what is looked at.
    (service / "Makefile").unlink()
    with pytest.raises(LabError, match="No rule to make target"):
        in_editor(built, lab, service, "make lint test build", online(service))


@pytest.mark.parametrize("built", ["go"], indirect=True)
def test_day_one_can_fail(built: Built, lab: Lab, service: Path) -> None:
    """A line that no formatter leaves as it is."""
    with (service / "cmd/payments/main.go").open("a") as file:
        file.write("    //   badly   formatted\n")
    with pytest.raises(LabError, match=r"make lint failed(.|\n)*not formatted"):
        job(built, lab, service, "lint")


# By day on the default base, without the compilers that take minutes for it.
COLD = LANGUAGES if NIGHTLY else ["go", "python", "node"]


@pytest.mark.parametrize("built", COLD, indirect=True)
def test_a_cold_build_needs_no_network_and_agrees(built: Built, lab: Lab) -> None:
    """The shared daemon built at another time, from what it had, on the usual builder image;
    the cold one has nothing but the CI image, and no network."""
    services = built.services if NIGHTLY else built.services[:1]
    shared = [service.build("release", reproducible=True).digest for service in services]
    with lab.cold():
        cold = [
            service.build(
                "release", reproducible=True, no_network=True,
                args={"BUILDER_IMAGE": "ci-image"}, images={"ci-image": built.image},
            ).digest
            for service in services
        ]  # fmt: skip
    assert cold == shared


def test_without_the_ci_image_a_network_is_needed(lab: Lab, render: Render) -> None:
    """The network really is away."""
    with lab.cold(), pytest.raises(LabError, match=r"go mod download(.|\n)*(dial|lookup) "):
        services("go", lab, render)[0].build("release", no_network=True)


def test_another_source_is_another_digest(lab: Lab, scaffold: Render) -> None:
    """The comparison above can fail."""
    answers = COMBINATIONS["go-scratch"]
    service = Service(lab, scaffold(**answers), answers)
    before = service.build("release", reproducible=True).digest
    path = service.directory / "cmd/payments/main.go"
    path.write_text(path.read_text() + "\nfunc init() { println() }\n")
    assert service.build("release", reproducible=True).digest != before
