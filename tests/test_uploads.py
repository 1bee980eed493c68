"""Uploads on real connections and to a real process: many at once, slow ones, and huge ones."""

import asyncio
import http.client
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import psutil  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from alembic import command
from fastapi import FastAPI
from httpx import AsyncClient, Client, Response
from sqlmodel import select

from commands.migrations import alembic_config
from db import get_database, session_scope
from models import FilePurpose, FileState, StoredFile
from services import files
from services.core import storage
from services.core.errors import Conflict
from services.core.storage import MemoryStorage
from settings import Settings, StorageAddress
from tests import samples
from tests.committing import committing_app, newcomer
from tests.conftest import make_actor
from tests.processes import free_port, running, until, wait_for
from tests.servers import settings_for

AT_ONCE = 100
MEGABYTE = 1024 * 1024
FORM = "multipart/form-data; boundary=xyz"
HEAD = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
TAIL = b"\r\n--xyz--\r\n"


@pytest.fixture
def config(url: str) -> Settings:
    return settings_for(url)


@pytest_asyncio.fixture
async def app(config: Settings) -> AsyncIterator[FastAPI]:
    async with committing_app(config) as app:
        yield app


@pytest_asyncio.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with newcomer(app) as client:
        yield client


def home_of(client: AsyncClient) -> UUID:
    return UUID(client.base_url.path.rstrip("/").rpartition("/")[2])


async def test_a_hundred_at_once_get_no_more_room_than_there_is(client: AsyncClient, config: Settings) -> None:
    config.household_quota_mb = 1
    size = MEGABYTE // 10

    async def send(number: int) -> tuple[int, str]:
        content = f"{number:03}".encode() + b"a" * (size - 3)
        answer = await client.post("files", files={"file": ("a.txt", content)})
        return answer.status_code, answer.json().get("code", "")

    said = Counter(await asyncio.gather(*map(send, range(AT_ONCE))))

    assert said == {(201, ""): 10, (409, "quota_exceeded"): AT_ONCE - 10}
    async with session_scope(read_only=True) as session:
        kept = (await session.scalars(select(StoredFile).where(StoredFile.size == size))).all()
    assert {file.state for file in kept} == {FileState.READY}
    assert len(kept) == len([entry async for entry in storage.current().list()]) == 10


async def test_of_a_hundred_that_are_kept_at_the_same_moment_none_is_too_much(
    client: AsyncClient, config: Settings, tmp_path: Path
) -> None:
    """Without what each request waits for before that."""
    config.household_quota_mb = 1
    size = MEGABYTE // 10
    path = tmp_path / "a.txt"
    path.write_bytes(b"a" * size)
    me = (await client.get("http://localhost/api/v1/users/me")).json()
    sender = replace(make_actor("alice"), user_id=UUID(me["id"]))

    async def keep() -> bool:
        try:
            received = files.Received(path, "a.txt", size)
            await files.keep(sender, received, purpose=FilePurpose.MESSAGE, household_id=home_of(client))
        except Conflict:
            return False
        return True

    said = Counter(await asyncio.gather(*(keep() for _ in range(AT_ONCE))))

    assert said == {True: 10, False: AT_ONCE - 10}


async def test_while_a_body_comes_in_others_write(client: AsyncClient) -> None:
    """On SQLite one session holds the one write lock, on PostgreSQL a connection of the pool."""
    halfway, go_on = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield HEAD
        halfway.set()
        await go_on.wait()
        yield b"milk" + TAIL

    sending = [asyncio.create_task(client.post("files", content=body(), headers={"Content-Type": FORM}))]
    await halfway.wait()
    pool = get_database().writer.pool
    assert pool.checkedout() == 0  # type: ignore[attr-defined]
    added = await client.post("products", json={"name": "Milk"})
    go_on.set()

    assert added.status_code == 201
    assert [(await each).status_code for each in sending] == [201]


class Meeting(MemoryStorage):
    """A storage that two must put something into at once."""

    def __init__(self) -> None:
        super().__init__(StorageAddress.parse("memory://"))
        self._together = asyncio.Barrier(2)

    async def put(self, key: str, source: Path | bytes, *, media_type: str, download_as: str | None = None) -> None:
        async with asyncio.timeout(60):
            await self._together.wait()
        await super().put(key, source, media_type=media_type, download_as=download_as)


