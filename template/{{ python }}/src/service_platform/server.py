"""uvicorn, and the drain before its shutdown."""

import asyncio
import faulthandler
import math
import os
import signal
import socket
import time
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from .observe import Observe
from .settings import PlatformSettings

log = structlog.get_logger()


class Server(uvicorn.Server):
    """Goes on serving for the drain delay after a signal, while `/readyz` is 503."""

    def __init__(self, app: FastAPI, settings: PlatformSettings, **options: Any) -> None:
        self.app = app
        self.settings = settings
        self.deadline = math.inf
        drain, timeout = settings.drain_delay_seconds, settings.shutdown_timeout_seconds
        defaults: dict[str, Any] = {
            "host": str(settings.host),
            "port": settings.port,
            "timeout_keep_alive": settings.idle_timeout_seconds,
            "timeout_graceful_shutdown": timeout - drain,
            "lifespan": "on",
            "log_config": None,
            "log_level": "warning",
            "access_log": False,
            "server_header": False,
            "reset_contextvars": True,  # or a request has those of the connection's last one
        }
        super().__init__(uvicorn.Config(Observe(app), **defaults | options))

    def serve_until_signal(self) -> int:
        """The exit code: 0, or 1 where the shutdown cut something off."""
        self.run()
        if time.monotonic() >= self.deadline:
            os._exit(1)  # a return would wait for threads, which nothing cancels
        log.info("stopped")
        return 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        log.info("listening", host=self.config.host, port=self.config.port)

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        if self.app.state.draining:
            self.should_exit, self.force_exit = True, self.should_exit  # asked again: sooner
            return
        # For what does not even let the event loop run: says where it is, and exits with 1.
        faulthandler.dump_traceback_later(self.settings.shutdown_timeout_seconds + 1, exit=True)
        asyncio.get_running_loop().call_soon_threadsafe(self.drain, sig)

    def drain(self, sig: int) -> None:
        self.app.state.draining = True
        self.deadline = time.monotonic() + self.settings.shutdown_timeout_seconds
        log.info("draining", signal=signal.Signals(sig).name)
        loop = asyncio.get_running_loop()
        loop.call_later(self.settings.drain_delay_seconds, setattr, self, "should_exit", True)
