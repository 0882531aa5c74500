"""The suite passes on a service that meets the contract, and each check fails on its faults."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract import CHECKS, Check, Limits, ProcessLauncher, StartFailure, Suite

SERVICE = [sys.executable, "-I", str(Path(__file__).with_name("reference_service.py"))]
LIMITS = Limits(headers=0.2, request=0.2, idle=0.3)

# check: {fault of the reference service: what the failure says}
FAULTS = {
    "version": {"v-version": "reference v1.2.3"},
    "usage": {"usage-exit-0": "exit code: got 0"},
    "healthcheck-healthy": {
        "healthcheck-talks": "healthy",
        "healthcheck-proxied": "exit code",
    },
    "healthcheck-unhealthy": {
        "healthcheck-any-status": "answers 503",
        "healthcheck-unspecified": "0.0.0.0",
    },
    "healthcheck-configuration": {"healthcheck-exit-1": "exit code"},
    "configuration-bad-values": {
        "lenient-integers": "' 80'",
        "unescaped-value": 'a"b',
        "trace-on-wrong-value": "exit code",
        "deadline-below-drain": "SHUTDOWN_TIMEOUT_SECONDS",
    },
    "configuration-good-values": {"no-leading-zeros": "00080"},
    "configuration-defaults": {"default-port": "8080", "default-drain": "=5"},
    "configuration-order": {"reversed-order": "HOST"},
    "listening-address": {"bare-ipv6": "[::]"},
    "probes": {"no-newline": "body", "no-charset": "charset"},
    "greetings": {"strict-members": "400"},
    "greetings-unicode": {"utf16-length": "400", "trimmed-name": "Hello,  !"},
    "greetings-bad-body": {"trailing-text": "} x", "coerced-name": '"name":5'},
    "media-type": {"exact-media-type": "415", "any-media-type": "text/plain"},
    "not-found": {"plain-404": "problem+json", "redirect-slash": "/livez/"},
    "method-not-allowed": {
        "no-allow": "Allow",
        "wrong-allow": "Allow",
        "404-for-405": "want 405",
        "status-as-text": "'405'",
    },
    "body-limit": {
        "limit-one-less": "413",
        "chunked-without-limit": "want 413",
        "limit-after-read": "timed out",
        "hang-up-on-413": "RemoteDisconnected",
    },
    "header-limit": {"headers-without-limit": "64 KiB"},
    "keep-alive": {"errors-close": "Connection: close"},
    "malformed-requests": {"crash-on-junk": "does not answer"},
    "request-ids": {
        "any-request-id": "match",
        "constant-request-id": "different ids",
        "errors-without-id": "X-Request-Id",
        "other-id-in-log": "request line",
    },
    "request-lines": {
        "query-in-log": "path",
        "decoded-path-in-log": "path",
        "duration-with-unit": "duration_ms",
        "probes-at-info": "level",
    },
    "clean-run": {
        "banner": "Reference service started",
        "local-time": "UTC",
        "microseconds": "time",
        "upper-level": "INFO",
        "no-version-key": "version",
        "words-after-stopped": "bye",
    },
    "log-level": {"level-ignored": "LOG_LEVEL=warn"},
    "metrics-format": {
        "openmetrics-type": "TYPE of http_requests_total",
        "code-label": "labels",
        "a-bucket-less": "buckets",
        "no-process-metrics": "process_",
    },
    "metrics-counts": {
        "counts-twice": "counters settle",
        "path-as-route": "unmatched",
        "any-method-label": "PROPFIND",
        "errors-without-duration": "duration_seconds_count",
    },
    "metrics-in-flight": {"in-flight-zero": "still coming", "in-flight-stuck": "comes down"},
    "cannot-listen": {"trace-on-taken-port": "Traceback"},
    "drain-under-load": {
        "no-drain-delay": "",
        "ready-while-draining": "turns 503",
        "kept-while-draining": "Connection: close",
        "refuse-while-draining": "want 200",
    },
    "drain-in-flight": {
        "cut-in-flight": "in flight",
        "half-drain-delay": "want 1 s",
        "idle-holds-up": "exit code",
    },
    "drain-on-sigint": {"no-sigint": "did not end"},
    "shutdown-deadline": {
        "deadline-exit-0": "exit code",
        "deadline-at-once": "want 1 s",
        "deadline-unsaid": "deadline exceeded",
    },
    "second-signal": {"second-signal-exit-0": "exit code"},
    "whole-log": {"junk-on-stderr": "stderr"},
    "slow-headers": {"no-limits": "still open"},
    "slow-body": {"no-limits": "still open"},
    "idle-connection": {"no-limits": "still open", "idle-cut": "closed after"},
}
# These show only as something that does not come; the others come to a verdict by themselves.
WAITED_FOR = {
    "in-flight-zero", "in-flight-stuck", "ready-while-draining", "other-id-in-log",
    "limit-after-read", "counts-twice", "no-sigint",
}  # fmt: skip
BY_ID = {check.id: check for check in CHECKS}


def suite_for(check: Check, *arguments: str) -> Suite:
    limits = LIMITS if check.slow else Limits()
    times = f"{limits.headers},{limits.request},{limits.idle}"
    launcher = ProcessLauncher([*SERVICE, "--limits", times, *arguments])
    return Suite(launcher, "reference", "1.2.3", limits)


@pytest.fixture(scope="module")
def suite() -> Iterator[Suite]:
    with Suite(ProcessLauncher(SERVICE), "reference", "1.2.3") as suite:
        yield suite


@pytest.mark.parametrize("check", [check for check in CHECKS if not check.slow], ids=str)
def test_good_service_passes(suite: Suite, check: Check) -> None:
    suite.run(check)


@pytest.mark.parametrize("check", [check for check in CHECKS if check.slow], ids=str)
def test_good_service_keeps_its_limits(check: Check) -> None:
    with suite_for(check) as suite:
        suite.begin([check])
        suite.run(check)


@pytest.mark.parametrize(
    ("id", "fault", "says"),
    [(id, fault, says) for id, faults in FAULTS.items() for fault, says in faults.items()],
)
def test_fault_is_found(id: str, fault: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault in WAITED_FOR:
        monkeypatch.setattr("contract.suite.GUARD_SECONDS", 1)
        monkeypatch.setattr("contract.wire.GUARD_SECONDS", 1)
    with suite_for(BY_ID[id], "--fault", fault) as suite:
        if id == "whole-log":
            suite.run(BY_ID["malformed-requests"])
        with pytest.raises(AssertionError) as failure:
            suite.run(BY_ID[id])
    assert not isinstance(failure.value, StartFailure)
    assert says in str(failure.value)


def test_every_check_has_a_fault() -> None:
    assert set(FAULTS) == set(BY_ID)
