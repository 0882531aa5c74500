import uuid
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from payments_app.lifecycle import Lifecycle
from payments_app.metrics import Metrics
from payments_app.middleware import (
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    ObserveRequests,
)
from payments_app.problems import add_problem_handlers

from .support import ReadLog

GREETING = b'{"name":"Ada"}'
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def faulty() -> TestClient:
    app = FastAPI()
    add_problem_handlers(app)

    @app.get("/raises")
    async def raises() -> None:
        raise LookupError("no such row")

    @app.get("/breaks-off")
    async def breaks_off() -> StreamingResponse:
        def rows() -> Iterator[bytes]:
            yield b"first"
            raise LookupError("no such row")

        return StreamingResponse(rows())

    @app.get("/fails-later")
    async def fails_later() -> PlainTextResponse:
        def clean_up() -> None:
            raise LookupError("no such row")

        return PlainTextResponse("ok", background=BackgroundTask(clean_up))

    return TestClient(ObserveRequests(app, Lifecycle(), Metrics()))


@pytest.mark.parametrize("offered", ["a", "Az0._-", "x" * 128])
def test_a_good_request_id_is_kept(client: TestClient, offered: str, read_log: ReadLog) -> None:
    answer = client.get("/livez", headers={"X-Request-Id": offered})
    assert answer.headers["x-request-id"] == offered
    assert [line["request_id"] for line in read_log()] == [offered]


@pytest.mark.parametrize("offered", ["", "a b", "a\n", "é", "x" * 129])
def test_a_bad_request_id_is_replaced(client: TestClient, offered: str) -> None:
    answer = client.get("/livez", headers={b"X-Request-Id": offered.encode()})
    assert uuid.UUID(answer.headers["x-request-id"]).version == 4


def test_a_request_is_logged(client: TestClient, read_log: ReadLog) -> None:
    client.post("/v1/greetings?page=2", content=GREETING, headers=JSON | {"X-Request-Id": "r1"})
    (line,) = read_log()
    assert line.pop("duration_ms") >= 0
    assert {key: line[key] for key in line if key not in {"time", "service", "version"}} == {
        "level": "info",
        "msg": "request",
        "method": "POST",
        "path": "/v1/greetings",
        "status": 200,
        "request_id": "r1",
    }


def test_the_path_is_logged_as_it_was_sent(client: TestClient, read_log: ReadLog) -> None:
    client.get("/a%20b%0A?page=2")
    assert [line["path"] for line in read_log()] == ["/a%20b%0A"]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_probes_are_logged_at_debug(
    client: TestClient, lifecycle: Lifecycle, path: str, read_log: ReadLog
) -> None:
    lifecycle.draining = True
    client.get(path)
    assert [line["level"] for line in read_log()] == ["debug"]


def test_a_fault_is_a_500_that_says_nothing(faulty: TestClient, read_log: ReadLog) -> None:
    answer = faulty.get("/raises")
    assert (answer.status_code, answer.json()["title"]) == (500, "Internal Server Error")
    assert "row" not in answer.text
    assert "x-request-id" in answer.headers
    (line,) = read_log()
    assert (line["level"], line["status"]) == ("error", 500)
    assert line["error"] == "LookupError: no such row"
    assert "in raises" in line["stack"]


def test_a_fault_in_the_middle_of_an_answer_is_logged(
    faulty: TestClient, read_log: ReadLog
) -> None:
    faulty.get("/breaks-off")
    (line,) = read_log()
    assert (line["level"], line["error"]) == ("error", "LookupError: no such row")


def test_a_fault_after_the_answer_is_logged(faulty: TestClient, read_log: ReadLog) -> None:
    assert faulty.get("/fails-later").text == "ok"
    request, fault = read_log()
    assert (request["level"], request["status"]) == ("info", 200)
    assert (fault["level"], fault["error"]) == ("error", "LookupError: no such row")


def test_no_answer_is_a_fault(read_log: ReadLog) -> None:
    async def silent(_scope: Scope, _receive: Receive, _send: Send) -> None:
        return

    client = TestClient(ObserveRequests(silent, Lifecycle(), Metrics()))
    assert client.get("/").status_code == 500
    (line,) = read_log()
    assert line["error"] == "RuntimeError: the application did not answer"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)])
def test_body_limit(client: TestClient, size: int, status: int, *, chunked: bool) -> None:
    body = GREETING.ljust(size)
    content = iter([body[: size // 2], body[size // 2 :]]) if chunked else body
    answer = client.post("/v1/greetings", content=content, headers=JSON)
    assert answer.status_code == status
    if status == 413:
        assert answer.json()["title"] == "Content Too Large"


@pytest.mark.parametrize(
    ("size", "status"), [(MAX_HEADER_BYTES - 1024, 200), (MAX_HEADER_BYTES, 431)]
)
def test_header_limit(client: TestClient, size: int, status: int) -> None:
    answer = client.get("/livez", headers={"X-Padding": "x" * size})
    assert answer.status_code == status
