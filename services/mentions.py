"""Telling those whom a message names."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db import insert_new
from models import (
    ChannelKind,
    Chat,
    ChatMember,
    Delivery,
    Household,
    LiveKind,
    Membership,
    Message,
    Notification,
    NotificationKind,
    Preference,
    User,
)
from services import jobs, outbox, preferences
from services.core import clock, ids
from services.preferences import Rhythm

TEMPLATE = "mention"


async def tell(session: AsyncSession, message: Message, user_ids: Collection[UUID]) -> None:
    """Each once ever, however often it is edited: in the app, and at once wherever else they want to hear of it.

    Neither its author, nor anybody who does not see the chat. What goes outside the app waits for the end of quiet
    hours.
    """
    named = set(user_ids) - {message.author_id}
    if not named:
        return
    await session.flush()  # what is told refers to the message
    members = {row.user_id: row for row in await session.execute(_members(message.chat_id, named))}
    told = await _notify(session, message, members.values())
    ways = await preferences.find_ways(session, set(told))
    deliveries = [
        Delivery(
            user_id=user_id,
            household_id=members[user_id].household_id,
            channel=channel,
            channel_id=channel_id,
            template=TEMPLATE,
            data={"notification_id": str(notification_id)},
            next_attempt_at=_leaves_at(members[user_id]),
        )
        for user_id, notification_id in told.items()
        for channel, channel_id in ways[user_id]
        if channel in _wanted_by(members[user_id])
    ]
    if deliveries:
        session.add_all(deliveries)
        await jobs.defer(session, "deliver", dedupe_key="deliver")


async def _notify(session: AsyncSession, message: Message, members: Iterable[Any]) -> dict[UUID, UUID]:
    """The new notification of each, of those who want to hear of it anywhere and were not told before."""
    rows = [
        {
            "id": ids.new_id(),
            "user_id": row.user_id,
            "household_id": row.household_id,
            "kind": NotificationKind.MENTION,
            "message_id": message.id,
            "due_on": clock.today(row.time_zone),
            "in_app": ChannelKind.IN_APP in _wanted_by(row),
            "created_at": clock.now(),
        }
        for row in members
        if _wanted_by(row)
    ]
    if not rows:
        return {}
    inserted = await session.execute(
        insert_new(session, Notification)
        .values(rows)
        .returning(col(Notification.id), col(Notification.user_id), col(Notification.in_app))
    )
    told: dict[UUID, UUID] = {}
    for notification_id, user_id, in_app in inserted:
        told[user_id] = notification_id
        if in_app:
            outbox.tell(session, LiveKind.NOTIFICATION_CREATED, user_id=user_id, subject_id=notification_id)
    return told


def _wanted_by(row: Any) -> list[str]:
    return preferences.wanted(row.wanted, NotificationKind.MENTION)


def _leaves_at(row: Any) -> datetime:
    rhythm = Rhythm(quiet_from=row.quiet_from, quiet_until=row.quiet_until)
    return rhythm.leaves_at(clock.local(row.time_zone))


def _members(chat_id: UUID, user_ids: Collection[UUID]) -> sa.Select[Any]:
    """Those of them who see the chat, with how they want to hear of its household."""
    is_chosen = sa.exists().where(
        col(ChatMember.chat_id) == col(Chat.id), col(ChatMember.user_id) == col(Membership.user_id)
    )
    return (
        sa.select(
            col(Membership.user_id),
            col(Membership.household_id),
            col(Household.time_zone),
            col(Preference.wanted),
            col(Preference.quiet_from),
            col(Preference.quiet_until),
        )
        .select_from(Chat)
        .join(Household, col(Household.id) == col(Chat.household_id))
        .join(Membership, col(Membership.household_id) == col(Chat.household_id))
        .join(User, col(User.id) == col(Membership.user_id))
        .outerjoin(Preference, preferences.OF_MEMBERSHIP)
        .where(col(Chat.id) == chat_id, col(Membership.user_id).in_(user_ids), col(User.is_active))
        .where(sa.or_(col(Chat.is_for_all), is_chosen))
        # In one order, so that two messages at once do not wait for each other.
        .order_by(col(Membership.user_id))
    )
