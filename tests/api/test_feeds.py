"""The calendar feed: a secret address that calendars fetch."""

from datetime import date, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from icalendar import Calendar
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, update
from structlog.testing import CapturingLogger

from models import DateKind, User
from routes.middleware import request_id
from services import households, preferences, stock
from services.permissions import Actor
from services.schemas.stock import LotConsume
from tests.conftest import TODAY, ClientOf
from tests.factories import make_lot

FEED = "/users/me/feed"


async def start(client: AsyncClient) -> str:
    made = await client.post(FEED)
    assert made.status_code == 201, made.text
    return str(made.json()["url"])


def events_of(content: bytes) -> dict[str, Any]:
    return {str(event["SUMMARY"]): event for event in Calendar.from_ical(content).walk("VEVENT")}


async def test_a_feed_shows_what_is_due_when(
    client: AsyncClient, client_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    tomorrow = TODAY + timedelta(days=1)
    milk = await make_lot(session, alice, product="Milk", expires_on=tomorrow, date_kind=DateKind.USE_BY)
    await make_lot(session, alice, product="Bread", expires_on=TODAY, date_kind=DateKind.BEST_BEFORE)
    await make_lot(session, alice, product="Salt", date_kind=DateKind.NONE)
    used = await make_lot(session, alice, product="Eggs", expires_on=TODAY)
    await stock.consume(session, alice, used.id, LotConsume())
    muted = await make_lot(session, alice, product="Yeast", expires_on=TODAY)
    await preferences.mute(session, alice, muted.product.id)
    await session.commit()

    answer = await client_of(None).get(await start(client))

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/calendar")
    assert answer.headers["cache-control"].startswith("private")
    found = events_of(answer.content)
    assert set(found) == {"Milk: Use by today", "Bread: Best before today"}
    event = found["Milk: Use by today"]
    assert (event["UID"], event["DTSTART"].dt, event["LOCATION"]) == (f"{milk.id}@larder", tomorrow, "Fridge")
    assert type(event["DTSTART"].dt) is date


async def test_a_calendar_that_has_it_already_is_not_sent_it_again(
    client: AsyncClient, client_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    await make_lot(session, alice, expires_on=TODAY)
    await session.commit()
    url = await start(client)
    etag = (await client_of(None).get(url)).headers["etag"]

    again = await client_of(None).get(url, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)

    await make_lot(session, alice, expires_on=TODAY + timedelta(days=1))
    await session.commit()
    assert (await client_of(None).get(url, headers={"If-None-Match": etag})).status_code == 200


async def test_a_new_address_ends_the_old_one_and_only_ones_own(
    client: AsyncClient, client_of: ClientOf, bob: Actor
) -> None:
    stranger = client_of(None)
    old, others = await start(client), await start(client_of(bob))
    new = await start(client)
    assert [(await stranger.get(url)).status_code for url in (old, new, others)] == [404, 200, 200]

    for _ in range(2):
        assert (await client.delete(FEED)).status_code == 204
    assert [(await stranger.get(url)).status_code for url in (old, new, others)] == [404, 404, 200]


async def test_a_feed_ends_with_its_membership_and_with_its_account(
    client: AsyncClient, client_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    own, bobs = await start(client), await start(client_of(bob))
    await households.remove_member(session, bob, bob.user_id)
    await session.execute(update(User).where(col(User.id) == alice.user_id).values(is_active=False))
    await session.commit()

    assert [(await client_of(None).get(url)).status_code for url in (own, bobs)] == [404, 404]


async def test_its_secret_is_not_logged(
    client: AsyncClient, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await start(client)
    secret = url.split("/")[-2]
    logger = CapturingLogger()
    monkeypatch.setattr(request_id, "logger", logger)

    for address in (url, url.replace(".ics", ".txt"), url + "x"):
        await client_of(None).get(address)

    assert [call.kwargs["path"] for call in logger.calls] == ["/feeds/…"] * 3
    assert secret not in str(logger.calls)
