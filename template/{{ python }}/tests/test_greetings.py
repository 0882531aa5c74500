import json

import pytest
from fastapi.testclient import TestClient

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"name":"Ada"}', "Ada"),
        ('{"name":"Ada","title":null}', "Ada"),
        ('{"name":"<b> \\"Ada\\""}', '<b> "Ada"'),
        (json.dumps({"name": "🦊" * 100}), "🦊" * 100),
    ],
)
def test_greets(client: TestClient, body: str, name: str) -> None:
    answer = client.post("/v1/greetings", content=body.encode(), headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {"message": f"Hello, {name}!"})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name":"Ada"} x',
        b'{"name":"Ada",}',
        b'{"name":"Ada","n":NaN}',
        b'{"name":"\xff"}',
        b'{"name":"\\ud800"}',
        '{"name":"Ada"}'.encode("utf-16"),
        b"[" * 100_000,
        b"[]",
        b"null",
        b"{}",
        b'{"name":null}',
        b'{"name":1}',
        b'{"name":""}',
        b'{"name":"%s"}' % (b"x" * 101),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_refuses_a_bad_body(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/greetings", content=body, headers=JSON)
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content.pop("detail").endswith(".")
    assert content == {"title": "Bad Request", "status": 400}


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_takes_json(client: TestClient, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    answer = client.post("/v1/greetings", content=b'{"name":"Ada"}', headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("media_type", [None, "", "text/plain", "application/jsonl"])
def test_refuses_other_media_types(client: TestClient, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    answer = client.post("/v1/greetings", content=b'{"name":"Ada"}', headers=headers)
    assert (answer.status_code, answer.json()["title"]) == (415, "Unsupported Media Type")
