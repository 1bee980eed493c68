"""The description of the API is complete and true."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from main import create_app
from routes import api
from routes.table import list_routes
from settings import Environment, Settings

DOCUMENTED = "http://localhost/api/openapi.json"


@pytest.fixture
async def schema(client: AsyncClient) -> dict[str, Any]:
    return dict((await client.get(DOCUMENTED)).json())


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation) for path, methods in schema["paths"].items() for method, operation in methods.items()
    ]


async def test_every_route_of_the_api_is_in_it(schema: dict[str, Any]) -> None:
    routes = {
        (route.path.replace(":path}", "}"), method.lower())
        for router in api.ROUTERS
        for route in list_routes(router)
        for method in route.methods
    }

    assert routes <= {(path, method) for path, method, _operation in operations(schema)}


async def test_every_operation_says_what_it_does_and_what_can_go_wrong(schema: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _path, _method, operation in operations(schema)]
    assert len(ids) == len(set(ids))
    for path, method, operation in operations(schema):
        if not path.startswith("/api/v1"):
            continue
        where = f"{method.upper()} {path}"
        assert operation.get("description"), where
        failures = {status for status in operation["responses"] if status >= "400"}
        assert failures, where
        if "{household_id}" in path:
            assert {"401", "403", "404", "422"} <= failures, where
        for status in failures:
            content = operation["responses"][status]["content"]
            assert set(content) == {"application/problem+json"}, where


async def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    names = set(re.findall(r"#/components/schemas/([\w\[\], ]+)", str(schema)))

    assert names <= set(schema["components"]["schemas"])


async def test_signing_in_is_described(schema: dict[str, Any]) -> None:
    assert {"HTTPBearer", "APIKeyCookie"} <= set(schema["components"]["securitySchemes"])
    assert schema["paths"]["/api/v1/users/me"]["get"]["security"]


async def test_the_page_shows_it_with_our_own_assets(app: FastAPI, client: AsyncClient) -> None:
    page = await client.get("http://localhost/api/docs")

    assert page.status_code == 200
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page.text)
    for asset in re.findall(r"""(?:src|href)=["'](/static/[^"'#]+)""", page.text):
        assert (await client.get(f"http://localhost{asset}")).status_code == 200, asset


@pytest.mark.parametrize(("api_docs", "status"), [(None, 404), (False, 404), (True, 200)])
async def test_production_shows_it_only_when_asked_to(
    client: AsyncClient, config: Settings, monkeypatch: pytest.MonkeyPatch, api_docs: bool | None, status: int
) -> None:
    monkeypatch.setattr(config, "environment", Environment.PRODUCTION)
    monkeypatch.setattr(config, "api_docs", api_docs)
    client._transport.app = create_app()  # type: ignore[attr-defined]

    assert (await client.get(DOCUMENTED)).status_code == status
    assert (await client.get("http://localhost/api/docs")).status_code == status
