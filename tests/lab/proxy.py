"""A proxy that is every host itself: what is asked through it gets answers from here, with TLS."""

from __future__ import annotations

import contextlib
import ssl
from http.server import BaseHTTPRequestHandler
from typing import Any


class Proxy(BaseHTTPRequestHandler):
    """Serves a client, and inside a tunnel the host that it has asked for."""

    protocol_version = "HTTP/1.1"
    context: ssl.SSLContext
    # The host of the tunnel; empty outside of one.
    host = ""

    def log_message(self, *_: Any) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        host = self.path.removesuffix(":443")
        # A client that does not trust the certificate, or has what it wants, goes away.
        with (
            contextlib.suppress(OSError),
            self.context.wrap_socket(self.connection, server_side=True) as tunnel,
        ):
            type("Host", (type(self),), {"host": host})(tunnel, self.client_address, self.server)

    def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
