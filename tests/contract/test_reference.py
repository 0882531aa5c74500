"""The suite passes on a service that meets the contract, and each check fails on its faults."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract import (
    ADDITION_CHECKS,
    ADDITION_ENV,
    ADDITION_ROUTES,
    CHECKS,
    TRACING_CHECKS,
    Check,
    Limits,
    ProcessLauncher,
    StartFailure,
    Suite,
)

SERVICE = [sys.executable, "-I", str(Path(__file__).with_name("reference_service.py"))]
LIMITS = Limits(kept=1, stream=2)

# check: {fault of the reference service: what the failure says}
FAULTS = {
    "version": {"v-version": "reference v1.2.3", "version-configured": "exit code"},
    "usage": {"usage-exit-0": "exit code", "usage-unsaid": "does not name version"},
    "healthcheck-healthy": {"healthcheck-proxied": "HTTP_PROXY"},
    "healthcheck-unhealthy": {
        "healthcheck-any-status": "answers 503",
        "healthcheck-trace": "stack trace",
    },
    "configuration-wrong-values": {
        "value-shown": "a value is shown",
        "first-only": "does not name",
        "all-named": "which is right",
        "trace-on-wrong-value": "exit code",
        "errors-on-stdout": "stdout",
    },
    "configuration-of-healthcheck": {"healthcheck-exit-1": "exit code"},
    "configuration-good-values": {
        "narrow-bounds": "exit code",
        "deadline-below-drain": "did not end",
    },
    "configuration-defaults": {"default-port": "8080", "default-drain": "did not end"},
    "listens": {"ignores-host": "HOST=127.0.0.1", "only-loopback": "without HOST"},
    "probes": {"html-for-browsers": "406", "metrics-json": "media type"},
    "greetings": {"ascii-only": "Hello"},
    "greetings-wrong-body": {
        "plain-errors": "media type",
        "status-as-text": "'422'",
        "wrong-body-500": "want 4xx",
        "long-names": "want 4xx",
    },
    "not-found": {"docs-page": "/docs"},
    "openapi": {
        "openapi-lists-more": "/v1/other",
        "openapi-without-version": "no version",
    },
    "body-limit": {"no-body-limit": "want 413"},
    "keep-alive": {"closes-each": "does not answer"},
    "idle-timeout": {"idle-for-ever": "still open", "idle-cut": "closed after"},
    "idle-connection": {"idle-cut": "closed within"},
    "request-ids": {
        "any-request-id": "xxx",
        "constant-request-id": "number of request lines",
        "errors-without-id": "X-Request-Id",
        "other-id-in-log": "a line with the request_id",
    },
    "trace-ids": {"no-trace-id": "got None", "any-traceparent": "which is none"},
    "request-lines": {
        "query-in-log": "path",
        "duration-with-unit": "duration_ms",
        "probes-at-info": "level",
        "two-lines": "number of request lines",
    },
    "clean-run": {
        "banner": "Reference service started",
        "local-time": "UTC",
        "upper-level": "INFO",
        "no-version-key": "version",
        "words-on-stderr": "stderr",
        "a-warning": "warn",
    },
    "log-level": {"level-ignored": "LOG_LEVEL=warn"},
    "metrics": {
        "a-summary": "histogram",
        "old-label": "'')",
        "counts-twice": "more than",
        "path-as-route": "a path that a client made up",
        "any-method-label": "BREW",
        "only-good-ones-counted": "want",
    },
    "metrics-of-the-process": {"no-process-metrics": "process"},
    "cannot-listen": {
        "trace-on-taken-port": "stack trace",
        "taken-port-exit-0": "exit code 0",
        "taken-port-unsaid": "no line",
    },
    "drain-under-load": {
        "no-drain-delay": "",
        "ready-while-draining": "turns 503",
        "refuse-while-draining": "want 200",
    },
    "drain-in-flight": {
        "cut-in-flight": "in flight",
        "half-drain-delay": "want 1 s",
        "idle-holds-up": "exit code",
    },
    "drain-on-sigint": {"no-sigint": "did not end"},
    "shutdown-deadline": {
        "deadline-exit-0": "exit code 0",
        "deadline-at-once": "want 2 s",
        "deadline-unsaid": "no line at error",
        "no-deadline": "did not end",
    },
    "whole-log": {"junk-on-stdout": "not JSON", "crash-on-junk": "does not answer"},
    # Of the additions.
    "required-setting": {"token-optional": "did not end", "settings-shown": "a value is shown"},
    "database": {"notes-lost": "GET /v1/notes"},
    "authenticated": {"any-token": "want 401"},
    "metric": {"no-own-metric": "greetings_sent_total"},
    "own-log-lines": {"own-line-without-id": "number of lines"},
    "drain-stream": {"cut-in-flight": "stream"},
    "stream": {"stream-cut": "lines of the stream", "stream-buffered": "with the last"},
    # Of the traces.
    "traces-continued": {"no-spans": "is sent", "no-parent": "parent"},
    "traces-off": {"sent-unasked": "4318"},
    "traces-without-a-receiver": {"receiver-needed": "exit code"},
    "traces-passed-on": {"upstream-alone": "traceparent", "call-without-span": "was not sent"},
}
# These show only as something that does not come; the others come to a verdict by themselves.
WAITED_FOR = {
    "no-parent",
    "deadline-below-drain", "default-drain", "idle-for-ever", "other-id-in-log", "old-label",
    "only-good-ones-counted", "ready-while-draining", "no-sigint", "no-deadline", "token-optional",
    "no-own-metric", "no-spans",
}  # fmt: skip
ADDED = {
    "routes": ADDITION_ROUTES,
    "env": {**ADDITION_ENV, "ADDED": "yes", "ROUTES": ",".join(ADDITION_ROUTES)},
}
# List of checks: what a suite of it is made with.
LISTS: dict[str, tuple[list[Check], dict[str, Any]]] = {
    "plain": (CHECKS, {}),
    "additions": (ADDITION_CHECKS, ADDED),
    "tracing": (TRACING_CHECKS, {}),
}
CASES = [(name, check) for name, (checks, _) in LISTS.items() for check in checks]
FIRST = {check.id: (name, check) for name, check in reversed(CASES)}


def suite_of(name: str, *arguments: str) -> Suite:
    launcher = ProcessLauncher([*SERVICE, *arguments])
    return Suite(launcher, "reference", "1.2.3", limits=LIMITS, **LISTS[name][1])


@pytest.fixture(scope="module")
def suites() -> Iterator[dict[str, Suite]]:
    with contextlib.ExitStack() as stack:
        made = {name: stack.enter_context(suite_of(name)) for name in LISTS}
        for name, suite in made.items():
            suite.begin(LISTS[name][0])
        yield made


@pytest.mark.parametrize(("name", "check"), CASES, ids=str)
def test_good_service_passes(suites: dict[str, Suite], name: str, check: Check) -> None:
    assert suites[name].run(check) == ""


@pytest.mark.parametrize(
    ("id", "fault", "says"),
    [(id, fault, says) for id, faults in FAULTS.items() for fault, says in faults.items()],
)
def test_fault_is_found(id: str, fault: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault in WAITED_FOR:
        monkeypatch.setattr("contract.harness.GUARD_SECONDS", 2)
        monkeypatch.setattr("contract.wire.GUARD_SECONDS", 2)
    name, check = FIRST[id]
    with suite_of(name, "--fault", fault) as suite, pytest.raises(AssertionError) as failure:
        suite.run(check)
    assert not isinstance(failure.value, StartFailure)
    assert says in str(failure.value)


def test_every_check_has_a_fault() -> None:
    assert set(FAULTS) == set(FIRST)


def test_a_check_is_left_out_with_its_reason() -> None:
    reason = "the server has no such setting"
    launcher = ProcessLauncher([*SERVICE, "--fault", "idle-for-ever"])
    with Suite(launcher, "reference", "1.2.3", lacks={"idle-timeout": reason}) as suite:
        assert suite.run(FIRST["idle-timeout"][1]) == reason
