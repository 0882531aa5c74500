"""Probes and metrics."""

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from . import problems

PATHS = frozenset({"/livez", "/readyz", "/metrics"})

# Traces are sent where the environment says, if it does. Metrics and logs have ways of their own.
TELEMETRY: TelemetryConfig = {
    "auto_configure": True,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "exclude": lambda scope: scope["path"] in PATHS,
}

router = APIRouter(include_in_schema=False)


def add_platform(app: FastAPI) -> None:
    """Gives the application its probes, its metrics and its problem documents."""
    app.state.draining = False
    app.include_router(router)
    problems.add_handlers(app)


@router.get("/livez")
async def livez() -> Response:
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    if request.app.state.draining:
        return PlainTextResponse("draining\n", 503)
    return PlainTextResponse("ok\n")


@router.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
