"""Metrics: for whoever knows the token, by route and never by address."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from main import create_app
from models import Household
from services.permissions import Actor
from settings import Settings
from tests.conftest import HOUSEHOLD, NOW, ClientOf, RolledBack
from tests.factories import make_lot

TOKEN = "a token for the tests"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}


@pytest_asyncio.fixture
async def measured(
    rolled_back: RolledBack, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AsyncClient]:
    monkeypatch.setattr(config, "metrics_token", SecretStr(TOKEN))
    async with AsyncClient(transport=ASGITransport(create_app()), base_url="http://localhost") as client:
        yield client


async def test_there_are_no_metrics_unless_a_token_is_set(client_of: ClientOf) -> None:
    assert (
        await client_of(None).get("http://localhost/metrics", headers={"Authorization": "Bearer "})
    ).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
async def test_who_does_not_know_the_token_finds_nothing(measured: AsyncClient, headers: dict[str, str]) -> None:
    assert (await measured.get("/metrics", headers=headers)).status_code == 404


async def test_requests_are_counted_by_route(
    measured: AsyncClient, client_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    lot = await make_lot(session, alice)
    await session.commit()
    address = f"/api/v1/households/{HOUSEHOLD}/lots/{lot.id}"
    await measured.get(address, headers=dict(client_of(alice).headers))

    text = (await measured.get("/metrics", headers=SHOWN)).text

    assert 'route="/api/v1/households/{household_id}/lots/{lot_id}",status="200"' in text
    assert str(lot.id) not in text


async def test_a_household_that_was_not_swept_in_time_is_seen(measured: AsyncClient, session: AsyncSession) -> None:
    household = await session.get_one(Household, HOUSEHOLD)
    household.next_sweep_at = NOW - timedelta(hours=1)
    await session.commit()

    text = (await measured.get("/metrics", headers=SHOWN)).text

    assert "larder_households_late 2.0" in text or "larder_households_late 1.0" in text
