"""The limits of a connection, with every time limit but one out of reach."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from prometheus_client import generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from payments_app.app import create_app
from payments_app.lifecycle import Lifecycle
from payments_app.metrics import Metrics
from payments_app.middleware import MAX_HEADER_BYTES, ObserveRequests
from payments_app.protocol import LimitedProtocol, Phase

from .support import ReadLog

HOUR = 3600.0
MOMENT = 0.01
REQUEST = b"GET /livez HTTP/1.1\r\nHost: service\r\n\r\n"
UPLOAD = (
    b"POST /v1/greetings HTTP/1.1\r\nHost: service\r\n"
    b"Content-Type: application/json\r\nContent-Length: 14\r\n\r\n"
)


class Connection:
    """A client's end of a connection, with the protocol at the other end."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_side: LimitedProtocol,
        heard: asyncio.Event,
        limits: dict[Phase, float],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.server_side = server_side
        self.heard = heard
        self._limits = limits

    def limit(self, phase: Phase) -> None:
        self._limits[phase] = MOMENT

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await self._reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), body

    def leave(self) -> None:
        self._writer.close()

    async def rest(self) -> bytes:
        """What still comes until the connection is closed or cut."""
        received = b""
        try:
            while data := await self._reader.read(65536):
                received += data
        except ConnectionResetError:
            pass
        return received


@asynccontextmanager
async def connected(
    limited: Phase | None = None, app: ASGIApp | None = None
) -> AsyncIterator[Connection]:
    heard = asyncio.Event()
    limits = dict.fromkeys(Phase, HOUR) | ({limited: MOMENT} if limited else {})

    class Protocol(LimitedProtocol):
        seconds = limits

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            heard.set()

    config = uvicorn.Config(
        app or create_app(Lifecycle()),
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_keep_alive=round(HOUR),
        lifespan="off",
        ws="none",
        log_config=None,
        proxy_headers=False,
    )
    accepted: asyncio.Queue[LimitedProtocol] = asyncio.Queue()

    def accept() -> LimitedProtocol:
        protocol = Protocol(config, ServerState(), {})
        accepted.put_nowait(protocol)
        return protocol

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1")
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield Connection(reader, writer, await accepted.get(), heard, limits)
        finally:
            writer.close()


@pytest.mark.parametrize(
    ("limited", "sent"),
    [
        (Phase.HEADERS, b""),
        (Phase.HEADERS, REQUEST[:-2]),
        (Phase.EXCHANGE, UPLOAD + b'{"name"'),
    ],
)
def test_a_slow_request_is_cut_off(limited: Phase, sent: bytes) -> None:
    async def scenario() -> None:
        async with connected(limited) as connection:
            connection.send(sent)
            assert await connection.rest() == b""

    asyncio.run(scenario())


async def never(_scope: Scope, _receive: Receive, _send: Send) -> None:
    await asyncio.Event().wait()


def test_a_slow_answer_is_cut_off() -> None:
    async def scenario() -> None:
        async with connected(Phase.EXCHANGE, never) as connection:
            connection.send(REQUEST)
            assert await connection.rest() == b""

    asyncio.run(scenario())


