"""The checks, in the order of docs/service-contract.md.

A check is a function of a Suite that raises AssertionError saying what was
asked, what came back and what was wanted. Most share one running service; those
that end it start their own. Nothing sleeps and hopes: what takes time is waited
for, and GUARD_SECONDS only keeps a broken service from hanging the suite.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from contract.launcher import Completed, Launcher, Running, free_port
from contract.wire import Answer, Connection

T = TypeVar("T")
Series = Counter[tuple[str, ...]]
Case = tuple[list[str], dict[str, str]]  # arguments and environment of a command

START_SECONDS = 120
GUARD_SECONDS = 60
MIB = 1024 * 1024
GREETINGS = "/v1/greetings"
JSON = {"Content-Type": "application/json"}
TITLES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
}
WANTS = {
    "HOST": "an IP address",
    "PORT": "an integer from 1 to 65535",
    "LOG_LEVEL": "one of debug, info, warn, error",
    "DRAIN_DELAY_SECONDS": "an integer from 0 to 20",
    "SHUTDOWN_TIMEOUT_SECONDS": "an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS",
}
DEFAULTS = {
    "HOST": "0.0.0.0",
    "PORT": "8080",
    "LOG_LEVEL": "info",
    "DRAIN_DELAY_SECONDS": "5",
    "SHUTDOWN_TIMEOUT_SECONDS": "25",
}
LEVELS = {"debug", "info", "warn", "error"}
LINE_KEYS = {"time", "level", "msg", "service", "version"}
# Message: its level in general, and its keys beside those of every line.
MESSAGES = {
    "listening": ("info", {"address"}),
    "request": ("info", {"method", "path", "status", "duration_ms", "request_id"}),
    "draining": ("info", {"signal"}),
    "stopped": ("info", set[str]()),
    "shutdown deadline exceeded": ("error", {"error"}),
    "cannot listen": ("error", {"error"}),
}
REQUEST_KEYS = LINE_KEYS | MESSAGES["request"][1]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, math.inf]
METRICS = {
    "http_requests_total": ("counter", {"method", "route", "status"}),
    "http_request_duration_seconds": ("histogram", {"method", "route"}),
    "http_requests_in_flight": ("gauge", set[str]()),
    "build_info": ("gauge", {"service", "version"}),
}
ROUTES = {"/livez", "/readyz", "/metrics", GREETINGS, "unmatched"}
METHODS = {
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "other",
}  # fmt: skip
# Far from UTC, so that a local time shows; UTC again where there is no tzdata.
ELSEWHERE = {"TZ": "Asia/Tokyo"}


class StartFailure(AssertionError):
    """The service did not start, so nothing was checked."""


@dataclass(frozen=True)
class Limits:
    """The times of the contract's Limits table; shorter ones test the suite itself."""

    headers: float = 5
    request: float = 15
    idle: float = 60


@dataclass(frozen=True)
class Check:
    id: str
    title: str
    function: Callable[[Suite], None] = field(repr=False)
    slow: bool = False

    def __str__(self) -> str:
        return self.id


CHECKS: list[Check] = []


def check(
    function: Callable[[Suite], None] | None = None, *, slow: bool = False
) -> Callable[..., Any]:
    """Register a check under its function's name; `slow` ones wait for a limit to strike."""

    def register(function: Callable[[Suite], None]) -> Callable[[Suite], None]:
        title = (function.__doc__ or "").strip().splitlines()[0]
        CHECKS.append(Check(function.__name__.replace("_", "-"), title, function, slow))
        return function

    return register(function) if function else register


# --- helpers -----------------------------------------------------------------------------------


def fail(message: str) -> NoReturn:
    raise AssertionError(message)


def equal(what: object, got: object, want: object) -> None:
    if got != want:
        fail(f"{what}: got {got!r}, want {want!r}")


def matches(what: object, got: object, pattern: re.Pattern[str]) -> None:
    if not (isinstance(got, str) and pattern.fullmatch(got)):
        fail(f"{what}: got {got!r}, want a match of {pattern.pattern}")


def eventually(what: str, condition: Callable[[], T], seconds: float | None = None) -> T:
    """Wait until the condition holds; a ConnectionError in it means not yet."""
    seconds = GUARD_SECONDS if seconds is None else seconds
    end = time.monotonic() + seconds
    pause = 0.005
    while True:
        with contextlib.suppress(ConnectionError):
            if result := condition():
                return result
        if time.monotonic() > end:
            fail(f"{what}: not so after {seconds:g} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def not_before(what: str, begun: float, seconds: float) -> None:
    """A slow machine only makes it later, so this bound is safe; there is no upper one."""
    passed = time.monotonic() - begun
    if passed < 0.9 * seconds:
        fail(f"{what} {passed:.2f} s after the signal, want {seconds:g} s")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def text(answer: Answer, status: int, body: str) -> None:
    equal(f"{answer.request}: status", answer.status, status)
    equal(f"{answer.request}: body", answer.body, body.encode())
    content_type(answer, "text/plain", charset="utf-8")


def content_type(answer: Answer, want: str, **parameters: str) -> None:
    """Compare the media type; the case and the space after a semicolon do not matter."""
    got, got_parameters = answer.media_type()
    where = f"{answer.request}: Content-Type {answer.header('content-type')!r}"
    if answer.header("content-type") is None or got != want:
        fail(f"{where}, want {want}")
    for name, value in parameters.items():
        if got_parameters.get(name, "").lower() != value:
            fail(f"{where}, want {name}={value}")


def problem(answer: Answer, status: int) -> None:
    if answer.status != status:
        fail(f"{answer}, want {status}")
    content_type(answer, "application/problem+json")
    body = answer.json()
    if not isinstance(body, dict):
        fail(f"{answer}: the body is not an object")
    equal(f"{answer}: title", body.get("title"), TITLES[status])
    equal(f"{answer}: status member", body.get("status"), status)
    detail = body.get("detail")
    if not (isinstance(detail, str) and detail.strip() and "\n" not in detail):
        fail(f"{answer}: detail is {detail!r}, want one sentence")
    request_id(answer)


def request_id(answer: Answer) -> str:
    ids = answer.all("x-request-id")
    if len(ids) != 1:
        fail(f"{answer.request} answered {answer.status} with X-Request-Id {ids}, want one")
    return ids[0]


def greets(answer: Answer, name: str) -> None:
    if answer.status != 200:
        fail(f"{answer}, want 200")
    content_type(answer, "application/json")
    equal(f"{answer.request}: body", answer.json(), {"message": f"Hello, {name}!"})


def greeting(name: object) -> bytes:
    return json.dumps({"name": name}, ensure_ascii=False).encode()


def wrong_configuration(done: Completed, where: str, variable: str, value: str) -> None:
    output = f"stdout {done.stdout[:300]!r}, stderr {done.stderr[:300]!r}"
    equal(f"{where}: exit code ({output})", done.returncode, 2)
    equal(f"{where}: stdout", done.stdout, "")
    head, tail = f"configuration error: {variable}: got ", f", want {WANTS[variable]}\n"
    want = f"{head}{json.dumps(value, ensure_ascii=False)}{tail}"
    if done.stderr != want:
        # JSON has two ways to write a character outside ASCII.
        ascii_want = f"{head}{json.dumps(value)}{tail}"
        if done.stderr.lower() != ascii_want.lower():
            equal(f"{where}: stderr", done.stderr, want)


def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"key {twice[0]!r} is there twice")
    return dict(pairs)


