"""Bases that a house adds, which differ from distroless: built, run, and proven by content."""

from __future__ import annotations

import subprocess
import sys

import pytest
from copier import run_copy
from services import Service
from test_service_images import SMOKE, suite_of

import contract
from houses import VENDOR, house, make_house
from lab import Lab
from rendering import NIGHTLY, ROOT, commit_all

# One in each run.
TRIED = list(VENDOR) if NIGHTLY else ["another user"]


@pytest.fixture(scope="module", params=TRIED)
def service(
    request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    place = tmp_path_factory.mktemp("house")
    entry = VENDOR[request.param]
    template = make_house(place / "template", entry)
    assert house(template).returncode == 0
    subprocess.run([sys.executable, ROOT / "scripts/lock.py", "--root", template], check=True)
    commit_all(template, "Offer a base")
    answers = {"language": entry["language"], "runtime_base": entry["name"]}
    run_copy(
        str(template), place / "payments", data=answers, defaults=True, quiet=True, vcs_ref="HEAD"
    )
    return Service(lab, place / "payments", answers | {"entry": entry})


def test_the_service_runs(service: Service) -> None:
    # How it drains under load is the server's, whatever the base.
    tried = SMOKE - {"drain-under-load"}
    checks = [check for check in contract.CHECKS if check.id in tried]
    with suite_of(service, checks) as suite:
        for check in checks:
            suite.run(check)


def test_the_image_is_what_the_table_says(service: Service) -> None:
    entry = service.answers["entry"]
    assert service.release.config["User"] == entry.get("user", "65532:65532")
    paths = set(service.release.files)
    if runtime := entry.get("runtime"):
        assert runtime in paths
        assert not {"/nodejs/bin/node", "/usr/bin/python3.13"} & paths
    if entry["libc"] == "musl":
        assert any("/ld-musl-" in path for path in paths)
        assert not any("/ld-linux-" in path for path in paths)


def test_its_content_is_proven(service: Service) -> None:
    assert service.findings(service.release) == []
    assert service.findings(service.debug, "--twin", service.release.oci_archive) == []


def test_the_rules_hold_on_it(service: Service) -> None:
    """An entry silences nothing: a shell is found, whatever the base."""
    text = (service.directory / "image/Dockerfile").read_text(encoding="utf-8")
    shell = "COPY --from=builder /bin/dash /app/tool\nUSER "
    (service.directory / "image/planted").write_text(text.replace("USER ", shell, 1))
    planted = service.build("release", dockerfile="image/planted")
    assert any(line.startswith("IMG-001 ") for line in service.findings(planted))


def test_the_debug_image_has_a_shell(service: Service) -> None:
    done = service.lab.call(service.debug, ["/busybox/sh", "-c", "echo hello"])
    assert (done.exit_code, done.stdout) == (0, "hello\n"), done
