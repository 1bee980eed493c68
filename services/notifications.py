"""What one was told: reading it, and having read it. The sweep writes it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, update

from models import Household, LiveKind, Lot, Membership, Notification, Product, Unit
from services import outbox, wording
from services.core import clock
from services.core.errors import NotFound
from services.core.i18n import _
from services.core.pagination import Page, PageRequest, by_id, fetch_page
from services.permissions import Account
from services.schemas.notifications import (
    NotificationFilters,
    NotificationHousehold,
    NotificationProduct,
    NotificationRead,
)


async def list_notifications(
    session: AsyncSession, account: Account, page: PageRequest, filters: NotificationFilters
) -> Page[NotificationRead]:
    """Of all households one belongs to, newest first."""
    statement = _visible_to(account.user_id).where(col(Notification.in_app))
    if filters.unread:
        statement = statement.where(col(Notification.read_at).is_(None))
    if filters.kind:
        statement = statement.where(col(Notification.kind) == filters.kind)
    found = await fetch_page(session, statement, page, by_id(col(Notification.id)), descending=True)
    return replace(found, items=[_read(row) for row in found.items])


async def find_shared(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Callable[[], NotificationRead]]:
    """Those of these, of any user, that show in the app: to be read in the language of the moment of each."""
    rows = await session.execute(_notifications().where(col(Notification.id).in_(ids), col(Notification.in_app)))
    return {row[0].id: partial(_read, row) for row in rows}


async def count_unread(session: AsyncSession, account: Account) -> int:
    return (await count_unread_of(session, {account.user_id})).get(account.user_id, 0)


async def count_unread_of(session: AsyncSession, user_ids: Collection[UUID]) -> dict[UUID, int]:
    """By user; those who have none are not among them."""
    counted = await session.execute(
        sa.select(col(Notification.user_id), sa.func.count())
        .join(Membership, _still_a_member())
        .where(col(Notification.user_id).in_(user_ids), *_unread())
        .group_by(col(Notification.user_id))
    )
    return dict(counted.tuples().all())


async def mark_read(session: AsyncSession, account: Account, notification_id: UUID) -> NotificationRead:
    statement = _visible_to(account.user_id).where(col(Notification.id) == notification_id, col(Notification.in_app))
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(_("There is no such notification."))
    notification: Notification = row[0]
    if notification.read_at is None:
        notification.read_at = clock.now()
        _tell(session, account, notification.id)
    return _read(row)


async def mark_all_read(session: AsyncSession, account: Account) -> None:
    marked = await session.execute(
        update(Notification)
        .where(col(Notification.user_id) == account.user_id, *_unread())
        .values(read_at=clock.now())
        .returning(col(Notification.id))
    )
    if marked.first() is not None:
        _tell(session, account, None)


def _tell(session: AsyncSession, account: Account, notification_id: UUID | None) -> None:
    """One's other devices; without an id, that all is read."""
    outbox.tell(session, LiveKind.NOTIFICATIONS_READ, user_id=account.user_id, subject_id=notification_id)


def _unread() -> tuple[sa.ColumnElement[bool], ...]:
    return col(Notification.read_at).is_(None), col(Notification.in_app).is_(True)


def _still_a_member() -> sa.ColumnElement[bool]:
    return sa.and_(
        col(Membership.user_id) == col(Notification.user_id),
        col(Membership.household_id) == col(Notification.household_id),
    )


def _visible_to(user_id: UUID) -> sa.Select[Any]:
    return _notifications().where(col(Notification.user_id) == user_id)


def _notifications() -> sa.Select[Any]:
    return (
        sa.select(
            Notification,
            col(Household.name),
            col(Product.name),
            col(Product.min_quantity),
            col(Unit.code),
            col(Unit.name),
            col(Unit.plural),
            col(Lot.date_kind),
            col(Lot.expiry_reason),
        )
        .join(Membership, _still_a_member())
        .join(Household, col(Household.id) == col(Notification.household_id))
        .join(Product, col(Product.id) == col(Notification.product_id))
        .join(Unit, col(Unit.id) == col(Product.unit_id))
        .outerjoin(Lot, col(Lot.id) == col(Notification.lot_id))
    )


def _read(row: Sequence[Any]) -> NotificationRead:
    notification, household, product, min_quantity, unit, unit_name, unit_plural, date_kind, expiry_reason = row
    minimum = "" if min_quantity is None else wording.amount(min_quantity, unit, unit_name, unit_plural)
    title, text = wording.told(
        notification.kind,
        product,
        due_on=notification.due_on,
        date_kind=date_kind,
        expiry_reason=expiry_reason,
        minimum=minimum,
    )
    return NotificationRead(
        **notification.model_dump(),
        household=NotificationHousehold(id=notification.household_id, name=household),
        product=NotificationProduct(id=notification.product_id, name=product),
        title=title,
        text=text,
    )
