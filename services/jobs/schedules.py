"""Schedules: a job for each slot, once however many processes tick, and for the last one alone after a downtime."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from croniter import croniter
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from db import is_postgresql, session_scope
from models import Schedule
from services import jobs
from services.core import clock
from services.core.tasks import registered

# No two clocks are that far apart: a slot so far ahead was claimed while a clock was wrong.
MAX_SKEW = timedelta(hours=1)
# Seconds after which to look again, should the clock have jumped.
MAX_PAUSE = 30.0


async def tick() -> float:
    """Make jobs of the slots that have come; how many seconds the next is away."""
    now = clock.now()
    crons = {task.name: task.cron for task in registered().values() if task.cron}
    async with session_scope(read_only=True) as session:
        taken = {schedule.task: schedule.slot_at for schedule in await session.scalars(select(Schedule))}
    for name, cron in crons.items():
        slot = _last_slot(cron, now)
        if name in taken and slot <= taken[name] <= now + MAX_SKEW:
            continue
        async with session_scope() as session:
            if await _claim(session, name, slot, now):
                await jobs.defer(session, name, dedupe_key=f"schedule {name}")
    waits = [(_next_slot(cron, now) - now).total_seconds() for cron in crons.values()]
    return min([*waits, MAX_PAUSE])


def _next_slot(cron: str, now: datetime) -> datetime:
    slot: datetime = croniter(cron, now).get_next(datetime)
    return slot


def _last_slot(cron: str, now: datetime) -> datetime:
    # What comes before, and `now` itself may be one.
    slot: datetime = croniter(cron, now + timedelta(microseconds=1)).get_prev(datetime)
    return slot


async def _claim(session: AsyncSession, name: str, slot: datetime, now: datetime) -> bool:
    insert = (postgresql if is_postgresql(session) else sqlite).insert(Schedule)
    claimed = await session.execute(
        insert.values(task=name, slot_at=slot)
        .on_conflict_do_update(
            index_elements=["task"],
            set_={"slot_at": insert.excluded.slot_at},
            where=sa.or_(col(Schedule.slot_at) < slot, col(Schedule.slot_at) > now + MAX_SKEW),
        )
        .returning(col(Schedule.task))
    )
    return claimed.first() is not None
