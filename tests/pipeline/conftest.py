"""A service with a pipeline, and a place where it runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator

import pytest
from hub import Hub, on_github
from quick import quick
from world import Project, World, pin_cosign, pin_kaniko, trust_bases, world

from lab import Lab, Missing
from rendering import NIGHTLY, Render

CI = os.environ.get("CI") == "true"
# Grype and Fulcio take long to build, and a pipeline takes a minute. By day the faults and
# failures are GitHub's: the scripts are the same.
collect_ignore = [] if NIGHTLY else [
    "test_scans.py", "test_keyless.py", "test_provenance.py", "test_faults.py", "test_failures.py",
    "test_github_containers.py", "test_github_languages.py",
]  # fmt: skip


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The registry and the jobs' images."""
    try:
        with Lab() as lab, world(lab, tmp_path_factory.mktemp("world")) as made:
            made.bases()
            yield made
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def project(
    place: World,
    render: Render,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """A quick service on GitLab; each module has one, and a place in the registry of its own."""
    directory = tmp_path_factory.mktemp("service") / "payments"
    group = str(request.module.__name__).replace("_", "-")
    shutil.copytree(
        render(language="go", ci="gitlab", registry=f"{place.address}/{group}"),
        directory,
        symlinks=True,
    )
    made = Project(place, directory, f"{group}/payments")
    quick(directory)
    pin_cosign(directory, place.cosign)
    pin_kaniko(directory, place.tools[".in-kaniko"].partition("@")[2])
    trust_bases(directory, place.key_pair("bases")[1])
    with (directory / ".gitlab-ci.yml").open("a") as file:
        for job, image in place.tools.items():
            file.write(f"\n{job}:\n  image:\n    name: {image}\n")
    made.git("init", "--quiet")
    # What gitlab-ci-local leaves in the checkout is no file of the service.
    (made.directory / ".git/info/exclude").write_text(".gitlab-ci-local/\n")
    made.git("remote", "add", "origin", "https://gitlab.example.com/platform/payments.git")
    made.commit("Scaffold payments")
    return made


@pytest.fixture(scope="module")
def hub(
    place: World,
    render: Render,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Hub:
    """A quick service on GitHub; each module has one, and a place in the registry of its own."""
    group = str(request.module.__name__).replace("_", "-")
    rendered = render(language="go", ci="github", registry=f"{place.address}/{group}")
    directory = tmp_path_factory.mktemp("service") / "payments"
    return on_github(place, rendered, directory, group, tmp_path_factory.mktemp("hub"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI=true nothing may be left out; which tests ran a pipeline is noted."""
    report = yield
    if "place" in getattr(item, "fixturenames", ()):
        report.user_properties.append(("pipeline", item.name))
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which executor ran is said aloud, where a pipeline ran."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    noted = [name for report in reports for name, _ in getattr(report, "user_properties", ())]
    if "pipeline" not in noted:
        return
    executor = os.environ.get("KANIKO_EXECUTOR")
    what = f"Kaniko ({executor})" if executor else "the stand-in executor, NOT KANIKO"
    terminalreporter.write_line(f"pipelines built with {what}")
