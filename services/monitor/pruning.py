"""The monitor forgets: what is old, and what is too much."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from db import session_scope
from models import MonitoredQuery, MonitoredRequest, MonitoredShape, Problem, ProblemState
from services.core import clock
from settings import get_settings

PART = 2000
PROBLEM_MEMORY = timedelta(days=90)


async def prune(*, days: int | None = None, rows: int | None = None) -> int:
    """Delete requests older than so many days and all but the newest so many, in parts that hold nobody up for long;
    how many. What else the settings say."""
    settings = get_settings()
    before = clock.now() - timedelta(days=settings.monitor_days if days is None else days)
    kept = settings.monitor_rows if rows is None else rows
    deleted = 0
    while True:
        async with session_scope() as session:
            part = await _delete_some(session, sa.or_(col(MonitoredRequest.at) < before, _is_too_many(kept)))
        deleted += part
        if part < PART:
            break
    async with session_scope() as session:
        await session.execute(
            delete(MonitoredShape).where(col(MonitoredShape.id).not_in(select(MonitoredQuery.shape_id)))
        )
        await session.execute(
            delete(Problem).where(
                col(Problem.state) == ProblemState.RESOLVED, col(Problem.last_seen_at) < clock.now() - PROBLEM_MEMORY
            )
        )
    return deleted


def _is_too_many(kept: int) -> sa.ColumnElement[bool]:
    """Ids tell when they were made."""
    if not kept:
        return sa.true()
    oldest = select(MonitoredRequest.id).order_by(col(MonitoredRequest.id).desc()).offset(kept - 1).limit(1)
    return col(MonitoredRequest.id) < oldest.scalar_subquery()


async def _delete_some(session: AsyncSession, condition: sa.ColumnElement[bool]) -> int:
    some = select(MonitoredRequest.id).where(condition).order_by(col(MonitoredRequest.id)).limit(PART)
    ids = (await session.scalars(some)).all()
    if ids:
        await session.execute(delete(MonitoredQuery).where(col(MonitoredQuery.request_id).in_(ids)))
        await session.execute(delete(MonitoredRequest).where(col(MonitoredRequest.id).in_(ids)))
    return len(ids)
