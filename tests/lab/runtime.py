"""Containers on the machine's own network: podman with runc, or docker with its daemon."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .system import LabError, Missing, run, tail, write_atomically

POLL_SECONDS = 0.05
# Not a limit that decides a test: a service that neither answers nor ends is a hang.
HANG_SECONDS = 300
ENGINES = ("podman", "docker")
# Below the range that the kernel takes for outgoing connections.
PORTS = range(20000, 30000)


def configure(cache: Path, runtime: Path, mirror: str | None) -> dict[str, str]:
    """Write the configuration of podman, buildah and skopeo; return the variables that name it."""
    home = runtime / "containers"
    containers = f"""\
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"

[network]
network_config_dir = "{home / "networks"}"
"""
    registries = 'unqualified-search-registries = ["docker.io"]\n'
    if mirror:
        for host in ("docker.io", "gcr.io", "ghcr.io"):
            registries += (
                f'\n[[registry]]\nprefix = "{host}"\nlocation = "{mirror}"\ninsecure = true\n'
            )
        registries += f'\n[[registry]]\nlocation = "{mirror}"\ninsecure = true\n'
    storage = f"""\
[storage]
driver = "overlay"
graphroot = "{cache / "containers"}"
runroot = "{home / "run"}"
"""
    variables = {}
    for variable, name, text in (
        ("CONTAINERS_CONF", "containers.conf", containers),
        ("CONTAINERS_REGISTRIES_CONF", "registries.conf", registries),
        ("CONTAINERS_STORAGE_CONF", "storage.conf", storage),
    ):
        path = home / name
        if not path.exists() or path.read_text() != text:
            write_atomically(path, text)
        variables[variable] = str(path)
    return variables


def choose() -> str:
    """The engine that runs containers; LAB_RUNTIME=podman|docker decides by hand.

    podman, unless only docker is here, with a daemon that answers: podman can be
    installed on Debian, a daemon is the machine's own affair.
    """
    chosen = os.environ.get("LAB_RUNTIME", "auto")
    if chosen not in ("auto", *ENGINES):
        raise LabError(f"LAB_RUNTIME: got {chosen!r}, want one of auto, {', '.join(ENGINES)}")
    if chosen == "auto":
        if shutil.which("podman") or not docker_answers():
            return "podman"
        return "docker"
    if chosen == "docker" and not docker_answers():
        raise Missing("LAB_RUNTIME=docker: no docker daemon answers (docker info)")
    return chosen


def docker_answers() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def clear(env: Mapping[str, str], engine_name: str) -> None:
    """Remove the lab's containers and images, and the layers that nobody used for some days."""

    def engine(*command: str) -> list[str]:
        done = subprocess.run(
            command, env={**os.environ, **env}, capture_output=True, text=True, check=False
        )
        return done.stdout.split()

    if shutil.which("buildah"):
        engine("buildah", "rm", "--all")
    if containers := engine(engine_name, "ps", "--all", "--quiet", "--filter=name=^lab-"):
        engine(engine_name, "rm", "--force", *containers)
    names = "--format={{.Repository}}:{{.Tag}}"
    if images := engine(engine_name, "images", names, "--filter=reference=localhost/lab/*"):
        engine(engine_name, "rmi", "--force", *images)
    if engine_name == "podman":  # docker's storage is not the lab's own
        # gitlab-ci-local leaves some behind when it is killed, and podman counts them: it has
        # locks for 2048 in all.
        engine("podman", "rm", "--all", "--force", "--time=0")
        engine("podman", "volume", "rm", "--all", "--force")
        engine("podman", "image", "prune", "--force", "--filter=until=72h")