def log_line(line: str) -> dict[str, Any]:
    """Parse a line of stdout and check what every line has."""
    try:
        entry = json.loads(line, object_pairs_hook=no_duplicates)
    except ValueError as error:
        fail(f"stdout line {line!r} is not a JSON object: {error}")
    if not isinstance(entry, dict):
        fail(f"stdout line {line!r} is not a JSON object")
    if missing := LINE_KEYS - set(entry):
        fail(f"stdout line {line!r} lacks {sorted(missing)}")
    matches(f"time in {line!r}", entry["time"], TIME)
    age = datetime.now(UTC) - datetime.fromisoformat(entry["time"])
    if not timedelta(seconds=-5) < age < timedelta(hours=1):
        fail(f"time in {line!r} is not now in UTC")
    if entry["level"] not in LEVELS:
        fail(f"level in {line!r}: want one of {sorted(LEVELS)}")
    if not (isinstance(entry["msg"], str) and entry["msg"]):
        fail(f"msg in {line!r}: want a text")
    return entry


def request_line(
    entry: dict[str, Any], level: str, method: str, path: str, status: int, id: str
) -> None:
    equal(f"keys of the request line {entry}", set(entry), REQUEST_KEYS)
    want = {
        "level": level, "msg": "request", "method": method, "path": path, "status": status,
        "request_id": id,
    }  # fmt: skip
    equal(f"request line {entry}", {key: entry[key] for key in want}, want)
    if type(entry["status"]) is not int:
        fail(f"status in the request line {entry}: want an integer")
    duration = entry["duration_ms"]
    if isinstance(duration, bool) or not isinstance(duration, int | float) or duration < 0:
        fail(f"duration_ms in the request line {entry}: want a number")


# --- a running service -------------------------------------------------------------------------


