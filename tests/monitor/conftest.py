"""The app with its monitor on, and routes that go wrong."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from main import create_app
from routes.deps import SessionDep
from services.monitor import Recorder
from services.permissions import Actor
from settings import Settings
from tests.conftest import ClientOf, RolledBack, client_as

EMAIL = "alice@example.com"


@pytest.fixture
def watched(rolled_back: RolledBack, config: Settings, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(config, "monitor_enabled", True)
    app = create_app()
    add_doors(app)
    return app


def add_doors(app: FastAPI) -> None:
    """Before all others."""
    before = len(app.router.routes)

    @app.get("/boom/{number}", name="boom")
    async def boom(number: int) -> None:
        raise ValueError(f"secret {number} of {EMAIL}")

    @app.get("/late", name="late")
    async def late() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            raise RuntimeError("too late")

        return StreamingResponse(parts(), media_type="text/plain")

    @app.get("/stream", name="stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 1000 + b"\n"

        return StreamingResponse(parts(), media_type="text/plain")

    @app.post("/echo", name="echo")
    async def echo(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    @app.get("/again", name="again")
    async def again(session: SessionDep) -> None:
        for number in range(7):
            await session.execute(sa.text('SELECT name FROM "user" WHERE name = :name'), {"name": str(number)})

    routes = app.router.routes
    routes[:] = routes[before:] + routes[:before]


@pytest.fixture
def recorder(watched: FastAPI) -> Recorder:
    found: Recorder = watched.state.recorder
    return found


@pytest.fixture
def as_(watched: FastAPI) -> ClientOf:
    """A client of one of the cast or of nobody; `is_browser=True` comes with a cookie."""

    def as_(actor: Actor | None = None, **options: Any) -> AsyncClient:
        return client_as(watched, actor, raise_app_exceptions=False, **options)

    return as_


async def everything_in(session: AsyncSession, *tables: str) -> str:
    """All that some tables hold, as text."""
    found: list[Any] = []
    for table in tables:
        found += (await session.execute(sa.text(f"SELECT * FROM {table}"))).all()
    return "\n".join(map(str, found))
