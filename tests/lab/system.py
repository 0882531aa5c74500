"""Processes, locks, the cache directory and the messages of the lab."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TAIL_LINES = 40


class LabError(Exception):
    """Something in the lab does not work; the message says what to do."""


class Missing(LabError):
    """The machine lacks something that the lab cannot install by itself."""


def say(message: str) -> None:
    """One line of progress for whoever waits."""
    print(f"lab: {message}", file=sys.__stderr__, flush=True)


def cache_dir() -> Path:
    """Where everything that outlives one test run is kept."""
    if chosen := os.environ.get("COPIER_SERVICE_CACHE"):
        path = Path(chosen)
    else:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        path = Path(home) / "copier-service"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def runtime_dir(cache: Path) -> Path:
    """Sockets and state of running daemons; short, because a socket's path is limited."""
    name = f"copier-service-{os.getuid()}-{sha256(str(cache))[:8]}"
    path = Path(tempfile.gettempdir()) / name
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines that say something."""
    kept = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(kept[-lines:])


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    what: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    log: list[str] | None = None,
) -> str:
    """Run a command to its end and return its stdout; on failure say what its end was.

    `log` gets all that it said, whatever the end.
    """
    try:
        done = subprocess.run(
            [os.fspath(part) for part in command],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as error:
        raise Missing(f"{what}: {error.filename} is not on this machine") from None
    if log is not None:
        log += [done.stdout, done.stderr]
    if done.returncode:
        output = tail(done.stdout + "\n" + done.stderr)
        raise LabError(f"{what} failed (exit code {done.returncode}):\n{output}")
    return done.stdout


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Only one process at a time; the kernel lets go when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as handle:
        handle.write(text)
    os.replace(handle.name, path)
