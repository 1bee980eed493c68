"""The data of the contest: a household with a hundred lots, and neighbours with as many each.

`python -m bench.household` furnishes the app's database through the app's services and prints how to get in, as JSON.
"""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, update

from db import get_database, session_scope
from models import DateKind, Location, Product, SessionToken, TokenKind, User
from services import accounts, households, ledger, products, sessions, stock
from services.core import clock
from services.core.ids import new_id
from services.permissions import Actor
from services.schemas.households import HouseholdCreate
from services.schemas.products import ProductCreate
from services.schemas.stock import LotCreate, LotFreeze, LotOpen
from services.seeding import read_rows

LOTS = 100
NEIGHBOURS = 20
EMAIL = "robin@bench.example"
PASSWORD = "a long walk at 7 in the rain"
# So much that nobody uses it up in one run.
PLENTY = Decimal(1_000_000)


async def move_in() -> dict[str, Any]:
    async with session_scope() as session:
        owner = await accounts.make(session, email=EMAIL, password=PASSWORD, name="Robin Baker")
        other = await accounts.make(session, email="n@bench.example", password=PASSWORD, name="Noor Day")
        tokens, actor = await _settle(session, owner.id, "Elm Street 12")
        lots = await _fill(session, actor)
        # What is consumed lies elsewhere: thousands of bookings a minute are no part of a home page.
        _tokens, at_work = await _settle(session, owner.id, "Office kitchen")
        consumed = await _fill_alike(session, at_work, actor, lots)
        for number in range(NEIGHBOURS):
            _tokens, neighbour = await _settle(session, other.id, f"Elm Street {number + 13}")
            await _fill_alike(session, neighbour, actor, lots)
    async with session_scope() as session:
        if session.get_bind().dialect.name == "postgresql":
            # Or autovacuum does it at some moment of the contest.
            await session.execute(sa.text("ANALYZE"))
    await get_database().dispose()
    return {
        "user": str(owner.id),
        "household": str(actor.household_id),
        "lots": [str(lot_id) for lot_id in lots],
        "busy_household": str(at_work.household_id),
        "busy_lots": [str(lot_id) for lot_id in consumed],
        "access": tokens.access,
        "cookie": tokens.cookie,
        "email": EMAIL,
        "password": PASSWORD,
        "neighbours": NEIGHBOURS,
    }


async def _settle(session: AsyncSession, user_id: UUID, name: str) -> tuple[sessions.Tokens, Actor]:
    """A new household, and a device that shows it, with an access token that outlives the contest."""
    data = HouseholdCreate(name=name, time_zone="Europe/Berlin", locale="en-GB")
    user = await session.get_one(User, user_id)
    household = await households.create_household(session, user, data)
    tokens = await sessions.start(session, user)
    await session.execute(
        update(SessionToken)
        .where(col(SessionToken.session_id) == tokens.session_id)
        .values(expires_at=clock.now() + timedelta(days=1))
    )
    found = await sessions.find(session, tokens.cookie, TokenKind.COOKIE, household_id=household.id)
    assert found is not None
    assert found.actor is not None
    await sessions.switch_household(session, found.account, household.id)
    return tokens, found.actor


async def _fill(session: AsyncSession, actor: Actor) -> list[UUID]:
    """Lots of every kind: past their date, due, later, undated, opened, frozen; no two of them look alike."""
    staples = list(read_rows("demo.csv"))
    product_ids = []
    for row in staples:
        product = await products.create_product(session, actor, ProductCreate(name=row["name"], unit=row["unit"]))
        product_ids.append(product.id)
    lots = []
    for number in range(LOTS):
        row = staples[number % len(staples)]
        data = _purchase(actor, number, row, product_ids[number % len(staples)])
        lot_id = UUID(str((await stock.add(session, actor, data)).lot.id))
        if number % 9 == 8:
            await stock.open_lot(session, actor, lot_id, LotOpen())
        if number % 10 == 9 and number < LOTS // 2:
            await stock.freeze(session, actor, lot_id, LotFreeze(confirm=True))
        lots.append(lot_id)
    return lots


async def _fill_alike(session: AsyncSession, actor: Actor, model: Actor, lot_ids: list[UUID]) -> list[UUID]:
    """The same products and lots for another household, past all that adding them one by one would ask."""
    copies = {product.id: new_id() for product in await session.scalars(_of(Product, model))}
    for product in await session.scalars(_of(Product, model)):
        values = product.model_dump() | {"id": copies[product.id], "household_id": actor.household_id}
        session.add(Product(**values))
    await session.flush()  # lots refer to them
    own = {place.name: place.id for place in await session.scalars(_of(Location, actor))}
    places = {place.id: own[place.name] for place in await session.scalars(_of(Location, model))}
    added = []
    for lot in (await ledger.lock_lots(session, model, lot_ids)).values():
        alike = replace(
            lot,
            id=new_id(),
            household_id=actor.household_id,
            product_id=copies[lot.product_id],
            location_id=places[lot.location_id],
        )
        await ledger.add(session, actor, alike)
        added.append(alike.id)
    return added


def _of(table: Any, actor: Actor) -> Any:
    return sa.select(table).where(table.household_id == actor.household_id)


def _purchase(actor: Actor, number: int, row: dict[str, str], product_id: UUID) -> LotCreate:
    today = clock.today(actor.time_zone)
    kind = DateKind(row["kind"]) if row["kind"] in {"use_by", "best_before"} else DateKind.BEST_BEFORE
    is_undated = number % 6 == 5 and number < LOTS // 2
    days = number - 6 if number < 40 else (number - 40) * 6 + 34
    return LotCreate(
        product_id=product_id,
        quantity=PLENTY,
        date_kind=DateKind.NONE if is_undated else kind,
        expires_on=None if is_undated else today + timedelta(days=days),
        purchased_on=today - timedelta(days=number % 30),
        price=Decimal(row["price"]),
        store="Green Grocer",
    )


if __name__ == "__main__":
    print(json.dumps(asyncio.run(move_in())))
