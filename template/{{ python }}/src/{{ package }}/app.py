"""The application: every endpoint, and what holds around all of them."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from .greetings import router as greetings_router
from .lifecycle import Lifecycle
from .metrics import Metrics, metrics_router
from .middleware import LimitRequests, ObserveRequests
from .probes import probes_router
from .problems import add_problem_handlers


def create_app(lifecycle: Lifecycle) -> ASGIApp:
    metrics = Metrics()
    api = FastAPI(
        # No documentation pages: they load scripts from elsewhere. No exporter that another
        # environment variable could switch on.
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"auto_configure": False},
    )
    add_problem_handlers(api)
    api.include_router(probes_router(lifecycle))
    api.include_router(metrics_router(metrics))
    api.include_router(greetings_router)
    return ObserveRequests(LimitRequests(api), lifecycle, metrics)
