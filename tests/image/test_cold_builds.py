"""A build without a cache and, where it compiles, without a network gives the same image."""

from __future__ import annotations

import pytest
from services import IMAGES, Service

from lab import Lab, LabError
from rendering import COMBINATIONS, Render

LANGUAGES = list(dict.fromkeys(c["language"] for c in COMBINATIONS.values()))
# The RUN that compiles must not need a network; the one that fetches does.
COMPILE = {
    "go": "go build",
    "rust": "cargo build",
    "java": "mvnw --offline",
    "python": "uv build",
    "node": "tsc|run build|--offline",
}
FETCH = {
    "go": "go mod download",
    "rust": "cargo fetch",
    "java": "dependency:resolve",
    "python": "pip install",
    "node": "npm ci",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_cold_builds_agree(language: str, lab: Lab, render: Render) -> None:
    """The shared daemon built at another time, from what it had; the cold one has nothing."""
    services = [
        Service(lab, render(**COMBINATIONS[name]), COMBINATIONS[name])
        for name in IMAGES
        if COMBINATIONS[name]["language"] == language
    ]
    shared = [service.build("release", reproducible=True).digest for service in services]
    with lab.cold():
        cold = [
            service.build("release", reproducible=True, no_network=COMPILE[language]).digest
            for service in services
        ]
    assert cold == shared


@pytest.mark.parametrize("language", LANGUAGES)
def test_fetching_needs_the_network(language: str, lab: Lab, render: Render) -> None:
    """The network really is away where it is taken."""
    answers = next(c for c in COMBINATIONS.values() if c["language"] == language)
    service = Service(lab, render(**answers), answers)
    with pytest.raises(LabError):
        service.build("builder", no_network=FETCH[language])


@pytest.mark.parametrize("language", LANGUAGES)
def test_kaniko_builds_agree(language: str, kaniko: str, lab: Lab, render: Render) -> None:
    """Kaniko without a cache, twice; the bases of a language differ in what is copied only."""
    answers = next(c for c in COMBINATIONS.values() if c["language"] == language)
    service = Service(lab, render(**answers), answers)
    first, second = (service.build("release", builder=kaniko, reproducible=True) for _ in range(2))
    assert first.digest == second.digest


def test_another_source_is_another_digest(lab: Lab, scaffold: Render) -> None:
    """The comparison above can fail."""
    answers = COMBINATIONS["go-scratch"]
    service = Service(lab, scaffold(**answers), answers)
    before = service.build("release", reproducible=True).digest
    path = service.directory / "cmd/payments/main.go"
    path.write_text(path.read_text() + "\nfunc init() { println() }\n")
    assert service.build("release", reproducible=True).digest != before
