"""Registries on loopback: the one that holds the stand-ins, and empty ones for a test."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import install, oci
from .system import LabError, lock, tail, write_atomically

POLL_SECONDS = 0.05


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ours(pid: int, mark: Path) -> bool:
    """Whether the process lives and has this path among its arguments."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return os.fsencode(mark) in arguments


def stop(pid: int, mark: Path) -> None:
    """End a daemon that this lab started, and wait until it is gone."""
    if is_ours(pid, mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    patience = 200
    while is_ours(pid, mark):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        patience -= 1
        if patience == 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


class _Daemon(subprocess.Popen[bytes]):
    """A process that outlives the object, which Python would complain of."""

    def __del__(self) -> None:
        pass


def start(command: list[str], log: Path, ready: Callable[[], bool]) -> int | None:
    """Start a daemon; its pid once it is ready, None if it ended before that."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        process = _Daemon(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    while process.poll() is None:
        if ready():
            return process.pid
        time.sleep(POLL_SECONDS)
    return None


def answers(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status in (200, 401)
    except OSError:
        return False
    finally:
        connection.close()


@dataclass(frozen=True)
class Registry:
    """A registry that answers at `address`."""

    address: str
    pid: int
    config: Path

    def has(self, repository: str, reference: str) -> bool:
        """Whether a manifest with this tag or digest is here."""
        connection = http.client.HTTPConnection(self.address)
        accept = f"{oci.INDEX}, {oci.MANIFEST}"
        connection.request(
            "HEAD", f"/v2/{repository}/manifests/{reference}", headers={"Accept": accept}
        )
        found = connection.getresponse().status == 200
        connection.close()
        return found

    def stop(self) -> None:
        stop(self.pid, self.config)


def serve(
    directory: Path,
    storage: Path,
    port: int | None = None,
    auth: tuple[str, str] | None = None,
) -> Registry:
    """Start a registry with its files in `directory`, on `port` if that is free."""
    install.packages(["docker-registry"])
    directory.mkdir(parents=True, exist_ok=True)
    config, log = directory / "registry.json", directory / "registry.log"
    for attempt in range(5):
        chosen = port if port and attempt == 0 else free_port()
        address = f"127.0.0.1:{chosen}"
        settings = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(storage)},
                "delete": {"enabled": True},
            },
            "http": {"addr": address, "secret": secrets.token_hex(16)},
        }
        if auth:
            passwords = directory / "htpasswd"
            passwords.write_text(f"{auth[0]}:{bcrypt(auth[1])}\n")
            settings["auth"] = {"htpasswd": {"realm": "lab", "path": str(passwords)}}
        # The registry reads YAML, and JSON is YAML.
        config.write_text(json.dumps(settings, indent=2))
        # Something else may answer on a port that was just taken from us.
        if not answers(address):
            pid = start(
                ["docker-registry", "serve", str(config)],
                log,
                lambda: answers(address),  # noqa: B023
            )
            if pid:
                return Registry(address, pid, config)
    raise LabError(f"the registry does not start:\n{tail(log.read_text())}")


def bcrypt(password: str) -> str:
    """The only hash that the registry takes; libcrypt is part of every Debian."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    letters = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    salt = "".join(secrets.choice(letters) for _ in range(21)) + "."
    hashed: bytes | None = crypt(password.encode(), f"$2b$05${salt}".encode())
    if not hashed or not hashed.startswith(b"$2b$"):
        raise LabError("libcrypt of this machine cannot hash with bcrypt")
    return hashed.decode()


def running_shared(runtime: Path) -> Registry | None:
    """The lab's one registry, if it runs."""
    state, config = runtime / "registry.state", runtime / "registry" / "registry.json"
    if not state.exists():
        return None
    known = Registry(**json.loads(state.read_text()), config=config)
    return known if is_ours(known.pid, config) and answers(known.address) else None


def shared(cache: Path, runtime: Path) -> Registry:
    """The lab's one registry, started by whoever needs it first."""
    with lock(runtime / "registry.lock"):
        if running := running_shared(runtime):
            return running
        # The same port again keeps what was configured for it working.
        last = cache / "registry.port"
        port = int(last.read_text()) if last.exists() else None
        registry = serve(runtime / "registry", cache / "registry", port)
        write_atomically(last, registry.address.rsplit(":", 1)[1])
        state = {"address": registry.address, "pid": registry.pid}
        write_atomically(runtime / "registry.state", json.dumps(state))
        return registry


def stop_shared(runtime: Path) -> None:
    with lock(runtime / "registry.lock"):
        if running := running_shared(runtime):
            running.stop()
        (runtime / "registry.state").unlink(missing_ok=True)


@contextlib.contextmanager
def ephemeral(directory: Path, auth: tuple[str, str] | None = None) -> Iterator[Registry]:
    """An empty registry that is gone afterwards."""
    registry = serve(directory, directory / "storage", auth=auth)
    try:
        yield registry
    finally:
        registry.stop()
        shutil.rmtree(directory, ignore_errors=True)
