"""Two web processes on one PostgreSQL: what happens in one is heard in the other, whatever breaks in between."""

from collections.abc import Iterator
from contextlib import ExitStack

import asyncpg
import pytest
import pytest_asyncio
from alembic import command

from commands.migrations import alembic_config
from tests import processes
from tests.live.conftest import Person, Place, move_in
from tests.servers import SECRET, empty_database


@pytest.fixture(scope="module", params=["postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with empty_database(request, tmp_path_factory.mktemp("processes")) as url:
        command.upgrade(alembic_config(url), "head")
        yield url


@pytest.fixture(scope="module")
def places(url: str) -> Iterator[list[Place]]:
    """Both processes."""
    env = {"LARDER_DATABASE_URL": url, "LARDER_SECRET_KEY": SECRET, "LARDER_LOG_LEVEL": "WARNING"}
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
    elsewhere = Person(**{**vars(alice), "place": places[1]})
    async with elsewhere.socket() as socket:
        await alice.post("/auth/logout")

        await socket.hears("session.revoked")
        assert await socket.code_of_end() == 4401


async def test_one_can_resume_at_another_process(alice: Person, bob: Person, places: list[Place]) -> None:
    async with alice.socket() as socket:
        lot = await alice.add()
        last = await socket.hears("lot.changed")
    for _ in range(3):
        await bob.use(lot)

    elsewhere = Person(**{**vars(alice), "place": places[1]})
    async with elsewhere.socket() as socket:
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
