"""What engines do again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from db import is_unavailable

# Seconds; for what nobody wakes us.
POLL = 5.0
# While it connects, the driver's own errors come as they are.
DATABASE_AWAY = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

log = structlog.get_logger(__name__)


async def forever(work: Callable[[], Awaitable[float]], wake: asyncio.Event | None = None) -> None:
    """Do it, wait for as many seconds as it answers or until woken, and so on. It outlives the database being away."""
    wake = wake or asyncio.Event()
    while True:
        try:
            pause = await work()
        except DATABASE_AWAY as error:
            if is_unavailable(error):
                log.warning("waiting for the database", error=type(error).__name__)
            else:
                log.exception("a loop failed")
            pause = POLL
        with suppress(TimeoutError):
            async with asyncio.timeout(max(pause, 0)):
                await wake.wait()
        wake.clear()
