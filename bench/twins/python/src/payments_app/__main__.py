"""The endpoint on FastAPI and uvicorn alone, with the limit of a body that others have anyway."""

import os

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI(max_body_size=1024 * 1024)


class Greeted(BaseModel):
    name: str = Field(min_length=1, max_length=100)


class Greeting(BaseModel):
    message: str


@app.post("/v1/greetings")
async def greet(greeted: Greeted) -> Greeting:
    return Greeting(message=f"Hello, {greeted.name}!")


def main() -> None:
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ["PORT"]), access_log=False)


if __name__ == "__main__":
    main()
