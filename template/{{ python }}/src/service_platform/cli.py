"""The command of a service: serve, or one of two subcommands."""

import argparse
import http.client
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
    from prometheus_client import Gauge  # noqa: PLC0415

    from . import logs, tracing  # noqa: PLC0415
    from .server import Server  # noqa: PLC0415

    logs.configure(loaded.log_level, service, version)
    tracing.configure(service, version)
    build_info = Gauge("build_info", "Always 1; the labels say what runs.", ["service", "version"])
    build_info.labels(service, version).set(1)
    return Server(resolve_name(app), loaded, **uvicorn_options).serve_until_signal()


def read_version(package: str) -> str:
    """What the image build wrote beside the code; `dev` in a checkout."""
    file = files(package) / "VERSION"
    return file.read_text().strip() if file.is_file() else "dev"


def healthcheck(settings: PlatformSettings) -> int:
    host = str(settings.host)
    if settings.host.is_unspecified:
        host = "127.0.0.1" if settings.host.version == 4 else "::1"
    connection = http.client.HTTPConnection(host, settings.port, timeout=2)
    try:
        connection.request("GET", "/livez")
        if (status := connection.getresponse().status) == 200:
            return 0
        reason = f"status {status}"
    except (OSError, http.client.HTTPException) as error:
        reason = repr(error)
    print(f"healthcheck: {host} port {settings.port}: {reason}", file=sys.stderr)
    return 1
