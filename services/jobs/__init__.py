"""Jobs: work that is done after the transaction that asks for it, by one of two engines.

`own_queue` and `embedded` do it in the web process, on a table of ours; `procrastinate_queue` and `distributed` in any
number of workers. `docs/decisions/0010-tasks-two-engines.md` says why there are two. Tasks are named with
`services.core.tasks.task` and found through `services.jobs.registry`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.jobs import own_queue, procrastinate_queue
from settings import get_settings


async def defer(
    session: AsyncSession,
    name: str,
    /,
    *,
    run_at: datetime | None = None,
    dedupe_key: str | None = None,
    **payload: Any,
) -> None:
    """Have the task `name` done with this payload (JSON values) once the transaction is durable, from `run_at` on.

    Of jobs with the same `dedupe_key`, one waits at a time, for the earliest `run_at`; it does not begin before all
    transactions that asked for it are over, so it sees what they wrote.
    """
    queue = procrastinate_queue if get_settings().has_task_workers else own_queue
    await queue.put(session, name, payload, run_at=run_at, dedupe_key=dedupe_key)
