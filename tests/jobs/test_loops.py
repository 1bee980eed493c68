"""How what is done again and again comes to its end."""

import asyncio
import contextlib

from services.jobs.loops import POLL, STOP, Loop


async def test_what_a_loop_is_at_is_finished_and_not_begun_again() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    done = 0

    async def work() -> float:
        nonlocal done
        begun.set()
        await go_on.wait()
        done += 1
        return 0

    loop = Loop(work)
    await begun.wait()
    ending = asyncio.create_task(loop.end(within=STOP))
    await asyncio.sleep(0)
    go_on.set()
    await ending

    assert done == 1


async def test_a_loop_ends_even_when_its_work_loses_the_cancellation() -> None:
    begun = asyncio.Event()

    async def work() -> float:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return POLL

    loop = Loop(work)
    await begun.wait()

    async with asyncio.timeout(POLL):
        await loop.end(within=0)
