"""The smallest service that meets the contract, to test the suite: --fault NAME breaks one thing.

reference_service.py [--fault NAME] [version | healthcheck]

It has the additions and the traces too; openapi.json lists what ROUTES in its environment says.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import re
import secrets
import signal
import socket
import socketserver
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

NAME, VERSION = "reference", "1.2.3"
FAULT = ""
MIB = 1024 * 1024
GREETINGS = "/v1/greetings"
PROBES = ["/livez", "/readyz", "/metrics"]
ROUTES = [f"POST {GREETINGS}", "POST /v1/notes", "GET /v1/notes", "GET /v1/stream",
          "GET /v1/private", "GET /v1/upstream", "GET /openapi.json",
          *[f"GET {path}" for path in PROBES]]  # fmt: skip
LEVELS = ["debug", "info", "warn", "error"]
TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def fault(name: str) -> bool:
    return name == FAULT


# --- configuration ---


def configuration() -> tuple[dict[str, Any], list[str]]:
    """The settings, and a line for each variable that is wrong."""
    settings: dict[str, Any] = {}
    errors: list[str] = []
    variables = os.environ

    def wrong(name: str, want: str) -> None:
        shown = f", got {variables.get(name)}" if fault("value-shown") else ""
        errors.append(f"configuration error: {name}: want {want}{shown}")

    def integer(name: str, default: int, low: int, high: int) -> None:
        value = variables.get(name, str(default))
        if re.fullmatch("[0-9]{1,5}", value) and low <= int(value) <= high:
            settings[name] = int(value)
        else:
            wrong(name, f"an integer from {low} to {high}")

    settings["HOST"] = "0.0.0.0" if fault("ignores-host") else variables.get("HOST", "0.0.0.0")
    try:
        ipaddress.ip_address(settings["HOST"])
    except ValueError:
        wrong("HOST", "an IP address")
    integer("PORT", 8081 if fault("default-port") else 8080, 1, 65535)
    settings["LOG_LEVEL"] = variables.get("LOG_LEVEL", "info")
    if settings["LOG_LEVEL"] not in LEVELS:
        wrong("LOG_LEVEL", f"one of {', '.join(LEVELS)}")
    integer("DRAIN_DELAY_SECONDS", 4 if fault("default-drain") else 5, 0, 20)
    integer("SHUTDOWN_TIMEOUT_SECONDS", 25, 1, 28 if fault("narrow-bounds") else 29)
    integer("IDLE_TIMEOUT_SECONDS", 620, 1, 3600)
    drain = settings.get("DRAIN_DELAY_SECONDS", 0)
    late = fault("deadline-below-drain")
    if settings.get("SHUTDOWN_TIMEOUT_SECONDS", 99) <= drain and not late:
        wrong("SHUTDOWN_TIMEOUT_SECONDS", "an integer greater than DRAIN_DELAY_SECONDS")
    if "ADDED" in variables and not variables.get("API_TOKEN") and not fault("token-optional"):
        wrong("API_TOKEN", "a text that is not empty")
        if fault("settings-shown"):
            errors[-1] += f", got {dict(variables)}"
    if fault("all-named"):
        errors += [f"not checked: {name}" for name in ("HOST", "LOG_LEVEL") if errors]
    return settings, errors[:1] if fault("first-only") else errors


# --- logs, metrics, traces ---


class Log:
    level = "info"
    lock = threading.Lock()

    def write(self, level: str, msg: str, **more: object) -> None:
        if LEVELS.index(level) < LEVELS.index(self.level) and not fault("level-ignored"):
            return
        now = datetime.now() if fault("local-time") else datetime.now(UTC)
        shown = level.upper() if fault("upper-level") else level
        entry = {
            "time": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": shown,
            "msg": msg,
            "service": NAME,
            "version": VERSION,
        }
        if fault("no-version-key"):
            del entry["version"]
        with self.lock:
            print(json.dumps(entry | more), flush=True)


LOG = Log()


class Metrics:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.in_flight = 0
        self.durations: dict[tuple[str, str, int], list[float]] = {}
        self.greetings = 0

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        if method not in ("GET", "POST") and not fault("any-method-label"):
            method = "_OTHER"
        if fault("only-good-ones-counted") and status >= 400:
            return
        with self.lock:
            seen = self.durations.setdefault((method, route, status), [])
            seen += [seconds] * (2 if fault("counts-twice") else 1)

    def text(self) -> str:
        name = "http_server_request_duration_seconds"
        kind = "summary" if fault("a-summary") else "histogram"
        lines = [f"# TYPE {name} {kind}"]
        code = "status" if fault("old-label") else "http_response_status_code"
        with self.lock:
            for (method, route, status), seen in self.durations.items():
                labels = f'http_request_method="{method}",http_route="{route}",{code}="{status}"'
                for bound in () if fault("a-summary") else ("0.1", "+Inf"):
                    n = sum(value <= float(bound) for value in seen)
                    lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {n}')
                lines.append(f"{name}_sum{{{labels}}} {sum(seen)}")
                lines.append(f"{name}_count{{{labels}}} {len(seen)}")
        if not fault("no-own-metric"):
            lines += ["# TYPE greetings_sent_total counter"]
            lines += [f"greetings_sent_total {self.greetings}"]
        if not fault("no-process-metrics"):
            lines += ["# TYPE process_cpu_seconds_total counter"]
            lines += [f"process_cpu_seconds_total {time.process_time()}"]
        return "\n".join(lines) + "\n"


METRICS = Metrics()


def send_span(trace_id: str, parent: str, span_id: str, route: str) -> None:
    """What stands for an exporter: the ids as bytes, as protobuf has them."""
    default = "http://127.0.0.1:4318" if fault("sent-unasked") else ""
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", default)
    if not endpoint or fault("no-spans"):
        return
    parent = "" if fault("no-parent") else parent
    ids = [bytes.fromhex(id) for id in (trace_id, span_id, parent)]
    body = b"\n".join([*ids, NAME.encode(), route.encode()])
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=2)
    try:
        connection.request("POST", "/v1/traces", body)
        connection.getresponse().read()
    except OSError:
        if fault("receiver-needed"):
            os._exit(3)


# --- requests ---


class State:
    draining = False
    idle_seconds = 620
    notes: list[dict[str, str]] = []  # noqa: RUF012 (one service, one list)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        if fault("crash-on-junk"):
            os._exit(1)
        if fault("junk-on-stdout"):
            print("Invalid HTTP request received.", flush=True)

    def handle_one_request(self) -> None:
        idle = None if fault("idle-for-ever") else 0.2 if fault("idle-cut") else State.idle_seconds
        self.connection.settimeout(idle)
        try:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            self.connection.settimeout(None)
            METRICS.in_flight += 1
            try:
                self.serve_request()
            finally:
                METRICS.in_flight -= 1
        except OSError:
            self.close_connection = True

    def serve_request(self) -> None:
        begun = time.monotonic()
        path, _, self.query = self.path.partition("?")
        given = self.headers.get("X-Request-Id", "")
        pattern = r".+" if fault("any-request-id") else r"[A-Za-z0-9._-]{1,128}"
        fresh = "0" if fault("constant-request-id") else str(uuid.uuid4())
        self.id = given if re.fullmatch(pattern, given) else fresh
        came = self.headers.get("traceparent", "")
        trace = TRACEPARENT.fullmatch(came)
        self.trace_id, parent = trace.groups() if trace else ("", "")
        if fault("any-traceparent") and not trace and came:
            self.trace_id = came.split("-")[1]
        self.trace = {"trace_id": self.trace_id} if self.trace_id else {}
        self.span_id = secrets.token_hex(8)
        status, kind, body = self.answer(path)
        known = [route for route in ROUTES if route.endswith(f" {path}")]
        route = path if known or fault("path-as-route") else ""
        seconds = time.monotonic() - begun
        METRICS.count(self.command, route, status, seconds)
        milliseconds = round(seconds * 1000, 3)
        for _ in range(2 if fault("two-lines") else 1):
            LOG.write(
                "debug" if path in PROBES and not fault("probes-at-info") else "info",
                "request",
                method=self.command,
                path=self.path if fault("query-in-log") else path,
                status=status,
                duration_ms=f"{milliseconds}ms" if fault("duration-with-unit") else milliseconds,
                request_id=str(uuid.uuid4()) if fault("other-id-in-log") else self.id,
                **({} if fault("no-trace-id") else self.trace),
            )
        if kind:
            self.send(status, kind, body)
        if trace:
            send_span(self.trace_id, parent, self.span_id, route)

    def answer(self, path: str) -> tuple[int, str, str]:
        if fault("closes-each"):
            self.close_connection = True
        try:
            body = self.body()
            return self.route(path, body)
        except OverflowError:
            self.close_connection = True
            return self.problem(413)
        except ValueError:
            if fault("wrong-body-500"):
                return 500, "text/plain", "oops"
            return self.problem(422)

    def problem(self, status: int) -> tuple[int, str, str]:
        shown = str(status) if fault("status-as-text") else status
        kind = "text/plain" if fault("plain-errors") else "application/problem+json"
        return status, kind, json.dumps({"title": "No", "status": shown, "detail": "No."})

    def body(self) -> bytes:
        limit = sys.maxsize if fault("no-body-limit") else MIB
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
                if len(body) > limit:
                    raise OverflowError
            self.rfile.readline()
            return body
        length = int(self.headers.get("Content-Length", 0))
        if length > limit:
            raise OverflowError
        body = self.rfile.read(length)
        if len(body) < length:
            raise OSError("cut short")
        return body

    def route(self, path: str, body: bytes) -> tuple[int, str, str]:
        if fault("html-for-browsers") and "html" in self.headers.get("Accept", ""):
            return self.problem(406)
        if fault("docs-page") and path == "/docs":
            return 200, "text/html", "<html>"
        if f"{self.command} {path}" not in ROUTES:
            return self.problem(404)
        if path == "/readyz" and State.draining and not fault("ready-while-draining"):
            return 503, "text/plain", "draining"
        if path in ("/livez", "/readyz"):
            return 200, "text/plain", "ok"
        if path == "/metrics":
            kind = "application/json" if fault("metrics-json") else "text/plain"
            return 200, f"{kind}; version=0.0.4", METRICS.text()
        if State.draining and fault("refuse-while-draining"):
            return self.problem(404)
        endpoint = getattr(self, re.sub("[/.]", "_", self.command + path))
        answer: tuple[int, str, str] = endpoint(body)
        return answer

    def text_of(self, body: bytes, name: str) -> str:
        document = json.loads(body)
        text = document.get(name) if isinstance(document, dict) else None
        if not (isinstance(text, str) and 1 <= len(text) <= 100 + 100 * fault("long-names")):
            raise ValueError(name)
        return text

    def POST_v1_greetings(self, body: bytes) -> tuple[int, str, str]:
        name = self.text_of(body, "name")
        if fault("ascii-only"):
            name = name.encode("ascii", "replace").decode()
        METRICS.greetings += 1
        return 200, "application/json", json.dumps({"message": f"Hello, {name}!"})

    def GET_openapi_json(self, _: bytes) -> tuple[int, str, str]:
        paths: dict[str, dict[str, Any]] = {}
        for route in os.environ.get("ROUTES", f"POST {GREETINGS}").split(","):
            method, path = route.split(" ")
            paths.setdefault(path, {})[method.lower()] = {}
        if fault("openapi-lists-more"):
            paths["/v1/other"] = {"get": {}}
        version = {} if fault("openapi-without-version") else {"version": "1"}
        document = {"openapi": "3.1.0", "info": {"title": NAME, **version}, "paths": paths}
        return 200, "application/json", json.dumps(document)

    def POST_v1_notes(self, body: bytes) -> tuple[int, str, str]:
        note = {"text": self.text_of(body, "text")}
        if not fault("notes-lost"):
            State.notes.append(note)
        return 201, "application/json", json.dumps(note)

    def GET_v1_notes(self, _: bytes) -> tuple[int, str, str]:
        return 200, "application/json", json.dumps(State.notes)

    def GET_v1_private(self, _: bytes) -> tuple[int, str, str]:
        token = self.headers.get("Authorization", "")
        if token == f"Bearer {os.environ.get('API_TOKEN')}" or (token and fault("any-token")):
            return 200, "text/plain", "secret"
        return self.problem(401)

    def GET_v1_stream(self, _: bytes) -> tuple[int, str, str]:
        own = {} if fault("own-line-without-id") else {"request_id": self.id}
        LOG.write("info", "streaming", **own, **self.trace)
        self.begin(200, {"Content-Type": "text/plain", "Connection": "close"})
        self.close_connection = True
        seconds = int(self.query.partition("=")[2] or 1)
        lines = [f"line {number}\n".encode() for number in range(1, seconds + 1)]
        if fault("stream-cut"):
            lines.pop()
        if fault("stream-buffered"):
            time.sleep(seconds)
        for line in lines:
            self.wfile.write(line)
            if not fault("stream-buffered"):
                time.sleep(1)
        return 200, "", ""

    def GET_v1_upstream(self, _: bytes) -> tuple[int, str, str]:
        span_id = secrets.token_hex(8)
        headers = {"traceparent": f"00-{self.trace_id}-{span_id}-01"}
        if fault("upstream-alone"):
            headers = {}
        upstream = http.client.HTTPConnection(urlsplit(os.environ["UPSTREAM_URL"]).netloc)
        upstream.request("GET", "/", headers=headers)
        if not fault("call-without-span"):
            send_span(self.trace_id, self.span_id, span_id, "/")
        return 200, "text/plain", upstream.getresponse().read().decode()

    def begin(self, status: int, head: dict[str, str]) -> None:
        if not (fault("errors-without-id") and status >= 400):
            head["X-Request-Id"] = self.id
        self.send_response_only(status)
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, status: int, kind: str, text: str) -> None:
        self.close_connection |= State.draining
        closes = {"Connection": "close"} if self.close_connection else {}
        body = text.encode()
        self.begin(status, {"Content-Type": kind, "Content-Length": str(len(body)), **closes})
        self.wfile.write(body)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        pass


# --- commands ---


def serve(settings: dict[str, Any]) -> int:
    LOG.level, State.idle_seconds = settings["LOG_LEVEL"], settings["IDLE_TIMEOUT_SECONDS"]
    host = "127.0.0.1" if fault("only-loopback") else settings["HOST"]
    Server.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = Server((host, settings["PORT"]), Handler)
    except OSError as error:
        if fault("trace-on-taken-port"):
            raise
        if not fault("taken-port-unsaid"):
            LOG.write("error", "cannot listen", error=str(error))
        return 0 if fault("taken-port-exit-0") else 1
    if fault("banner"):
        print("Reference service started", flush=True)
    if fault("words-on-stderr"):
        print("INFO: started", file=sys.stderr)
    if fault("a-warning"):
        LOG.write("warn", "this is normal")
    signals = {signal.SIGTERM} if fault("no-sigint") else {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    LOG.write("info", "listening")

    signal.sigwait(signals)
    deadline = 0 if fault("deadline-at-once") else settings["SHUTDOWN_TIMEOUT_SECONDS"]
    end = time.monotonic() + deadline
    State.draining = True
    LOG.write("info", "draining")
    delay = settings["DRAIN_DELAY_SECONDS"]
    time.sleep(0 if fault("no-drain-delay") else delay / 2 if fault("half-drain-delay") else delay)
    server.shutdown()
    server.server_close()
    while METRICS.in_flight and not fault("cut-in-flight"):
        if time.monotonic() > end and not fault("no-deadline"):
            if not fault("deadline-unsaid"):
                LOG.write("error", "shutdown deadline exceeded")
            return 0 if fault("deadline-exit-0") else 1
        time.sleep(0.01)
    if fault("idle-holds-up"):
        LOG.write("error", "shutdown deadline exceeded")
        return 1
    LOG.write("info", "stopped")
    return 0


def healthcheck(settings: dict[str, Any]) -> int:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings["HOST"], settings["HOST"])
    if fault("healthcheck-proxied") and os.environ.get("HTTP_PROXY"):
        settings["PORT"] = 1
    try:
        connection = http.client.HTTPConnection(host, settings["PORT"], timeout=2)
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        if fault("healthcheck-trace"):
            raise
        print(f"healthcheck: {error!r}", file=sys.stderr)
        return 1
    if status == 200 or fault("healthcheck-any-status"):
        return 0
    print(f"healthcheck: status {status}", file=sys.stderr)
    return 1


def main(arguments: list[str]) -> int:
    global FAULT
    if arguments[:1] == ["--fault"]:
        _, FAULT, *arguments = arguments
    settings, errors = configuration()
    if arguments == ["version"] and not (errors and fault("version-configured")):
        print(NAME, "v" * fault("v-version") + VERSION)
        return 0
    if arguments not in ([], ["healthcheck"]):
        words = "try --help" if fault("usage-unsaid") else "[version | healthcheck]"
        print(f"usage: {NAME} {words}", file=sys.stderr)
        return 0 if fault("usage-exit-0") else 2
    if errors:
        if fault("trace-on-wrong-value"):
            raise ValueError
        file = sys.stdout if fault("errors-on-stdout") else sys.stderr
        print(*errors, sep="\n", file=file)
        return 1 if fault("healthcheck-exit-1") and arguments else 2
    return healthcheck(settings) if arguments else serve(settings)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
