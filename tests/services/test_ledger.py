"""Undo and redo, told by hand; `test_ledger_stateful` tells the rest."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import DiscardReason, Event, EventKind, Location, LocationKind, Lot
from services import events, locations, products, stock
from services.core.errors import Conflict, NotFound
from services.core.ids import new_id
from services.core.pagination import PageRequest
from services.permissions import Actor
from services.schemas.stock import (
    EventFilters,
    EventRead,
    LotConsume,
    LotCorrect,
    LotDiscard,
    LotFreeze,
    LotRead,
    LotSnooze,
)
from services.schemas.words import LocationCreate
from tests.conftest import TODAY
from tests.factories import assert_ledger_holds, make_lot, make_product, place_of


async def journal(session: AsyncSession, actor: Actor, lot: LotRead) -> list[EventRead]:
    page = await events.list_events(session, actor, PageRequest(limit=100), EventFilters(lot=lot.id))
    return list(page.items)


async def take(session: AsyncSession, actor: Actor, lot: LotRead, quantity: int) -> UUID:
    booked = await stock.consume(session, actor, lot.id, LotConsume(quantity=Decimal(quantity)))
    return booked.event_id


async def left(session: AsyncSession, actor: Actor, lot: LotRead) -> str:
    return (await stock.get_lot(session, actor, lot.id)).quantity


async def test_undo_and_redo_go_back_and_forth(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=6)
    taken = await take(session, alice, lot, 2)

    undone = await events.undo(session, alice, taken)
    assert (undone.kind, undone.quantity_delta, undone.reverses_id) == (EventKind.UNDO, Decimal(2), taken)
    assert await left(session, alice, lot) == "6"

    redone = await events.undo(session, alice, undone.id)
    assert (redone.kind, redone.quantity_delta, redone.reverses_id) == (EventKind.CONSUME, Decimal(-2), undone.id)
    assert await left(session, alice, lot) == "4"

    await events.undo(session, alice, redone.id)
    assert await left(session, alice, lot) == "6"
    assert [(event.kind, event.undone) for event in await journal(session, alice, lot)] == [
        ("undo", False),
        ("consume", True),
        ("undo", True),
        ("consume", True),
        ("add", False),
    ]
    await assert_ledger_holds(session)


async def test_a_booking_is_taken_back_once(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    lot = await make_lot(session, alice, quantity=6)
    taken = await take(session, alice, lot, 2)
    await events.undo(session, alice, taken)

    with pytest.raises(Conflict) as refused:
        await events.undo(session, bob, taken)

    assert refused.value.code == "already_undone"


async def test_what_was_booked_since_must_go_first(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=6)
    first = await take(session, alice, lot, 1)
    second = await take(session, alice, lot, 2)

    with pytest.raises(Conflict) as refused:
        await events.undo(session, alice, first)
    assert refused.value.code == "booked_since"

    back = await events.undo(session, alice, second)
    await events.undo(session, alice, first)
    assert await left(session, alice, lot) == "6"
    with pytest.raises(Conflict):
        await events.undo(session, alice, back.id)


async def test_an_undone_booking_in_between_does_not_stand_in_the_way(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=6)
    first = await take(session, alice, lot, 1)
    await events.undo(session, alice, await take(session, alice, lot, 2))

    await events.undo(session, alice, first)

    assert await left(session, alice, lot) == "6"


async def test_undo_puts_back_dates_and_place_exactly(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, product="Chicken breast", expires_on=TODAY + timedelta(days=2), note="thighs")
    await stock.snooze(session, alice, lot.id, LotSnooze(until=TODAY + timedelta(days=1)))
    before = await session.scalar(select(Lot).where(Lot.id == lot.id))
    assert before is not None
    columns = before.model_dump(exclude={"version"})
    frozen = await stock.freeze(session, alice, lot.id, LotFreeze())

    await events.undo(session, alice, frozen.event_id)

    await session.refresh(before)
    assert before.model_dump(exclude={"version"}) == columns


async def test_taking_back_an_addition_empties_the_lot(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=3)
    (added,) = await journal(session, alice, lot)

    await events.undo(session, alice, added.id)

    assert await left(session, alice, lot) == "0"
    await assert_ledger_holds(session)


async def test_a_whole_basket_is_taken_back_at_once_or_not_at_all(session: AsyncSession, alice: Actor) -> None:
    items = [{"product": {"name": name}, "quantity": "2"} for name in ("Milk", "Eggs", "Bread")]
    added, _failed, group_id = await stock.add_bulk(session, alice, items, atomic=True)
    eaten = await take(session, alice, added[1].lot, 1)

    with pytest.raises(Conflict):
        async with session.begin_nested():
            await events.undo(session, alice, added[0].event_id, whole_group=True)
    assert [await left(session, alice, item.lot) for item in added] == ["2", "1", "2"]

    await events.undo(session, alice, eaten)
    back = await events.undo(session, alice, added[0].event_id, whole_group=True)
    assert [await left(session, alice, item.lot) for item in added] == ["0", "0", "0"]
    assert {event.undone for event in await events.list_group(session, alice, group_id)} == {True}

    await events.undo(session, alice, back.id, whole_group=True)
    assert [await left(session, alice, item.lot) for item in added] == ["2", "2", "2"]


async def test_one_of_a_basket_can_be_taken_back_alone(session: AsyncSession, alice: Actor) -> None:
    items = [{"product": {"name": name}, "quantity": "2"} for name in ("Milk", "Eggs")]
    added, _failed, _group = await stock.add_bulk(session, alice, items, atomic=True)

    await events.undo(session, alice, added[0].event_id)

    assert [await left(session, alice, item.lot) for item in added] == ["0", "2"]


async def test_the_reason_and_the_value_come_back_with_a_redo(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=2, price=Decimal(3))
    binned = await stock.discard(session, alice, lot.id, LotDiscard(reason=DiscardReason.EXPIRED))

    undone = await events.undo(session, alice, binned.event_id)
    redone = await events.undo(session, alice, undone.id)

    assert (redone.kind, redone.reason, redone.value) == ("discard", "expired", Decimal(3))


async def test_undo_puts_a_place_and_a_product_back_into_use(session: AsyncSession, alice: Actor) -> None:
    fridge = await place_of(session, alice, LocationKind.FRIDGE)
    shelf = await locations.create_location(session, alice, LocationCreate(name="Shelf", parent_id=fridge))
    product = await make_product(session, alice, name="Quark", default_location_id=shelf.id)
    lot = await make_lot(session, alice, product=product, quantity=1)
    await session.execute(Lot.__table__.update().where(Lot.id == lot.id).values(location_id=shelf.id))  # type: ignore[attr-defined]
    taken = await take(session, alice, lot, 1)
    await locations.archive_location(session, alice, shelf.id)
    await products.archive_product(session, alice, product.id)

    await events.undo(session, alice, taken)

    place = await session.get_one(Location, shelf.id, populate_existing=True)
    await session.refresh(product)
    assert (place.archived_at, product.archived_at) == (None, None)


async def test_a_place_that_was_replaced_refuses_the_undo(session: AsyncSession, alice: Actor) -> None:
    product = await make_product(session, alice, name="Quark")
    lot = await make_lot(session, alice, product=product, quantity=1)
    taken = await take(session, alice, lot, 1)
    await products.archive_product(session, alice, product.id)
    await make_product(session, alice, name="QUARK")

    with pytest.raises(Conflict, match="replaced"):
        await events.undo(session, alice, taken)


async def test_strangers_cannot_undo(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    lot = await make_lot(session, alice)

    with pytest.raises(NotFound):
        await events.undo(session, charlie, await take(session, alice, lot, 1))


async def test_counting_books_the_difference(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=6)

    await stock.correct(session, alice, lot.id, LotCorrect(quantity=Decimal("4.5")))

    corrected, _added = await journal(session, alice, lot)
    assert (corrected.kind, corrected.quantity_delta, corrected.quantity_after) == (
        "correct",
        Decimal("-1.5"),
        Decimal("4.5"),
    )


async def test_the_database_refuses_two_bookings_of_one_version(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice)
    first = (await session.scalars(select(Event).where(Event.lot_id == lot.id))).one()

    with pytest.raises(IntegrityError):
        async with session.begin_nested():
            session.add(Event(**first.model_dump(exclude={"id"}), id=new_id()))


async def test_the_database_refuses_less_than_nothing(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice)

    with pytest.raises(IntegrityError):
        async with session.begin_nested():
            await session.execute(Lot.__table__.update().where(Lot.id == lot.id).values(quantity=Decimal(-1)))  # type: ignore[attr-defined]
