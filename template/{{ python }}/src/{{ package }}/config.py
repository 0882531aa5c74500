"""Configuration from the environment, read and validated once at start."""

import json
import re
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    IPvAnyAddress,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

type LogLevel = Literal["debug", "info", "warn", "error"]


class ConfigError(Exception):
    """A variable has a wrong value; the message is all that a person needs to fix it."""

    def __init__(self, variable: str, got: object, want: str | None) -> None:
        super().__init__(f"{variable}: got {json.dumps(got, ensure_ascii=False)}, want {want}")


def _digits(value: object) -> object:
    # int() alone would take signs, spaces, underscores and other scripts' digits.
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,5}", value):
        raise ValueError("not one to five digits")
    return value


type Integer = Annotated[int, BeforeValidator(_digits)]


class Config(BaseSettings):
    """Each field is the variable of the same name in capitals; its description is what it wants.

    They are checked in the order in which they stand here, and in docs and runbooks.
    """

    model_config = SettingsConfigDict(
        alias_generator=str.upper, case_sensitive=True, extra="ignore", frozen=True
    )

    host: IPvAnyAddress = Field(
        default=IPv4Address("0.0.0.0"),  # noqa: S104  reached from outside
        description="an IP address",
    )
    port: Integer = Field(default=8080, ge=1, le=65535, description="an integer from 1 to 65535")
    log_level: LogLevel = Field(default="info", description="one of debug, info, warn, error")
    drain_delay_seconds: Integer = Field(
        default=5, ge=0, le=20, description="an integer from 0 to 20"
    )
    shutdown_timeout_seconds: Integer = Field(
        default=25,
        ge=1,
        le=29,
        description="an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS",
    )

    @field_validator("shutdown_timeout_seconds")
    @classmethod
    def _leaves_time_to_drain(cls, seconds: int, info: ValidationInfo) -> int:
        if seconds <= info.data.get("drain_delay_seconds", 0):
            raise ValueError("no time to drain")
        return seconds

    @property
    def address(self) -> str:
        return format_address(self.host, self.port)


def format_address(host: IPv4Address | IPv6Address, port: int) -> str:
    return f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"


def load_config() -> Config:
    try:
        return Config()
    except ValidationError as error:
        first = error.errors()[0]
    variable = str(first["loc"][0])
    want = Config.model_fields[variable.lower()].description
    raise ConfigError(variable, first["input"], want)
