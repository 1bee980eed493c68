"""The queue of the embedded engine: the table Job."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

from db import after_commit, is_postgresql
from models import Job, JobStatus
from services.core import clock
from services.core.ids import new_id

OPEN = (JobStatus.WAITING, JobStatus.RUNNING)
# A job waits for its hour or, once it is taken, for the end of its worker's lease.
_DUE_AT = sa.func.coalesce(col(Job.claimed_until), col(Job.run_at), type_=Job.__table__.c.run_at.type)  # type: ignore[attr-defined]

_listeners: set[Callable[[], None]] = set()


def listen(wake: Callable[[], None]) -> None:
    """Call this whenever a job was put into the queue by this process."""
    _listeners.add(wake)


def unlisten(wake: Callable[[], None]) -> None:
    _listeners.discard(wake)


def _wake() -> None:
    for wake in _listeners:
        wake()


async def put(
    session: AsyncSession,
    name: str,
    payload: Mapping[str, Any],
    *,
    run_at: datetime | None = None,
    dedupe_key: str | None = None,
) -> None:
    now = clock.now()
    insert = (postgresql if is_postgresql(session) else sqlite).insert(Job)
    earlier = sa.case((insert.excluded.run_at < col(Job.run_at), insert.excluded.run_at), else_=col(Job.run_at))
    await session.execute(
        insert.values(
            id=new_id(),
            task=name,
            payload=payload,
            dedupe_key=dedupe_key,
            status=JobStatus.WAITING,
            run_at=run_at or now,
            attempts=0,
            last_error="",
            created_at=now,
            # An update, so that the job that waits is locked until the commit and nobody takes it before.
        ).on_conflict_do_update(index_elements=["dedupe_key"], set_={"run_at": earlier})
    )
    after_commit(session, _wake)


async def next_due_at(session: AsyncSession, *, but: Collection[UUID]) -> datetime | None:
    """When the next job is due, except those."""
    statement = select(sa.func.min(_DUE_AT)).where(col(Job.status).in_(OPEN), col(Job.id).not_in(but))
    due_at: datetime | None = (await session.scalars(statement)).one()
    return due_at


async def claim(session: AsyncSession, until: datetime, *, but: Collection[UUID]) -> Job | None:
    """Take one job that is due, except those, with a lease."""
    is_due = (col(Job.status).in_(OPEN), clock.now() >= _DUE_AT, col(Job.id).not_in(but))
    first = select(Job.id).where(*is_due).order_by(col(Job.run_at)).limit(1).with_for_update(skip_locked=True)
    claimed = await session.scalars(
        update(Job)
        .where(col(Job.id) == first.scalar_subquery(), *is_due)
        .values(
            status=JobStatus.RUNNING,
            attempts=col(Job.attempts) + 1,
            claimed_until=until,
            dedupe_key=None,
        )
        .returning(Job)
        .execution_options(synchronize_session=False)
    )
    return claimed.one_or_none()


async def extend(session: AsyncSession, job: Job, until: datetime) -> bool:
    """Make a lease longer. False when it is lost: another worker has the job, or has done it."""
    return await _change(session, job, claimed_until=until)


async def finish(session: AsyncSession, job: Job) -> None:
    await session.execute(delete(Job).where(*_held(job)))


async def give_back(session: AsyncSession, job: Job, *, run_at: datetime, error: str = "") -> None:
    await _change(session, job, status=JobStatus.WAITING, run_at=run_at, claimed_until=None, last_error=error)


async def bury(session: AsyncSession, job: Job, *, error: str) -> None:
    """Try no more: somebody has to look at it."""
    await _change(session, job, status=JobStatus.DEAD, claimed_until=None, last_error=error, finished_at=clock.now())


async def _change(session: AsyncSession, job: Job, **values: Any) -> bool:
    changed = await session.execute(update(Job).where(*_held(job)).values(**values).returning(col(Job.id)))
    return changed.first() is not None


def _held(job: Job) -> tuple[sa.ColumnElement[bool], ...]:
    """Unless the lease was lost: each claim counts `attempts` up."""
    return col(Job.id) == job.id, col(Job.status) == JobStatus.RUNNING, col(Job.attempts) == job.attempts


async def retry(session: AsyncSession, job_id: UUID) -> None:
    """Give a dead job all its attempts again."""
    await session.execute(
        update(Job)
        .where(col(Job.id) == job_id, col(Job.status) == JobStatus.DEAD)
        .values(status=JobStatus.WAITING, run_at=clock.now(), attempts=0, finished_at=None)
    )
    after_commit(session, _wake)


async def prune(session: AsyncSession, before: datetime) -> None:
    """Forget jobs that died before then."""
    await session.execute(delete(Job).where(col(Job.status) == JobStatus.DEAD, col(Job.finished_at) < before))
