"""The sweep: finds what members are to be told, and tells each of them each thing once.

Each household has a moment when it is due to be looked at again. Workers take those that are due in batches, a
transaction each, and pass over the ones another worker holds. A look inserts what is true by now and was not told
before, so it may come late, come twice, or be cut off at any point: nothing is lost and nothing is told twice.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, update

from db import Id, UTCDateTime, id_like, insert_new, json_lists, session_scope
from models import (
    ChannelKind,
    Delivery,
    Digest,
    Event,
    Household,
    LiveKind,
    Lot,
    Membership,
    Notification,
    NotificationKind,
    Preference,
    Product,
    ProductMute,
    User,
)
from services import jobs, outbox, preferences
from services.core import clock, ids
from services.core.tasks import task
from services.dates import Urgency
from services.preferences import Rhythm
from services.stock import queries

BATCH = 100
# What was edited is seen within this time, and what a clock that ran ahead has put off, too.
LONGEST_WAIT = timedelta(hours=1)
# How far back bookings are looked for: longer than from one sweep to the next and than a transaction may last.
RECENT = timedelta(minutes=3)

KINDS = {
    Urgency.SOON: NotificationKind.SOON,
    Urgency.TODAY: NotificationKind.TODAY,
    Urgency.EXPIRED: NotificationKind.EXPIRED,
    Urgency.PAST_BEST: NotificationKind.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Member:
    user_id: UUID
    wanted: dict[str, list[str]]
    rhythm: Rhythm


@dataclass(frozen=True, slots=True)
class Due:
    """A household that is due, and its clocks."""

    id: UUID
    zone: ZoneInfo
    now: datetime
    told_until: date

    @property
    def today(self) -> date:
        return self.now.date()


@task("sweep", cron="* * * * *")
async def sweep() -> str:
    """Look at every household that is due, and at those where something was booked lately."""
    async with session_scope() as session:
        await _wake_changed(session)
    households = 0
    while True:
        async with session_scope() as session:
            looked_at = await look(session, limit=BATCH)
        if not looked_at:
            return f"{households} households"
        households += looked_at


async def look(session: AsyncSession, *, limit: int) -> int:
    """Look at so many households that are due and that nobody else is looking at. Answers how many there were."""
    now = clock.now()
    due = await _claim(session, now, limit)
    if not due:
        return 0

    members = await _members(session, [household.id for household in due])
    days: dict[tuple[date, date], list[Due]] = defaultdict(list)
    for household in due:
        days[household.told_until, household.today].append(household)
    # Lots before products, as bookings lock them.
    for (told_until, today), of_day in days.items():
        household_ids = [household.id for household in of_day]
        await _notify(session, _NEWS_OF_LOTS, household_ids, today)
        await _tell_of_ended_days(session, household_ids, told_until, today)
    deliveries: list[Delivery] = []
    for (_told_until, today), of_day in days.items():
        await _tell_of_low_stock(session, [household.id for household in of_day], today)
        deliveries += await _digests(session, of_day, members, today)
    await _set_next_looks(session, due, members, now)
    if deliveries:
        session.add_all(deliveries)
        await jobs.defer(session, "deliver", dedupe_key="deliver")
    return len(due)


def next_look(now: datetime, zone: ZoneInfo, rhythms: Iterable[Rhythm]) -> datetime:
    """When something can change by itself: at the next midnight, or when a digest can leave."""
    minutes = {0}.union(*(rhythm.turns for rhythm in rhythms))
    today = now.astimezone(zone).date()
    moments = (_moment(day, minute, zone) for day in (today, today + timedelta(days=1)) for minute in minutes)
    return min(moment for moment in (*moments, now + LONGEST_WAIT) if moment > now)


def _moment(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """When clocks show that minute: the first time where they do so twice; where they skip it, as if they had not."""
    return datetime.combine(day, time(*divmod(minute, 60)), zone).astimezone(UTC)


async def _wake_changed(session: AsyncSession) -> None:
    """Make those due in which something was booked lately."""
    now = clock.now()
    booked = sa.select(col(Event.household_id)).where(col(Event.id) >= ids.first_id(now - RECENT))
    waiting = (
        sa.select(col(Household.id))
        .where(col(Household.next_sweep_at) > now, col(Household.id).in_(booked))
        .with_for_update(key_share=True, skip_locked=True)
    )
    await session.execute(update(Household).where(col(Household.id).in_(waiting)).values(next_sweep_at=now))


async def _claim(session: AsyncSession, now: datetime, limit: int) -> list[Due]:
    """Hold some that are due until the commit, without standing in the way of bookings."""
    at = col(Household.next_sweep_at)
    found = await session.execute(
        sa.select(col(Household.id), col(Household.time_zone), at)
        .where(sa.or_(at <= now, at > now + 2 * LONGEST_WAIT))
        .order_by(at)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True)
    )
    due = []
    for household_id, time_zone, due_at in found:
        zone = _zone(time_zone)
        # The moment it became due is the first of which nothing was told yet.
        told_until = min(due_at - timedelta.resolution, now).astimezone(zone).date()
        due.append(Due(household_id, zone, now.astimezone(zone), told_until))
    return due


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        # One household whose zone this machine does not know must not keep all others waiting.
        return ZoneInfo("UTC")


async def _members(session: AsyncSession, household_ids: Sequence[UUID]) -> dict[UUID, list[Member]]:
    rows = await session.execute(_MEMBERS, {"household_ids": household_ids})
    members: dict[UUID, list[Member]] = defaultdict(list)
    for household_id, user_id, wanted, *rhythm in rows:
        is_set = wanted is not None
        members[household_id].append(
            Member(user_id, wanted if is_set else preferences.DEFAULTS, Rhythm(*rhythm) if is_set else Rhythm())
        )
    return members


async def _tell_of_ended_days(
    session: AsyncSession, household_ids: Sequence[UUID], told_until: date, today: date
) -> None:
    """Let open pages know of lots that became more urgent because a day ended."""
    if told_until == today:
        return
    parameters = {"household_ids": household_ids, "told_until": told_until, "today": today}
    for household_id, lot_id in await session.execute(_CHANGED_BY_THE_DAY, parameters):
        outbox.tell(session, LiveKind.LOT_CHANGED, household_id=household_id, subject_id=lot_id)


async def _tell_of_low_stock(session: AsyncSession, household_ids: Sequence[UUID], today: date) -> None:
    in_households = col(Product.household_id).in_(household_ids)
    low = update(Product).where(in_households, col(Product.low_since).is_(None), _IS_LOW).values(low_since=today)
    recovered = update(Product).where(in_households, col(Product.low_since).is_not(None), sa.not_(_IS_LOW))
    for statement in (low, recovered.values(low_since=None)):
        await session.execute(statement.execution_options(synchronize_session=False))
    await _notify(session, _NEWS_OF_PRODUCTS, household_ids, today)


async def _notify(session: AsyncSession, news: sa.Select[Any], household_ids: Sequence[UUID], today: date) -> None:
    """Insert the news that is new."""
    now = clock.now()
    inserted = await session.execute(
        insert_new(session, Notification)
        .from_select(_COLUMNS, news)
        .returning(col(Notification.id), col(Notification.user_id), col(Notification.in_app)),
        {
            "household_ids": household_ids,
            "today": today,
            "now": now,
            "prefix": ids.prefix(now),
            "defaults": preferences.DEFAULTS,
        },
    )
    for notification_id, user_id, in_app in inserted:
        if in_app:
            outbox.tell(session, LiveKind.NOTIFICATION_CREATED, user_id=user_id, subject_id=notification_id)


async def _digests(
    session: AsyncSession, households: Sequence[Due], members: dict[UUID, list[Member]], today: date
) -> list[Delivery]:
    """The digests whose time has come, each once a day: whoever inserts its row makes it."""
    due = {
        (member.user_id, household.id): member
        for household in households
        for member in members[household.id]
        if member.rhythm.is_due(household.now)
    }
    if not due:
        return []
    claimed = await session.execute(
        insert_new(session, Digest).returning(col(Digest.user_id), col(Digest.household_id)),
        [
            {"user_id": user_id, "household_id": household_id, "day": today, "created_at": clock.now()}
            for user_id, household_id in due
        ],
    )
    unread = await _take_unread(session, [(user_id, household_id) for user_id, household_id in claimed], today)
    ways = await preferences.find_ways(session, {user_id for user_id, _household_id in unread})
    deliveries = []
    for (user_id, household_id), found in unread.items():
        wanted = due[user_id, household_id].wanted
        for channel, channel_id in ways[user_id]:
            told = sorted(str(notification_id) for kind, notification_id in found if channel in wanted[kind])
            if told:
                data = {"notification_ids": told, "day": today.isoformat()}
                deliveries.append(
                    Delivery(
                        user_id=user_id,
                        household_id=household_id,
                        channel=channel,
                        channel_id=channel_id,
                        template="digest",
                        data=data,
                    )
                )
    return deliveries


async def _take_unread(
    session: AsyncSession, whose: Sequence[tuple[UUID, UUID]], today: date
) -> dict[tuple[UUID, UUID], list[tuple[NotificationKind, UUID]]]:
    """What these members have neither read nor had in a digest yet; from now on they have."""
    taken: dict[tuple[UUID, UUID], list[tuple[NotificationKind, UUID]]] = defaultdict(list)
    if whose:
        found = await session.execute(
            update(Notification)
            .where(sa.tuple_(col(Notification.user_id), col(Notification.household_id)).in_(whose))
            .where(col(Notification.read_at).is_(None), col(Notification.digest_on).is_(None))
            # Who was mentioned has heard of it at once.
            .where(col(Notification.kind) != NotificationKind.MENTION)
            .values(digest_on=today)
            .returning(
                col(Notification.user_id), col(Notification.household_id), col(Notification.kind), col(Notification.id)
            )
            .execution_options(synchronize_session=False)
        )
        for user_id, household_id, kind, notification_id in found:
            taken[user_id, household_id].append((kind, notification_id))
    return taken


async def _set_next_looks(
    session: AsyncSession, due: Sequence[Due], members: dict[UUID, list[Member]], now: datetime
) -> None:
    by_moment: dict[datetime, list[UUID]] = defaultdict(list)
    for household in due:
        rhythms = (member.rhythm for member in members[household.id])
        by_moment[next_look(now, household.zone, rhythms)].append(household.id)
    for moment, household_ids in by_moment.items():
        await session.execute(
            update(Household)
            .where(col(Household.id).in_(household_ids))
            .values(next_sweep_at=moment)
            .execution_options(synchronize_session=False)
        )


_HOUSEHOLD_IDS = bindparam("household_ids", type_=Id, expanding=True)

_MEMBERS = (
    sa.select(
        col(Membership.household_id),
        col(Membership.user_id),
        col(Preference.wanted),
        col(Preference.digest_at),
        col(Preference.quiet_from),
        col(Preference.quiet_until),
    )
    .join(User, col(User.id) == col(Membership.user_id))
    .outerjoin(Preference, preferences.OF_MEMBERSHIP)
    .where(col(Membership.household_id).in_(_HOUSEHOLD_IDS), col(User.is_active))
)

_COLUMNS = ["id", "user_id", "household_id", "kind", "product_id", "lot_id", "due_on", "in_app", "created_at"]
_SOON_DAYS = queries.window(col(Membership.soon_days), col(Household.soon_days))
_TOLD_UNTIL = bindparam("told_until", type_=sa.Date)


def _is(urgency: Urgency, on: Any = queries.TODAY) -> sa.ColumnElement[bool]:
    return queries.is_urgent(urgency, today=on, soon_days=_SOON_DAYS)


def _with_members(statement: sa.Select[Any], household_id: Any) -> sa.Select[Any]:
    return statement.join(Household, col(Household.id) == household_id).join(
        Membership, col(Membership.household_id) == household_id
    )


def _news(statement: sa.Select[Any]) -> sa.Select[Any]:
    """For members who can hear it, and want to hear of that kind and product anywhere."""
    is_muted = sa.exists().where(
        col(ProductMute.user_id) == col(Membership.user_id), col(ProductMute.product_id) == col(Product.id)
    )
    wanted = sa.func.coalesce(col(Preference.wanted), bindparam("defaults", type_=sa.JSON))
    found = (
        statement.add_columns(col(Membership.user_id), wanted.label("wanted"))
        .join(User, col(User.id) == col(Membership.user_id))
        .outerjoin(Preference, preferences.OF_MEMBERSHIP)
        .where(col(User.is_active), ~is_muted)
        .subquery()
    ).c
    return (
        sa.select(
            id_like(bindparam("prefix", type_=sa.String)),
            found.user_id,
            found.household_id,
            found.kind,
            found.product_id,
            found.lot_id,
            found.due_on,
            json_lists(found.wanted, found.kind, ChannelKind.IN_APP.value),
            bindparam("now", type_=UTCDateTime),
        )
        .where(sa.or_(*(json_lists(found.wanted, found.kind, channel.value) for channel in ChannelKind)))
        # In the order in which bookings lock lots.
        .order_by(found.lot_id, found.user_id)
    )


_NEWS_OF_LOTS = _news(
    _with_members(
        queries.lots_with_products(
            sa.select(
                sa.case(*((_is(urgency), kind.value) for urgency, kind in KINDS.items())).label("kind"),
                col(Lot.household_id),
                col(Lot.product_id),
                col(Lot.id).label("lot_id"),
                col(Lot.expires_on).label("due_on"),
            )
        ),
        col(Lot.household_id),
    ).where(col(Lot.household_id).in_(_HOUSEHOLD_IDS), col(Lot.quantity) > 0, sa.or_(*map(_is, KINDS)))
)

_CHANGED_BY_THE_DAY = (
    _with_members(
        queries.lots_with_products(sa.select(col(Lot.household_id), col(Lot.id)).distinct()), col(Lot.household_id)
    )
    .where(col(Lot.household_id).in_(_HOUSEHOLD_IDS), col(Lot.quantity) > 0, col(Lot.expires_on) >= _TOLD_UNTIL)
    .where(sa.or_(*(sa.and_(_is(urgency), sa.not_(_is(urgency, _TOLD_UNTIL))) for urgency in KINDS)))
)

_LEFT = (
    sa.select(sa.func.coalesce(sa.func.sum(col(Lot.quantity)), 0))
    .where(col(Lot.product_id) == col(Product.id), col(Lot.quantity) > 0)
    .correlate(Product)
    .scalar_subquery()
)
_IS_LOW = sa.and_(col(Product.archived_at).is_(None), sa.func.coalesce(col(Product.min_quantity) > _LEFT, sa.false()))

_NEWS_OF_PRODUCTS = _news(
    _with_members(
        sa.select(
            sa.literal(NotificationKind.LOW_STOCK.value).label("kind"),
            col(Product.household_id),
            col(Product.id).label("product_id"),
            sa.cast(sa.null(), Id).label("lot_id"),
            col(Product.low_since).label("due_on"),
        ).select_from(Product),
        col(Product.household_id),
    ).where(col(Product.household_id).in_(_HOUSEHOLD_IDS), col(Product.low_since).is_not(None))
)
