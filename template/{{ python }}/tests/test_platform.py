from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from service_platform.endpoints import add_platform
from service_platform.observe import Observe


def test_a_route_has_the_prefixes_of_all_its_routers() -> None:
    router = APIRouter(prefix="/things")

    @router.get("/{name}")
    async def read(name: str) -> str:
        return name

    app = FastAPI()
    app.include_router(router, prefix="/v1")
    add_platform(app)
    client = TestClient(Observe(app))
    assert client.get("/v1/things/a").status_code == 200
    assert 'http_route="/v1/things/{name}"' in client.get("/metrics").text
