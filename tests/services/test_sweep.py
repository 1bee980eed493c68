"""The sweep: everybody is told everything once, on their household's own day."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select, update

from models import (
    Category,
    Channel,
    ChannelKind,
    DateKind,
    Delivery,
    Household,
    LiveKind,
    Membership,
    Notification,
    NotificationKind,
    Outbox,
    Product,
    Role,
    User,
)
from services import dates, events, households, notifications, preferences, products, stock, sweep
from services.core import clock
from services.core.pagination import PageRequest
from services.permissions import Actor
from services.preferences import Rhythm
from services.schemas.households import HouseholdCreate, HouseholdUpdate, InvitationCreate
from services.schemas.notifications import NotificationFilters, PreferencesUpdate
from services.schemas.products import ProductUpdate
from services.schemas.stock import LotConsume, LotDiscard, LotFreeze, LotRead, LotSnooze, LotUpdate
from tests import factories
from tests.conftest import HOUSEHOLD, NOW, TODAY
from tests.factories import make_product

SOON, TODAY_KIND, EXPIRED, LOW, _MENTION = NotificationKind
BERLIN = ZoneInfo("Europe/Berlin")
ALL = PageRequest(limit=200)
EVERYTHING = NotificationFilters()


async def make_lot(session: AsyncSession, actor: Actor, *, product: Product | str = "Bolt", **fields: Any) -> LotRead:
    """Of something that no category knows, so that the household's window counts."""
    return await factories.make_lot(session, actor, product=product, **fields)


def in_days(days: int) -> date:
    return TODAY + timedelta(days=days)


