"""How an instance is: what runs, what it holds, what waits, and what needs somebody's attention. For staff only."""

import asyncio
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

import psutil  # type: ignore[import-untyped]
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from db import is_postgresql
from models import (
    Channel,
    Delivery,
    DeliveryStatus,
    Event,
    GuardBan,
    Household,
    Job,
    JobRun,
    JobStatus,
    Lot,
    MonitoredRequest,
    Notification,
    Outbox,
    Passkey,
    Problem,
    ProblemState,
    Product,
    User,
    UserSession,
)
from services import health
from services.core import clock
from services.core.i18n import mark
from services.jobs import procrastinate_queue
from services.staff import Staff
from settings import VAR, Settings, StorageAddress, get_settings

LATE = timedelta(minutes=15)
RECENTLY = timedelta(hours=24)
HIDDEN = "•••"
LIBRARIES = ("fastapi", "starlette", "sqlmodel", "sqlalchemy", "pydantic", "sqladmin", "uvicorn")
COUNTED: Sequence[tuple[str, type[SQLModel]]] = (
    (mark("Users"), User),
    (mark("Sessions"), UserSession),
    (mark("Passkeys"), Passkey),
    (mark("Households"), Household),
    (mark("Products"), Product),
    (mark("Lots"), Lot),
    (mark("Bookings"), Event),
    (mark("Notifications"), Notification),
    (mark("Channels"), Channel),
    (mark("Deliveries"), Delivery),
    (mark("Runs"), JobRun),
    (mark("Monitored requests"), MonitoredRequest),
)
# Addresses that may hold a password.
_ADDRESSES = {"database_url", "bus_url"}


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a disk or of memory, in bytes."""

    used: int
    total: int

    @property
    def percent(self) -> int:
        return round(100 * self.used / self.total) if self.total else 0


@dataclass(frozen=True, slots=True)
class Worker:
    """Something that does jobs, as it was last heard of."""

    name: str
    heard_at: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    checks: Mapping[str, str]
    versions: Mapping[str, str]
    database: Mapping[str, str]
    database_size: int
    disk: Usage
    memory: Usage
    process_memory: int
    load: tuple[float, float, float]
    counts: Mapping[str, int]
    queues: Mapping[str, int]
    workers: Sequence[Worker]
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that needs attention, and where one sees to it."""

    text: str
    count: int
    path: str
    icon: str


async def overview(session: AsyncSession, app_version: str) -> Overview:
    settings = get_settings()
    memory = psutil.virtual_memory()
    return Overview(
        checks=await health.check(),
        versions={"Larder": app_version, "Python": platform.python_version(), **_libraries()},
        database=await _database(session),
        database_size=await _size(session),
        disk=await asyncio.to_thread(_disk),
        memory=Usage(memory.total - memory.available, memory.total),
        process_memory=psutil.Process().memory_info().rss,
        load=psutil.getloadavg(),
        counts={name: await _count(session, table) for name, table in COUNTED},
        queues=await _queues(session, settings),
        workers=await _workers(session, settings),
        settings=shown_settings(settings),
    )


async def attention(session: AsyncSession, staff: Staff) -> list[Concern]:
    """What needs attention, as far as they may see and reach it."""
    found = []
    for permission, text, icon, path, table, condition in _concerns():
        if not staff.can(permission):
            continue
        reached = staff.reach(permission).rows(table)
        count = await session.scalar(sa.select(sa.func.count()).select_from(table).where(condition, reached)) or 0
        if count:
            found.append(Concern(text, count, path, icon))
    return found


