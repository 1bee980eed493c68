"""The distributed engine: procrastinate on PostgreSQL, in any number of workers.

Its heartbeats tell which workers live. Retries, schedules and history are ours, the same as of the embedded engine.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.app import WorkerOptions
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job

from db import session_scope
from services.core import clock
from services.core.tasks import registered
from services.jobs import procrastinate_queue, registry, runs, schedules  # noqa: F401  (registry: its tasks)
from services.jobs.loops import POLL, STOP, Loop
from settings import Settings

log = structlog.get_logger(__name__)


class Failed(Exception):
    """How procrastinate hears of an outcome that is an error."""

    def __init__(self, outcome: runs.Outcome) -> None:
        super().__init__(outcome.error)
        self.retry_at = outcome.retry_at


class Retries(BaseRetryStrategy):
    """As the outcome says; what was cut off, at once."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if not isinstance(exception, Failed):
            return RetryDecision(retry_at=clock.now())
        return RetryDecision(retry_at=exception.retry_at) if exception.retry_at else None


class DistributedEngine:
    def __init__(self, settings: Settings, *, concurrency: int | None = None) -> None:
        self._lease = settings.task_lease
        self._options: WorkerOptions = {
            "name": runs.WORKER,
            "queues": [procrastinate_queue.QUEUE],
            "concurrency": concurrency or settings.task_concurrency,
            "delete_jobs": "successful",
            "install_signal_handlers": False,
            "fetch_job_polling_interval": min(POLL, self._lease),
            "shutdown_graceful_timeout": settings.task_grace,
            "update_heartbeat_interval": self._lease / 3,
            "stalled_worker_timeout": self._lease,
        }
        self._app = App(connector=PsycopgConnector(min_size=1, max_size=4, kwargs=_libpq(settings)))
        for name in registered():
            self._app.task(name=name, queue=procrastinate_queue.QUEUE, pass_context=True, retry=Retries())(self._do)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Do jobs while the block lasts; then let those that run finish for a while, and give back the rest."""
        async with self._app.open_async():
            worker = Loop(self._work)
            others = [Loop(schedules.tick), Loop(self._rescue_from_the_dead)]
            try:
                yield
            finally:
                await asyncio.gather(worker.end(within=0), *(loop.end(within=STOP) for loop in others))

    async def _work(self) -> float:
        """A worker, until it is cancelled or its connections break; how many seconds later to begin anew."""
        try:
            await self._app.run_worker_async(**self._options)
        except ConnectorException as error:
            raise ConnectionError from error
        return 1

    async def _do(self, context: JobContext, /, **payload: Any) -> str:
        job = context.job
        assert job.id is not None
        if job.queueing_lock:
            async with session_scope() as session:
                await procrastinate_queue.forget_key(session, job.id)
        outcome = await runs.perform(job.task_name, payload, job=str(job.id), attempt=job.attempts + 1)
        if outcome.error:
            raise Failed(outcome)
        return outcome.result

    async def _rescue_from_the_dead(self) -> float:
        try:
            await self._app.job_manager.prune_stalled_workers(self._lease)
        except ConnectorException as error:
            raise ConnectionError from error
        async with session_scope() as session:
            rescued = await procrastinate_queue.rescue(session)
        if rescued:
            log.warning("workers died, their jobs are put back", jobs=rescued)
        return self._lease / 3


def _libpq(settings: Settings) -> dict[str, Any]:
    """The address of the database, as psycopg wants it."""
    url = settings.url
    query = {"host": url.query.get("host"), "sslmode": url.query.get("ssl"), "application_name": "larder worker"}
    return {
        **{name: value for name, value in query.items() if value},
        **url.translate_connect_args(username="user", database="dbname"),
    }