def at(text: str, zone: str = "Europe/Berlin", *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


async def sweep_at(session: AsyncSession, moment: datetime = NOW) -> None:
    await session.commit()
    with clock.frozen(moment):
        await sweep.sweep()


async def told(session: AsyncSession, actor: Actor) -> list[tuple[str, NotificationKind, date]]:
    rows = await session.execute(
        sa.select(col(Product.name), col(Notification.kind), col(Notification.due_on))
        .join(Notification, col(Notification.product_id) == col(Product.id))
        .where(col(Notification.user_id) == actor.user_id)
        .order_by(col(Product.name), col(Notification.due_on), col(Notification.kind))
    )
    return [tuple(row) for row in rows]


async def kinds(session: AsyncSession, actor: Actor) -> list[NotificationKind]:
    return [kind for _name, kind, _due_on in await told(session, actor)]


async def outbox_of(session: AsyncSession, kind: LiveKind) -> list[Outbox]:
    return list(await session.scalars(select(Outbox).where(Outbox.kind == kind).order_by(col(Outbox.id))))


async def deliveries(session: AsyncSession, actor: Actor) -> list[Delivery]:
    mine = select(Delivery).where(Delivery.user_id == actor.user_id).order_by(col(Delivery.id))
    return list(await session.scalars(mine))


async def names_in(session: AsyncSession, delivery: Delivery) -> list[str]:
    ids = [UUID(told_id) for told_id in delivery.data["notification_ids"]]
    statement = sa.select(col(Product.name)).join(Notification).where(col(Notification.id).in_(ids))
    return sorted((await session.scalars(statement)).all())


async def settle(session: AsyncSession, user: Actor, time_zone: str) -> Actor:
    """Somebody's further household, somewhere."""
    made = await households.create_household(session, user, HouseholdCreate(name="Far", time_zone=time_zone))
    return replace(user, household_id=made.id, time_zone=time_zone, role=Role.OWNER)


async def due_at(session: AsyncSession, household_id: UUID = HOUSEHOLD) -> datetime:
    found = await session.scalars(select(Household.next_sweep_at).where(Household.id == household_id))
    moment: datetime = found.one()
    return moment


# What is told


async def test_the_database_tells_by_the_same_rule_as_everybody_sees(session: AsyncSession, alice: Actor) -> None:
    made = {}
    for days in (-30, -1, 0, 1, 4, 5, 6, 40):
        for date_kind in (DateKind.USE_BY, DateKind.BEST_BEFORE, DateKind.ESTIMATED):
            for snoozed in (None, -1, 0, 1):
                lot = await make_lot(
                    session, alice, product="Bolt", expires_on=in_days(days), date_kind=date_kind, quantity=1
                )
                if snoozed is not None:
                    await stock.snooze(session, alice, lot.id, LotSnooze(until=in_days(snoozed)))
                made[UUID(str(lot.id))] = dates.urgency(
                    today=TODAY,
                    date_kind=date_kind,
                    expires_on=in_days(days),
                    expiry_reason=lot.expiry_reason,
                    soon_days=5,
                    snoozed_until=None if snoozed is None else in_days(snoozed),
                )

    await sweep_at(session)

    found = await session.execute(
        sa.select(col(Notification.lot_id), col(Notification.kind)).where(col(Notification.user_id) == alice.user_id)
    )
    expected = {lot_id: sweep.KINDS[urgency] for lot_id, urgency in made.items() if urgency in sweep.KINDS}
    assert dict(found.tuples().all()) == expected
    assert len(expected) < len(made)


async def test_every_member_is_told_and_nobody_else(
    session: AsyncSession, alice: Actor, dora: Actor, bob: Actor, vera: Actor, charlie: Actor, sam: Actor
) -> None:
    await make_lot(session, alice, expires_on=TODAY)

    await sweep_at(session)

    for member in (alice, dora, bob, vera):
        assert await told(session, member) == [("Bolt", TODAY_KIND, TODAY)]
    for stranger in (charlie, sam):
        assert await told(session, stranger) == []


async def test_who_left_or_may_not_sign_in_is_told_nothing(
    session: AsyncSession, alice: Actor, bob: Actor, vera: Actor
) -> None:
    await make_lot(session, alice, expires_on=TODAY)
    await households.remove_member(session, bob, bob.user_id)
    await session.execute(update(User).where(col(User.id) == vera.user_id).values(is_active=False))

    await sweep_at(session)

    assert (await kinds(session, alice), await kinds(session, bob), await kinds(session, vera)) == (
        [TODAY_KIND],
        [],
        [],
    )


@pytest.mark.parametrize(
    ("household", "member", "group", "category", "product", "expected"),
    [
        (5, None, None, None, None, 5),
        (5, 7, None, None, None, 7),
        (5, 7, 2, None, None, 2),
        (5, 7, 2, 9, None, 9),
        (5, 7, 2, 9, 1, 1),
        (5, 0, None, None, None, 0),
        (5, None, None, None, 0, 0),
        (3, None, None, 10, None, 10),
    ],
)
async def test_the_narrowest_window_counts(
    session: AsyncSession,
    alice: Actor,
    bob: Actor,
    household: int,
    member: int | None,
    group: int | None,
    category: int | None,
    product: int | None,
    expected: int,
) -> None:
    above = Category(household_id=HOUSEHOLD, name="Dairy", name_key="our dairy", soon_days=group)
    session.add(above)
    await session.flush()
    food = Category(household_id=HOUSEHOLD, name="Kefir", name_key="our kefir", parent_id=above.id, soon_days=category)
    session.add(food)
    await session.flush()
    kefir = await make_product(session, alice, name="Our kefir", category_id=food.id, soon_days=product)
    for days in range(1, 12):
        await make_lot(session, alice, product=kefir, expires_on=in_days(days), quantity=1)
    await session.execute(update(Household).where(col(Household.id) == HOUSEHOLD).values(soon_days=household))
    await session.execute(update(Membership).where(col(Membership.user_id) == alice.user_id).values(soon_days=member))

    await sweep_at(session)

    assert len(await kinds(session, alice)) == expected
    narrowest_for_all = next((days for days in (product, category, group) if days is not None), household)
    assert len(await kinds(session, bob)) == narrowest_for_all


async def test_what_has_no_date_or_is_used_up_is_not_told(session: AsyncSession, alice: Actor) -> None:
    await make_lot(session, alice, product="Salt", date_kind=DateKind.NONE)
    used = await make_lot(session, alice, product="Bolt", expires_on=TODAY)
    await stock.consume(session, alice, used.id, LotConsume())

    await sweep_at(session)

    assert await told(session, alice) == []


async def test_what_was_frozen_in_time_is_past_its_best_at_worst(session: AsyncSession, alice: Actor) -> None:
    meat = await make_lot(session, alice, product="Brass", expires_on=in_days(1), date_kind=DateKind.USE_BY)
    product = await session.get_one(Product, UUID(str(meat.product.id)))
    product.frozen_days = 30
    await session.flush()
    await stock.freeze(session, alice, meat.id, LotFreeze())
    await sweep_at(session)
    assert await told(session, alice) == []

    await sweep_at(session, NOW + timedelta(days=31))

    (found,) = (await notifications.list_notifications(session, alice, ALL, EVERYTHING)).items
    assert (found.kind, found.due_on) == (EXPIRED, in_days(30))
    assert found.title == "Brass: past its best"


async def test_a_snoozed_lot_is_soon_due_when_the_snooze_is_over(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, expires_on=in_days(4))
    await stock.snooze(session, alice, lot.id, LotSnooze(until=in_days(2)))

    await sweep_at(session)
    await sweep_at(session, NOW + timedelta(days=1))
    assert await told(session, alice) == []

    await sweep_at(session, NOW + timedelta(days=2))
    assert await told(session, alice) == [("Bolt", SOON, in_days(4))]


async def test_a_muted_product_is_told_to_the_others(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    lot = await make_lot(session, alice, product="Bolt", expires_on=TODAY)
    await make_lot(session, alice, product="Anvil", expires_on=TODAY)
    await preferences.mute(session, alice, lot.product.id)

    await sweep_at(session)

    assert [name for name, *_ in await told(session, alice)] == ["Anvil"]
    assert [name for name, *_ in await told(session, bob)] == ["Anvil", "Bolt"]

    await preferences.unmute(session, alice, lot.product.id)
    await sweep_at(session)
    assert [name for name, *_ in await told(session, alice)] == ["Anvil", "Bolt"]


async def test_what_is_wanted_nowhere_is_not_told_and_what_is_wanted_by_mail_waits_for_it(
    session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    wanted = {SOON: [], TODAY_KIND: [ChannelKind.EMAIL], EXPIRED: [ChannelKind.IN_APP]}
    await preferences.edit_preferences(session, alice, PreferencesUpdate(wanted=wanted))
    for name, days in (("Soon", 2), ("Today", 0), ("Past", -2)):
        await make_lot(session, alice, product=name, expires_on=in_days(days))

    await sweep_at(session)

    assert await told(session, alice) == [("Past", EXPIRED, in_days(-2)), ("Today", TODAY_KIND, TODAY)]
    shown = (await notifications.list_notifications(session, alice, ALL, EVERYTHING)).items
    assert [notification.product and notification.product.name for notification in shown] == ["Past"]
    assert await notifications.count_unread(session, alice) == 1
    (mail,) = await deliveries(session, alice)
    assert await names_in(session, mail) == ["Today"]
    live = [row for row in await outbox_of(session, LiveKind.NOTIFICATION_CREATED) if row.user_id == alice.user_id]
    assert [row.subject_id for row in live] == [shown[0].id]
    assert len(await told(session, bob)) == 3


# Once


async def test_looking_again_tells_nothing_again(session: AsyncSession, alice: Actor) -> None:
    for days in (-1, 0, 1):
        await make_lot(session, alice, expires_on=in_days(days))
    await make_product(session, alice, name="Salt", min_quantity=1)
    await sweep_at(session)
    before = (await told(session, alice), len(await deliveries(session, alice)))
    rows = len(await outbox_of(session, LiveKind.NOTIFICATION_CREATED))

    for minutes in (0, 1, 61, 122):
        await sweep_at(session, NOW + timedelta(minutes=minutes))

    assert (await told(session, alice), len(await deliveries(session, alice))) == before
    assert len(before[0]) == 4
    assert len(await outbox_of(session, LiveKind.NOTIFICATION_CREATED)) == rows


async def test_days_that_were_missed_are_caught_up_with_what_is_true_now(session: AsyncSession, alice: Actor) -> None:
    await make_lot(session, alice, product="Bolt", expires_on=in_days(1))
    await make_lot(session, alice, product="Anvil", expires_on=in_days(3))
    await make_lot(session, alice, product="Crank", expires_on=in_days(8))
    await sweep_at(session)
    assert await told(session, alice) == [("Anvil", SOON, in_days(3)), ("Bolt", SOON, in_days(1))]

    await sweep_at(session, NOW + timedelta(days=3))

    assert await told(session, alice) == [
        ("Anvil", SOON, in_days(3)),
        ("Anvil", TODAY_KIND, in_days(3)),
        ("Bolt", EXPIRED, in_days(1)),
        ("Bolt", SOON, in_days(1)),
        ("Crank", SOON, in_days(8)),
    ]


async def test_another_date_is_told_anew_and_the_old_one_never_again(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, expires_on=in_days(1))
    await sweep_at(session)

    for days in (3, 1, 3):
        await stock.edit(session, alice, lot.id, LotUpdate(expires_on=in_days(days)))
        await sweep_at(session)

    assert await told(session, alice) == [("Bolt", SOON, in_days(1)), ("Bolt", SOON, in_days(3))]


async def test_a_use_that_is_taken_back_tells_nothing_twice(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, expires_on=in_days(1))
    await sweep_at(session)
    used = await stock.consume(session, alice, lot.id, LotConsume())
    await sweep_at(session)
    await events.undo(session, alice, used.event_id)

    await sweep_at(session)
    assert await kinds(session, alice) == [SOON]

    await sweep_at(session, NOW + timedelta(days=1))
    assert sorted(await kinds(session, alice)) == [SOON, TODAY_KIND]


async def test_a_clock_that_jumps_harms_nothing(session: AsyncSession, alice: Actor) -> None:
    await make_lot(session, alice, expires_on=in_days(1))
    await sweep_at(session)

    # It ran ahead, was set right, fell behind, and was set right again.
    for days in (40, 1, -40, 2):
        await sweep_at(session, NOW + timedelta(days=days))

    assert sorted(await kinds(session, alice)) == sorted([EXPIRED, SOON, TODAY_KIND])
    assert await due_at(session) <= NOW + timedelta(days=2) + sweep.LONGEST_WAIT


# When


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/St_Johns"]
)
async def test_a_day_ends_where_the_household_is(session: AsyncSession, charlie: Actor, zone: str) -> None:
    far = await settle(session, charlie, zone)
    day = clock.today(zone)
    await make_lot(session, far, expires_on=day, date_kind=DateKind.USE_BY)
    midnight = clock.start_of_day(day + timedelta(days=1), zone)

    await sweep_at(session, midnight - timedelta(minutes=1))
    assert await told(session, charlie) == [("Bolt", TODAY_KIND, day)]
    assert await due_at(session, far.household_id) == midnight

    await sweep_at(session, midnight)
    assert sorted(await kinds(session, charlie)) == sorted([EXPIRED, TODAY_KIND])


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        # Spring forward and fall back in Berlin: days of 23 and of 25 hours.
        ("2026-03-29T23:30", "Europe/Berlin", "2026-03-30T00:00"),
        ("2026-10-25T23:30", "Europe/Berlin", "2026-10-26T00:00"),
        # Where clocks went from midnight straight to one o'clock, the day began at one.
        ("2018-11-03T23:30", "America/Sao_Paulo", "2018-11-04T01:00"),
        # Where midnight came twice almost: clocks went back to eleven.
        ("2018-02-17T23:30", "America/Sao_Paulo", "2018-02-17T23:00+1"),
        # A whole day was left out.
        ("2011-12-29T23:30", "Pacific/Apia", "2011-12-31T00:00"),
    ],
)
def test_the_next_look_is_at_midnight_however_clocks_are_turned(now: str, zone: str, expected: str) -> None:
    text, _plus, fold = expected.partition("+")
    begin = at(now, zone)
    found = sweep.next_look(begin, ZoneInfo(zone), [])

    if fold:
        # An hour passes on the clocks, and the day goes on.
        assert found == begin + sweep.LONGEST_WAIT
        assert found.astimezone(ZoneInfo(zone)).date() == date(2018, 2, 17)
    else:
        assert found == at(text, zone)
        assert found.astimezone(ZoneInfo(zone)).date() > begin.astimezone(ZoneInfo(zone)).date()