class Late:
    """Answers as if nothing were amiss, when the client has gone."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.asked = asyncio.Event()
        self.answered = asyncio.Event()
        self.observed = ObserveRequests(self, Lifecycle(), self.metrics)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
        self.answered.set()

    def is_counted(self) -> bool:
        metrics = generate_latest(self.metrics.registry)
        assert b"http_requests_in_flight 0.0\n" in metrics
        return b"http_requests_total{" in metrics


def test_an_answer_that_is_cut_short_is_an_error_and_not_counted(read_log: ReadLog) -> None:
    async def scenario() -> None:
        late = Late()
        async with connected(Phase.EXCHANGE, late.observed) as connection:
            connection.send(REQUEST.replace(b"\r\n\r\n", b"\r\nX-Request-Id: r1\r\n\r\n"))
            assert await connection.rest() == b""
            (line,) = read_log()
            assert (line["level"], line["msg"]) == ("error", "answer cut short")
            assert line["error"] == f"TimeoutError: no answer within {MOMENT} s"
            assert (line["method"], line["path"], line["request_id"]) == ("GET", "/livez", "r1")
            assert line["duration_ms"] > 0
            assert "status" not in line
            await late.answered.wait()
            assert not late.is_counted()
        assert read_log() == []

    asyncio.run(scenario())


@pytest.mark.parametrize("limited", [Phase.EXCHANGE, None])
def test_a_client_that_does_not_end_its_request_is_no_error(
    limited: Phase | None, read_log: ReadLog
) -> None:
    async def scenario() -> None:
        late = Late()
        async with connected(limited, late.observed) as connection:
            connection.send(UPLOAD + b'{"name"')
            await late.asked.wait()
            if limited is None:
                connection.leave()
            await late.answered.wait()
            assert late.is_counted()
        assert [(line["level"], line["msg"]) for line in read_log()] == [("info", "request")]

    asyncio.run(scenario())


def test_a_body_that_nobody_reads_is_not_the_fault_of_the_client(read_log: ReadLog) -> None:
    async def scenario() -> None:
        app = ObserveRequests(never, Lifecycle(), Metrics())
        async with connected(Phase.EXCHANGE, app) as connection:
            connection.send(UPLOAD.replace(b"14", b"1000000") + b"x" * 500_000)
            assert await connection.rest() == b""

    asyncio.run(scenario())
    assert [(line["level"], line["msg"]) for line in read_log()] == [("error", "answer cut short")]


def test_an_idle_connection_is_closed() -> None:
    async def scenario() -> None:
        async with connected(Phase.IDLE) as connection:
            connection.send(REQUEST)
            assert await connection.answer() == (200, b"ok\n")
            assert await connection.rest() == b""

    asyncio.run(scenario())


def test_the_headers_of_a_later_request_are_limited_too() -> None:
    async def scenario() -> None:
        async with connected() as connection:
            connection.send(REQUEST)
            assert await connection.answer() == (200, b"ok\n")
            connection.limit(Phase.HEADERS)
            connection.send(REQUEST[:-2])
            assert await connection.rest() == b""

    asyncio.run(scenario())


def test_the_headers_of_a_request_that_came_along_with_another_are_limited_too() -> None:
    async def scenario() -> None:
        async with connected() as connection:
            connection.send(REQUEST)
            assert await connection.answer() == (200, b"ok\n")
            connection.limit(Phase.HEADERS)
            connection.send(REQUEST + REQUEST[:-2])
            assert await connection.answer() == (200, b"ok\n")
            async with asyncio.timeout(5):
                assert await connection.rest() == b""

    asyncio.run(scenario())


def test_a_connection_serves_many_requests() -> None:
    async def scenario() -> None:
        async with connected() as connection:
            connection.send(REQUEST + REQUEST)
            assert await connection.answer() == (200, b"ok\n")
            assert await connection.answer() == (200, b"ok\n")
            connection.send(UPLOAD)
            connection.send(b'{"name":"Ada"}')
            assert await connection.answer() == (200, b'{"message":"Hello, Ada!"}')

    asyncio.run(scenario())


def test_the_next_request_follows_a_body_that_was_refused() -> None:
    async def scenario() -> None:
        async with connected() as connection:
            connection.send(UPLOAD.replace(b"application/json", b"text/plain"))
            assert (await connection.answer())[0] == 415
            connection.send(b'{"name":"Ada"}' + REQUEST)
            assert await connection.answer() == (200, b"ok\n")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01 this is TLS\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: service\r\nX: " + b"x" * 2 * MAX_HEADER_BYTES, 431),
    ],
)
def test_what_is_not_http_is_refused(sent: bytes, status: int) -> None:
    async def scenario() -> None:
        async with connected() as connection:
            connection.send(sent)
            answered, body = await connection.answer()
            assert (answered, json.loads(body)["status"]) == (status, status)
            assert await connection.rest() == b""

    asyncio.run(scenario())


def test_what_is_not_http_after_the_answer_ends_the_connection(read_log: ReadLog) -> None:
    async def scenario() -> None:
        async with connected() as connection:
            connection.send(
                b"POST /nope HTTP/1.1\r\nHost: service\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            assert (await connection.answer())[0] == 404
            connection.send(b"ZZ\r\n")
            assert await connection.rest() == b""

    asyncio.run(scenario())
    assert [(line["level"], line["msg"]) for line in read_log()] == [("info", "request")]


def test_shutdown_lets_a_request_that_has_begun_arrive() -> None:
    async def scenario() -> None:
        async with connected() as connection:
            connection.send(REQUEST)
            await connection.answer()
            connection.heard.clear()
            connection.send(REQUEST[:-2])
            await connection.heard.wait()
            connection.server_side.shutdown()
            connection.send(REQUEST[-2:])
            assert await connection.answer() == (200, b"ok\n")

    asyncio.run(scenario())


@pytest.mark.parametrize("limited", [Phase.LAST_CALL, None])
def test_shutdown_ends_a_connection_that_does_nothing(limited: Phase | None) -> None:
    async def scenario() -> None:
        async with connected(limited) as connection:
            if limited is None:
                connection.send(REQUEST)
                await connection.answer()
            connection.server_side.shutdown()
            assert await connection.rest() == b""

    asyncio.run(scenario())
