from typing import Annotated

import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient

from payments_app.problems import add_problem_handlers


@pytest.mark.parametrize("path", ["/", "/livez/", "/docs", "/openapi.json", "/v1/greetings/1"])
def test_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"Accept": "text/html"}, follow_redirects=False)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()) == (
        404,
        {"title": "Not Found", "status": 404, "detail": "Nothing is served at this path."},
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/livez", {"GET", "HEAD"}),
        ("PROPFIND", "/metrics", {"GET", "HEAD"}),
        ("GET", "/v1/greetings", {"POST"}),
    ],
)
def test_method_not_allowed(client: TestClient, method: str, path: str, allowed: set[str]) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["title"]) == (405, "Method Not Allowed")
    assert answer.json()["detail"] == f"This path does not take {method} requests."
    assert set(answer.headers["allow"].split(", ")) == allowed


def test_what_fastapi_validates_is_a_bad_request() -> None:
    app = FastAPI()
    add_problem_handlers(app)

    @app.get("/pages")
    async def page(number: Annotated[int, Query(ge=1)]) -> int:
        return number

    answer = TestClient(app).get("/pages", params={"number": "0"})
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "title": "Bad Request",
            "status": 400,
            "detail": "query.number: Input should be greater than or equal to 1.",
        },
    )