def test_the_next_look_is_when_a_digest_can_leave() -> None:
    rhythms = [Rhythm(8 * 60), Rhythm(7 * 60, quiet_from=22 * 60, quiet_until=7 * 60 + 30)]

    assert sweep.next_look(at("2026-11-22T06:50"), BERLIN, rhythms) == at("2026-11-22T07:30")
    assert sweep.next_look(at("2026-11-22T07:30"), BERLIN, rhythms) == at("2026-11-22T08:00")
    assert sweep.next_look(at("2026-11-22T08:00"), BERLIN, rhythms) == at("2026-11-22T09:00")


async def test_what_was_booked_is_looked_at_within_a_minute(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await sweep_at(session)
    with clock.frozen(NOW + timedelta(minutes=2)):
        await make_lot(session, bob, expires_on=in_days(1))

    await sweep_at(session, NOW + timedelta(minutes=3))

    assert await kinds(session, alice) == [SOON]


async def test_what_decides_what_is_told_is_looked_at_within_a_minute(
    session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    lot = await make_lot(session, alice, expires_on=in_days(8))
    later = NOW
    changes: tuple[Callable[[], Awaitable[Any]], ...] = (
        lambda: products.edit_product(session, alice, lot.product.id, ProductUpdate(soon_days=8)),
        lambda: households.edit_household(session, alice, HouseholdUpdate(time_zone="Asia/Tokyo")),
        lambda: preferences.edit_preferences(session, alice, PreferencesUpdate(soon_days=9)),
    )
    for number, change in enumerate(changes):
        later += timedelta(minutes=10)
        await sweep_at(session, later)
        assert await due_at(session) > later, number
        with clock.frozen(later):
            await change()
        await session.commit()
        assert await due_at(session) <= later, number

    later += timedelta(minutes=10)
    await sweep_at(session, later)
    with clock.frozen(later):
        invitation = await households.invite(session, alice, InvitationCreate(), base_url="")
        await households.accept_invitation(session, charlie, invitation.token)
    await sweep_at(session, later)
    assert await told(session, charlie) == [("Bolt", SOON, in_days(8))]


async def test_open_pages_hear_of_lots_when_a_day_ends(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await preferences.edit_preferences(session, bob, PreferencesUpdate(soon_days=10))
    lots = {}
    for days in (-3, 0, 1, 3, 6, 11, 20):
        lots[days] = (await make_lot(session, alice, product=f"P{days}", expires_on=in_days(days))).id
    snoozed = await make_lot(session, alice, product="Snoozed", expires_on=in_days(4))
    await stock.snooze(session, alice, snoozed.id, LotSnooze(until=in_days(1)))
    midnight = clock.start_of_day(in_days(1), alice.time_zone)
    await sweep_at(session, midnight - timedelta(minutes=10))
    booked = len(await outbox_of(session, LiveKind.LOT_CHANGED))

    await sweep_at(session, midnight)
    await sweep_at(session, midnight)

    changed = (await outbox_of(session, LiveKind.LOT_CHANGED))[booked:]
    # Past, today, soon for all, soon for bob, and the one whose snooze is over.
    expected = {lots[0], lots[1], lots[6], lots[11], snoozed.id}
    assert sorted(str(row.subject_id) for row in changed) == sorted(map(str, expected))
    assert {row.household_id for row in changed} == {HOUSEHOLD}


# Low stock


async def test_running_low_is_told_once_until_it_recovers(session: AsyncSession, alice: Actor, vera: Actor) -> None:
    milk = await make_product(session, alice, name="Bolt", min_quantity=3)
    first = await make_lot(session, alice, product=milk, quantity=2, date_kind=DateKind.NONE)
    await make_lot(session, alice, product=milk, quantity=1, date_kind=DateKind.NONE)
    await sweep_at(session)
    assert await told(session, vera) == []

    await stock.consume(session, alice, first.id, LotConsume(quantity=1))
    await sweep_at(session)
    await stock.consume(session, alice, first.id, LotConsume())
    await sweep_at(session, NOW + timedelta(days=2))
    assert await told(session, vera) == [("Bolt", LOW, TODAY)]

    with clock.frozen(NOW + timedelta(days=3)):
        bought = await make_lot(session, alice, product=milk, quantity=4, date_kind=DateKind.NONE)
    await sweep_at(session, NOW + timedelta(days=3))
    with clock.frozen(NOW + timedelta(days=4)):
        await stock.discard(session, alice, bought.id, LotDiscard(reason="other"))
    await sweep_at(session, NOW + timedelta(days=4))
    assert await told(session, vera) == [("Bolt", LOW, TODAY), ("Bolt", LOW, in_days(4))]


async def test_a_product_without_a_minimum_or_out_of_use_is_not_low(session: AsyncSession, alice: Actor) -> None:
    await make_product(session, alice, name="Salt")
    old = await make_product(session, alice, name="Old", min_quantity=3)
    await products.archive_product(session, alice, old.id)

    await sweep_at(session)

    assert await told(session, alice) == []


# Digests


def day_of(delivery: Delivery) -> str:
    return str(delivery.data["day"])


async def test_a_digest_leaves_once_a_day_at_its_hour(session: AsyncSession, alice: Actor) -> None:
    await make_lot(session, alice, product="Bolt", expires_on=in_days(2))
    await sweep_at(session, at("2026-11-23T07:59"))
    assert await deliveries(session, alice) == []

    await sweep_at(session, at("2026-11-23T08:00"))
    await sweep_at(session, at("2026-11-23T20:00"))
    (first,) = await deliveries(session, alice)
    assert (first.channel, first.template, first.household_id) == (ChannelKind.EMAIL, "digest", HOUSEHOLD)
    assert (day_of(first), await names_in(session, first)) == ("2026-11-23", ["Bolt"])

    # The next day has news of its own and does not repeat the old.
    with clock.frozen(at("2026-11-23T21:00")):
        await make_lot(session, alice, product="Anvil", expires_on=in_days(3))
    await sweep_at(session, at("2026-11-24T09:15"))
    _first, second = await deliveries(session, alice)
    assert (day_of(second), await names_in(session, second)) == ("2026-11-24", ["Anvil", "Bolt"])
    assert second.data["notification_ids"] != first.data["notification_ids"]


async def test_a_digest_that_is_late_is_sent_the_same_day_and_of_days_missed_there_is_none(
    session: AsyncSession, alice: Actor
) -> None:
    await make_lot(session, alice, expires_on=in_days(2))
    await sweep_at(session, at("2026-11-22T06:00"))

    await sweep_at(session, at("2026-11-25T23:30"))

    assert [day_of(delivery) for delivery in await deliveries(session, alice)] == ["2026-11-25"]


async def test_a_digest_says_nothing_of_what_was_read_and_is_not_sent_without_news(
    session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    await make_lot(session, alice, expires_on=in_days(2))
    await sweep_at(session, at("2026-11-22T06:00"))
    await notifications.mark_all_read(session, alice)

    await sweep_at(session, at("2026-11-22T08:00"))
    await sweep_at(session, at("2026-11-23T08:00"))

    assert await deliveries(session, alice) == []
    assert len(await deliveries(session, bob)) == 1


@pytest.mark.parametrize(
    ("digest_at", "quiet", "not_before", "expected"),
    [
        ("07:00", ("22:00", "07:30"), "2026-11-23T07:29", "2026-11-23T07:30"),
        ("23:00", ("22:00", "06:15"), "2026-11-23T06:14", "2026-11-23T06:15"),
        ("13:00", ("12:00", "14:00"), "2026-11-23T13:59", "2026-11-23T14:00"),
        ("12:00", ("13:00", "14:00"), "2026-11-23T11:59", "2026-11-23T12:00"),
        ("00:00", (None, None), "2026-11-22T23:59", "2026-11-23T00:00"),
    ],
)
async def test_a_digest_waits_for_the_end_of_quiet_hours(
    session: AsyncSession,
    alice: Actor,
    digest_at: str,
    quiet: tuple[str | None, str | None],
    not_before: str,
    expected: str,
) -> None:
    await sweep_at(session, at("2026-11-22T15:00"))
    with clock.frozen(at("2026-11-22T21:59")):
        await make_lot(session, alice, expires_on=in_days(2))
        body = {"digest_at": digest_at, "quiet_from": quiet[0], "quiet_until": quiet[1]}
        await preferences.edit_preferences(session, alice, PreferencesUpdate.model_validate(body))
    # Today's was made already, or was not wanted yet.
    await session.execute(sa.text("DELETE FROM delivery"))

    await sweep_at(session, at(not_before))
    early = [day_of(delivery) for delivery in await deliveries(session, alice)]
    await sweep_at(session, at(expected))

    assert early == []
    assert [day_of(delivery) for delivery in await deliveries(session, alice)] == ["2026-11-23"]


async def test_a_late_digest_is_not_sent_into_quiet_hours(session: AsyncSession, alice: Actor) -> None:
    await make_lot(session, alice, expires_on=in_days(2))
    body = {"digest_at": "18:00", "quiet_from": "22:00", "quiet_until": "07:00"}
    await preferences.edit_preferences(session, alice, PreferencesUpdate.model_validate(body))

    await sweep_at(session, at("2026-11-22T22:30"))
    await sweep_at(session, at("2026-11-23T07:00"))
    assert await deliveries(session, alice) == []

    await sweep_at(session, at("2026-11-23T18:00"))
    assert [day_of(delivery) for delivery in await deliveries(session, alice)] == ["2026-11-23"]


async def test_a_digest_in_the_hour_that_is_skipped_is_sent_after_it(session: AsyncSession, charlie: Actor) -> None:
    with clock.frozen(at("2026-03-28T12:00")):
        await make_lot(session, charlie, expires_on=date(2026, 3, 30))
        body = PreferencesUpdate.model_validate({"digest_at": "02:30"})
        await preferences.edit_preferences(session, charlie, body)
    await sweep_at(session, at("2026-03-29T01:59"))
    assert [day_of(delivery) for delivery in await deliveries(session, charlie)] == []

    # A minute later clocks show three.
    await sweep_at(session, at("2026-03-29T01:59") + timedelta(hours=1, minutes=1))
    await sweep_at(session, at("2026-03-29T12:00"))

    assert [day_of(delivery) for delivery in await deliveries(session, charlie)] == ["2026-03-29"]


async def test_a_digest_in_the_hour_that_comes_twice_is_sent_once(session: AsyncSession, charlie: Actor) -> None:
    with clock.frozen(at("2026-10-24T12:00")):
        await make_lot(session, charlie, expires_on=date(2026, 10, 26))
        body = PreferencesUpdate.model_validate({"digest_at": "02:30"})
        await preferences.edit_preferences(session, charlie, body)
    assert await deliveries(session, charlie) == []
    assert sweep.next_look(at("2026-10-25T02:10"), BERLIN, [Rhythm(150)]) == at("2026-10-25T02:30")

    await sweep_at(session, at("2026-10-25T02:30"))
    await sweep_at(session, at("2026-10-25T02:10", fold=1))
    await sweep_at(session, at("2026-10-25T02:30", fold=1))

    assert [day_of(delivery) for delivery in await deliveries(session, charlie)] == ["2026-10-25"]


async def test_a_digest_goes_to_every_channel_with_what_is_wanted_there(session: AsyncSession, alice: Actor) -> None:
    hooks = [
        Channel(user_id=alice.user_id, kind=kind, address=f"to {number}", address_hash=f"hash {number}")
        for number, kind in enumerate((ChannelKind.WEBHOOK, ChannelKind.WEB_PUSH, ChannelKind.WEB_PUSH))
    ]
    session.add_all(hooks)
    everywhere = list(ChannelKind)
    wanted = {SOON: [ChannelKind.WEBHOOK], TODAY_KIND: everywhere, EXPIRED: [ChannelKind.IN_APP], LOW: []}
    await preferences.edit_preferences(session, alice, PreferencesUpdate(wanted=wanted))
    for name, days in (("Soon", 2), ("Today", 0), ("Past", -2)):
        await make_lot(session, alice, product=name, expires_on=in_days(days))

    await sweep_at(session)

    made = {delivery.channel_id: await names_in(session, delivery) for delivery in await deliveries(session, alice)}
    assert made == {None: ["Today"], hooks[0].id: ["Soon", "Today"], hooks[1].id: ["Today"], hooks[2].id: ["Today"]}


async def test_who_sends_is_woken_when_there_is_something_to_send(session: AsyncSession, alice: Actor) -> None:
    jobs = sa.text("SELECT count(*) FROM job WHERE task = 'deliver'")
    await sweep_at(session)
    assert (await session.execute(jobs)).scalar_one() == 0

    await make_lot(session, alice, expires_on=TODAY)
    await session.execute(sa.text("DELETE FROM digest"))
    await sweep_at(session)

    assert (await session.execute(jobs)).scalar_one() == 1
