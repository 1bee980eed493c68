"""The embedded engine: jobs in the web process, claimed from the table Job. Several processes may run one each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from db import session_scope
from models import Job
from services.core import clock
from services.jobs import own_queue, registry, runs, schedules  # noqa: F401  (registry: its tasks)
from services.jobs.loops import DATABASE_AWAY, POLL, STOP, Loop
from settings import Settings

log = structlog.get_logger(__name__)


class EmbeddedEngine:
    def __init__(self, settings: Settings) -> None:
        self._concurrency = settings.task_concurrency
        self._lease = timedelta(seconds=settings.task_lease)
        self._grace = settings.task_grace
        # Those are never claimed by this process, even if it slept through their leases.
        self._running: dict[UUID, tuple[Job, asyncio.Task[None]]] = {}
        self._wake = asyncio.Event()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Do jobs while the block lasts; then let those that run finish for a while, and give back the rest."""
        own_queue.listen(self._wake.set)
        work = Loop(self._work, self._wake)
        schedule = Loop(schedules.tick)
        heartbeat = Loop(self._extend_leases)
        try:
            yield
        finally:
            own_queue.unlisten(self._wake.set)
            await asyncio.gather(*(loop.end(within=STOP) for loop in (work, schedule)))
            await self._settle()
            await heartbeat.end(within=STOP)

    async def _work(self) -> float:
        """Begin what is due while there is room; how many seconds the next job is away."""
        while len(self._running) < self._concurrency:
            async with session_scope(read_only=True) as session:
                due_at = await own_queue.next_due_at(session, but=self._running)
            now = clock.now()
            if due_at is None or due_at > now:
                return min(POLL, (due_at - now).total_seconds()) if due_at else POLL
            async with session_scope() as session:
                job = await own_queue.claim(session, self._lease_end(), but=self._running)
            if job:
                task = asyncio.create_task(self._do(job))
                self._running[job.id] = job, task
                task.add_done_callback(partial(self._is_done, job.id))
        return POLL

    async def _do(self, job: Job) -> None:
        try:
            outcome = await runs.perform(job.task, job.payload, job=str(job.id), attempt=job.attempts)
            async with session_scope() as session:
                if not outcome.error:
                    await own_queue.finish(session, job)
                elif outcome.retry_at:
                    await own_queue.give_back(session, job, run_at=outcome.retry_at, error=outcome.error)
                else:
                    await own_queue.bury(session, job, error=outcome.error)
        except asyncio.CancelledError:
            async with session_scope() as session:
                await own_queue.give_back(session, job, run_at=clock.now())
            raise
        except DATABASE_AWAY as error:
            log.warning("a job waits for its lease to end", job=str(job.id), error=type(error).__name__)

    def _is_done(self, job_id: UUID, _task: asyncio.Task[None]) -> None:
        del self._running[job_id]
        self._wake.set()

    async def _extend_leases(self) -> float:
        for job, task in list(self._running.values()):
            async with session_scope() as session:
                is_ours = await own_queue.extend(session, job, self._lease_end())
            if not is_ours and not task.done():
                task.cancel()
        return self._lease.total_seconds() / 3

    def _lease_end(self) -> datetime:
        return clock.now() + self._lease

    async def _settle(self) -> None:
        running = [task for _job, task in self._running.values()]
        if running:
            _done, late = await asyncio.wait(running, timeout=self._grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
