"""The ledger: the one place where lots change.

Each booking writes one event and its lot in one transaction, so a lot's quantity is always the sum of its events'
deltas. Bookings are never changed or deleted: undo appends an event that puts the lot back as it was, and undoing
that appends the original once more. `lot.version` numbers the bookings of a lot, unique in the ledger, so an update
that was overtaken cannot be written.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select, update

from db import Prepared
from models import DateKind, DiscardReason, Event, EventKind, ExpiryReason, LiveKind, Location, Lot, Product
from services import outbox, stock_talk
from services.core import clock
from services.core.errors import Conflict, NotFound
from services.core.i18n import _
from services.core.ids import new_id
from services.core.numbers import plain
from services.dates import LotDates
from services.permissions import Actor

NOTHING = Decimal(0)
CENT_OF_A_CENT = Decimal("0.0001")

# Part of a lot leaves it as a new lot: two events that only make sense together.
SPLITTING = frozenset({EventKind.OPEN, EventKind.FREEZE, EventKind.THAW, EventKind.MOVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class LotState(LotDates):
    """A lot as the ledger sees it: every column that bookings can change, and what they need to know."""

    id: UUID
    household_id: UUID
    product_id: UUID
    location_id: UUID
    quantity: Decimal
    purchased_on: date
    purchased_quantity: Decimal
    price: Decimal | None = None
    store: str = ""
    lot_code: str = ""
    owner_id: UUID | None = None
    note: str = ""
    version: int = 0

    def with_dates(self, dates: LotDates) -> "LotState":
        return replace(self, **{name: getattr(dates, name) for name in _DATE_COLUMNS})


COLUMNS = tuple(field.name for field in fields(LotState))
_DATE_COLUMNS = tuple(field.name for field in fields(LotDates))
_FIXED = frozenset({"id", "household_id", "product_id", "purchased_quantity", "quantity", "version"})
_CHANGING = tuple(name for name in COLUMNS if name not in _FIXED)

_DATES = frozenset({"printed_on", "expires_on", "opened_on", "frozen_on", "thawed_on", "snoozed_until", "purchased_on"})
_FROM_JSON: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_DATES, date.fromisoformat),
    "date_kind": DateKind,
    "expiry_reason": ExpiryReason,
    "location_id": UUID,
    "owner_id": UUID,
    "price": Decimal,
}


@dataclass(frozen=True, slots=True)
class Booking:
    """What one booking did: the event's id and the lot after it."""

    event_id: UUID
    lot: LotState


def state_of(row: Sequence[Any]) -> LotState:
    """From a row that begins with `COLUMNS`."""
    values = dict(zip(COLUMNS, row, strict=False))
    values["date_kind"] = DateKind(values["date_kind"])
    if values["expiry_reason"] is not None:
        values["expiry_reason"] = ExpiryReason(values["expiry_reason"])
    return LotState(**values)


async def add(session: AsyncSession, actor: Actor, lot: LotState, *, group_id: UUID | None = None) -> Booking:
    """Open a lot's account with all that was bought."""
    lot = replace(lot, version=1)
    await _INSERT_LOT.execute(session, created_at=clock.now(), **{name: getattr(lot, name) for name in COLUMNS})
    return await _append(session, actor, lot, EventKind.ADD, delta=lot.quantity, group_id=group_id)


async def book(
    session: AsyncSession,
    actor: Actor,
    lot: LotState,
    kind: EventKind,
    *,
    delta: Decimal = NOTHING,
    after: LotState | None = None,
    group_id: UUID | None = None,
    reason: DiscardReason | None = None,
) -> Booking:
    """Change a locked lot by `delta` (in the product's unit) and to the other columns of `after`.

    Raises `Conflict` when less than that is left.
    """
    return await _book(session, actor, lot, kind, delta=delta, after=after, group_id=group_id, reason=reason)


async def split(
    session: AsyncSession, actor: Actor, lot: LotState, kind: EventKind, *, quantity: Decimal, after: LotState
) -> Booking:
    """Let `quantity` leave a locked lot as a new lot that looks like `after`; all of it stays the same lot.

    Raises `Conflict` when less than that is left.
    """
    if quantity == lot.quantity:
        return await book(session, actor, lot, kind, after=after)

    group_id = new_id()
    await book(session, actor, lot, kind, delta=-quantity, group_id=group_id)
    part = replace(after, id=new_id(), quantity=quantity, version=1)
    await _INSERT_LOT.execute(session, created_at=clock.now(), **{name: getattr(part, name) for name in COLUMNS})
    return await _append(session, actor, part, kind, delta=quantity, group_id=group_id)


