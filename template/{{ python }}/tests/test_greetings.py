import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize("name", ["A", '<b> "Ada"', "🦊" * 100])
def test_greets(client: TestClient, name: str) -> None:
    answer = client.post("/v1/greetings", json={"name": name})
    assert (answer.status_code, answer.json()) == (200, {"message": f"Hello, {name}!"})


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 101}, {"name": 1}, []])
def test_refuses_a_bad_body(client: TestClient, body: object) -> None:
    answer = client.post("/v1/greetings", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Unprocessable Content"
