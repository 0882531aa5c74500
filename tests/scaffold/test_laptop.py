"""What a laptop and an editor have of a service: compose, the devcontainer, hooks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rendering import ALL, COMBINATIONS, Render, commit_all, git

LANGUAGES = {answers["language"]: answers for answers in reversed(COMBINATIONS.values())}
BIN = Path(sys.executable).parent

# What of the CI image's environment keeps its jobs off the network, and what lets go again.
OFFLINE = {
    "go": ("GOPROXY", "off"),
    "rust": ("CARGO_NET_OFFLINE", "true"),
    "java": ("MAVEN_ARGS", "--offline"),
    "python": ("UV_OFFLINE", "1"),
    "node": ("npm_config_offline", "true"),
}


def parsed(service: Path, name: str) -> Any:
    return yaml.safe_load((service / name).read_text(encoding="utf-8"))


def schema_faults(path: Path) -> str:
    done = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path],
        capture_output=True, text=True,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("name", ALL)
def test_compose_starts_the_service_as_make_run_does(name: str, render: Render) -> None:
    service = render(**ALL[name])
    path = service / "compose.yaml"
    assert schema_faults(path) == ""
    (container,) = parsed(service, "compose.yaml")["services"].values()
    script = (service / "ci/engine.sh").read_text(encoding="utf-8")
    run = script[script.index("  run)\n") : script.index("  shell)\n")]
    flags = re.search(r"--read-only --cap-drop all \\\n\s+--security-opt (\S+)", run)
    assert flags, "make run has other flags now: follow it in compose.yaml and here"
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == [flags[1]]
    assert not {"privileged", "cap_add", "user", "volumes"} & container.keys()
    # The most that a service may ask for is 29 seconds.
    assert int(container["stop_grace_period"].rstrip("s")) > 29
    assert container["build"]["target"] == "release"
    assert (service / container["build"]["dockerfile"]).is_file()
    dockerfile = (service / "image/Dockerfile").read_text(encoding="utf-8")
    assert f"EXPOSE {container['ports'][0].split(':')[1]}\n" in dockerfile


def uncommented(text: str) -> str:
    """The file with its example of a backing store; sentences stay comments."""
    head, services, rest = text.partition("services:\n")
    return head + services + re.sub(r"^( +)# (?!A)", r"\1", rest, flags=re.MULTILINE)


def test_the_backing_store_in_the_comments_is_right(scaffold: Render) -> None:
    path = scaffold() / "compose.yaml"
    text = path.read_text(encoding="utf-8")
    text = uncommented(text)
    path.write_text(text, encoding="utf-8")
    assert schema_faults(path) == ""
    services = parsed(path.parent, "compose.yaml")["services"]
    assert list(services) == ["database", "payments"]
    assert services["payments"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert "database:5432" in services["payments"]["environment"]["DATABASE_URL"]
    path.write_text(text.replace("read_only: true", "read_only: [never]"), encoding="utf-8")
    assert "is not of type 'boolean'" in schema_faults(path)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_devcontainer_is_the_ci_image_with_a_network(name: str, render: Render) -> None:
    service = render(**COMBINATIONS[name])
    place = service / ".devcontainer"
    container = json.loads((place / "devcontainer.json").read_text(encoding="utf-8"))
    dockerfile = (place / container["build"]["dockerfile"]).resolve()
    assert dockerfile == (service / "ci/image/Dockerfile").resolve()
    assert (place / container["build"]["context"]).resolve() == service.resolve()
    variable, switched_on = OFFLINE[COMBINATIONS[name]["language"]]
    lines = dockerfile.read_text(encoding="utf-8")
    assert re.search(rf"^ENV .*\b{variable}={switched_on}\b", lines, re.MULTILINE)
    assert list(container["containerEnv"]) == [variable]
    assert container["containerEnv"][variable] != switched_on


@pytest.fixture
def repository(scaffold: Render) -> Path:
    """A service that is committed, whose lint is quick and whose git has no other hooks."""
    service = scaffold()
    makefile = service / "Makefile"
    text = makefile.read_text(encoding="utf-8")
    text = re.sub(r"^(lint: .*\n)(\t.*\n)+", "\\1\t! grep -rn LINT cmd\n", text, flags=re.M)
    makefile.write_text(text, encoding="utf-8")
    commit_all(service, "Scaffold")
    return service


def commit(service: Path, runner: str, *paths: str) -> subprocess.CompletedProcess[str]:
    """Commit with the hooks of prek or pre-commit, where there is no network."""
    cache = service.parent / "cache"
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PREK_HOME": str(cache), "PRE_COMMIT_HOME": str(cache),
        "ENGINE": "docker", "DOCKER_HOST": "unix:///nowhere",
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"),
                        "http://127.0.0.1:9"),
    }  # fmt: skip
    subprocess.run([BIN / runner, "install"], cwd=service, env=environment, check=True,
                   capture_output=True)  # fmt: skip
    git(service, "add", "--", *paths)
    return subprocess.run(
        ["git", "commit", "--message", "Change"],
        cwd=service, env=environment, capture_output=True, text=True,
    )  # fmt: skip


HOOK_FAULTS = {
    "conflict-markers": ("README.md", "<<<<<<< before updating\na\n=======\nb\n>>>>>>> after\n"),
    "lint": ("cmd/payments/main.go", "// LINT\n"),
    "verify": ("ci/engine.sh", "# edited\n"),
}


@pytest.mark.parametrize("runner", ["prek", "pre-commit"])
def test_hooks_find_a_planted_fault(repository: Path, runner: str) -> None:
    for hook, (path, fault) in HOOK_FAULTS.items():
        place = repository / path
        before = place.read_text(encoding="utf-8")
        place.write_text(before + fault, encoding="utf-8")
        done = commit(repository, runner, path)
        assert done.returncode == 1, done.stdout + done.stderr
        failed = re.findall(r"hook id: (\S+)", done.stdout + done.stderr)
        assert hook in failed, done.stdout + done.stderr
        git(repository, "checkout", "--quiet", "HEAD", "--", path)
    (repository / "README.md").write_text("Trailing blanks are no conflict.  \n", encoding="utf-8")
    done = commit(repository, runner, "README.md")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("Passed") + done.stdout.count("Passed") == len(HOOK_FAULTS)


def test_hooks_download_nothing(render: Render) -> None:
    for answers in LANGUAGES.values():
        config = parsed(render(**answers), ".pre-commit-config.yaml")
        assert {repository["repo"] for repository in config["repos"]} == {"local"}
        hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
        assert {hook["language"] for hook in hooks} == {"system"}
        assert sorted(hook["id"] for hook in hooks) == sorted(HOOK_FAULTS)
