"""Putting things into stock: which product is meant, where it goes, how long it keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from models import (
    DateKind,
    Event,
    EventKind,
    ExpiryReason,
    Location,
    LocationKind,
    Lot,
    Membership,
    Product,
)
from services import bulk, categories, dates, ledger, locations, products, units
from services.core import clock
from services.core.errors import Conflict, InvalidInput
from services.core.i18n import _
from services.core.ids import new_id
from services.dates import LotDates, ShelfLife, Suggestion
from services.ledger import LotState
from services.permissions import Actor
from services.schemas.messages import validate
from services.schemas.products import ItemErrors
from services.schemas.stock import (
    LotCreate,
    LotRead,
)
from services.stock.reading import get_lot

ONE = Decimal(1)
HISTORY = 20


@dataclass(frozen=True, slots=True)
class Added:
    """A new lot, and why its date was suggested, if it was."""

    lot: LotRead
    event_id: UUID
    suggestion: Suggestion | None


async def add(session: AsyncSession, actor: Actor, data: LotCreate, *, group_id: UUID | None = None) -> Added:
    """Put something into stock. Its product is made when it is new, and its date suggested when none is given."""
    product, packed = await _resolve_product(session, actor, data)
    today = clock.today(actor.time_zone)
    purchased_on = data.purchased_on or today
    if data.quantity is None:
        quantity = packed or ONE
    else:
        quantity = await units.to_stock_unit(session, actor, product, data.quantity, data.unit)
    shelf_life = await categories.shelf_life(session, product)
    location = await _place_for(session, actor, product, shelf_life, data.location_id)
    await check_owner(session, actor, data.owner_id)
    lot_dates, suggestion = await _first_dates(session, product, shelf_life, location, data, purchased_on)

    state = LotState(
        id=new_id(),
        household_id=actor.household_id,
        product_id=product.id,
        location_id=location.id,
        quantity=quantity,
        purchased_on=purchased_on,
        purchased_quantity=quantity,
        price=data.price,
        store=data.store,
        lot_code=data.lot_code,
        owner_id=data.owner_id,
        note=data.note,
    ).with_dates(lot_dates)
    booking = await ledger.add(session, actor, state, group_id=group_id)
    return Added(await get_lot(session, actor, booking.lot.id), booking.event_id, suggestion)


async def add_bulk(
    session: AsyncSession, actor: Actor, items: Sequence[Any], *, atomic: bool
) -> tuple[list[Added], list[ItemErrors], UUID]:
    """Put many things into stock, in one group. A wrong item is left out, or with `atomic` spoils it all."""
    group_id = new_id()
    added, failed = await bulk.each(
        session,
        items,
        lambda item: add(session, actor, validate(LotCreate, item), group_id=group_id),
        atomic=atomic,
    )
    return added, failed, group_id


async def suggest_date(
    session: AsyncSession, product: Product, shelf_life: ShelfLife, storage: LocationKind, purchased_on: date
) -> Suggestion | None:
    """When this product, bought then and kept in such a place, will probably be past its best."""
    history = await _history(session, product.id, storage)
    return dates.suggest(shelf_life, purchased_on=purchased_on, storage=storage, history=history)


async def _resolve_product(session: AsyncSession, actor: Actor, data: LotCreate) -> tuple[Product, Decimal | None]:
    """The product meant, and how much a package of it holds when a barcode said so."""
    if data.product_id:
        product = await products.get_product(session, actor, data.product_id, field="product_id")
        if product.archived_at is not None:
            raise Conflict(_("{name} is archived.").format(name=product.name))
        return product, None
    if data.product:
        known = await products.find_by_name(session, actor, data.product.name)
        return known or await products.create_product(session, actor, data.product), None

    assert data.barcode is not None
    found = await products.find_by_barcode(session, actor, data.barcode)
    if found:
        return found[0], found[1].quantity
    product = await products.create_from_catalogue(session, actor, data.barcode)
    return product, None


async def _place_for(
    session: AsyncSession, actor: Actor, product: Product, shelf_life: ShelfLife, location_id: UUID | None
) -> Location:
    if location_id:
        return await locations.get_location(session, actor, location_id, field="location_id")
    if product.default_location_id:
        return await locations.get_location(session, actor, product.default_location_id)
    location = await locations.find_first(session, actor, *usual_storage(shelf_life))
    if location is None:
        raise InvalidInput({"location_id": _("This household has no place to put it yet.")})
    return location


def usual_storage(shelf_life: ShelfLife) -> list[LocationKind]:
    """The kinds of place a food is usually kept in, judged by where it keeps how long."""
    pantry = shelf_life.by_storage.get(LocationKind.PANTRY)
    fridge = shelf_life.by_storage.get(LocationKind.FRIDGE)
    if fridge is not None and fridge >= 2 * (pantry or 0):
        return [LocationKind.FRIDGE]
    if pantry is None and shelf_life.by_storage.get(LocationKind.FREEZER) is not None:
        return [LocationKind.FREEZER]
    return [LocationKind.PANTRY, LocationKind.FRIDGE]


async def _first_dates(
    session: AsyncSession,
    product: Product,
    shelf_life: ShelfLife,
    location: Location,
    data: LotCreate,
    purchased_on: date,
) -> tuple[LotDates, Suggestion | None]:
    frozen_on = purchased_on if location.kind is LocationKind.FREEZER else None
    if data.date_kind is DateKind.NONE:
        if data.expires_on:
            raise InvalidInput({"expires_on": _("Something without a date has none.")})
        return LotDates(frozen_on=frozen_on), None
    if data.expires_on:
        usual = LotDates(date_kind=shelf_life.date_kind, frozen_on=frozen_on)
        return dates.given(usual, data.date_kind, data.expires_on), None

    suggestion = await suggest_date(session, product, shelf_life, location.kind, purchased_on)
    if suggestion is None:
        return LotDates(frozen_on=frozen_on), None
    lot_dates = LotDates(
        date_kind=DateKind.ESTIMATED,
        expires_on=suggestion.expires_on,
        expiry_reason=ExpiryReason.ESTIMATED,
        frozen_on=frozen_on,
    )
    return lot_dates, suggestion


async def check_owner(session: AsyncSession, actor: Actor, owner_id: UUID | None) -> None:
    if owner_id is None:
        return
    is_member = sa.exists().where(
        col(Membership.household_id) == actor.household_id, col(Membership.user_id) == owner_id
    )
    if not (await session.scalars(select(is_member))).one():
        raise InvalidInput({"owner_id": _("There is no such member.")})


async def _history(session: AsyncSession, product_id: UUID, storage: LocationKind) -> list[int]:
    """Days from purchase to the printed date of the last lots that were added to such a place."""
    reversal = aliased(Event)
    statement = (
        sa.select(col(Lot.printed_on), col(Lot.purchased_on))
        .join(Event, sa.and_(col(Event.lot_id) == col(Lot.id), col(Event.kind) == EventKind.ADD))
        .join(Location, col(Location.id) == col(Lot.location_id))
        .where(col(Lot.product_id) == product_id, col(Location.kind) == storage, col(Lot.printed_on).is_not(None))
        .where(~sa.exists().where(col(reversal.reverses_id) == col(Event.id)))
        .order_by(col(Lot.id).desc())
        .limit(HISTORY)
    )
    rows = await session.execute(statement)
    return [days for printed_on, purchased_on in rows if (days := (printed_on - purchased_on).days) >= 0]
