"""Many at once, on real connections that commit: nothing is oversold, lost or booked twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pyotp
import pytest
import pytest_asyncio
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

import auth
from db import is_postgresql, session_scope
from models import (
    Attachment,
    Category,
    ChallengeKind,
    Delivery,
    Event,
    EventKind,
    GrantKind,
    LinkPurpose,
    LiveKind,
    Membership,
    Notification,
    Outbox,
    Passkey,
    Problem,
    ProblemState,
    Role,
    StaffAssignment,
    User,
)
from services import (
    accounts,
    challenges,
    chats,
    households,
    initial,
    messages,
    one_time_links,
    passkeys,
    passwords,
    second_factor,
    seeding,
    sessions,
    staff_roles,
    stock,
    sweep,
)
from services.core import clock, states
from services.core.errors import Conflict, Gone, NotFound
from services.permissions import Actor
from services.schemas.chats import ChatUpdate
from services.schemas.staff_roles import StaffRoleCreate
from services.schemas.stock import ProductConsume
from services.schemas.talk import MessageCreate, MessageUpdate
from tests.committing import committing_app, newcomer
from tests.conftest import TODAY, make_actor
from tests.factories import assert_ledger_holds, make_file, make_message
from tests.servers import settings_for

AT_ONCE = 50
PATIENCE = 60


@pytest_asyncio.fixture
async def app(url: str) -> AsyncIterator[FastAPI]:
    async with committing_app(settings_for(url)) as app:
        yield app


@pytest_asyncio.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with newcomer(app) as client:
        yield client


async def add_milk(client: AsyncClient, quantity: str) -> UUID:
    made = await client.post("lots", json={"product": {"name": "Milk"}, "quantity": quantity})
    assert made.status_code == 201, made.text
    return UUID(made.json()["id"])


async def at_once(client: AsyncClient, path: str, body: dict[str, str], **options: object) -> list[Response]:
    return list(await asyncio.gather(*(client.post(path, json=body, **options) for _ in range(AT_ONCE))))  # type: ignore[arg-type]


async def left_of(client: AsyncClient, lot_id: UUID) -> Decimal:
    """What is left, once it is known that the ledger says the same."""
    async with session_scope(read_only=True) as session:
        await assert_ledger_holds(session)
    return Decimal((await client.get(f"lots/{lot_id}")).json()["quantity"])


async def uses_of(lot_id: UUID) -> int:
    async with session_scope(read_only=True) as session:
        uses = select(Event.id).where(col(Event.lot_id) == lot_id, col(Event.kind) == EventKind.CONSUME)
        return len((await session.scalars(uses)).all())


async def test_processes_that_seed_at_once_take_turns(app: FastAPI) -> None:
    async def seed() -> dict[str, int]:
        async with session_scope() as session:
            return await seeding.seed_words(session)

    async with session_scope() as session:
        await session.execute(delete(Category).where(col(Category.code) == "dairy.milk"))

    changed = await asyncio.gather(*(seed() for _ in range(5)))

    assert sorted(counts["categories"] for counts in changed) == [0, 0, 0, 0, 1]


async def test_fifty_who_use_one_lot_at_once_never_get_more_than_there_is(client: AsyncClient) -> None:
    lot_id = await add_milk(client, "30")

    answers = await at_once(client, f"lots/{lot_id}/consume", {"quantity": "1"})

    assert sorted(answer.status_code for answer in answers) == [200] * 30 + [409] * 20
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"too_little_left"}
    assert await left_of(client, lot_id) == 0
    assert await uses_of(lot_id) == 30


async def test_fifty_who_use_a_product_at_once_span_its_lots_and_lose_no_use(client: AsyncClient) -> None:
    lots = [await add_milk(client, quantity) for quantity in ("7", "11", "40")]
    product = (await client.get(f"lots/{lots[0]}")).json()["product"]["id"]

    answers = await at_once(client, f"products/{product}/consume", {"quantity": "1"})

    assert [answer.status_code for answer in answers] == [200] * AT_ONCE
    assert sum([await left_of(client, lot_id) for lot_id in lots], Decimal(0)) == 8


async def test_fifty_with_the_same_key_book_once_and_hear_the_same(client: AsyncClient) -> None:
    lot_id = await add_milk(client, "30")

    answers = await at_once(client, f"lots/{lot_id}/consume", {"quantity": "1"}, headers={"Idempotency-Key": "tap"})

    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert await left_of(client, lot_id) == 29


async def test_fifty_who_take_the_same_use_back_do_so_once(client: AsyncClient) -> None:
    lot_id = await add_milk(client, "30")
    await client.post(f"lots/{lot_id}/consume", json={"quantity": "5"})
    used = (await client.get("events", params={"lot": str(lot_id), "limit": 1})).json()["items"][0]["id"]

    answers = await at_once(client, f"events/{used}/undo", {})

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * (AT_ONCE - 1)
    assert await left_of(client, lot_id) == 30


async def test_sweeps_that_race_tell_everything_once(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "BATCH", 2)
    every = "http://localhost/api/v1/households"
    homes = []
    for number in range(20):
        made = await client.post(every, json={"name": f"Home {number}", "time_zone": "Europe/Berlin"})
        homes.append(UUID(made.json()["id"]))
        due = {"product": {"name": "Milk"}, "quantity": "1", "expires_on": str(TODAY)}
        await client.post(f"{every}/{homes[-1]}/lots", json=due)

    await asyncio.gather(*(sweep.sweep() for _ in range(6)))
    await asyncio.gather(*(sweep.sweep() for _ in range(6)))

    async with session_scope(read_only=True) as session:
        told = (await session.scalars(select(Notification).where(col(Notification.household_id).in_(homes)))).all()
        sent = (await session.scalars(select(Delivery).where(col(Delivery.household_id).in_(homes)))).all()
        live = await session.scalars(select(Outbox.subject_id).where(Outbox.kind == LiveKind.NOTIFICATION_CREATED))
    assert sorted(row.household_id for row in told) == sorted(homes)
    assert sorted(delivery.household_id for delivery in sent if delivery.household_id) == sorted(homes)
    assert {row.id for row in told} <= set(live.all())


# Chats


async def test_twenty_who_make_a_chat_of_one_title_make_one(client: AsyncClient) -> None:
    """Chat D24: it was looked for, then written, and so was there twice."""
    titles = [f"{' ' * number}Shopping" for number in range(20)]
    answers = await asyncio.gather(*(client.post("chats", json={"title": title}) for title in titles))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"duplicate"}
    listed = (await client.get("chats")).json()["items"]
    assert [chat["title"] for chat in listed] == ["Shopping", "Everyone"]


async def test_of_twenty_who_rename_their_chats_alike_one_does(client: AsyncClient) -> None:
    made = [(await client.post("chats", json={"title": f"Chat {number}"})).json()["id"] for number in range(20)]

    answers = await asyncio.gather(*(client.patch(f"chats/{chat}", json={"title": "Shopping"}) for chat in made))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19


async def test_twenty_at_once_make_no_more_chats_than_there_may_be(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chats, "MAX_CHATS", 5)

    answers = await asyncio.gather(*(client.post("chats", json={"title": f"Chat {number}"}) for number in range(20)))

    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [409] * 16


async def test_markers_that_race_end_at_the_last_message(client: AsyncClient) -> None:
    (chat,) = (await client.get("chats")).json()["items"]
    async with session_scope() as session:
        said = [await make_message(session, UUID(chat["id"]), None) for _ in range(20)]

    answers = await asyncio.gather(
        *(client.post(f"chats/{chat['id']}/read", json={"message_id": str(each.id)}) for each in reversed(said))
    )

    assert {answer.status_code for answer in answers} == {204}
    read = (await client.get(f"chats/{chat['id']}")).json()
    assert (read["read_seq"], read["unread"]) == (20, 0)


async def test_a_chat_is_deleted_once(client: AsyncClient) -> None:
    chat = (await client.post("chats", json={"title": "Shopping"})).json()["id"]

    answers = await asyncio.gather(*(client.delete(f"chats/{chat}") for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [204] + [404] * 9


async def test_who_mentions_somebody_and_who_changes_the_chat_do_not_hold_each_other_up(client: AsyncClient) -> None:
    """One locks the chat and then the household of what is told, the other the household and then the chat."""
    (chat,) = (await client.get("chats")).json()["items"]
    home = UUID(client.base_url.path.rstrip("/").rpartition("/")[2])
    user_id = await make_user("Zoe")
    async with session_scope() as session:
        session.add(Membership(household_id=home, user_id=user_id, role=Role.MEMBER))
    said = (client.post(f"chats/{chat['id']}/messages", json={"content": "@Zoe, milk?"}) for _ in range(20))
    renamed = (client.patch(f"chats/{chat['id']}", json={"title": f"Talk {number}"}) for number in range(20))

    answers = await asyncio.gather(*(each for pair in zip(said, renamed, strict=True) for each in pair))

    assert sorted(answer.status_code for answer in answers) == [200] * 20 + [201] * 20


async def test_who_talks_of_a_lot_waits_for_who_books_on_it_before_the_chat_is_held(client: AsyncClient) -> None:
    """Who books holds the lot, and then the chats in which that is said."""
    (chat,) = (await client.get("chats")).json()["items"]
    await client.patch(f"chats/{chat['id']}", json={"tells_stock": True})
    lot_id, ann = await add_milk(client, "2"), await owner_of(client)
    lot = (await client.get(f"lots/{lot_id}")).json()
    for about in ({"lot_id": str(lot_id)}, {"product_id": lot["product"]["id"]}):
        async with session_scope() as booking:
            await stock.consume_product(booking, ann, UUID(lot["product"]["id"]), ProductConsume(quantity=Decimal(1)))
            said = asyncio.create_task(client.post(f"chats/{chat['id']}/messages", json={"content": "Milk?", **about}))
            await until_somebody_waits(booking)

        assert (await said).status_code == 201


async def test_a_message_and_its_chat_are_deleted_at_once(client: AsyncClient) -> None:
    """One locks the message and then its file, the other must not do so the other way round."""
    home = UUID(client.base_url.path.rstrip("/").rpartition("/")[2])
    actor = replace(make_actor("alice"), user_id=await make_user("Zoe"), household_id=home)
    made = [(await client.post("chats", json={"title": f"Chat {number}"})).json()["id"] for number in range(20)]
    acts = []
    for chat in made:
        async with session_scope() as session:
            said = await make_message(session, UUID(chat), None)
            for place in range(5):
                file = make_file(actor)
                session.add(file)
                await session.flush()
                session.add(Attachment(message_id=said.id, file_id=file.id, position=place))
        acts += [client.delete(f"chats/{chat}/messages/{said.id}"), client.delete(f"chats/{chat}")]

    answers = await asyncio.gather(*acts)

    assert {answer.status_code for answer in answers} <= {204, 404}


PutOut = Callable[[AsyncSession, Actor, UUID, UUID], Awaitable[object]]


async def _out_of_chat(session: AsyncSession, by: Actor, chat_id: UUID, _user_id: UUID) -> None:
    await chats.edit_chat(session, by, chat_id, ChatUpdate(member_ids=[by.user_id]))


async def _out_of_household(session: AsyncSession, by: Actor, _chat_id: UUID, user_id: UUID) -> None:
    await households.remove_member(session, by, user_id)


@pytest.mark.parametrize("put_out", [_out_of_chat, _out_of_household])
async def test_who_is_put_out_meanwhile_says_nothing_after_that(client: AsyncClient, put_out: PutOut) -> None:
    ann = await owner_of(client)
    zoe = replace(ann, user_id=await make_user("Zoe"), role=Role.MEMBER)
    (chat,) = (await client.get("chats")).json()["items"]
    async with session_scope() as session:
        session.add(Membership(household_id=zoe.household_id, user_id=zoe.user_id, role=Role.MEMBER))
        said = await make_message(session, UUID(chat["id"]), zoe, "Milk?")

    async def post(session: AsyncSession) -> None:
        await messages.post(session, zoe, said.chat_id, MessageCreate(content="Bread?"))

    async def edit(session: AsyncSession) -> None:
        await messages.edit(session, zoe, said.chat_id, said.id, MessageUpdate(content="Bread?"))

    async def react(session: AsyncSession) -> None:
        await messages.react(session, zoe, said.chat_id, said.id, "👍")

    async def talk(act: Callable[[AsyncSession], Awaitable[None]]) -> None:
        async with session_scope() as talking:
            await act(talking)

    async def put_out_at_once() -> None:
        async with session_scope() as putting_out:
            await putting_out.execute(text("SET LOCAL lock_timeout = '50ms'"))
            await put_out(putting_out, ann, said.chat_id, zoe.user_id)

    async with session_scope() as talking:
        await post(talking)
        # What is being said is said before; on SQLite nobody else writes meanwhile.
        if is_postgresql(talking):
            with pytest.raises(DBAPIError, match="lock timeout"):
                await put_out_at_once()

    async with session_scope() as putting_out:
        await put_out(putting_out, ann, said.chat_id, zoe.user_id)
        acts = [asyncio.create_task(talk(act)) for act in (post, edit, react)]
        await until_somebody_waits(putting_out, len(acts))
    for each in await asyncio.gather(*acts, return_exceptions=True):
        assert isinstance(each, NotFound)


async def owner_of(client: AsyncClient) -> Actor:
    """Whose client it is."""
    home = UUID(client.base_url.path.rstrip("/").rpartition("/")[2])
    async with session_scope(read_only=True) as session:
        owner = select(Membership.user_id).where(Membership.household_id == home, Membership.role == Role.OWNER)
        user_id = (await session.scalars(owner)).one()
    return replace(make_actor("alice"), user_id=user_id, household_id=home)


async def until_somebody_waits(session: AsyncSession, count: int = 1) -> None:
    """For a lock. On SQLite whoever else writes waits for this session anyway."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(PATIENCE):
        while is_postgresql(session):
            async with session_scope(read_only=True) as looking:
                if (await looking.execute(text(waiting))).scalar_one() >= count:
                    return


