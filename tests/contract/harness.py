"""What the checks stand on: a started service, its log and metrics, and a suite that runs checks.

Nothing sleeps and hopes: what takes time is waited for, and GUARD_SECONDS only keeps a
broken service from hanging the suite.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from contract.launcher import Completed, Launcher, Running
from contract.wire import Answer, Connection

T = TypeVar("T")
Environment = Mapping[str, str | None]  # None: not set, though all others have it

START_SECONDS = 120
GUARD_SECONDS = 60
GREETINGS = "/v1/greetings"
JSON = {"Content-Type": "application/json"}
LEVELS = ["debug", "info", "warn", "error"]
LINE_KEYS = {"time", "level", "msg", "service", "version"}
REQUEST_KEYS = {"method", "path", "status", "duration_ms", "request_id"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
# Of Python, Go, Java and Node, Rust.
STACK_TRACE = re.compile(
    r"^Traceback |^goroutine \d|^\s+at \S+[ (]|^Exception in thread|panicked at|^\s+\d+: .+::",
    re.MULTILINE,
)
# Far from UTC, so that a local time shows; UTC again where there is no tzdata.
ELSEWHERE = {"TZ": "Asia/Tokyo"}


class StartFailure(AssertionError):
    """The service did not start, so nothing was checked."""


@dataclass(frozen=True)
class Limits:
    """How long the slow checks take; shorter ones test the suite itself."""

    kept: float = 22  # longer than the 5 and 20 s that servers have by default
    stream: int = 40  # longer than the 15 to 30 s of a timeout for a whole answer


@dataclass(frozen=True)
class Check:
    id: str
    title: str
    function: Callable[[Suite], None] = field(repr=False)
    slow: bool = False

    def __str__(self) -> str:
        return self.id


class Checks(list[Check]):
    """A list of checks, and the decorator that registers a function under its name."""

    def add(
        self, function: Callable[[Suite], None] | None = None, *, slow: bool = False
    ) -> Callable[..., Any]:
        """`slow` ones wait for a time to pass."""

        def register(function: Callable[[Suite], None]) -> Callable[[Suite], None]:
            title = (function.__doc__ or "").strip().splitlines()[0]
            self.append(Check(function.__name__.replace("_", "-"), title, function, slow))
            return function

        return register(function) if function else register


# --- words of a check --------------------------------------------------------------------------


def fail(message: str) -> NoReturn:
    raise AssertionError(message)


def equal(what: object, got: object, want: object) -> None:
    if got != want:
        fail(f"{what}: got {got!r}, want {want!r}")


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
    """A slow machine only makes it later, so this bound is safe."""
    passed = time.monotonic() - begun
    if passed < 0.9 * seconds:
        fail(f"{what} after {passed:.2f} s, want {seconds:g} s")


def status(answer: Answer, *want: int) -> Answer:
    if answer.status not in want:
        fail(f"{answer}, want {' or '.join(map(str, want))}")
    return answer


def problem(answer: Answer) -> Answer:
    """A refusal by the service's own handler: 4xx, as RFC 9457 writes it."""
    if not 400 <= answer.status < 500:
        fail(f"{answer}, want 4xx")
    equal(f"{answer}: media type", answer.media_type, "application/problem+json")
    body = answer.json()
    equal(f"{answer}: status member", body.get("status"), answer.status)
    if not (isinstance(body.get("title"), str) and body["title"]):
        fail(f"{answer}: has no title")
    return answer


def request_id(answer: Answer) -> str:
    ids = answer.all("x-request-id")
    if len(ids) != 1:
        fail(f"{answer.request} answered {answer.status} with X-Request-Id {ids}, want one")
    return ids[0]


def greets(answer: Answer, name: str) -> None:
    equal(f"{status(answer, 200)}: media type", answer.media_type, "application/json")
    equal(f"{answer.request}: body", answer.json(), {"message": f"Hello, {name}!"})


