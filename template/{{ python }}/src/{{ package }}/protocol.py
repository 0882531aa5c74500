"""HTTP/1.1 with the time limits that uvicorn has no setting for."""

import asyncio
import sys
from collections.abc import Mapping
from enum import Enum, auto
from http import HTTPStatus
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from .middleware import CUT_SHORT, choose_request_id
from .problems import problem


class Phase(Enum):
    IDLE = auto()
    HEADERS = auto()
    EXCHANGE = auto()
    LAST_CALL = auto()


class LimitedProtocol(H11Protocol):
    """Cuts off a connection that takes too long over what it is doing.

    h11 and not httptools, because it is the parser that bounds the size of the headers.
    """

    seconds: ClassVar[Mapping[Phase, float]] = {
        Phase.IDLE: 60.0,
        Phase.HEADERS: 5.0,
        Phase.EXCHANGE: 15.0,
        Phase.LAST_CALL: 0.5,
    }

    _phase = Phase.IDLE
    _silent = True
    _timer: asyncio.TimerHandle | None = None
    _current: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._enter(Phase.HEADERS)

    def data_received(self, data: bytes) -> None:
        if self._phase in {Phase.IDLE, Phase.LAST_CALL}:
            self._enter(Phase.HEADERS)
        self._silent = False
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._follow()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Ends an idle connection; lets a request that is on its way arrive and be answered."""
        if self._silent:
            self._enter(Phase.LAST_CALL)
        elif self._phase is not Phase.HEADERS:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP; called while h11's error is being handled."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            # It is in the body of a request that has its answer already, or some of it.
            self.transport.close()
            return
        status = getattr(sys.exception(), "error_status_hint", HTTPStatus.BAD_REQUEST)
        answer = problem(status, msg)
        headers = [
            *answer.raw_headers,
            (b"x-request-id", choose_request_id(None).encode()),
            (b"connection", b"close"),
        ]
        for event in (
            h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event))
        self.transport.close()

    def _follow(self) -> None:
        """Notices that a request has begun, or that it is over: read in full, and answered."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None:
            return
        if not cycle.response_complete or self.conn.their_state is h11.SEND_BODY:
            if cycle is not self._current:
                self._current = cycle
                self._enter(Phase.EXCHANGE)
        elif self._phase is Phase.EXCHANGE:
            # The next request may have begun to arrive before this one was over.
            self._enter(Phase.HEADERS if self.conn.trailing_data[0] else Phase.IDLE)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(self.seconds[phase], self._cut_off)

    def _cut_off(self) -> None:
        # A body that is late is the client's fault, unless nobody has read what is here of it.
        awaits_body = self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused
        if self._phase is Phase.EXCHANGE and not awaits_body:
            cut_short = self.cycle.scope.get(CUT_SHORT)
            if callable(cut_short):
                cut_short(TimeoutError(f"no answer within {self.seconds[self._phase]:g} s"))
        self.transport.abort()
