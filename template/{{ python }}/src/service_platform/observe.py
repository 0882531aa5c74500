"""What every request has: an id, a line in the log, and a place in the metrics."""

import logging
import re
from functools import lru_cache
from http import HTTPMethod
from random import getrandbits
from time import perf_counter

import structlog
from fastapi import FastAPI
from opentelemetry import context, propagate
from prometheus_client import Histogram
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from .endpoints import PATHS
from .logs import current_request_id

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
METHODS = frozenset(HTTPMethod)
SECONDS = Histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP server requests.",
    ["http_request_method", "http_route", "http_response_status_code"],
)


@lru_cache(4096)
def series(method: str, route: str, status: int) -> Histogram:
    # What a client may choose freely is no label.
    return SECONDS.labels(method if method in METHODS else "_OTHER", route, status)


def route_of(scope: Scope) -> str:
    """The pattern that matched, with the prefixes of the routers that it was included by."""
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return scope.get("root_path", "") + getattr(route, "path", "")


class Observe:
    """ASGI middleware around the whole application, so that no answer is without it."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.log = structlog.get_logger().bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started_at = perf_counter()
        status = 500  # what the server answers where the application does not
        recorded = False
        request_id = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
                request_id = value
            elif name == b"traceparent":
                context.attach(propagate.extract(Headers(scope=scope)))
        request_id = request_id or b"%032x" % getrandbits(128)
        current_request_id.set(request_id.decode())

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", request_id)]
                if self.app.state.draining:
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            elif not message.get("more_body"):
                record()  # ahead of the last byte: a scrape right after it finds this request
            await send(message)

        def record(level: int = logging.INFO) -> None:
            nonlocal recorded
            if recorded:
                return
            recorded = True
            seconds = perf_counter() - started_at
            series(scope["method"], route_of(scope), status).observe(seconds)
            if scope["path"] in PATHS:
                level = logging.DEBUG
            elif status >= 500:
                level = logging.ERROR
            if self.log.is_enabled_for(level):
                self.log.log(
                    level,
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    duration_ms=round(seconds * 1000, 3),
                )

        try:
            await self.app(scope, receive, observed)
        except BaseException:
            record(logging.ERROR)  # such as a stream that fails half-way, after its status
            raise
        record()
