"""What every bus promises, on all three, with the server killed in the middle."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio

from services.core.bus import MAX_BYTES, Bus, make_bus
from services.core.bus.remote import MANY_WAITING
from tests.live.conftest import RedisServer
from tests.servers import create_database, drop_database, settings_for

PATIENCE = 60


class Ear:
    """A handler, and what it heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._stirred = asyncio.Event()

    def __call__(self, message: str) -> None:
        self.heard.append(message)
        self._stirred.set()

    async def hear(self, message: str, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.heard.count(message) < times:
                self._stirred.clear()
                await self._stirred.wait()


@dataclass
class Place:
    """A kind of bus: how to get another one on the same server, and how to break the server."""

    make: Callable[[], Bus]
    kill: Callable[[], Awaitable[None]]
    restart: Callable[[], Awaitable[None]]


ON_SERVERS = pytest.mark.parametrize("place", ["postgresql", "redis"], indirect=True)


async def nothing() -> None:
    """Memory needs no server, and of PostgreSQL only the connections are killed."""


@pytest_asyncio.fixture(params=["memory", "postgresql", "redis"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    if request.param == "memory":
        yield Place(lambda: make_bus("memory://"), nothing, nothing)
        return
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        yield Place(
            lambda: make_bus(server.url),
            lambda: asyncio.to_thread(server.kill),
            lambda: asyncio.to_thread(server.start),
        )
        return
    postgresql: str = request.getfixturevalue("postgresql")
    url = await create_database(postgresql)

    async def terminate() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'larder bus'"
        )
        await connection.close()

    yield Place(lambda: make_bus(settings_for(url).bus_url), terminate, nothing)
    await drop_database(postgresql, url)


@pytest_asyncio.fixture
async def start(place: Place) -> AsyncIterator[Callable[[], Awaitable[tuple[Bus, Ear]]]]:
    started: list[Bus] = []

    async def start() -> tuple[Bus, Ear]:
        bus, ear = place.make(), Ear()
        await bus.start(ear)
        started.append(bus)
        return bus, ear

    yield start
    for bus in started:
        await bus.stop()


Start = Callable[[], Awaitable[tuple[Bus, Ear]]]


async def test_whoever_is_connected_is_told_to_catch_up(start: Start) -> None:
    bus, ear = await start()

    assert bus.is_connected
    assert ear.heard == [""]


async def test_one_hears_what_one_says_oneself(start: Start) -> None:
    bus, ear = await start()

    bus.publish("hello")

    await ear.hear("hello")


async def test_the_longest_message_is_carried_and_a_longer_one_harms_nothing(start: Start) -> None:
    bus, ear = await start()

    bus.publish("é" * MAX_BYTES)
    bus.publish("x" * MAX_BYTES)

    await ear.hear("x" * MAX_BYTES)
    assert bus.is_connected


@ON_SERVERS
async def test_all_processes_hear_it(start: Start) -> None:
    bus, _own = await start()
    _other, ear = await start()

    bus.publish("hello")

    await ear.hear("hello")


@ON_SERVERS
async def test_after_the_server_was_killed_all_are_told_to_catch_up_and_hear_again(place: Place, start: Start) -> None:
    bus, own = await start()
    _other, ear = await start()

    await place.kill()
    bus.publish("said meanwhile")
    await place.restart()

    for each in (own, ear):
        await each.hear("", times=2)
    await own.hear("said meanwhile")
    bus.publish("said after")
    for each in (own, ear):
        await each.hear("said after")


@ON_SERVERS
async def test_stopping_says_first_what_waits(place: Place, start: Start) -> None:
    _other, ear = await start()
    bus = place.make()
    await bus.start(Ear())

    bus.publish("farewell")
    await bus.stop()

    await ear.hear("farewell")
    assert not bus.is_connected


async def test_a_bus_that_starts_before_its_server_says_later_what_waits(redis_server: RedisServer) -> None:
    bus, ear = make_bus(redis_server.url), Ear()
    redis_server.kill()

    await bus.start(ear)
    bus.publish("is anybody there")

    assert not bus.is_connected
    assert ear.heard == []
    await asyncio.to_thread(redis_server.start)
    await ear.hear("is anybody there")
    await bus.stop()


async def test_what_would_come_late_is_not_said_when_it_was_for_now_or_never(redis_server: RedisServer) -> None:
    bus, ear = make_bus(redis_server.url), Ear()
    redis_server.kill()
    await bus.start(ear)
    bus.publish("somebody types", now_or_never=True)
    bus.publish("something happened")
    await asyncio.to_thread(redis_server.start)
    await ear.hear("something happened")
    assert "somebody types" not in ear.heard

    for number in range(MANY_WAITING * 2):
        bus.publish(f"somebody types {number}", now_or_never=True)
    bus.publish("and more")
    await ear.hear("and more")
    await bus.stop()

    assert len([message for message in ear.heard if message.startswith("somebody types")]) == MANY_WAITING


async def test_what_is_for_now_is_said_now(start: Start) -> None:
    bus, ear = await start()

    bus.publish("somebody types", now_or_never=True)

    await ear.hear("somebody types")
