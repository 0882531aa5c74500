"""Configuration from the environment, read and validated once at start."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, get_args

type LogLevel = Literal["debug", "info", "warn", "error"]

LOG_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel.__value__)


class ConfigError(Exception):
    """A variable has a wrong value; the message is all that a person needs to fix it."""

    def __init__(self, variable: str, got: str, want: str) -> None:
        super().__init__(f"{variable}: got {json.dumps(got, ensure_ascii=False)}, want {want}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    host: IPv4Address | IPv6Address
    port: int
    log_level: LogLevel
    drain_delay: int
    shutdown_timeout: int

    @property
    def address(self) -> str:
        return format_address(self.host, self.port)


def format_address(host: IPv4Address | IPv6Address, port: int) -> str:
    return f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"


def load_config(environ: Mapping[str, str]) -> Config:
    """Checks the variables in the order that docs and runbooks list them."""
    host = _ip_address(environ, "HOST", default="0.0.0.0")  # noqa: S104  reached from outside
    port = _integer(environ, "PORT", "8080", range(1, 65536), "an integer from 1 to 65535")
    log_level = _log_level(environ, "LOG_LEVEL", default="info")
    drain_delay = _integer(
        environ, "DRAIN_DELAY_SECONDS", "5", range(21), "an integer from 0 to 20"
    )
    shutdown_timeout = _integer(
        environ,
        "SHUTDOWN_TIMEOUT_SECONDS",
        "25",
        range(drain_delay + 1, 30),
        "an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS",
    )
    return Config(
        host=host,
        port=port,
        log_level=log_level,
        drain_delay=drain_delay,
        shutdown_timeout=shutdown_timeout,
    )


def _ip_address(
    environ: Mapping[str, str], variable: str, default: str
) -> IPv4Address | IPv6Address:
    text = environ.get(variable, default)
    try:
        return ip_address(text)
    except ValueError:
        raise ConfigError(variable, text, "an IP address") from None


def _log_level(environ: Mapping[str, str], variable: str, default: LogLevel) -> LogLevel:
    text = environ.get(variable, default)
    for level in LOG_LEVELS:
        if text == level:
            return level
    raise ConfigError(variable, text, f"one of {', '.join(LOG_LEVELS)}")


def _integer(
    environ: Mapping[str, str], variable: str, default: str, wanted: range, want: str
) -> int:
    text = environ.get(variable, default)
    # int() alone would take signs, spaces, underscores and other scripts' digits.
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) not in wanted:
        raise ConfigError(variable, text, want)
    return int(text)
