"""Products: what a household keeps, under the names and barcodes it knows them by."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from db import like, unless_taken
from models import CatalogueItem, Category, Lot, Product, ProductBarcode, Unit, UnitConversion
from services import audit, bulk, categories, households, locations, units
from services.core import clock, gtin
from services.core.errors import Conflict, InvalidInput, NotFound
from services.core.i18n import _
from services.core.pagination import Key, Page, PageRequest, by_id, fetch_page
from services.core.text import fold
from services.permissions import Actor
from services.schemas.files import picture
from services.schemas.messages import validate
from services.schemas.products import (
    BarcodeCreate,
    BarcodeRead,
    CatalogueItemRead,
    CategoryRef,
    ConversionCreate,
    ConversionRead,
    ProductBulkResult,
    ProductCreate,
    ProductFilters,
    ProductRead,
    ProductSummary,
    ProductUpdate,
)

MAX_BARCODES = 50
NAME_LENGTH = 100
_SAID = (
    "name",
    "category_id",
    "unit_id",
    "default_location_id",
    "min_quantity",
    "unopened_days",
    "opened_days",
    "frozen_days",
    "thawed_days",
    "soon_days",
    "may_freeze",
    "note",
)

# Its own, or else that of the catalogue.
PICTURE = sa.func.coalesce(
    col(Product.picture_id),
    sa.select(col(CatalogueItem.picture_id))
    .where(col(CatalogueItem.id) == col(Product.catalogue_item_id))
    .scalar_subquery(),
)


async def list_products(
    session: AsyncSession, actor: Actor, page: PageRequest, filters: ProductFilters
) -> Page[ProductSummary]:
    """By name, with what is in stock."""
    statement = _summaries(actor).where(
        col(Product.archived_at).is_not(None) if filters.archived else col(Product.archived_at).is_(None)
    )
    if filters.q:
        statement = statement.where(col(Product.name_key).like(like(fold(filters.q)), escape="\\"))
    if filters.category:
        statement = statement.where(
            sa.or_(col(Product.category_id) == filters.category, col(Category.parent_id) == filters.category)
        )
    if filters.barcode:
        statement = statement.where(
            sa.exists().where(
                col(ProductBarcode.product_id) == col(Product.id),
                col(ProductBarcode.code) == _normalise(filters.barcode, field="barcode"),
            )
        )
    found = await fetch_page(session, statement, page, Key(col(Product.name_key)), by_id(col(Product.id)))
    return replace(found, items=[ProductSummary(**_summary(row)) for row in found.items])


async def get_product(
    session: AsyncSession, actor: Actor, product_id: UUID, *, lock: bool = False, field: str | None = None
) -> Product:
    """The entity, for changing it. Raises `NotFound`, or `InvalidInput` when the id came in a field."""
    product = await find_product(session, actor, product_id, lock=lock)
    if product is None:
        message = _("There is no such product.")
        raise InvalidInput({field: message}) if field else NotFound(message)
    return product


async def find_product(session: AsyncSession, actor: Actor, product_id: UUID, *, lock: bool = False) -> Product | None:
    statement = select(Product).where(Product.household_id == actor.household_id, Product.id == product_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    product: Product | None = (await session.scalars(statement)).one_or_none()
    return product


async def read_product(session: AsyncSession, actor: Actor, product_id: UUID) -> ProductRead:
    """One product with all that is known about it."""
    row = (await session.execute(_summaries(actor).where(col(Product.id) == product_id))).one_or_none()
    if row is None:
        raise NotFound(_("There is no such product."))
    product: Product = row[0]
    barcodes = await session.scalars(
        select(ProductBarcode).where(ProductBarcode.product_id == product_id).order_by(col(ProductBarcode.id))
    )
    conversions = await session.execute(
        select(col(Unit.code), col(UnitConversion.factor))
        .join(UnitConversion, col(UnitConversion.unit_id) == col(Unit.id))
        .where(UnitConversion.product_id == product_id)
        .order_by(col(Unit.code))
    )
    item = await session.get(CatalogueItem, product.catalogue_item_id) if product.catalogue_item_id else None
    return ProductRead(
        **{**product.model_dump(), **_summary(row)},
        barcodes=[BarcodeRead(code=gtin.shorten(barcode.code), quantity=barcode.quantity) for barcode in barcodes],
        conversions=[ConversionRead(unit=code, factor=factor) for code, factor in conversions],
        catalogue_item=_read_item(item) if item else None,
    )


async def create_product(session: AsyncSession, actor: Actor, data: ProductCreate) -> Product:
    """Raises `Conflict` for a name or barcode that the household already has."""
    product = Product(
        household_id=actor.household_id,
        name=data.name,
        name_key=fold(data.name),
        unit_id=(await units.get_unit(session, actor, data.unit)).id,
        **data.model_dump(exclude={"name", "unit", "barcode", "catalogue_item_id"}),
    )
    item = await _find_catalogue_item(session, data)
    if item:
        product.catalogue_item_id = item.id
        product.category_id = product.category_id or item.category_id
    await _check_references(session, actor, data)
    if product.category_id is None and "category_id" not in data.model_fields_set:
        food = await categories.guess(session, actor, data.name)
        product.category_id = food.id if food else None
    await _save(session, product)
    audit.record(session, "products:create", by=actor, subject=product, after=_kept(product))
    if data.barcode:
        await add_barcode(session, actor, product.id, BarcodeCreate(code=data.barcode), field="barcode")
    return product


async def create_bulk(session: AsyncSession, actor: Actor, items: Sequence[Any], *, atomic: bool) -> ProductBulkResult:
    """Make many products. A wrong item is left out, or with `atomic` spoils it all."""
    results, failed = await bulk.each(
        session, items, lambda item: create_product(session, actor, validate(ProductCreate, item)), atomic=atomic
    )
    return ProductBulkResult(
        created=[await read_product(session, actor, product.id) for product in results], failed=failed
    )


async def create_from_catalogue(session: AsyncSession, actor: Actor, barcode: str) -> Product:
    """The product a barcode stands for, made from the catalogue or found by its name there; then it has the barcode.

    Raises `InvalidInput` for a barcode nobody knows.
    """
    code = _normalise(barcode, field="barcode")
    item = (await session.scalars(select(CatalogueItem).where(CatalogueItem.gtin == code))).one_or_none()
    if item is None:
        raise InvalidInput({"barcode": _("Nobody knows this barcode yet. Add the product by its name.")})
    name = item.name[:NAME_LENGTH].strip()
    product = await find_by_name(session, actor, name)
    if product is None:
        product = await create_product(session, actor, ProductCreate(name=name, catalogue_item_id=item.id))
    await add_barcode(session, actor, product.id, BarcodeCreate(code=barcode), field="barcode")
    return product


async def edit_product(session: AsyncSession, actor: Actor, product_id: UUID, data: ProductUpdate) -> Product:
    """Raises `Conflict` when `version` is out of date, or the unit of booked stock would change."""
    # Before the product is locked: the sweep locks households first too.
    await households.look_again(session, actor.household_id)
    product = await get_product(session, actor, product_id, lock=True)
    if data.version is not None and data.version != product.version:
        raise Conflict(_("Somebody changed this meanwhile. Look again, then save."), code="stale")
    given = data.model_dump(exclude_unset=True, exclude={"name", "unit", "version"})
    before = _kept(product)
    await _check_references(session, actor, data)
    if data.unit:
        await _change_unit(session, actor, product, data.unit)
    product.sqlmodel_update(given)
    if data.name:
        product.name, product.name_key = data.name, fold(data.name)
    product.version += 1
    await _save(session, product)
    audit.record(session, "products:edit", by=actor, subject=product, before=before, after=_kept(product))
    return product


async def archive_product(session: AsyncSession, actor: Actor, product_id: UUID) -> None:
    """Put a product out of use; its history stays. Raises `Conflict` while some is in stock."""
    product = await get_product(session, actor, product_id, lock=True)
    in_stock = sa.exists().where(col(Lot.product_id) == product.id, col(Lot.quantity) > 0)
    if (await session.scalars(select(in_stock))).one():
        raise Conflict(_("Some {name} is still in stock.").format(name=product.name))
    product.archived_at = clock.now()
    product.version += 1
    await session.execute(delete(ProductBarcode).where(col(ProductBarcode.product_id) == product.id))
    audit.record(session, "products:archive", by=actor, subject=product)


async def restore_product(session: AsyncSession, actor: Actor, product_id: UUID) -> None:
    """Put an archived product back into use. Raises `Conflict` when another has its name by now."""
    product = await get_product(session, actor, product_id, lock=True)
    product.archived_at = None
    product.version += 1
    await _save(session, product)
    audit.record(session, "products:restore", by=actor, subject=product)


async def add_barcode(
    session: AsyncSession, actor: Actor, product_id: UUID, data: BarcodeCreate, *, field: str = "code"
) -> None:
    """Raises `Conflict` when the household has this code on a product already."""
    product = await get_product(session, actor, product_id)
    count = select(sa.func.count()).select_from(ProductBarcode).where(ProductBarcode.product_id == product.id)
    if (await session.scalars(count)).one() >= MAX_BARCODES:
        raise Conflict(_("A product can have {count} barcodes.").format(count=MAX_BARCODES))
    barcode = ProductBarcode(
        household_id=actor.household_id,
        product_id=product.id,
        code=_normalise(data.code, field=field),
        quantity=data.quantity,
    )
    try:
        async with session.begin_nested():
            session.add(barcode)
    except IntegrityError as error:
        owner = await find_by_barcode(session, actor, data.code)
        name = owner[0].name if owner else ""
        raise Conflict(_("This barcode is already on {name}.").format(name=name), code="duplicate") from error
    after = audit.snapshot(barcode, ("code", "quantity"))
    audit.record(session, "products:add_barcode", by=actor, subject=product, after=after)


async def remove_barcode(session: AsyncSession, actor: Actor, product_id: UUID, code: str) -> None:
    removed = await session.execute(
        delete(ProductBarcode)
        .where(col(ProductBarcode.household_id) == actor.household_id)
        .where(col(ProductBarcode.product_id) == product_id)
        .where(col(ProductBarcode.code) == _normalise(code, field="code"))
        .returning(col(ProductBarcode.code))
    )
    found = removed.scalar_one_or_none()
    if found is None:
        raise NotFound(_("This product has no such barcode."))
    product = await get_product(session, actor, product_id)
    audit.record(session, "products:remove_barcode", by=actor, subject=product, before={"code": found})


async def find_by_barcode(session: AsyncSession, actor: Actor, code: str) -> tuple[Product, ProductBarcode] | None:
    statement = (
        sa.select(Product, ProductBarcode)
        .join(ProductBarcode, col(ProductBarcode.product_id) == col(Product.id))
        .where(col(ProductBarcode.household_id) == actor.household_id)
        .where(col(ProductBarcode.code) == _normalise(code, field="barcode"))
    )
    row = (await session.execute(statement)).one_or_none()
    return (row[0], row[1]) if row else None


async def add_conversion(session: AsyncSession, actor: Actor, product_id: UUID, data: ConversionCreate) -> None:
    """Say how much of the product's unit one of another unit is; says it anew when it was said before."""
    product = await get_product(session, actor, product_id, lock=True)
    unit = await units.get_unit(session, actor, data.unit)
    stock_unit = await session.get_one(Unit, product.unit_id)
    if units.convert(data.factor, unit, stock_unit) is not None:
        raise InvalidInput({"unit": _("How these two convert is known already.")})
    known = await session.scalars(
        select(UnitConversion).where(UnitConversion.product_id == product.id, UnitConversion.unit_id == unit.id)
    )
    conversion = known.one_or_none()
    before = {unit.code: conversion.factor} if conversion else None
    conversion = conversion or UnitConversion(product_id=product.id, unit_id=unit.id, factor=data.factor)
    conversion.factor = data.factor
    session.add(conversion)
    after = {unit.code: data.factor}
    audit.record(session, "products:add_conversion", by=actor, subject=product, before=before, after=after)
    await session.flush()


