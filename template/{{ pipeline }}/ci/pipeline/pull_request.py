"""Open a pull request on GitHub, or renew the one that is open for its branch.

watch.py asks GitHub with the functions of this file.

usage: pull_request.py OWNER/NAME BRANCH TARGET TITLE DESCRIPTION

The token is in GIT_TOKEN, and the API's address in GITHUB_API_URL. Python is what an image
with Copier has, and GitHub's runners: the standard library will do.
"""

from __future__ import annotations

import json
import os
import sys
from http import HTTPStatus
from typing import Any
from urllib import error, parse, request


class _Stay(request.HTTPRedirectHandler):
    """Go nowhere else: the token is for this server."""

    def redirect_request(self, *_: Any) -> None:
        return None


def ask(method: str, path: str, body: dict[str, str] | None = None) -> Any:
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {os.environ['GIT_TOKEN']}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    data = None if body is None else json.dumps(body).encode()
    asked = request.Request(f"{os.environ['GITHUB_API_URL']}/{path}", data, headers, method=method)
    with request.build_opener(_Stay).open(asked, timeout=60) as answer:
        return json.load(answer) if answer.status != HTTPStatus.NO_CONTENT else None


def reason(refusal: error.HTTPError) -> str:
    """Take what GitHub says out of its answer: a message, and what is wrong with each field."""
    try:
        said = json.load(refusal)
        details = [item.get("message") or item.get("field") for item in said.get("errors", [])]
        return ": ".join(str(text) for text in [said["message"], *details] if text)
    except (ValueError, KeyError, AttributeError, TypeError):
        return str(refusal.reason)


def main(repository: str, branch: str, target: str, title: str, description: str) -> int:
    pulls = f"repos/{repository}/pulls"
    head = f"{repository.partition('/')[0]}:{branch}"
    query = parse.urlencode({"state": "open", "head": head, "base": target})
    text = {"title": title, "body": description}
    try:
        found = ask("GET", f"{pulls}?{query}")
        if found:
            opened = ask("PATCH", f"{pulls}/{found[0]['number']}", text)
        else:
            opened = ask("POST", pulls, {**text, "head": branch, "base": target})
        print(f"View pull request for {branch}: {opened['html_url']}")
    except error.HTTPError as refusal:
        print(f"GitHub answers {refusal.code} to {refusal.url}: {reason(refusal)}", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, TypeError) as fault:
        print(f"{os.environ['GITHUB_API_URL']} does not answer as GitHub does: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
