"""The verbs of a service's Makefile that need a container engine, on each engine here."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lab import Lab
from lab import runtime as lab_runtime
from lab.builders import external_images
from lab.runtime import Port
from rendering import Render

# buildah keeps no layers between builds, so it has a service that is built quickly.
ENGINES = pytest.mark.parametrize(("engine", "language"), [("podman", "go"), ("buildah", "python")])
VERSION = {"go": "/app/payments version", "python": "/app/bin/python -m payments_app version"}


@pytest.fixture
def language() -> str:
    return "go"


@pytest.fixture
def service(language: str, scaffold: Render, lab: Lab) -> Path:
    made = scaffold(language=language, runtime_base="distroless")
    lab.bases_for(external_images((made / "image/Dockerfile").read_text(), {}))
    return made


def environment(lab: Lab, engine: str) -> dict[str, str]:
    return {**os.environ, **lab.env, "ENGINE": engine, "VERSION": "1.2.3"}


def verify(service: Path, lab: Lab, engine: str, *first: str) -> list[str]:
    """Run `make verify`, which must find nothing, and return what it says of images."""
    result = subprocess.run(
        ["make", "--no-print-directory", *first, "verify"], cwd=service,
        env=environment(lab, engine), capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return [line for line in result.stdout.splitlines() if "/payments:1.2.3" in line]


@ENGINES
def test_shell(engine: str, language: str, service: Path, lab: Lab) -> None:
    """`make shell` builds the debug image and gives a prompt in it; `make verify` checks it."""
    result = subprocess.run(
        ["make", "--no-print-directory", "shell"], cwd=service, env=environment(lab, engine),
        input=f"{VERSION[language]}; id -u\n", capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.splitlines()[-2:] == ["payments 1.2.3", "65532"]
    if engine == "podman":  # from its cache
        release, debug = verify(service, lab, engine, "image")[-2:]
        assert "/payments:1.2.3 (" in release
        assert release.endswith("12 checks, no findings")
        assert "/payments:1.2.3-debug (" in debug
        assert debug.endswith("17 checks, no findings")


def passes_signals_on(group: int, engine: str) -> bool:
    """Whether the engine of a process group hands Ctrl-C to the container by now.

    podman ends itself at SIGINT until its proxy of signals is up, which is a moment
    after the container has started; only the proxy catches SIGTSTP.
    """
    caught = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError, ValueError):
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
            if fields["Name"] == engine and os.getpgid(int(fields["Pid"])) == group:
                caught |= int(fields["SigCgt"], 16)
    return engine != "podman" or bool(caught >> (signal.SIGTSTP - 1) & 1)


@ENGINES
def test_run(engine: str, service: Path, lab: Lab) -> None:
    """`make image run` serves, and ends well when it is told to."""
    port = Port(lab.runtime / "ports")
    log = service.parent / "run.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "--no-print-directory", "run", f"PORT={port.number}"], cwd=service,
            env=environment(lab, engine),
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        answer = None
        while process.poll() is None and answer is None:
            try:
                url = f"http://127.0.0.1:{port.number}/livez"
                with urllib.request.urlopen(url, timeout=60) as response:
                    answer = response.read()
            except (urllib.error.URLError, OSError):
                continue
        assert answer == b"ok\n", log.read_text()[-2000:]
        while process.poll() is None and not passes_signals_on(process.pid, engine):
            continue
        # Ctrl-C reaches every process of the terminal's foreground group.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(lab_runtime.HANG_SECONDS)
        if engine == "podman":  # buildah has no way to pass a signal on
            assert '"msg":"draining"' in log.read_text()
        else:
            assert verify(service, lab, engine)[0].endswith("12 checks, no findings")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        port.release()


def test_the_command_of_the_decision_record(service: Path, lab: Lab) -> None:
    """`docker build --target debug -t <name>:debug .`: BuildKit, the link, no argument."""
    debug = lab.build(service, "debug", dockerfile="Dockerfile")
    done = lab.call(debug, ["/busybox/sh", "-c", "echo hello"])
    assert (done.exit_code, done.stdout) == (0, "hello\n"), done
