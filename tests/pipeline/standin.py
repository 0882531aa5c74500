"""Builds what the stand-in executor (executor.sh) asks for, with buildah."""

from __future__ import annotations

import os
import secrets
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path


class Builder:
    """Serves the requests that appear in a directory, until it is closed."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self._directory, self._env = directory, {**os.environ, **env}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._stop.wait(0.1):
            for request in self._directory.iterdir():
                if request.suffix != ".new" and not (request / "code").exists():
                    self._answer(request)

    def _answer(self, request: Path) -> None:
        with (request / "log").open("w") as log:
            code = self._build(request, log)
        (request / "code.new").write_text(str(code))
        (request / "code.new").rename(request / "code")

    def _build(self, request: Path, log: object) -> int:
        flags = [
            line.split("=", 1) if "=" in line else [line, ""]
            for line in (request / "flags").read_text().splitlines()
        ]
        one = dict(flags)
        name = f"localhost/standin/{secrets.token_hex(4)}"
        env = {**self._env, "REGISTRY_AUTH_FILE": str(request / "config.json")}
        if not (request / "config.json").exists():
            del env["REGISTRY_AUTH_FILE"]
        build = ["buildah", "build", "--format=docker", "--no-cache", "--layers", f"--tag={name}"]
        build += [f"--file={request / 'Dockerfile'}"]
        build += [f"--target={one['target']}"] if "target" in one else []
        build += ["--timestamp=0"] if "reproducible" in one else []
        build += [f"--build-arg={value}" for flag, value in flags if flag == "build-arg"]
        if not any(value.startswith("DEBUG_FROM=") for _, value in flags):
            build += ["--build-arg=DEBUG_FROM=release"]
        steps = [[*build, str(request / "context")]]
        digest = f"--digestfile={request / 'digest'}"
        if "destination" in one and "no-push" not in one:
            steps.append(["buildah", "push", digest, name, f"docker://{one['destination']}"])
        if "tar-path" in one:
            archive = f"docker-archive:{request / 'image.tar'}"
            named = f"{archive}:{one['destination']}" if "destination" in one else archive
            steps.append(["buildah", "push", digest, name, named])
        for step in steps:
            done = subprocess.run(
                step, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            )  # type: ignore[call-overload]
            if done.returncode:
                return 1
        return 0
