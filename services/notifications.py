"""What one was told: reading it, and having read it. The sweep writes it, and whoever mentions somebody."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, update

from models import (
    Avatar,
    Chat,
    ChatMember,
    Household,
    LiveKind,
    Lot,
    Membership,
    Message,
    Notification,
    NotificationKind,
    Product,
    Unit,
    User,
)
from services import names, outbox, wording
from services.core import clock
from services.core.errors import NotFound
from services.core.i18n import _
from services.core.pagination import Page, PageRequest, by_id, fetch_page
from services.permissions import Account
from services.schemas.notifications import (
    NotificationFilters,
    NotificationHousehold,
    NotificationMessage,
    NotificationProduct,
    NotificationRead,
)


async def list_notifications(
    session: AsyncSession, account: Account, page: PageRequest, filters: NotificationFilters
) -> Page[NotificationRead]:
    """Of all households one belongs to, newest first."""
    statement = _visible_to(account).where(col(Notification.in_app))
    if filters.unread:
        statement = statement.where(col(Notification.read_at).is_(None))
    if filters.kind:
        statement = statement.where(col(Notification.kind) == filters.kind)
    found = await fetch_page(session, statement, page, by_id(col(Notification.id)), descending=True)
    return replace(found, items=[_read(row) for row in found.items])


class SharedNotification(NamedTuple):
    """To be read in the language of the moment of each. `is_talk`: it is of what somebody said."""

    is_talk: bool
    read: Callable[[], NotificationRead]


async def find_shared(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, SharedNotification]:
    """Those of these, of any user, that show in the app."""
    rows = await session.execute(_notifications().where(col(Notification.id).in_(ids), col(Notification.in_app)))
    return {row[0].id: SharedNotification(row[0].message_id is not None, partial(_read, row)) for row in rows}


class Unread(NamedTuple):
    """How many one has not read: all of them, and without what people said to each other."""

    all: int = 0
    without_talk: int = 0

    def heard_by(self, *, hears_talk: bool) -> int:
        return self.all if hears_talk else self.without_talk


async def count_unread(session: AsyncSession, account: Account) -> int:
    unread = (await count_unread_of(session, {account.user_id})).get(account.user_id, Unread())
    return unread.heard_by(hears_talk=account.hears_talk)


async def count_unread_of(session: AsyncSession, user_ids: Collection[UUID]) -> dict[UUID, Unread]:
    """By user; those who have none are not among them."""
    counted = await session.execute(
        sa.select(col(Notification.user_id), sa.func.count(), sa.func.count().filter(sa.not_(_is_talk)))
        .join(Membership, _still_a_member())
        .outerjoin(Message, col(Message.id) == col(Notification.message_id))
        .outerjoin(Chat, col(Chat.id) == col(Message.chat_id))
        .where(col(Notification.user_id).in_(user_ids), *_unread(), _is_seen())
        .group_by(col(Notification.user_id))
    )
    return {user_id: Unread(*counts) for user_id, *counts in counted}


async def find_unread(session: AsyncSession, account: Account, notification_id: UUID) -> NotificationRead | None:
    """Whether it shows in the app or not."""
    statement = _visible_to(account).where(col(Notification.id) == notification_id, col(Notification.read_at).is_(None))
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else _read(row)


async def mark_read(session: AsyncSession, account: Account, notification_id: UUID) -> NotificationRead:
    statement = _visible_to(account).where(col(Notification.id) == notification_id, col(Notification.in_app))
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
        .where(col(Notification.user_id) == account.user_id, *_unread(), _may_be_told(account))
        .values(read_at=clock.now())
        .returning(col(Notification.id))
    )
    if marked.first() is not None:
        _tell(session, account, None)


async def mark_mentions_read(session: AsyncSession, account: Account, chat_id: UUID, *, up_to: int) -> None:
    """Those in a chat that one has read up to a number."""
    messages = sa.select(col(Message.id)).where(col(Message.chat_id) == chat_id, col(Message.seq) <= up_to)
    marked = await session.execute(
        update(Notification)
        .where(col(Notification.user_id) == account.user_id, *_unread(), col(Notification.message_id).in_(messages))
        .values(read_at=clock.now())
        .returning(col(Notification.id))
    )
    for notification_id in marked.scalars():
        _tell(session, account, notification_id)


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


def _is_seen() -> sa.ColumnElement[bool]:
    """That it is no mention in a message that was deleted, or in a chat that its reader does not see any more."""
    is_chosen = sa.exists().where(
        col(ChatMember.chat_id) == col(Chat.id), col(ChatMember.user_id) == col(Notification.user_id)
    )
    sees_chat = sa.or_(col(Chat.is_for_all), is_chosen)
    return sa.or_(
        col(Notification.message_id).is_(None),
        sa.and_(col(Message.deleted_at).is_(None), sees_chat),
    )


_is_talk = col(Notification.kind) == NotificationKind.MENTION


def _may_be_told(account: Account) -> sa.ColumnElement[bool]:
    """Talk is between people: neither staff who acts as one of them nor a program hears it."""
    return sa.true() if account.hears_talk else sa.not_(_is_talk)


def _visible_to(account: Account) -> sa.Select[Any]:
    return _notifications().where(col(Notification.user_id) == account.user_id, _may_be_told(account))


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
            col(Chat.id),
            col(Chat.title),
            col(Message.content),
            col(User.id),
            col(User.name),
            col(Avatar.file_id),
        )
        .join(Membership, _still_a_member())
        .join(Household, col(Household.id) == col(Notification.household_id))
        .outerjoin(Product, col(Product.id) == col(Notification.product_id))
        .outerjoin(Unit, col(Unit.id) == col(Product.unit_id))
        .outerjoin(Lot, col(Lot.id) == col(Notification.lot_id))
        .outerjoin(Message, col(Message.id) == col(Notification.message_id))
        .outerjoin(Chat, col(Chat.id) == col(Message.chat_id))
        .outerjoin(User, col(User.id) == col(Message.author_id))
        .outerjoin(Avatar, col(Avatar.user_id) == col(User.id))
        .where(_is_seen())
    )


def _read(row: Sequence[Any]) -> NotificationRead:
    notification, household, *about = row
    seen = notification.model_dump(exclude={"product_id", "message_id"})
    seen["household"] = NotificationHousehold(id=notification.household_id, name=household)
    if notification.message_id is not None:
        return _read_mention(notification, seen, *about[-6:])

    product, min_quantity, unit, unit_name, unit_plural, date_kind, expiry_reason = about[:7]
    minimum = "" if min_quantity is None else wording.amount(min_quantity, unit, unit_name, unit_plural)
    title, text = wording.told(
        notification.kind,
        product,
        due_on=notification.due_on,
        date_kind=date_kind,
        expiry_reason=expiry_reason,
        minimum=minimum,
    )
    about_product = NotificationProduct(id=notification.product_id, name=product)
    return NotificationRead(**seen, product=about_product, message=None, title=title, text=text)


def _read_mention(
    notification: Notification,
    seen: dict[str, Any],
    chat_id: UUID,
    chat: str,
    content: str,
    author_id: UUID | None,
    author: str | None,
    picture_id: UUID | None,
) -> NotificationRead:
    title, text = wording.mentioned(author, chat, content)
    message = NotificationMessage(
        id=notification.message_id,
        chat_id=chat_id,
        chat_title=chat,
        author=None if author_id is None else names.person(author_id, author or "", picture_id),
        content=content,
    )
    return NotificationRead(**seen, product=None, message=message, title=title, text=text)
