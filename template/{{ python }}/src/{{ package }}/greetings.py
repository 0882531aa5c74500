"""The example endpoint. Replace it with the first thing that this service does."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

router = APIRouter(prefix="/v1", tags=["greetings"])


class Greeted(BaseModel):
    name: str = Field(min_length=1, max_length=100)


class Greeting(BaseModel):
    message: str


@router.post("/greetings")
async def greet(greeted: Greeted) -> Greeting:
    return Greeting(message=f"Hello, {greeted.name}!")
