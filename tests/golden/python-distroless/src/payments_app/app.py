"""The application: its routes, and what lives as long as it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from service_platform.endpoints import TELEMETRY, add_platform
from service_platform.problems import RESPONSES

from . import greetings


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    # Open what the service needs, such as a pool of database connections.
    yield
    # Close it. No request is left by now.


app = FastAPI(
    title="payments",
    version="1.0.0",  # of the interface
    docs_url=None,  # these pages load scripts from elsewhere
    redoc_url=None,
    max_body_size=1024 * 1024,
    lifespan=lifespan,
    responses=RESPONSES,
    telemetry=TELEMETRY,
)
app.include_router(greetings.router)
add_platform(app)
