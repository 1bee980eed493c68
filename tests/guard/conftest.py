"""People from somewhere: the cast of the other tests is on this machine, which no limit of addresses is for."""

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from auth import COOKIE
from models import TokenKind
from services.guard import Doorkeeper
from services.permissions import Actor
from tests.conftest import token_of

SOMEWHERE = "198.51.100.7"
ELSEWHERE = "203.0.113.9"

From = Callable[..., AsyncClient]


@pytest.fixture
def keeper(app: FastAPI) -> Doorkeeper:
    found: Doorkeeper = app.state.keeper
    return found


@pytest_asyncio.fixture
async def client_from(app: FastAPI) -> AsyncIterator[From]:
    """A client at an address; as one of the cast, with a bearer token, or with a cookie like a browser's."""
    clients: list[AsyncClient] = []

    def make(address: str = SOMEWHERE, actor: Actor | None = None, *, browser: bool = False) -> AsyncClient:
        headers = {"Sec-Fetch-Site": "same-origin"} if browser else {}
        if actor and not browser:
            headers["Authorization"] = f"Bearer {token_of(actor, TokenKind.ACCESS)}"
        client = AsyncClient(
            transport=ASGITransport(app, client=(address, 5000)), base_url="http://localhost", headers=headers
        )
        if actor and browser:
            client.cookies.set(COOKIE, token_of(actor, TokenKind.COOKIE))
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()
