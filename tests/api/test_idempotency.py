"""A repeated POST under one Idempotency-Key books once."""

from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import func, select

from models import Event, Product
from services.core import clock
from services.idempotency import MEMORY
from services.permissions import Actor
from tests.conftest import HOUSEHOLD, NEXT_DOOR, NOW, ClientOf
from tests.factories import make_lot

HOME = f"/households/{HOUSEHOLD}"
KEY = {"Idempotency-Key": "tap-1"}
MILK = {"product": {"name": "Milk"}, "quantity": "3"}


async def bookings(session: AsyncSession) -> int:
    return int((await session.scalars(select(func.count()).select_from(Event))).one())


async def test_the_first_answer_is_given_again_and_nothing_is_booked_twice(
    client: AsyncClient, session: AsyncSession
) -> None:
    first = await client.post(f"{HOME}/lots", json=MILK, headers=KEY)
    again = await client.post(f"{HOME}/lots", json=MILK, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert await bookings(session) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("lots/{lot}/consume", {"quantity": "1"}),
        ("lots/{lot}/discard", {"quantity": "1", "reason": "other"}),
        ("lots/{lot}/open", {"quantity": "1"}),
        ("products/{product}/consume", {"quantity": "1"}),
        ("lots/bulk", {"items": [MILK]}),
        ("events/{event}/undo", {}),
    ],
)
async def test_every_booking_honours_the_key(
    client: AsyncClient, session: AsyncSession, alice: Actor, path: str, body: dict[str, Any]
) -> None:
    lot = await make_lot(session, alice, quantity=3)
    event = (await session.scalars(select(Event.id))).one()
    address = f"{HOME}/{path.format(lot=lot.id, product=lot.product.id, event=event)}"

    first = await client.post(address, json=body, headers=KEY)
    booked = await bookings(session)
    again = await client.post(address, json=body, headers=KEY)

    assert first.status_code == 200, first.text
    assert again.content == first.content
    assert await bookings(session) == booked


async def test_a_key_is_for_one_request_only(client: AsyncClient, session: AsyncSession) -> None:
    await client.post(f"{HOME}/lots", json=MILK, headers=KEY)

    for path, body in (("lots", {**MILK, "quantity": "4"}), ("products", {"name": "Milk"}), ("lots?x=1", MILK)):
        refused = await client.post(f"{HOME}/{path}", json=body, headers=KEY)
        assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_key_reused")
    assert await bookings(session) == 1


async def test_what_failed_was_never_asked(client: AsyncClient, session: AsyncSession) -> None:
    wrong = await client.post(f"{HOME}/lots", json={**MILK, "quantity": "0"}, headers=KEY)
    right = await client.post(f"{HOME}/lots", json=MILK, headers=KEY)

    assert (wrong.status_code, right.status_code) == (422, 201)
    assert await bookings(session) == 1


async def test_keys_of_others_are_their_own(
    client: AsyncClient, client_of: ClientOf, charlie: Actor, bob: Actor
) -> None:
    mine = await client.post(f"{HOME}/lots", json=MILK, headers=KEY)
    bobs = await client_of(bob).post(f"{HOME}/lots", json=MILK, headers=KEY)
    theirs = await client_of(charlie).post(f"/households/{NEXT_DOOR}/lots", json=MILK, headers=KEY)

    assert len({answer.json()["id"] for answer in (mine, bobs, theirs)}) == 3


async def test_a_key_is_forgotten_after_a_while(client: AsyncClient) -> None:
    first = await client.post(f"{HOME}/lots", json=MILK, headers=KEY)
    with clock.frozen(NOW + MEMORY + timedelta(minutes=1)):
        later = await client.post(f"{HOME}/lots", json=MILK, headers=KEY)

    assert first.json()["id"] != later.json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there", "ключ"])
async def test_a_key_has_bounds(client: AsyncClient, session: AsyncSession, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode()}
    response = await client.post(f"{HOME}/products", json={"name": "Milk"}, headers=headers)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["Idempotency-Key"]
    assert (await session.scalars(select(Product))).all() == []


async def test_a_form_that_is_sent_twice_adds_once(browser_of: ClientOf, session: AsyncSession, alice: Actor) -> None:
    browser = browser_of(alice, htmx=True)
    form = {"name": "Milk", "idempotency_key": "form-1", "group": str(NEXT_DOOR)}

    first = await browser.post("/stock/add", data=form)
    again = await browser.post("/stock/add", data=form)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.text == first.text
    assert await bookings(session) == 1
