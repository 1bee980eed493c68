"""The process that answers, and the machine it is on."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import get_database, is_postgresql
from services.core import clock
from settings import VAR

_process = psutil.Process()


@dataclass(frozen=True, slots=True)
class Facts:
    """Sizes in bytes; shares from 0 to 1, but `cpu`, of which each core adds 1."""

    pid: int
    up: timedelta
    cpu: float
    memory: int
    threads: int
    files: int
    connections: str
    cores: int
    load: float
    machine_memory: float
    disk: float
    database: int


async def read(session: AsyncSession) -> Facts:
    with _process.oneshot():
        times = _process.cpu_times()
        started = datetime.fromtimestamp(_process.create_time(), UTC)
        up = max(clock.now() - started, timedelta(seconds=1))
        return Facts(
            pid=_process.pid,
            up=up,
            cpu=(times.user + times.system) / up.total_seconds(),
            memory=_process.memory_info().rss,
            threads=_process.num_threads(),
            files=_process.num_fds(),
            connections=_pool(),
            cores=os.cpu_count() or 1,
            load=os.getloadavg()[0],
            machine_memory=psutil.virtual_memory().percent / 100,
            disk=psutil.disk_usage(str(VAR if VAR.exists() else VAR.parent)).percent / 100,
            database=await _database_size(session),
        )


def _pool() -> str:
    pools = {get_database().reader.pool, get_database().writer.pool}
    return "; ".join(pool.status() for pool in pools)


async def _database_size(session: AsyncSession) -> int:
    if is_postgresql(session):
        return int((await session.execute(sa.text("SELECT pg_database_size(current_database())"))).scalar_one())
    name = Path(get_database().url.database or "")
    return sum(path.stat().st_size for path in (name, name.with_name(f"{name.name}-wal")) if path.exists())
