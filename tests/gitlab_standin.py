"""What the job template-update needs of GitLab: git over HTTP, and merge requests.

A push with the option merge_request.create opens a merge request for its branch, or changes
the one that is open, as GitLab documents it. The requests are kept beside the repository.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rendering import git

HOOK = f"""\
#!{sys.executable}
import json, os, pathlib, sys

count = int(os.environ["GIT_PUSH_OPTION_COUNT"])
options = [os.environ[f"GIT_PUSH_OPTION_{{n}}"] for n in range(count)]
pairs = [option.partition("=")[::2] for option in options]
given = {{name.removeprefix("merge_request."): value for name, value in pairs}}
state = pathlib.Path("merge-requests.json")
requests = json.loads(state.read_text())
for line in sys.stdin:
    branch = line.split()[2].removeprefix("refs/heads/")
    open_ones = [r for r in requests if r["source"] == branch and r["state"] == "opened"]
    if not open_ones and "create" in given:
        open_ones = [{{"source": branch, "state": "opened"}}]
        requests += open_ones
    for request in open_ones:
        request |= {{k: v for k, v in given.items() if k != "create"}}
    print("View merge request for", branch)
state.write_text(json.dumps(requests))
"""


class GitLab:
    """One project, reached with one token."""

    def __init__(
        self, directory: Path, service: Path, token: str, user: str = "template-update"
    ) -> None:
        self.repository = directory / "acme" / "payments.git"
        git(service, "clone", "--quiet", "--bare", ".", str(self.repository))
        git(self.repository, "config", "receive.advertisePushOptions", "true")
        git(self.repository, "config", "http.receivepack", "true")
        git(self.repository, "config", "uploadpack.allowAnySHA1InWant", "true")
        (self.repository / "hooks" / "post-receive").write_text(HOOK)
        (self.repository / "hooks" / "post-receive").chmod(0o755)
        (self.repository / "merge-requests.json").write_text("[]")
        authorization = b"Basic " + base64.b64encode(f"{user}:{token}".encode())
        answers = self.handler(directory, authorization)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def handler(self, root: Path, authorization: bytes) -> type[BaseHTTPRequestHandler]:
        return handler(root, authorization)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def merge_requests(self) -> list[dict[str, Any]]:
        state = self.repository / "merge-requests.json"
        requests: list[dict[str, Any]] = json.loads(state.read_text())
        return requests

    def checkout(self, place: Path) -> Path:
        """The workspace of a job, as a runner makes it."""
        git(place.parent, "clone", "--quiet", "--depth", "20", f"file://{self.repository}",
            str(place))  # fmt: skip
        git(place, "checkout", "--quiet", "--detach")
        return place


def handler(root: Path, authorization: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(b"")

        def do_POST(self) -> None:
            self.answer(self.body())

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def answer(self, body: bytes) -> None:
            if self.headers.get("Authorization", "").encode() != authorization:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="GitLab"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            done = subprocess.run(
                ["git", "http-backend"],
                input=body,
                capture_output=True,
                env=os.environ
                | {
                    "GIT_PROJECT_ROOT": str(root),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REMOTE_USER": "template-update",
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                },
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
