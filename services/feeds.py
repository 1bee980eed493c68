"""The calendar feed: what is due when, for a calendar that fetches it with a secret address instead of signing in."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from models import FeedToken, Location, Lot, Product, ProductMute, Unit
from services import audit, sessions, wording
from services.core.errors import NotFound
from services.core.i18n import _, use_locale
from services.core.ids import hash_token, new_token
from services.dates import Urgency
from services.permissions import Actor
from services.schemas.notifications import FeedRead


async def start(session: AsyncSession, actor: Actor, *, base_url: str) -> FeedRead:
    """A new address for one's feed of this household; an old one ends."""
    await _end(session, actor)
    token = new_token()
    session.add(FeedToken(user_id=actor.user_id, household_id=actor.household_id, token_hash=hash_token(token)))
    _record(session, "feeds:start", actor)
    await session.flush()
    return FeedRead(url=f"{base_url}/feeds/{token}/expiry.ics")


async def end(session: AsyncSession, actor: Actor) -> None:
    await _end(session, actor)
    _record(session, "feeds:end", actor)


async def _end(session: AsyncSession, actor: Actor) -> None:
    await session.execute(
        delete(FeedToken).where(
            col(FeedToken.user_id) == actor.user_id, col(FeedToken.household_id) == actor.household_id
        )
    )


def _record(session: AsyncSession, action: str, actor: Actor) -> None:
    audit.record(
        session,
        action,
        by=actor,
        subject_type="feed_token",
        subject_id=actor.user_id,
        subject_name=actor.name,
        household_id=actor.household_id,
    )


async def read(session: AsyncSession, secret: str) -> bytes:
    """The calendar, in its reader's language. Raises `NotFound` for an address that is not, or no longer, one."""
    token = (await session.scalars(select(FeedToken).where(FeedToken.token_hash == hash_token(secret)))).one_or_none()
    actor = await sessions.find_member(session, token.user_id, token.household_id) if token else None
    if actor is None:
        raise NotFound(_("There is nothing at this address."))
    use_locale(actor.locale)
    rows = (await session.execute(_dated_lots(actor))).all()
    # It takes its time, with many lots.
    return await asyncio.to_thread(_calendar, actor, rows)


def _dated_lots(actor: Actor) -> sa.Select[Any]:
    is_muted = sa.exists().where(
        col(ProductMute.user_id) == actor.user_id, col(ProductMute.product_id) == col(Lot.product_id)
    )
    return (
        sa.select(Lot, col(Product.name), col(Unit.code), col(Unit.name), col(Unit.plural), col(Location.name))
        .join(Product, col(Product.id) == col(Lot.product_id))
        .join(Unit, col(Unit.id) == col(Product.unit_id))
        .join(Location, col(Location.id) == col(Lot.location_id))
        .where(col(Lot.household_id) == actor.household_id, col(Lot.quantity) > 0)
        .where(col(Lot.expires_on).is_not(None), ~is_muted)
        .order_by(col(Lot.expires_on), col(Lot.id))
    )


def _calendar(actor: Actor, rows: Sequence[Any]) -> bytes:
    # Only who serves a feed pays for it.
    from icalendar import Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", "-//Larder//expiry//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", actor.household_name)
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"value": "DURATION"})
    for lot, product, unit, unit_name, unit_plural, place in rows:
        due, _advice = wording.due(Urgency.TODAY, lot.date_kind, lot.expires_on, lot.expiry_reason, 0)
        event = Event()
        event.add("uid", f"{lot.id}@larder")
        # The same lot is always the same text, so that its ETag holds.
        event.add("dtstamp", lot.created_at)
        event.add("sequence", lot.version)
        event.add("dtstart", lot.expires_on)
        event.add("dtend", lot.expires_on + timedelta(days=1))
        event.add("summary", f"{product}: {due}")
        event.add("description", wording.amount(lot.quantity, unit, unit_name, unit_plural))
        event.add("location", place)
        event.add("transp", "TRANSPARENT")
        calendar.add_component(event)
    content: bytes = calendar.to_ical()
    return content
