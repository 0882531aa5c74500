"""What holds for every request, whatever its endpoint: plain ASGI, around the framework."""

import re
import time
import traceback
import uuid

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .lifecycle import Lifecycle
from .logs import describe, get_logger
from .metrics import Metrics
from .problems import FAULT, internal_server_error, problem

MAX_HEADER_BYTES = 16 * 1024
MAX_BODY_BYTES = 1024 * 1024

# Where whoever cuts a connection off finds, in the ASGI scope, what to call for its request.
CUT_SHORT = "service.cut_short"

_QUIET_PATHS = frozenset({"/livez", "/readyz", "/metrics"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def choose_request_id(offered: str | None) -> str:
    if offered is not None and _REQUEST_ID.fullmatch(offered):
        return offered
    return str(uuid.uuid4())


class ObserveRequests:
    """Gives each request an id, counts it, logs it, and turns a fault into a 500."""

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle, metrics: Metrics) -> None:
        self._app = app
        self._lifecycle = lifecycle
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send, self._lifecycle, self._metrics)
        try:
            await self._app(scope, receive, exchange.send)
            if not exchange.status:
                raise RuntimeError("the application did not answer")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001  the last place where a fault can be answered
            exchange.fail(error)
            if not exchange.status:
                await internal_server_error()(scope, receive, exchange.send)
        finally:
            exchange.finish()


class _Exchange:
    """One request and its answer, from the first header to the last byte."""

    def __init__(self, scope: Scope, send: Send, lifecycle: Lifecycle, metrics: Metrics) -> None:
        self.status = 0
        self._scope = scope
        self._send = send
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._finished = False
        self._fault_logged = False
        self._started_at = time.perf_counter()
        self._request_id = choose_request_id(Headers(scope=scope).get("x-request-id"))
        scope[CUT_SHORT] = self.cut_short
        metrics.in_flight.inc()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            if self._lifecycle.draining:
                headers["Connection"] = "close"
        elif not message.get("more_body", False):
            # Before the last byte: whoever has the answer finds it in the metrics.
            self.finish()
        await self._send(message)

    def fail(self, error: Exception) -> None:
        self._scope[FAULT] = error
        if self._finished and not self._fault_logged:
            get_logger().error("failed after the answer", **self._fault())

    def cut_short(self, error: Exception) -> None:
        """Logs, but does not count: whatever is sent from now on, the client does not get it."""
        seconds = self._end()
        self._scope[FAULT] = error
        get_logger().error("answer cut short", **self._fields(seconds), **self._fault())

    def finish(self) -> None:
        if self._finished:
            return
        seconds = self._end()
        route = getattr(self._scope.get("route"), "path", "unmatched")
        self._metrics.observe(self._scope["method"], route, self.status, seconds)
        self._log(seconds)

    def _end(self) -> float:
        self._finished = True
        del self._scope[CUT_SHORT]
        self._metrics.in_flight.dec()
        return time.perf_counter() - self._started_at

    def _log(self, seconds: float) -> None:
        fields = self._fields(seconds, status=self.status)
        log = get_logger()
        if FAULT in self._scope:
            self._fault_logged = True
            log.error("request", **fields, **self._fault())
        elif self._scope["path"] in _QUIET_PATHS:
            log.debug("request", **fields)
        elif self.status >= 500:
            log.error("request", **fields, error=f"answered {self.status}")
        else:
            log.info("request", **fields)

    def _fields(self, seconds: float, **answer: int) -> dict[str, object]:
        return {
            "method": self._scope["method"],
            "path": self._scope["raw_path"].decode("ascii", "backslashreplace"),
            **answer,
            "duration_ms": round(seconds * 1000, 3),
            "request_id": self._request_id,
        }

    def _fault(self) -> dict[str, str]:
        error = self._scope[FAULT]
        return {"error": describe(error), "stack": "".join(traceback.format_exception(error))}


class LimitRequests:
    """Refuses headers and bodies that are too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _header_bytes(scope) > MAX_HEADER_BYTES:
            refusal = problem(431, f"Request headers may have {MAX_HEADER_BYTES} bytes at most.")
            await refusal(scope, receive, send)
            return
        declared = int(Headers(scope=scope).get("content-length", "0"))
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            too_large = HTTPException(413, f"A body may have {MAX_BODY_BYTES} bytes at most.")
            if declared > MAX_BODY_BYTES:
                raise too_large
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise too_large
            return message

        await self._app(scope, receive_limited, send)


def _header_bytes(scope: Scope) -> int:
    line = len(scope["raw_path"]) + len(scope["query_string"])
    return line + sum(len(name) + len(value) + 4 for name, value in scope["headers"])
