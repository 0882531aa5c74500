from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from payments_app.app import app


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Calls the application inside its lifespan, without a server."""
    with TestClient(app) as client:
        yield client
