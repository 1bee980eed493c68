"""Putting things in, and what one can do with them."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import DateKind, DiscardReason, ExpiryReason, LocationKind, Lot, Product, Unit
from services import events, locations, products, stock
from services.core import clock
from services.core.errors import Conflict, InvalidInput, NotFound
from services.core.pagination import PageRequest
from services.dates import Source, Urgency
from services.permissions import Actor
from services.schemas.products import BarcodeCreate, ProductCreate
from services.schemas.stock import (
    EventFilters,
    LotConsume,
    LotCreate,
    LotDiscard,
    LotFilters,
    LotFreeze,
    LotMove,
    LotOpen,
    LotRead,
    LotSnooze,
    LotSort,
    LotThaw,
    LotUpdate,
    ProductConsume,
)
from services.schemas.words import LocationCreate
from tests.conftest import NOW, TODAY
from tests.factories import assert_ledger_holds, make_lot, make_product, place_of

PAGE = PageRequest(limit=200)


def in_days(count: int) -> date:
    return TODAY + timedelta(days=count)


async def names(session: AsyncSession, actor: Actor, **filters: Any) -> list[str]:
    page = await stock.list_lots(session, actor, PAGE, LotFilters(**filters))
    return [lot.product.name for lot in page.items]


async def test_adding_makes_the_product_and_guesses_what_it_is(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, product="Semi-skimmed milk", quantity=2, expires_on=in_days(6))

    assert (lot.product.name, lot.product.unit, lot.product.icon) == ("Semi-skimmed milk", "piece", "milk")
    assert (lot.quantity, lot.date_kind, lot.expiry_reason) == ("2", DateKind.USE_BY, ExpiryReason.PRINTED)
    assert (str(lot.printed_on), lot.expires_on, lot.days_left) == ("2026-11-28", in_days(6), 6)
    assert lot.version == 1


async def test_adding_by_name_finds_the_product_however_it_is_spelt(session: AsyncSession, alice: Actor) -> None:
    first = await make_lot(session, alice, product="Müsli")
    second = await make_lot(session, alice, product="  MÜSLI ")

    assert str(first.product.id) == str(second.product.id)
    assert str(first.id) != str(second.id)


async def test_a_lot_without_a_date_gets_the_usual_one_of_its_food(session: AsyncSession, alice: Actor) -> None:
    chicken = await make_lot(session, alice, product="Chicken breast", place=LocationKind.FRIDGE)

    assert (chicken.date_kind, chicken.expiry_reason, chicken.printed_on) == ("estimated", "estimated", None)
    assert chicken.expires_on is not None


async def test_something_without_a_date_costs_nothing(session: AsyncSession, alice: Actor) -> None:
    salt = await make_lot(session, alice, product="Salt", place=LocationKind.PANTRY)
    tea = await make_lot(session, alice, product="Grandpa's tea", date_kind=DateKind.NONE)

    assert (salt.urgency, salt.expires_on, salt.days_left) == (Urgency.UNDATED, None, None)
    assert tea.urgency is Urgency.UNDATED


async def test_the_households_own_history_is_believed_before_the_category(session: AsyncSession, alice: Actor) -> None:
    for days in (9, 10, 14):
        await make_lot(session, alice, product="Milk", expires_on=in_days(days), purchased_on=TODAY)

    milk = await products.find_by_name(session, alice, "Milk")
    assert milk is not None
    added = await stock.add(
        session, alice, LotCreate(product_id=milk.id, location_id=await place_of(session, alice, LocationKind.FRIDGE))
    )

    assert added.suggestion is not None
    assert (added.suggestion.source, added.suggestion.days, added.suggestion.lots) == (Source.HISTORY, 10, 3)
    assert added.lot.expires_on == in_days(10)


async def test_what_was_taken_back_is_no_history(session: AsyncSession, alice: Actor) -> None:
    for _ in range(3):
        lot = await make_lot(session, alice, product="Milk", expires_on=in_days(200))
        journal = await events.list_events(session, alice, PAGE, EventFilters(lot=lot.id))
        await events.undo(session, alice, journal.items[0].id)

    lot = await make_lot(session, alice, product="Milk")

    assert lot.expires_on == in_days(7)


async def test_the_usual_place_is_where_it_keeps(session: AsyncSession, alice: Actor) -> None:
    async def place_for(name: str) -> LocationKind:
        return (await stock.add(session, alice, LotCreate(product=ProductCreate(name=name)))).lot.location.kind

    assert await place_for("Milk") == LocationKind.FRIDGE
    assert await place_for("Carrots") == LocationKind.FRIDGE
    assert await place_for("Canned tomatoes") == LocationKind.PANTRY
    assert await place_for("Bananas") == LocationKind.PANTRY
    assert await place_for("Frozen peas") == LocationKind.FREEZER
    assert await place_for("Something nobody knows") == LocationKind.PANTRY


async def test_a_barcode_brings_its_package(session: AsyncSession, alice: Actor) -> None:
    eggs = await make_product(session, alice, name="Eggs")
    await products.add_barcode(session, alice, eggs.id, BarcodeCreate(code="4006381333931", quantity=Decimal(10)))

    added = await stock.add(session, alice, LotCreate(barcode="04006381333931"))

    assert (added.lot.product.name, added.lot.quantity) == ("Eggs", "10")


async def test_a_barcode_nobody_knows_is_refused_at_its_field(session: AsyncSession, alice: Actor) -> None:
    with pytest.raises(InvalidInput) as refused:
        await stock.add(session, alice, LotCreate(barcode="4006381333931"))

    assert set(refused.value.fields) == {"barcode"}


async def test_quantities_are_taken_in_any_unit_that_converts(session: AsyncSession, alice: Actor) -> None:
    flour = await make_product(session, alice, name="Flour", unit="g")

    added = await stock.add(session, alice, LotCreate(product_id=flour.id, quantity=Decimal("1.5"), unit="kg"))
    booked = await stock.consume(session, alice, added.lot.id, LotConsume(quantity=Decimal(2), unit="oz"))

    assert booked.lot.quantity == "1443.300954"
    with pytest.raises(InvalidInput):
        await stock.consume(session, alice, added.lot.id, LotConsume(quantity=Decimal(1), unit="l"))


@pytest.mark.parametrize(
    "what",
    [{}, {"product_id": "01a20284-5770-7000-85bc-cd2ebec485d6", "barcode": "96385074"}, {"product": {"name": " "}}],
)
def test_a_lot_must_say_what_it_is_in_one_way(what: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LotCreate.model_validate(what)


async def test_a_refused_lot_leaves_nothing_behind(session: AsyncSession, alice: Actor) -> None:
    items = [
        {"product": {"name": "Left over from a refusal"}, "quantity": "1", "unit": "no such unit"},
        {"product": {"name": "Fine"}, "quantity": "2"},
        {"quantity": "x"},
        7,
    ]

    added, failed, group_id = await stock.add_bulk(session, alice, items, atomic=False)

    assert [item.lot.product.name for item in added] == ["Fine"]
    assert [(item.index, item.errors[0].field) for item in failed] == [(0, "unit"), (2, "quantity"), (3, "")]
    assert await products.find_by_name(session, alice, "Left over from a refusal") is None
    assert len(await events.list_group(session, alice, group_id)) == 1


async def test_all_or_nothing_adds_nothing_when_one_is_wrong(session: AsyncSession, alice: Actor) -> None:
    items: list[Any] = [{"product": {"name": "Fine"}}, {"product": {"name": "x" * 101}}]

    with pytest.raises(InvalidInput) as refused:
        async with session.begin_nested():
            await stock.add_bulk(session, alice, items, atomic=True)

    assert set(refused.value.fields) == {"items.1.product.name"}
    assert await names(session, alice) == []


async def test_consuming_takes_some_or_all(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=3)

    some = await stock.consume(session, alice, lot.id, LotConsume(quantity=Decimal("1.5")))
    assert (some.lot.quantity, some.lot.version) == ("1.5", 2)

    rest = await stock.consume(session, alice, lot.id, LotConsume())
    assert (rest.lot.quantity, rest.quantity) == ("0", Decimal("1.5"))
    assert await names(session, alice) == []
    await assert_ledger_holds(session)


async def test_more_than_there_is_cannot_be_taken(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=1)

    with pytest.raises(Conflict, match="Only 1 left"):
        await stock.consume(session, alice, lot.id, LotConsume(quantity=Decimal("1.1")))
    await stock.consume(session, alice, lot.id, LotConsume())
    with pytest.raises(Conflict, match="Nothing is left"):
        await stock.consume(session, alice, lot.id, LotConsume())


async def test_what_was_paid_is_shared_over_what_is_used_and_binned(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=4, price=Decimal("2.50"))
    await stock.consume(session, alice, lot.id, LotConsume(quantity=Decimal(1)))
    await stock.open_lot(session, alice, lot.id, LotOpen(quantity=Decimal(1)))
    await stock.discard(session, alice, lot.id, LotDiscard(quantity=Decimal(2), reason=DiscardReason.EXPIRED))

    journal = await events.list_events(session, alice, PAGE, EventFilters(lot=lot.id))

    assert {(event.kind, event.value) for event in journal.items} == {
        ("discard", Decimal("1.25")),
        ("open", Decimal("0.625")),
        ("consume", Decimal("0.625")),
        ("add", Decimal("2.5")),
    }


async def test_a_stale_version_is_refused(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    lot = await make_lot(session, alice, quantity=5)
    await stock.consume(session, bob, lot.id, LotConsume(quantity=Decimal(1)))

    with pytest.raises(Conflict) as refused:
        await stock.edit(session, alice, lot.id, LotUpdate(note="mine", version=lot.version))

    assert refused.value.code == "stale"


async def test_opening_part_of_a_lot_makes_a_lot_of_it_and_undo_joins_them(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, product="Yoghurt", quantity=6, expires_on=in_days(20))

    opened = await stock.open_lot(session, alice, lot.id, LotOpen(quantity=Decimal(2)))

    assert (opened.lot.quantity, str(opened.lot.opened_on)) == ("2", str(TODAY))
    assert opened.lot.expires_on is not None
    assert opened.lot.expires_on < in_days(20)
    rest = await stock.get_lot(session, alice, lot.id)
    assert (rest.quantity, rest.opened_on, rest.expires_on) == ("4", None, in_days(20))

    await events.undo(session, alice, opened.event_id)

    assert [(each.quantity, each.opened_on) for each in (await _all(session, alice))] == [("6", None)]
    await assert_ledger_holds(session)


async def _all(session: AsyncSession, actor: Actor) -> list[LotRead]:
    return list((await stock.list_lots(session, actor, PAGE, LotFilters())).items)


async def test_freezing_and_thawing_keep_the_days_that_were_left(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, product="Chicken breast", quantity=1, expires_on=in_days(2))

    frozen = await stock.freeze(session, alice, lot.id, LotFreeze())
    assert (frozen.lot.location.kind, frozen.lot.expiry_reason) == (LocationKind.FREEZER, ExpiryReason.FROZEN)
    assert frozen.lot.expires_on is not None
    assert frozen.lot.expires_on > in_days(60)

    with clock.frozen(NOW + timedelta(days=30)):
        thawed = await stock.thaw(session, alice, lot.id, LotThaw())
        assert (thawed.lot.location.kind, thawed.lot.expires_on) == (LocationKind.FRIDGE, in_days(31))
        with pytest.raises(Conflict) as refused:
            await stock.freeze(session, alice, lot.id, LotFreeze())
        assert refused.value.code == "confirm"
        again = await stock.freeze(session, alice, lot.id, LotFreeze(confirm=True))
        assert again.lot.frozen_on == in_days(30)


async def test_moving_into_the_freezer_freezes_and_out_of_it_thaws(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, product="Bread", quantity=2, expires_on=in_days(3))
    freezer = await place_of(session, alice, LocationKind.FREEZER)
    pantry = await place_of(session, alice, LocationKind.PANTRY)

    frozen = await stock.move(session, alice, lot.id, LotMove(location_id=freezer, quantity=Decimal(1)))
    assert (frozen.lot.quantity, frozen.lot.frozen_on) == ("1", TODAY)
    thawed = await stock.move(session, alice, frozen.lot.id, LotMove(location_id=pantry))
    assert (thawed.lot.frozen_on, thawed.lot.location.kind) == (None, LocationKind.PANTRY)
    with pytest.raises(Conflict, match="there already"):
        await stock.move(session, alice, frozen.lot.id, LotMove(location_id=pantry))


async def test_what_should_not_be_frozen_asks_first(session: AsyncSession, alice: Actor) -> None:
    salad = await make_product(session, alice, name="Salad", may_freeze=False)
    lot = await make_lot(session, alice, product=salad)

    with pytest.raises(Conflict) as refused:
        await stock.freeze(session, alice, lot.id, LotFreeze())

    assert refused.value.code == "confirm"


async def test_things_go_only_where_they_belong(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    lot = await make_lot(session, alice)
    fridge = await place_of(session, alice, LocationKind.FRIDGE)
    elsewhere = await place_of(session, charlie, LocationKind.FREEZER)

    with pytest.raises(InvalidInput):
        await stock.freeze(session, alice, lot.id, LotFreeze(location_id=fridge))
    with pytest.raises(InvalidInput):
        await stock.freeze(session, alice, lot.id, LotFreeze(location_id=elsewhere))
    with pytest.raises(Conflict, match="not frozen"):
        await stock.thaw(session, alice, lot.id, LotThaw())


async def test_a_new_date_stands_as_given_and_wakes_a_snoozed_lot(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, product="Ham", expires_on=in_days(2))
    snoozed = await stock.snooze(session, alice, lot.id, LotSnooze(until=in_days(2)))
    assert snoozed.lot.urgency is Urgency.FINE

    edited = await stock.edit(session, alice, lot.id, LotUpdate(expires_on=in_days(1)))
    assert (edited.lot.expires_on, edited.lot.printed_on) == (in_days(1), in_days(1))
    assert (edited.lot.snoozed_until, edited.lot.urgency) == (None, Urgency.SOON)

    undated = await stock.edit(session, alice, lot.id, LotUpdate(date_kind=DateKind.NONE))
    assert (undated.lot.expires_on, undated.lot.urgency) == (None, Urgency.UNDATED)
    with pytest.raises(InvalidInput):
        await stock.edit(session, alice, lot.id, LotUpdate(date_kind=DateKind.USE_BY))


async def test_editing_the_note_leaves_the_dates_alone(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, product="Chicken breast", expires_on=in_days(2))
    frozen = await stock.freeze(session, alice, lot.id, LotFreeze())

    edited = await stock.edit(
        session, alice, lot.id, LotUpdate(note="for Sunday", expires_on=frozen.lot.expires_on, store="Market")
    )

    assert (edited.lot.expiry_reason, edited.lot.expires_on) == (ExpiryReason.FROZEN, frozen.lot.expires_on)
    assert (edited.lot.note, edited.lot.store) == ("for Sunday", "Market")


async def test_using_a_product_takes_opened_first_then_what_is_due_first(session: AsyncSession, alice: Actor) -> None:
    milk = await make_product(session, alice, name="Milk")
    late = await make_lot(session, alice, product=milk, quantity=1, expires_on=in_days(9))
    undated = await make_lot(session, alice, product=milk, quantity=1, date_kind=DateKind.NONE)
    soon = await make_lot(session, alice, product=milk, quantity=1, expires_on=in_days(1))
    opened = await make_lot(session, alice, product=milk, quantity=1, expires_on=in_days(30))
    await stock.open_lot(session, alice, opened.id, LotOpen())

    _quantity, group_id, booked = await stock.consume_product(
        session, alice, milk.id, ProductConsume(quantity=Decimal("3.5"))
    )

    assert [(str(each.lot.id), each.quantity) for each in booked] == [
        (str(opened.id), Decimal(1)),
        (str(soon.id), Decimal(1)),
        (str(late.id), Decimal(1)),
        (str(undated.id), Decimal("0.5")),
    ]
    with pytest.raises(Conflict, match=r"Only 0\.5 left"):
        await stock.consume_product(session, alice, milk.id, ProductConsume(quantity=Decimal(1)))

    await events.undo(session, alice, booked[0].event_id, whole_group=True)

    assert {lot.quantity for lot in await _all(session, alice)} == {"1"}
    assert {event.undone for event in await events.list_group(session, alice, group_id)} == {True}


async def test_using_a_product_from_one_place_counts_only_what_lies_there(session: AsyncSession, alice: Actor) -> None:
    milk = await make_product(session, alice, name="Milk")
    await make_lot(session, alice, product=milk, quantity=5, place=LocationKind.PANTRY)
    await make_lot(session, alice, product=milk, quantity=1, place=LocationKind.FRIDGE)
    fridge = await place_of(session, alice, LocationKind.FRIDGE)

    with pytest.raises(Conflict, match="Only 1 left"):
        await stock.consume_product(session, alice, milk.id, ProductConsume(quantity=Decimal(2), location_id=fridge))


async def test_a_stranger_finds_nothing(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    lot = await make_lot(session, alice)

    assert await names(session, charlie) == []
    with pytest.raises(NotFound):
        await stock.get_lot(session, charlie, lot.id)
    with pytest.raises(NotFound):
        await stock.consume(session, charlie, lot.id, LotConsume())


# Lists


async def test_lots_are_found_by_name_place_and_category(session: AsyncSession, alice: Actor) -> None:
    await make_lot(session, alice, product="Oat milk", place=LocationKind.PANTRY)
    await make_lot(session, alice, product="100% juice_x", place=LocationKind.FRIDGE)
    fridge = await place_of(session, alice, LocationKind.FRIDGE)
    juice = await products.find_by_name(session, alice, "100% juice_x")
    assert juice is not None

    assert await names(session, alice, q="MILK") == ["Oat milk"]
    assert await names(session, alice, q="0% juice_") == ["100% juice_x"]
    assert await names(session, alice, q="%") == ["100% juice_x"]
    assert await names(session, alice, location=fridge) == ["100% juice_x"]
    assert await names(session, alice, product=juice.id) == ["100% juice_x"]


async def test_a_place_stands_for_all_within_it(session: AsyncSession, alice: Actor) -> None:
    fridge = await place_of(session, alice, LocationKind.FRIDGE)
    shelf = await locations.create_location(session, alice, LocationCreate(name="Shelf", parent_id=fridge))
    box = await locations.create_location(session, alice, LocationCreate(name="Box", parent_id=shelf.id))
    await stock.add(session, alice, LotCreate(product=ProductCreate(name="Cheese"), location_id=box.id))

    assert await names(session, alice, location=fridge) == ["Cheese"]
    assert await names(session, alice, location=shelf.id) == ["Cheese"]


@pytest.mark.parametrize("sort", list(LotSort))
@pytest.mark.parametrize("descending", [False, True])
async def test_pages_show_every_lot_once_in_every_order(
    session: AsyncSession, alice: Actor, sort: LotSort, descending: bool
) -> None:
    for index in range(7):
        on = None if index % 3 == 0 else in_days(index % 4)
        await make_lot(session, alice, product=f"Thing {index % 2}", expires_on=on, date_kind=None if on else "none")
    filters = LotFilters(sort=sort, descending=descending)
    whole = [str(lot.id) for lot in (await stock.list_lots(session, alice, PAGE, filters)).items]

    seen: list[str] = []
    after: str | None = None
    for _ in range(9):
        page = await stock.list_lots(session, alice, PageRequest(limit=2, after=after, total=True), filters)
        assert page.total == 7
        seen += [str(lot.id) for lot in page.items]
        after = page.next
        if after is None:
            break

    assert seen == whole
    assert len(set(seen)) == 7


async def test_lots_without_a_date_come_last(session: AsyncSession, alice: Actor) -> None:
    await make_lot(session, alice, product="Salt", date_kind=DateKind.NONE)
    await make_lot(session, alice, product="Milk", expires_on=in_days(3))
    await make_lot(session, alice, product="Ham", expires_on=in_days(-3))

    assert await names(session, alice) == ["Ham", "Milk", "Salt"]


async def test_a_cursor_of_another_list_is_refused(session: AsyncSession, alice: Actor) -> None:
    for after in ("", "x", "e30", "WyJhIl0", "W10", "WzFd", "WyIyMDI2LTExLTIyIiwibm8iXQ", "\N{SNOWMAN}"):
        with pytest.raises(InvalidInput):
            await stock.list_lots(session, alice, PageRequest(after=after), LotFilters())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    left=st.integers(-3, 12),
    kind=st.sampled_from([DateKind.USE_BY, DateKind.BEST_BEFORE, DateKind.ESTIMATED]),
    reason=st.sampled_from([*ExpiryReason, None]),
    snoozed=st.none() | st.integers(-1, 2),
    window=st.none() | st.integers(0, 10),
)
async def test_the_database_filters_by_the_rule_that_python_judges_by(
    session: AsyncSession,
    alice: Actor,
    left: int,
    kind: DateKind,
    reason: ExpiryReason | None,
    snoozed: int | None,
    window: int | None,
) -> None:
    async with session.begin_nested() as savepoint:
        product = Product(
            household_id=alice.household_id,
            name="P",
            name_key="p",
            unit_id=(await session.scalars(select(Product.unit_id))).first() or await _piece(session),
            soon_days=window,
        )
        session.add(product)
        await session.flush()
        lot = Lot(
            household_id=alice.household_id,
            product_id=product.id,
            location_id=await place_of(session, alice, LocationKind.FRIDGE),
            quantity=Decimal(1),
            purchased_quantity=Decimal(1),
            purchased_on=TODAY,
            date_kind=kind,
            expires_on=in_days(left),
            expiry_reason=reason,
            snoozed_until=None if snoozed is None else in_days(snoozed),
        )
        session.add(lot)
        await session.flush()
        judged = (await stock.get_lot(session, alice, lot.id)).urgency

        found = {
            urgency
            for urgency in Urgency
            if (await stock.list_lots(session, alice, PAGE, LotFilters(urgency=urgency))).items
        }

        assert found == {judged}
        await savepoint.rollback()


async def _piece(session: AsyncSession) -> Any:
    return (await session.scalars(select(Unit.id).where(Unit.code == "piece", col(Unit.household_id).is_(None)))).one()


async def test_home_counts_what_is_due_and_what_was_binned_this_month(session: AsyncSession, alice: Actor) -> None:
    await make_lot(session, alice, product="Milk", expires_on=TODAY)
    await make_lot(session, alice, product="Ham", expires_on=in_days(-1))
    await make_lot(session, alice, product="Jam", expires_on=in_days(7))
    await make_lot(session, alice, product="Salt", date_kind=DateKind.NONE)
    gone = await make_lot(session, alice, product="Bread", quantity=2, price=Decimal(3), expires_on=in_days(30))
    await stock.discard(session, alice, gone.id, LotDiscard(quantity=Decimal(1), reason=DiscardReason.EXPIRED))
    back = await stock.discard(session, alice, gone.id, LotDiscard(reason=DiscardReason.EXPIRED))
    await events.undo(session, alice, back.event_id)
    with clock.frozen(NOW - timedelta(days=23)):
        old = await make_lot(session, alice, product="Old", price=Decimal(9))
        await stock.discard(session, alice, old.id, LotDiscard(reason=DiscardReason.EXPIRED))

    numbers = await stock.count(session, alice)

    assert (numbers.use_now, numbers.this_week, numbers.undated) == (1, 1, 1)
    assert (numbers.binned, numbers.binned_value) == (1, Decimal("1.5"))


async def test_equal_lots_are_shown_as_one(session: AsyncSession, alice: Actor) -> None:
    for quantity in (2, 4):
        await make_lot(session, alice, product="Yoghurt", quantity=quantity, expires_on=in_days(5))
    await make_lot(session, alice, product="Yoghurt", quantity=1, expires_on=in_days(6))

    rows = stock.merged(await _all(session, alice))

    assert [(row.quantity, row.count) for row in rows] == [("6", 2), ("1", 1)]


@pytest.mark.parametrize(
    ("unit", "quantity", "usual"),
    [
        ("piece", "1", "1"),
        ("piece", "6", "1"),
        ("piece", "0.5", "0.5"),
        ("g", "500", "500"),
        ("g", "1000", "250"),
        ("kg", "2", "0.5"),
    ],
)
async def test_one_use_is_all_of_something_small_one_piece_or_a_quarter(
    session: AsyncSession, alice: Actor, unit: str, quantity: str, usual: str
) -> None:
    product = await make_product(session, alice, name="Thing", unit=unit)

    lot = await make_lot(session, alice, product=product, quantity=quantity)

    assert lot.usual_quantity == usual


async def test_the_household_says_how_much_one_use_is(session: AsyncSession, alice: Actor) -> None:
    oats = await make_product(session, alice, name="Oats", unit="g", usual_quantity=Decimal(60))

    assert (await make_lot(session, alice, product=oats, quantity=500)).usual_quantity == "60"
    assert (await make_lot(session, alice, product=oats, quantity=45)).usual_quantity == "45"
