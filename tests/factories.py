"""Things to test with, made through the services, every default sensible."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import (
    Chat,
    DataScope,
    Event,
    FileKind,
    FilePurpose,
    FileState,
    GrantKind,
    Location,
    LocationKind,
    Lot,
    Message,
    Product,
    StaffAssignment,
    StaffGrant,
    StaffHousehold,
    StaffRole,
    StoredFile,
)
from services import products, staff, stock
from services.core.ids import new_id
from services.core.text import fold
from services.permissions import Account, Actor
from services.schemas.products import ProductCreate
from services.schemas.stock import LotCreate, LotRead
from services.staff import Staff


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


def make_file(actor: Actor, *, purpose: FilePurpose = FilePurpose.MESSAGE, **fields: Any) -> StoredFile:
    """The row of a picture that its household has, with nothing in the storage."""
    given: dict[str, Any] = {
        "household_id": actor.household_id,
        "state": FileState.READY,
        "kind": FileKind.IMAGE,
        "name": "fridge.jpg",
        "media_type": "image/webp",
        "size": 1000,
        "width": 64,
        "height": 48,
        "key": f"{purpose}/2026/{uuid4().hex}",
        "digest": uuid4().hex * 2,
        **fields,
    }
    return StoredFile(uploader_id=actor.user_id, purpose=purpose, **given)


async def make_message(
    session: AsyncSession, chat_id: UUID, author: Actor | None, content: str = "Bring milk", **fields: Any
) -> Message:
    """A message as it lies in a chat, whoever may say something there."""
    numbered = sa.update(Chat).where(col(Chat.id) == chat_id).values(last_seq=col(Chat.last_seq) + 1)
    seq = (await session.execute(numbered.returning(col(Chat.last_seq)))).scalar_one()
    given = {"author_id": author.user_id if author else None, **fields}
    message = Message(chat_id=chat_id, seq=seq, content=content, content_key=fold(content), **given)
    session.add(message)
    await session.flush()
    return message


async def make_role(
    session: AsyncSession,
    *,
    holder: Actor | None = None,
    permissions: Iterable[str] = (),
    menus: Iterable[str] = (),
    buttons: Iterable[str] = (),
    households: Iterable[UUID] = (),
    data_scope: DataScope = DataScope.ALL,
    **fields: Any,
) -> StaffRole:
    """A staff role, which `holder` has; `households` are assigned to them."""
    code = fields.pop("code", f"role_{new_id().hex[-12:]}")
    role = StaffRole(code=code, data_scope=data_scope, **{"name": code.capitalize(), **fields})
    session.add(role)
    await session.flush()
    kinds = {GrantKind.PERMISSION: permissions, GrantKind.MENU: menus, GrantKind.BUTTON: buttons}
    grants = [{"role_id": role.id, "kind": kind, "name": name} for kind, names in kinds.items() for name in names]
    if grants:
        await session.execute(sa.insert(StaffGrant), grants)
    if holder:
        session.add(StaffAssignment(user_id=holder.user_id, role_id=role.id))
        session.add_all(StaffHousehold(user_id=holder.user_id, household_id=each) for each in households)
    await session.flush()
    return role


async def load_staff(session: AsyncSession, actor: Actor) -> Staff:
    """One of the cast as the staff they are now."""
    account = replace(make_account(actor), is_staff=True)
    found = await staff.load(session, account)
    assert found is not None
    return found


def make_account(actor: Actor) -> Account:
    return Account(**{name: getattr(actor, name) for name in Account.__dataclass_fields__})


async def assert_ledger_holds(session: AsyncSession) -> None:
    """Every lot is the sum of its bookings, and none is below zero."""
    booked = sa.select(sa.func.sum(col(Event.quantity_delta))).where(col(Event.lot_id) == col(Lot.id)).scalar_subquery()
    wrong = await session.scalars(select(Lot.id).where(sa.or_(col(Lot.quantity) != booked, col(Lot.quantity) < 0)))
    assert wrong.all() == []
