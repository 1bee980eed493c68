"""What engines do again and again, and how they stop it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

# Seconds; for what nobody wakes us.
POLL = 5.0
DATABASE_AWAY = (SQLAlchemyError, OSError, TimeoutError)

log = structlog.get_logger(__name__)


async def forever(work: Callable[[], Awaitable[float]], wake: asyncio.Event | None = None) -> None:
    """Do it, wait for as many seconds as it answers or until woken, and so on. It outlives the database being away."""
    wake = wake or asyncio.Event()
    task = asyncio.current_task()
    assert task
    # A cancellation is lost when it comes just as what was waited for is there (`asyncio.wait_for` before Python 3.12).
    while True:
        try:
            pause = await work()
        except DATABASE_AWAY as error:
            log.warning("tasks wait for the database", error=type(error).__name__)
            pause = POLL
        if task.cancelling():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(max(pause, 0)):
                await wake.wait()
        wake.clear()


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
