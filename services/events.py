"""The journal: reading the ledger. Bookings are made in `ledger`."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from models import QUANTITY, Event, Product, Unit, User
from services import ledger
from services.core.pagination import Page, PageRequest, by_id, fetch_page
from services.permissions import Actor
from services.schemas.stock import EventActor, EventFilters, EventGroup, EventRead


async def list_events(session: AsyncSession, actor: Actor, page: PageRequest, filters: EventFilters) -> Page[EventRead]:
    """Newest first."""
    statement = _visible_to(actor)
    if filters.lot:
        statement = statement.where(col(Event.lot_id) == filters.lot)
    if filters.product:
        statement = statement.where(col(Event.product_id) == filters.product)
    if filters.kind:
        statement = statement.where(col(Event.kind) == filters.kind)
    found = await fetch_page(session, statement, page, by_id(col(Event.id)), descending=True)
    return replace(found, items=[_read(row) for row in found.items])


async def list_group(session: AsyncSession, actor: Actor, group_id: UUID) -> list[EventRead]:
    rows = await session.execute(_visible_to(actor).where(col(Event.group_id) == group_id).order_by(col(Event.id)))
    return [_read(row) for row in rows]


async def undo(session: AsyncSession, actor: Actor, event_id: UUID, *, whole_group: bool = False) -> EventRead:
    """Take a booking back; see `ledger.undo`. Answers the event that does it."""
    new_id = await ledger.undo(session, actor, event_id, whole_group=whole_group)
    return _read((await session.execute(_visible_to(actor).where(col(Event.id) == new_id))).one())


async def find_shared(session: AsyncSession, event_ids: Collection[UUID]) -> dict[UUID, EventRead]:
    """Those of these bookings that there are, of any household: for those who know already who may see them."""
    rows = await session.execute(_SOME_EVENTS, {"event_ids": list(event_ids)})
    return {event.id: event for event in map(_read, rows)}


async def find_together(session: AsyncSession, event_ids: Collection[UUID]) -> dict[UUID, EventGroup]:
    """What was booked together with each of these, by its id: for those who know already who may see them."""
    first = await find_shared(session, event_ids)
    rows = await session.execute(_GROUPS, {"event_ids": list(event_ids)})
    return {
        event_id: EventGroup(
            event=first[event_id].model_copy(update={"quantity_delta": quantity}),
            count=count,
            products=products,
            undone=undone == count,
        )
        for event_id, count, products, quantity, undone in rows
        if event_id in first
    }


def _visible_to(actor: Actor) -> sa.Select[Any]:
    return _EVENTS.where(col(Event.household_id) == actor.household_id)


_reversal = aliased(Event)
_principal = aliased(User)
_undone = sa.exists().where(col(_reversal.reverses_id) == col(Event.id)).correlate(Event)
_EVENTS = (
    sa.select(
        Event,
        col(Product.name),
        col(Unit.code),
        col(Unit.name),
        col(Unit.plural),
        col(User.name),
        col(_principal.name),
        _undone,
    )
    .join(Product, col(Product.id) == col(Event.product_id))
    .join(Unit, col(Unit.id) == col(Product.unit_id))
    .outerjoin(User, col(User.id) == col(Event.actor_id))
    .outerjoin(_principal, col(_principal.id) == col(Event.on_behalf_of_id))
)
_SOME_EVENTS = _EVENTS.where(col(Event.id).in_(sa.bindparam("event_ids", expanding=True)))

_together = aliased(Event)
_taken_back = aliased(Event)
_GROUPS = (
    sa.select(
        col(Event.id),
        sa.func.count(),
        sa.func.count(sa.distinct(col(_together.product_id))),
        sa.type_coerce(sa.func.sum(col(_together.quantity_delta)), QUANTITY),
        sa.func.count(col(_taken_back.id)),
    )
    .join(
        _together,
        sa.and_(col(_together.household_id) == col(Event.household_id), col(_together.group_id) == col(Event.group_id)),
    )
    .outerjoin(_taken_back, col(_taken_back.reverses_id) == col(_together.id))
    .where(col(Event.id).in_(sa.bindparam("event_ids", expanding=True)))
    .group_by(col(Event.id))
)


def _read(row: Any) -> EventRead:
    event, product_name, unit, unit_name, unit_plural, actor_name, principal_name, undone = row
    return EventRead(
        **event.model_dump(exclude={"actor_id", "on_behalf_of_id", "household_id", "lot_version"}),
        product_name=product_name,
        unit=unit,
        unit_name=unit_name,
        unit_plural=unit_plural,
        actor=EventActor(id=event.actor_id, name=actor_name) if event.actor_id else None,
        on_behalf_of=EventActor(id=event.on_behalf_of_id, name=principal_name) if event.on_behalf_of_id else None,
        undone=undone,
    )
