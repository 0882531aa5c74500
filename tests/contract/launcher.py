"""How the checks start a service: as a native process here, as a container elsewhere."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import threading
from typing import NamedTuple, Protocol

VARIABLES = (
    "HOST",
    "PORT",
    "LOG_LEVEL",
    "DRAIN_DELAY_SECONDS",
    "SHUTDOWN_TIMEOUT_SECONDS",
    "IDLE_TIMEOUT_SECONDS",
)
PORTS = range(10000, 20000)
RUN_GUARD_SECONDS = 60


class Completed(NamedTuple):
    """What a command left behind; subprocess.CompletedProcess has the same attributes."""

    returncode: int
    stdout: str
    stderr: str


class Running(Protocol):
    """A started service."""

    url: str  # http://127.0.0.1:<PORT>; the port is what counts

    def signal(self, name: str) -> None:
        """Send SIGTERM, SIGINT or SIGKILL; no error when it has ended already."""

    def wait(self) -> int:
        """Wait for the end and return the exit code; may be called often, from any thread."""

    @property
    def stdout(self) -> str:
        """What was written so far; complete after wait()."""

    @property
    def stderr(self) -> str: ...


class Launcher(Protocol):
    """Starts the service; called from several threads at once.

    `env` holds the contract's variables and a few others (TZ, HTTP_PROXY). A
    variable that is not in it must not be set, but for PORT: `launch` picks a
    free port when it is missing. PORT may be nonsense: then only the end counts.
    The service shares the caller's loopback.
    """

    def launch(self, args: list[str], env: dict[str, str]) -> Running:
        """Start the service and return at once, whether or not it lives."""

    def run(self, args: list[str], env: dict[str, str]) -> Completed:
        """Run `version` or `healthcheck` to its end."""


def free_port() -> int:
    # Not from the kernel: it gives the same range to outgoing connections, which
    # could take the port before the service does.
    while True:
        port = secrets.choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("0.0.0.0", port))
            return port


class RunningProcess:
    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{env['PORT']}"
        self._lock = threading.Lock()
        self._texts: dict[str, str] = {}
        self._files = {
            name: tempfile.TemporaryFile()  # noqa: SIM115 (closed when the process ends)
            for name in ("stdout", "stderr")
        }
        self._process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self._files["stdout"],
            stderr=self._files["stderr"],
        )

    def signal(self, name: str) -> None:
        self._process.send_signal(signal.Signals[name])

    def wait(self) -> int:
        code = self._process.wait()
        with self._lock:
            if not self._texts:
                self._texts = {name: self._read(name) for name in self._files}
                for file in self._files.values():
                    file.close()
        return code

    @property
    def stdout(self) -> str:
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        return self._text("stderr")

    def _text(self, name: str) -> str:
        with self._lock:
            return self._texts[name] if self._texts else self._read(name)

    def _read(self, name: str) -> str:
        # pread, because the child writes at the offset that it shares with this file.
        descriptor = self._files[name].fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("utf-8", "replace")


class ProcessLauncher:
    """Runs the service as a child process with the caller's environment."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        # A shell's background job ignores SIGINT and so would its children.
        if (
            signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            and threading.current_thread() is threading.main_thread()
        ):
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def launch(self, args: list[str], env: dict[str, str]) -> RunningProcess:
        return RunningProcess(
            [*self.command, *args], self._environment({"PORT": str(free_port()), **env})
        )

    def run(self, args: list[str], env: dict[str, str]) -> Completed:
        try:
            done = subprocess.run(
                [*self.command, *args],
                env=self._environment(env),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=RUN_GUARD_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{args} with {env} does not end") from None
        return Completed(
            done.returncode,
            done.stdout.decode("utf-8", "replace"),
            done.stderr.decode("utf-8", "replace"),
        )

    @staticmethod
    def _environment(env: dict[str, str]) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in VARIABLES and not name.startswith("OTEL_")
        }
        return {**inherited, "LC_ALL": "C.UTF-8", **env}
