"""What the jobs need of GitHub: git over HTTP, pull requests, and a run that starts another."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gitlab_standin import GitLab, handler
from rendering import git


class GitHub(GitLab):
    """One repository, reached with one token; a push opens nothing here."""

    def __init__(self, directory: Path, service: Path, token: str) -> None:
        self.token = token
        # What the API answers to a request that would change something, in place of doing it.
        self.refusal: tuple[int, dict[str, Any]] | None = None
        # The runs that were asked for: a workflow, and what it was given.
        self.dispatched: list[tuple[str, dict[str, Any]]] = []
        super().__init__(directory, service, token, user="x-access-token")
        (self.repository / "hooks" / "post-receive").unlink()
        git(self.repository, "config", "receive.advertisePushOptions", "false")

    def handler(self, root: Path, authorization: bytes) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(handler(root, authorization)):  # type: ignore[misc]
            def do_GET(self) -> None:
                self.api() if self.path.startswith("/api/") else super().do_GET()

            def do_POST(self) -> None:
                self.api() if self.path.startswith("/api/") else super().do_POST()

            def do_PATCH(self) -> None:
                self.api()

            def api(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(size)) if size else {}
                if self.headers.get("Authorization") != f"Bearer {hub.token}":
                    code, answer = 401, {"message": "Bad credentials"}
                elif "/actions/workflows/" in self.path:
                    workflow = self.path.partition("/repos/acme/payments/actions/workflows/")[2]
                    hub.dispatched.append((workflow, body))
                    code, answer = 204, {}
                else:
                    code, answer = hub.pulls(self.command, self.path, body)
                data = json.dumps(answer).encode() if code != 204 else b""
                self.send_response(code)
                if code == 301:
                    self.send_header("Location", answer["url"])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        return Handler

    def pulls(self, method: str, address: str, body: dict[str, Any]) -> tuple[int, Any]:
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        if self.refusal and (method != "GET" or self.refusal[0] == 301):
            return self.refusal
        known = self.merge_requests
        place = "/api/v3/repos/acme/payments/pulls"
        if (method, path) == ("GET", place):
            asked = {name: values[0] for name, values in query.items()}
            assert asked["state"] == "open"
            return 200, [
                self._told(number, each)
                for number, each in enumerate(known)
                if f"acme:{each['source']}" == asked["head"] and each["target"] == asked["base"]
            ]
        if (method, path) == ("POST", place):
            git(self.repository, "rev-parse", "--verify", f"refs/heads/{body['head']}")
            known.append({"source": body["head"], "target": body["base"], "state": "opened"})
            number = len(known) - 1
        elif method == "PATCH" and path.startswith(f"{place}/"):
            number = int(path.rpartition("/")[2])
        else:
            return 404, {"message": "Not Found"}
        known[number] |= {"title": body["title"], "description": body["body"]}
        (self.repository / "merge-requests.json").write_text(json.dumps(known))
        return 200 if method == "PATCH" else 201, self._told(number, known[number])

    def _told(self, number: int, pull: dict[str, Any]) -> dict[str, Any]:
        return {"number": number, "html_url": f"{self.url}/acme/payments/pull/{number}"} | pull
