"""Settings from the environment, and the report of what is wrong with them."""

import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Literal

from pydantic import Field, IPvAnyAddress, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError


class PlatformSettings(BaseSettings):
    """What every service reads; a service's own settings extend it."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    host: IPvAnyAddress = IPv4Address("0.0.0.0")  # noqa: S104
    port: int = Field(default=8080, ge=1, le=65535)
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    drain_delay_seconds: int = Field(default=5, ge=0, le=20)
    shutdown_timeout_seconds: int = Field(default=25, ge=1, le=29)
    idle_timeout_seconds: int = Field(default=620, ge=1, le=3600)

    @field_validator("shutdown_timeout_seconds")
    @classmethod
    def _ends_after_the_drain(cls, seconds: int, info: ValidationInfo) -> int:
        if seconds <= info.data.get("drain_delay_seconds", 0):
            raise ValueError("should be greater than DRAIN_DELAY_SECONDS")
        return seconds


def load[S: PlatformSettings](settings: Callable[[], S]) -> S:
    """The settings; or a line on stderr for each wrong one, without its value, and exit code 2."""
    try:
        return settings()
    except ValidationError as error:
        for wrong in error.errors(include_input=False, include_context=False, include_url=False):
            name = "__".join(map(str, wrong["loc"])).upper() or "settings"
            print(f"{name}: {wrong['msg']}", file=sys.stderr)
    except SettingsError as error:
        print(error, file=sys.stderr)
    raise SystemExit(2)
