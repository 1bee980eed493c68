"""What happened in the household, beside its stock."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from routes.days import by_day
from routes.deps import ActorDep, SessionDep
from routes.rendering import render
from services import audit_log
from services.core import clock
from services.core.pagination import PageRequest

router = APIRouter(include_in_schema=False)

ROWS = 50


@router.get("/household/audit", name="audit:household")
async def list_acts(
    request: Request, session: SessionDep, actor: ActorDep, after: Annotated[str | None, Query(max_length=500)] = None
) -> Response:
    page = await audit_log.list_acts(session, actor, PageRequest(limit=ROWS, after=after))
    context = {
        "page": page,
        "days": by_day(page.items, actor.time_zone, lambda act: act.at),
        "today": clock.today(actor.time_zone),
        "more": f"/household/audit?{urlencode({'after': page.next})}",
    }
    return render(request, "household/audit.html", context, fragment="acts" if after else None)
