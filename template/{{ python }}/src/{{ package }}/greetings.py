"""The example endpoint. Replace it with the first thing that this service does."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, StringConstraints

from .bodies import json_body

router = APIRouter(prefix="/v1")


class GreetingRequest(BaseModel):
    name: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100)]


class Greeting(BaseModel):
    message: str


@router.post("/greetings")
async def greet(
    request: Annotated[GreetingRequest, Depends(json_body(GreetingRequest))],
) -> Greeting:
    return Greeting(message=f"Hello, {request.name}!")