class Service:
    """A started service with its address, its log and its end."""

    def __init__(self, running: Running, host: str = "127.0.0.1") -> None:
        self.running = running
        self._host = host
        self._ended = threading.Event()
        self._code = 0
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        self._code = self.running.wait()
        self._ended.set()

    @property
    def address(self) -> tuple[str, int]:
        return self._host, urlsplit(self.running.url).port or 80

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def exit_code(self) -> int:
        if not self._ended.wait(GUARD_SECONDS):
            fail(f"the service did not end within {GUARD_SECONDS} s\n{self.output()}")
        return self._code

    def output(self) -> str:
        return f"stdout:\n{self.running.stdout[-4000:]}\nstderr:\n{self.running.stderr[-4000:]}"

    def signal(self, name: str) -> None:
        self.running.signal(name)

    def stop(self, name: str = "SIGTERM") -> None:
        """End the service and expect exit code 0 and `stopped` as the last line."""
        self.signal(name)
        self.ends_well()

    def ends_well(self) -> None:
        code = self.exit_code()
        if code != 0:
            fail(f"exit code: got {code}, want 0\n{self.output()}")

    def ready(self) -> Service:
        def answers() -> bool:
            if self.ended:
                raise StartFailure(f"the service ended with {self._code}\n{self.output()}")
            return self.request("GET", "/readyz").status == 200

        try:
            eventually("GET /readyz answers 200 after the start", answers, START_SECONDS)
        except StartFailure:
            raise
        except AssertionError as error:
            raise StartFailure(f"{error}\n{self.output()}") from error
        return self

    def connect(self) -> Connection:
        return Connection(self.address)

    def request(self, method: str, target: str, *arguments: Any, **options: Any) -> Answer:
        with self.connect() as connection:
            return connection.request(method, target, *arguments, **options)

    def greet(self, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        return self.request("POST", GREETINGS, JSON if headers is None else headers, body)

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; a line that is still being written is left out."""
        complete, _, _ = self.running.stdout.rpartition("\n")
        return [log_line(line) for line in complete.splitlines()]

    def logged(self, **want: Any) -> list[dict[str, Any]]:
        return [line for line in self.lines() if want.items() <= line.items()]

    def logged_request(self, id: str, answer: Answer) -> list[dict[str, Any]]:
        """The request lines with this id; they may come after the answer."""
        return eventually(
            f"a request line with the request_id {id} of {answer.request}",
            lambda: self.logged(msg="request", request_id=id),
        )

    def metrics(self) -> Metrics:
        answer = self.request("GET", "/metrics")
        equal("GET /metrics: status", answer.status, 200)
        return Metrics(answer.body.decode())

    def idle_in_flight(self) -> float:
        """The gauge with nothing but a scrape in flight; a request may linger after its answer."""
        return min(self.metrics().value("http_requests_in_flight") for _ in range(5))

    def refuses(self) -> bool:
        """Whether the listening socket is closed."""
        try:
            self.connect().sock.close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return self.ended
        return False

    def draining(self) -> Answer:
        """Wait until /readyz says 503; until then it must say 200."""

        def turned() -> Answer | None:
            answer = self.request("GET", "/readyz")
            if answer.status == 503:
                return answer
            text(answer, 200, "ok\n")
            return None

        def turned_or_ended() -> Answer | None:
            try:
                return turned()
            except ConnectionError:
                if self.refuses():
                    fail(f"the socket closed before /readyz turned 503\n{self.output()}")
                raise

        answer = eventually("GET /readyz turns 503 after the signal", turned_or_ended)
        assert answer is not None
        return answer

    @contextlib.contextmanager
    def half_request(self) -> Iterator[HalfRequest]:
        """A POST that the service is reading, with the end of its body still to come."""
        base = self.idle_in_flight()
        with self.connect() as connection:
            body = greeting("Ada")
            connection.head("POST", GREETINGS, {**JSON, "Content-Length": str(len(body))})
            connection.send(body[:5])
            eventually(
                "http_requests_in_flight counts a POST whose body is still coming",
                lambda: self.metrics().value("http_requests_in_flight") == base + 1,
            )
            yield HalfRequest(connection, body[5:])


@dataclass
class HalfRequest:
    connection: Connection
    rest: bytes

    def finish(self) -> Answer:
        self.connection.send(self.rest)
        return self.connection.answer(f"POST {GREETINGS} begun before the signal")


class Metrics:
    def __init__(self, exposition: str) -> None:
        self.exposition = exposition
        self.types = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", exposition))
        try:
            families = list(text_string_to_metric_families(exposition))
        except ValueError as error:
            fail(f"GET /metrics is not the Prometheus text format: {error}")
        self.samples = [sample for family in families for sample in family.samples]

    def of(self, name: str) -> list[tuple[dict[str, str], float]]:
        return [(sample.labels, sample.value) for sample in self.samples if sample.name == name]

    def value(self, name: str) -> float:
        values = [value for _, value in self.of(name)]
        if len(values) != 1:
            fail(f"GET /metrics has {len(values)} series of {name}, want 1")
        return values[0]

    def counts(self, name: str, *labels: str) -> Series:
        counts: Series = Counter()
        for sample, value in self.of(name):
            counts[tuple(sample.get(label, "") for label in labels)] += int(value)
        return counts


class Suite:
    """One service under test; close it, or use it in a `with`."""

    def __init__(
        self,
        launcher: Launcher,
        service_name: str,
        version: str = "dev",
        limits: Limits | None = None,
    ) -> None:
        self.launcher = launcher
        self.service_name = service_name
        self.version = version
        self.limits = limits or Limits()
        self._services: list[Service] = []
        self._shared: dict[str, Service] = {}
        self._lock = threading.RLock()
        self._begun: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(16)

    def __enter__(self) -> Suite:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for future in self._begun.values():
            future.cancel()
        for service in self._services:
            if not service.ended:
                service.signal("SIGKILL")
        for service in self._services:
            service.exit_code()
        self._pool.shutdown()

    def begin(self, checks: Iterable[Check]) -> None:
        """Start the slow ones among the checks in the background; `run` then waits for them."""
        for item in checks:
            if item.slow:
                self._begun[item.id] = self._pool.submit(self._execute, item)

    def run(self, check: Check) -> None:
        if begun := self._begun.get(check.id):
            begun.result()
        else:
            self._execute(check)

    def _execute(self, check: Check) -> None:
        try:
            check.function(self)
        except OSError as error:
            raise AssertionError(f"the service does not answer: {error!r}") from error

    def launch(self, args: list[str], env: dict[str, str], host: str = "127.0.0.1") -> Service:
        service = Service(self.launcher.launch(args, env), host)
        with self._lock:
            self._services.append(service)
        return service

    def start(self, env: dict[str, str], host: str = "127.0.0.1") -> Service:
        return self.launch([], env, host).ready()

    def shared(self, name: str = "main") -> Service:
        """The service that checks share: debug logs, no drain delay."""
        with self._lock:
            if name not in self._shared:
                env = {"LOG_LEVEL": "debug", "DRAIN_DELAY_SECONDS": "0", **ELSEWHERE}
                self._shared[name] = self.start(env)
            return self._shared[name]

    def ends(self, args: list[str], env: dict[str, str]) -> Completed:
        """Start what must end by itself; when it serves instead it is killed, and that shows."""
        service = self.launch(args, env)
        with contextlib.suppress(AssertionError):
            eventually("end", lambda: service.ended or '"listening"' in service.running.stdout)
        if not service.ended:
            service.signal("SIGKILL")
        code = service.exit_code()
        return Completed(code, service.running.stdout, service.running.stderr)

    def commands(self, cases: Iterable[Case], verify: Callable[[Case, Completed], None]) -> None:
        """Run several commands, a few at a time, and verify each as it ends."""

        def run(case: Case) -> Completed:
            args, env = case
            if args in (["version"], ["healthcheck"]):
                return self.launcher.run(args, env)
            return self.ends(args, env)

        with ThreadPoolExecutor(3) as pool:
            futures = [(case, pool.submit(run, case)) for case in cases]
            try:
                for case, future in futures:
                    verify(case, future.result())
            finally:
                for _, future in futures:
                    future.cancel()


# --- commands ----------------------------------------------------------------------------------


@check
def version(suite: Suite) -> None:
    """`version` prints one line and reads no configuration."""

    def verify(case: Case, done: Completed) -> None:
        where = f"version with {case[1] or 'no configuration'}"
        equal(f"{where}: exit code (stderr {done.stderr[:300]!r})", done.returncode, 0)
        equal(f"{where}: stdout", done.stdout, f"{suite.service_name} {suite.version}\n")
        equal(f"{where}: stderr", done.stderr, "")

    wrong = {"HOST": "", "PORT": "http", "LOG_LEVEL": "loud"}
    suite.commands([(["version"], {}), (["version"], wrong)], verify)


@check
def usage(suite: Suite) -> None:
    """Any other argument prints the usage on stderr."""

    def verify(case: Case, done: Completed) -> None:
        where = f"arguments {case[0]}"
        equal(f"{where}: exit code", done.returncode, 2)
        equal(f"{where}: stdout", done.stdout, "")
        usage = f"usage: {suite.service_name} [version | healthcheck]\n"
        equal(f"{where}: stderr", done.stderr, usage)

    others = [["serve"], ["--help"], ["version", "now"], ["healthcheck", "now"], [""]]
    suite.commands([(arguments, {}) for arguments in others], verify)


@check
def healthcheck_healthy(suite: Suite) -> None:
    """`healthcheck` is silent and exits 0 when well, whatever the proxy settings."""
    _, port = suite.shared().address
    nowhere = f"http://127.0.0.1:{free_port()}"
    proxies = {name: nowhere for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")}
    for env in ({}, {"HOST": "0.0.0.0"}, {"HOST": "127.0.0.1"}, proxies):
        done = suite.launcher.run(["healthcheck"], {"PORT": str(port), **env})
        where = f"healthcheck with {env}"
        equal(f"{where}: exit code (stderr {done.stderr!r})", done.returncode, 0)
        equal(f"{where}: output", (done.stdout, done.stderr), ("", ""))


def unhealthy(done: Completed, where: str, host: str, port: int) -> None:
    equal(f"{where}: exit code (stderr {done.stderr!r})", done.returncode, 1)
    equal(f"{where}: stdout", done.stdout, "")
    url = f"http://{host}:{port}/livez"
    matches(f"{where}: stderr", done.stderr, re.compile(rf"healthcheck: {re.escape(url)}: .+\n"))


@check
def healthcheck_unhealthy(suite: Suite) -> None:
    """`healthcheck` exits 1 with one line naming the URL when nobody answers well."""
    hosts = {"0.0.0.0": "127.0.0.1", "127.0.0.1": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}
    port = free_port()

    def verify(case: Case, done: Completed) -> None:
        _, env = case
        unhealthy(done, f"healthcheck with {env} and nobody there", hosts[env["HOST"]], port)

    suite.commands([(["healthcheck"], {"HOST": host, "PORT": str(port)}) for host in hosts], verify)

    def stranger(reply: bytes) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            connections = []

            def serve() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        connection, _ = server.accept()
                        connections.append(connection)
                        if reply:
                            connection.recv(4096)
                            connection.sendall(reply)
                            connection.close()

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            yield server.getsockname()[1]
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()

    for name, reply in {
        "answers 503": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        "does not speak HTTP": b"220 smtp.example.com ESMTP\r\n",
        "never answers": b"",
    }.items():
        with contextlib.contextmanager(stranger)(reply) as port:
            done = suite.launcher.run(["healthcheck"], {"PORT": str(port)})
            unhealthy(done, f"healthcheck of a service that {name}", "127.0.0.1", port)


@check
def healthcheck_configuration(suite: Suite) -> None:
    """`healthcheck` with a wrong configuration exits 2 with the line that serving prints."""
    wrong = {"PORT": "http", "LOG_LEVEL": "loud", "SHUTDOWN_TIMEOUT_SECONDS": "0"}

    def verify(case: Case, done: Completed) -> None:
        _, env = case
        wrong_configuration(done, f"healthcheck with {env}", *next(iter(env.items())))

    suite.commands([(["healthcheck"], {name: value}) for name, value in wrong.items()], verify)


# --- configuration -----------------------------------------------------------------------------

BAD_VALUES = {
    "HOST": ["", "localhost", "127.1", "256.0.0.1", "1.2.3.4.5", "[::1]", " 127.0.0.1"],
    "PORT": [
        "", "http", " 80", "80 ", "+80", "-80", "8_0", "1e3", "80.0", "0x50", "0", "65536",
        "70000", "000080", 'a"b', "a\\b", "80\n", "80\ttab", "<80>&'", "٨٠",
    ],
    "LOG_LEVEL": ["", "INFO", "warning", " info", "trace"],
    "DRAIN_DELAY_SECONDS": ["", "21", "-1", "1.5", "5s"],
    "SHUTDOWN_TIMEOUT_SECONDS": ["", "0", "30", "+9"],
}  # fmt: skip


@check
def configuration_bad_values(suite: Suite) -> None:
    """A wrong value ends the process with exit code 2 and exactly one line on stderr."""

    def verify(case: Case, done: Completed) -> None:
        _, env = case
        name = list(env)[-1]
        wrong_configuration(done, f"start with {env}", name, env[name])

    pairs = [
        {"DRAIN_DELAY_SECONDS": drain, "SHUTDOWN_TIMEOUT_SECONDS": timeout}
        for drain, timeout in (("20", "20"), ("3", "2"))
    ]
    single = [{name: value} for name, values in BAD_VALUES.items() for value in values]
    suite.commands([([], env) for env in pairs + single], verify)


@check
def configuration_good_values(suite: Suite) -> None:
    """Every value that the table allows is taken."""
    good = {
        "HOST": ["0.0.0.0", "::", "127.0.0.1", "::1", "2001:db8::1"],
        "PORT": ["1", "65535", "00080"],
        "LOG_LEVEL": ["debug", "info", "warn", "error"],
        "DRAIN_DELAY_SECONDS": ["0", "20", "00007"],
    }
    # Variables are checked in order: the next one's error shows that this one was taken.
    names = list(WANTS)

    def verify(case: Case, done: Completed) -> None:
        _, env = case
        wrong_configuration(done, f"start with {env}", list(env)[-1], "wrong")

    suite.commands(
        [
            ([], {name: value, names[names.index(name) + 1]: "wrong"})
            for name, values in good.items()
            for value in values
        ],
        verify,
    )

    port = str(free_port())
    for timeouts in ({"DRAIN": "0", "SHUTDOWN": "1"}, {"DRAIN": "20", "SHUTDOWN": "00029"}):
        env = {
            "DRAIN_DELAY_SECONDS": timeouts["DRAIN"],
            "SHUTDOWN_TIMEOUT_SECONDS": timeouts["SHUTDOWN"],
        }
        done = suite.launcher.run(["healthcheck"], {"PORT": port, **env})
        unhealthy(done, f"healthcheck with {env} and nobody there", "127.0.0.1", int(port))


@check
def configuration_defaults(suite: Suite) -> None:
    """A variable that is not set takes its default."""
    done = suite.launcher.run(["healthcheck"], {})
    if done.returncode != 0:  # 0 when another service happens to listen there
        port = int(DEFAULTS["PORT"])
        unhealthy(done, "healthcheck without configuration", "127.0.0.1", port)
    drain = DEFAULTS["DRAIN_DELAY_SECONDS"]
    done = suite.ends([], {"SHUTDOWN_TIMEOUT_SECONDS": drain})
    where = f"start with SHUTDOWN_TIMEOUT_SECONDS={drain}"
    wrong_configuration(done, where, "SHUTDOWN_TIMEOUT_SECONDS", drain)
    port = free_port()
    longer = str(int(drain) + 1)
    for env in ({"SHUTDOWN_TIMEOUT_SECONDS": longer}, {"DRAIN_DELAY_SECONDS": "20"}):
        done = suite.launcher.run(["healthcheck"], {"PORT": str(port), **env})
        unhealthy(done, f"healthcheck with {env} and nobody there", "127.0.0.1", port)


@check
def configuration_order(suite: Suite) -> None:
    """Of several wrong variables the first in the table is named."""

    def verify(case: Case, done: Completed) -> None:
        _, env = case
        wrong_configuration(done, f"start with {list(env)} wrong", next(iter(env)), "wrong")

    names = list(WANTS)
    suite.commands([([], dict.fromkeys(names[at:], "wrong")) for at in range(len(names))], verify)


@check
def listening_address(suite: Suite) -> None:
    """The service listens on HOST and PORT, and the `listening` line says where."""
    hosts = {"": "127.0.0.1", "127.0.0.1": "127.0.0.1"}
    if has_ipv6():
        hosts |= {"::": "::1", "::1": "::1"}
    for host, loopback in hosts.items():
        env = {"HOST": host} if host else {}
        service = suite.start({**env, "DRAIN_DELAY_SECONDS": "0"}, loopback)
        service.stop()
        port = service.address[1]
        shown = f"[{host}]" if ":" in host else host or DEFAULTS["HOST"]
        line = service.lines()[0]
        equal(f"keys of the first line {line}", set(line), LINE_KEYS | {"address"})
        equal(
            f"first line with {env or 'no HOST'}",
            (line["msg"], line["level"], line["address"]),
            ("listening", "info", f"{shown}:{port}"),
        )
        if ":" in host:
            done = suite.launcher.run(["healthcheck"], {"PORT": str(port), **env})
            unhealthy(done, f"healthcheck with {env} after the end", "[::1]", port)


# --- endpoints ---------------------------------------------------------------------------------


@check
def probes(suite: Suite) -> None:
    """/livez and /readyz answer `ok`, /metrics the text format."""
    service = suite.shared()
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    for headers in ({}, browser):
        for path in ("/livez", "/readyz", "/readyz?verbose"):
            text(service.request("GET", path, headers), 200, "ok\n")
        answer = service.request("GET", "/metrics", headers)
        equal("GET /metrics: status", answer.status, 200)
        content_type(answer, "text/plain", version="0.0.4", charset="utf-8")


@check
def greetings(suite: Suite) -> None:
    """A name is greeted, other members are ignored."""
    service = suite.shared()
    greets(service.greet(b'{"name":"Ada"}'), "Ada")
    greets(service.greet(b'\r\n {"name": "\\u0041da" }\n'), "Ada")
    greets(service.greet(b'{"title":null,"name":"Ada","tags":["x",{"name":"y"}]}'), "Ada")
    greets(service.request("POST", GREETINGS, JSON, b'{"name":"Ada"}', chunked=True), "Ada")
    greets(service.request("POST", f"{GREETINGS}?name=Bob", JSON, b'{"name":"Ada"}'), "Ada")


@check
def greetings_unicode(suite: Suite) -> None:
    """Names are 1 to 100 code points, in any script, and come back unchanged."""
    service = suite.shared()
    for name in (
        "A", " ", "Zażółć", "e\u0301", "日本語", '<b>"&\\', "\u2028", "𝄞", "👩\u200d🚀",
        "x" * 100, "é" * 100, "𝄞" * 100,
    ):  # fmt: skip
        greets(service.greet(greeting(name)), name)
    greets(service.greet(b'{"name":"\\ud834\\udd1e"}'), "𝄞")
    for name in ("x" * 101, "é" * 101, "𝄞" * 101):
        problem(service.greet(greeting(name)), 400)
    # Half a surrogate pair and bytes that are not UTF-8: refused or replaced, never a fault.
    for body in (b'{"name":"\\ud834"}', b'{"name":"\xff"}'):
        answer = service.greet(body)
        if answer.status != 200:
            problem(answer, 400)


@check
def greetings_bad_body(suite: Suite) -> None:
    """Anything but an object with a `name` is a 400."""
    service = suite.shared()
    for body in (
        b"", b" ", b"{", b"Ada", b'{"name":"Ada"', b"{'name':'Ada'}", b'{"name":"Ada",}',
        b'{"name":"Ada"} x', b'{"name":"Ada"}{"name":"Bob"}',
        b"[]", b'[{"name":"Ada"}]', b'"Ada"', b"5", b"null", b"true",
        b"{}", b'{"nom":"Ada"}', b'{"name":null}', b'{"name":5}', b'{"name":true}',
        b'{"name":["Ada"]}', b'{"name":{"name":"Ada"}}', b'{"name":""}',
    ):  # fmt: skip
        answer = service.greet(body)
        if answer.status != 400:
            fail(f"body {body!r}: {answer}, want 400")
        problem(answer, 400)


@check
def media_type(suite: Suite) -> None:
    """Only application/json is taken, with any parameters."""
    service = suite.shared()
    body = greeting("Ada")
    for good in (
        "application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8",
    ):  # fmt: skip
        greets(service.greet(body, {"Content-Type": good}), "Ada")
    for bad in (
        "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/xml",
        "application/merge-patch+json", "text/json", "json",
    ):  # fmt: skip
        answer = service.greet(body, {"Content-Type": bad})
        if answer.status != 415:
            fail(f"Content-Type {bad!r}: {answer}, want 415")
        problem(answer, 415)
    problem(service.greet(body, {}), 415)


@check
def not_found(suite: Suite) -> None:
    """Every other path is a 404 problem: no framework's pages, no redirects."""
    service = suite.shared()
    for path in (
        "/", "/nope", "/livez/", "/LIVEZ", "/v1", "/v1/greetings/", "/v1/greetings/Ada",
        "/error", "/docs", "/openapi.json", "/actuator", "/actuator/health", "/favicon.ico",
        "/nope?livez", "/%2e%2e", "/a%20b",
    ):  # fmt: skip
        problem(service.request("GET", path), 404)
    problem(service.request("GET", "/nope", {"Accept": "text/html"}), 404)
    problem(service.request("DELETE", "/nope"), 404)
    problem(service.request("POST", "/nope", {"Content-Type": "text/plain"}, b"x"), 404)


@check
def method_not_allowed(suite: Suite) -> None:
    """A known path with another method is a 405 with `Allow`."""
    service = suite.shared()
    for path, wanted in (
        ("/livez", "GET"), ("/readyz", "GET"), ("/metrics", "GET"), (GREETINGS, "POST"),
    ):  # fmt: skip
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "PROPFIND"):
            if method == wanted:
                continue
            answer = service.request(method, path, body=b"" if method != "GET" else None)
            problem(answer, 405)
            allowed = {item.strip() for item in ",".join(answer.all("allow")).split(",")}
            if wanted not in allowed or method in allowed:
                fail(f"{answer.request}: Allow {answer.all('allow')}, want {wanted}")
            for other in allowed - {wanted, "OPTIONS"}:
                status = service.request(other, path).status
                if status >= 400:
                    fail(f"{answer.request}: Allow names {other}, which answers {status}")


