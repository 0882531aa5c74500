"""The checks of every service, in the order of docs/service-contract.md.

A check is a function of a Suite that raises AssertionError saying what was asked, what
came back and what was wanted. In it is what an orchestrator, a dashboard, an alert or an
engineer on call depends on; wording, and which of two right answers comes, is the
language's own. Most checks share one running service; those that end it start their own.
"""

from __future__ import annotations

import contextlib
import math
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from contract import harness
from contract.harness import (
    ELSEWHERE,
    GREETINGS,
    JSON,
    LEVELS,
    REQUEST_KEYS,
    Checks,
    Metrics,
    Service,
    Suite,
    equal,
    eventually,
    fail,
    greeting,
    greets,
    no_stack_trace,
    not_before,
    problem,
    request_id,
    status,
    wrong_configuration,
)
from contract.launcher import Completed, free_port
from contract.wire import Connection

MIB = 1024 * 1024
ROUTES = (f"POST {GREETINGS}",)
DEFAULTS = {
    "HOST": "0.0.0.0",
    "PORT": "8080",
    "LOG_LEVEL": "info",
    "DRAIN_DELAY_SECONDS": "5",
    "SHUTDOWN_TIMEOUT_SECONDS": "25",
    "IDLE_TIMEOUT_SECONDS": "620",
}
# What a language's server has no setting for: checks that it cannot pass, with the reason.
LACKS = {"rust": {"idle-timeout": "axum's server keeps idle connections, without a setting"}}
DURATION = "http_server_request_duration_seconds"
LABELS = ("http_request_method", "http_route", "http_response_status_code")
RUNTIME_METRICS = ("process_", "go_", "jvm_", "nodejs_", "python_", "tokio_")
UNLISTED = {"/livez", "/readyz", "/metrics", "/openapi.json"}
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

CHECKS = Checks()
check = CHECKS.add


# --- commands ----------------------------------------------------------------------------------


@check
def version(suite: Suite) -> None:
    """`version` prints one line, whatever the configuration."""
    wrong = {"PORT": "http", "LOG_LEVEL": "loud"}
    for env, done in suite.commands([(["version"], {}), (["version"], wrong)]):
        where = f"version with {env or 'no configuration'}"
        equal(f"{where}: exit code (stderr {done.stderr[:300]!r})", done.returncode, 0)
        equal(f"{where}: stdout", done.stdout, f"{suite.service_name} {suite.version}\n")


@check
def usage(suite: Suite) -> None:
    """Any other argument prints the usage on stderr."""
    done = suite.command(["health-check"], {})
    equal(f"argument health-check: exit code (stderr {done.stderr[:300]!r})", done.returncode, 2)
    equal("argument health-check: stdout", done.stdout, "")
    no_stack_trace("argument health-check", done.stderr)
    for command in ("version", "healthcheck"):
        if not re.search(rf"\b{command}\b", done.stderr):
            fail(f"the usage on stderr {done.stderr[:1000]!r} does not name {command}")


