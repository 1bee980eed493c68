"""Every failure is told in one way, and no input is told as ours."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient

from main import MAX_BODY
from services.permissions import Actor
from tests.conftest import HOUSEHOLD, NOWHERE, ClientOf

LOTS = f"/households/{HOUSEHOLD}/lots"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", "/nothing/here", None, 404, "not_found"),
        ("GET", f"{LOTS}/{NOWHERE}", None, 404, "not_found"),
        ("GET", f"/households/{NOWHERE}/lots", None, 404, "not_found"),
        ("GET", "/households/home/lots", None, 404, "not_found"),
        ("PUT", LOTS, None, 405, "method_not_allowed"),
        ("POST", LOTS, b"{", 400, "bad_request"),
        ("POST", LOTS, b"", 422, "invalid_input"),
        ("POST", LOTS, b"null", 422, "invalid_input"),
        ("POST", LOTS, b"[]", 422, "invalid_input"),
        ("POST", LOTS, b'"lot"', 422, "invalid_input"),
        ("POST", LOTS, b'{"product": {"name": "\xff"}}', 400, "bad_request"),
        ("POST", LOTS, b'{"quantity": NaN, "product": {"name": "Milk"}}', 422, "invalid_input"),
        ("POST", LOTS, b'{"quantity": 1e400, "product": {"name": "Milk"}}', 422, "invalid_input"),
        ("POST", LOTS, b"[" * 100_000, 400, "bad_request"),
        ("POST", LOTS, b" " * (MAX_BODY + 1), 413, "too_large"),
        ("PATCH", f"{LOTS}/{NOWHERE}", b"{}", 404, "not_found"),
        ("PATCH", f"{LOTS}/lot", b"{}", 422, "invalid_input"),
    ],
)
async def test_a_failure_is_a_problem_document(
    client: AsyncClient, method: str, path: str, content: bytes | None, status: int, code: str
) -> None:
    response = await client.request(method, path, content=content, headers=JSON)

    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert list(problem) == ["type", "title", "status", "code", "detail", "request_id", "errors"]
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"]
    assert problem["request_id"] == response.headers["x-request-id"]


async def test_a_body_is_counted_when_its_length_is_not_told(client: AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    assert (await client.post(LOTS, content=chunks(), headers=JSON)).status_code == 413


async def test_a_form_is_not_json(client: AsyncClient) -> None:
    response = await client.post(LOTS, data={"quantity": "1"})

    assert response.status_code == 422


async def test_every_field_that_is_wrong_has_its_entry(client: AsyncClient) -> None:
    response = await client.post(LOTS, json={"product": {"name": ""}, "quantity": -1, "price": "free", "store": 7})

    named = {error["field"]: error["message"] for error in response.json()["errors"]}
    assert set(named) == {"product.name", "quantity", "price", "store"}
    assert named["quantity"] == "Enter more than 0."
    assert named["product.name"] == "This is needed."


async def test_problems_speak_the_readers_language_of_words_not_of_types(client: AsyncClient) -> None:
    response = await client.post(LOTS, json={"product": {"name": "Milk"}, "date_kind": "x", "expires_on": 5})

    told = " ".join(error["message"] for error in response.json()["errors"])
    for jargon in ("Input should", "valid", "str", "enum", "parsing"):
        assert jargon not in told


async def test_every_response_has_an_id_of_its_own(client: AsyncClient) -> None:
    ids = {(await client.get(path)).headers["x-request-id"] for path in (LOTS, LOTS, "/nothing")}

    assert len(ids) == 3


@pytest.mark.parametrize(
    "path",
    [
        f"{LOTS}/%00",
        f"{LOTS}/../../../../etc/passwd",
        f"{LOTS}/{'9' * 5000}",
        f"{LOTS}/%FF%FE",
        f"{LOTS}/{NOWHERE}/consume/../undo",
        f"{LOTS}?limit=1&limit=2&after=%00",
        f"{LOTS}?q=%ED%A0%80",
        f"{LOTS}?total=%F0%9F%8D%8E",
    ],
)
async def test_strange_addresses_are_no_fault_of_ours(client: AsyncClient, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "PATCH"):
        assert (await client.request(method, path)).status_code < 500


ODD: list[Any] = [
    None,
    True,
    -1,
    2**70,
    1.5e308,
    "",
    "NaN",
    "\x00",
    "\ud800",
    "x" * 9_999,
    [],
    [[]],
    {},
    {"a": {}},
    "0001-01-01",
    "9999-12-31",
    "'; DROP TABLE lot; --",
    "{{ 7 * 7 }}",
    str(NOWHERE),
]


async def test_no_body_of_any_route_is_answered_by_a_500(client: AsyncClient) -> None:
    schema = (await client.get("http://localhost/api/openapi.json")).json()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            model = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if model is None or path == "/api/v1/auth/login":  # hashes for each
                continue
            known = path.replace("{household_id}", str(HOUSEHOLD))
            address = re.sub(r"{\w+}", str(NOWHERE), known)
            names = fields_of(model, schema)
            for odd in ODD:
                for body in (odd, dict.fromkeys(names, odd)):
                    response = await client.request(
                        method.upper(), f"http://localhost{address}", content=json.dumps(body), headers=JSON
                    )
                    assert response.status_code < 500, (method, path, body, response.text)


def fields_of(model: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """The fields of a body, also of one that may be absent."""
    names: set[str] = set(model.get("properties", {}))
    for part in (model, *model.get("anyOf", [])):
        if "$ref" in part:
            names |= fields_of(schema["components"]["schemas"][part["$ref"].rpartition("/")[2]], schema)
    return names


async def test_every_failure_of_a_page_is_a_page(browser_of: ClientOf, alice: Actor) -> None:
    browser = browser_of(alice)
    for path, status in ((f"/stock/lots/{NOWHERE}", 404), ("/stock/lots/x", 404), ("/nowhere", 404)):
        response = await browser.get(path)
        assert response.status_code == status
        assert response.headers["content-type"].startswith("text/html")
        assert "</html>" in response.text
    assert (await browser.put("/stock")).status_code == 405
