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
# Seconds that a statement has when its process is stopped.
STOP = 2.0
# While it connects, the driver's own errors come as they are.
DATABASE_AWAY = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

log = structlog.get_logger(__name__)


class Loop:
    """Does its work, waits for as many seconds as that answers or until woken, and so on. It outlives the database
    being away."""

    def __init__(self, work: Callable[[], Awaitable[float]], wake: asyncio.Event | None = None) -> None:
        self._work = work
        self._wake = wake or asyncio.Event()
        self._is_over = False
        self._task = asyncio.create_task(self._run())

    async def end(self, *, within: float) -> None:
        """Let it finish what it is at; cut it off after so many seconds."""
        # Not by cancelling alone: a cancellation is lost when it comes just as what was waited for is there, as
        # `asyncio.wait_for` does before Python 3.12.
        self._is_over = True
        self._wake.set()
        await asyncio.wait({self._task}, timeout=within)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._is_over:
            try:
                pause = await self._work()
            except DATABASE_AWAY as error:
                if is_unavailable(error):
                    log.warning("waiting for the database", error=type(error).__name__)
                else:
                    log.exception("a loop failed")
                pause = POLL
            with suppress(TimeoutError):
                async with asyncio.timeout(max(pause, 0)):
                    await self._wake.wait()
            if not self._is_over:
                self._wake.clear()
