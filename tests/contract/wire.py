"""An HTTP/1.1 client that shows headers as sent and connections kept or closed."""

from __future__ import annotations

import http.client
import json
import select
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

GUARD_SECONDS = 60  # only against hanging; no check depends on it
PIECE = 65536


@dataclass(frozen=True)
class Answer:
    request: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def __str__(self) -> str:
        return f"{self.request} answered {self.status} {self.body[:200]!r}"

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        values = self.all(name)
        return values[0] if values else None

    @property
    def media_type(self) -> str:
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    def closes(self) -> bool:
        tokens = ",".join(self.all("connection")).lower().split(",")
        return "close" in (token.strip() for token in tokens)

    def json(self) -> Any:
        try:
            return json.loads(self.body.decode())
        except ValueError as error:
            raise AssertionError(f"{self}: the body is not JSON: {error}") from error


class Connection:
    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.sock = socket.create_connection(address, GUARD_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send until all is sent or the server answers or hangs up: it may refuse a body unread."""
        rest = memoryview(data)
        while rest:
            readable, writable, _ = select.select([self.sock], [self.sock], [], GUARD_SECONDS)
            if readable or not writable:
                return
            try:
                rest = rest[self.sock.send(rest[:PIECE]) :]
            except (BrokenPipeError, ConnectionResetError):
                return

    def stream(self, target: str, headers: Mapping[str, str]) -> Iterator[str]:
        """Ask with GET and give the lines of a 200 answer as they come."""
        self.head("GET", target, headers)
        response = http.client.HTTPResponse(self.sock, method="GET")
        try:
            response.begin()
            if response.status != 200:
                raise AssertionError(f"GET {target} answered {response.status}, want 200")
            while line := response.readline():
                yield line.decode()
        except http.client.HTTPException as error:
            raise ConnectionError(f"GET {target}: cut short: {error!r}") from error
        finally:
            response.close()

    def head(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        host = f"[{self.address[0]}]" if ":" in self.address[0] else self.address[0]
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}:{self.address[1]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def answer(self, request: str) -> Answer:
        """Read one answer; ConnectionError when the server hung up instead."""
        response = http.client.HTTPResponse(self.sock, method=request.split()[0])
        try:
            response.begin()
            return Answer(request, response.status, response.getheaders(), response.read())
        except http.client.HTTPException as error:
            raise ConnectionError(f"{request}: no HTTP answer: {error!r}") from error
        finally:
            response.close()

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        chunked: bool = False,
    ) -> Answer:
        framing = {}
        if chunked:
            framing = {"Transfer-Encoding": "chunked"}
        elif body is not None:
            framing = {"Content-Length": str(len(body))}
        self.head(method, target, {**framing, **(headers or {})})
        if body and chunked:
            pieces = (body[at : at + PIECE] for at in range(0, len(body), PIECE))
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            body += b"0\r\n\r\n"
        if body:
            self.send(body)
        return self.answer(f"{method} {target}")

    def closed(self, seconds: float) -> bool:
        """Whether the server hangs up; what it says before that is skipped."""
        self.sock.settimeout(seconds)
        try:
            while self.sock.recv(PIECE):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True
