"""compose.yaml starts the service hardened, and stops it within its grace."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from services import LANGUAGES, Service

from lab import Lab
from lab.runtime import Port
from lab.system import run
from rendering import Render

COMPOSE = [Path(sys.executable).parent / "podman-compose"]


class Project:
    """A service's compose.yaml, and the image that it builds, made by the lab."""

    def __init__(self, lab: Lab, directory: Path, image: str, port: int) -> None:
        self.lab, self.directory = lab, directory
        self.name = f"compose-{os.getpid()}"
        self.container = f"{self.name}_payments_1"
        path = directory / "compose.yaml"
        text = path.read_text(encoding="utf-8")
        # Containers of the lab are on the machine's own network, where 8080 may be taken.
        text = text.replace("LOG_LEVEL: info\n", f'LOG_LEVEL: info\n      PORT: "{port}"\n')
        content = yaml.safe_load(text)
        (service,) = content["services"].values()
        del service["ports"]
        service["network_mode"] = "host"
        service["image"] = image
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

    def compose(self, *words: str) -> None:
        run(
            [*COMPOSE, "--project-name", self.name, *words],
            what=f"podman-compose {' '.join(words)}", cwd=self.directory, env=self.lab.env,
        )  # fmt: skip

    def inspect(self) -> dict[str, Any]:
        text = run([self.lab.engine, "inspect", self.container], what="inspect", env=self.lab.env)
        found: list[dict[str, Any]] = json.loads(text)
        return found[0]


@pytest.fixture
def project(lab: Lab, scaffold: Render) -> Iterator[tuple[Project, int]]:
    if lab.engine != "podman":
        pytest.skip("podman-compose wants podman")
    answers = LANGUAGES["go"]
    service = Service(lab, scaffold(**answers), answers)
    port = Port(lab.runtime / "ports")
    made = Project(lab, service.directory, service.release.ref, port.number)
    try:
        yield made, port.number
    finally:
        made.compose("down")
        port.release()


def answers_at(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def start(made: Project, port: int) -> None:
    made.compose("up", "--detach", "--no-build")
    url = f"http://127.0.0.1:{port}/readyz"
    for _ in range(600):
        if answers_at(url):
            return
        time.sleep(0.1)
    pytest.fail(f"{url} does not answer")


def test_compose_starts_it_hardened_and_stops_it_in_time(project: tuple[Project, int]) -> None:
    made, port = project
    start(made, port)
    found = made.inspect()
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert found["EffectiveCaps"] in (None, [])
    assert "no-new-privileges" in host["SecurityOpt"]
    status = Path(f"/proc/{found['State']['Pid']}/status").read_text()
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert lines["NoNewPrivs"].strip() == "1"
    assert int(lines["CapEff"], 16) == int(lines["CapBnd"], 16) == 0
    assert lines["Uid"].split()[0] == "65532"
    before = time.monotonic()
    made.compose("stop")
    assert time.monotonic() - before < 30
    assert made.inspect()["State"]["ExitCode"] == 0


def test_what_compose_leaves_out_shows(project: tuple[Project, int]) -> None:
    """The test above can fail: a grace below the drain kills, a writable root is seen."""
    made, port = project
    path = made.directory / "compose.yaml"
    text = path.read_text(encoding="utf-8")
    text = text.replace("stop_grace_period: 30s", "stop_grace_period: 1s")
    path.write_text(text.replace("read_only: true", "read_only: false"), encoding="utf-8")
    start(made, port)
    assert made.inspect()["HostConfig"]["ReadonlyRootfs"] is False
    made.compose("stop")
    assert made.inspect()["State"]["ExitCode"] == 137