@check
def body_limit(suite: Suite) -> None:
    """A body of 1 MiB is read, a larger one refused, declared or chunked."""
    service = suite.shared()

    def body(size: int) -> bytes:
        frame = b'{"name":"Ada","filler":"%s"}'
        return frame % (b"x" * (size - len(frame) + 2))

    for chunked in (False, True):
        send = {"headers": JSON, "chunked": chunked}
        greets(service.request("POST", GREETINGS, body=body(MIB), **send), "Ada")
        problem(service.request("POST", GREETINGS, body=body(MIB + 1), **send), 413)
        problem(service.request("POST", GREETINGS, body=body(4 * MIB), **send), 413)
    with service.connect() as connection:
        connection.head("POST", GREETINGS, {**JSON, "Content-Length": str(MIB + 1)})
        problem(connection.answer("POST with a Content-Length of 1 MiB + 1, body unsent"), 413)
    text(service.request("GET", "/livez"), 200, "ok\n")


@check
def header_limit(suite: Suite) -> None:
    """Headers of 12 KiB are read; of 64 KiB they are refused, and the service goes on."""
    service = suite.shared()
    text(service.request("GET", "/livez", {"X-Filler": "x" * 12 * 1024}), 200, "ok\n")
    try:
        filler = {f"X-Filler-{number}": "x" * 16 * 1024 for number in range(4)}
        answer = service.request("GET", "/livez", filler)
    except ConnectionError:
        pass  # hung up, which refuses just as well
    else:
        if answer.status not in (400, 413, 431):
            fail(f"64 KiB of headers: {answer}, want 431 or 400")
    text(service.request("GET", "/livez"), 200, "ok\n")


