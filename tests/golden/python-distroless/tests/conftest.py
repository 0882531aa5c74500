import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient

from payments_app.app import create_app
from payments_app.config import Config
from payments_app.lifecycle import Lifecycle
from payments_app.logs import configure_logging

from .support import ReadLog


@pytest.fixture(autouse=True)
def default_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable is set but those that a test sets itself."""
    for field in Config.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)


@pytest.fixture(autouse=True)
def read_log(capsys: pytest.CaptureFixture[str]) -> Iterator[ReadLog]:
    """Reads the lines that were logged since the last call, at every level."""
    configure_logging("debug")

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    yield read
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()


@pytest.fixture
def lifecycle() -> Lifecycle:
    return Lifecycle()


@pytest.fixture
def client(lifecycle: Lifecycle) -> TestClient:
    return TestClient(create_app(lifecycle))