@check
def healthcheck_healthy(suite: Suite) -> None:
    """`healthcheck` exits 0 when the service is well, whatever the proxy settings."""
    port = str(suite.shared().port)
    nowhere = f"http://127.0.0.1:{free_port()}"
    proxies = {name: nowhere for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")}
    cases = [{"PORT": port}, {"PORT": port, "HOST": "127.0.0.1"}, {"PORT": port, **proxies}]
    for env, done in suite.commands([(["healthcheck"], env) for env in cases]):
        where = f"healthcheck with {env}: exit code (stderr {done.stderr[:300]!r})"
        equal(where, done.returncode, 0)


def unhealthy(done: Completed, where: str) -> None:
    equal(f"{where}: exit code (stderr {done.stderr[:500]!r})", done.returncode, 1)
    no_stack_trace(where, done.stderr)
    if not done.stderr.strip():
        fail(f"{where}: stderr does not say why")


@contextlib.contextmanager
def stranger(reply: bytes, port: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """A server that says `reply`, or nothing at all, to everybody; it notes what they asked."""
    asked: list[bytes] = []
    connections: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                connections.append(connection)
                if reply:
                    asked.append(connection.recv(4096))
                    connection.sendall(reply)
                    connection.close()

    with socket.create_server(("127.0.0.1", port)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()


@check
def healthcheck_unhealthy(suite: Suite) -> None:
    """`healthcheck` exits 1 and says why when nobody answers, or not well, or never."""
    with (
        stranger(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") as (ill, _),
        stranger(b"220 smtp.example.com ESMTP\r\n") as (other, _),
        stranger(b"") as (silent, _),
    ):
        names = {
            str(ill): "of a service that answers 503",
            str(other): "of what does not speak HTTP",
            str(silent): "of what never answers",
            str(free_port()): "with nobody there",
        }
        for env, done in suite.commands([(["healthcheck"], {"PORT": port}) for port in names]):
            unhealthy(done, f"healthcheck {names[env['PORT']]}")


# --- configuration -----------------------------------------------------------------------------


def wrong_values(suite: Suite) -> list[dict[str, str]]:
    """Environments in which each variable but HOST=127.0.0.1 and LOG_LEVEL=info is wrong."""
    secret = "hunter2-"
    cases = [
        {name: f"{secret}{name.lower().replace('_', '-')} " for name in DEFAULTS},
        {
            "HOST": "127.0.0.1",
            "PORT": "0",
            "LOG_LEVEL": f"{secret}loud",
            "DRAIN_DELAY_SECONDS": "-1",
            "SHUTDOWN_TIMEOUT_SECONDS": "0",
            "IDLE_TIMEOUT_SECONDS": "0",
        },
        {
            "LOG_LEVEL": "info",
            "PORT": "65536",
            "DRAIN_DELAY_SECONDS": "21",
            "SHUTDOWN_TIMEOUT_SECONDS": "30",
            "IDLE_TIMEOUT_SECONDS": "3601",
        },
        {"PORT": f"{secret}port"},
        {"SHUTDOWN_TIMEOUT_SECONDS": f"{secret}5s"},
    ]
    if "idle-timeout" in suite.lacks:
        for case in cases:
            case.pop("IDLE_TIMEOUT_SECONDS", None)
    return cases


@check
def configuration_wrong_values(suite: Suite) -> None:
    """Every wrong variable is named on stderr, no value is shown, exit code 2."""
    right = {("HOST", "127.0.0.1"), ("LOG_LEVEL", "info")}
    secrets = {"DATABASE_URL": "postgres://payments:hunter2-database@db/payments"}
    cases = [{**secrets, **env} for env in wrong_values(suite)]
    for env, done in suite.commands([([], env) for env in cases]):
        values = {name: value for name, value in env.items() if name in DEFAULTS}
        where = f"start with {values}"
        wrong = {name for name, value in values.items() if (name, value) not in right}
        wrong_configuration(done, where, wrong)
        if "hunter2" in done.stdout + done.stderr:
            fail(f"{where}: a value is shown in {done.stderr[:1000]!r}")
        for name in {"HOST", "LOG_LEVEL"} - wrong:
            if re.search(rf"\b{name}\b", done.stderr):
                fail(f"{where}: stderr {done.stderr[:1000]!r} names {name}, which is right")


@check
def configuration_of_healthcheck(suite: Suite) -> None:
    """`healthcheck` with a wrong configuration exits 2 and says what serving says."""
    env = {"PORT": "hunter2", "LOG_LEVEL": "loud"}
    done = suite.command(["healthcheck"], env)
    wrong_configuration(done, f"healthcheck with {env}", env)
    if "hunter2" in done.stderr:
        fail(f"healthcheck with {env}: a value is shown in {done.stderr[:1000]!r}")


@check
def configuration_good_values(suite: Suite) -> None:
    """The bounds are taken, and a deadline must be later than the drain delay."""
    port = {"PORT": str(free_port())}
    times = ("DRAIN_DELAY_SECONDS", "SHUTDOWN_TIMEOUT_SECONDS", "IDLE_TIMEOUT_SECONDS", "LOG_LEVEL")
    good = [
        dict(zip(times, values, strict=True)) | port
        for values in (("0", "1", "1", "error"), ("20", "29", "3600", "warn"))
    ]
    for env, done in suite.commands([(["healthcheck"], env) for env in good]):
        unhealthy(done, f"healthcheck with {env} and nobody there")
    env = {"DRAIN_DELAY_SECONDS": "9", "SHUTDOWN_TIMEOUT_SECONDS": "9"}
    done = suite.command([], env)
    wrong_configuration(done, f"start with {env}", ["SHUTDOWN_TIMEOUT_SECONDS"])


@check
def configuration_defaults(suite: Suite) -> None:
    """A variable that is not set takes its default."""
    port, drain = int(DEFAULTS["PORT"]), DEFAULTS["DRAIN_DELAY_SECONDS"]
    well = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(OSError), stranger(well, port) as (_, asked):
        done = suite.command(["healthcheck"], {})
        equal(f"healthcheck, /livez on {port} is well: exit code", done.returncode, 0)
        if not [call for call in asked if call.startswith(b"GET /livez")]:
            fail(f"healthcheck without configuration did not ask /livez on {port}: {asked}")
    env = {"SHUTDOWN_TIMEOUT_SECONDS": drain}
    done = suite.command([], env)
    wrong_configuration(done, f"start with {env}", env)
    nobody = {"PORT": str(free_port())}
    longer = {"SHUTDOWN_TIMEOUT_SECONDS": str(int(drain) + 1), **nobody}
    cases = [longer, {"DRAIN_DELAY_SECONDS": "20", **nobody}]
    for env, done in suite.commands([(["healthcheck"], env) for env in cases]):
        unhealthy(done, f"healthcheck with {env} and nobody there")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@check
def listens(suite: Suite) -> None:
    """The service listens on HOST, by default on every address, and `healthcheck` finds it."""
    service = suite.start({"HOST": "127.0.0.1", "DRAIN_DELAY_SECONDS": "0"})
    if not service.refuses("127.0.0.2"):
        fail("with HOST=127.0.0.1 the service listens on 127.0.0.2 too")
    service.stop()
    if suite.shared().refuses("127.0.0.2"):
        fail("without HOST the service does not listen on 127.0.0.2")
    if has_ipv6():
        service = suite.start({"HOST": "::", "DRAIN_DELAY_SECONDS": "0"}, "::1")
        env = {"HOST": "::", "PORT": str(service.port)}
        done = suite.command(["healthcheck"], env)
        where = f"healthcheck with {env}: exit code (stderr {done.stderr[:300]!r})"
        equal(where, done.returncode, 0)
        service.stop()


# --- endpoints ---------------------------------------------------------------------------------


@check
def probes(suite: Suite) -> None:
    """/livez, /readyz and /metrics answer 200, to a browser too."""
    service = suite.shared()
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    for headers in ({}, browser):
        for path in ("/livez", "/readyz", "/metrics"):
            status(service.request("GET", path, headers), 200)
    metrics = service.request("GET", "/metrics")
    equal("GET /metrics: media type", metrics.media_type, "text/plain")


@check
def greetings(suite: Suite) -> None:
    """The example endpoint greets names of 1 to 100 characters."""
    service = suite.shared()
    for name in ("A", "Ada", "Zażółć", "日本語", '<b>"&\\', "x" * 100):
        greets(service.greet(greeting(name)), name)
    greets(service.request("POST", GREETINGS, JSON, greeting("Ada"), chunked=True), "Ada")


@check
def greetings_wrong_body(suite: Suite) -> None:
    """Anything but an object with a name is refused with a problem that says the status."""
    service = suite.shared()
    too_long = greeting("x" * 101)
    for body in (b"{", b"Ada", b"[]", b"{}", b'{"name":""}', b'{"name":{}}', too_long):
        problem(service.greet(body))


@check
def not_found(suite: Suite) -> None:
    """There is nothing but the routes: no page and no endpoint of the framework."""
    service = suite.shared()
    for path in ("/", "/nope", "/v1", "/docs", "/redoc", "/actuator", "/actuator/env", "/swagger"):
        status(service.request("GET", path), 404)


@check
def openapi(suite: Suite) -> None:
    """/openapi.json lists exactly the service's routes, and each of them answers."""
    service = suite.shared()
    answer = status(service.request("GET", "/openapi.json"), 200)
    document = answer.json()
    if not str(document.get("openapi", "")).startswith("3."):
        fail(f"{answer}: openapi is {document.get('openapi')!r}, want 3.x")
    info = document.get("info", {})
    if not (info.get("title") and info.get("version")):
        fail(f"{answer}: info {info} has no title or no version")
    listed = {
        (method, path)
        for path, item in document.get("paths", {}).items()
        for method in METHODS & set(item)
        if path not in UNLISTED
    }
    routes = {f"{method.upper()} {path}" for method, path in listed}
    equal("routes of /openapi.json", routes, suite.routes)
    for method, path in listed:
        body = b"{}" if method in ("post", "put", "patch") else None
        answer = service.request(method.upper(), path, JSON, body)
        if answer.status in (404, 405, 501):
            fail(f"/openapi.json lists {method.upper()} {path}, but {answer}")


@check
def body_limit(suite: Suite) -> None:
    """A body of 512 KiB is read, one above 1 MiB is not, declared or chunked."""
    service = suite.shared()

    def body(size: int) -> bytes:
        return b'{"name":"Ada"' + b" " * (size - 14) + b"}"

    for chunked in (False, True):
        greets(service.request("POST", GREETINGS, JSON, body(MIB // 2), chunked=chunked), "Ada")
        for size in (MIB + 1024, 8 * MIB):
            with contextlib.suppress(ConnectionError):  # hung up, which refuses just as well
                answer = service.request("POST", GREETINGS, JSON, body(size), chunked=chunked)
                if not 400 <= answer.status < 500:
                    fail(f"body of {size} bytes{' chunked' * chunked}: {answer}, want 413")
    status(service.request("GET", "/livez"), 200)


@check
def keep_alive(suite: Suite) -> None:
    """A connection serves one request after another."""
    with suite.shared().connect() as connection:
        for _ in range(3):
            greets(connection.request("POST", GREETINGS, JSON, greeting("Ada")), "Ada")


@check
def idle_timeout(suite: Suite) -> None:
    """IDLE_TIMEOUT_SECONDS closes a connection that is idle for so long, and not before."""
    service = suite.start({"IDLE_TIMEOUT_SECONDS": "1", "DRAIN_DELAY_SECONDS": "0"})
    with service.connect() as connection:
        status(connection.request("GET", "/livez"), 200)
        begun = time.monotonic()
        if not connection.closed(min(10, harness.GUARD_SECONDS)):
            fail("with IDLE_TIMEOUT_SECONDS=1 an idle connection is still open")
        not_before("an idle connection is closed", begun, 1)
    service.stop()


# --- request ids and traces --------------------------------------------------------------------


@check
def request_ids(suite: Suite) -> None:
    """A good X-Request-Id is kept, another one replaced; the answer and its log line have it."""
    service = suite.shared()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
    for kept in (f"a{time.monotonic_ns()}", alphabet, "x" * 128):
        got = request_id(service.greet(greeting("Ada"), {"X-Request-Id": kept}))
        equal("X-Request-Id of the answer", got, kept)
    seen = set()
    replaced = (None, "", "x" * 129, "a b", "a/b", "a,b", '"a"', "a;b")
    for given in replaced:
        headers = {} if given is None else {"X-Request-Id": given}
        answer = service.greet(greeting("Ada"), headers)
        got = request_id(answer)
        if got == given or not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", got):
            fail(f"X-Request-Id of the answer to {given!r} is {got!r}")
        seen.add(got)
        equal(f"path in the line of {got}", service.request_line(got)["path"], GREETINGS)
    equal("different ids", len(seen), len(replaced))
    refused = request_id(service.greet(b"{}"))
    status_logged = service.request_line(refused)["status"]
    if not 400 <= status_logged < 500:
        fail(f"status in the line of a refused greeting: {status_logged}")


@check
def trace_ids(suite: Suite) -> None:
    """A `traceparent` that comes in gives the request's log line its trace_id."""
    service = suite.shared()
    good = f"00-{TRACE_ID}-{SPAN_ID}-01"
    id = request_id(service.greet(greeting("Ada"), {"traceparent": good}))
    equal(f"trace_id with traceparent {good}", service.request_line(id).get("trace_id"), TRACE_ID)
    for bad in ("0" * 32, TRACE_ID[1:], "g" * 32):
        headers = {"traceparent": f"00-{bad}-{SPAN_ID}-01"}
        id = request_id(service.greet(greeting("Ada"), headers))
        if service.request_line(id).get("trace_id") == bad:
            fail(f"trace_id {bad!r} in a log line, which is none")


# --- logs --------------------------------------------------------------------------------------


@check
def request_lines(suite: Suite) -> None:
    """Each request logs one line with the contract's keys; the path comes without the query."""
    service = suite.shared()
    for level, method, path, wanted in (
        ("debug", "GET", "/livez", 200),
        ("debug", "GET", "/readyz", 200),
        ("debug", "GET", "/metrics", 200),
        ("info", "POST", GREETINGS, 200),
        ("", "GET", "/nope", 404),
    ):
        id = f"request-lines-{time.monotonic_ns()}"
        headers = {"X-Request-Id": id, **JSON}
        body = greeting("Ada") if method == "POST" else None
        status(service.request(method, f"{path}?token=s3cret", headers, body), wanted)
        line = service.request_line(id)
        want = {"level": level or line["level"], "method": method, "path": path, "status": wanted}
        equal(f"request line {line}", {key: line[key] for key in want}, want)
        duration = line["duration_ms"]
        if isinstance(duration, bool) or not isinstance(duration, int | float) or duration < 0:
            fail(f"duration_ms in the request line {line}: want a number")
    if "s3cret" in service.running.stdout + service.running.stderr:
        fail("the query of a request is in the output")


@check
def clean_run(suite: Suite) -> None:
    """At the default level a run logs its requests, no probes, and no warning."""
    service = suite.start({"DRAIN_DELAY_SECONDS": "0", **ELSEWHERE})
    for path in ("/livez", "/readyz", "/metrics"):
        service.request("GET", path)
    greets(service.greet(greeting("Ada"), {"X-Request-Id": "clean-run"}), "Ada")
    service.stop()
    equal("stderr of a clean run", service.running.stderr, "")
    if not service.running.stdout.endswith("\n"):
        fail(f"stdout does not end with a newline: {service.running.stdout[-200:]!r}")
    lines = service.lines()
    for line in lines:
        equal(f"service in {line}", line["service"], suite.service_name)
        equal(f"version in {line}", line["version"], suite.version)
        equal(f"level in {line}", line["level"], "info")
    paths = [line["path"] for line in lines if set(line) >= REQUEST_KEYS]
    equal("paths of the request lines", paths, [GREETINGS])


@check
def log_level(suite: Suite) -> None:
    """LOG_LEVEL leaves out what is below."""
    service = suite.start({"LOG_LEVEL": "warn", "DRAIN_DELAY_SECONDS": "0"})
    greets(service.greet(greeting("Ada")), "Ada")
    service.stop()
    below = [line for line in service.lines() if line["level"] in LEVELS[:2]]
    equal("lines below warn with LOG_LEVEL=warn", below, [])


# --- metrics -----------------------------------------------------------------------------------


@check
def metrics(suite: Suite) -> None:
    """Durations are a histogram; it counts each request under the pattern of its route."""
    service = suite.shared()
    unmatched = f"/{time.monotonic_ns()}"
    requests = [
        ("POST", f"{GREETINGS}?n=1", greeting("Ada"), 200),
        ("POST", f"{GREETINGS}?n=2", greeting("Bob"), 200),
        ("POST", GREETINGS, b"{}", None),
        ("GET", unmatched, None, 404),
        ("BREW", unmatched, None, None),
    ]

    def counts(now: Metrics) -> Counter[tuple[str, ...]]:
        return now.counts(f"{DURATION}_count", *LABELS)

    before = counts(service.metrics())
    want: Counter[tuple[str, ...]] = Counter()
    for method, target, body, expected in requests:
        answer = service.request(method, target, JSON, body)
        if expected:
            status(answer, expected)
        if method == "POST":
            want["POST", GREETINGS, str(answer.status)] += 1

    def greetings_counted(now: Metrics) -> Counter[tuple[str, ...]]:
        grown = counts(now) - before
        return Counter({series: n for series, n in grown.items() if series[1] == GREETINGS})

    def counted() -> Metrics | None:
        now = service.metrics()
        if too_many := greetings_counted(now) - want:
            fail(f"{DURATION}_count grew by {dict(too_many)} more than {dict(want)}")
        return now if greetings_counted(now) == want else None

    try:
        after = eventually("counted", counted, min(harness.GUARD_SECONDS, 10))
    except AssertionError as error:
        if "not so after" not in str(error):
            raise
        grown = dict(greetings_counted(service.metrics()))
        fail(f"{DURATION}_count{{{','.join(LABELS)}}} grew by {grown}, want {dict(want)}")
    assert after is not None
    equal(f"TYPE of {DURATION}", after.types.get(DURATION), "histogram")
    for part in ("bucket", "sum"):
        if not [True for labels, _ in after.of(f"{DURATION}_{part}") if set(LABELS) <= set(labels)]:
            fail(f"GET /metrics has no {DURATION}_{part} with {LABELS}")
    unmatched_counted = sum(n for series, n in counts(after).items() if series[2] == "404")
    if unmatched_counted <= sum(n for series, n in before.items() if series[2] == "404"):
        fail(f"{DURATION}_count does not count the 404 of {unmatched}")
    for word, what in ((unmatched, "a path that a client made up"), ("BREW", "its method")):
        if word in after.exposition:
            fail(f"GET /metrics has {word}, {what}: a client chooses its labels")


@check
def metrics_of_the_process(suite: Suite) -> None:
    """The language's own metrics of the process or its runtime are there."""
    if not [name for name in suite.shared().metrics().types if name.startswith(RUNTIME_METRICS)]:
        fail(f"GET /metrics has no metrics of the process: {', '.join(RUNTIME_METRICS)}")


# --- start and shutdown ------------------------------------------------------------------------


@check
def cannot_listen(suite: Suite) -> None:
    """An address that is taken ends the service with an error that is said."""
    with socket.create_server(("0.0.0.0", 0)) as taken:
        env = {"PORT": str(taken.getsockname()[1])}
        service = suite.launch([], env)
        code = service.exit_code()
    if code == 0:
        fail(f"start on a taken port: exit code 0\n{service.output()}")
    no_stack_trace("start on a taken port", service.running.stderr)
    if not (service.logged(level="error") or service.running.stderr.strip()):
        fail(f"start on a taken port: no line at error, and nothing on stderr\n{service.output()}")


@dataclass
class Client(threading.Thread):
    """Sends greetings over a kept connection until told to stop."""

    service: Service
    number: int
    stop: threading.Event = field(default_factory=threading.Event)
    draining: threading.Event = field(default_factory=threading.Event)
    # Set before the signal; a request sent later than the drain delay may be lost.
    drained_at: float = math.inf

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.answered = 0
        self.answered_draining = 0
        self.failure = ""

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        connection: Connection | None = None
        try:
            while not (self.stop.is_set() or self.failure):
                draining = self.draining.is_set()
                sent = time.monotonic()
                try:
                    if connection is None:
                        connection = self.service.connect()
                    name = f"{self.number}-{self.answered}"
                    answer = connection.request("POST", GREETINGS, JSON, greeting(name))
                    greets(answer, name)
                except (ConnectionError, AssertionError, TimeoutError) as error:
                    if sent < self.drained_at:
                        self.failure = f"request {self.answered} of a client: {error!r}"
                    return
                self.answered += 1
                self.answered_draining += draining
                if answer.closes():
                    connection.sock.close()
                    connection = None
        finally:
            if connection:
                connection.sock.close()


@check
def drain_under_load(suite: Suite) -> None:
    """SIGTERM under load: /readyz turns 503, and all are served while the drain delay runs."""
    delay = 4
    service = suite.start({"DRAIN_DELAY_SECONDS": str(delay)})
    clients = [Client(service, number) for number in range(6)]

    def answered(attribute: str, at_least: int) -> None:
        def enough() -> bool:
            for client in clients:
                if client.failure:
                    fail(f"{client.failure}\n{service.output()}")
                if not client.is_alive():
                    fail(f"a client was turned away in the drain delay\n{service.output()}")
            return all(getattr(client, attribute) >= at_least for client in clients)

        eventually(f"every client gets {at_least} answers", enough)

    try:
        for client in clients:
            client.start()
        answered("answered", 10)
        for client in clients:
            client.drained_at = time.monotonic() + delay
        service.signal("SIGTERM")
        service.draining()
        for client in clients:
            client.draining.set()
        status(service.request("GET", "/livez"), 200)
        status(service.request("GET", "/metrics"), 200)
        greets(service.greet(greeting("Ada")), "Ada")
        answered("answered_draining", 5)
    finally:
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join()
    service.ends_well()
    wrong = [line for line in service.lines() if line["level"] in ("warn", "error")]
    equal("lines at warn and error", wrong, [])
    total = sum(client.answered for client in clients) + 1
    logged = [line for line in service.logged(path=GREETINGS, status=200) if "duration_ms" in line]
    equal("request lines of answered greetings", len(logged), total)


@check
def drain_in_flight(suite: Suite) -> None:
    """A request in flight is answered; idle and silent connections do not hold the end up."""
    deadline = 15  # a server may wait a few seconds for who has not said a word yet
    service = suite.start({"DRAIN_DELAY_SECONDS": "1", "SHUTDOWN_TIMEOUT_SECONDS": str(deadline)})
    with service.connect() as idle, service.connect(), service.half_request() as half:
        status(idle.request("GET", "/livez"), 200)
        begun = time.monotonic()
        service.signal("SIGTERM")
        eventually("the listening socket closes after the drain delay", service.refuses)
        not_before("the listening socket closes", begun, 1)
        if service.ended:
            fail(f"the service ended with a request in flight\n{service.output()}")
        try:
            greets(half.finish(), "Ada")
        except ConnectionError as error:
            fail(f"a request in flight was cut off: {error!r}\n{service.output()}")
        service.ends_well()
        if time.monotonic() - begun > 0.9 * deadline:
            fail(f"idle connections held the end up until the deadline\n{service.output()}")
    equal("lines at error", service.logged(level="error"), [])


@check
def drain_on_sigint(suite: Suite) -> None:
    """SIGINT ends a service as SIGTERM does."""
    service = suite.start({"DRAIN_DELAY_SECONDS": "0"})
    service.stop("SIGINT")
    equal("stderr", service.running.stderr, "")


@check
def shutdown_deadline(suite: Suite) -> None:
    """A request that never ends is cut off at the deadline: an error line, no exit code 0."""
    service = suite.start({"DRAIN_DELAY_SECONDS": "1", "SHUTDOWN_TIMEOUT_SECONDS": "2"})
    with service.half_request():
        begun = time.monotonic()
        service.signal("SIGTERM")
        code = service.exit_code()
        not_before("the request is cut off", begun, 2)
        if time.monotonic() - begun > 10:
            fail(f"SHUTDOWN_TIMEOUT_SECONDS=2 took {time.monotonic() - begun:.1f} s")
    if code == 0:
        fail(f"exit code 0, though a request was cut off\n{service.output()}")
    if not service.logged(level="error"):
        fail(f"no line at error says that a request was cut off\n{service.output()}")


@check(slow=True)
def idle_connection(suite: Suite) -> None:
    """A connection that is idle for a while is kept, so that a load balancer can use it."""
    with suite.shared().connect() as connection:
        status(connection.request("GET", "/livez"), 200)
        if connection.closed(suite.limits.kept):
            fail(f"an idle connection is closed within {suite.limits.kept:g} s")
        status(connection.request("GET", "/livez"), 200)


@check
def whole_log(suite: Suite) -> None:
    """What is not HTTP does no harm; then the shared service ends well, all lines JSON."""
    service = suite.shared()
    for junk in (b"HELO example.com\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        with service.connect() as connection:
            connection.send(junk)
            connection.sock.shutdown(socket.SHUT_WR)
            if not connection.closed(harness.GUARD_SECONDS):
                fail(f"the connection stays open after {junk!r} and the end of the stream")
    with service.connect() as connection:
        connection.head("POST", GREETINGS, {**JSON, "Content-Length": "100"})
        connection.send(b'{"name":')
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(service.greet, [greeting(str(n)) for n in range(40)]):
            status(answer, 200)
    lines = suite.end_shared().lines()
    if not [line for line in lines if set(line) >= REQUEST_KEYS]:
        fail("no request line")