# Accounts


async def make_user(name: str, *, is_superuser: bool = False) -> UUID:
    async with session_scope() as session:
        email = f"{uuid4().hex}@example.com"
        made = await accounts.make(
            session, email=email, name=name, password="correct horse 7", is_superuser=is_superuser
        )
        return made.id


@pytest.mark.parametrize("act", ["demote", "disable"])
async def test_of_all_superusers_who_are_taken_away_at_once_one_stays(app: FastAPI, act: str) -> None:
    async with session_scope() as session:
        await session.execute(update(User).values(is_superuser=False))
    superusers = [await make_user(f"Super {number}", is_superuser=True) for number in range(5)]

    async def take_away(user_id: UUID) -> bool:
        try:
            async with session_scope() as session:
                if act == "demote":
                    await accounts.set_superuser(session, user_id, False, by=None)
                else:
                    await accounts.disable(session, user_id, by=None)
        except Conflict:
            return False
        return True

    taken = await asyncio.gather(*(take_away(user_id) for user_id in superusers))

    assert sorted(taken) == [False, True, True, True, True]
    async with session_scope(read_only=True) as session:
        left = (await session.scalars(select(User.id).where(User.is_superuser, User.is_active))).all()
    assert list(left) == [superusers[taken.index(False)]]


async def test_of_two_superusers_who_demote_each_other_at_once_one_stays(app: FastAPI) -> None:
    async with session_scope() as session:
        await session.execute(update(User).values(is_superuser=False))
    pair = [await make_user(f"Super {number}", is_superuser=True) for number in range(2)]

    async def demote(user_id: UUID) -> bool:
        try:
            async with session_scope() as session:
                await accounts.set_superuser(session, user_id, False, by=None)
        except Conflict:
            return False
        return True

    assert sorted(await asyncio.gather(*(demote(user_id) for user_id in pair))) == [False, True]