async def undo(session: AsyncSession, actor: Actor, event_id: UUID, *, whole_group: bool = False) -> UUID:
    """Take a booking back, or with `whole_group` all that was booked with it; of an undo, that is a redo.

    The parts of a split go together always. Answers the id of the event that reverses the given one. Raises
    `Conflict` when it was taken back before, or a later booking that still stands touched the lot.
    """
    event = await get_event(session, actor, event_id)
    booked = await _booked_kind(session, event)
    targets = [event]
    if whole_group or booked in SPLITTING:
        of_group = select(Event).where(Event.household_id == actor.household_id, Event.group_id == event.group_id)
        targets = list(await session.scalars(of_group.order_by(col(Event.id).desc())))

    lots = await lock_lots(session, actor, {target.lot_id for target in targets})
    group_id = new_id()
    reversals: dict[UUID, UUID] = {}
    for target in targets:
        booking = await _reverse(session, actor, lots[target.lot_id], target, group_id=group_id)
        lots[target.lot_id] = booking.lot
        reversals[target.id] = booking.event_id
    await _put_back_into_use(session, lots.values())
    return reversals[event.id]


async def get_event(session: AsyncSession, actor: Actor, event_id: UUID) -> Event:
    statement = select(Event).where(Event.household_id == actor.household_id, Event.id == event_id)
    event: Event | None = (await session.scalars(statement)).one_or_none()
    if event is None:
        raise NotFound(_("There is no such booking."))
    return event


async def lock_lots(session: AsyncSession, actor: Actor, lot_ids: Iterable[UUID]) -> dict[UUID, LotState]:
    """Hold these lots until the commit. Always in the order of their ids, so that two who do it cannot deadlock."""
    statement = (
        sa.select(*(getattr(Lot, name) for name in COLUMNS))
        .where(col(Lot.household_id) == actor.household_id, col(Lot.id).in_(sorted(lot_ids)))
        .order_by(col(Lot.id))
        .with_for_update()
    )
    lots = [state_of(row) for row in await session.execute(statement)]
    return {lot.id: lot for lot in lots}


async def _reverse(session: AsyncSession, actor: Actor, lot: LotState, target: Event, *, group_id: UUID) -> Booking:
    later = (
        await session.execute(
            sa.select(col(Event.id), col(Event.reverses_id))
            .where(col(Event.lot_id) == lot.id, col(Event.lot_version) > target.lot_version)
            .order_by(col(Event.lot_version).desc())
        )
    ).all()
    # Read from the newest: a reversal cancels what it reverses, if that came after the target too.
    cancelled: set[UUID] = set()
    for event_id, reverses_id in later:
        if reverses_id == target.id:
            raise Conflict(_("This was taken back already."), code="already_undone")
        if event_id not in cancelled:
            if reverses_id not in {other_id for other_id, _other in later}:
                raise Conflict(_("Something else was booked on it since. Take that back first."), code="booked_since")
            cancelled.add(reverses_id)

    kind = EventKind.UNDO if target.kind is not EventKind.UNDO else await _booked_kind(session, target)
    try:
        return await _book(
            session,
            actor,
            lot,
            kind,
            delta=-target.quantity_delta,
            after=replace(lot, **{name: _from_json(name, value) for name, value in target.before.items()}),
            group_id=group_id,
            reason=target.reason,
            reverses_id=target.id,
        )
    except IntegrityError as error:
        raise Conflict(_("This was taken back already."), code="already_undone") from error


async def _booked_kind(session: AsyncSession, event: Event) -> EventKind:
    """What an event is about: its kind, or for an undo the kind of what it took back."""
    if event.kind is not EventKind.UNDO:
        return event.kind
    return EventKind((await session.scalars(select(Event.kind).where(Event.id == event.reverses_id))).one())