def greeting(name: object) -> bytes:
    return json.dumps({"name": name}, ensure_ascii=False).encode()


def no_stack_trace(where: str, text: str) -> None:
    if found := STACK_TRACE.search(text):
        fail(f"{where}: a stack trace ({found[0]!r}) in {text[:1000]!r}")


def wrong_configuration(done: Completed, where: str, names: Iterable[str]) -> None:
    """Exit code 2, and each wrong variable on stderr with a word on what it wants."""
    equal(f"{where}: exit code (stderr {done.stderr[:500]!r})", done.returncode, 2)
    equal(f"{where}: stdout", done.stdout, "")
    no_stack_trace(where, done.stderr)
    for name in names:
        lines = [line for line in done.stderr.splitlines() if re.search(rf"\b{name}\b", line)]
        if not lines:
            fail(f"{where}: stderr {done.stderr[:1000]!r} does not name {name}")
        if max(len(line) for line in lines) < len(name) + 10:
            fail(f"{where}: stderr {done.stderr[:1000]!r} does not say what {name} wants")


def log_line(line: str) -> dict[str, Any]:
    """Parse a line of stdout and check what every line has."""
    try:
        entry = json.loads(line)
    except ValueError as error:
        fail(f"stdout line {line!r} is not JSON: {error}")
    if not isinstance(entry, dict):
        fail(f"stdout line {line!r} is not a JSON object")
    if missing := LINE_KEYS - set(entry):
        fail(f"stdout line {line!r} lacks {sorted(missing)}")
    if not TIME.fullmatch(str(entry["time"])):
        fail(f"time in {line!r}: want RFC 3339 in UTC, ending in Z")
    age = datetime.now(UTC) - datetime.fromisoformat(entry["time"])
    if not timedelta(seconds=-5) < age < timedelta(hours=1):
        fail(f"time in {line!r} is not now in UTC")
    if entry["level"] not in LEVELS:
        fail(f"level in {line!r}: want one of {LEVELS}")
    if not (isinstance(entry["msg"], str) and entry["msg"]):
        fail(f"msg in {line!r}: want a text")
    return entry


