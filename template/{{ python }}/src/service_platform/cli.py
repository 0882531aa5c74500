"""The command of a service: serve, or one of two subcommands."""

import argparse
import http.client
import signal
import sys
from collections.abc import Callable
from importlib.resources import files
from pkgutil import resolve_name
from typing import Any

from .settings import PlatformSettings, load


def main(
    service: str, app: str, settings: Callable[[], PlatformSettings], **uvicorn_options: Any
) -> int:
    """Runs `app`, such as "payments_app.app:app", with what uvicorn.Config takes as options."""
    # The kernel drops a signal for which a container's first process has no handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parser = argparse.ArgumentParser(service)
    parser.add_argument("command", nargs="?", choices=["version", "healthcheck"])
    command = parser.parse_args().command
    version = read_version(app.partition(".")[0])
    if command == "version":
        print(service, version)
        return 0
    loaded = load(settings)
    if command == "healthcheck":
        return healthcheck(loaded)
    # A health check runs again and again: it does not pay for what only serving needs.
    from . import logs, tracing  # noqa: PLC0415
    from .server import Server  # noqa: PLC0415

    logs.configure(loaded.log_level, service, version)
    tracing.configure(service, version)
    return Server(resolve_name(app), loaded, **uvicorn_options).serve_until_signal()


def read_version(package: str) -> str:
    """What the image build wrote beside the code; `dev` in a checkout."""
    file = files(package) / "VERSION"
    return file.read_text().strip() if file.is_file() else "dev"


def healthcheck(settings: PlatformSettings) -> int:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(str(settings.host), str(settings.host))
    connection = http.client.HTTPConnection(host, settings.port, timeout=2)
    try:
        connection.request("GET", "/livez")
        answer: object = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        answer = repr(error)
    if answer != 200:
        sys.exit(f"healthcheck: {host} port {settings.port}: {answer}")
    return 0
