"""The command line: serve, or one of the two subcommands."""

import os
import signal
import sys
from collections.abc import Sequence

from .config import Config, ConfigError, load_config
from .healthcheck import HealthcheckError, check_health
from .version import SERVICE, VERSION


def main() -> int:
    return run(sys.argv[1:])


def run(arguments: Sequence[str]) -> int:
    match arguments:
        case []:
            command = _serve
        case ["healthcheck"]:
            command = _healthcheck
        case ["version"]:
            print(SERVICE, VERSION)
            return 0
        case _:
            print(f"usage: {SERVICE} [version | healthcheck]", file=sys.stderr)
            return 2
    try:
        config = load_config()
    except ConfigError as error:
        print(f"configuration error: {error}", file=sys.stderr)
        return 2
    return command(config)


def _serve(config: Config) -> int:
    # Until the server has handlers of its own: the kernel keeps a signal without one from the
    # first process of a container, and there is nothing yet to end in order.
    for early in (signal.SIGTERM, signal.SIGINT):
        signal.signal(early, lambda _signal, _frame: os._exit(0))
    # Only serving pays for loading the web framework: a health check runs again and again.
    from .server import serve  # noqa: PLC0415

    return serve(config)


def _healthcheck(config: Config) -> int:
    try:
        check_health(config)
    except HealthcheckError as error:
        print(f"healthcheck: {error}", file=sys.stderr)
        return 1
    return 0
