"""The runbook's commands fit what deploy/ and the image say."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from rendering import COMBINATIONS, Render

RUNBOOK = "specs/guidelines/incident-debugging.md"
LANGUAGES = {answers["language"]: answers for answers in reversed(COMBINATIONS.values())}


def base(service: Path, name: str) -> Any:
    return yaml.safe_load((service / f"deploy/base/{name}.yaml").read_text(encoding="utf-8"))


def commands(text: str, word: str) -> list[list[str]]:
    """The words of each command of the shell blocks that begins with this one."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    # A < or > is a placeholder's here.
    return [
        shlex.split(re.sub(r"<([^>]*)>", r"{\1}", line), comments=True)
        for line in lines
        if line.strip().startswith(word + " ")
    ]


def faults(service: Path, text: str) -> list[str]:
    """What the runbook says that the manifests or the image's file do not."""
    (container,) = base(service, "deployment")["spec"]["template"]["spec"]["containers"]
    port = container["ports"][0]["containerPort"]
    probes = {container[name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe")}
    found = []
    for command in commands(text, "kubectl"):
        if "debug" not in command:
            continue
        twin = any(re.match(r"--(set-)?image=.*:\{tag\}-debug$", word) for word in command)
        shell = command[-2:] == ["--", "/busybox/sh"]
        if twin != shell:
            found.append(f"shell: {command}")
        # The namespace admits what the pods of deploy/ may do, and no more.
        if shell and "--profile=restricted" not in command:
            found.append(f"profile: {command}")
    for command in commands(text, "wget"):
        address = re.search(r"http://127\.0\.0\.1:(\d+)(/\S*)", " ".join(command))
        if address and int(address[1]) == port and address[2] not in {*probes, "/metrics"}:
            found.append(f"path: {command}")
        if address and int(address[1]) != port and address[2] in probes:
            found.append(f"port: {command}")
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_commands_fit_the_manifests(language: str, render: Render) -> None:
    service = render(**LANGUAGES[language])
    text = (service / RUNBOOK).read_text(encoding="utf-8")
    assert len(commands(text, "kubectl")) > 10
    assert len(commands(text, "wget")) > 2
    assert faults(service, text) == []


def test_faults_are_found(render: Render) -> None:
    service = render()
    text = (service / RUNBOOK).read_text(encoding="utf-8")
    for before, after, fault in (
        (" --profile=restricted -- /busybox/sh", " --profile=general -- /busybox/sh", "profile"),
        ("-- /busybox/sh\n```", "\n```", "shell"),
        ("--image=<registry>/<name>:<tag>-debug", "--image=<registry>/<name>:<tag>", "shell"),
        (":8080/readyz", ":8080/ready", "path"),
        (":8080/readyz", ":9090/readyz", "port"),
    ):
        assert before in text, before
        found = faults(service, text.replace(before, after))
        assert [line for line in found if line.startswith(fault)], (fault, found)


def test_the_label_that_takes_a_pod_out_is_what_selects_it(render: Render) -> None:
    """The Service's and the ReplicaSet's: one label, so that one command does it."""
    service = render()
    (pairs,) = base(service, "kustomization")["labels"]
    assert pairs["includeSelectors"] is True
    assert list(pairs["pairs"]) == ["app.kubernetes.io/name"]
    assert "selector" not in base(service, "service")["spec"]
    assert "selector" not in base(service, "deployment")["spec"]


@pytest.mark.parametrize("name", [n for n, c in COMBINATIONS.items() if c.get("ci") != "none"])
def test_the_page_starts_the_service_as_the_image_does(name: str, render: Render) -> None:
    service = render(**COMBINATIONS[name])
    language = COMBINATIONS[name]["language"]
    text = (service / RUNBOOK).read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([A-Z][A-Za-z, ]+) \| `(/[^`]+)`[^|]* \|$", text, re.MULTILINE))
    (said,) = [
        start
        for languages, start in rows.items()
        if language in [word.lower() for word in languages.split(", ")]
    ]
    dockerfile = (service / "image/Dockerfile").read_text(encoding="utf-8")
    (entry,) = re.findall(r"^ENTRYPOINT (\[\".*\])$", dockerfile, re.MULTILINE)
    words: list[str] = json.loads(entry)
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))
    for placeholder in re.findall(r"<(\w+)>", said):
        assert placeholder in ("name", "package")
    said = said.replace("<name>", answers["service_name"])
    for word in said.split():
        assert word.startswith("<") or word in words, (word, words)
