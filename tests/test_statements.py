"""How many statements a request costs, and that a longer list costs no more of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid5

from sqlalchemy.ext.asyncio import AsyncSession

import db
from models import (
    Attachment,
    Avatar,
    Chat,
    Membership,
    Mention,
    Notification,
    NotificationKind,
    Reaction,
    ReadMarker,
    Role,
    User,
)
from services import categories, chats, households, locations, preferences, products, units
from services.permissions import Actor
from services.schemas.chats import ChatCreate
from services.schemas.households import HouseholdCreate, InvitationCreate
from services.schemas.products import BarcodeCreate
from services.schemas.stock import LotRead
from services.schemas.words import CategoryCreate, LocationCreate, UnitCreate
from tests.conftest import HOUSEHOLD, NAMESPACE, TODAY, ClientOf
from tests.doors import DOORS, Door
from tests.factories import make_file, make_lot, make_message, make_product

CHAT = uuid5(NAMESPACE, "chat of many")
IDS = {"household_id": str(HOUSEHOLD), "chat_id": str(CHAT)}
NO_LISTS = ("auth:", "channels:push_key")
LISTS = [
    door for door in DOORS if door.method == "GET" and door.keys <= IDS.keys() and not door.name.startswith(NO_LISTS)
]
HOT = {"GET /", "GET /api/v1/households/{household_id}/lots"}
MOST_HOT = 4


@contextmanager
def counted() -> Iterator[list[db.Statement]]:
    """The statements that are run within, savepoints of the tests' own sessions aside."""
    statements: list[db.Statement] = []
    token = db.statements.set(statements)
    try:
        yield statements
    finally:
        db.statements.reset(token)
        statements[:] = [s for s in statements if not s.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK"))]


async def fill(session: AsyncSession, actor: Actor, numbers: range) -> None:
    """Some more of everything that lists show; of what is limited, as much as there may be."""
    if not numbers.start:
        session.add(Chat(id=CHAT, household_id=actor.household_id, title="Of many", title_key="of many"))
        await session.flush()
    for number in numbers:
        product = await make_product(session, actor, name=f"Thing {number}", unit="piece")
        await products.add_barcode(session, actor, product.id, BarcodeCreate(code=f"code-{number}"))
        lot = await make_lot(session, actor, product=product, expires_on=TODAY, price="2")
        session.add(
            Notification(
                user_id=actor.user_id,
                household_id=actor.household_id,
                kind=NotificationKind.TODAY,
                product_id=product.id,
                lot_id=lot.id,
                due_on=TODAY,
            )
        )
        await preferences.mute(session, actor, product.id)
        await locations.create_location(session, actor, LocationCreate(name=f"Shelf {number}"))
        await units.create_unit(session, actor, UnitCreate(code=f"u{number}", name=f"unit {number}"))
        await categories.create_category(session, actor, CategoryCreate(name=f"Food {number}"))
        chat = await chats.create_chat(session, actor, ChatCreate(title=f"Talk {number}", member_ids=[]))
        await make_message(session, chat.id, actor if number % 2 else None)
        await _join(session, actor, number, lot)
        if number < 18:
            await households.create_household(session, actor, HouseholdCreate(name=f"House {number}"))
            await households.invite(session, actor, InvitationCreate(), base_url="")
    await session.commit()


async def _join(session: AsyncSession, actor: Actor, number: int, lot: LotRead) -> None:
    """One more member, with a picture, who says something about a lot, with a file, to which somebody reacts."""
    user = User(email=f"member{number}@example.com", name=f"Member {number}", hashed_password="!")
    face, photo = make_file(actor), make_file(actor)
    session.add_all([user, face, photo])
    await session.flush()
    session.add(Membership(household_id=actor.household_id, user_id=user.id, role=Role.MEMBER))
    session.add(Avatar(user_id=user.id, file_id=face.id))
    said = await make_message(session, CHAT, None, author_id=user.id, lot_id=lot.id, content="@Alice, look")
    session.add(Mention(message_id=said.id, user_id=actor.user_id))
    session.add(Reaction(message_id=said.id, user_id=actor.user_id, emoji="👍"))
    session.add(Attachment(message_id=said.id, file_id=photo.id))
    session.add(ReadMarker(chat_id=CHAT, user_id=user.id, seq=said.seq))
    session.add(
        Notification(
            user_id=actor.user_id,
            household_id=actor.household_id,
            kind=NotificationKind.MENTION,
            message_id=said.id,
            due_on=TODAY,
        )
    )


async def test_longer_lists_cost_no_more_statements(
    session: AsyncSession, client_of: ClientOf, browser_of: ClientOf, alice: Actor
) -> None:
    clients = {True: client_of(alice), False: browser_of(alice)}

    async def ask(door: Door) -> list[db.Statement]:
        with counted() as statements:
            response = await door.knock(clients[door.is_api], IDS)
        assert response.status_code < 400, door
        return statements

    await fill(session, alice, range(10))
    for door in LISTS:
        await ask(door)
    at_ten = [await ask(door) for door in LISTS]
    await fill(session, alice, range(10, 100))
    at_hundred = [await ask(door) for door in LISTS]

    grown = [
        f"{door}: {len(few)} -> {len(many)}\n" + "\n".join(many)
        for door, few, many in zip(LISTS, at_ten, at_hundred, strict=True)
        if len(few) != len(many) or (str(door) in HOT and not 0 < len(few) <= MOST_HOT)
    ]
    assert not grown, "\n\n".join(grown)


async def test_one_use_costs_few_statements(session: AsyncSession, client_of: ClientOf, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=9)
    await session.commit()

    with counted() as statements:
        response = await client_of(alice).post(f"/households/{HOUSEHOLD}/lots/{lot.id}/consume", json={"quantity": "1"})

    assert response.status_code == 200
    # One more than for reading: what everybody else is told.
    assert len(statements) <= MOST_HOT + 1, "\n".join(statements)
