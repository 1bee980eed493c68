"""What one can do with a lot. Each holds the lot, decides, and books through the ledger."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import (
    DateKind,
    EventKind,
    Location,
    LocationKind,
    Lot,
    UnitKind,
)
from services import dates, ledger, locations, products, units
from services.core import clock
from services.core.errors import Conflict, InvalidInput, NotFound
from services.core.i18n import _
from services.core.ids import new_id
from services.core.numbers import plain, plain_money
from services.dates import LotDates
from services.ledger import LotState
from services.permissions import Actor
from services.schemas.files import picture
from services.schemas.stock import (
    LotConsume,
    LotCorrect,
    LotDiscard,
    LotFreeze,
    LotLocation,
    LotMove,
    LotOpen,
    LotProduct,
    LotRead,
    LotSnooze,
    LotThaw,
    LotUpdate,
    ProductConsume,
)
from services.stock import queries
from services.stock.adding import check_owner
from services.stock.reading import get_lot


@dataclass(frozen=True, slots=True)
class Booked:
    """A lot after a booking, and the event to undo it with."""

    lot: LotRead
    event_id: UUID
    quantity: Decimal


async def consume(session: AsyncSession, actor: Actor, lot_id: UUID, data: LotConsume) -> Booked:
    """Take some of a lot, or all. Raises `Conflict` when less than that is left."""
    held = await _hold(session, actor, lot_id, data.version)
    quantity = await _amount(session, actor, held, data)
    booking = await ledger.book(session, actor, held.lot, EventKind.CONSUME, delta=-quantity)
    return held.booked(actor, booking, quantity)


async def discard(session: AsyncSession, actor: Actor, lot_id: UUID, data: LotDiscard) -> Booked:
    """Throw some of a lot away, or all. Raises `Conflict` when less than that is left."""
    held = await _hold(session, actor, lot_id, data.version)
    quantity = await _amount(session, actor, held, data)
    booking = await ledger.book(session, actor, held.lot, EventKind.DISCARD, delta=-quantity, reason=data.reason)
    return held.booked(actor, booking, quantity)


async def consume_product(
    session: AsyncSession, actor: Actor, product_id: UUID, data: ProductConsume
) -> tuple[Decimal, UUID, list[Booked]]:
    """Take from a product's lots: opened ones first, then what expires first, then what was bought first.

    Raises `Conflict` when less than that is there (in that place), and takes nothing.
    """
    product = await products.get_product(session, actor, product_id, lock=True)
    needed = quantity = await units.to_stock_unit(session, actor, product, data.quantity, data.unit)
    if data.location_id:
        await locations.get_location(session, actor, data.location_id, field="location_id")

    in_stock = select(Lot.id).where(Lot.product_id == product.id, col(Lot.quantity) > 0)
    if data.location_id:
        in_stock = in_stock.where(col(Lot.location_id).in_(queries.within()))
    lot_ids = await session.execute(in_stock, {"location_id": data.location_id} if data.location_id else {})
    lots = await ledger.lock_lots(session, actor, lot_ids.scalars())
    left = sum((lot.quantity for lot in lots.values()), ledger.NOTHING)
    if quantity > left:
        raise Conflict(_("Only {left} left.").format(left=plain(left)), code="too_little_left")

    group_id = new_id()
    booked: list[Booked] = []
    for lot in sorted(lots.values(), key=_first_expiring):
        taken = min(needed, lot.quantity)
        if taken > 0:
            booking = await ledger.book(session, actor, lot, EventKind.CONSUME, delta=-taken, group_id=group_id)
            booked.append(Booked(await get_lot(session, actor, lot.id), booking.event_id, taken))
            needed -= taken
    return quantity, group_id, booked


async def open_lot(session: AsyncSession, actor: Actor, lot_id: UUID, data: LotOpen) -> Booked:
    """Open some of a lot, or all. What was opened keeps no longer than it does once opened."""
    held = await _hold(session, actor, lot_id, data.version)
    if held.lot.opened_on is not None:
        raise Conflict(_("This is open already."))
    after = held.lot.with_dates(dates.opened(held.lot, today=clock.today(actor.time_zone), days=held.opened_days))
    return await _split(session, actor, held, EventKind.OPEN, data, after)


async def freeze(session: AsyncSession, actor: Actor, lot_id: UUID, data: LotFreeze) -> Booked:
    """Put some of a lot, or all, into a freezer. What should not be frozen (again) needs `confirm`."""
    held = await _hold(session, actor, lot_id, data.version)
    if held.lot.frozen_on is not None:
        raise Conflict(_("This is frozen already."))
    location = await _storage(session, actor, data.location_id, LocationKind.FREEZER)
    if location.kind is not LocationKind.FREEZER:
        message = _("Choose a freezer.") if data.location_id else _("This household has no freezer yet.")
        raise InvalidInput({"location_id": message})
    return await _freeze(session, actor, held, data, location, confirmed=data.confirm)


async def thaw(session: AsyncSession, actor: Actor, lot_id: UUID, data: LotThaw) -> Booked:
    """Take some of a lot, or all, out of the freezer: it keeps what was left when it was frozen, at most."""
    held = await _hold(session, actor, lot_id, data.version)
    if held.lot.frozen_on is None:
        raise Conflict(_("This is not frozen."))
    location = await _storage(session, actor, data.location_id, LocationKind.FRIDGE)
    if location.kind is LocationKind.FREEZER:
        raise InvalidInput({"location_id": _("Choose a place that is not a freezer.")})
    return await _thaw(session, actor, held, data, location)


async def move(session: AsyncSession, actor: Actor, lot_id: UUID, data: LotMove) -> Booked:
    """Put some of a lot, or all, elsewhere. Into a freezer it freezes, out of it it thaws."""
    held = await _hold(session, actor, lot_id, data.version)
    location = await locations.get_location(session, actor, data.location_id, field="location_id")
    if location.id == held.lot.location_id:
        raise Conflict(_("It is there already."))
    if location.kind is LocationKind.FREEZER and held.lot.frozen_on is None:
        return await _freeze(session, actor, held, data, location, confirmed=data.confirm)
    if location.kind is not LocationKind.FREEZER and held.lot.frozen_on is not None:
        return await _thaw(session, actor, held, data, location)
    after = replace(held.lot, location_id=location.id)
    return await _split(session, actor, held.at(location), EventKind.MOVE, data, after)


async def correct(session: AsyncSession, actor: Actor, lot_id: UUID, data: LotCorrect) -> Booked:
    """Say how much is really there."""
    held = await _hold(session, actor, lot_id, data.version)
    delta = data.quantity - held.lot.quantity
    booking = await ledger.book(session, actor, held.lot, EventKind.CORRECT, delta=delta)
    return held.booked(actor, booking, abs(delta))


async def snooze(session: AsyncSession, actor: Actor, lot_id: UUID, data: LotSnooze) -> Booked:
    """Not soon due until a day, or with null from now on again."""
    held = await _hold(session, actor, lot_id, data.version)
    after = replace(held.lot, snoozed_until=data.until)
    booking = await ledger.book(session, actor, held.lot, EventKind.EDIT, after=after)
    return held.booked(actor, booking, ledger.NOTHING)


async def edit(session: AsyncSession, actor: Actor, lot_id: UUID, data: LotUpdate) -> Booked:
    """Change what is known about a lot. A new date is taken as printed and stands as given."""
    held = await _hold(session, actor, lot_id, data.version)
    given = data.model_dump(exclude_unset=True, exclude={"version", "date_kind", "expires_on"})
    if given.get("purchased_on", held.lot.purchased_on) is None:
        del given["purchased_on"]
    await check_owner(session, actor, data.owner_id)
    after = replace(held.lot, **given)
    if {"date_kind", "expires_on"} & data.model_fields_set:
        after = after.with_dates(_edited_dates(held.lot, data))
    booking = await ledger.book(session, actor, held.lot, EventKind.EDIT, after=after)
    return held.booked(actor, booking, ledger.NOTHING)


def _edited_dates(lot: LotState, data: LotUpdate) -> LotDates:
    expires_on = data.expires_on if "expires_on" in data.model_fields_set else lot.expires_on
    if data.date_kind is DateKind.NONE or expires_on is None:
        if data.expires_on:
            raise InvalidInput({"expires_on": _("Something without a date has none.")})
        if data.date_kind not in {None, DateKind.NONE}:
            raise InvalidInput({"expires_on": _("Which day?")})
        return dates.without_date(lot)
    if "expires_on" in data.model_fields_set and expires_on != lot.expires_on:
        return dates.given(lot, data.date_kind, expires_on)
    return replace(lot, date_kind=data.date_kind or lot.date_kind)


@dataclass(frozen=True, slots=True)
class _Held:
    """A lot that is ours until the commit, with what decisions about it need."""

    lot: LotState
    product: LotProduct
    location: LotLocation
    soon_days: int
    usual: int | None
    unit_factor: int
    opened_days: int | None
    frozen_days: int | None
    thawed_days: int | None
    may_freeze: bool | None

    def at(self, location: Location) -> "_Held":
        return replace(self, location=LotLocation(id=location.id, name=location.name, kind=location.kind))

    def booked(self, actor: Actor, booking: ledger.Booking, quantity: Decimal) -> Booked:
        lot = booking.lot
        read = LotRead(
            id=lot.id,
            product=self.product,
            location=self.location,
            quantity=plain(lot.quantity),
            usual_quantity=queries.usual_quantity(
                int(lot.quantity * queries.MILLION), self.usual, self.product.unit_kind, self.unit_factor
            ),
            date_kind=lot.date_kind,
            printed_on=lot.printed_on,
            expires_on=lot.expires_on,
            expiry_reason=lot.expiry_reason,
            opened_on=lot.opened_on,
            frozen_on=lot.frozen_on,
            thawed_on=lot.thawed_on,
            snoozed_until=lot.snoozed_until,
            purchased_on=lot.purchased_on,
            purchased_quantity=plain(lot.purchased_quantity),
            price=None if lot.price is None else plain_money(lot.price),
            store=lot.store,
            lot_code=lot.lot_code,
            owner_id=lot.owner_id,
            note=lot.note,
            version=lot.version,
            **queries.pressing(
                clock.today(actor.time_zone),
                lot.date_kind,
                lot.expires_on,
                lot.expiry_reason,
                self.soon_days,
                lot.snoozed_until,
            ),
        )
        return Booked(read, booking.event_id, quantity)


async def _hold(session: AsyncSession, actor: Actor, lot_id: UUID, version: int | None) -> _Held:
    """Lock a lot. Raises `NotFound`, and `Conflict` when it is used up or `version` is out of date."""
    row = await queries.HELD_LOT.fetch_one(
        session, household_id=actor.household_id, lot_id=lot_id, soon_days=actor.soon_days
    )
    if row is None:
        raise NotFound(_("There is no such lot."))
    lot = ledger.state_of(row)
    if version is not None and version != lot.version:
        raise Conflict(_("Somebody changed this meanwhile. Look again, then save."), code="stale")
    (
        product_name,
        icon,
        usual,
        unit,
        unit_name,
        unit_plural,
        unit_kind,
        unit_factor,
        location_name,
        location_kind,
        soon_days,
        opened_days,
        frozen_days,
        thawed_days,
        may_freeze,
        picture_id,
    ) = row[len(ledger.COLUMNS) :]
    return _Held(
        lot=lot,
        product=LotProduct(
            id=lot.product_id,
            name=product_name,
            unit=unit,
            unit_name=unit_name,
            unit_plural=unit_plural,
            unit_kind=UnitKind(unit_kind),
            icon=icon,
            picture=picture(picture_id),
        ),
        location=LotLocation(id=lot.location_id, name=location_name, kind=LocationKind(location_kind)),
        soon_days=soon_days,
        usual=usual,
        unit_factor=unit_factor,
        opened_days=opened_days,
        frozen_days=frozen_days,
        thawed_days=thawed_days,
        may_freeze=may_freeze,
    )


async def _amount(session: AsyncSession, actor: Actor, held: _Held, data: LotConsume) -> Decimal:
    """What a request takes. Raises `Conflict` when nothing is left to take."""
    if held.lot.quantity == 0:
        raise Conflict(_("Nothing is left of it."), code="too_little_left")
    if data.quantity is None:
        return held.lot.quantity
    if data.unit is None or data.unit == held.product.unit:
        return data.quantity
    product = await products.get_product(session, actor, held.lot.product_id)
    return await units.to_stock_unit(session, actor, product, data.quantity, data.unit)


async def _split(
    session: AsyncSession, actor: Actor, held: _Held, kind: EventKind, data: LotOpen, after: LotState
) -> Booked:
    if held.lot.quantity == 0:
        raise Conflict(_("Nothing is left of it."), code="too_little_left")
    quantity = held.lot.quantity if data.quantity is None else data.quantity
    booking = await ledger.split(session, actor, held.lot, kind, quantity=quantity, after=after)
    return held.booked(actor, booking, quantity)


async def _freeze(
    session: AsyncSession, actor: Actor, held: _Held, data: LotFreeze | LotMove, location: Location, *, confirmed: bool
) -> Booked:
    if not confirmed and held.lot.thawed_on is not None:
        raise Conflict(_("This was frozen and thawed before. Freeze it again all the same?"), code="confirm")
    if not confirmed and held.may_freeze is False:
        raise Conflict(_("This does not freeze well. Freeze it all the same?"), code="confirm")
    frozen = dates.frozen(held.lot, today=clock.today(actor.time_zone), days=held.frozen_days)
    after = replace(held.lot.with_dates(frozen), location_id=location.id)
    return await _split(session, actor, held.at(location), EventKind.FREEZE, data, after)


async def _thaw(
    session: AsyncSession, actor: Actor, held: _Held, data: LotThaw | LotMove, location: Location
) -> Booked:
    thawed = dates.thawed(held.lot, today=clock.today(actor.time_zone), days=held.thawed_days)
    after = replace(held.lot.with_dates(thawed), location_id=location.id)
    return await _split(session, actor, held.at(location), EventKind.THAW, data, after)


async def _storage(session: AsyncSession, actor: Actor, location_id: UUID | None, kind: LocationKind) -> Location:
    if location_id:
        return await locations.get_location(session, actor, location_id, field="location_id")
    location = await locations.find_first(session, actor, kind)
    if location is None:
        raise InvalidInput({"location_id": _("This household has no place to put it yet.")})
    return location


def _first_expiring(lot: LotState) -> tuple[Any, ...]:
    return lot.opened_on is None, lot.expires_on or queries.UNDATED, lot.purchased_on, lot.id
