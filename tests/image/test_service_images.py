"""Every combination of answers as images: built, run, hardened, checked, contract and all.

One image more for each language is that of a service to which a team has added something.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from services import (
    EXTENDED,
    IMAGES,
    LANGUAGES,
    VERSION,
    ContainerLauncher,
    Service,
    with_additions,
)

import contract
from lab import Lab
from rendering import COMBINATIONS, NIGHTLY, ROOT, Render

SHELLS = ["sh", "/bin/sh", "/bin/bash", "/busybox/sh", "/usr/bin/sh"]


SMOKE = {"version", "healthcheck-healthy", "probes", "greetings", "clean-run", "drain-under-load"}


@pytest.fixture(scope="module", params=IMAGES)
def service(request: pytest.FixtureRequest, lab: Lab, render: Render) -> Service:
    answers = COMBINATIONS[request.param]
    return Service(lab, render(**answers), answers)


@pytest.fixture(autouse=True)
def _say_what_is_not_executed(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    if "service" in request.fixturenames:
        service = request.getfixturevalue("service")
        for name, what in service.said.items():
            record_property(name, what)


@contextlib.contextmanager
def suite_of(
    service: Service, checks: list[contract.Check], **how: Any
) -> Iterator[contract.Suite]:
    with (
        contextlib.closing(
            ContainerLauncher(service.lab, service.release, service.mounts)
        ) as launcher,
        contract.Suite(
            launcher, service.name, VERSION, lacks=contract.LACKS.get(service.language), **how
        ) as suite,
    ):
        suite.begin(checks)
        yield suite


def applies(check: contract.Check, service: Service) -> bool:
    """Whether it may tell more than on the language's default base; with a borrowed glibc it
    does not."""
    whole = NIGHTLY or service.answers == LANGUAGES[service.language]
    return check.id in SMOKE or (whole and not service.mounts)


@pytest.fixture(scope="module")
def suite(service: Service) -> Iterator[contract.Suite]:
    checks = [check for check in contract.CHECKS if applies(check, service)]
    with suite_of(service, checks) as suite:
        yield suite


@pytest.mark.parametrize("check", contract.CHECKS, ids=str)
def test_contract(
    service: Service,
    suite: contract.Suite,
    check: contract.Check,
    record_property: Callable[[str, object], None],
) -> None:
    if not applies(check, service):
        return
    if reason := suite.run(check):
        record_property("not executed", f"{check.id} in {service.language}: {reason}")


def test_a_build_without_a_target_is_the_release(service: Service) -> None:
    assert service.build(None).digest == service.release.digest


def test_release_has_no_shell(service: Service) -> None:
    for shell in SHELLS:
        done = service.lab.call(service.release, ["-c", "true"], entrypoint=shell)
        assert done.exit_code == 127, f"{shell}: {done}"


def test_debug_has_a_shell(service: Service) -> None:
    done = service.lab.call(service.debug, ["/busybox/sh", "-c", "echo $0 is here; id -u"])
    assert (done.exit_code, done.stdout) == (0, "/busybox/sh is here\n12345\n"), done


def test_debug_without_a_command_is_the_service(service: Service) -> None:
    with service.lab.run(service.debug, ready="/readyz", mounts=service.mounts) as container:
        assert container.exec("/busybox/sh", "-c", "echo hello").stdout == "hello\n"
        container.signal("TERM")
        assert container.wait() == 0, container.stderr


def test_debug_is_the_release_and_one_layer(service: Service) -> None:
    release, debug = service.release.layers, service.debug.layers
    assert debug[: len(release)] == release
    assert len(debug) == len(release) + 1
    added = set(service.debug.files) - set(service.release.files)
    assert {path.split("/")[1] for path in added} == {"busybox"}


def test_configuration(service: Service) -> None:
    config = service.release.config
    assert config["User"] == "65532:65532"
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["ExposedPorts"]) == ["8080/tcp"]
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["Healthcheck"]["Test"][-1] == "healthcheck"
    labels = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in config["Labels"].items()
    }
    assert labels["title"] == service.name
    assert labels["version"] == VERSION
    assert labels["created"] == "2026-03-20T09:30:00Z"
    assert {"revision", "source", "base.name", "base.digest"} <= set(labels)


def test_conformance(service: Service) -> None:
    assert service.findings(service.release) == []
    assert service.findings(service.debug, "--twin", service.release.oci_archive) == []


def test_debug_is_not_a_release(service: Service) -> None:
    """The checks above can fail: a shell is found where none may be."""
    result = service.conformance(service.debug)
    assert result.returncode == 1
    assert "IMG-001" in result.stdout


def test_budget(service: Service) -> None:
    """Compressed, with the service: what design and docs promise."""
    budget = {"go": 12, "rust": 15, "java": 80, "python": 40, "node": 65}
    size = service.release.size / 1_000_000
    assert size <= budget[service.language], f"{size:.1f} MB"


def test_nothing_of_opentelemetry(service: Service) -> None:
    """Without the answer `tracing` the image has no SDK, exporter or instrumentation."""
    assert service.opentelemetry() == []


# What teams add, and the answer `tracing`: one image for each language has both.


@pytest.fixture(scope="module", params=EXTENDED)
def added(
    request: pytest.FixtureRequest,
    lab: Lab,
    render: Render,
    tmp_path_factory: pytest.TempPathFactory,
) -> Service:
    directory = tmp_path_factory.mktemp(request.param) / "payments"
    return with_additions(lab, render, request.param, directory)


@pytest.fixture(scope="module")
def added_suite(added: Service) -> Iterator[contract.Suite]:
    routes = [*contract.ADDITION_ROUTES, "GET /v1/upstream"]
    checks = contract.ADDITION_CHECKS
    with suite_of(added, checks, env=contract.ADDITION_ENV, routes=routes) as suite:
        yield suite


@pytest.mark.parametrize("check", contract.ADDITION_CHECKS, ids=str)
def test_additions(added_suite: contract.Suite, check: contract.Check) -> None:
    added_suite.run(check)


@pytest.mark.parametrize("check", contract.TRACING_CHECKS, ids=str)
def test_traces(added_suite: contract.Suite, check: contract.Check) -> None:
    added_suite.run(check)


def test_opentelemetry_is_found(added: Service) -> None:
    """The check of the other images can fail."""
    assert added.opentelemetry()


def test_additions_conform(added: Service) -> None:
    assert added.findings(added.release) == []


def test_builders_agree(builder: str, lab: Lab, render: Render) -> None:
    """Each builder makes the same image of the same Dockerfile: configuration, files, checks."""
    answers = COMBINATIONS["go-distroless"]
    service = Service(lab, render(**answers), answers)
    # From its cache buildah 1.28 takes labels with the arguments of an earlier build.
    # Kaniko has none, but can make the same layers twice.
    how = {
        "builder": builder,
        "no_cache": builder == "buildah",
        "reproducible": builder == "kaniko",
    }
    image = service.build("release", **how)
    # buildah signs its work.
    image.config["Labels"].pop("io.buildah.version", None)
    for key in ("User", "Entrypoint", "ExposedPorts", "StopSignal", "Labels"):
        assert image.config[key] == service.release.config[key], key
    assert set(image.env.items()) == set(service.release.env.items())
    result = service.conformance(image)
    assert result.returncode == 0, result.stdout + result.stderr
    if builder != "buildah":  # without its cache two builds do not share their layers
        debug = service.build("debug", **how)
        result = service.conformance(debug, "--twin", image.oci_archive)
        assert result.returncode == 0, result.stdout + result.stderr


# The runbook's commands, as the engineer on call types them, in each language's image.

RUNBOOK = (ROOT / "template/specs/guidelines/incident-debugging.md").read_text(encoding="utf-8")


def runbook(section: str) -> list[str]:
    """The shell commands of a section, one block after another."""
    text = RUNBOOK.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_runbook_looks_around(service: Service) -> None:
    """From the twin, beside a release container: processes, files, sockets, configuration."""
    lab, environment = service.lab, {"LOG_LEVEL": "info"}
    _, first, *_ = runbook("In one minute")
    with lab.run(service.release, env=environment, mounts=service.mounts) as container:
        # A machine of the lab has no name server, and not always the cgroups of version 2.
        lines = (first + "".join(runbook("Looking around"))).splitlines()
        kept = [line for line in lines if "nslookup" not in line and "/sys/fs/cgroup" not in line]
        assert len(lines) - len(kept) == 4
        script = "\n".join(kept).replace("127.0.0.1:8080", f"127.0.0.1:{container.port}")
        script = script.replace("<host> <port>", f"127.0.0.1 {container.port}")
        assert "<" not in script.replace("</dev/null", "").replace("</proc", "")
        done = lab.call(
            service.debug,
            ["/busybox/sh", "-euc", script],
            options=[f"--pid=container:{container.name}"],
        )
        assert done.exit_code == 0, done
        words = done.stdout.split()
        assert {"VmRSS:", "Rss:", "LOG_LEVEL=info", "open"} <= set(words)


def test_the_runbook_signals(service: Service) -> None:
    """What the runbook says of each language's signals, sent from a shell in the container."""
    variables = {
        "node": {"NODE_OPTIONS": "--inspect-port=0"},  # 9229 may be taken on this machine
        "python": {"PYTHONFAULTHANDLER": "1"},
    }
    language = service.language
    environment = variables.get(language, {})
    with service.lab.run(service.debug, env=environment, mounts=service.mounts) as container:

        def kill(signal: str) -> None:
            done = container.exec("/busybox/sh", "-c", f"kill -{signal} 1")
            assert done.exit_code == 0, done

        if language == "go":
            container.exec("/busybox/sh", "-c", "kill -QUIT 1")  # the shell ends with the service
            assert container.wait() == 2
            assert "goroutine 1 " in container.stderr
            return
        if language == "java":
            kill("QUIT")
            container.wait_for_log("Full thread dump")
        elif language == "node":
            kill("USR2")
            kill("USR1")
            container.wait_for_log("Debugger listening on ws://127.0.0.1:", stream="stderr")
        elif language == "python":
            kill("ABRT")
            container.wait_for_log("(most recent call first)", stream="stderr")
            kill("ABRT")
        elif language == "rust":
            kill("QUIT")
            kill("ABRT")
        kill("KILL")  # which the kernel keeps from PID 1
        container.wait_ready("/livez")
