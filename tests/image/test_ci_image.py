"""The hermetic CI image: the jobs and the compile step find all that they need in it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import BUILD_ARGS, IMAGES

from lab import Lab, LabError, bases, external_images, install
from lab.system import run
from rendering import COMBINATIONS, Render

LANGUAGES = {
    COMBINATIONS[name]["language"]: COMBINATIONS[name] for name in reversed(IMAGES)
}  # fmt: skip


def build(lab: Lab, service: Path, dockerfile: str, *options: str, **arguments: str) -> str:
    """Build with buildah, whose images stay in the storage; the name of the image."""
    # Also where docker runs the other tests: the jobs run where buildah keeps the image.
    install.packages(["buildah", "podman", "runc", "conmon"])
    names = external_images((service / dockerfile).read_text(), arguments)
    lab.bases_for(name for name in names if bases.canonical(name) in bases.names())
    image = f"localhost/ci-image/{secrets.token_hex(6)}:latest"
    command = [
        "buildah", "build", "--format=docker", "--force-rm", "--no-cache", f"--tag={image}",
        f"--file={service / dockerfile}", *options,
        *(f"--build-arg={name}={value}" for name, value in arguments.items()), str(service),
    ]  # fmt: skip
    run(command, what=f"buildah: {dockerfile}", env=lab.env)
    return image


def release(lab: Lab, service: Path, **arguments: str) -> str:
    options = ("--target=release", "--network=none")
    return build(lab, service, "image/Dockerfile", *options, **{**BUILD_ARGS, **arguments})


def trusted() -> list[str]:
    """Debian's ca-certificates drops the authorities of this machine, such as a proxy's."""
    machine = bases.MACHINE_CERTIFICATES
    place = "/usr/local/share/ca-certificates/machine.crt"
    return [f"--volume={machine}:{place}:ro"] if machine.exists() else []


@contextlib.contextmanager
def removed(lab: Lab, *images: str) -> Iterator[None]:
    """The images are large: none is left."""
    try:
        yield
    finally:
        run(["podman", "rmi", "--force", *images], what="podman rmi", env=lab.env)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_job_needs_a_network(language: str, lab: Lab, scaffold: Render) -> None:
    """What the pipeline's jobs run, and the service image on the CI image, both offline."""
    service = scaffold(**LANGUAGES[language])
    image = build(lab, service, "ci/image/Dockerfile", "--network=host", *trusted())
    with removed(lab, image):
        built = release(lab, service, BUILDER_IMAGE=image)
        with removed(lab, built):
            user = run(
                ["podman", "inspect", "--format={{.Config.User}}", built], what="podman inspect",
                env=lab.env,
            )  # fmt: skip
            assert user.strip() == "65532:65532"
        job = [
            "podman", "run", "--rm", "--network=none", "--pull=never", "--entrypoint=",
            f"--volume={service}:/builds/payments", "--workdir=/builds/payments", image,
            "make", "lint", "test", "verify",
        ]  # fmt: skip
        run(job, what="make lint test verify", env=lab.env)


def test_without_the_ci_image_a_network_is_needed(lab: Lab, scaffold: Render) -> None:
    """The network really is away."""
    with pytest.raises(LabError, match="go"):
        release(lab, scaffold(**LANGUAGES["go"]))
