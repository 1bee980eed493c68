"""The database as the rest of the house relies on it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import sqlalchemy as sa
from asyncpg.transaction import Transaction
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db import Database
from tests.servers import empty_database, settings_for


@pytest.fixture(params=["postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with empty_database(request, tmp_path_factory.mktemp("db")) as url:
        yield url


@pytest_asyncio.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(settings_for(url))
    yield database
    await database.dispose()


async def test_what_is_written_after_somebody_was_cut_off_as_they_began_is_committed(
    url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Transaction.start

    async def begin_and_be_cut_off(transaction: Transaction) -> None:
        await begin(transaction)
        raise asyncio.CancelledError

    async def write(text: str) -> None:
        async with database.session_scope() as session:
            await session.execute(sa.text("INSERT INTO note VALUES (:text)"), {"text": text})

    async with database.session_scope() as session:
        await session.execute(sa.text("CREATE TABLE note (text varchar)"))
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "start", begin_and_be_cut_off)
        with pytest.raises(asyncio.CancelledError):
            await write("cut off")

    await write("after it")

    async with create_async_engine(url, poolclass=NullPool).connect() as other:
        assert (await other.scalars(sa.text("SELECT text FROM note"))).all() == ["after it"]
