"""Things to test with, made through the services, every default sensible."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import Event, Location, LocationKind, Lot, Product
from services import products, stock
from services.permissions import Actor
from services.schemas.products import ProductCreate
from services.schemas.stock import LotCreate, LotRead


async def make_product(session: AsyncSession, actor: Actor, *, name: str = "Milk", **fields: Any) -> Product:
    return await products.create_product(session, actor, ProductCreate(name=name, **fields))


async def place_of(session: AsyncSession, actor: Actor, kind: LocationKind) -> UUID:
    """The household's first place of a kind."""
    statement = select(Location.id).where(Location.household_id == actor.household_id, Location.kind == kind)
    return (await session.scalars(statement.order_by(col(Location.position)))).first() or UUID(int=0)


async def make_lot(
    session: AsyncSession,
    actor: Actor,
    *,
    product: Product | str = "Milk",
    quantity: int | str | Decimal = 2,
    place: LocationKind = LocationKind.FRIDGE,
    expires_on: date | None = None,
    **fields: Any,
) -> LotRead:
    """A lot; of a product that is found or made by its name."""
    what: dict[str, Any] = (
        {"product": ProductCreate(name=product)} if isinstance(product, str) else {"product_id": product.id}
    )
    data = LotCreate(
        **what,
        quantity=Decimal(quantity),
        location_id=await place_of(session, actor, place),
        expires_on=expires_on,
        **fields,
    )
    return (await stock.add(session, actor, data)).lot


async def assert_ledger_holds(session: AsyncSession) -> None:
    """Every lot is the sum of its bookings, and none is below zero."""
    booked = sa.select(sa.func.sum(col(Event.quantity_delta))).where(col(Event.lot_id) == col(Lot.id)).scalar_subquery()
    wrong = await session.scalars(select(Lot.id).where(sa.or_(col(Lot.quantity) != booked, col(Lot.quantity) < 0)))
    assert wrong.all() == []
