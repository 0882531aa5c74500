"""A first push on GitHub where the runners start each job in a container and have no docker.

act starts the containers, each in the image of its job, with podman's API in place of
Kubernetes'.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import Hub, on_github
from test_github import JOBS
from world import World, edit_platform_file

from rendering import Render


class Contained(Hub):
    """The runners of it have no docker."""

    @property
    def socket(self) -> Path:
        return self.scratch / "podman.sock"

    def runner(self) -> list[str]:
        return ["--platform=kubernetes=-self-hosted", "--rm"]

    def environment(self) -> dict[str, str]:
        # act itself pulls the images of the jobs.
        return {
            **super().environment(),
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": self.world.env["DOCKER_CONFIG"],
        }


@pytest.fixture
def contained(place: World, render: Render, tmp_path: Path) -> Iterator[Contained]:
    rendered = render(language="go", ci="github", registry=f"{place.address}/contained")
    hub = on_github(
        place, rendered, tmp_path / "payments", "contained", tmp_path / "hub", kind=Contained
    )
    assert isinstance(hub, Contained)
    workflows = hub.directory / ".github" / "workflows"
    team = workflows / "ci.yml"
    text = team.read_text()
    form = "      runner: kubernetes\n      containers: true\n      crane-image:"
    assert text.count("      crane-image:") == 2
    team.write_text(text.replace("      crane-image:", form))
    # act gives a container the volumes that its job names, and no others.
    volumes = json.dumps([*place.volumes, f"{hub.scratch}:{hub.scratch}"])
    for name in ("pipeline.yml", "promote.yml"):
        edit_platform_file(
            workflows / name, hub.directory / "ci" / "github" / "platform.lock",
            lambda text: re.sub(
                rb"(?m)^    container: (.*)$",
                rb"    container:\n      image: \1\n      volumes: " + volumes.encode(), text,
            ),
        )  # fmt: skip
    hub.commit("Run where there is no docker")
    service = subprocess.Popen(
        ["podman", "system", "service", "--time=0", f"unix://{hub.socket}"],
        env={**os.environ, **place.env},
    )
    try:
        while not hub.socket.exists():
            assert service.poll() is None
            time.sleep(0.1)
        yield hub
    finally:
        service.terminate()
        service.wait()


def test_every_job_runs_in_a_container_of_its_image(contained: Contained) -> None:
    run = contained.run()
    assert run.code == 0, run.log
    assert set(run.passed()) == JOBS
    started = dict(re.findall(r"^\[.*?/([\w-]+) *\] .*Start image=(\S+)$", run.log, re.MULTILINE))
    assert started.keys() == JOBS
    images = contained.world.tools
    assert started["build"] == started["debug"] == images[".in-kaniko"]
    assert started["test"] == run.noted("ci-image", "BUILDER_IMAGE")
    assert not (contained.scratch / "docker.log").exists()
    name = f"main-{contained.git('rev-parse', 'HEAD')[:8]}"
    assert contained.tags().keys() == {name, f"{name}-debug"}
