"""What both engines promise when their processes are killed: real processes, real signals."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from subprocess import Popen

import sqlalchemy as sa

from db import session_scope
from services import jobs
from services.jobs.runs import WORKER
from settings import TaskEngine
from tests import processes
from tests.jobs.conftest import SIZES, Rig, effects, history, on
from tests.jobs.tasks import effect, is_noted, note

HOST = WORKER.partition(":")[0]


@contextmanager
def worker(rig: Rig, *, grace: float = 1, concurrency: int = 4) -> Iterator[Popen[bytes]]:
    """A process that does jobs: a web process or a worker, as the engine wants."""
    settings = rig.settings
    env = {
        "LARDER_DATABASE_URL": settings.database_url,
        "LARDER_TASKS": settings.tasks,
        "LARDER_TASK_CONCURRENCY": str(concurrency),
        "LARDER_TASK_LEASE": str(settings.task_lease),
        "LARDER_TASK_GRACE": str(grace),
    }
    is_worker = settings.tasks is TaskEngine.DISTRIBUTED
    command = ["worker"] if is_worker else ["runserver", f"127.0.0.1:{processes.free_port()}"]
    process = processes.start(*command, env=env, program=("-m", "tests.jobs.process"))
    try:
        yield process
    finally:
        processes.kill(process)


async def hold(*names: str) -> None:
    """Have a job for each name that begins, and waits until it is let go."""
    async with session_scope() as session:
        for name in names:
            await jobs.defer(session, "hold", name=name)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait for other processes."""
    async with asyncio.timeout(processes.PATIENCE):
        while not await true():  # noqa: ASYNC110  (only the database tells)
            await asyncio.sleep(0.05)


async def began(*names: str) -> None:
    async def have_begun() -> bool:
        return all([await is_noted(f"{name} began") for name in names])

    await until(have_begun)


async def let_go(*names: str) -> None:
    for name in names:
        await note(f"{name} may end")


async def done(task: str, *, times: int) -> None:
    """So many of its runs have ended well."""

    async def are_done() -> bool:
        return len([result for _task, _attempt, result, _error in await history(task) if result]) == times

    await until(are_done)


async def who_began(name: str) -> str:
    async with session_scope(read_only=True) as session:
        statement = sa.select(effect.c.worker).where(effect.c.name == f"{name} began")
        return str((await session.scalars(statement)).one())


def ended(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith("ended")]


@on("embedded-sqlite", "distributed")
async def test_the_job_of_a_killed_process_is_done_by_another_and_once(rig: Rig) -> None:
    await hold("milk")
    with worker(rig) as first:
        await began("milk")
        processes.kill(first)
    await let_go("milk")
    with worker(rig):
        await done("hold", times=1)

    assert ended(await effects()) == ["milk ended"]
    assert await history("hold") == [("hold", 1, "", "Its worker is gone."), ("hold", 2, "held milk", "")]
    assert await rig.dead() == []


@on(*SIZES)
async def test_the_jobs_of_a_killed_process_are_taken_over_by_those_that_live(rig: Rig) -> None:
    names = ("eggs", "milk", "rice")
    await hold(*names)
    with worker(rig) as one, worker(rig) as two:
        await began(*names)
        lost = [await who_began(name) for name in names]
        processes.kill(one if f"{HOST}:{one.pid}" in lost else two)
        await let_go(*names)
        await done("hold", times=3)

    assert ended(await effects()) == [f"{name} ended" for name in names]
    assert await rig.dead() == []


@on("embedded-sqlite", "distributed")
async def test_a_process_that_is_stopped_lets_its_job_finish(rig: Rig) -> None:
    await hold("milk")
    with worker(rig, grace=processes.PATIENCE) as process:
        await began("milk")
        process.send_signal(signal.SIGTERM)
        await let_go("milk")
        await asyncio.to_thread(process.wait, processes.PATIENCE)

    assert await history("hold") == [("hold", 1, "held milk", "")]


@on("embedded-sqlite", "distributed")
async def test_a_process_that_is_stopped_gives_back_what_does_not_finish(rig: Rig) -> None:
    await hold("milk")
    with worker(rig, grace=0) as process:
        await began("milk")
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, processes.PATIENCE)

    assert [waiting.attempts for waiting in await rig.waiting() if waiting.task == "hold"] == [1]


@on(*SIZES)
async def test_three_processes_make_one_job_of_a_slot(rig: Rig) -> None:
    names = ("eggs", "milk", "rice")
    await hold(*names)
    with ExitStack() as stack:
        for _ in names:
            stack.enter_context(worker(rig, concurrency=1))
        await began(*names)
        await let_go(*names)
        await done("yearly", times=1)

    assert len({await who_began(name) for name in names}) == 3
    assert await history("yearly") == [("yearly", 1, "another year", "")]