@check
def keep_alive(suite: Suite) -> None:
    """A connection serves one request after another, errors too, and is not closed."""
    service = suite.shared()
    requests: list[tuple[str, str, dict[str, str], bytes | None]] = [
        ("GET", "/livez", {}, None),
        ("POST", GREETINGS, JSON, greeting("Ada")),
        ("POST", GREETINGS, JSON, b"{}"),
        ("GET", "/nope", {}, None),
    ]
    with service.connect() as connection:
        for request in requests * 2:
            answer = connection.request(*request)
            if answer.closes():
                fail(f"{answer.request} answered {answer.status} with Connection: close")


@check
def malformed_requests(suite: Suite) -> None:
    """What is not HTTP, or is cut short, does no harm."""
    service = suite.shared()
    for junk in (b"HELO example.com\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        with service.connect() as connection:
            connection.send(junk)
            connection.sock.shutdown(socket.SHUT_WR)
            if not connection.closed(GUARD_SECONDS):
                fail(f"the connection stays open after {junk!r} and the end of the stream")
    with service.connect() as connection:
        connection.head("POST", GREETINGS, {**JSON, "Content-Length": "100"})
        connection.send(b'{"name":')
    text(service.request("GET", "/livez"), 200, "ok\n")
    service.lines()


@check
def request_ids(suite: Suite) -> None:
    """A good X-Request-Id is kept, another one replaced; every answer and its log line has it."""
    service = suite.shared()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
    for kept in ("a", "7f3.A_b-c", alphabet, "x" * 128):
        got = request_id(service.request("GET", "/nope", {"X-Request-Id": kept}))
        equal("X-Request-Id of the answer", got, kept)
    seen = []
    for replaced in (None, "", "x" * 129, "a b", "a/b", "a,b", "ä", '"a"', "a;b"):
        headers = {} if replaced is None else {"X-Request-Id": replaced}
        got = request_id(service.request("GET", "/nope", headers))
        matches(f"X-Request-Id of the answer to {replaced!r}", got, UUID4)
        seen.append(got)
    equal("different ids", len(set(seen)), len(seen))

    big = str(MIB + 1)
    answers = [
        service.request("GET", "/livez"),
        service.request("GET", "/readyz"),
        service.request("GET", "/metrics"),
        service.request("PUT", "/livez", body=b""),
        service.greet(greeting("Ada")),
        service.greet(b"{"),
        service.greet(b"{}", {"Content-Type": "text/plain"}),
    ]
    with service.connect() as connection:
        connection.head("POST", GREETINGS, {**JSON, "Content-Length": big})
        answers.append(connection.answer("POST of more than 1 MiB"))
    for answer in answers:
        service.logged_request(request_id(answer), answer)


# --- logs --------------------------------------------------------------------------------------


@check
def request_lines(suite: Suite) -> None:
    """Each request logs one line with the contract's keys; the path comes without the query."""
    service = suite.shared()
    cases = [
        ("debug", "GET", "/livez", 200),
        ("debug", "GET", "/readyz", 200),
        ("debug", "GET", "/metrics", 200),
        ("info", "POST", GREETINGS, 400),
        ("info", "GET", GREETINGS, 405),
        ("info", "GET", "/nope", 404),
        ("info", "DELETE", "/a%20b%0A%22c", 404),
    ]
    for number, (level, method, path, status) in enumerate(cases):
        id = f"request-lines-{number}-{time.monotonic_ns()}"
        headers = {"X-Request-Id": id, **JSON}
        body = b"{}" if method == "POST" else None
        answer = service.request(method, f"{path}?token=s3cret", headers, body)
        equal(f"{method} {path}: status", answer.status, status)
        lines = service.logged_request(id, answer)
        equal(f"number of log lines for {method} {path}", len(lines), 1)
        request_line(lines[0], level, method, path, status, id)
    if "s3cret" in service.running.stdout + service.running.stderr:
        fail("the query of a request is in the output")


@check
def clean_run(suite: Suite) -> None:
    """At the default level a run logs `listening`, its requests, `draining` and `stopped`."""
    service = suite.start({"DRAIN_DELAY_SECONDS": "0", **ELSEWHERE})
    for path in ("/livez", "/readyz", "/metrics"):
        service.request("GET", path)
    requests = [
        service.request("POST", GREETINGS, JSON, greeting("Ada")),
        service.request("GET", "/nope?x=y"),
    ]
    service.stop()
    equal("stderr of a clean run", service.running.stderr, "")
    if not service.running.stdout.endswith("\n"):
        fail(f"stdout does not end with a newline: {service.running.stdout[-200:]!r}")
    lines = service.lines()
    messages = ["listening", "request", "request", "draining", "stopped"]
    equal(
        f"messages of a clean run\n{service.running.stdout}",
        [line["msg"] for line in lines], messages,
    )  # fmt: skip
    for line in lines:
        equal(f"service in {line}", line["service"], suite.service_name)
        equal(f"version in {line}", line["version"], suite.version)
        equal(f"level in {line}", line["level"], "info")
    request_line(lines[1], "info", "POST", GREETINGS, 200, request_id(requests[0]))
    request_line(lines[2], "info", "GET", "/nope", 404, request_id(requests[1]))
    for line in lines:
        equal(f"keys of {line}", set(line), LINE_KEYS | MESSAGES[line["msg"]][1])
    equal(f"signal in {lines[3]}", lines[3]["signal"], "SIGTERM")
    times = [line["time"] for line in lines]
    equal("times in order", times, sorted(times))


@check
def log_level(suite: Suite) -> None:
    """LOG_LEVEL warn and error leave out what is below."""
    for level in ("warn", "error"):
        service = suite.start({"LOG_LEVEL": level, "DRAIN_DELAY_SECONDS": "0"})
        service.greet(greeting("Ada"))
        service.stop()
        equal(f"stdout of a clean run with LOG_LEVEL={level}", service.running.stdout, "")
        equal(f"stderr of a clean run with LOG_LEVEL={level}", service.running.stderr, "")


# --- metrics -----------------------------------------------------------------------------------


@check
def metrics_format(suite: Suite) -> None:
    """The metrics have the contract's names, types, labels and buckets."""
    service = suite.shared()
    service.greet(greeting("Ada"))
    service.request("GET", "/nope")
    metrics = eventually(
        "http_requests_total counts a greeting",
        lambda: m if (m := service.metrics()).of("http_requests_total") else None,
    )
    assert metrics is not None
    for name, (kind, want) in METRICS.items():
        equal(f"GET /metrics: TYPE of {name}", metrics.types.get(name), kind)
        series = {name: want}
        if kind == "histogram":
            series = {f"{name}_count": want, f"{name}_sum": want, f"{name}_bucket": want | {"le"}}
        for sample, labels in series.items():
            if not metrics.of(sample):
                fail(f"GET /metrics has no {sample}")
            for got, _ in metrics.of(sample):
                equal(f"GET /metrics: labels of {sample}", set(got), labels)
    buckets: dict[tuple[str, str], list[float]] = {}
    for got, _ in metrics.of("http_request_duration_seconds_bucket"):
        buckets.setdefault((got["method"], got["route"]), []).append(float(got["le"]))
    for labelled, bounds in buckets.items():
        equal(f"GET /metrics: buckets of {labelled}", bounds, BUCKETS)
    equal(
        "GET /metrics: build_info",
        metrics.of("build_info"),
        [({"service": suite.service_name, "version": suite.version}, 1.0)],
    )
    if not any(name.startswith("process_") for name in metrics.types):
        fail("GET /metrics has no process_… metrics of the language's own")


@check
def metrics_counts(suite: Suite) -> None:
    """Counters move by exactly the requests that were served, under the pattern's name."""
    service = suite.shared()
    series = ("method", "route", "status")

    def counts(metrics: Metrics) -> Series:
        total = metrics.counts("http_requests_total", *series)
        total.pop(("GET", "/livez", "200"), None)  # a container engine may probe meanwhile
        return total

    def durations(metrics: Metrics) -> Series:
        return metrics.counts("http_request_duration_seconds_count", "method", "route")

    # Settled: one scrape sees the one before it, and nothing else.
    scrape = ("GET", "/metrics", "200")

    def settled() -> Metrics | None:
        first, second = service.metrics(), service.metrics()
        return second if counts(second) - counts(first) == {scrape: 1} else None

    before = eventually("the counters settle: a scrape counts the one before it only", settled)
    assert before is not None
    unmatched = f"/{time.monotonic_ns()}"
    requests: list[tuple[str, str, bytes | None, tuple[str, str, str]]] = [
        *[("POST", f"{GREETINGS}?n={n}", greeting("Ada"), ("POST", GREETINGS, "200"))
          for n in range(3)],
        *[("POST", GREETINGS, b"{}", ("POST", GREETINGS, "400"))] * 2,
        ("GET", GREETINGS, None, ("GET", GREETINGS, "405")),
        ("GET", unmatched, None, ("GET", "unmatched", "404")),
        ("DELETE", f"{unmatched}/2", None, ("DELETE", "unmatched", "404")),
        ("PROPFIND", "/livez", None, ("other", "/livez", "405")),
        ("PROPFIND", unmatched, None, ("other", "unmatched", "404")),
    ]  # fmt: skip
    want: Series = Counter(labels for *_, labels in requests)
    for method, target, body, labels in requests:
        answer = service.request(method, target, JSON, body)
        equal(f"{method} {target}: status", str(answer.status), labels[2])
    scrapes = 0
    difference: Series = Counter()

    def counted() -> Metrics | None:
        nonlocal scrapes, difference
        metrics = service.metrics()
        scrapes += 1
        difference = counts(metrics) - counts(before)
        expected: Series = want + Counter({scrape: scrapes})
        if too_many := difference - expected:
            fail(f"http_requests_total grew too much: {dict(too_many)} beyond {dict(expected)}")
        return metrics if difference == expected else None

    try:
        after = eventually("counted", counted, min(GUARD_SECONDS, 10))
    except AssertionError as error:
        if "not so after" not in str(error):
            raise
        missing = want - difference
        fail(f"http_requests_total does not count {dict(missing)}: it grew by {dict(difference)}")
    assert after is not None
    grown = durations(after) - durations(before)
    expected = Counter({("GET", "/metrics"): scrapes})
    for (method, route, _), number in want.items():
        expected[method, route] += number
    grown.pop(("GET", "/livez"), None)
    equal("http_request_duration_seconds_count grew by", dict(grown), dict(expected))
    for sample, _ in after.of("http_requests_total"):
        if sample["route"] not in ROUTES or sample["method"] not in METHODS:
            fail(f"http_requests_total has the series {sample}: a client chooses its labels")


@check
def metrics_in_flight(suite: Suite) -> None:
    """http_requests_in_flight goes up with a request and down again."""
    service = suite.shared()
    before = service.idle_in_flight()
    with service.half_request() as half:
        greets(half.finish(), "Ada")
    eventually(
        "http_requests_in_flight comes down after the answer",
        lambda: service.metrics().value("http_requests_in_flight") == before,
    )


# --- start and shutdown ------------------------------------------------------------------------


@check
def cannot_listen(suite: Suite) -> None:
    """An address that is taken is one `cannot listen` line and exit code 1."""
    with socket.create_server(("0.0.0.0", 0)) as taken:
        env = {"PORT": str(taken.getsockname()[1]), "LOG_LEVEL": "error"}
        done = suite.ends([], env)
    equal(f"start on a taken port: exit code (stderr {done.stderr[:300]!r})", done.returncode, 1)
    equal("start on a taken port: stderr", done.stderr, "")
    lines = [log_line(line) for line in done.stdout.splitlines()]
    equal(
        f"start on a taken port: messages\n{done.stdout}",
        [line["msg"] for line in lines], ["cannot listen"],
    )  # fmt: skip
    error_line(lines[0])


def error_line(line: dict[str, Any]) -> None:
    level, keys = MESSAGES[line["msg"]]
    equal(f"level in {line}", line["level"], level)
    equal(f"keys of {line}", set(line), LINE_KEYS | keys)
    error = line.get("error")
    if not (isinstance(error, str) and error and "\n" not in error):
        fail(f"error in {line}: want the reason, one line")


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
                if draining and not answer.closes():
                    self.failure = f"{answer} while draining without Connection: close"
                if answer.closes():
                    connection.sock.close()
                    connection = None
        finally:
            if connection:
                connection.sock.close()


@check
def drain_under_load(suite: Suite) -> None:
    """SIGTERM under load: all are answered, /readyz turns 503, new requests are still served."""
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
        answer = service.draining()
        text(answer, 503, "draining\n")
        for client in clients:
            client.draining.set()
        others = [answer, service.request("GET", "/livez"), service.request("GET", "/nope")]
        text(others[1], 200, "ok\n")
        problem(others[2], 404)
        for other in [*others, service.request("GET", "/metrics")]:
            if not other.closes():
                fail(f"{other} while draining without Connection: close")
        answered("answered_draining", 5)
    finally:
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join()
    service.ends_well()
    lines = service.lines()
    equal("last line", lines[-1]["msg"], "stopped")
    equal("number of `draining` lines", len(service.logged(msg="draining")), 1)
    total = sum(client.answered for client in clients)
    logged = len(service.logged(msg="request", path=GREETINGS, status=200))
    equal("request lines of answered greetings", logged, total)
    equal("probe lines at level info, 503 ones too", service.logged(path="/readyz"), [])


@check
def drain_in_flight(suite: Suite) -> None:
    """A request begun before SIGTERM is answered after the socket has closed; idle ones let go."""
    service = suite.start({"DRAIN_DELAY_SECONDS": "1"})
    with service.connect() as idle, service.connect(), service.half_request() as half:
        text(idle.request("GET", "/livez"), 200, "ok\n")
        begun = time.monotonic()
        service.signal("SIGTERM")
        eventually("the listening socket closes after the drain delay", service.refuses)
        not_before("the listening socket closes", begun, 1)
        if service.ended:
            fail(f"the service ended with a request in flight\n{service.output()}")
        try:
            answer = half.finish()
        except ConnectionError as error:
            fail(f"a request in flight was cut off: {error!r}\n{service.output()}")
        greets(answer, "Ada")
        if not answer.closes():
            fail(f"{answer} without Connection: close")
        service.ends_well()
    messages = [line["msg"] for line in service.lines()]
    equal("last messages", messages[-3:], ["draining", "request", "stopped"])


@check
def drain_on_sigint(suite: Suite) -> None:
    """SIGINT drains as SIGTERM does."""
    service = suite.start({"DRAIN_DELAY_SECONDS": "0"})
    service.stop("SIGINT")
    last = service.lines()[-2:]
    equal("last messages", [line["msg"] for line in last], ["draining", "stopped"])
    equal(f"signal in {last[0]}", last[0].get("signal"), "SIGINT")
    equal("stderr", service.running.stderr, "")


@check
def shutdown_deadline(suite: Suite) -> None:
    """A request that never ends is cut off at the deadline: one error line, exit code 1."""
    service = suite.start({"DRAIN_DELAY_SECONDS": "0", "SHUTDOWN_TIMEOUT_SECONDS": "1"})
    with service.half_request():
        begun = time.monotonic()
        service.signal("SIGTERM")
        equal("exit code", service.exit_code(), 1)
        not_before("the request is cut off", begun, 1)
    lines = service.logged(msg="shutdown deadline exceeded")
    equal("number of `shutdown deadline exceeded` lines", len(lines), 1)
    error_line(lines[0])
    equal("`stopped` lines", service.logged(msg="stopped"), [])


@check
def second_signal(suite: Suite) -> None:
    """A second signal ends the process at once with exit code 1."""
    service = suite.start({"DRAIN_DELAY_SECONDS": "20"})
    service.signal("SIGTERM")
    service.draining()
    service.signal("SIGINT")
    equal("exit code", service.exit_code(), 1)
    equal("`stopped` lines", service.logged(msg="stopped"), [])


@check
def whole_log(suite: Suite) -> None:
    """After all that, the shared service ends well; all it wrote are log lines."""
    service = suite.shared()
    service.stop()
    equal("stderr", service.running.stderr, "")
    lines = service.lines()
    equal("last line", lines[-1]["msg"], "stopped")
    for line in lines:
        if line["msg"] == "request":
            equal(f"keys of {line}", set(line), REQUEST_KEYS)
        if line["level"] != "debug" and line["msg"] not in ("listening", "draining", "stopped"):
            equal(f"message of {line}", line["msg"], "request")
    with suite._lock:
        del suite._shared["main"]


# --- limits that strike after a while ----------------------------------------------------------


@check(slow=True)
def slow_headers(suite: Suite) -> None:
    """A client that does not finish its headers is cut off."""
    with suite.shared("limits").connect() as connection:
        connection.send(b"GET /livez HTTP/1.1\r\nHost: slow\r\nX-Slow: ")
        if not connection.closed(10 * suite.limits.headers):
            fail(f"unfinished headers: still open after {10 * suite.limits.headers:g} s")


@check(slow=True)
def slow_body(suite: Suite) -> None:
    """A client that does not finish its body is cut off."""
    with suite.shared("limits").connect() as connection:
        connection.head("POST", GREETINGS, {**JSON, "Content-Length": "100"})
        connection.send(b'{"name":')
        if not connection.closed(10 * suite.limits.request):
            fail(f"unfinished body: still open after {10 * suite.limits.request:g} s")


@check(slow=True)
def idle_connection(suite: Suite) -> None:
    """An idle connection is kept for the time of the contract, and not for ever."""
    with suite.shared("limits").connect() as connection:
        connection.request("GET", "/livez")
        begun = time.monotonic()
        if not connection.closed(10 * suite.limits.idle):
            fail(f"idle connection: still open after {10 * suite.limits.idle:g} s")
        kept = time.monotonic() - begun
        if kept < 0.9 * suite.limits.idle:
            fail(f"idle connection: closed after {kept:.1f} s, want {suite.limits.idle:g} s")