async def test_of_many_who_use_one_link_at_once_one_chooses_the_password(client: AsyncClient) -> None:
    user_id = await make_user("Lena")
    async with session_scope() as session:
        user = await session.get_one(User, user_id)
        link = await one_time_links.make(session, user, LinkPurpose.RESET_PASSWORD, email=user.email)
        token = one_time_links.address(link).rpartition("/")[2]

    answers = await asyncio.gather(
        *(
            client.post(
                "http://localhost/api/v1/auth/reset", json={"token": token, "password": f"plums number {number}"}
            )
            for number in range(8)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [204] + [410] * 7
    number = [answer.status_code for answer in answers].index(204)
    await auth.authenticate(user.email, f"plums number {number}")


async def test_of_two_who_refresh_with_one_token_at_once_at_most_one_goes_on(client: AsyncClient) -> None:
    user_id = await make_user("Rita")
    async with session_scope() as session:
        tokens = await sessions.start(session, await session.get_one(User, user_id))
    renewal = {"refresh_token": tokens.refresh}
    client.headers.pop("Authorization")

    answers = [
        answer
        for answer in await asyncio.gather(
            *(client.post("http://localhost/api/v1/auth/refresh", json=renewal) for _ in range(4))
        )
        if answer.status_code == 200
    ]

    # The others showed a token that was used, so whoever came first is out as well.
    assert len(answers) <= 1
    client.cookies.clear()
    for answer in answers:
        bred = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert (await client.get("http://localhost/api/v1/users/me", headers=bred)).status_code == 401


async def test_of_many_who_register_one_address_at_once_one_has_it(client: AsyncClient) -> None:
    new = {"email": f"{uuid4().hex}@example.com", "password": "correct horse 7", "name": "Ann"}

    answers = await asyncio.gather(*(client.post("http://localhost/api/v1/auth/register", json=new) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5


# Roles


async def test_processes_that_begin_an_instance_at_once_take_turns(app: FastAPI) -> None:
    async def begin() -> int:
        async with session_scope() as session:
            return len(await initial.apply(session, app.state.registry))

    counts = sorted(await asyncio.gather(*(begin() for _ in range(5))))

    assert counts[:4] == [0, 0, 0, 0]
    assert counts[4] > 0


async def test_of_many_who_change_a_role_at_once_nobody_undoes_another(app: FastAPI) -> None:
    known = [f"moon:{number}" for number in range(20)]
    async with session_scope() as session:
        role = await staff_roles.create(session, None, StaffRoleCreate(code="moon", name="Moon"))

    async def grant(name: str) -> None:
        async with session_scope() as session:
            await staff_roles.change_grants(session, None, role.id, GrantKind.PERMISSION, add=[name], known=known)

    await asyncio.gather(*(grant(name) for name in known))

    async with session_scope() as session:
        granted = await staff_roles.grants_of(session, role.id)
        await staff_roles.remove(session, None, role.id)
    assert granted[GrantKind.PERMISSION] == set(known)


async def test_a_role_that_many_give_at_once_is_given_once(app: FastAPI) -> None:
    user_id = await make_user("Tess")
    async with session_scope() as session:
        role = await staff_roles.create(session, None, StaffRoleCreate(code="moon", name="Moon"))

    async def assign() -> None:
        async with session_scope() as session:
            await staff_roles.assign(session, None, user_id, role.id)

    await asyncio.gather(*(assign() for _ in range(10)))

    async with session_scope() as session:
        held = (await session.scalars(select(StaffAssignment).where(StaffAssignment.user_id == user_id))).all()
        await staff_roles.remove(session, None, role.id)
    assert len(held) == 1


async def test_of_many_who_move_a_row_to_another_state_one_does(app: FastAPI) -> None:
    """soy 3.12: there every one of them did."""
    async with session_scope() as session:
        problem = Problem(fingerprint=uuid4().hex, kind="ValueError")
        session.add(problem)
    allowed = {ProblemState.OPEN: {ProblemState.RESOLVED}}

    async def resolve() -> bool:
        try:
            async with session_scope() as session:
                await states.move(session, Problem, problem.id, "state", ProblemState.RESOLVED, allowed=allowed)
        except Conflict:
            return False
        return True

    assert sum(await asyncio.gather(*(resolve() for _ in range(20)))) == 1


async def test_of_many_who_bring_one_code_at_once_one_gets_in(app: FastAPI) -> None:
    """Of the app as of a recovery code, whichever sign-ins they are for."""
    user_id = await make_user("Cora")
    async with session_scope() as session:
        user = await session.get_one(User, user_id)
        account = replace(
            make_actor("alice"), user_id=user_id, session_id=(await sessions.start(session, user)).session_id
        )
        secret = (await second_factor.start(session, account)).secret
        before = clock.now() - timedelta(minutes=5)
        with clock.frozen(before):
            codes = await second_factor.confirm(session, account, code=pyotp.TOTP(secret).at(before))

    async def enter(code: str) -> bool:
        async with session_scope() as session:
            token = await second_factor.ask(session, await session.get_one(User, user_id), way="password")
        async with session_scope() as session:
            return await second_factor.answer(session, token or "", code) is not None

    for code in (pyotp.TOTP(secret).at(clock.now()), codes[0]):
        assert sum(await asyncio.gather(*(enter(code) for _ in range(10)))) == 1


async def test_of_many_tries_at_one_challenge_five_are_looked_at(app: FastAPI) -> None:
    async with session_scope() as session:
        token = await challenges.ask(session, ChallengeKind.SECOND_FACTOR)

    async def attempt() -> bool:
        async with session_scope() as session:
            return await challenges.attempt(session, ChallengeKind.SECOND_FACTOR, token) is not None

    assert sum(await asyncio.gather(*(attempt() for _ in range(20)))) == challenges.MAX_ATTEMPTS


async def test_two_ways_in_that_are_closed_at_once_leave_one(app: FastAPI) -> None:
    user_id = await make_user("Dina")
    async with session_scope() as session:
        user = await session.get_one(User, user_id)
        user.hashed_password = passwords.UNUSABLE
        account = replace(
            make_actor("alice"), user_id=user_id, session_id=(await sessions.start(session, user)).session_id
        )
        kept = [
            Passkey(user_id=user_id, credential_id=uuid4().hex, public_key=b"", name=f"Key {index}")
            for index in range(4)
        ]
        session.add_all(kept)

    async def remove(passkey_id: UUID) -> bool:
        try:
            async with session_scope() as session:
                await passkeys.remove(session, account, passkey_id)
        except Conflict:
            return False
        return True

    assert sum(await asyncio.gather(*(remove(passkey.id) for passkey in kept))) == 3


async def test_of_many_who_use_a_link_up_at_once_one_does(app: FastAPI) -> None:
    user_id = await make_user("Lena")
    async with session_scope() as session:
        user = await session.get_one(User, user_id)
        link = await one_time_links.make(session, user, LinkPurpose.VERIFY_EMAIL, email=user.email)
        token = one_time_links.address(link).rpartition("/")[2]

    async def use() -> bool:
        try:
            async with session_scope() as session:
                await one_time_links.use(session, token, LinkPurpose.VERIFY_EMAIL)
        except Gone:
            return False
        return True

    assert sum(await asyncio.gather(*(use() for _ in range(8)))) == 1
