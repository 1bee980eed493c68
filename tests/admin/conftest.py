"""Sam at the panel, with something in every table."""

from collections.abc import Callable
from decimal import Decimal

import pytest_asyncio
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import (
    CatalogueItem,
    CatalogueSource,
    Category,
    Channel,
    ChannelKind,
    Delivery,
    JobRun,
    Membership,
    Role,
    Unit,
    UnitKind,
)
from services.permissions import Actor
from tests.conftest import HOUSEHOLD
from tests.doors import make_one_of_each

Rows = dict[str, str]


@pytest_asyncio.fixture
async def panel(browser_of: Callable[..., AsyncClient], sam: Actor) -> AsyncClient:
    return browser_of(sam)


@pytest_asyncio.fixture
async def rows(session: AsyncSession, alice: Actor, bob: Actor) -> Rows:
    """The id of a row of each table of the panel."""
    item = CatalogueItem(
        gtin="04006381333931", name="Oat drink", name_key="oat drink", source=CatalogueSource.STAFF, energy_kcal=None
    )
    category = Category(name="Moon cheese", name_key="moon cheese")
    unit = Unit(code="crate", name="crate", plural="crates", kind=UnitKind.COUNT, factor=Decimal(12))
    channel = Channel(
        user_id=bob.user_id, kind=ChannelKind.WEBHOOK, address="https://hook.example/in", address_hash="-", secret="-"
    )
    delivery = Delivery(user_id=bob.user_id, channel=ChannelKind.EMAIL, template="test")
    run = JobRun(task="sweep")
    session.add_all([item, category, unit, channel, delivery, run])
    made = await make_one_of_each(session, alice)
    membership = await session.scalars(
        select(Membership.id).where(Membership.household_id == HOUSEHOLD, col(Membership.role) == Role.MEMBER)
    )
    await session.commit()
    ids = {
        "user": bob.user_id,
        "household": HOUSEHOLD,
        "membership": membership.one(),
        "category": category.id,
        "unit": unit.id,
        "catalogue-item": item.id,
        "product": made["product_id"],
        "lot": made["lot_id"],
        "event": made["event_id"],
        "channel": channel.id,
        "delivery": delivery.id,
        "job-run": run.id,
    }
    return {name: str(value) for name, value in ids.items()}
