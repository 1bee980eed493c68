"""What is done again and again goes on when the database comes back."""

import asyncio

import asyncpg
import pytest
from sqlalchemy.exc import OperationalError

from services.jobs.loops import STOP, Loop
from tests.live.conftest import PATIENCE

AWAY = [
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.InterfaceError("connection is closed"),
    ConnectionRefusedError(),
    TimeoutError(),
    OperationalError("SELECT 1", {}, Exception("gone")),
]


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
async def test_a_loop_outlives_a_database_that_is_away(error: Exception) -> None:
    is_back, wake, times = asyncio.Event(), asyncio.Event(), 0

    async def work() -> float:
        nonlocal times
        times += 1
        if times == 1:
            wake.set()
            raise error
        is_back.set()
        return PATIENCE

    loop = Loop(work, wake)
    await asyncio.wait_for(is_back.wait(), PATIENCE)
    await loop.end(within=STOP)
