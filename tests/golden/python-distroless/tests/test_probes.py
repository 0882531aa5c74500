import pytest
from fastapi.testclient import TestClient

from payments_app.lifecycle import Lifecycle


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.parametrize(("method", "body"), [("GET", "ok\n"), ("HEAD", "")])
def test_well(client: TestClient, path: str, method: str, body: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.text) == (200, body)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "connection" not in answer.headers


def test_draining(client: TestClient, lifecycle: Lifecycle) -> None:
    lifecycle.draining = True
    ready, live = client.get("/readyz"), client.get("/livez")
    assert (ready.status_code, ready.text) == (503, "draining\n")
    assert (live.status_code, live.text) == (200, "ok\n")
    assert ready.headers["connection"] == live.headers["connection"] == "close"
