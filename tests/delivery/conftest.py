"""Real connections that commit: what is claimed by one deliverer is seen by the next."""

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio
from pydantic import SecretStr
from sqlmodel import col, delete, select

from db import session_scope
from models import Channel, ChannelKind, Delivery, Household, Membership, Notification, NotificationKind, Role, User
from services import deliveries, locations, seeding
from services.core import clock
from services.core.ids import new_id
from services.permissions import Actor
from services.schemas.stock import LotRead
from settings import Settings
from tests.committing import committing
from tests.conftest import TODAY, make_actor
from tests.factories import make_lot
from tests.servers import settings_for, using

Configure = Callable[..., Settings]


@pytest_asyncio.fixture
async def configure(url: str) -> AsyncIterator[Configure]:
    """Settings of an instance on this database, on which one may call this machine."""
    with ExitStack() as stack:

        def configure(**changes: Any) -> Settings:
            if "mail_url" in changes:
                changes["mail_url"] = SecretStr(changes["mail_url"])
            config = settings_for(url).model_copy(update={"outbound_allow": "127.0.0.1", **changes})
            stack.enter_context(using(config))
            return config

        async with committing(configure()):
            async with session_scope() as session:
                await seeding.seed_words(session)
                await session.execute(delete(Delivery))
            yield configure


@pytest_asyncio.fixture
async def ann(configure: Configure) -> Actor:
    """Somebody new, at home."""
    return await make_member("Ann")


async def make_member(name: str) -> Actor:
    household_id, user_id = new_id(), new_id()
    async with session_scope() as session:
        session.add(Household(id=household_id, name="Home", time_zone="Europe/Berlin", locale="en-GB"))
        email = f"{name.lower()}-{uuid4().hex[:8]}@example.com"
        session.add(User(id=user_id, name=name, email=email, hashed_password="!", is_verified=True))
        await session.flush()
        session.add_all(locations.first_locations(household_id))
        session.add(Membership(household_id=household_id, user_id=user_id, role=Role.OWNER))
    return replace(
        make_actor("alice"),
        user_id=user_id,
        household_id=household_id,
        household_name="Home",
        name=name,
        email=email,
    )


async def make_channel(actor: Actor, kind: ChannelKind, address: str, *, secret: str = "") -> UUID:
    async with session_scope() as session:
        channel = Channel(
            user_id=actor.user_id, kind=kind, address=address, address_hash=uuid4().hex, secret=secret, label="mine"
        )
        session.add(channel)
        return channel.id


async def due_lot(actor: Actor, name: str = "Milk", *, days: int = 1) -> LotRead:
    async with session_scope() as session:
        return await make_lot(session, actor, product=name, expires_on=TODAY + timedelta(days=days))


async def make_delivery(
    actor: Actor,
    kind: ChannelKind = ChannelKind.EMAIL,
    channel_id: UUID | None = None,
    *,
    lots: list[LotRead] | None = None,
    **fields: Any,
) -> UUID:
    """A digest of these lots, or a test."""
    async with session_scope() as session:
        told = [
            Notification(
                user_id=actor.user_id,
                household_id=actor.household_id,
                kind=NotificationKind.SOON,
                product_id=UUID(str(lot.product.id)),
                lot_id=UUID(str(lot.id)),
                due_on=lot.expires_on or TODAY,
            )
            for lot in lots or ()
        ]
        session.add_all(told)
        data = {"notification_ids": [str(notification.id) for notification in told], "day": TODAY.isoformat()}
        delivery = Delivery(
            user_id=actor.user_id,
            household_id=actor.household_id if lots else None,
            channel=kind,
            channel_id=channel_id,
            template="digest" if lots else "test",
            data=data if lots else {},
            **fields,
        )
        session.add(delivery)
        return delivery.id


async def find(delivery_id: UUID) -> Delivery | None:
    async with session_scope(read_only=True) as session:
        found: Delivery | None = (await session.scalars(select(Delivery).where(Delivery.id == delivery_id))).first()
        return found


async def get(delivery_id: UUID) -> Delivery:
    found = await find(delivery_id)
    assert found is not None
    return found


async def channel_of(channel_id: UUID) -> Channel | None:
    async with session_scope(read_only=True) as session:
        found: Channel | None = (await session.scalars(select(Channel).where(col(Channel.id) == channel_id))).first()
        return found


async def deliver(after: timedelta = timedelta()) -> str:
    """What a deliverer does so much later."""
    with clock.frozen(clock.now() + after):
        return await deliveries.deliver()