def _concerns() -> Sequence[tuple[str, str, str, str, type[Any], sa.ColumnElement[bool]]]:
    now = clock.now()
    return (
        (
            "panel.delivery:list",
            mark("Messages that were given up"),
            "send",
            "/admin/delivery/list?status=dead",
            Delivery,
            col(Delivery.status) == DeliveryStatus.DEAD,
        ),
        (
            "panel.job:list",
            mark("Jobs that were given up"),
            "list-checks",
            "/admin/job/list",
            *_given_up(),
        ),
        (
            "panel.household:list",
            mark("Households that were not looked at in time"),
            "house",
            "/admin/household/list",
            Household,
            col(Household.next_sweep_at) < now - LATE,
        ),
        (
            "monitor:problems",
            mark("Problems that are open"),
            "bug",
            "/admin/monitor/problems",
            Problem,
            col(Problem.state) == ProblemState.OPEN,
        ),
        (
            "guard:overview",
            mark("Addresses and accounts that are kept out"),
            "shield-alert",
            "/admin/guard",
            GuardBan,
            col(GuardBan.until) > now,
        ),
        (
            "panel.user:list",
            mark("Users who must choose a new password"),
            "key-round",
            "/admin/user/list",
            User,
            sa.and_(col(User.must_change_password), col(User.is_active)),
        ),
    )


def _given_up() -> tuple[type[Any], sa.ColumnElement[bool]]:
    """Jobs of the engine that runs."""
    if get_settings().has_task_workers:
        return procrastinate_queue.QueuedJob, sa.cast(procrastinate_queue.QueuedJob.status, sa.Text) == "failed"
    return Job, col(Job.status) == JobStatus.DEAD


def shown_settings(settings: Settings) -> dict[str, str]:
    """As they are set, without what is secret."""
    return {name: _shown(name, getattr(settings, name)) for name in sorted(type(settings).model_fields)}


def _shown(name: str, value: Any) -> str:
    if name == "storage_url":
        return str(StorageAddress.parse(value.get_secret_value()))
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    if name in _ADDRESSES and value:
        return sa.make_url(str(value)).render_as_string(hide_password=True) if "://" in str(value) else HIDDEN
    return "" if value is None else str(value)


def _libraries() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


async def _database(session: AsyncSession) -> dict[str, str]:
    asks = "SELECT version()" if is_postgresql(session) else "SELECT 'SQLite ' || sqlite_version()"
    said = str(await session.scalar(sa.text(asks)))
    return {"version": said.partition(" on ")[0], "revision": health.newest_revision()}


async def _size(session: AsyncSession) -> int:
    if is_postgresql(session):
        return int(await session.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)
    pages = await session.scalar(sa.text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))
    return int(pages or 0)


def _disk() -> Usage:
    found = shutil.disk_usage(VAR if VAR.exists() else VAR.parent)
    return Usage(found.total - found.free, found.total)


async def _count(session: AsyncSession, table: type[SQLModel]) -> int:
    return int(await session.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


async def _queues(session: AsyncSession, settings: Settings) -> dict[str, int]:
    pending = col(Delivery.status) == DeliveryStatus.PENDING
    waits: sa.ColumnElement[bool]
    told = {
        mark("Deliveries that wait"): sa.select(sa.func.count()).select_from(Delivery).where(pending),
        mark("Live messages kept"): sa.select(sa.func.count()).select_from(Outbox),
    }
    if settings.has_task_workers:
        job = procrastinate_queue.QueuedJob
        waits = sa.cast(job.status, sa.Text).in_(["todo", "doing"])
        told[mark("Jobs that wait or run")] = sa.select(sa.func.count()).select_from(job).where(waits)
    else:
        waits = col(Job.status) != JobStatus.DEAD
        told[mark("Jobs that wait or run")] = sa.select(sa.func.count()).select_from(Job).where(waits)
    return {name: int(await session.scalar(statement) or 0) for name, statement in told.items()}


async def _workers(session: AsyncSession, settings: Settings) -> Sequence[Worker]:
    """Those that beat, or where nothing does, those that finished a job within a day."""
    if settings.has_task_workers:
        return [Worker(f"#{name}", at) for name, at in await procrastinate_queue.list_workers(session)]
    last = sa.func.max(col(JobRun.started_at))
    rows = await session.execute(
        sa.select(col(JobRun.worker), last)
        .where(col(JobRun.started_at) > clock.now() - RECENTLY)
        .group_by(col(JobRun.worker))
        .order_by(last.desc())
        .limit(50)
    )
    return [Worker(name, at) for name, at in rows.tuples()]
