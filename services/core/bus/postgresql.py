"""LISTEN and NOTIFY, on a connection of its own: a pooled one would forget what it listens to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from services.core.bus.base import Handler
from services.core.bus.remote import PATIENCE

CHANNEL = "larder"


class PostgreSQLLink:
    def __init__(self, url: str) -> None:
        # Read as SQLAlchemy reads it, so that one address serves the pool and the bus.
        parsed = make_url(url).set(drivername="postgresql+asyncpg")
        _arguments, self._options = parsed.get_dialect()().create_connect_args(parsed)
        self._connection: Any = None

    async def open(self, hear: Handler, lost: Callable[[], None]) -> None:
        with _failing_as_os_error():
            self._connection = await asyncpg.connect(
                **self._options, timeout=PATIENCE, command_timeout=PATIENCE, server_settings=_SETTINGS
            )
            self._connection.add_termination_listener(lambda _connection: lost())
            await self._connection.add_listener(CHANNEL, lambda _connection, _pid, _channel, message: hear(message))

    async def send(self, message: str) -> None:
        with _failing_as_os_error():
            await self._connection.execute("SELECT pg_notify($1, $2)", CHANNEL, message)

    async def check(self) -> None:
        with _failing_as_os_error():
            await self._connection.execute("SELECT 1")

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()


_SETTINGS = {"application_name": "larder bus"}


@contextmanager
def _failing_as_os_error() -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ConnectionError from error
