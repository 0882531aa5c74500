"""The image's health check: the service asks its own /livez, for there is no curl."""

import http.client
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address

from .config import Config, format_address

TIMEOUT_SECONDS = 2.0


class HealthcheckError(Exception):
    """The service is not well; the message says what was asked and what came back."""


def check_health(config: Config, timeout: float = TIMEOUT_SECONDS) -> None:
    host = loopback(config.host)
    url = f"http://{format_address(host, config.port)}/livez"
    try:
        with _time_limit(timeout):
            status = _get_status(str(host), config.port, "/livez")
    except (OSError, http.client.HTTPException) as error:
        raise HealthcheckError(f"{url}: {_reason(error)}") from None
    if status != HTTPStatus.OK:
        raise HealthcheckError(f"{url}: got status {status}, want 200")


def loopback(host: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An unspecified address is listened on, but called on loopback."""
    if not host.is_unspecified:
        return host
    return IPv4Address("127.0.0.1") if host.version == 4 else IPv6Address("::1")


def _get_status(host: str, port: int, path: str) -> int:
    with closing(http.client.HTTPConnection(host, port)) as connection:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        response.read()
        return response.status


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Limits connecting, sending and reading together; a socket's timeout limits each read."""

    def expire(_signal: int, _frame: object) -> None:
        raise TimeoutError(f"no answer within {seconds:g} seconds")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
