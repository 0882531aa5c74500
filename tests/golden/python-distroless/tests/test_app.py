import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from payments_app.app import app

OPENAPI = Path(__file__).parents[1] / "openapi.json"


def test_openapi_json_is_up_to_date() -> None:
    assert json.loads(OPENAPI.read_text()) == app.openapi(), "run: make openapi"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/openapi.json"])
def test_answers_the_platform(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    answer = client.get("/nope")
    assert answer.json() == {"title": "Not Found", "status": 404, "detail": "Not Found"}
