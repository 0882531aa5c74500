"""The checks of a service with the four additions of tests/image/additions: what a team adds.

A database pool, a streaming endpoint, an authenticated one with a required setting, and a
metric, each written as the framework's documentation says.
"""

from __future__ import annotations

import time

from contract.harness import (
    GREETINGS,
    JSON,
    Checks,
    Suite,
    equal,
    eventually,
    fail,
    greeting,
    greets,
    request_id,
    status,
    wrong_configuration,
)
from contract.suite import SPAN_ID, TRACE_ID, openapi

ADDITION_ROUTES = (
    f"POST {GREETINGS}",
    "POST /v1/notes",
    "GET /v1/notes",
    "GET /v1/stream",
    "GET /v1/private",
)
ADDITION_ENV = {"API_TOKEN": "secret-token"}

ADDITION_CHECKS = Checks()
check = ADDITION_CHECKS.add
check(openapi)


@check
def required_setting(suite: Suite) -> None:
    """A required setting that is not set, or empty, is named, and nothing else is shown."""
    others = {"LOG_LEVEL": "hunter2", "DATABASE_URL": "hunter2"}
    for env in ({}, others):
        done = suite.command([], {"API_TOKEN": None, **env})
        wrong_configuration(done, f"start without API_TOKEN, {env}", ["API_TOKEN"])
        if "hunter2" in done.stdout + done.stderr:
            fail(f"start without API_TOKEN: a value is shown in {done.stderr[:1000]!r}")
    done = suite.command([], {"PORT": "http"})
    wrong_configuration(done, "start with PORT=http", ["PORT"])
    if ADDITION_ENV["API_TOKEN"] in done.stderr:
        fail(f"start with PORT=http: API_TOKEN is shown in {done.stderr[:1000]!r}")


@check
def database(suite: Suite) -> None:
    """What is written through a pool is read again, by several clients at once."""
    service = suite.shared()
    texts = [f"note {number} {time.monotonic_ns()}" for number in range(5)]
    for text in texts:
        answer = service.request("POST", "/v1/notes", JSON, f'{{"text":"{text}"}}'.encode())
        equal(f"{answer}: text", status(answer, 201).json().get("text"), text)
    notes = status(service.request("GET", "/v1/notes"), 200).json()
    equal("GET /v1/notes: the last ones", [note["text"] for note in notes][-5:], texts)
    answer = service.request("POST", "/v1/notes", JSON, b"{}")
    if not 400 <= answer.status < 500:
        fail(f"{answer}, want 4xx")


@check
def authenticated(suite: Suite) -> None:
    """An endpoint with a token answers to who has it, and 401 to everybody else."""
    service = suite.shared()
    token = ADDITION_ENV["API_TOKEN"]
    for authorization, want in ((f"Bearer {token}", 200), ("Bearer other", 401), ("", 401)):
        headers = {"Authorization": authorization} if authorization else {}
        answer = status(service.request("GET", "/v1/private", headers), want)
        equal("status in its line", service.request_line(request_id(answer))["status"], want)
    if token in service.running.stdout + service.running.stderr:
        fail("the token is in the output")


@check
def metric(suite: Suite) -> None:
    """A counter of the team's own is at /metrics."""
    service = suite.shared()

    def sent() -> float:
        values = [value for _, value in service.metrics().of("greetings_sent_total")]
        return sum(values)

    before = sent()
    greets(service.greet(greeting("Ada")), "Ada")
    service.greet(b"{}")
    eventually("greetings_sent_total counts a greeting", lambda: sent() > before)
    equal("greetings_sent_total after one greeting", sent(), before + 1)


@check
def own_log_lines(suite: Suite) -> None:
    """A log line that the team writes inside a request has its request id and trace id."""
    service = suite.shared()
    headers = {"X-Request-Id": f"own-{time.monotonic_ns()}"}
    headers["traceparent"] = f"00-{TRACE_ID}-{SPAN_ID}-01"
    status(service.request("GET", "/v1/stream?seconds=1", headers), 200)
    id = headers["X-Request-Id"]
    equal("path in the line of the stream", service.request_line(id)["path"], "/v1/stream")
    lines = service.logged(msg="streaming", request_id=id)
    equal(f"number of lines `streaming` with the request_id {id}", len(lines), 1)
    want = {"level": "info", "trace_id": TRACE_ID}
    equal(f"{lines[0]}", {key: lines[0].get(key) for key in want}, want)


def whole(lines: list[str], seconds: int) -> None:
    equal("lines of the stream", lines, [f"line {number}\n" for number in range(1, seconds + 1)])


@check
def drain_stream(suite: Suite) -> None:
    """A stream that SIGTERM meets arrives whole, and the service ends well."""
    service = suite.start({"DRAIN_DELAY_SECONDS": "0"})
    service.request("POST", "/v1/notes", JSON, b'{"text":"one"}')
    with service.connect() as connection:
        stream = connection.stream("/v1/stream?seconds=3", {})
        lines = [next(stream)]
        service.signal("SIGTERM")
        try:
            lines += stream
        except ConnectionError as error:
            fail(f"a stream in flight was cut off: {error!r}\n{service.output()}")
    whole(lines, 3)
    service.ends_well()
    equal("stderr", service.running.stderr, "")
    equal("lines at error", service.logged(level="error"), [])


@check(slow=True)
def stream(suite: Suite) -> None:
    """A long answer arrives whole, line by line as it is written."""
    seconds = suite.limits.stream
    with suite.shared().connect() as connection:
        begun = time.monotonic()
        lines: list[str] = []
        for line in connection.stream(f"/v1/stream?seconds={seconds}", {}):
            if not lines and time.monotonic() - begun > max(1.9, seconds / 2):
                fail(f"the first line of a stream of {seconds} s came with the last")
            lines.append(line)
    whole(lines, seconds)
