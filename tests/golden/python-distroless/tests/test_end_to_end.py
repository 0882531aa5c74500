"""The real process, from the outside."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from payments_app.version import SERVICE, VERSION

GREETING = b'{"name":"Ada"}'
TIMEOUT_SECONDS = 60


class Service:
    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        connection.connect()
        return connection

    def get(self, path: str) -> tuple[int, bytes, str | None]:
        connection = self.connect()
        connection.request("GET", path)
        return finish(connection)

    def begin_upload(self) -> http.client.HTTPConnection:
        """A request that is in flight: all of it but its body has arrived."""
        connection = self.connect()
        connection.putrequest("POST", "/v1/greetings")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(GREETING)))
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        interim = b""
        while not interim.endswith(b"\r\n\r\n"):
            interim += connection.sock.recv(1)
        return connection

    def next_line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line: dict[str, Any] = json.loads(self._process.stdout.readline())
        return line

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> tuple[int, list[dict[str, Any]], str]:
        """Waits for the end; what is left of the log, and what is on stderr."""
        out, err = self._process.communicate(timeout=TIMEOUT_SECONDS)
        return self._process.returncode, [json.loads(line) for line in out.splitlines()], err


def finish(connection: http.client.HTTPConnection) -> tuple[int, bytes, str | None]:
    answer = connection.getresponse()
    result = answer.status, answer.read(), answer.getheader("Connection")
    connection.close()
    return result


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "payments_app", *arguments]


@contextmanager
def started(**environ: str) -> Iterator[Service]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603
        command(),
        env={"HOST": "127.0.0.1", "PORT": str(port)} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Service(process, port)
        finally:
            process.kill()


def messages(log: list[dict[str, Any]]) -> list[str]:
    return [line["msg"] for line in log]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_process_that_is_still_loading(
    tmp_path: Path, number: signal.Signals
) -> None:
    # In place of the real one, which loads too fast to send a signal meanwhile.
    (tmp_path / "uvicorn.py").write_text(
        """import time\nprint('{"msg": "loading"}', flush=True)\ntime.sleep(60)\n"""
    )
    with started(PYTHONPATH=str(tmp_path)) as service:
        assert service.next_line() == {"msg": "loading"}
        service.signal(number)
        assert service.end() == (0, [], "")


def test_requests_in_flight_are_answered_before_the_end() -> None:
    with started(DRAIN_DELAY_SECONDS="0") as service:
        listening = service.next_line()
        assert listening["msg"] == "listening"
        assert listening["address"] == f"127.0.0.1:{service.port}"
        assert (listening["service"], listening["version"]) == (SERVICE, VERSION)
        upload = service.begin_upload()
        service.signal(signal.SIGTERM)
        draining = service.next_line()
        assert (draining["msg"], draining["signal"]) == ("draining", "SIGTERM")
        upload.send(GREETING)
        assert finish(upload) == (200, b'{"message":"Hello, Ada!"}', "close")
        status, log, err = service.end()
        assert (status, messages(log), err) == (0, ["request", "stopped"], "")


def test_new_requests_are_served_while_draining_and_a_second_signal_ends_it() -> None:
    with started(DRAIN_DELAY_SECONDS="20") as service:
        service.next_line()
        assert service.get("/readyz") == (200, b"ok\n", None)
        service.signal(signal.SIGINT)
        draining = service.next_line()
        assert (draining["msg"], draining["signal"]) == ("draining", "SIGINT")
        assert service.get("/readyz") == (503, b"draining\n", "close")
        assert service.get("/livez") == (200, b"ok\n", "close")
        service.signal(signal.SIGTERM)
        assert service.end() == (1, [], "")


def test_the_deadline_cuts_off_what_is_left() -> None:
    with started(DRAIN_DELAY_SECONDS="0", SHUTDOWN_TIMEOUT_SECONDS="1") as service:
        service.next_line()
        upload = service.begin_upload()
        service.signal(signal.SIGTERM)
        status, log, err = service.end()
        upload.close()
        assert (status, messages(log), err) == (1, ["draining", "shutdown deadline exceeded"], "")
        assert log[-1]["error"] == "1 request was not finished after 1 s"


def test_a_taken_address() -> None:
    with started() as first:
        first.next_line()
        with started(PORT=str(first.port)) as second:
            status, log, err = second.end()
    assert (status, messages(log), err) == (1, ["cannot listen"], "")
    assert log[0]["error"] == f"127.0.0.1:{first.port}: Address already in use"


def test_a_wrong_configuration_is_one_line() -> None:
    with started(LOG_LEVEL="loud") as service:
        error = 'configuration error: LOG_LEVEL: got "loud", want one of debug, info, warn, error\n'
        assert service.end() == (2, [], error)


def test_healthcheck_and_version() -> None:
    with started() as service:
        service.next_line()
        environ = {"HOST": "127.0.0.1", "PORT": str(service.port)}
        for arguments, out in (("healthcheck", ""), ("version", f"{SERVICE} {VERSION}\n")):
            done = subprocess.run(  # noqa: S603
                command(arguments), env=environ, capture_output=True, text=True, check=True
            )
            assert (done.stdout, done.stderr) == (out, "")
