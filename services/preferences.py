"""How each member wants to hear of each household: of what, where, and when."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete

from db import insert_new
from models import Channel, ChannelKind, Membership, NotificationKind, Preference, Product, ProductMute
from services import audit, households, products
from services.permissions import Actor
from services.schemas.notifications import DIGEST_AT, MutedProduct, PreferencesRead, PreferencesUpdate

# Whoever adds a channel wants to hear on it, so all are wanted: where there is none, nothing is sent. A product that
# runs low spoils nothing, so it can wait until somebody looks.
DEFAULT_WANTED: Mapping[NotificationKind, list[ChannelKind]] = {
    NotificationKind.SOON: list(ChannelKind),
    NotificationKind.TODAY: list(ChannelKind),
    NotificationKind.EXPIRED: list(ChannelKind),
    NotificationKind.LOW_STOCK: [ChannelKind.IN_APP],
    NotificationKind.MENTION: list(ChannelKind),
}

OF_MEMBERSHIP = sa.and_(
    col(Preference.user_id) == col(Membership.user_id), col(Preference.household_id) == col(Membership.household_id)
)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a member is sent things, in minutes after local midnight. Quiet hours may span midnight."""

    digest_at: int = DIGEST_AT
    quiet_from: int | None = None
    quiet_until: int | None = None

    @property
    def sends_at(self) -> int:
        """When the digest leaves: within quiet hours it waits for their end."""
        if self.quiet_until is not None and self.is_quiet(self.digest_at):
            return self.quiet_until
        return self.digest_at

    def is_quiet(self, minute: int) -> bool:
        if self.quiet_from is None or self.quiet_until is None:
            return False
        if self.quiet_from < self.quiet_until:
            return self.quiet_from <= minute < self.quiet_until
        return minute >= self.quiet_from or minute < self.quiet_until

    def is_due(self, local: datetime) -> bool:
        """Whether the digest of that day may leave by now; one that is late still may."""
        minute = local.hour * 60 + local.minute
        return minute >= self.sends_at and not self.is_quiet(minute)

    def leaves_at(self, local: datetime) -> datetime:
        """When what is not for the digest leaves: at once, or when quiet hours are over."""
        minute = local.hour * 60 + local.minute
        if self.quiet_until is None or not self.is_quiet(minute):
            return local
        day = local.date() if minute < self.quiet_until else local.date() + timedelta(days=1)
        return datetime.combine(day, time(*divmod(self.quiet_until, 60)), local.tzinfo)

    @property
    def turns(self) -> set[int]:
        """The minutes of a day at which it can become due."""
        return {self.sends_at} if self.quiet_until is None else {self.sends_at, self.quiet_until}


async def get_preferences(session: AsyncSession, actor: Actor) -> PreferencesRead:
    membership, preference = await _mine(session, actor)
    return await _read(session, actor, membership, preference)


async def edit_preferences(session: AsyncSession, actor: Actor, data: PreferencesUpdate) -> PreferencesRead:
    """All of them anew."""
    membership, preference = await _mine(session, actor)
    before = _said(membership, preference)
    membership.soon_days = data.soon_days
    preference.sqlmodel_update(data.model_dump(exclude={"soon_days"}) | {"wanted": _complete(data.wanted)})
    session.add(preference)
    after = _said(membership, preference)
    audit.record(session, "preferences:edit", by=actor, subject=preference, before=before, after=after)
    await households.look_again(session, actor.household_id)
    return await _read(session, actor, membership, preference)


def wanted(stored: Mapping[str, list[str]] | None, kind: NotificationKind) -> list[str]:
    """Where somebody with these preferences wants to hear of that kind."""
    return (stored or {}).get(kind.value, DEFAULTS[kind.value])


async def find_ways(
    session: AsyncSession, user_ids: Collection[UUID]
) -> dict[UUID, list[tuple[ChannelKind, UUID | None]]]:
    """Everywhere these users can be reached outside the app."""
    ways: dict[UUID, list[tuple[ChannelKind, UUID | None]]] = {
        user_id: [(ChannelKind.EMAIL, None)] for user_id in user_ids
    }
    rows = await session.execute(
        sa.select(col(Channel.user_id), col(Channel.kind), col(Channel.id)).where(col(Channel.user_id).in_(user_ids))
    )
    for user_id, kind, channel_id in rows:
        ways[user_id].append((kind, channel_id))
    return ways


async def is_muted(session: AsyncSession, actor: Actor, product_id: UUID) -> bool:
    return await session.get(ProductMute, (actor.user_id, product_id)) is not None


async def mute(session: AsyncSession, actor: Actor, product_id: UUID) -> None:
    """Hear nothing about a product any more."""
    product = await products.get_product(session, actor, product_id)
    await session.execute(insert_new(session, ProductMute).values(user_id=actor.user_id, product_id=product.id))
    audit.record(session, "products:mute", by=actor, subject=product)


async def unmute(session: AsyncSession, actor: Actor, product_id: UUID) -> None:
    product = await products.get_product(session, actor, product_id)
    await session.execute(
        delete(ProductMute).where(col(ProductMute.user_id) == actor.user_id, col(ProductMute.product_id) == product.id)
    )
    audit.record(session, "products:unmute", by=actor, subject=product)
    await households.look_again(session, actor.household_id)


def _said(membership: Membership, preference: Preference) -> dict[str, Any]:
    said = audit.snapshot(preference, ("wanted", "digest_at", "quiet_from", "quiet_until"))
    return {**said, "soon_days": membership.soon_days}


async def _mine(session: AsyncSession, actor: Actor) -> tuple[Membership, Preference]:
    mine = (col(Membership.user_id) == actor.user_id, col(Membership.household_id) == actor.household_id)
    found = await session.execute(sa.select(Membership, Preference).outerjoin(Preference, OF_MEMBERSHIP).where(*mine))
    membership, preference = found.one()
    if preference is None:
        preference = Preference(user_id=actor.user_id, household_id=actor.household_id, wanted=_complete({}))
    return membership, preference


async def _read(session: AsyncSession, actor: Actor, membership: Membership, preference: Preference) -> PreferencesRead:
    muted = await session.execute(
        sa.select(col(Product.id), col(Product.name))
        .join(ProductMute, col(ProductMute.product_id) == col(Product.id))
        .where(col(ProductMute.user_id) == actor.user_id, col(Product.household_id) == actor.household_id)
        .order_by(col(Product.name_key))
    )
    return PreferencesRead(
        **preference.model_dump(exclude={"wanted"}),
        wanted={**DEFAULTS, **preference.wanted},
        soon_days=membership.soon_days,
        muted=[MutedProduct(id=product_id, name=name) for product_id, name in muted],
    )


def _complete(wanted: Mapping[NotificationKind, list[ChannelKind]]) -> dict[str, list[str]]:
    """The channels of every kind, as they are kept; of what was not said, the default."""
    said = {**DEFAULT_WANTED, **wanted}
    return {kind.value: [channel.value for channel in ChannelKind if channel in said[kind]] for kind in said}


DEFAULTS = _complete({})
