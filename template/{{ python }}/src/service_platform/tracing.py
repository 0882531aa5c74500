"""OpenTelemetry by its own environment variables."""

import os
from importlib.metadata import entry_points
from urllib.parse import quote


def configure(service: str, version: str) -> None:
    """Names the service in its spans, and turns on what instrumentation is installed."""
    attributes = [f"service.name={service}", f"service.version={quote(version)}"]
    attributes += filter(None, [os.environ.get("OTEL_RESOURCE_ATTRIBUTES")])
    os.environ["OTEL_RESOURCE_ATTRIBUTES"] = ",".join(attributes)
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        for instrumentor in entry_points(group="opentelemetry_instrumentor"):
            instrumentor.load()().instrument()
