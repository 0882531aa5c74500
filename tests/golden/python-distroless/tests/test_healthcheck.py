import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from payments_app.cli import run
from payments_app.config import load_config
from payments_app.healthcheck import (
    HealthcheckError,
    check_health,
    loopback,
)


@contextmanager
def answering(answer: bytes | None) -> Iterator[str]:
    """A server that gives one answer, or none; yields its port."""
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            if answer is None:
                done.wait()
            else:
                connection.recv(65536)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield str(listener.getsockname()[1])
        finally:
            done.set()
            thread.join()


def test_healthy(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n") as port:
        monkeypatch.setenv("PORT", port)
        assert run(["healthcheck"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "got status 503, want 200"),
        (b"SSH-2.0-OpenSSH_10.0\r\n", "SSH-2.0-OpenSSH_10.0"),
        (b"", "Remote end closed connection without response"),
    ],
)
def test_unhealthy(
    answer: bytes,
    reason: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering(answer) as port:
        monkeypatch.setenv("PORT", port)
        assert run(["healthcheck"]) == 1
    url = f"http://127.0.0.1:{port}/livez"
    assert capsys.readouterr() == ("", f"healthcheck: {url}: {reason}\n")


def test_nothing_listens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("PORT", str(port))
    assert run(["healthcheck"]) == 1
    error = f"healthcheck: http://127.0.0.1:{port}/livez: Connection refused\n"
    assert capsys.readouterr() == ("", error)


def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(None) as port:
        monkeypatch.setenv("PORT", port)
        with pytest.raises(HealthcheckError, match="no answer within"):
            check_health(load_config(), timeout=0.01)


@pytest.mark.parametrize(
    ("host", "called"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.2", "127.0.0.2")],  # noqa: S104
)
def test_an_unspecified_address_is_called_on_loopback(host: str, called: str) -> None:
    assert loopback(ip_address(host)) == ip_address(called)