async def remove_conversion(session: AsyncSession, actor: Actor, product_id: UUID, unit_code: str) -> None:
    product = await get_product(session, actor, product_id)
    unit = await units.get_unit(session, actor, unit_code)
    removed = await session.execute(
        delete(UnitConversion)
        .where(col(UnitConversion.product_id) == product.id, col(UnitConversion.unit_id) == unit.id)
        .returning(col(UnitConversion.factor))
    )
    factor = removed.scalar_one_or_none()
    if factor is None:
        raise NotFound(_("This product has no such conversion."))
    before = {unit.code: factor}
    audit.record(session, "products:remove_conversion", by=actor, subject=product, before=before)


async def find_by_name(session: AsyncSession, actor: Actor, name: str) -> Product | None:
    statement = select(Product).where(
        Product.household_id == actor.household_id,
        Product.name_key == fold(name),
        col(Product.archived_at).is_(None),
    )
    return (await session.scalars(statement)).one_or_none()


async def suggest(session: AsyncSession, actor: Actor, query: str, *, limit: int = 6) -> Sequence[Any]:
    """The household's products for what was typed: `(id, name, icon)`, those that begin with it first."""
    key = fold(query)
    statement = (
        sa.select(col(Product.id), col(Product.name), col(Category.icon))
        .outerjoin(Category, col(Category.id) == col(Product.category_id))
        .where(col(Product.household_id) == actor.household_id, col(Product.archived_at).is_(None))
        .where(col(Product.name_key).like(like(key), escape="\\"))
        .order_by(
            col(Product.name_key).like(like(key)[1:], escape="\\").desc(),
            sa.func.length(col(Product.name)),
            col(Product.name_key),
        )
        .limit(limit)
    )
    return (await session.execute(statement)).all()


