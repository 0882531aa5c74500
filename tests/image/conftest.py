"""Fixtures of the image tier: the lab, and the builders that work here."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest

from lab import Lab, Missing
from rendering import NIGHTLY

CI = os.environ.get("CI") == "true"
# What depends on the versions that the registries have today is no reason for a red pipeline,
# and an API server is built for half an hour.
collect_ignore = [] if NIGHTLY else ["test_api_server.py", "test_dependency_updates.py"]


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Builds images and runs them; what the machine lacks is installed or named."""
    with Lab() as made:
        try:
            made.up()
        except Missing as missing:
            pytest.skip(str(missing))
        yield made


@pytest.fixture(scope="session")
def kaniko(lab: Lab) -> str:
    """The builder Kaniko, where there is an executor."""
    try:
        _ = lab.kaniko
    except Missing as missing:
        pytest.skip(str(missing))
    return "kaniko"


@pytest.fixture(params=["buildkit", "buildah", "kaniko"])
def builder(request: pytest.FixtureRequest) -> str:
    """Each builder in turn."""
    if request.param == "kaniko":
        request.getfixturevalue("kaniko")
    return str(request.param)


def _may_skip(item: pytest.Item) -> bool:
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return parameters.get("builder") == "kaniko" or "kaniko" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything can be had, a skip is a failure; only Kaniko may be absent."""
    report = yield
    if CI and report.skipped and not hasattr(report, "wasxfail") and not _may_skip(item):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What is not executed on this machine, or only on this one, is said aloud."""
    try:
        with Lab() as lab:
            _ = lab.kaniko
    except Missing as missing:
        terminalreporter.write_line(f"NOT TESTED WITH KANIKO: {missing}")
    said = {
        f"{name.upper()}: {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", [])
        if name in ("not executed", "executed")
    }
    for line in sorted(said):
        terminalreporter.write_line(line)
