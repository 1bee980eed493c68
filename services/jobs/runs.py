"""Doing a job, and the history of it: the same for both engines."""

import asyncio
import os
import random
import socket
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from sqlmodel import col, delete, update

from db import session_scope
from models import JobRun
from services.core import clock
from services.core.errors import AppError
from services.core.origin import Origin, Source, set_origin
from services.core.tasks import registered, task
from services.jobs import own_queue, procrastinate_queue
from settings import ROOT, get_settings

WORKER = f"{socket.gethostname()}:{os.getpid()}"[:100]
MAX_DURATION = 30 * 60
FIRST_RETRY = timedelta(seconds=15)
LAST_RETRY = timedelta(hours=1)
KEEP_RUNS = timedelta(days=7)
KEEP_DEAD = timedelta(days=30)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task answered; or what went wrong, and when to try again, if at all."""

    result: str = ""
    error: str = ""
    retry_at: datetime | None = None


async def perform(name: str, payload: Mapping[str, Any], *, job: str = "", attempt: int = 1) -> Outcome:
    """Run a task once, and write down how it went. `attempt` counts from 1."""
    found = registered().get(name)
    if found is None:
        return Outcome(error=f"There is no task {name}.")
    set_origin(Origin(Source.TASK, request_id=job[:32], program=name))
    run_id = await _begin(name, job, attempt)
    if attempt > found.max_attempts:
        return await _end(run_id, Outcome(error="Its worker died each time."))
    with structlog.contextvars.bound_contextvars(task=name, job=job, attempt=attempt):
        try:
            async with asyncio.timeout(MAX_DURATION):
                result = await found.work(**payload)
        except asyncio.CancelledError:
            await _end(run_id, Outcome(error="It was cut off: its worker had to stop."))
            raise
        except Exception as error:
            log.exception("a task failed")
            retry_at = clock.now() + backoff(attempt) if attempt < found.max_attempts else None
            return await _end(run_id, Outcome(error=_describe(error), retry_at=retry_at))
    return await _end(run_id, Outcome(result=result))


def backoff(attempt: int) -> timedelta:
    """How long to wait after so many attempts: four times as long each time, and not all at once."""
    wait: timedelta = min(FIRST_RETRY * 4 ** min(attempt - 1, 9), LAST_RETRY)
    return wait * random.uniform(0.75, 1.25)  # noqa: S311


def _describe(error: Exception) -> str:
    """What went wrong, and where; not in its own words, which may hold addresses with tokens or what people wrote."""
    if isinstance(error, AppError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _is_ours(Path(frame.filename))] or frames
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} in {ours[-1].name}"
    return f"{type(error).__name__} at {where}"


def _is_ours(path: Path) -> bool:
    return path.is_relative_to(ROOT) and "site-packages" not in path.parts


async def _begin(name: str, job: str, attempt: int) -> UUID:
    run = JobRun(task=name, job=job, attempt=attempt, worker=WORKER)
    async with session_scope() as session:
        if attempt > 1:
            await session.execute(
                update(JobRun)
                .where(col(JobRun.job) == job, col(JobRun.finished_at).is_(None))
                .values(finished_at=run.started_at, error="Its worker is gone.")
            )
        session.add(run)
    return run.id


async def _end(run_id: UUID, outcome: Outcome) -> Outcome:
    async with session_scope() as session:
        await session.execute(
            update(JobRun)
            .where(col(JobRun.id) == run_id)
            .values(finished_at=clock.now(), result=outcome.result[:200], error=outcome.error[:2000])
        )
    return outcome


@task("prune_jobs", cron="17 3 * * *")
async def prune() -> str:
    """Forget old runs, and dead jobs that nobody retried."""
    now = clock.now()
    async with session_scope() as session:
        forgotten = await session.execute(
            delete(JobRun).where(col(JobRun.started_at) < now - KEEP_RUNS).returning(col(JobRun.id))
        )
        await own_queue.prune(session, now - KEEP_DEAD)
        if get_settings().has_task_workers:
            await procrastinate_queue.prune(session, now - KEEP_DEAD)
        return f"{len(forgotten.all())} runs forgotten"
