"""Two web processes on one PostgreSQL, over either bus: what happens in one is heard in the other, whatever is killed.

Chat D5: each process told its own sockets alone.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from httpx import AsyncClient, TransportError

from tests import processes
from tests.live.conftest import Person, Place, RedisServer, Socket, move_in

pytestmark = pytest.mark.parametrize("url", ["postgresql"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=["over postgresql", "over redis"])
def env(request: pytest.FixtureRequest, url: str) -> dict[str, str]:
    env = {"LARDER_DATABASE_URL": url, "LARDER_LOG_LEVEL": "WARNING"}
    if request.param == "over redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        env["LARDER_BUS_URL"] = server.url
    return env


@pytest.fixture(scope="module")
def places(env: dict[str, str]) -> Iterator[list[Place]]:
    """Both processes."""
    with ExitStack() as stack:
        addresses = [stack.enter_context(processes.serving(env=env)) for _ in range(2)]
        yield [Place(address.removeprefix("http://")) for address in addresses]


@pytest_asyncio.fixture
async def alice(world: None, places: list[Place]) -> Person:
    """At the first process."""
    return await move_in(places[0], "Alice")


@pytest_asyncio.fixture
async def bob(world: None, places: list[Place], alice: Person) -> Person:
    """At the second one, in the same household."""
    return await move_in(places[1], "Bob", household_id=alice.household_id)


async def test_two_people_at_two_processes_are_in_step(alice: Person, bob: Person) -> None:
    async with alice.socket() as hers, bob.socket() as his:
        lot = await alice.add()
        await bob.use(lot, "3")

        for socket in (hers, his):
            added, used = await socket.hears("lot.changed"), await socket.hears("lot.changed")
            assert added["id"] < used["id"]
            assert (added["actor"]["name"], used["actor"]["name"]) == ("Alice", "Bob")
            assert used["data"]["quantity"] == "7"


async def test_a_session_that_is_ended_at_one_process_is_cut_off_at_the_other(
    alice: Person, places: list[Place]
) -> None:
    async with alice.at(places[1]).socket() as socket:
        await alice.post("/auth/logout")

        await socket.hears("session.revoked")
        assert await socket.code_of_end() == 4401


async def test_one_can_resume_at_another_process(alice: Person, bob: Person, places: list[Place]) -> None:
    async with alice.socket() as socket:
        lot = await alice.add()
        last = await socket.hears("lot.changed")
    for _ in range(3):
        await bob.use(lot)

    async with alice.at(places[1]).socket() as socket:
        await socket.send({"action": "resume", "last_id": last["id"]})
        quantities = {(await socket.hears("lot.changed"))["data"]["quantity"] for _ in range(3)}
        await socket.hears_nothing()
    assert quantities == {"7"}


async def test_every_connection_to_the_database_is_killed_and_nobody_misses_anything(
    alice: Person, bob: Person, url: str
) -> None:
    async with alice.socket() as hers:
        lot = await alice.add()
        await hers.hears("lot.changed")

        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        killed = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'larder%'"
        )
        await connection.close()
        assert killed > 2
        await bob.use(lot, "4")

        assert (await hers.hears("lot.changed"))["data"]["quantity"] == "6"


# Talk


async def _contents(socket: Socket, times: int) -> list[str]:
    return [(await socket.hears("chat.message"))["data"]["content"] for _ in range(times)]


async def test_two_hold_a_conversation_at_two_processes(alice: Person, bob: Person) -> None:
    chat = await alice.open_chat(bob)
    async with alice.socket() as hers, bob.socket() as his:
        await hers.subscribe(chat)
        await his.subscribe(chat)
        await his.send({"action": "typing", "chat_id": chat["id"]})
        assert (await hers.hears("chat.typing"))["user"] == {"id": str(bob.user_id), "name": "Bob"}
        said = ["Who ate the yoghurt?", "Not me", "Then who?", "The cat"]
        for who, content in zip((alice, bob, alice, bob), said, strict=True):
            await who.write(chat, content)

        assert await _contents(hers, 4) == await _contents(his, 4) == said
        await his.hears_nothing()


async def test_two_hundred_members_at_two_processes_each_hear_each_message_once_and_in_order(
    places: list[Place], alice: Person
) -> None:
    chat = await alice.open_chat()
    members = [await move_in(places[n % 2], f"Member {n}", household_id=alice.household_id) for n in range(200)]
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(member.socket()) for member in members]
        async with asyncio.TaskGroup() as group:
            for writer in (alice, *members[:5]):
                group.create_task(_write_often(writer, chat, 5))

        for socket in sockets:
            frames = [await socket.hears("chat.message") for _ in range(30)]
            assert [frame["data"]["seq"] for frame in frames] == list(range(1, 31))
            assert [frame["id"] for frame in frames] == sorted(frame["id"] for frame in frames)
            await socket.hears_nothing()


async def _write_often(person: Person, chat: dict[str, Any], times: int) -> None:
    for number in range(times):
        await person.write(chat, f"{person.user_id} says {number}")


async def test_who_was_away_hears_at_another_process_what_was_said(
    places: list[Place], alice: Person, bob: Person
) -> None:
    chat = await alice.open_chat(bob)
    async with bob.socket() as socket:
        await alice.write(chat, "0")
        last = await socket.hears("chat.message")
    for number in range(1, 6):
        await alice.write(chat, str(number))

    async with bob.at(places[0]).socket() as socket:
        await socket.send({"action": "resume", "last_id": last["id"]})
        assert await _contents(socket, 5) == ["1", "2", "3", "4", "5"]
        await socket.hears_nothing()


async def test_who_is_put_out_at_one_process_hears_nothing_more_at_the_other(alice: Person, bob: Person) -> None:
    chat = await alice.open_chat(bob)
    async with bob.socket() as his:
        await his.subscribe(chat)
        await alice.write(chat, "Before")
        await his.hears("chat.message")
        await alice.send("PATCH", f"chats/{chat['id']}", {"member_ids": [str(alice.user_id)]})
        await alice.write(chat, "After")
        lot = await alice.add()

        assert (await his.hears("chat.deleted"))["data"] == {"id": chat["id"]}
        assert (await his.hears("lot.changed"))["data"]["id"] == lot["id"]
        answer = await his.answer_to({"action": "typing", "chat_id": chat["id"]})
        assert answer == {"type": "error", "code": "not_found"}


async def test_who_is_removed_from_the_household_at_one_process_is_cut_off_at_the_other(
    alice: Person, bob: Person
) -> None:
    chat = await alice.open_chat()
    async with bob.socket() as his:
        await his.subscribe(chat)
        await alice.send("DELETE", f"members/{bob.user_id}")
        await alice.write(chat, "After")

        assert await his.code_of_end() == 4403


@asynccontextmanager
async def _dying(env: dict[str, str], trigger: Path) -> AsyncIterator[tuple[Popen[bytes], Place]]:
    """A third process, which is killed between a commit and telling of it once the trigger is there."""
    port = processes.free_port()
    env = {**env, "DIES_WHILE": str(trigger)}
    process = processes.start("runserver", f"127.0.0.1:{port}", env=env, program=("-m", "tests.live.dying"))
    try:
        place = Place(f"127.0.0.1:{port}")
        processes.wait_for(f"{place.http}/readyz", process)
        yield process, place
    finally:
        processes.kill(process)


async def test_a_process_that_is_killed_between_a_message_and_its_telling_loses_and_doubles_nothing(
    env: dict[str, str], places: list[Place], alice: Person, bob: Person, tmp_path: Path
) -> None:
    chat, key, trigger = await alice.open_chat(bob), str(uuid4()), tmp_path / "now"
    async with _dying(env, trigger) as (process, third), alice.at(third).socket() as hers, bob.socket() as his:
        await alice.at(third).write(chat, "One")
        first = await hers.hears("chat.message")
        await his.hears("chat.message")

        trigger.touch()
        with pytest.raises(TransportError):
            await _say(third, alice, chat, "Two", key)
        assert process.wait(processes.PATIENCE) == -9
        # The client does not know, so it says it again, under the same key.
        said_again = await _say(places[0], alice, chat, "Two", key)
        await alice.write(chat, "Three")

        assert await _contents(his, 2) == ["Two", "Three"]
        await his.hears_nothing()
    async with alice.at(places[1]).socket() as back:
        await back.send({"action": "resume", "last_id": first["id"]})
        assert await _contents(back, 2) == ["Two", "Three"]
        await back.hears_nothing()
    listed = await bob.get(f"chats/{chat['id']}/messages")
    assert [each["content"] for each in listed["items"]] == ["Three", "Two", "One"]
    assert listed["items"][1]["id"] == said_again["id"]


async def _say(place: Place, person: Person, chat: dict[str, Any], content: str, key: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {person.access}", "Idempotency-Key": key}
    path = f"{place.http}/api/v1/households/{person.household_id}/chats/{chat['id']}/messages"
    async with AsyncClient(headers=headers, timeout=30) as client:
        answer = await client.post(path, json={"content": content})
        assert answer.is_success, answer.text
        return dict(answer.json())


async def test_what_nobody_was_woken_for_is_heard_all_the_same(
    env: dict[str, str], alice: Person, bob: Person, tmp_path: Path
) -> None:
    chat, trigger = await alice.open_chat(bob), tmp_path / "now"
    async with _dying(env, trigger) as (process, third), alice.socket() as hers, bob.socket() as his:
        trigger.touch()
        with pytest.raises(TransportError):
            await bob.at(third).write(chat, "Last words")
        assert process.wait(processes.PATIENCE) == -9

        for socket in (hers, his):
            assert await _contents(socket, 1) == ["Last words"]
            await socket.hears_nothing()