async def test_of_two_at_once_under_one_key_one_is_kept(client: AsyncClient) -> None:
    storage.use(Meeting())

    async def send() -> Response:
        return await client.post("files", files={"file": ("a.txt", b"milk")}, headers={"Idempotency-Key": "file-1"})

    first, second = await asyncio.gather(send(), send())

    assert {first.status_code, second.status_code} == {201}
    assert first.content == second.content
    assert sorted("idempotent-replayed" in answer.headers for answer in (first, second)) == [False, True]
    async with session_scope(read_only=True) as session:
        kept = (await session.scalars(select(StoredFile).where(StoredFile.household_id == home_of(client)))).all()
    assert [str(file.id) for file in kept] == [first.json()["id"]]
    assert [entry.key async for entry in storage.current().list()] == files.objects_of(kept[0])


async def test_two_avatars_at_once_leave_one(client: AsyncClient) -> None:
    content = samples.picture()

    async def send() -> int:
        return (await client.post("/api/v1/users/me/avatar", files={"file": ("a.png", content)})).status_code

    client.base_url = "http://localhost"
    said = await asyncio.gather(*(send() for _ in range(4)))

    assert set(said) <= {200, 409}
    assert 200 in said
    async with session_scope(read_only=True) as session:
        avatars = (await session.scalars(select(StoredFile).where(StoredFile.purpose == "avatar"))).all()
    assert Counter(file.state for file in avatars)[FileState.READY] == 1


# A real process


class Server:
    """A web process on SQLite, and somebody who is signed in there."""

    def __init__(self, address: str, pid: int) -> None:
        self.address = urlsplit(address)
        self.process = psutil.Process(pid)
        with Client(base_url=f"{address}/api/v1", timeout=60) as client:
            who = {"email": "ann@example.com", "password": "correct horse 7"}
            client.post("/auth/register", json={**who, "name": "Ann"}).raise_for_status()
            token = client.post("/auth/login", json=who).raise_for_status().json()["access_token"]
            client.cookies.clear()
            self.headers = {"Authorization": f"Bearer {token}", "Content-Type": FORM}
            (home,) = client.get("/households", headers=self.headers).json()["items"]
        self.files = f"/api/v1/households/{home['id']}/files"

    def send(self, megabytes: int, *, told: int | None = None, letter: bytes = b"a") -> tuple[int, bytes]:
        """Send a text of so many megabytes, as a browser does, or as one that does not say how much it is."""
        connection = http.client.HTTPConnection(self.address.hostname or "", self.address.port, timeout=120)
        headers = dict(self.headers)
        if told is None:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(told)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it answers before it has read all of it
                connection.request(
                    "POST", self.files, self._body(megabytes, letter), headers, encode_chunked=told is None
                )
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _body(self, megabytes: int, letter: bytes) -> Iterator[bytes]:
        yield HEAD
        line = letter * 1023 + b"\n"
        for _ in range(megabytes):
            yield line * 1024
        yield TAIL

    def growth(self, megabytes: int) -> int:
        """By how many bytes the process is larger while it takes a file, at most."""
        before: int = self.process.memory_info().rss
        most, is_over = before, threading.Event()

        def watch() -> None:
            nonlocal most
            while not is_over.wait(0.005):
                most = max(most, self.process.memory_info().rss)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            told = len(HEAD) + megabytes * MEGABYTE + len(TAIL)
            status, said = self.send(megabytes, told=told)
        finally:
            is_over.set()
            watching.join()
        assert status == 201, said
        return most - before


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    database = f"sqlite:///{folder / 'larder.db'}"
    command.upgrade(alembic_config(settings_for(database).database_url), "head")
    port = free_port()
    env = {
        "LARDER_DATABASE_URL": database,
        "LARDER_STORAGE_URL": (folder / "files").as_uri(),
        "LARDER_UPLOAD_LIMIT_MB": "128",
        "TMPDIR": str(folder),
    }
    with running("runserver", f"127.0.0.1:{port}", env=env) as process:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/readyz", process)
        yield Server(address, process.pid)


def test_a_file_of_a_hundred_megabytes_makes_the_process_hardly_larger(server: Server) -> None:
    server.growth(8)  # what is loaded once

    assert server.growth(100) < 20 * MEGABYTE


@pytest.mark.parametrize("told", [2 * 1024 * MEGABYTE, None], ids=["told", "counted"])
def test_two_gigabytes_are_refused(server: Server, told: int | None, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = server.process.memory_info().rss

    status, said = server.send(200, told=told)

    assert status == 413, said
    assert server.process.memory_info().rss - before < 20 * MEGABYTE
    folder = Path(server.process.environ()["TMPDIR"])
    until(lambda: not list(folder.glob("larder-upload-*")))
