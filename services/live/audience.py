"""Who listens on a socket, and what of a household they may hear."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Chat, Household, Membership, User
from services import chats, sessions
from services.core.i18n import DEFAULT_LOCALE


@dataclass(frozen=True, slots=True)
class Reader:
    """What makes the same thing read differently.

    `hears_talk`: what people say to each other is for themselves, not for staff who acts as them, nor for machines.
    """

    hears_talk: bool
    locale: str = DEFAULT_LOCALE
    time_zone: str = "UTC"
    soon_days: int = 0


@dataclass(frozen=True, slots=True)
class Audience:
    """A session or API key, and its user as a reader in each of their households."""

    session_id: UUID
    user_id: UUID
    reader: Reader
    households: Mapping[UUID, Reader]

    @property
    def hears_talk(self) -> bool:
        return self.reader.hears_talk

    def reader_in(self, household_id: UUID | None) -> Reader:
        return self.households.get(household_id, self.reader) if household_id else self.reader


async def load(session: AsyncSession, session_ids: Collection[UUID]) -> dict[UUID, Audience]:
    """By session or API key. Those that are over, and those of people who may not go on, are not among them."""
    holders = sessions.holders(session_ids)
    rows = await session.execute(
        sa.select(
            holders.c.id,
            holders.c.is_own,
            col(User.id),
            col(User.locale),
            col(Household.id),
            col(Household.locale),
            col(Household.time_zone),
            sa.func.coalesce(col(Membership.soon_days), col(Household.soon_days)),
        )
        .select_from(holders)
        .join(User, col(User.id) == holders.c.user_id)
        .outerjoin(Membership, col(Membership.user_id) == col(User.id))
        .outerjoin(Household, col(Household.id) == col(Membership.household_id))
    )
    found: dict[UUID, Audience] = {}
    for session_id, is_own, user_id, locale, household_id, household_locale, time_zone, soon_days in rows:
        audience = found.get(session_id)
        if audience is None:
            reader = Reader(bool(is_own), locale or household_locale or DEFAULT_LOCALE)
            audience = found[session_id] = Audience(session_id, user_id, reader, {})
        if household_id:
            assert isinstance(audience.households, dict)
            audience.households[household_id] = Reader(bool(is_own), locale or household_locale, time_zone, soon_days)
    return found


async def sees_chat(session: AsyncSession, audience: Audience, chat_id: UUID) -> bool:
    """Whether they belong to a chat of one of their households, and may hear it."""
    if not audience.hears_talk:
        return False
    found = await session.execute(sa.select(col(Chat.household_id)).where(col(Chat.id) == chat_id))
    if found.scalar_one_or_none() not in audience.households:
        return False
    hearers = (await chats.find_hearers(session, [chat_id])).get(chat_id, ())
    return hearers is None or audience.user_id in hearers
