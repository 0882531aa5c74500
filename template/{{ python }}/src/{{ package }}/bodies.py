"""Strict reading of JSON request bodies."""

from collections.abc import Awaitable, Callable

import pydantic_core
from fastapi import HTTPException, Request
from pydantic import BaseModel, ValidationError


def json_body[Model: BaseModel](model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """A dependency that reads the body as `model`, or answers 400 or 415.

    FastAPI's own parsing goes through json.loads, which takes NaN, UTF-16 and lone surrogates.
    """

    async def read(request: Request) -> Model:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise HTTPException(415, "The body's media type must be application/json.")
        try:
            content = pydantic_core.from_json(await request.body(), allow_inf_nan=False)
        except ValueError as error:
            raise HTTPException(400, f"The body is not valid JSON: {error}.") from None
        if not isinstance(content, dict):
            raise HTTPException(400, "The body must be a JSON object.")
        try:
            return model.model_validate(content)
        except ValidationError as error:
            raise HTTPException(400, _detail(error)) from None

    return read


def _detail(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f'The member "{where}" is wrong: {first["msg"]}.'
