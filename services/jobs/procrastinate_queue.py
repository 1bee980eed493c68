"""The queue of the distributed engine: procrastinate's table, in the session's own transaction.

Without procrastinate itself, which web processes need not load. Its schema is that of migration 0003.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

QUEUE = "larder"
STATUSES = ("todo", "doing", "succeeded", "failed", "cancelled", "aborting", "aborted")


class _Theirs(DeclarativeBase):
    """Apart from our tables, which the migrations compare with the models."""


class QueuedJob(_Theirs):
    __tablename__ = "procrastinate_jobs"

    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    queue_name: Mapped[str]
    task_name: Mapped[str]
    queueing_lock: Mapped[str | None]
    args: Mapped[dict[str, Any]] = mapped_column(postgresql.JSONB)
    status: Mapped[str] = mapped_column(
        postgresql.ENUM(*STATUSES, name="procrastinate_job_status", create_type=False), server_default="todo"
    )
    scheduled_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(server_default="0")
    worker_id: Mapped[int | None] = mapped_column(sa.BigInteger)


class _JobEvent(_Theirs):
    __tablename__ = "procrastinate_events"

    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    job_id: Mapped[int] = mapped_column(sa.BigInteger)
    at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))


class _Worker(_Theirs):
    __tablename__ = "procrastinate_workers"

    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    last_heartbeat: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))


async def list_workers(session: AsyncSession) -> Sequence[tuple[int, datetime]]:
    """Their ids, and when each was last heard of."""
    rows = await session.execute(sa.select(_Worker.id, _Worker.last_heartbeat).order_by(_Worker.id))
    return rows.tuples().all()


async def put(
    session: AsyncSession,
    name: str,
    payload: Mapping[str, Any],
    *,
    run_at: datetime | None = None,
    dedupe_key: str | None = None,
) -> None:
    # Not by their function, which fails on a second job with the same key, and the transaction with it.
    insert = postgresql.insert(QueuedJob)
    # LEAST passes over NULL, which is "at once" here.
    times = (insert.excluded.scheduled_at, QueuedJob.scheduled_at)
    earlier = sa.case((sa.or_(*(time.is_(None) for time in times)), None), else_=sa.func.least(*times))
    await session.execute(
        insert.values(
            queue_name=QUEUE,
            task_name=name,
            args=payload,
            queueing_lock=dedupe_key,
            scheduled_at=run_at,
            # An update, so that the job that waits is locked until the commit and workers pass over it before.
        ).on_conflict_do_update(
            index_elements=["queueing_lock"],
            index_where=sa.text("status = 'todo'"),
            set_={"scheduled_at": earlier},
        )
    )


async def forget_key(session: AsyncSession, job_id: int) -> None:
    """A job that runs makes room for another that waits; and when it must be retried, the two do not collide."""
    await session.execute(sa.update(QueuedJob).where(QueuedJob.id == job_id).values(queueing_lock=None))


async def rescue(session: AsyncSession) -> int:
    """Put back what workers had that are gone; how many jobs. Their rows in `procrastinate_workers` must be pruned."""
    rescued = await session.scalars(
        sa.update(QueuedJob)
        .where(QueuedJob.status == "doing", QueuedJob.worker_id.is_(None))
        .values(status="todo", attempts=QueuedJob.attempts + 1, queueing_lock=None, scheduled_at=None)
        .returning(QueuedJob.id)
        .execution_options(synchronize_session=False)
    )
    return len(rescued.all())


async def is_worked_on(session: AsyncSession, *, lease: timedelta) -> bool:
    """Whether a worker has shown itself lately."""
    lives = _Worker.last_heartbeat > sa.func.now() - lease
    return bool(await session.scalar(sa.select(sa.exists().where(lives))))


async def retry(session: AsyncSession, job_id: int) -> None:
    """Give a failed job all its attempts again."""
    await session.execute(
        sa.update(QueuedJob)
        .where(QueuedJob.id == job_id, QueuedJob.status == "failed")
        .values(status="todo", attempts=0, scheduled_at=None)
    )


async def prune(session: AsyncSession, before: datetime) -> None:
    """Forget jobs that failed before then."""
    happened_since = sa.exists().where(_JobEvent.job_id == QueuedJob.id, _JobEvent.at >= before)
    await session.execute(
        sa.delete(QueuedJob)
        .where(QueuedJob.status.not_in(["todo", "doing"]), ~happened_since)
        .execution_options(synchronize_session=False)
    )
