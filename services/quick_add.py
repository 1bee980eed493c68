"""Adding as people type: a few letters of a name, an amount, a date in shorthand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from db import like
from models import CatalogueItem, Category, DateKind, LocationKind, Lot, Product, Unit, UnitKind
from services import categories, dates, locations, products, stock, units
from services.core import clock
from services.core.errors import InvalidInput
from services.core.i18n import _
from services.core.numbers import plain
from services.core.text import fold
from services.dates import Suggestion
from services.permissions import Actor
from services.schemas.products import ProductCreate
from services.schemas.stock import LotCreate
from services.schemas.types import Line, Money, Name, Note, Quantity, Schema, UnitCode
from services.wording import is_day_first

PICKED = ("product", "food", "item")
# Where the form shows what is wrong with what it does not show.
SHOWN_AT = {"product_id": "name", "category_id": "name", "catalogue_item_id": "name", "expires_on": "expires"}


@dataclass(frozen=True, slots=True)
class Option:
    """One thing a few letters may mean. `pick` says which, to `add`."""

    name: str
    pick: str
    icon: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the rest of the form should say once it is clear what is added."""

    quantity: str
    unit: str
    location_id: UUID | None
    suggestion: Suggestion | None


class QuickAdd(Schema):
    name: Name
    pick: str = Field(default="", max_length=60)
    quantity: Quantity = Decimal(1)
    unit: UnitCode = "piece"
    location_id: UUID | None = None
    expires: str = Field(default="", max_length=20)
    date_kind: DateKind | None = None
    price: Money | None = None
    store: Line = ""
    note: Note = ""


class Draft(Schema):
    """What is typed so far."""

    name: Line = ""
    pick: str = Field(default="", max_length=60)
    location_id: UUID | None = None


async def suggest(session: AsyncSession, actor: Actor, query: str) -> list[Option]:
    """The household's own products, then the catalogue, then foods in general; each name once."""
    if not fold(query):
        return []
    options = [
        Option(name, f"product:{product_id}", icon or "", _("yours"))
        for product_id, name, icon in await products.suggest(session, actor, query)
    ]
    options += [Option(item.name[:100], f"item:{item.id}", "", item.brand) for item in await _catalogue(session, query)]
    options += [
        Option(food.name, f"food:{food.id}", food.icon) for food in await categories.suggest(session, actor, query)
    ]
    return list({fold(option.name): option for option in reversed(options)}.values())[::-1][:8]


async def propose(session: AsyncSession, actor: Actor, draft: Draft, *, keep_place: bool = False) -> Proposal:
    """Amount, unit, place and date that usually go with what was typed."""
    product = await _find_product(session, actor, draft)
    last = await _last_lot(session, product)
    shelf_life = await categories.shelf_life(session, product)
    place_id = draft.location_id if keep_place else product.default_location_id or (last and last[0])
    place = None
    if place_id:
        place = await locations.find_location(session, actor, place_id)
    if place is None and (product.category_id or not draft.location_id):
        place = await locations.find_first(session, actor, *stock.usual_storage(shelf_life))
    if place is None and draft.location_id:
        place = await locations.find_location(session, actor, draft.location_id)

    storage = place.kind if place else LocationKind.PANTRY
    today = clock.today(actor.time_zone)
    unit = await session.get_one(Unit, product.unit_id)
    return Proposal(
        quantity=plain(last[1]) if last else "1",
        unit=unit.code,
        location_id=place.id if place else None,
        suggestion=await stock.suggest_date(session, product, shelf_life, storage, today),
    )


async def add(session: AsyncSession, actor: Actor, data: QuickAdd, *, group_id: UUID) -> stock.Added:
    """Put it into stock. Raises `InvalidInput` at the field of the form that is wrong."""
    expires_on, kind = read_date(actor, data.expires), data.date_kind
    if data.expires and expires_on is None:
        kind = DateKind.NONE
    what, picked_id = _picked(data.pick)
    given = LotCreate.model_construct(
        product_id=picked_id if what == "product" else None,
        product=None,
        barcode=None,
        quantity=data.quantity,
        unit=data.unit,
        location_id=data.location_id,
        date_kind=kind,
        expires_on=expires_on,
        price=data.price,
        store=data.store,
        note=data.note,
    )
    if what != "product":
        given.product = ProductCreate(
            name=data.name,
            unit=data.unit,
            catalogue_item_id=picked_id if what == "item" else None,
            **({"category_id": picked_id} if what == "food" else {}),
        )
    try:
        return await stock.add(session, actor, given, group_id=group_id)
    except InvalidInput as error:
        raise InvalidInput({SHOWN_AT.get(name, name): said for name, said in error.fields.items()}) from error


def read_date(actor: Actor, entry: str) -> date | None:
    """The day somebody typed; None for no date, and for nothing typed. Raises `InvalidInput`."""
    if not entry.strip():
        return None
    try:
        on = dates.parse_entry(entry, today=clock.today(actor.time_zone), day_first=is_day_first())
    except (ValueError, OverflowError) as error:
        raise InvalidInput({"expires": _("This is not a date we can read.")}) from error
    if on is not None and not dates.FIRST <= on <= dates.LATEST:
        raise InvalidInput({"expires": _("The year must lie between 1990 and 2199.")})
    return on


def _picked(pick: str) -> tuple[str, UUID | None]:
    what, _colon, value = pick.partition(":")
    if what not in PICKED:
        return "", None
    try:
        return what, UUID(value)
    except ValueError:
        return "", None


async def _find_product(session: AsyncSession, actor: Actor, draft: Draft) -> Product:
    """The product that is meant, or one as it would be made."""
    what, picked_id = _picked(draft.pick)
    if what == "product" and picked_id:
        picked = await products.find_product(session, actor, picked_id)
        if picked:
            return picked
    known = await products.find_by_name(session, actor, draft.name) if draft.name else None
    if known:
        return known
    category: Category | None = None
    if what == "food" and picked_id:
        category = await categories.find_category(session, actor, picked_id)
    elif what == "item" and picked_id:
        item = await session.get(CatalogueItem, picked_id)
        category = await session.get(Category, item.category_id) if item and item.category_id else None
    if category is None and draft.name:
        category = await categories.guess(session, actor, draft.name)
    unit_id = (await units.get_unit(session, actor, units.DEFAULT_UNIT)).id
    if category and category.unit_id:
        usual = await session.get_one(Unit, category.unit_id)
        # Nobody buys "1 g" of something: what is weighed or poured is counted in packages until somebody says more.
        unit_id = usual.id if usual.kind in {UnitKind.COUNT, UnitKind.PACK} else unit_id
    return Product(
        household_id=actor.household_id,
        name=draft.name,
        name_key=fold(draft.name),
        unit_id=unit_id,
        category_id=category.id if category else None,
    )


async def _last_lot(session: AsyncSession, product: Product) -> tuple[UUID, Decimal] | None:
    """Where and how much of it went in the last time."""
    statement = (
        sa.select(col(Lot.location_id), col(Lot.purchased_quantity))
        .where(col(Lot.product_id) == product.id)
        .order_by(col(Lot.id).desc())
        .limit(1)
    )
    row = (await session.execute(statement)).first()
    return (row[0], row[1]) if row else None


async def _catalogue(session: AsyncSession, query: str, *, limit: int = 4) -> Sequence[CatalogueItem]:
    statement = (
        select(CatalogueItem)
        .where(col(CatalogueItem.name_key).like(like(fold(query)), escape="\\"))
        .order_by(sa.func.length(col(CatalogueItem.name)), col(CatalogueItem.id))
        .limit(limit)
    )
    return (await session.scalars(statement)).all()
