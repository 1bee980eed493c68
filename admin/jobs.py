"""Tasks: what waits, what was given up, and how the runs went."""

from types import ModuleType
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from sqladmin import action

from admin.views import ReadOnlyView
from db import session_scope
from models import Job, JobRun
from services.jobs import own_queue, procrastinate_queue
from services.jobs.procrastinate_queue import QueuedJob

MAX_BIGINT = 2**63 - 1


class QueueView(ReadOnlyView):
    queue: ClassVar[ModuleType]
    name = "Job"
    icon = "fa-solid fa-list-check"
    category = "Tasks"

    @action(
        name="retry",
        label="Try again",
        confirmation_message="Jobs that were given up get all their attempts again. Go on?",
    )
    async def retry(self, request: Request) -> Response:
        keys = [self._key(text) for text in request.query_params.get("pks", "").split(",") if text]
        async with session_scope() as session:
            for key in keys:
                await self.queue.retry(session, key)
        return RedirectResponse(request.url_for("admin:list", identity=self.identity), 303)

    def _key(self, text: str) -> UUID | int:
        try:
            return UUID(text)
        except ValueError as error:
            raise HTTPException(404) from error


class JobAdmin(QueueView, model=Job):
    """Jobs of the embedded engine."""

    queue: ClassVar = own_queue
    column_list: ClassVar = ["task", "status", "attempts", "run_at", "claimed_until", "last_error"]
    column_searchable_list: ClassVar = ["task", "last_error"]
    column_sortable_list: ClassVar = ["task", "status", "run_at"]
    column_default_sort: ClassVar = ("run_at", True)


class QueuedJobAdmin(QueueView, model=QueuedJob):
    """Jobs of the distributed engine."""

    queue: ClassVar = procrastinate_queue
    column_list: ClassVar = ["task_name", "status", "attempts", "scheduled_at", "worker_id"]
    column_searchable_list: ClassVar = ["task_name"]
    column_sortable_list: ClassVar = ["task_name", "status", "scheduled_at"]
    column_default_sort: ClassVar = ("id", True)

    def _key(self, text: str) -> int:
        if not text.isdecimal() or int(text[:30]) > MAX_BIGINT:
            raise HTTPException(404)
        return int(text)

    def _stmt_by_identifier(self, identifier: str) -> sa.Select[Any]:
        self._key(identifier)
        return super()._stmt_by_identifier(identifier)


class JobRunAdmin(ReadOnlyView, model=JobRun):
    name = "Run"
    icon = "fa-solid fa-clock-rotate-left"
    category = "Tasks"
    column_list: ClassVar = ["task", "attempt", "worker", "started_at", "finished_at", "result", "error"]
    column_searchable_list: ClassVar = ["task", "job", "error"]
    column_sortable_list: ClassVar = ["task", "started_at"]
    column_default_sort: ClassVar = ("started_at", True)