def _kept(product: Product) -> dict[str, Any]:
    """What people say about it."""
    return audit.snapshot(product, _SAID)


def _normalise(code: str, *, field: str) -> str:
    try:
        return gtin.normalise(code)
    except gtin.WrongCheckDigit as error:
        raise InvalidInput({field: _("A digit of this barcode is wrong: its check digit does not fit.")}) from error


def _summaries(actor: Actor) -> sa.Select[Any]:
    stock = (
        sa.select(
            col(Lot.product_id),
            sa.func.sum(col(Lot.quantity)).label("quantity"),
            sa.func.count().label("lots"),
            sa.func.min(col(Lot.expires_on)).label("next_expires_on"),
        )
        .where(col(Lot.household_id) == actor.household_id, col(Lot.quantity) > 0)
        .group_by(col(Lot.product_id))
        .subquery()
    )
    quantity = sa.type_coerce(sa.cast(sa.func.coalesce(stock.c.quantity, 0), sa.BigInteger), Product.min_quantity.type)  # type: ignore[union-attr]
    return (
        sa.select(
            Product,
            col(Unit.code),
            col(Unit.name),
            col(Unit.plural),
            col(Category.id),
            col(Category.name),
            col(Category.icon),
            quantity,
            sa.func.coalesce(stock.c.lots, 0),
            stock.c.next_expires_on,
            PICTURE,
        )
        .join(Unit, col(Unit.id) == col(Product.unit_id))
        .outerjoin(Category, col(Category.id) == col(Product.category_id))
        .outerjoin(stock, stock.c.product_id == col(Product.id))
        .where(col(Product.household_id) == actor.household_id)
    )


