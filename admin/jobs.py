"""Tasks: what waits, what was given up, and how the runs went."""

from types import ModuleType
from typing import Any, ClassVar

import sqlalchemy as sa
from fastapi import HTTPException
from sqladmin.filters import StaticValuesFilter
from sqlalchemy.ext.asyncio import AsyncSession

from admin.views import ReadOnlyView, act
from models import Job, JobRun, JobStatus
from services import audit
from services.core.i18n import _
from services.jobs import own_queue, procrastinate_queue
from services.jobs.procrastinate_queue import QueuedJob
from services.staff import Staff

MAX_BIGINT = 2**63 - 1


class QueueView(ReadOnlyView):
    queue: ClassVar[ModuleType]
    name = "Job"
    icon = "list-checks"

    @act("retry", "Try again", icon="rotate-cw", question="What was given up gets all its attempts again.")
    async def retry(self, session: AsyncSession, by: Staff, rows: list[Any], _data: Any) -> str:
        for row in rows:
            await self.queue.retry(session, row.id)
            audit.record(session, self._named("retry"), by=by, subject=row)
        return _("They are tried again.")


class JobAdmin(QueueView, model=Job):
    """Jobs of the embedded engine."""

    queue: ClassVar = own_queue
    column_list: ClassVar = ["task", "status", "attempts", "run_at", "claimed_until", "last_error"]
    column_searchable_list: ClassVar = ["task", "last_error"]
    column_sortable_list: ClassVar = ["task", "status", "run_at"]
    column_filters: ClassVar = [
        StaticValuesFilter("status", [(status.value, status.value) for status in JobStatus], "Status")
    ]
    column_default_sort: ClassVar = ("run_at", True)


class QueuedJobAdmin(QueueView, model=QueuedJob):
    """Jobs of the distributed engine."""

    queue: ClassVar = procrastinate_queue
    column_list: ClassVar = ["task_name", "status", "attempts", "scheduled_at", "worker_id"]
    column_searchable_list: ClassVar = ["task_name"]
    column_sortable_list: ClassVar = ["task_name", "status", "scheduled_at"]
    column_default_sort: ClassVar = ("id", True)

    def _stmt_by_identifier(self, identifier: str) -> sa.Select[Any]:
        if not identifier.isdecimal() or int(identifier[:30]) > MAX_BIGINT:
            raise HTTPException(404)
        return super()._stmt_by_identifier(identifier)


# To the staff, a job is a job.
QueuedJobAdmin.identity = JobAdmin.identity


class JobRunAdmin(ReadOnlyView, model=JobRun):
    name = "Run"
    icon = "history"
    column_list: ClassVar = ["task", "attempt", "worker", "started_at", "finished_at", "result", "error"]
    column_searchable_list: ClassVar = ["task", "job", "error"]
    column_sortable_list: ClassVar = ["task", "started_at"]
    column_default_sort: ClassVar = ("started_at", True)
