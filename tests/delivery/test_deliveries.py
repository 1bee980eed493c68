"""Deliveries on their way: claimed once, tried again, given up, cancelled, and never in each other's way."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlmodel import delete, select

from db import session_scope
from models import ChannelKind, Delivery, DeliveryStatus, Membership, ProductMute, User
from services import deliveries, stock
from services.core import clock
from services.permissions import Actor
from services.schemas.stock import LotConsume, LotSnooze, LotUpdate
from tests.conftest import NOW, TODAY
from tests.delivery.conftest import (
    Configure,
    channel_of,
    deliver,
    due_lot,
    get,
    make_channel,
    make_delivery,
    make_member,
)
from tests.delivery.peers import HANG, broken_smtp, http_peer, mail_url, smtp_peer, status


async def test_what_is_due_is_sent_once(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        sent = await make_delivery(ann, lots=[await due_lot(ann)])
        later = await make_delivery(ann, next_attempt_at=NOW + timedelta(hours=1))

        assert await deliver() == "1 tried"
        assert await deliver() == "0 tried"

        assert len(peer.messages) == 1
        delivery = await get(sent)
        assert (delivery.status, delivery.sent_at, delivery.last_error) == (DeliveryStatus.SENT, NOW, "")
        assert (await get(later)).status is DeliveryStatus.PENDING
        assert await deliver(timedelta(hours=1)) == "1 tried"
        assert len(peer.messages) == 2


async def test_deliverers_that_race_send_each_message_once(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as mail, http_peer() as hook:
        configure(mail_url=mail.url)
        channel = await make_channel(ann, ChannelKind.WEBHOOK, hook.url)
        ids = {str(await make_delivery(ann)) for _ in range(30)}
        hooked = {str(await make_delivery(ann, ChannelKind.WEBHOOK, channel)) for _ in range(30)}

        await asyncio.gather(*(deliveries.deliver() for _ in range(4)))

        assert sorted(message["Message-ID"][1:37] for message in mail.messages) == sorted(ids)
        assert sorted(request.headers["larder-delivery"] for request in hook.requests) == sorted(hooked)


async def test_a_backlog_is_sent_batch_by_batch(configure: Configure, ann: Actor) -> None:
    batch = deliveries.LANES[ChannelKind.EMAIL].batch
    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        async with session_scope() as session:
            session.add_all(
                Delivery(user_id=ann.user_id, channel=ChannelKind.EMAIL, template="test") for _ in range(batch * 5 + 1)
            )

        assert await deliver() == f"{batch * 5 + 1} tried"

        assert len({message["Message-ID"] for message in peer.messages}) == batch * 5 + 1


async def test_what_another_has_claimed_is_left_to_it_until_its_lease_is_over(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        lease = deliveries.LANES[ChannelKind.EMAIL].lease
        delivery = await make_delivery(ann, claimed_until=NOW + lease)

        assert await deliver(lease - timedelta(seconds=1)) == "0 tried"
        assert await deliver(lease) == "1 tried"

        assert (await get(delivery)).status is DeliveryStatus.SENT


async def test_who_lost_the_lease_changes_nothing(configure: Configure, ann: Actor) -> None:
    """A deliverer that was slower than its lease must not write over what the next one found."""
    async with http_peer(status(500)) as peer:
        channel = await make_channel(ann, ChannelKind.WEBHOOK, peer.url)
        delivery = await make_delivery(ann, ChannelKind.WEBHOOK, channel)

        async def overtake(_request: object) -> None:
            async with session_scope() as session:
                row = await session.get_one(Delivery, delivery)
                row.status, row.claimed_until = DeliveryStatus.SENT, None

        peer.on_request = overtake
        await deliver()

        found = await get(delivery)
        assert (found.status, found.attempts, found.last_error) == (DeliveryStatus.SENT, 0, "")


async def test_nothing_is_sent_within_a_transaction(configure: Configure, ann: Actor) -> None:
    """Others write while a peer takes its time: on SQLite they could not, if a transaction were open."""
    async with http_peer() as peer:
        channel = await make_channel(ann, ChannelKind.WEBHOOK, peer.url)
        await make_delivery(ann, ChannelKind.WEBHOOK, channel)
        written = []

        async def write(_request: object) -> None:
            async with session_scope() as session:
                (await session.get_one(User, ann.user_id)).name = "Anna"
            written.append(True)

        peer.on_request = write
        await deliver()

    assert written == [True]


async def test_a_failure_is_tried_again_ever_later_and_then_given_up(configure: Configure, ann: Actor) -> None:
    lot = await due_lot(ann)
    async with http_peer(*[status(500)] * 20) as peer:
        channel = await make_channel(ann, ChannelKind.WEBHOOK, peer.url)
        delivery = await make_delivery(ann, ChannelKind.WEBHOOK, channel, lots=[lot])
        waits = []
        now = NOW
        while (found := await get(delivery)).status is DeliveryStatus.PENDING:
            now = found.next_attempt_at
            with clock.frozen(now):
                await deliveries.deliver()
            waits.append((await get(delivery)).next_attempt_at - now)

        assert len(peer.requests) == deliveries.MAX_ATTEMPTS
        assert (found.status, found.last_error) == (DeliveryStatus.DEAD, "It answered 500.")
        assert all(earlier < later for earlier, later in pairwise(waits[:-1]))
        assert timedelta(seconds=40) < waits[0] < timedelta(seconds=80)
        held = await channel_of(channel)
        assert held is not None
        assert held.last_error == "It answered 500."

        async with session_scope() as session:
            assert await deliveries.try_again(session, [delivery]) == 1
            assert await deliveries.try_again(session, [delivery]) == 0
        peer.answers.clear()
        await deliver()
        assert (await get(delivery)).status is DeliveryStatus.SENT
        held = await channel_of(channel)
        assert held is not None
        assert (held.last_error, held.last_sent_at) == ("", NOW)


async def test_a_test_says_at_once_that_it_failed(configure: Configure, ann: Actor) -> None:
    async with http_peer(status(500)) as peer:
        channel = await make_channel(ann, ChannelKind.WEBHOOK, peer.url)
        delivery = await make_delivery(ann, ChannelKind.WEBHOOK, channel)

        await deliver()

        assert (await get(delivery)).status is DeliveryStatus.DEAD


@pytest.mark.parametrize("hung", [ChannelKind.EMAIL, ChannelKind.WEBHOOK])
async def test_a_channel_that_hangs_holds_up_no_other(configure: Configure, ann: Actor, hung: ChannelKind) -> None:
    """Everything else has arrived while the hanging one is still waited for, so no timing is needed."""
    async with http_peer(HANG) as hanging, http_peer() as hook, smtp_peer() as mail, broken_smtp("hangs") as port:
        configure(mail_url=mail_url(port) if hung is ChannelKind.EMAIL else mail.url)
        if hung is ChannelKind.WEBHOOK:
            stuck = await make_delivery(ann, hung, await make_channel(ann, hung, hanging.url))
            hook_id = await make_delivery(ann, hung, await make_channel(ann, hung, hook.url))
            mail_id = await make_delivery(ann)
            wanted = [hook_id, mail_id]
        else:
            stuck = await make_delivery(ann)
            channel = await make_channel(ann, ChannelKind.WEBHOOK, hook.url)
            wanted = [await make_delivery(ann, ChannelKind.WEBHOOK, channel)]
        deliverer = asyncio.ensure_future(deliveries.deliver())

        async with asyncio.timeout(30):
            while [(await get(one)).status for one in wanted] != [DeliveryStatus.SENT] * len(wanted):
                pass  # each look at the database lets the deliverer go on
        assert not deliverer.done()
        assert (await get(stuck)).status is DeliveryStatus.PENDING
        deliverer.cancel()
        await asyncio.gather(deliverer, return_exceptions=True)


async def test_nobody_waits_for_ever(configure: Configure, ann: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (ChannelKind.EMAIL, ChannelKind.WEBHOOK):
        lane = deliveries.LANES[kind]
        quick = deliveries.Lane(lane.sender, lane.couriers, timeout=0.2)
        monkeypatch.setitem(deliveries.LANES, kind, quick)
    async with http_peer(HANG) as hook, broken_smtp("hangs") as port:
        configure(mail_url=mail_url(port))
        lots = [await due_lot(ann)]
        channel = await make_channel(ann, ChannelKind.WEBHOOK, hook.url)
        ids = [await make_delivery(ann, ChannelKind.WEBHOOK, channel, lots=lots), await make_delivery(ann)]

        await deliver()

        for delivery in ids:
            found = await get(delivery)
            assert (found.attempts, found.last_error) == (1, "It did not answer in time.")
            assert found.claimed_until is None


async def test_one_that_nobody_expected_spoils_no_other(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        lot = await due_lot(ann)
        poison = await make_delivery(ann, lots=[lot])
        async with session_scope() as session:
            (await session.get_one(Delivery, poison)).data = {"day": "yesterday"}
        good = await make_delivery(ann)

        await deliver()

        assert (await get(good)).status is DeliveryStatus.SENT
        found = await get(poison)
        assert (found.status, found.attempts) == (DeliveryStatus.PENDING, 1)
        assert found.last_error == "Something went wrong on our side. It was noted."


class TestNothingLeftToSay:
    async def assert_cancelled(self, configure: Configure, delivery: object) -> None:
        async with smtp_peer() as peer:
            configure(mail_url=peer.url)
            await deliver()
            assert peer.messages == []
        assert (await get(delivery)).status is DeliveryStatus.CANCELLED  # type: ignore[arg-type]

    async def test_it_was_eaten(self, configure: Configure, ann: Actor) -> None:
        lot = await due_lot(ann)
        delivery = await make_delivery(ann, lots=[lot])
        async with session_scope() as session:
            await stock.consume(session, ann, lot.id, LotConsume())
        await self.assert_cancelled(configure, delivery)

    async def test_its_date_changed(self, configure: Configure, ann: Actor) -> None:
        lot = await due_lot(ann)
        delivery = await make_delivery(ann, lots=[lot])
        async with session_scope() as session:
            await stock.edit(session, ann, lot.id, LotUpdate(expires_on=TODAY + timedelta(days=30)))
        await self.assert_cancelled(configure, delivery)

    async def test_it_was_snoozed(self, configure: Configure, ann: Actor) -> None:
        lot = await due_lot(ann)
        delivery = await make_delivery(ann, lots=[lot])
        async with session_scope() as session:
            await stock.snooze(session, ann, lot.id, LotSnooze(until=TODAY + timedelta(days=2)))
        await self.assert_cancelled(configure, delivery)

    async def test_its_product_was_muted(self, configure: Configure, ann: Actor) -> None:
        lot = await due_lot(ann)
        delivery = await make_delivery(ann, lots=[lot])
        async with session_scope() as session:
            session.add(ProductMute(user_id=ann.user_id, product_id=lot.product.id))
        await self.assert_cancelled(configure, delivery)

    async def test_the_member_left(self, configure: Configure, ann: Actor) -> None:
        delivery = await make_delivery(ann, lots=[await due_lot(ann)])
        async with session_scope() as session:
            await session.execute(delete(Membership).where(Membership.user_id == ann.user_id))  # type: ignore[arg-type]
        await self.assert_cancelled(configure, delivery)

    @pytest.mark.parametrize("template", ["digest", "test"])
    async def test_the_user_is_disabled(self, configure: Configure, ann: Actor, template: str) -> None:
        delivery = await make_delivery(ann, lots=[await due_lot(ann)] if template == "digest" else None)
        async with session_scope() as session:
            (await session.get_one(User, ann.user_id)).is_active = False
        await self.assert_cancelled(configure, delivery)

    async def test_it_is_about_what_another_was_told(self, configure: Configure, ann: Actor) -> None:
        other = await make_member("Otto")
        lot = await due_lot(other)
        theirs = await make_delivery(other, lots=[lot])
        async with session_scope() as session:
            row = await session.get_one(Delivery, theirs)
            row.user_id, row.household_id = ann.user_id, ann.household_id
        await self.assert_cancelled(configure, theirs)


async def test_what_was_settled_long_ago_is_forgotten(configure: Configure, ann: Actor) -> None:
    old = NOW - deliveries.MEMORY - timedelta(days=1)
    gone = await make_delivery(ann, created_at=old, status=DeliveryStatus.SENT)
    waiting = await make_delivery(ann, created_at=old)
    recent = await make_delivery(ann, status=DeliveryStatus.SENT)

    assert await deliveries.forget() == "1 forgotten"

    async with session_scope(read_only=True) as session:
        left = set((await session.scalars(select(Delivery.id))).all())
    assert (gone in left, waiting in left, recent in left) == (False, True, True)