# --- a started service -------------------------------------------------------------------------


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
    def port(self) -> int:
        return urlsplit(self.running.url).port or 80

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
        """End the service and expect exit code 0."""
        self.signal(name)
        self.ends_well()

    def ends_well(self) -> None:
        if (code := self.exit_code()) != 0:
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

    def connect(self, host: str = "") -> Connection:
        return Connection((host or self._host, self.port))

    def request(self, method: str, target: str, *arguments: Any, **options: Any) -> Answer:
        with self.connect() as connection:
            return connection.request(method, target, *arguments, **options)

    def greet(self, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request("POST", GREETINGS, {**JSON, **(headers or {})}, body)

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; a line that is still being written is left out."""
        complete, _, _ = self.running.stdout.rpartition("\n")
        return [log_line(line) for line in complete.splitlines()]

    def logged(self, **want: Any) -> list[dict[str, Any]]:
        return [line for line in self.lines() if want.items() <= line.items()]

    def request_line(self, id: str) -> dict[str, Any]:
        """The one request line with this id; it may come after the answer."""
        lines = eventually(
            f"a line with the request_id {id} and {sorted(REQUEST_KEYS)}",
            lambda: [line for line in self.logged(request_id=id) if set(line) >= REQUEST_KEYS],
        )
        equal(f"number of request lines with the request_id {id}", len(lines), 1)
        return lines[0]

    def metrics(self) -> Metrics:
        return Metrics(status(self.request("GET", "/metrics"), 200).body.decode())

    def refuses(self, host: str = "") -> bool:
        """Whether nobody listens."""
        try:
            self.connect(host).sock.close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return self.ended
        return False

    def draining(self) -> Answer:
        """Wait until /readyz says 503; until then it must say 200."""

        def turned() -> Answer | None:
            try:
                answer = self.request("GET", "/readyz")
            except ConnectionError:
                if self.refuses():
                    fail(f"the socket closed before /readyz turned 503\n{self.output()}")
                raise
            return answer if status(answer, 200, 503).status == 503 else None

        answer = eventually("GET /readyz turns 503 after the signal", turned)
        assert answer is not None
        return answer

    @contextlib.contextmanager
    def half_request(self) -> Iterator[HalfRequest]:
        """A POST with the end of its body still to come.

        With a drain delay it is in flight for certain when that is over.
        """
        with self.connect() as connection:
            body = greeting("Ada")
            connection.head("POST", GREETINGS, {**JSON, "Content-Length": str(len(body))})
            connection.send(body[:5])
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

    def counts(self, name: str, *labels: str) -> Counter[tuple[str, ...]]:
        counts: Counter[tuple[str, ...]] = Counter()
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
        *,
        routes: Iterable[str] = (f"POST {GREETINGS}",),
        env: Mapping[str, str] | None = None,
        lacks: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`routes`: what openapi.json lists. `env`: what the service needs beside the contract's.

        `lacks`: the checks that this service cannot pass, by id, each with the reason.
        """
        self.launcher = launcher
        self.service_name = service_name
        self.version = version
        self.routes = set(routes)
        self.env = dict(env or {})
        self.lacks = dict(lacks or {})
        self.limits = limits or Limits()
        self._services: list[Service] = []
        self._shared: Service | None = None
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
            if item.slow and item.id not in self.lacks:
                self._begun[item.id] = self._pool.submit(self._execute, item)

    def run(self, check: Check) -> str:
        """Run a check; returns the reason if it was left out."""
        if reason := self.lacks.get(check.id, ""):
            return reason
        if begun := self._begun.get(check.id):
            begun.result()
        else:
            self._execute(check)
        return ""

    def _execute(self, check: Check) -> None:
        try:
            check.function(self)
        except OSError as error:
            raise AssertionError(f"the service does not answer: {error!r}") from error

    def _environment(self, env: Environment) -> dict[str, str]:
        return {name: value for name, value in {**self.env, **env}.items() if value is not None}

    def launch(self, args: list[str], env: Environment, host: str = "127.0.0.1") -> Service:
        service = Service(self.launcher.launch(args, self._environment(env)), host)
        with self._lock:
            self._services.append(service)
        return service

    def start(self, env: Environment, host: str = "127.0.0.1") -> Service:
        return self.launch([], env, host).ready()

    def shared(self) -> Service:
        """The service that checks share: debug logs, no drain delay."""
        with self._lock:
            if not self._shared:
                env = {"LOG_LEVEL": "debug", "DRAIN_DELAY_SECONDS": "0", **ELSEWHERE}
                self._shared = self.start(env)
            return self._shared

    def end_shared(self) -> Service:
        """Stop the shared service; the next check that wants one gets a new one."""
        with self._lock:
            service, self._shared = self.shared(), None
        service.stop()
        return service

    def command(self, args: list[str], env: Environment) -> Completed:
        """Run what must end by itself."""
        if args in (["version"], ["healthcheck"]):
            return self.launcher.run(args, self._environment(env))
        service = self.launch(args, env)
        try:
            code = service.exit_code()
        except AssertionError as error:
            service.signal("SIGKILL")
            raise AssertionError(f"arguments {args} with {dict(env)}: {error}") from error
        return Completed(code, service.running.stdout, service.running.stderr)

    def commands(
        self, cases: Iterable[tuple[list[str], dict[str, str]]]
    ) -> list[tuple[dict[str, str], Completed]]:
        """Run several commands, a few at a time."""
        with ThreadPoolExecutor(3) as pool:
            begun = [(env, pool.submit(self.command, args, env)) for args, env in cases]
            return [(env, future.result()) for env, future in begun]
