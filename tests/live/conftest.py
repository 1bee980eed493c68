"""A real server in this process, on a database of its own on each engine, and people with sockets."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
import uvicorn
from httpx import AsyncClient
from redis import Redis
from redis.exceptions import RedisError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from auth import COOKIE
from commands.sockets import OPTIONS
from db import session_scope, use_database
from main import create_app
from models import Household, Membership, Role, User
from services import locations, seeding, sessions
from services.core import i18n
from services.live import Hub
from tests import processes
from tests.committing import committing
from tests.servers import settings_for

PATIENCE = 60


@pytest.fixture(autouse=True)
def _standing_still() -> None:
    """Here time goes on: the server lives in it."""
    i18n.use_locale("en-GB")


@dataclass
class Place:
    """Where a server is."""

    address: str
    hub: Hub | None = None

    @property
    def http(self) -> str:
        return f"http://{self.address}"

    @property
    def ws(self) -> str:
        return f"ws://{self.address}/ws"


class Server(uvicorn.Server):
    """Says when it is there."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@asynccontextmanager
async def serving(*, send_buffer: int = 0) -> AsyncIterator[Place]:
    """The app as `runserver` serves it; with a small `send_buffer`, little waits in the kernel for slow clients."""
    app = create_app()
    config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=10, **OPTIONS)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        if send_buffer:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        server = Server(config)
        running = asyncio.create_task(server.serve([listening]))
        async with asyncio.timeout(PATIENCE):
            await server.is_up.wait()
        yield Place(f"127.0.0.1:{listening.getsockname()[1]}", app.state.hub)
        server.should_exit = True
        await running
    # The server closed the database, as it was its own.
    use_database(None)


@pytest_asyncio.fixture(scope="module")
async def world(url: str) -> AsyncIterator[None]:
    """The settings and the words for everything in this module."""
    async with committing(settings_for(url)):
        async with session_scope() as session:
            await seeding.seed_words(session)
        yield


@pytest_asyncio.fixture(scope="module")
async def place(world: None) -> AsyncIterator[Place]:
    async with serving() as place:
        yield place


class RedisServer:
    """A real one, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = processes.free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder))
        self.process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        processes.until(self._answers)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        try:
            with closing(Redis(port=self.port)) as client:
                return bool(client.ping())
        except RedisError:
            return False


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None and not os.environ.get("CI"):
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


class Socket:
    """The client's end."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, frame: Any) -> None:
        await self.connection.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            return dict(json.loads(await self.connection.recv()))

    async def hears(self, kind: str) -> dict[str, Any]:
        """The next frame, which is of this type."""
        frame = await self.next()
        assert frame["type"] == kind, frame
        return frame

    async def hears_nothing(self) -> None:
        await self.send({"action": "ping"})
        await self.hears("pong")

    async def answer_to(self, frame: Any) -> dict[str, Any]:
        await self.send(frame)
        return await self.next()

    async def code_of_end(self) -> int:
        """The code with which the server closes, whatever it says before."""
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006

    async def subscribe(self, chat: dict[str, Any]) -> None:
        """And wait until that is so; nothing else may come in between."""
        assert await self.answer_to({"action": "subscribe", "chat_id": chat["id"]}) == {"type": "ack", "id": chat["id"]}


@dataclass
class Person:
    """Somebody with an account, signed in on one device."""

    place: Place
    user_id: UUID
    household_id: UUID
    session_id: UUID
    access: str
    cookie: str

    def at(self, place: Place) -> "Person":
        """The same device at another process."""
        return replace(self, place=place)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncClient]:
        headers = {"Authorization": f"Bearer {self.access}"}
        base_url = f"{self.place.http}/api/v1/households/{self.household_id}/"
        async with AsyncClient(base_url=base_url, headers=headers, timeout=30) as client:
            yield client

    async def post(self, path: str, body: Any = None) -> Any:
        """To a path in the household, or one that begins with a slash."""
        async with self.client() as client:
            path = f"{self.place.http}/api/v1{path}" if path.startswith("/") else path
            answer = await client.post(path, json=body or {})
            assert answer.is_success, answer.text
            return answer.json() if answer.content else None

    async def get(self, path: str) -> Any:
        async with self.client() as client:
            return (await client.get(path)).json()

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        async with self.client() as client:
            answer = await client.request(method, path, json=body)
            assert answer.is_success, answer.text
            return answer.json() if answer.content else None

    async def open_chat(self, *members: "Person", title: str = "Kitchen") -> dict[str, Any]:
        """For these and oneself; without any, for everybody."""
        member_ids = [str(member.user_id) for member in members]
        return dict(
            await self.post("chats", {"title": title, "member_ids": member_ids} if members else {"title": title})
        )

    async def write(self, chat: dict[str, Any], content: str = "Who ate the yoghurt?") -> dict[str, Any]:
        return dict(await self.post(f"chats/{chat['id']}/messages", {"content": content}))

    async def add(self, name: str = "Milk", quantity: str = "10", **fields: Any) -> dict[str, Any]:
        return dict(await self.post("lots", {"product": {"name": name}, "quantity": quantity, **fields}))

    async def use(self, lot: dict[str, Any], quantity: str = "1") -> None:
        await self.post(f"lots/{lot['id']}/consume", {"quantity": quantity})

    @asynccontextmanager
    async def socket(self, query: str = "", **options: Any) -> AsyncIterator[Socket]:
        options.setdefault("additional_headers", {"Authorization": f"Bearer {self.access}"})
        async with connect(f"{self.place.ws}{query}", compression=None, **options) as connection:
            socket = Socket(connection)
            assert await socket.next() == {"type": "connection.established", "user_id": str(self.user_id)}
            yield socket

    @asynccontextmanager
    async def deaf(self) -> AsyncIterator[None]:
        """A client that never reads."""
        headers = {"Authorization": f"Bearer {self.access}"}
        async with connect(self.place.ws, additional_headers=headers, max_queue=1, close_timeout=0.1) as connection:
            connection.transport.pause_reading()
            yield
            connection.transport.abort()

    @property
    def by_cookie(self) -> dict[str, Any]:
        return {"additional_headers": {"Cookie": f"{COOKIE}={self.cookie}"}}


async def move_in(
    place: Place, name: str, *, household_id: UUID | None = None, role: Role = Role.MEMBER, **more: Any
) -> Person:
    """Somebody new: the owner of a new household, or of this `role` in this one."""
    async with session_scope() as session:
        user = User(
            email=f"{uuid4().hex}@example.com", name=name, hashed_password="", locale=more.get("locale", "en-GB")
        )
        session.add(user)
        await session.flush()
        if household_id is None:
            role = Role.OWNER
            household = Household(name="Home", time_zone="Europe/Berlin", locale="en-GB")
            session.add(household)
            await session.flush()
            session.add_all(locations.first_locations(household.id))
            household_id = household.id
        session.add(Membership(household_id=household_id, user_id=user.id, role=role, soon_days=more.get("soon_days")))
        tokens = await sessions.start(session, user)
    return Person(place, user.id, household_id, tokens.session_id, tokens.access, tokens.cookie)


@pytest_asyncio.fixture
async def alice(place: Place) -> Person:
    """The owner of a household of her own."""
    return await move_in(place, "Alice")


@pytest_asyncio.fixture
async def bob(place: Place, alice: Person) -> Person:
    """A member of it, who reads German and wants to know thirty days before."""
    return await move_in(place, "Bob", household_id=alice.household_id, locale="de", soon_days=30)


@pytest_asyncio.fixture
async def charlie(place: Place) -> Person:
    """A stranger."""
    return await move_in(place, "Charlie")
