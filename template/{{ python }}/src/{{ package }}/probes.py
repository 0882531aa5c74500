"""What the orchestrator asks: is the process alive, and should it get requests?"""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from .lifecycle import Lifecycle


def probes_router(lifecycle: Lifecycle) -> APIRouter:
    router = APIRouter()

    @router.api_route("/livez", methods=["GET", "HEAD"])
    async def livez() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @router.api_route("/readyz", methods=["GET", "HEAD"])
    async def readyz() -> PlainTextResponse:
        if lifecycle.draining:
            return PlainTextResponse("draining\n", 503)
        return PlainTextResponse("ok\n")

    return router
