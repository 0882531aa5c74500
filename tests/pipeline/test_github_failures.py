"""What goes wrong in and around a run on GitHub: no tag moves, and a full rerun succeeds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub import Hub
from world import PASSWORD, USER


def _shell_in_release(directory: Path) -> None:
    path = directory / "image" / "Dockerfile"
    text = path.read_text()
    path.write_text(
        text.replace("USER 65532", "COPY --from=builder /bin/busybox /app/tool\nUSER 65532", 1)
    )


def _team(directory: Path) -> None:
    """A job of the team's between the two."""
    path = directory / ".github" / "workflows" / "ci.yml"
    text = path.read_text().replace("needs: [pipeline]", "needs: [pipeline, smoke-test]")
    job = (
        "  smoke-test:\n    needs: pipeline\n    runs-on: ubuntu-latest\n    permissions: {}\n"
        "    steps:\n      - run: exit 1\n\n  promote:\n"
    )
    path.write_text(text.replace("  promote:\n", job))


def _note(text: str) -> Callable[[Path], Any]:
    return lambda directory: (directory / "cmd" / "note").write_text(text)


FAULTS: dict[str, Callable[[Path], Any]] = {
    "lint": _note("LINT"),
    "test": _note("BROKEN"),
    "verify-image": _shell_in_release,
    "vulnerabilities": _note("A flaw is known since."),
    "smoke-test": _team,
}
KNOWN = {"VULNERABILITY_DB_URL": "https://mirror.example.com/critical.tar.zst"}
SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "an unreachable registry": (
        {"REGISTRY_MAP": "docker.io=127.0.0.1:9/mirror;gcr.io=127.0.0.1:9/mirror"},
        "connection refused",
    ),
    "wrong credentials": (
        {"secrets": {"REGISTRY_USER": USER, "REGISTRY_PASSWORD": f"not {PASSWORD}"}},
        "UNAUTHORIZED",
    ),
    "an offset that is none": (
        {"BUILD_NUMBER_OFFSET": "many"},
        'BUILD_NUMBER_OFFSET is "many": want the number of the last build',
    ),
}


@pytest.fixture(scope="module")
def released(hub: Hub) -> dict[str, str]:
    """A release that no failure may touch."""
    hub.git("tag", "v1.0.0")
    run = hub.run(tag="v1.0.0")
    assert run.code == 0, run.log
    return hub.tags()


@pytest.mark.parametrize("job", FAULTS)
def test_a_fault_stops_the_run_and_moves_no_tag(
    hub: Hub, released: dict[str, str], job: str
) -> None:
    published = hub.manifests()
    FAULTS[job](hub.directory)
    hub.commit(f"Plant a fault for {job}")
    run = hub.run(tag="v1.1.0", **(KNOWN if job == "vulnerabilities" else {}))
    hub.git("reset", "--quiet", "--hard", "HEAD~1")
    assert run.code != 0
    assert run.failed() == [job], run.log
    assert "promote" not in run.passed()
    assert hub.tags() == released
    if job != "smoke-test":  # the team's jobs run after the release is there, by its digest
        assert hub.manifests() == published


@pytest.mark.parametrize("name", SETTINGS)
def test_a_wrong_setting_is_one_clear_line(hub: Hub, released: dict[str, str], name: str) -> None:
    how, message = SETTINGS[name]
    run = hub.run(tag="v1.1.0", **how)
    assert run.failed() == ["resolve"], run.log
    [line] = run.errors()
    assert message in line
    assert hub.tags() == released


def test_a_killed_build_moves_no_tag_and_a_rerun_publishes(
    hub: Hub, released: dict[str, str]
) -> None:
    with subprocess.Popen(
        hub.command(tag="v1.1.0"), cwd=hub.directory, env=hub.environment(), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout
        log = ""
        for line in process.stdout:
            log += line
            # The registry's user is a secret, and masked wherever the log has its name.
            if "Run Main" in line and "build.sh release" in line:
                assert hub.kill("ci/pipeline/build.sh release")
    run = hub.ended(process.returncode, log)
    assert run.failed() == ["build"], run.log
    assert hub.tags() == released
    run = hub.run(tag="v1.1.0")
    assert run.code == 0, run.log
    assert hub.tags().keys() - released.keys() == {
        "1.1.0", "1.1.0-debug", f"1.1.0-b{run.build}", f"1.1.0-b{run.build}-debug",
    }  # fmt: skip
    assert {name: hub.tags()[name] for name in released} == released
