"""Errors as application/problem+json (RFC 9457)."""

from collections.abc import Mapping
from http.client import responses
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    title: str
    status: int
    detail: str


# For the OpenAPI document: what every endpoint answers when something is wrong.
RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "Problem",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
}


def add_handlers(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code < 400:
            return await http_exception_handler(request, error)
        return problem(error.status_code, error.detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        wrong = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return problem(422, "; ".join(wrong))

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Response:
        return problem(500, "The reason is in the service's log.")


def problem(status: int, detail: Any, headers: Mapping[str, str] | None = None) -> Response:
    title = responses.get(status, "Error")
    members = detail if isinstance(detail, dict) else {"detail": str(detail)}
    body = {"title": title, "status": status, "detail": title} | members | {"status": status}
    return JSONResponse(body, status, headers, MEDIA_TYPE)
