"""Products, barcodes and the catalogue behind them."""

from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from models import CatalogueItem, CatalogueSource, LocationKind
from services import products, stock
from services.core import gtin
from services.core.errors import Conflict, InvalidInput, NotFound
from services.core.pagination import PageRequest
from services.permissions import Actor
from services.schemas.products import BarcodeCreate, ProductCreate, ProductFilters, ProductUpdate
from services.schemas.stock import LotConsume, LotCreate
from tests.conftest import TODAY
from tests.factories import make_lot, make_product, place_of

ALL = PageRequest(limit=200)
EAN = "4006381333931"


async def names(session: AsyncSession, actor: Actor, **filters: object) -> list[str]:
    page = await products.list_products(session, actor, ALL, ProductFilters.model_validate(filters))
    return [product.name for product in page.items]


async def test_a_product_needs_only_a_name(session: AsyncSession, alice: Actor) -> None:
    made = await make_product(session, alice, name="Crème fraîche")

    read = await products.read_product(session, alice, made.id)

    assert (read.name, read.unit, read.quantity, read.lots) == ("Crème fraîche", "piece", Decimal(0), 0)
    assert read.category is not None


async def test_names_are_ones_own_however_they_are_spelt(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    await make_product(session, alice, name="Müsli")

    with pytest.raises(Conflict):
        async with session.begin_nested():
            await make_product(session, alice, name="  mÜSLI")
    await make_product(session, charlie, name="Müsli")


async def test_the_list_says_what_is_in_stock(session: AsyncSession, alice: Actor) -> None:
    milk = await make_product(session, alice, name="Milk")
    await make_product(session, alice, name="Almonds")
    for quantity in (2, 3):
        await make_lot(session, alice, product=milk, quantity=quantity, expires_on=TODAY)

    page = await products.list_products(session, alice, PageRequest(limit=1, total=True), ProductFilters())
    rest = await products.list_products(session, alice, PageRequest(limit=1, after=page.next), ProductFilters())

    assert ([p.name for p in page.items], [p.name for p in rest.items]) == (["Almonds"], ["Milk"])
    assert (page.total, rest.next) == (2, None)
    (in_stock,) = rest.items
    assert (in_stock.quantity, in_stock.lots, in_stock.next_expires_on) == (Decimal(5), 2, TODAY)


async def test_products_are_found_by_name_category_and_barcode(session: AsyncSession, alice: Actor) -> None:
    milk = await make_product(session, alice, name="Oat milk")
    await make_product(session, alice, name="Salt")
    await products.add_barcode(session, alice, milk.id, BarcodeCreate(code=EAN))

    assert await names(session, alice, q="MILK") == ["Oat milk"]
    assert await names(session, alice, category=milk.category_id) == ["Oat milk"]
    assert await names(session, alice, barcode=f"0{EAN}") == ["Oat milk"]
    assert await names(session, alice, barcode="96385074") == []


async def test_a_barcode_is_on_one_product_of_a_household(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    milk = await make_product(session, alice, name="Milk")
    await products.add_barcode(session, alice, milk.id, BarcodeCreate(code=EAN))
    salt = await make_product(session, alice, name="Salt")
    theirs = await make_product(session, charlie, name="Milk")

    with pytest.raises(Conflict, match="Milk"):
        await products.add_barcode(session, alice, salt.id, BarcodeCreate(code=EAN))
    await products.add_barcode(session, charlie, theirs.id, BarcodeCreate(code=EAN))

    read = await products.read_product(session, alice, milk.id)
    assert [barcode.code for barcode in read.barcodes] == [EAN]
    await products.remove_barcode(session, alice, milk.id, EAN)
    with pytest.raises(NotFound):
        await products.remove_barcode(session, alice, milk.id, EAN)


async def test_an_archived_product_leaves_its_name_and_barcodes_free(session: AsyncSession, alice: Actor) -> None:
    milk = await make_product(session, alice, name="Milk")
    await products.add_barcode(session, alice, milk.id, BarcodeCreate(code=EAN))
    lot = await make_lot(session, alice, product=milk)
    with pytest.raises(Conflict, match="in stock"):
        await products.archive_product(session, alice, milk.id)
    await stock.consume(session, alice, lot.id, LotConsume())

    await products.archive_product(session, alice, milk.id)

    assert await names(session, alice) == []
    assert await names(session, alice, archived=True) == ["Milk"]
    again = await make_product(session, alice, name="Milk")
    await products.add_barcode(session, alice, again.id, BarcodeCreate(code=EAN))
    with pytest.raises(Conflict):
        async with session.begin_nested():
            await products.restore_product(session, alice, milk.id)


async def test_nothing_can_be_added_to_an_archived_product(session: AsyncSession, alice: Actor) -> None:
    milk = await make_product(session, alice, name="Milk")
    await products.archive_product(session, alice, milk.id)

    with pytest.raises(Conflict, match="archived"):
        await stock.add(session, alice, LotCreate(product_id=milk.id))


async def test_a_stale_edit_is_refused(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    milk = await make_product(session, alice, name="Milk")
    await products.edit_product(session, bob, milk.id, ProductUpdate(note="the blue one", version=1))

    with pytest.raises(Conflict) as refused:
        await products.edit_product(session, alice, milk.id, ProductUpdate(note="the red one", version=1))

    assert refused.value.code == "stale"


async def test_the_catalogue_makes_the_product_and_knows_its_nutrients(session: AsyncSession, alice: Actor) -> None:
    session.add(
        CatalogueItem(
            gtin=gtin.normalise(EAN),
            name="Oat drink",
            name_key="oat drink",
            brand="Elm Farm",
            energy_kcal=Decimal(46),
            protein=Decimal("1.1"),
            source=CatalogueSource.STAFF,
        )
    )
    await session.flush()

    added = await stock.add(session, alice, LotCreate(barcode=EAN))

    read = await products.read_product(session, alice, added.lot.product.id)
    assert (read.name, [barcode.code for barcode in read.barcodes]) == ("Oat drink", [EAN])
    assert read.catalogue_item is not None
    assert (read.catalogue_item.energy_kcal, read.catalogue_item.protein) == (Decimal(46), Decimal("1.1"))
    assert read.catalogue_item.iron is None


async def test_references_to_other_households_are_refused_at_their_fields(
    session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    theirs = await place_of(session, charlie, LocationKind.FRIDGE)

    for field, data in (
        ("default_location_id", ProductCreate(name="A", default_location_id=theirs)),
        ("category_id", ProductCreate(name="B", category_id=theirs)),
        ("catalogue_item_id", ProductCreate(name="C", catalogue_item_id=theirs)),
        ("unit", ProductCreate(name="D", unit="furlong")),
    ):
        with pytest.raises(InvalidInput) as refused:
            await products.create_product(session, alice, data)
        assert set(refused.value.fields) == {field}


# GTINs


@pytest.mark.parametrize(
    ("code", "kept", "shown"),
    [
        ("4006381333931", "04006381333931", "4006381333931"),
        ("04006381333931", "04006381333931", "4006381333931"),
        ("036000291452", "00036000291452", "036000291452"),
        ("96385074", "00000096385074", "96385074"),
        ("10614141543219", "10614141543219", "10614141543219"),
        ("4006-3813 33931", "04006381333931", "4006381333931"),
        ("SHELF-7", "SHELF-7", "SHELF-7"),
        ("12345", "12345", "12345"),
        ("１２３", "１２３", "１２３"),
    ],
)
def test_codes_are_kept_in_one_form_and_shown_in_the_usual(code: str, kept: str, shown: str) -> None:
    assert gtin.normalise(code) == kept
    assert gtin.shorten(kept) == shown


@pytest.mark.parametrize("code", ["4006381333932", "96385075", "036000291453", "00000000000001"])
def test_a_wrong_check_digit_is_noticed(code: str) -> None:
    with pytest.raises(gtin.WrongCheckDigit):
        gtin.normalise(code)
