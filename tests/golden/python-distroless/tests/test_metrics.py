import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from payments_app.metrics import BUCKETS
from payments_app.version import SERVICE, VERSION

type Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: TestClient) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def count(samples: Samples, method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return samples.get(("http_requests_total", frozenset(labels.items())), 0)


def test_format(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\n# TYPE http_requests_total counter\n" in answer.text
    assert "_created" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "label", "route", "status"),
    [
        ("GET", "/livez", "GET", "/livez", 200),
        ("GET", "/v1/greetings?page=2", "GET", "/v1/greetings", 405),
        ("PROPFIND", "/livez", "other", "/livez", 405),
        ("GET", "/users/17", "GET", "unmatched", 404),
    ],
)
def test_requests_are_counted(  # noqa: PLR0913, PLR0917
    client: TestClient, method: str, path: str, label: str, route: str, status: int
) -> None:
    client.request(method, path)
    client.request(method, path)
    samples = scrape(client)
    assert count(samples, label, route, status) == 2
    labels = frozenset({"method": label, "route": route}.items())
    assert samples["http_request_duration_seconds_count", labels] == 2


def test_buckets(client: TestClient) -> None:
    client.get("/livez")
    bounds = {
        float(dict(labels)["le"])
        for name, labels in scrape(client)
        if name == "http_request_duration_seconds_bucket"
    }
    assert bounds == {*BUCKETS, float("inf")}


def test_gauges(client: TestClient) -> None:
    client.get("/livez")
    samples = scrape(client)
    build = frozenset({"service": SERVICE, "version": VERSION}.items())
    assert samples["build_info", build] == 1
    assert samples["http_requests_in_flight", frozenset()] == 1
    assert ("process_resident_memory_bytes", frozenset()) in samples
