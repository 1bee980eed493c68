"""The process that answers: of several, whichever it was."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psutil  # type: ignore[import-untyped]

from db import get_database
from services.core import clock

_process = psutil.Process()


@dataclass(frozen=True, slots=True)
class Facts:
    """`cpu`: how busy it was since it began, where 1 is one core; `memory` in bytes; `dropped`: what its recorder did
    not keep up with."""

    pid: int
    up: timedelta
    cpu: float
    memory: int
    threads: int
    files: int
    connections: int
    dropped: int


def read(*, dropped: int) -> Facts:
    with _process.oneshot():
        times = _process.cpu_times()
        up = max(clock.now() - datetime.fromtimestamp(_process.create_time(), UTC), timedelta(seconds=1))
        return Facts(
            pid=_process.pid,
            up=up,
            cpu=(times.user + times.system) / up.total_seconds(),
            memory=_process.memory_info().rss,
            threads=_process.num_threads(),
            files=len(_process.open_files()),
            connections=_connections(),
            dropped=dropped,
        )


def _connections() -> int:
    """Those to the database that are in use."""
    pools = {get_database().reader.pool, get_database().writer.pool}
    return sum(getattr(pool, "checkedout", int)() for pool in pools)
