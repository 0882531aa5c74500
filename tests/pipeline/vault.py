"""A stand-in for a KMS: the part of Vault that signs with a key which never leaves it."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lab.system import run

TOKEN = "hvs.S3cret"


class Vault:
    """Signs with one key, under one name, for whoever has the token."""

    def __init__(self, directory: Path, name: str) -> None:
        key, self.public = (directory / f"vault.{kind}" for kind in ("key", "pub"))
        curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        run(["openssl", "genpkey", *curve, "-out", key], what="openssl genpkey")
        run(["openssl", "pkey", "-in", key, "-pubout", "-out", self.public], what="openssl pkey")
        vault = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = {"name": "P-256", "public_key": vault.public.read_text()}
                self._answer(f"keys/{name}", {"latest_version": 1, "keys": {"1": found}})

            def do_PUT(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                digest = base64.b64decode(asked["input"])
                sign = ["openssl", "pkeyutl", "-sign", "-inkey", key]
                done = subprocess.run(sign, input=digest, capture_output=True, check=True)
                signature = f"vault:v1:{base64.b64encode(done.stdout).decode()}"
                self._answer(f"sign/{name}/sha2-256", {"signature": signature})

            def _answer(self, path: str, data: object) -> None:
                known = self.path == f"/v1/transit/{path}"
                allowed = known and self.headers["X-Vault-Token"] == TOKEN
                body = json.dumps({"data": data} if allowed else {"errors": ["permission denied"]})
                self.send_response(200 if allowed else 403)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
