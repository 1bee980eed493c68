"""Deliveries: messages that were written with what they tell, on their way through one channel each.

A deliverer claims some with a lease, sends them outside of any transaction, and writes down at once what came of each.
One that is killed loses nothing: when its lease is over, another sends what it had claimed. It can repeat a message
only when it is killed between the peer's OK and the commit that follows it, which no protocol can rule out; that
message then carries the same Message-ID, `Larder-Delivery` or push topic, by which its receiver can tell.
"""

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

from db import session_scope
from models import Channel, ChannelKind, Delivery, DeliveryStatus
from services import jobs
from services.core import clock
from services.core.i18n import _
from services.core.tasks import task
from services.delivery import content
from services.delivery.sender import Gone, Refused, Sender, Undelivered

# The columns of a delivery that an attempt changed.
Outcome = dict[str, Any]

logger = structlog.get_logger("larder.deliveries")

TASK = "deliver"
MAX_ATTEMPTS = 10
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=6)
MEMORY = timedelta(days=30)
TEST_MEMORY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of channel. Lanes run side by side, and so do the `couriers` of each: what hangs in one holds up at
    most as many others of its own kind, and for no longer than `timeout` seconds."""

    sender: str
    couriers: int
    timeout: float

    @property
    def batch(self) -> int:
        return self.couriers * 4

    @property
    def lease(self) -> timedelta:
        """Long enough for all of a batch to time out, and once more for the work between."""
        return timedelta(seconds=self.timeout * 5 + 30)

    def open(self) -> Sender:
        """Imported here: push and mail are heavy, and most processes send neither."""
        module, _dot, name = self.sender.partition(":")
        sender: Sender = getattr(import_module(f"services.delivery.{module}"), name)()
        return sender


LANES = {
    ChannelKind.EMAIL: Lane("email:EmailSender", couriers=4, timeout=30),
    ChannelKind.WEB_PUSH: Lane("web_push:WebPushSender", couriers=8, timeout=15),
    ChannelKind.WEBHOOK: Lane("webhook:WebhookSender", couriers=8, timeout=15),
    ChannelKind.SERVICE: Lane("service:ServiceSender", couriers=2, timeout=20),
}


@task(TASK, cron="* * * * *")
async def deliver() -> str:
    """Send all that is due."""
    counts = await asyncio.gather(*(_run(kind, lane) for kind, lane in LANES.items()))
    return f"{sum(counts)} tried"


@task("forget_deliveries", cron="17 3 * * *")
async def forget() -> str:
    """Delete what was settled long ago."""
    async with session_scope() as session:
        forgotten = await session.execute(
            delete(Delivery)
            .where(col(Delivery.created_at) < clock.now() - MEMORY, col(Delivery.status) != DeliveryStatus.PENDING)
            .returning(col(Delivery.id))
        )
        return f"{len(forgotten.all())} forgotten"


async def try_again(session: AsyncSession, delivery_ids: Sequence[UUID]) -> int:
    """Give those that were given up all their attempts once more."""
    revived = await session.execute(
        update(Delivery)
        .where(col(Delivery.id).in_(delivery_ids), col(Delivery.status) == DeliveryStatus.DEAD)
        .values(status=DeliveryStatus.PENDING, attempts=0, next_attempt_at=clock.now(), claimed_until=None)
        .returning(col(Delivery.id))
    )
    await jobs.defer(session, TASK, dedupe_key=TASK)
    return len(revived.all())


async def _run(kind: ChannelKind, lane: Lane) -> int:
    """Claim and send, batch by batch, until nothing is due."""
    waiting: deque[Delivery] = deque(await _claim(kind, lane))
    if not waiting:
        return 0
    claiming = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        couriers = [group.create_task(_courier(kind, lane, waiting, claiming)) for _index in range(lane.couriers)]
    return sum(courier.result() for courier in couriers)


async def _courier(kind: ChannelKind, lane: Lane, waiting: deque[Delivery], claiming: asyncio.Lock) -> int:
    sender = lane.open()
    tried = 0
    try:
        while True:
            async with claiming:
                if not waiting:
                    waiting.extend(await _claim(kind, lane))
                if not waiting:
                    return tried
                delivery = waiting.popleft()
            assert delivery.claimed_until is not None
            if delivery.claimed_until - clock.now() > timedelta(seconds=lane.timeout):
                await _settle(delivery, await _try(sender, lane, delivery))
                tried += 1
    finally:
        await sender.close()


async def _claim(kind: ChannelKind, lane: Lane) -> Sequence[Delivery]:
    """Take a lease on some that are due and that nobody else has one on, the longest due first."""
    now = clock.now()
    is_free = sa.and_(
        col(Delivery.status) == DeliveryStatus.PENDING,
        sa.or_(col(Delivery.claimed_until).is_(None), col(Delivery.claimed_until) <= now),
    )
    due = (
        select(Delivery.id)
        .where(is_free, Delivery.channel == kind, col(Delivery.next_attempt_at) <= now)
        .order_by(col(Delivery.next_attempt_at), col(Delivery.id))
        .limit(lane.batch)
        .with_for_update(skip_locked=True)
    )
    async with session_scope() as session:
        ids = (await session.scalars(due)).all()
        if not ids:
            return []
        claimed = await session.scalars(
            update(Delivery)
            .where(col(Delivery.id).in_(ids), is_free)
            .values(claimed_until=now + lane.lease)
            .returning(Delivery)
            .execution_options(synchronize_session=False)
        )
        return sorted(claimed.all(), key=lambda delivery: (delivery.next_attempt_at, delivery.id))


async def _try(sender: Sender, lane: Lane, delivery: Delivery) -> Outcome:
    """What became of it. What nobody expected is its own failure, not that of the others."""
    outcome: Outcome | BaseException
    (outcome,) = await asyncio.gather(_send(sender, lane, delivery), return_exceptions=True)
    if isinstance(outcome, BaseException):
        logger.error("unexpected", delivery=str(delivery.id), channel=delivery.channel, exc_info=outcome)
        return _failed(delivery, Undelivered(_("Something went wrong on our side. It was noted.")))
    return outcome


async def _send(sender: Sender, lane: Lane, delivery: Delivery) -> Outcome:
    try:
        async with session_scope(read_only=True) as session:
            letter = await content.read(session, delivery)
        if letter is None:
            return {"status": DeliveryStatus.CANCELLED, "last_error": ""}
        async with asyncio.timeout(lane.timeout):
            await sender.send(letter)
    except TimeoutError:
        return _failed(delivery, Undelivered(_("It did not answer in time.")))
    except Undelivered as failure:
        return _failed(delivery, failure)
    return {"status": DeliveryStatus.SENT, "sent_at": clock.now(), "last_error": ""}


def _failed(delivery: Delivery, failure: Undelivered) -> Outcome:
    attempts = delivery.attempts + 1
    outcome: Outcome = {"attempts": attempts, "last_error": str(failure)[:500]}
    if isinstance(failure, Gone):
        return {**outcome, "status": DeliveryStatus.CANCELLED, "gone": True}
    # Whoever sends a test wants to know now.
    if isinstance(failure, Refused) or attempts >= MAX_ATTEMPTS or delivery.template == "test":
        return {**outcome, "status": DeliveryStatus.DEAD}
    return {**outcome, "next_attempt_at": clock.now() + (failure.retry_after or _backoff(attempts))}


def _backoff(attempts: int) -> timedelta:
    """Twice as long each time; not all at the same moment, when a server is back."""
    wait: timedelta = min(FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT)
    return wait * random.uniform(0.8, 1.2)  # noqa: S311  (no secret)


async def _settle(delivery: Delivery, outcome: Outcome) -> None:
    """Write down what became of it, unless the lease ran out and another has it now."""
    is_gone = outcome.pop("gone", False)
    async with session_scope() as session:
        settled = await session.execute(
            update(Delivery)
            .where(col(Delivery.id) == delivery.id, col(Delivery.claimed_until) == delivery.claimed_until)
            .values(claimed_until=None, **outcome)
            .returning(col(Delivery.id))
        )
        if settled.first() is None:
            logger.warning("lease lost", delivery=str(delivery.id), channel=delivery.channel)
            return
        if delivery.channel_id is not None:
            await _remember(session, delivery.channel_id, outcome, is_gone=is_gone)
    if outcome["last_error"]:
        logger.warning("not delivered", delivery=str(delivery.id), channel=delivery.channel, why=outcome["last_error"])


async def _remember(session: AsyncSession, channel_id: UUID, outcome: Outcome, *, is_gone: bool) -> None:
    """Show at the channel how it went; one that is gone is removed, and what was to go through it with it."""
    if is_gone:
        await session.execute(delete(Channel).where(col(Channel.id) == channel_id))
        return
    seen: dict[str, Any] = {"last_error": outcome["last_error"]}
    if sent_at := outcome.get("sent_at"):
        seen["last_sent_at"] = sent_at
    await session.execute(update(Channel).where(col(Channel.id) == channel_id).values(**seen))
