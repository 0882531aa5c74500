"""The checks of a service with the answer `tracing`: spans go to an OTLP receiver, if one is named.

`traces_passed_on` needs tests/image/additions/<language>/upstream.patch.
"""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from contract.harness import (
    GREETINGS,
    Checks,
    Service,
    Suite,
    equal,
    eventually,
    fail,
    greeting,
    greets,
    request_id,
    status,
)
from contract.suite import SPAN_ID

DEFAULT_RECEIVER = 4318  # where an SDK sends to when nobody says where

TRACING_CHECKS = Checks()
check = TRACING_CHECKS.add


class Receiver(ThreadingHTTPServer):
    """An OTLP/HTTP receiver, and an upstream, that keeps what it gets."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.traces: list[bytes] = []
        self.others: list[tuple[str, str]] = []  # path, traceparent
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.others.append((self.path, self.headers.get("traceparent", "")))
        self.reply(b"upstream\n", "text/plain")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path == "/v1/traces":
            self.server.traces.append(body)
        else:
            self.server.others.append((self.path, ""))
        self.reply(b"", "application/x-protobuf")

    def reply(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    def made() -> Receiver | None:
        try:
            return Receiver(port)
        except OSError:
            return None  # another test has the port

    server = eventually(f"port {port} is free", made)
    assert server is not None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def settings(to: Receiver) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": to.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "DRAIN_DELAY_SECONDS": "0",
        "UPSTREAM_URL": to.url,
    }


def caller() -> tuple[str, dict[str, str]]:
    """A trace id that nobody else uses, and the header that hands it on."""
    trace_id = f"{time.monotonic_ns():032x}"
    return trace_id, {"traceparent": f"00-{trace_id}-{SPAN_ID}-01"}


def call(service: Service, headers: dict[str, str]) -> None:
    answer = service.greet(greeting("Ada"), headers)
    greets(answer, "Ada")
    line = service.request_line(request_id(answer))
    equal(f"trace_id in {line}", line.get("trace_id"), headers["traceparent"].split("-")[1])


@check
def traces_continued(suite: Suite) -> None:
    """A span continues the caller's trace; those of the last requests are sent at the end."""
    with receiver() as to:
        service = suite.start(settings(to))
        trace_id, headers = caller()
        call(service, headers)

        def has(trace_id: str) -> list[bytes]:
            return [body for body in list(to.traces) if bytes.fromhex(trace_id) in body]

        eventually(f"a span of trace {trace_id} is sent", lambda: has(trace_id))
        # The span of the request ends last, and may be sent by itself.
        for what, words in {
            "the caller's span as parent": bytes.fromhex(SPAN_ID),
            "the service's name": suite.service_name.encode(),
            "the route": GREETINGS.encode(),
        }.items():
            eventually(
                f"the spans of trace {trace_id} have {what}",
                lambda words=words: any(words in body for body in has(trace_id)),
            )
        last, headers = caller()
        call(service, headers)
        service.stop()
        if not has(last):
            fail(f"the span of the last request, trace {last}, was not sent before the end")
        equal("stderr", service.running.stderr, "")
        equal("other requests to the receiver", to.others, [])


@check
def traces_off(suite: Suite) -> None:
    """Nothing is sent where OTEL_EXPORTER_OTLP_ENDPOINT is not set, and nobody misses it."""
    with receiver(DEFAULT_RECEIVER) as to:
        service = suite.start({"DRAIN_DELAY_SECONDS": "0", "OTEL_BSP_SCHEDULE_DELAY": "200"})
        call(service, caller()[1])
        service.stop()
        equal("stderr", service.running.stderr, "")
        wrong = [line for line in service.lines() if line["level"] in ("warn", "error")]
        equal("lines at warn and error", wrong, [])
        equal(f"sent to port {DEFAULT_RECEIVER}", [to.traces, to.others], [[], []])


@check
def traces_without_a_receiver(suite: Suite) -> None:
    """A receiver that is away costs no request and not the exit code."""
    with receiver() as to:
        env = settings(to)
    service = suite.start(env)
    call(service, caller()[1])
    service.stop()
    service.lines()


@check
def traces_passed_on(suite: Suite) -> None:
    """A call to another service carries the trace on, as a span of its own."""
    with receiver() as to:
        service = suite.start(settings(to))
        trace_id, headers = caller()
        answer = status(service.request("GET", "/v1/upstream", headers), 200)
        equal(f"{answer}: body", answer.body, b"upstream\n")
        service.stop()
        passed = [traceparent for _, traceparent in to.others]
        equal("number of calls of the upstream", len(passed), 1)
        parts = passed[0].split("-")
        if len(parts) != 4 or parts[1] != trace_id or parts[2] == SPAN_ID:
            fail(f"traceparent of the call is {passed[0]!r}, want trace {trace_id}, a new span")
        if not any(bytes.fromhex(parts[2]) in body for body in to.traces):
            fail(f"the span {parts[2]} of the call was not sent")
