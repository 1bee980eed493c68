"""An app whose sessions commit, on connections of their own, and somebody new who talks to it: for tests of races."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

import settings as settings_module
from db import get_database, session_scope, use_database
from main import create_app
from services import seeding
from settings import Settings


@asynccontextmanager
async def committing_app(config: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    """On a migrated database that no other test uses at the same time."""
    monkeypatch.setattr(settings_module, "Settings", lambda: config)
    settings_module.get_settings.cache_clear()
    use_database(None)
    async with session_scope() as session:
        await seeding.seed_words(session)
    yield create_app()
    await get_database().dispose()
    use_database(None)
    settings_module.get_settings.cache_clear()


@asynccontextmanager
async def newcomer(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client of somebody who has just registered, with addresses below their household."""
    base_url = "http://localhost/api/v1/"
    async with AsyncClient(transport=ASGITransport(app), base_url=base_url, timeout=120) as client:
        who = {"email": f"{uuid4().hex}@example.com", "password": "correct horse 7"}
        await client.post("auth/register", json={**who, "name": "Ann"})
        token = (await client.post("auth/login", json=who)).json()["access_token"]
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
        (home,) = (await client.get("households")).json()["items"]
        client.base_url = client.base_url.join(f"households/{home['id']}/")
        yield client
