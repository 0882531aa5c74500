"""Prometheus metrics, with the names and labels that every service of the platform has."""

from fastapi import APIRouter, Response
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from .version import SERVICE, VERSION

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)


class Metrics:
    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests being served.", registry=self.registry
        )
        self._requests = Counter(
            "http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._durations = Histogram(
            "http_request_duration_seconds",
            "Time from a request's headers to its answer's end.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        Gauge(
            "build_info", "The build that runs.", ["service", "version"], registry=self.registry
        ).labels(SERVICE, VERSION).set(1)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        # What a client may choose freely must not become a label: every value is a time series.
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._durations.labels(method, route).observe(seconds)


def metrics_router(metrics: Metrics) -> APIRouter:
    router = APIRouter()

    @router.api_route("/metrics", methods=["GET", "HEAD"])
    async def expose() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router
