"""What every request has: an id, a line in the log, and a place in the metrics."""

import re
from http import HTTPMethod
from secrets import token_hex
from time import perf_counter

import structlog
from fastapi import FastAPI
from opentelemetry import context, propagate
from prometheus_client import Histogram
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from .endpoints import PATHS

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
METHODS = frozenset(HTTPMethod)
SECONDS = Histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP server requests.",
    ["http_request_method", "http_route", "http_response_status_code"],
)

log = structlog.get_logger()


class Observe:
    """ASGI middleware around the whole application, so that no answer is without it."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started_at = perf_counter()
        status = 500  # what the server answers where the application does not
        finished = False
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = token_hex(16).encode()
        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        if b"traceparent" in headers:
            context.attach(propagate.extract(Headers(scope=scope)))
        added = [(b"x-request-id", request_id)]
        if self.app.state.draining:
            added.append((b"connection", b"close"))

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *added]
            elif not message.get("more_body"):
                finish()
            await send(message)

        def finish() -> None:
            nonlocal finished
            if finished:
                return
            finished = True
            seconds = perf_counter() - started_at
            # What a client may choose freely is no label.
            method = scope["method"] if scope["method"] in METHODS else "_OTHER"
            route = getattr(scope.get("route"), "path", "")
            SECONDS.labels(method, scope.get("root_path", "") + route, status).observe(seconds)
            probe = scope["path"] in PATHS
            write = log.debug if probe else log.error if status >= 500 else log.info
            write(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                duration_ms=round(seconds * 1000, 3),
            )

        try:
            await self.app(scope, receive, observed)
        finally:
            finish()
