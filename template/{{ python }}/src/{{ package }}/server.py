"""Serving: one process, one socket, and an orderly end."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from .app import create_app
from .config import Config
from .lifecycle import Lifecycle
from .logs import configure_logging, get_logger
from .middleware import MAX_HEADER_BYTES
from .protocol import LimitedProtocol, Phase

EXIT_STOPPED = 0
EXIT_FAILED = 1


def serve(config: Config) -> int:
    configure_logging(config.log_level)
    try:
        listener = listen(config)
    except OSError as error:
        get_logger().error("cannot listen", error=f"{config.address}: {error.strerror}")
        return EXIT_FAILED
    with listener:
        return asyncio.run(_serve(config, listener))


def listen(config: Config) -> socket.socket:
    family = socket.AF_INET if config.host.version == 4 else socket.AF_INET6
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it; asyncio does not set it on those of a given socket, and
        # an answer in two pieces would wait for the client to acknowledge the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((str(config.host), config.port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


async def _serve(config: Config, listener: socket.socket) -> int:
    log = get_logger()
    loop = asyncio.get_running_loop()
    lifecycle = Lifecycle()
    server = _Server(_uvicorn_config(lifecycle))
    stopped_by: asyncio.Future[signal.Signals] = loop.create_future()

    def stop(received: signal.Signals) -> None:
        if lifecycle.draining:
            os._exit(EXIT_FAILED)
        lifecycle.draining = True
        stopped_by.set_result(received)

    for handled in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(handled, stop, handled)

    log.info("listening", address=config.address)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    ends: set[asyncio.Future[Any]] = {serving, stopped_by}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
        raise RuntimeError("the server ended without a signal")

    deadline = loop.time() + config.shutdown_timeout_seconds
    log.info("draining", signal=stopped_by.result().name)
    await asyncio.sleep(config.drain_delay_seconds)
    server.should_exit = True
    await asyncio.wait({serving}, timeout=deadline - loop.time())
    if not serving.done():
        left = len(server.server_state.tasks)
        requests = "1 request was" if left == 1 else f"{left} requests were"
        log.error(
            "shutdown deadline exceeded",
            error=f"{requests} not finished after {config.shutdown_timeout_seconds} s",
        )
        # Not a return: that would wait for whatever it is that did not finish.
        os._exit(EXIT_FAILED)
    serving.result()
    log.info("stopped")
    return EXIT_STOPPED


def _uvicorn_config(lifecycle: Lifecycle) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(lifecycle),
        http=LimitedProtocol,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_keep_alive=round(LimitedProtocol.seconds[Phase.IDLE]),
        loop="asyncio",
        ws="none",
        lifespan="off",
        workers=1,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals alone: uvicorn would stop listening at the first one."""
        yield
