"""Categories, units and places."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import Category, LocationKind, Unit, UnitKind
from services import categories, locations, products, seeding, units
from services.core.errors import Conflict, InvalidInput, NotFound
from services.core.pagination import PageRequest
from services.permissions import Actor
from services.schemas.products import ConversionCreate, ProductUpdate
from services.schemas.words import (
    CategoryCreate,
    CategoryUpdate,
    LocationCreate,
    LocationUpdate,
    UnitCreate,
    UnitUpdate,
)
from tests.factories import make_lot, make_product, place_of

ALL = PageRequest(limit=200)


async def unit(session: AsyncSession, code: str) -> Unit:
    unit: Unit = (await session.scalars(select(Unit).where(Unit.code == code, col(Unit.household_id).is_(None)))).one()
    return unit


# Seeds


async def test_at_least_150_foods_are_seeded_with_their_shelf_lives(session: AsyncSession) -> None:
    foods = (await session.scalars(select(Category).where(col(Category.parent_id).is_not(None)))).all()

    assert len(foods) >= 150
    dated = [food for food in foods if food.fridge_days or food.pantry_days or food.freezer_days]
    assert len(dated) >= 150
    for days in ("pantry_days", "fridge_days", "freezer_days", "opened_days", "thawed_days"):
        assert sum(getattr(food, days) is not None for food in foods) >= 50, days


TOYS = {
    "apple": 10, "banana": 5, "orange": 14, "grape": 7, "mango": 6, "pineapple": 5, "watermelon": 4, "strawberry": 3,
    "pear": 8, "peach": 5, "tomato": 7, "potato": 30, "onion": 30, "carrot": 21, "broccoli": 5, "cauliflower": 7,
    "spinach": 5, "lettuce": 5, "cucumber": 7, "capsicum": 7,
}  # fmt: skip


@pytest.mark.parametrize("name", TOYS)
async def test_the_foods_every_toy_has_keep_as_long_as_there(session: AsyncSession, alice: Actor, name: str) -> None:
    food = await categories.guess(session, alice, name)

    assert food is not None
    assert TOYS[name] in {food.fridge_days, food.pantry_days}


async def test_seeding_again_changes_nothing(session: AsyncSession) -> None:
    assert await seeding.seed_words(session) == {"units": 0, "categories": 0}


async def test_seeding_brings_back_what_was_changed(session: AsyncSession) -> None:
    milk = (await session.scalars(select(Category).where(Category.code == "dairy.milk"))).one()
    milk.fridge_days = 99
    await session.flush()

    assert await seeding.seed_words(session) == {"units": 0, "categories": 1}
    assert milk.fridge_days == 7


# Categories


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Milk", "Milk"),
        ("Organic whole milk 3.5%", "Milk"),
        ("MILK", "Milk"),
        ("frozen peas", "Frozen peas"),
        ("strawberry", "Strawberries"),
        ("Cherry tomatoes", None),
        ("Quux", None),
    ],
)
async def test_a_product_name_tells_the_food(
    session: AsyncSession, alice: Actor, name: str, expected: str | None
) -> None:
    food = await categories.guess(session, alice, name)

    if expected is None:
        assert food is None or "tomato" in food.keywords
    else:
        assert food is not None
        assert food.name == expected


async def test_suggestions_begin_with_what_was_typed(session: AsyncSession, alice: Actor) -> None:
    found = [food.name for food in await categories.suggest(session, alice, "mil")]

    assert found[0] == "Milk"


async def test_own_categories_are_ones_own(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    made = await categories.create_category(session, alice, CategoryCreate(name="Sourdough", pantry_days=5))

    found = await categories.list_categories(session, alice, ALL, query="sourdough")
    assert made.id in {category.id for category in found.items}
    found = await categories.list_categories(session, charlie, ALL, query="sourdough")
    assert made.id not in {category.id for category in found.items}
    with pytest.raises(NotFound):
        await categories.edit_category(session, charlie, made.id, CategoryUpdate(name="Mine"))
    with pytest.raises(Conflict):
        await categories.create_category(session, alice, CategoryCreate(name="SOURDOUGH"))


async def test_ours_cannot_be_changed_by_a_household(session: AsyncSession, alice: Actor) -> None:
    milk = (await session.scalars(select(Category).where(Category.code == "dairy.milk"))).one()

    with pytest.raises(Conflict):
        await categories.edit_category(session, alice, milk.id, CategoryUpdate(fridge_days=99))
    with pytest.raises(Conflict):
        await categories.delete_category(session, alice, milk.id)


async def test_a_food_takes_its_groups_word_where_it_has_none(session: AsyncSession, alice: Actor) -> None:
    group = await categories.create_category(session, alice, CategoryCreate(name="Preserves", pantry_days=365))
    food = await categories.create_category(
        session, alice, CategoryCreate(name="Chutney", parent_id=group.id, opened_days=30)
    )
    product = await make_product(session, alice, name="Plum chutney", category_id=food.id)

    shelf_life = await categories.shelf_life(session, product)

    assert (shelf_life.by_storage[LocationKind.PANTRY], shelf_life.opened) == (365, 30)


async def test_groups_hold_foods_and_nothing_deeper(session: AsyncSession, alice: Actor) -> None:
    group = await categories.create_category(session, alice, CategoryCreate(name="Preserves"))
    food = await categories.create_category(session, alice, CategoryCreate(name="Chutney", parent_id=group.id))

    with pytest.raises(InvalidInput):
        await categories.create_category(session, alice, CategoryCreate(name="Deeper", parent_id=food.id))
    with pytest.raises(InvalidInput):
        await categories.edit_category(session, alice, group.id, CategoryUpdate(parent_id=group.id))
    with pytest.raises(Conflict):
        await categories.delete_category(session, alice, group.id)


async def test_deleting_a_category_leaves_its_products(session: AsyncSession, alice: Actor) -> None:
    food = await categories.create_category(session, alice, CategoryCreate(name="Chutney"))
    product = await make_product(session, alice, name="Plum", category_id=food.id)

    await categories.delete_category(session, alice, food.id)

    await session.refresh(product)
    assert product.category_id is None


# Units


@pytest.mark.parametrize(
    ("quantity", "unit_code", "stock_unit", "expected"),
    [
        ("1", "kg", "g", "1000"),
        ("1", "lb", "g", "453.59237"),
        ("1", "oz", "g", "28.349523"),
        ("16", "oz", "lb", "1"),
        ("3", "us_tsp", "us_tbsp", "1"),
        ("16", "us_tbsp", "us_cup", "1"),
        ("4", "us_quart", "us_gallon", "1"),
        ("1", "us_gallon", "l", "3.785412"),
        ("20", "imp_fl_oz", "imp_pint", "1"),
        ("2", "dozen", "piece", "24"),
        ("1", "cup", "tbsp", "16.666667"),
    ],
)
async def test_units_convert_exactly(
    session: AsyncSession, quantity: str, unit_code: str, stock_unit: str, expected: str
) -> None:
    converted = units.convert(Decimal(quantity), await unit(session, unit_code), await unit(session, stock_unit))

    assert converted == Decimal(expected)


async def test_what_has_nothing_in_common_does_not_convert(session: AsyncSession) -> None:
    one = Decimal(1)
    for unit_code, stock_unit in (("g", "ml"), ("piece", "g"), ("bottle", "can"), ("pack", "piece")):
        assert units.convert(one, await unit(session, unit_code), await unit(session, stock_unit)) is None


measures = st.builds(
    lambda factor: Unit(code=str(factor), name="", plural="", kind=UnitKind.MASS, factor=factor),
    st.decimals(Decimal("0.001"), 10_000, places=3, allow_nan=False),
)


@given(st.decimals(Decimal("0.001"), 10_000, places=3, allow_nan=False), measures, measures)
def test_converting_there_and_back_loses_at_most_the_last_digit(quantity: Decimal, first: Unit, second: Unit) -> None:
    there = units.convert(quantity, first, second)
    assert there is not None
    back = units.convert(there, second, first)
    assert back is not None

    # Half a millionth of the other unit, seen in this one, and half a millionth of this one.
    assert abs(back - quantity) <= Decimal("0.0000005") * (1 + second.factor / first.factor) + Decimal("1e-12")


async def test_a_product_knows_its_own_packs(session: AsyncSession, alice: Actor) -> None:
    flour = await make_product(session, alice, name="Flour", unit="g")
    await products.add_conversion(session, alice, flour.id, ConversionCreate(unit="cup", factor=Decimal(120)))

    converted = await units.to_stock_unit(session, alice, flour, Decimal("1.5"), "cup")
    by_spoon = await units.to_stock_unit(session, alice, flour, Decimal(1), "tbsp")

    assert (converted, by_spoon) == (Decimal(180), Decimal("7.2"))
    with pytest.raises(InvalidInput):
        await products.add_conversion(session, alice, flour.id, ConversionCreate(unit="kg", factor=Decimal(7)))


async def test_own_units_hide_ours_and_stay_within_the_household(
    session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    made = await units.create_unit(session, alice, UnitCreate(code="crate", name="crate"))
    await units.create_unit(session, alice, UnitCreate(code="box", name="our box"))

    assert (await units.get_unit(session, alice, "box")).name == "our box"
    assert (await units.get_unit(session, charlie, "box")).name == "box"
    with pytest.raises(InvalidInput):
        await units.get_unit(session, charlie, "crate")
    with pytest.raises(NotFound):
        await units.delete_unit(session, charlie, made.id)
    with pytest.raises(Conflict):
        await units.create_unit(session, alice, UnitCreate(code="crate", name="again"))
    with pytest.raises(Conflict):
        await units.edit_unit(session, alice, (await unit(session, "g")).id, UnitUpdate(name="gramme"))


async def test_a_unit_in_use_stays(session: AsyncSession, alice: Actor) -> None:
    made = await units.create_unit(session, alice, UnitCreate(code="crate", name="crate"))
    await make_product(session, alice, name="Beer", unit="crate")

    with pytest.raises(Conflict):
        await units.delete_unit(session, alice, made.id)


async def test_the_unit_of_a_product_changes_only_before_anything_is_booked(
    session: AsyncSession, alice: Actor
) -> None:
    beer = await make_product(session, alice, name="Beer")
    edited = await products.edit_product(session, alice, beer.id, ProductUpdate(unit="bottle"))
    assert edited.unit_id == (await unit(session, "bottle")).id
    await make_lot(session, alice, product=beer)

    with pytest.raises(Conflict):
        await products.edit_product(session, alice, beer.id, ProductUpdate(unit="can"))


# Places


async def test_a_new_household_has_a_pantry_a_fridge_and_a_freezer(session: AsyncSession, alice: Actor) -> None:
    tree = await locations.read_tree(session, alice)

    assert [(place.name, place.kind) for place in tree] == [
        ("Pantry", "pantry"),
        ("Fridge", "fridge"),
        ("Freezer", "freezer"),
    ]


async def test_places_lie_within_places(session: AsyncSession, alice: Actor) -> None:
    fridge = await place_of(session, alice, LocationKind.FRIDGE)
    door = await locations.create_location(session, alice, LocationCreate(name="Door", parent_id=fridge))
    rack = await locations.create_location(session, alice, LocationCreate(name="Rack", parent_id=door.id))

    assert (rack.path, rack.kind) == ("Fridge / Door / Rack", LocationKind.FRIDGE)
    with pytest.raises(InvalidInput, match="within itself"):
        await locations.edit_location(session, alice, fridge, LocationUpdate(parent_id=rack.id))
    with pytest.raises(InvalidInput, match="within itself"):
        await locations.edit_location(session, alice, fridge, LocationUpdate(parent_id=fridge))
    with pytest.raises(Conflict):
        await locations.create_location(session, alice, LocationCreate(name="DOOR", parent_id=fridge))
    freezer = await place_of(session, alice, LocationKind.FREEZER)
    await locations.create_location(session, alice, LocationCreate(name="Door", parent_id=freezer))


async def test_places_go_only_so_deep(session: AsyncSession, alice: Actor) -> None:
    parent = await place_of(session, alice, LocationKind.PANTRY)
    for depth in range(locations.MAX_DEPTH - 1):
        parent = (
            await locations.create_location(session, alice, LocationCreate(name=f"Box {depth}", parent_id=parent))
        ).id

    with pytest.raises(InvalidInput):
        await locations.create_location(session, alice, LocationCreate(name="Too deep", parent_id=parent))


async def test_a_place_with_something_in_it_stays(session: AsyncSession, alice: Actor) -> None:
    fridge = await place_of(session, alice, LocationKind.FRIDGE)
    await make_lot(session, alice)

    with pytest.raises(Conflict):
        await locations.archive_location(session, alice, fridge)


async def test_another_households_place_is_not_there(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    theirs = await place_of(session, charlie, LocationKind.FRIDGE)

    with pytest.raises(NotFound):
        await locations.edit_location(session, alice, theirs, LocationUpdate(name="Mine"))
    with pytest.raises(InvalidInput):
        await locations.create_location(session, alice, LocationCreate(name="Shelf", parent_id=theirs))


@pytest.mark.parametrize("limit", [1, 2, 200])
async def test_the_tree_is_paged_in_order(session: AsyncSession, alice: Actor, limit: int) -> None:
    seen: list[Any] = []
    after: str | None = None
    while True:
        page = await locations.list_locations(session, alice, PageRequest(limit=limit, after=after, total=True))
        assert page.total == 3
        seen += [place.name for place in page.items]
        after = page.next
        if after is None:
            break

    assert seen == ["Pantry", "Fridge", "Freezer"]
