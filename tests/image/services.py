"""A rendered service, built once for each combination of answers, and how to start it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from contract import Completed
from lab import Image, Lab, LabError
from lab.bases import java
from lab.runtime import Container, Port
from rendering import COMBINATIONS, NIGHTLY, ROOT, Render

# The combinations whose images are built: the pipeline is no part of an image, and of a
# house's own base there is none without its registry.
TABLE = yaml.safe_load((ROOT / "bases.yml").read_text(encoding="utf-8"))
OWN = {(entry["language"], entry["name"]) for entry in TABLE["bases"]}
IMAGES = [
    name
    for name, answers in COMBINATIONS.items()
    if "ci" not in answers
    and (
        (answers["language"], answers["runtime_base"]) in OWN
        or os.environ.get("LAB_BASES") == "real"
    )
    # The program of rust-scratch, compiled once more.
    and (NIGHTLY or name != "rust-distroless-static")
]
# The first combination of each language, which has its default base.
LANGUAGES = {answers["language"]: answers for answers in reversed(COMBINATIONS.values())}
# What a team adds, in this order; with the answer `tracing` a call of another service, too.
ADDITIONS = ("database", "streaming", "authenticated", "metric")
UPSTREAM = "upstream"
# Its compiler takes eight minutes for what a team adds, and as long again with traces.
EXTENDED = list(LANGUAGES) if NIGHTLY else [name for name in LANGUAGES if name != "rust"]
OPENTELEMETRY = (
    r"opentelemetry[/_-](sdk|exporter|otlp|instrumentation)"
    r"|opentelemetry\.io/(otel/(sdk|exporters)|contrib)|@fastify/otel"
)
VERSION = "1.2.3"
BUILD_ARGS = {
    "DEBUG_FROM": "release",
    "VERSION": VERSION,
    "REVISION": "0123456789abcdef0123456789abcdef01234567",
    "CREATED": "2026-03-20T09:30:00Z",
    "SOURCE_URL": "https://gitlab.example.com/platform/payments",
    "BASE_NAME": "gcr.io/distroless/static-debian13:nonroot",
    "BASE_DIGEST": "sha256:" + "0" * 64,
}


@dataclass
class Service:
    """A service's directory and its images."""

    lab: Lab
    directory: Path
    answers: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.answers.get("service_name", "payments"))

    @property
    def language(self) -> str:
        return str(self.answers["language"])

    @cached_property
    def mounts(self) -> list[str]:
        """What the release image lacks here, but does not lack where its base is real."""
        musl = self.lab.real or java.musl_jdk()
        if self.answers["runtime_base"] == "jre-alpine" and not musl:
            return java.glibc(self.lab.work / "glibc")
        return []

    @property
    def said(self) -> dict[str, str]:
        """What of the image no test executes here, or has executed in a way of its own."""
        if self.mounts:
            return {
                "not executed": "musl and a JDK for it: the jre-alpine image ran with a JDK that "
                "borrows glibc, and of the contract's checks a few"
            }
        if self.answers["runtime_base"] == "jre-alpine" and not self.lab.real:
            return {"executed": "the jre-alpine image on musl, with the JDK of MUSL_JDK"}
        return {}

    def build(self, target: str | None, args: Mapping[str, str] | None = None, **how: Any) -> Image:
        return self.lab.build(self.directory, target, {**BUILD_ARGS, **(args or {})}, **how)

    @cached_property
    def release(self) -> Image:
        return self.build("release")

    @cached_property
    def debug(self) -> Image:
        return self.build("debug")

    def conformance(self, image: Image, *options: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the service's own conformance checks on an image."""
        command = [sys.executable, "-B", "ci/conformance", "image", image.oci_archive, *options]
        return subprocess.run(
            list(map(str, command)), cwd=self.directory, capture_output=True, text=True, check=False
        )

    def findings(self, image: Image, *options: str | Path) -> list[str]:
        """The checks' findings, but the one that is the stand-in's fault and not the image's."""
        result = self.conformance(image, "--format", "json", *options)
        assert result.returncode in (0, 1), result.stdout + result.stderr
        found = [f"{f['check']} {f['message']}" for f in json.loads(result.stdout)["findings"]]
        if self.mounts:
            # Its JDK asks for glibc's loader, where one for musl asks for musl's.
            expected = [line for line in found if line[:8] == "IMG-007 " and "/ld-linux-" in line]
            assert len(expected) == 1, found
            found.remove(expected[0])
        return found

    def opentelemetry(self) -> list[str]:
        """Where the release image has an SDK, an exporter or an instrumentation of its own."""
        pattern = re.compile(OPENTELEMETRY)
        found = [path for path in self.release.files if pattern.search(path)]
        if self.language in ("go", "rust"):
            program = self.release.config["Entrypoint"][0]
            if match := re.search(OPENTELEMETRY.encode(), self.release.read(program)):
                found.append(f"{program}: {match[0].decode()}")
        return found


def with_additions(lab: Lab, render: Render, language: str, directory: Path) -> Service:
    """A service with traces, to which a team has added something."""
    answers = {**LANGUAGES[language], "tracing": True}
    shutil.copytree(render(**answers), directory, symlinks=True)
    for name in (*ADDITIONS, UPSTREAM):
        patch = ROOT / "tests/image/additions" / language / f"{name}.patch"
        done = subprocess.run(
            ["git", "apply", "--whitespace=nowarn", patch],
            cwd=directory,
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(directory.parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{patch}: {done.stderr}"
    return Service(lab, directory, answers)


class ContainerLauncher:
    """Starts an image for the contract suite, hardened, with a user that it does not know."""

    def __init__(self, lab: Lab, image: Image, mounts: Sequence[str] = ()) -> None:
        self._lab, self._image = lab, image
        self._ref, self._mounts = image.ref, mounts
        self._stack = contextlib.ExitStack()
        self._ports: list[Port] = []

    def launch(self, args: list[str], env: dict[str, str]) -> RunningContainer:
        container = self._stack.enter_context(
            self._lab.run(self._ref, args, env, ready=None, user="54321:54321", mounts=self._mounts)
        )
        port = env.get("PORT", str(container.port))
        return RunningContainer(container, f"http://127.0.0.1:{port}")

    def run(self, args: list[str], env: dict[str, str]) -> Completed:
        done = self._lab.call(
            self._ref, args, {"PORT": None, **env}, user="54321:54321", mounts=self._mounts
        )
        return Completed(done.exit_code, done.stdout, done.stderr)

    def close(self) -> None:
        self._stack.close()


class RunningContainer:
    """A container as the contract suite sees it."""

    def __init__(self, container: Container, url: str) -> None:
        self._container, self.url = container, url

    def signal(self, name: str) -> None:
        try:
            self._container.signal(name.removeprefix("SIG"))
        except LabError as error:
            # What has just ended cannot be signalled; the suite allows that.
            ended = ("can only kill running containers", "is not running")
            if not any(words in str(error) for words in ended):
                raise

    def wait(self) -> int:
        # The suite has a guard of its own, and one service outlives many checks.
        return self._container.wait(None)

    @property
    def stdout(self) -> str:
        return self._container.stdout

    @property
    def stderr(self) -> str:
        return self._container.stderr
