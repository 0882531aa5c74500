"""A service with a pipeline, and a place where it runs."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Generator, Iterator

import pytest
from world import CI_BASE, Project, World, world

from lab import Lab, Missing
from rendering import ROOT, Render

CI = os.environ.get("CI") == "true"


def program() -> bytes:
    """The smallest static program: it exits with 0."""
    code = b"\x31\xff\xb8\x3c\x00\x00\x00\x0f\x05"  # xor edi, edi; mov eax, 60; syscall
    start = 0x400000 + 64 + 56
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = 64 + 56 + len(code)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 4096) + code


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
    """A service whose team compiles and checks nothing, so that a pipeline is quick.

    The platform's files are the template's; the image is the template's but for
    its builder stage, which copies a program instead of compiling one. Each module
    has a service and a place in the registry of its own.
    """
    directory = tmp_path_factory.mktemp("service") / "payments"
    group = str(request.module.__name__).replace("_", "-")
    shutil.copytree(
        render(language="go", ci="gitlab", registry=f"{place.address}/{group}"),
        directory,
        symlinks=True,
    )
    made = Project(place, directory, f"{group}/payments")
    dockerfile = directory / "image" / "Dockerfile"
    text = dockerfile.read_text()
    before, _, rest = text.partition("FROM ${BUILDER_IMAGE} AS builder\n")
    release = rest[rest.index("FROM ${RELEASE_IMAGE}") :]
    dockerfile.write_text(
        f"{before}FROM ${{BUILDER_IMAGE}} AS builder\nWORKDIR /src\nCOPY cmd cmd\n"
        "RUN mkdir /out && cp cmd/payments/program /out/payments && chmod 755 /out/payments\n\n"
        f"{release}"
    )
    (directory / "cmd" / "payments" / "program").write_bytes(program())
    (directory / "ci" / "image" / "Dockerfile").write_text(
        f"FROM {CI_BASE}\nCOPY go.mod go.sum ./\nENV LANG=C.UTF-8\n"
    )
    (directory / "Makefile").write_text(
        ".PHONY: lint test verify\n"
        "lint:\n\t! grep -rn LINT cmd\n"
        "test:\n\t! grep -rn BROKEN cmd\n"
        "verify:\n\tpython3 ci/conformance repo\n\n"
        f"{(ROOT / 'partials' / 'gitlab.mk').read_text()}"
    )
    with (directory / ".gitlab-ci.yml").open("a") as file:
        for job, image in place.tools.items():
            file.write(f"\n{job}:\n  image:\n    name: {image}\n")
    made.git("init", "--quiet")
    made.git("remote", "add", "origin", "https://gitlab.example.com/platform/payments.git")
    made.commit("Scaffold payments")
    return made


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