async def _put_back_into_use(session: AsyncSession, lots: Iterable[LotState]) -> None:
    """What came back may lie in a place, or be of a product, that was put out of use meanwhile."""
    in_stock = [lot for lot in lots if lot.quantity > 0]
    try:
        for table, ids in (
            (Location, {lot.location_id for lot in in_stock}),
            (Product, {lot.product_id for lot in in_stock}),
        ):
            await session.execute(
                update(table)
                .where(col(table.id).in_(ids), col(table.archived_at).is_not(None))
                .values(archived_at=None)
                .execution_options(synchronize_session=False)
            )
    except IntegrityError as error:
        raise Conflict(_("Its place or product has been replaced by another of the same name.")) from error


async def _book(
    session: AsyncSession,
    actor: Actor,
    lot: LotState,
    kind: EventKind,
    *,
    delta: Decimal,
    after: LotState | None,
    group_id: UUID | None,
    reason: DiscardReason | None = None,
    reverses_id: UUID | None = None,
) -> Booking:
    quantity = lot.quantity + delta
    if quantity < 0:
        raise Conflict(_("Only {left} left.").format(left=plain(lot.quantity)), code="too_little_left")
    after = replace(after or lot, quantity=quantity, version=lot.version + 1)
    await _UPDATE_LOT.execute(
        session,
        lot_id=lot.id,
        lot_version=lot.version,
        quantity=quantity,
        version=after.version,
        **{name: getattr(after, name) for name in _CHANGING},
    )
    return await _append(
        session,
        actor,
        after,
        kind,
        before=lot,
        delta=delta,
        group_id=group_id,
        reason=reason,
        reverses_id=reverses_id,
    )


async def _append(
    session: AsyncSession,
    actor: Actor,
    lot: LotState,
    kind: EventKind,
    *,
    delta: Decimal,
    group_id: UUID | None,
    before: LotState | None = None,
    reason: DiscardReason | None = None,
    reverses_id: UUID | None = None,
) -> Booking:
    changed = [name for name in _CHANGING if before is not None and getattr(before, name) != getattr(lot, name)]
    event_id = new_id()
    talked = await _INSERT_EVENT.fetch_one(
        session,
        id=event_id,
        household_id=lot.household_id,
        lot_id=lot.id,
        product_id=lot.product_id,
        lot_version=lot.version,
        kind=kind,
        quantity_delta=delta,
        quantity_after=lot.quantity,
        reason=reason,
        value=_value(lot, delta),
        before={name: _to_json(getattr(before, name)) for name in changed},
        after={name: _to_json(getattr(lot, name)) for name in changed},
        actor_id=actor.impersonator_id or actor.user_id,
        on_behalf_of_id=actor.user_id if actor.impersonator_id else None,
        occurred_at=clock.now(),
        group_id=group_id or event_id,
        reverses_id=reverses_id,
        talks_in=lot.household_id,
    )
    if talked and talked[0]:
        stock_talk.say_booked(session, event_id)
    outbox.tell(session, LiveKind.LOT_CHANGED, household_id=lot.household_id, subject_id=lot.id, event_id=str(event_id))
    return Booking(event_id, lot)


def _value(lot: LotState, delta: Decimal) -> Decimal | None:
    if lot.price is None or not delta:
        return None
    return (lot.price * abs(delta) / lot.purchased_quantity).quantize(CENT_OF_A_CENT)


def _to_json(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else str(value)


def _from_json(name: str, value: Any) -> Any:
    return value if value is None or name not in _FROM_JSON else _FROM_JSON[name](value)


def _parameter(name: str) -> sa.BindParameter[Any]:
    return bindparam(name, type_=Lot.__table__.c[name].type)  # type: ignore[attr-defined]


_INSERT_LOT = Prepared(sa.insert(Lot).values({name: _parameter(name) for name in (*COLUMNS, "created_at")}))
_UPDATE_LOT = Prepared(
    sa.update(Lot)
    .where(col(Lot.id) == bindparam("lot_id"), col(Lot.version) == bindparam("lot_version"))
    .values({name: _parameter(name) for name in (*_CHANGING, "quantity", "version")})
)
_INSERT_EVENT = Prepared(
    sa.insert(Event)
    .values({column.name: bindparam(column.name, type_=column.type) for column in Event.__table__.c})  # type: ignore[attr-defined]
    .returning(stock_talk.IS_WANTED)
)
