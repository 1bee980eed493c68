"""The journal: reading it, and taking things back, either way a page is used."""

from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from models import EventKind
from services import events, stock
from services.core.pagination import PageRequest
from services.permissions import Actor
from services.schemas.stock import EventFilters, LotConsume
from tests.conftest import NOWHERE, ClientOf
from tests.factories import assert_ledger_holds, make_lot
from tests.pages import html
from tests.pages.ways import BOTH_WAYS, assert_done, ends_whole, shows


async def used_milk(session: AsyncSession, actor: Actor, quantity: int = 1) -> tuple[UUID, UUID]:
    """A lot, some of which was used; its id and that of the booking."""
    lot = await make_lot(session, actor, product="Käse 🧀", quantity=3)
    booked = await stock.consume(session, actor, lot.id, LotConsume(quantity=Decimal(quantity)))
    await session.commit()
    return lot.id, booked.event_id


@BOTH_WAYS
async def test_a_booking_is_taken_back_and_done_again(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    lot_id, event_id = await used_milk(session, alice)
    browser = browser_of(alice, htmx=htmx)

    undone = assert_done(await browser.post(f"/history/{event_id}/undo"), htmx, to="/history")
    assert (undone["label"], undone["message"]) == ("Redo", "Taken back: Käse 🧀.")
    assert (await stock.get_lot(session, alice, lot_id)).quantity == "3"

    redone = assert_done(await browser.post(undone["action"]), htmx, to="/history")
    assert redone["label"] == "Undo"
    assert (await stock.get_lot(session, alice, lot_id)).quantity == "2"
    await assert_ledger_holds(session)


@BOTH_WAYS
async def test_undo_that_is_sent_twice_undoes_once(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    lot_id, event_id = await used_milk(session, alice)
    browser = browser_of(alice, htmx=htmx)

    await browser.post(f"/history/{event_id}/undo")
    again = await browser.post(f"/history/{event_id}/undo")

    assert again.status_code == 409
    assert ends_whole(again) is not htmx
    assert (await stock.get_lot(session, alice, lot_id)).quantity == "3"


async def test_undo_leads_back_to_the_page_it_came_from(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    _lot_id, event_id = await used_milk(session, alice)
    headers = {"Referer": "http://localhost/history?kind=consume"}
    response = await browser_of(alice).post(f"/history/{event_id}/undo", headers=headers)

    assert response.headers["location"] == "/history?kind=consume"


async def test_the_journal_is_a_page_a_fragment_and_more_of_it(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    for number in range(55):
        await make_lot(session, alice, product=f"Thing {number}")
    await used_milk(session, alice)
    browser = browser_of(alice)

    page = await browser.get("/history")
    assert ends_whole(page)
    assert all(shows(page, "1 piece of Käse 🧀 used", "Today", "Alice").values())
    fragment = await browser.get("/history", headers={"HX-Request": "true"})
    assert "<html" not in fragment.text
    assert fragment.headers["vary"].startswith("HX-Request")
    for header in ("HX-Boosted", "HX-History-Restore-Request"):
        assert ends_whole(await browser.get("/history", headers={"HX-Request": "true", header: "true"}))

    more = html.read(page.text).one("p", id="more").one("a").attrs["href"]
    assert ends_whole(await browser.get(more))
    rest = await browser.get(more, headers={"HX-Request": "true"})
    assert all(shows(rest, "Thing 0 added").values())
    assert "Thing 54" not in rest.text


@pytest.mark.parametrize("kind", [EventKind.ADD, EventKind.CONSUME, EventKind.DISCARD])
async def test_the_journal_is_read_by_kind(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, kind: EventKind
) -> None:
    await used_milk(session, alice)
    page = html.read((await browser_of(alice).get("/history", params={"kind": kind})).text)

    expected = await events.list_events(session, alice, PageRequest(), EventFilters(kind=kind))
    assert len(page.all("li")) - len(page.one("nav", **{"aria-label": "Main"}).all("li")) == len(expected.items)


async def test_a_viewer_reads_and_takes_nothing_back(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, vera: Actor
) -> None:
    _lot_id, event_id = await used_milk(session, alice)
    browser = browser_of(vera)

    page = await browser.get("/history")
    assert page.status_code == 200
    assert "/undo" not in page.text
    assert (await browser.post(f"/history/{event_id}/undo")).status_code == 403
    assert (await browser.post(f"/history/{NOWHERE}/undo")).status_code == 403
