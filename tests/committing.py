"""Larder with sessions that commit, on connections of their own, and somebody new who talks to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from db import get_database, session_scope, use_database
from main import create_app
from services import seeding
from settings import Settings
from tests.conftest import PASSWORD
from tests.servers import using


@asynccontextmanager
async def committing(config: Settings) -> AsyncIterator[None]:
    """With these settings, on a migrated database that no other test uses at the same time."""
    with using(config):
        use_database(None)
        yield
        await get_database().dispose()
        use_database(None)


@asynccontextmanager
async def committing_app(config: Settings) -> AsyncIterator[FastAPI]:
    async with committing(config):
        async with session_scope() as session:
            await seeding.seed_words(session)
        yield create_app()


@asynccontextmanager
async def newcomer(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client of somebody who has just registered, with addresses below their household."""
    base_url = "http://localhost/api/v1/"
    async with AsyncClient(transport=ASGITransport(app), base_url=base_url, timeout=120) as client:
        who = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
        await client.post("auth/register", json={**who, "name": "Ann"})
        token = (await client.post("auth/login", json=who)).json()["access_token"]
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
        (home,) = (await client.get("households")).json()["items"]
        client.base_url = client.base_url.join(f"households/{home['id']}/")
        yield client