class Port:
    """A port that no other test of this machine takes while it is held."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for _ in range(len(PORTS)):
            self.number = secrets.choice(PORTS)
            self._handle = (directory / str(self.number)).open("w")
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("0.0.0.0", self.number))
                return
            except OSError:
                self._handle.close()
        raise LabError(f"no free port between {PORTS.start} and {PORTS.stop}")

    def release(self) -> None:
        self._handle.close()


@dataclass(frozen=True)
class Finished:
    """What a container said, and how it ended."""

    exit_code: int
    stdout: str
    stderr: str


class Container:
    """A running container; `lab.run` makes it."""

    def __init__(
        self,
        engine: str,
        env: Mapping[str, str],
        command: Sequence[str],
        name: str,
        work: Path,
        port: Port,
    ) -> None:
        self.engine = engine
        self.name, self._env, self._port = name, {**os.environ, **env}, port
        self.port = port.number
        self.url = f"http://127.0.0.1:{self.port}"
        self._out, self._err = work / f"{name}.stdout", work / f"{name}.stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                command, env=self._env, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )

    @property
    def stdout(self) -> str:
        """What the process has written to stdout so far."""
        return self._out.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What the process has written to stderr so far."""
        return self._err.read_text(errors="replace")

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The JSON objects on stdout, one a line."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.strip()]

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the container's first process on this machine."""
        return int(self._engine("inspect", "--format={{.State.Pid}}", self.name).strip())

    def _engine(self, *arguments: str) -> str:
        return run([self.engine, *arguments], what=f"{self.engine} {arguments[0]}", env=self._env)

    def wait_ready(self, path: str) -> None:
        """Until the path answers with 200, or the process ends."""
        for _ in self._until_hang(f"{self.url}{path} does not answer"):
            try:
                with urllib.request.urlopen(self.url + path, timeout=HANG_SECONDS) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                pass
            if not self.running:
                raise LabError(
                    f"{self.name} ended with exit code {self._process.returncode} "
                    f"before {path} answered:\n{tail(self.stdout + self.stderr)}"
                )

    def wait_for_log(self, text: str, stream: str = "stdout") -> None:
        """Until a line of stdout, or stderr, contains the text, or the process ends."""
        for _ in self._until_hang(f"no line with {text!r} on {stream}"):
            ended = not self.running
            written = self.stderr if stream == "stderr" else self.stdout
            if text in written:
                return
            if ended:
                raise LabError(f"{self.name} ended without a line with {text!r}:\n{written}")

    def _until_hang(self, complaint: str) -> Iterator[None]:
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            yield
            time.sleep(POLL_SECONDS)
        output = tail(self.stdout + self.stderr)
        raise LabError(f"{self.name} hangs: {complaint}, and it does not end:\n{output}")

    def signal(self, name: str) -> None:
        """Send a signal, such as TERM, to the container's first process."""
        self._engine("kill", f"--signal={name}", self.name)

    def wait(self, seconds: float | None = HANG_SECONDS) -> int:
        """Wait for the end, without a limit if `seconds` is None; the exit code."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LabError(
                f"{self.name} hangs: it does not end:\n{tail(self.stdout + self.stderr)}"
            ) from None

    def exec(self, *command: str) -> Finished:
        """Run a program inside the running container."""
        done = subprocess.run(
            [self.engine, "exec", self.name, *command],
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def remove(self) -> None:
        at_once = ["--time=0", "--ignore"] if self.engine == "podman" else []
        subprocess.run(
            [self.engine, "rm", "--force", *at_once, self.name],
            env=self._env,
            capture_output=True,
            check=False,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(HANG_SECONDS)
        self._port.release()
        for path in (self._out, self._err):
            path.unlink(missing_ok=True)


def command(
    engine: str,
    image: str,
    name: str,
    args: Sequence[str],
    env: Mapping[str, str | None],
    *,
    user: str | None,
    read_only: bool,
    hardened: bool,
    mounts: Sequence[str],
    entrypoint: str | None,
    options: Sequence[str],
) -> list[str]:
    """The command line that runs a container."""
    # podman puts writable mounts on /tmp and /run of a read-only root, docker does not.
    sealed = ["--read-only", *(["--read-only-tmpfs=false"] if engine == "podman" else [])]
    return [
        engine,
        "run",
        f"--name={name}",
        "--network=host",
        "--sig-proxy=false",
        "--pull=never",
        # podman runs health checks by systemd timers, and complains where there is no systemd.
        "--no-healthcheck",
        *([f"--user={user}"] if user else []),
        *(sealed if read_only else []),
        *(["--cap-drop=all", "--security-opt=no-new-privileges"] if hardened else []),
        *(f"--volume={mount}" for mount in mounts),
        *(f"--env={key}={value}" for key, value in env.items() if value is not None),
        *([f"--entrypoint={entrypoint}"] if entrypoint is not None else []),
        *options,
        image,
        *args,
    ]