def _read_item(item: CatalogueItem) -> CatalogueItemRead:
    return CatalogueItemRead(**item.model_dump(), picture=picture(item.picture_id))


def _summary(row: Sequence[Any]) -> dict[str, Any]:
    product, unit, unit_name, unit_plural, category_id, category_name, icon, *rest = row
    quantity, lots, next_expires_on, picture_id = rest
    return {
        "id": product.id,
        "name": product.name,
        "unit": unit,
        "unit_name": unit_name,
        "unit_plural": unit_plural,
        "category": CategoryRef(id=category_id, name=category_name, icon=icon) if category_id else None,
        "min_quantity": product.min_quantity,
        "archived_at": product.archived_at,
        "quantity": quantity,
        "lots": lots,
        "next_expires_on": next_expires_on,
        "picture": picture(picture_id),
        "has_own_picture": product.picture_id is not None,
        "version": product.version,
    }


async def _find_catalogue_item(session: AsyncSession, data: ProductCreate) -> CatalogueItem | None:
    if data.catalogue_item_id:
        item = await session.get(CatalogueItem, data.catalogue_item_id)
        if item is None:
            raise InvalidInput({"catalogue_item_id": _("There is no such catalogue item.")})
        return item
    if data.barcode:
        code = _normalise(data.barcode, field="barcode")
        return (await session.scalars(select(CatalogueItem).where(CatalogueItem.gtin == code))).one_or_none()
    return None


async def _check_references(session: AsyncSession, actor: Actor, data: ProductCreate | ProductUpdate) -> None:
    if data.category_id:
        await categories.get_category(session, actor, data.category_id, field="category_id")
    if data.default_location_id:
        await locations.get_location(session, actor, data.default_location_id, field="default_location_id")


async def _change_unit(session: AsyncSession, actor: Actor, product: Product, unit_code: str) -> None:
    unit = await units.get_unit(session, actor, unit_code)
    if unit.id == product.unit_id:
        return
    if (await session.scalars(select(sa.exists().where(col(Lot.product_id) == product.id)))).one():
        raise Conflict(_("The unit cannot change any more: quantities were booked in it."))
    product.unit_id = unit.id
    await session.execute(delete(UnitConversion).where(col(UnitConversion.product_id) == product.id))


async def _save(session: AsyncSession, product: Product) -> None:
    taken = _("You already have a product “{name}”.").format(name=product.name)
    async with unless_taken(session, Conflict(taken, code="duplicate")):
        session.add(product)
