"""An instance of its own for each engine on each database it can use. Time runs: the queue's is the database's."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlmodel import col, delete, select, update

from db import get_database, session_scope
from models import Job, JobRun, JobStatus, Schedule
from services.core import clock, i18n
from services.core import tasks as tasks_module
from services.core.tasks import registered
from services.jobs.distributed import DistributedEngine
from services.jobs.embedded import EmbeddedEngine
from services.jobs.procrastinate_queue import QueuedJob
from settings import Settings, TaskEngine
from tests.committing import committing
from tests.jobs.tasks import OURS, effect, metadata
from tests.servers import settings_for

SIZES = {
    "embedded-sqlite": ("sqlite", TaskEngine.EMBEDDED),
    "embedded-postgresql": ("postgresql", TaskEngine.EMBEDDED),
    "distributed": ("postgresql", TaskEngine.DISTRIBUTED),
}


def on(*sizes: str) -> pytest.MarkDecorator:
    """Run on these engines and databases."""
    return pytest.mark.parametrize(
        ("url", "tasks"), [SIZES[size] for size in sizes], indirect=True, scope="module", ids=sizes
    )


@pytest.fixture(autouse=True)
def _standing_still() -> None:
    """Not here."""
    i18n.use_locale("en-GB")


@pytest.fixture(scope="module")
def tasks(request: pytest.FixtureRequest) -> TaskEngine:
    engine: TaskEngine = request.param
    return engine


@dataclass(frozen=True, slots=True)
class Waiting:
    task: str
    attempts: int
    wait: timedelta


class Embedded:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._engine = EmbeddedEngine(settings)

    async def do_what_is_due(self) -> None:
        await self._engine._work()
        while self._engine._running:
            await asyncio.wait([task for _job, task in self._engine._running.values()])
            await self._engine._work()

    async def waiting(self) -> list[Waiting]:
        statement = select(Job).where(col(Job.status) == JobStatus.WAITING).order_by(col(Job.id))
        async with session_scope(read_only=True) as session:
            return [Waiting(j.task, j.attempts, j.run_at - clock.now()) for j in await session.scalars(statement)]

    async def dead(self) -> list[Any]:
        async with session_scope(read_only=True) as session:
            return list(await session.scalars(select(Job.id).where(col(Job.status) == JobStatus.DEAD)))

    async def bring_forward(self) -> None:
        async with session_scope() as session:
            await session.execute(update(Job).values(run_at=clock.now()))

    async def use_up_attempts(self) -> None:
        async with session_scope() as session:
            await session.execute(update(Job).values(attempts=99))


class Distributed:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._engine = DistributedEngine(settings)

    async def do_what_is_due(self) -> None:
        options = self._engine._options.copy()
        options["wait"] = False
        async with self._engine._app.open_async():
            await self._engine._app.run_worker_async(**options)
        if any(waiting.wait <= timedelta() for waiting in await self.waiting()):
            await self.do_what_is_due()

    async def waiting(self) -> list[Waiting]:
        statement = sa.select(QueuedJob).where(QueuedJob.status == "todo").order_by(QueuedJob.id)
        async with session_scope(read_only=True) as session:
            return [
                Waiting(j.task_name, j.attempts, (j.scheduled_at or clock.now()) - clock.now())
                for j in await session.scalars(statement)
            ]

    async def dead(self) -> list[Any]:
        async with session_scope(read_only=True) as session:
            return list(await session.scalars(sa.select(QueuedJob.id).where(QueuedJob.status == "failed")))

    async def bring_forward(self) -> None:
        async with session_scope() as session:
            await session.execute(sa.update(QueuedJob).values(scheduled_at=None))

    async def use_up_attempts(self) -> None:
        async with session_scope() as session:
            await session.execute(sa.update(QueuedJob).values(attempts=99))


Rig = Embedded | Distributed


@pytest_asyncio.fixture
async def rig(url: str, tasks: TaskEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """One engine, with nothing to do."""
    config = settings_for(url).model_copy(update={"tasks": tasks, "task_lease": 1.5, "task_grace": 1})
    monkeypatch.setattr(tasks_module, "_tasks", {name: registered()[name] for name in OURS})
    async with committing(config):
        async with get_database().writer.begin() as connection:
            await connection.run_sync(metadata.create_all)
        async with session_scope() as session:
            for table in (Job, JobRun, Schedule):
                await session.execute(delete(table))
            await session.execute(sa.delete(effect))
            if tasks is TaskEngine.DISTRIBUTED:
                await session.execute(sa.delete(QueuedJob))
        yield (Distributed if tasks is TaskEngine.DISTRIBUTED else Embedded)(config)


async def effects() -> list[str]:
    async with session_scope(read_only=True) as session:
        return list(await session.scalars(sa.select(effect.c.name).order_by(effect.c.name)))


async def history(task: str = "") -> list[tuple[str, int, str, str]]:
    """Task, attempt, result and error of each run, in order; of one task, or of all."""
    async with session_scope(read_only=True) as session:
        runs = await session.scalars(select(JobRun).order_by(col(JobRun.id)))
        return [(run.task, run.attempt, run.result, run.error) for run in runs if task in {"", run.task}]
