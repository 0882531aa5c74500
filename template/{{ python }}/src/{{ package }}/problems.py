"""Error answers: application/problem+json (RFC 9457), never a library's own page."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

# Where an exception travels, in the ASGI scope, from here to the request's log line.
FAULT = "service.fault"


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> ProblemResponse:
    title = HTTPStatus(status).phrase
    content = {"title": title, "status": status, "detail": detail}
    return ProblemResponse(content, status, headers)


def internal_server_error() -> ProblemResponse:
    return problem(500, "The service failed to answer; its log says why.")


def add_problem_handlers(app: FastAPI) -> None:
    app.exception_handler(HTTPException)(_http_exception)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(ClientDisconnect)(_client_disconnect)
    app.exception_handler(Exception)(_exception)


async def _http_exception(request: Request, error: HTTPException) -> ProblemResponse:
    match error.status_code:
        case 404 if error.detail == HTTPStatus.NOT_FOUND.phrase:
            detail = "Nothing is served at this path."
        case 405:
            detail = f"This path does not take {request.method} requests."
        case _:
            detail = error.detail
    return problem(error.status_code, detail, error.headers)


async def _validation_error(_request: Request, error: RequestValidationError) -> ProblemResponse:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return problem(400, f"{where}: {first['msg']}.")


async def _client_disconnect(_request: Request, _error: ClientDisconnect) -> ProblemResponse:
    return problem(400, "The request ended before its body did.")


async def _exception(request: Request, error: Exception) -> ProblemResponse:
    request.scope[FAULT] = error
    return internal_server_error()
