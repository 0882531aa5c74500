from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from payments_app.app import app
from payments_app.settings import Settings, load_settings

# What the tests run with; a setting that is required belongs here, too.
ENVIRONMENT: dict[str, str] = {}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No setting is set but those of ENVIRONMENT and a test's own, and no argument is given."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["payments"])
    load_settings.cache_clear()
    return monkeypatch


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Calls the application inside its lifespan, without a server."""
    with TestClient(app) as client:
        yield client
