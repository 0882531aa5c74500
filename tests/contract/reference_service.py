"""The smallest service that meets the contract, to test the suite: --fault NAME breaks one thing.

reference_service.py [--fault NAME] [--limits HEADERS,REQUEST,IDLE] [version | healthcheck]
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import re
import signal
import socket
import socketserver
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

NAME, VERSION = "reference", "1.2.3"
FAULT = ""
LIMITS = [5.0, 15.0, 60.0]
MIB = 1024 * 1024
GREETINGS = "/v1/greetings"
ROUTES = {"/livez": "GET", "/readyz": "GET", "/metrics": "GET", GREETINGS: "POST"}
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
LEVELS = ["debug", "info", "warn", "error"]
BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]


def fault(name: str) -> bool:
    return name == FAULT


# --- configuration ---


class Wrong(Exception):
    pass


def integer(name: str, default: int, low: int, high: int, extra: str = "", above: int = -1) -> int:
    value = os.environ.get(name, str(default))
    pattern = r"[1-9][0-9]{0,4}|0" if fault("no-leading-zeros") else r"[0-9]{1,5}"
    if fault("lenient-integers"):
        pattern = r"\s*[-+]?[\d_]+\s*"
    if not re.fullmatch(pattern, value) or not max(low, above + 1) <= int(value) <= high:
        raise Wrong(name, value, f"an integer from {low} to {high}{extra}")
    return int(value)


def configuration() -> dict[str, Any]:
    def host() -> None:
        value = os.environ.get("HOST", "0.0.0.0")
        try:
            config["host"] = str(ipaddress.ip_address(value))
        except ValueError:
            raise Wrong("HOST", value, "an IP address") from None

    def port() -> None:
        config["port"] = integer("PORT", 8081 if fault("default-port") else 8080, 1, 65535)

    def level() -> None:
        config["level"] = value = os.environ.get("LOG_LEVEL", "info")
        if value not in LEVELS:
            raise Wrong("LOG_LEVEL", value, "one of debug, info, warn, error")

    def times() -> None:
        drain = integer("DRAIN_DELAY_SECONDS", 4 if fault("default-drain") else 5, 0, 20)
        config["drain"] = drain
        extra = ", greater than DRAIN_DELAY_SECONDS"
        above = -1 if fault("deadline-below-drain") else drain
        config["deadline"] = integer("SHUTDOWN_TIMEOUT_SECONDS", 25, 1, 29, extra, above)

    config: dict[str, Any] = {}
    steps = [host, port, level, times]
    for step in reversed(steps) if fault("reversed-order") else steps:
        step()
    return config


# --- logs ---


class Log:
    level = "info"
    lock = threading.Lock()

    def write(self, level: str, msg: str, **more: object) -> None:
        if LEVELS.index(level) < LEVELS.index(self.level) and not fault("level-ignored"):
            return
        now = datetime.now() if fault("local-time") else datetime.now(UTC)
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%f")
        stamp = (stamp if fault("microseconds") else stamp[:-3]) + "Z"
        shown = level.upper() if fault("upper-level") else level
        entry = {"time": stamp, "level": shown, "msg": msg, "service": NAME, "version": VERSION}
        if fault("no-version-key"):
            del entry["version"]
        with self.lock:
            print(json.dumps(entry | more), flush=True)


LOG = Log()

# --- metrics ---


class Metrics:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.in_flight = 0
        self.requests: dict[tuple[str, str, int], int] = {}
        self.durations: dict[tuple[str, str], list[float]] = {}

    def flight(self, step: int) -> None:
        with self.lock:
            self.in_flight += 0 if fault("in-flight-zero") else step

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        method = method if method in METHODS or fault("any-method-label") else "other"
        with self.lock:
            key = (method, route, status)
            self.requests[key] = self.requests.get(key, 0) + 1 + fault("counts-twice")
            if not (fault("errors-without-duration") and status >= 400):
                self.durations.setdefault((method, route), []).append(seconds)

    def text(self) -> str:
        with self.lock:
            total = "http_requests" if fault("openmetrics-type") else "http_requests_total"
            lines = [f"# TYPE {total} counter"]
            for (method, route, status), n in self.requests.items():
                code = "code" if fault("code-label") else "status"
                labels = f'method="{method}",route="{route}",{code}="{status}"'
                lines.append(f"http_requests_total{{{labels}}} {n}")
            lines.append("# TYPE http_request_duration_seconds histogram")
            for (method, route), seen in self.durations.items():
                labels = f'method="{method}",route="{route}"'
                name = "http_request_duration_seconds"
                for bound in BUCKETS[fault("a-bucket-less") :]:
                    n = sum(value <= bound for value in seen)
                    lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {n}')
                lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {len(seen)}')
                lines.append(f"{name}_sum{{{labels}}} {sum(seen)}")
                lines.append(f"{name}_count{{{labels}}} {len(seen)}")
            lines.append("# TYPE http_requests_in_flight gauge")
            lines.append(f"http_requests_in_flight {self.in_flight}")
            lines.append("# TYPE build_info gauge")
            lines.append(f'build_info{{service="{NAME}",version="{VERSION}"}} 1')
            if not fault("no-process-metrics"):
                lines.append("# TYPE process_cpu_seconds_total counter")
                lines.append(f"process_cpu_seconds_total {time.process_time()}")
            return "\n".join(lines) + "\n"


METRICS = Metrics()

# --- requests ---


class Problem(Exception):
    def __init__(self, status: int, detail: str, **headers: str) -> None:
        self.status, self.detail, self.headers = status, detail, headers


class State:
    draining = False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    first = True

    def log_message(self, *_: object) -> None:
        if fault("crash-on-junk"):
            os._exit(1)
        if fault("junk-on-stderr"):
            print("Invalid HTTP request received.", file=sys.stderr)

    def wait(self, limit: int) -> None:
        self.connection.settimeout(None if fault("no-limits") else LIMITS[limit])

    def handle_one_request(self) -> None:
        self.wait(0 if self.first else 2)
        self.first = False
        try:
            self.raw_requestline = self.rfile.readline(65537)
            self.wait(0)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
        except OSError:
            self.close_connection = True
            return
        self.wait(1)
        METRICS.flight(+1)
        try:
            self.serve_request()
        except OSError:
            self.close_connection = True
        finally:
            if not (fault("in-flight-stuck") and self.command == "POST"):
                METRICS.flight(-1)

    def serve_request(self) -> None:
        begun = time.monotonic()
        path = self.path.partition("?")[0]
        route = path if path in ROUTES else path if fault("path-as-route") else "unmatched"
        status = 499
        try:
            answer = self.answer(path)
            status = answer[0]
        except OSError:
            self.close_connection = True
        finally:
            seconds = time.monotonic() - begun
            METRICS.count(self.command, route, status, seconds)
        quiet = route in ROUTES and route != GREETINGS and not fault("probes-at-info")
        milliseconds = round(seconds * 1000, 3)
        LOG.write(
            "debug" if quiet else "info",
            "request",
            method=self.command,
            path=self.path
            if fault("query-in-log")
            else unquote(path)
            if fault("decoded-path-in-log")
            else path,
            status=status,
            duration_ms=f"{milliseconds}ms" if fault("duration-with-unit") else milliseconds,
            request_id=str(uuid.uuid4()) if fault("other-id-in-log") else self.id,
        )
        if status != 499:
            self.send(*answer)
        if fault("idle-cut"):
            self.close_connection = True

    def answer(self, path: str) -> tuple[int, str, str, dict[str, str]]:
        given = self.headers.get("X-Request-Id", "")
        pattern = r".+" if fault("any-request-id") else r"[A-Za-z0-9._-]{1,128}"
        fresh = uuid.UUID(int=7, version=4) if fault("constant-request-id") else uuid.uuid4()
        self.id = given if re.fullmatch(pattern, given) else str(fresh)
        try:
            body = self.body()
            return self.route(path, body)
        except Problem as problem:
            if fault("errors-close"):
                self.close_connection = True
            title = HTTPStatus(problem.status).phrase
            titles = {413: "Content Too Large"}
            document = {
                "title": titles.get(problem.status, title),
                "status": str(problem.status) if fault("status-as-text") else problem.status,
                "detail": problem.detail,
            }
            if fault("plain-404") and problem.status == 404:
                return 404, "text/plain", "404 page not found\n", {}
            return problem.status, "application/problem+json", json.dumps(document), problem.headers

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
                if len(body) > MIB and not fault("chunked-without-limit"):
                    self.close_connection = True
                    raise Problem(413, "The body is larger than 1 MiB.")
            self.rfile.readline()
            return body
        length = int(self.headers.get("Content-Length", 0))
        if fault("limit-after-read"):
            self.rfile.read(length)
        if length > MIB - fault("limit-one-less"):
            self.close_connection = True
            raise Problem(413, "The body is larger than 1 MiB.")
        body = self.rfile.read(length)
        if len(body) < length:
            raise OSError("cut short")
        return body

    def route(self, path: str, body: bytes) -> tuple[int, str, str, dict[str, str]]:
        if len(str(self.headers)) > 16 * 1024 and not fault("headers-without-limit"):
            raise Problem(431, "The headers are larger than 16 KiB.")
        if fault("redirect-slash"):
            path = path.rstrip("/")
        if path not in ROUTES:
            raise Problem(404, "There is no such path.")
        if self.command != ROUTES[path]:
            allow = {} if fault("no-allow") else {"Allow": ROUTES[path]}
            if fault("wrong-allow"):
                allow = {"Allow": f"{ROUTES[path]}, {self.command}"}
            raise Problem(404 if fault("404-for-405") else 405, "No such method here.", **allow)
        plain = "text/plain" if fault("no-charset") else "text/plain; charset=utf-8"
        if path == "/readyz" and State.draining and not fault("ready-while-draining"):
            return 503, plain, "draining\n", {}
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", METRICS.text(), {}
        if path != GREETINGS:
            return 200, plain, "ok" if fault("no-newline") else "ok\n", {}
        if State.draining and fault("refuse-while-draining"):
            raise Problem(404, "Draining.")
        return 200, "application/json", json.dumps({"message": f"Hello, {self.name(body)}!"}), {}

    def name(self, body: bytes) -> str:
        given = self.headers.get("Content-Type", "")
        kind = given if fault("exact-media-type") else given.partition(";")[0].strip().lower()
        if kind != "application/json" and not fault("any-media-type"):
            raise Problem(415, "Send application/json.")
        try:
            text = body.decode()
            document, end = json.JSONDecoder().raw_decode(text.strip())
            if end < len(text.strip()) and not fault("trailing-text"):
                raise ValueError("text after the object")
        except ValueError:
            raise Problem(400, "The body is not valid JSON.") from None
        name = document.get("name") if isinstance(document, dict) else None
        if fault("coerced-name") and isinstance(name, int):
            name = str(name)
        if fault("strict-members") and set(document) != {"name"}:
            name = None
        name = name if isinstance(name, str) else ""
        size = len(name)
        if fault("utf16-length"):
            size = len(name.encode("utf-16-le", "replace")) // 2
        if not 1 <= size <= 100:
            raise Problem(400, "`name` must be a string of 1 to 100 characters.")
        return name.strip() if fault("trimmed-name") else name

    def send(self, status: int, kind: str, text: str, headers: dict[str, str]) -> None:
        if status == 413 and fault("hang-up-on-413"):
            self.close_connection = True
            return
        body = text.encode()
        head = {"Content-Type": kind, "Content-Length": str(len(body)), **headers}
        if not (fault("errors-without-id") and status >= 400):
            head["X-Request-Id"] = self.id
        if State.draining and not fault("kept-while-draining"):
            self.close_connection = True
        if self.close_connection:
            head["Connection"] = "close"
        self.send_response_only(status)
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        pass


# --- commands ---


def serve(config: dict[str, Any]) -> int:
    host, port = config["host"], config["port"]
    LOG.level = config["level"]
    Server.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = f"[{host}]:{port}" if ":" in host and not fault("bare-ipv6") else f"{host}:{port}"
    try:
        server = Server((host, port), Handler)
    except OSError as error:
        if fault("trace-on-taken-port"):
            raise
        LOG.write("error", "cannot listen", error=f"{address}: {error.strerror}")
        return 1
    if fault("banner"):
        print("Reference service started", flush=True)
    signals = {signal.SIGTERM} if fault("no-sigint") else {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    LOG.write("info", "listening", address=address)

    first = signal.sigwait(signals)
    end = time.monotonic() + (0 if fault("deadline-at-once") else config["deadline"])
    State.draining = True
    LOG.write("info", "draining", signal=signal.Signals(first).name)

    def ended_early(seconds: float) -> bool:
        return signal.sigtimedwait(signals, seconds) is not None

    delay = config["drain"] / (2 if fault("half-drain-delay") else 1)
    if ended_early(0 if fault("no-drain-delay") else delay):
        return 0 if fault("second-signal-exit-0") else 1
    server.shutdown()
    server.server_close()
    while METRICS.in_flight and not fault("cut-in-flight"):
        if time.monotonic() > end:
            if fault("deadline-unsaid"):
                return 1
            LOG.write("error", "shutdown deadline exceeded", error="1 request cut off")
            return 0 if fault("deadline-exit-0") else 1
        if ended_early(0.01):
            return 1
    if fault("idle-holds-up"):
        return 1
    LOG.write("info", "stopped")
    if fault("words-after-stopped"):
        LOG.write("info", "bye")
    return 0


def healthcheck(config: dict[str, Any]) -> int:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config["host"], config["host"])
    if fault("healthcheck-proxied") and os.environ.get("HTTP_PROXY"):
        config["port"] = 1
    if fault("healthcheck-unspecified"):
        host = config["host"]
    url = f"http://{f'[{host}]' if ':' in host else host}:{config['port']}/livez"
    try:
        connection = http.client.HTTPConnection(host, config["port"], timeout=2)
        connection.request("GET", "/livez")
        status = connection.getresponse().status
        reason = f"status {status}"
    except (OSError, http.client.HTTPException) as error:
        status, reason = 0, repr(error)
    if status == 200 or (status and fault("healthcheck-any-status")):
        if fault("healthcheck-talks"):
            print("healthy")
        return 0
    print(f"healthcheck: {url}: {reason}", file=sys.stderr)
    return 1


def main(arguments: list[str]) -> int:
    global FAULT
    while arguments[:1] in (["--fault"], ["--limits"]):
        option, value, *arguments = arguments
        if option == "--fault":
            FAULT = value
        else:
            LIMITS[:] = map(float, value.split(","))
    if arguments == ["version"]:
        print(NAME, "v" * fault("v-version") + VERSION)
        return 0
    if arguments not in ([], ["healthcheck"]):
        print(f"usage: {NAME} [version | healthcheck]", file=sys.stderr)
        return 0 if fault("usage-exit-0") else 2
    try:
        config = configuration()
    except Wrong as error:
        if fault("healthcheck-exit-1") and arguments:
            return 1
        if fault("trace-on-wrong-value"):
            raise
        name, value, want = error.args
        shown = f'"{value}"' if fault("unescaped-value") else json.dumps(value, ensure_ascii=False)
        print(f"configuration error: {name}: got {shown}, want {want}", file=sys.stderr)
        return 2
    return healthcheck(config) if arguments else serve(config)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
