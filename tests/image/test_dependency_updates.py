"""What Renovate does to a service: it reads every manifest, and what it brings still builds.

It runs as on a hosted machine, but on a folder and in place of writing; the registries are the
real ones. Nightly, because what it finds depends on the day.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lab import Lab, install
from rendering import COMBINATIONS, Render, commit_all
from toolchains import run, tail, toolchain

HERE = Path(__file__).parent / "renovate"
LANGUAGES = sorted({answers["language"] for answers in COMBINATIONS.values()})
MANAGERS = {"go": "gomod", "rust": "cargo", "java": "maven", "python": "pep621", "node": "npm"}
# The newest that the manifest's ranges let in; Maven has none, so Renovate's answer is written.
NEWEST = {
    "go": "go get -tags tracing -t -u ./... && go mod tidy",
    "rust": "cargo update",
    "java": "true",
    "python": "uv lock --upgrade",
    "node": "npm update --ignore-scripts",
}


def direct(language: str, service: Path) -> set[str]:
    """The libraries that the service's own manifest names."""
    text = {
        "go": "go.mod", "rust": "Cargo.toml", "java": "pom.xml",
        "python": "pyproject.toml", "node": "package.json",
    }[language]  # fmt: skip
    text = (service / text).read_text(encoding="utf-8")
    if language == "go":
        return set(re.findall(r"^\t(\S+) v\S+$", text, re.M))
    if language == "java":
        version = r"\s*<version>(?!\$\{maven)"  # what has none is of Spring Boot's parent
        found = re.findall(
            rf"<groupId>([\w.]+)</groupId>\s*<artifactId>([\w-]+)</artifactId>{version}", text
        )
        return {":".join(pair) for pair in found}
    if language == "node":
        manifest = json.loads(text)
        return {*manifest["dependencies"], *manifest["devDependencies"]}
    manifest = tomllib.loads(text)
    if language == "rust":
        return {*manifest["dependencies"], *manifest["dev-dependencies"]}
    return {re.split(r"[^\w-]", item)[0] for item in manifest["project"]["dependencies"]}


def renovate(service: Path, manager: str, work: Path) -> list[dict[str, Any]]:
    """The dependencies that Renovate finds with a manager, each with the updates it makes."""
    program = install.npm_packages("renovate", HERE) / "renovate/dist/renovate.js"
    environment = {
        **os.environ,
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "json",
        "RENOVATE_BASE_DIR": str(work),
        # The images of the Dockerfiles are in registries that not every machine reaches.
        "RENOVATE_FORCE": json.dumps({"enabledManagers": [manager]}),
    }
    done = subprocess.run(
        [install.node_bin() / "node", program, "--platform=local", "--dry-run=lookup"],
        cwd=service, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [event["msg"] for event in events if event["level"] >= 50] == []
    (config,) = (event["config"] for event in events if event["msg"] == "packageFiles with updates")
    items = [item for file in config[manager] for item in file["deps"]]
    # What the rules of renovate.json leave of them.
    message = next(
        (event["msg"] for event in events if "flattened updates found" in event["msg"]), ""
    )
    made = message.partition(": ")[2].split(", ")
    return [
        {**item, "updates": item.get("updates", []) if item["depName"] in made else []}
        for item in items
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_bump_of_every_library_builds(
    language: str, scaffold: Render, lab: Lab, tmp_path: Path
) -> None:
    service = scaffold(language=language)
    commit_all(service, "Scaffold")
    found = renovate(service, MANAGERS[language], tmp_path)

    enabled = {item["depName"] for item in found if item.get("skipReason") != "disabled"}
    named = direct(language, service)
    assert len(named) > 2
    assert named - enabled == {"com.example:payments"} & named  # the service itself
    majors = [
        item["depName"] for item in found
        for update in item["updates"] if update["updateType"] == "major"
    ]  # fmt: skip
    assert majors == []

    environment = toolchain(language)
    if language == "java":
        pom = service / "pom.xml"
        text = pom.read_text(encoding="utf-8")
        for item in found:
            for update in item["updates"]:
                old, new = f">{item['currentValue']}<", f">{update['newValue']}<"
                assert old in text, item["depName"]
                text = text.replace(old, new)
        pom.write_text(text, encoding="utf-8")
    done = run("sh", "-c", NEWEST[language], cwd=service, env=environment)
    assert done.returncode == 0, tail(done)
    done = run("make", "lint", "test", "build", cwd=service, env=environment)
    assert done.returncode == 0, tail(done)
    image = lab.build(service, "release", {"DEBUG_FROM": "release"})
    with lab.run(image, ready="/readyz") as container:
        container.signal("TERM")
        assert container.wait() == 0
