"""The journal: what was done with the stock, by whom, and taking it back."""

from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from models import EventKind
from routes.days import by_day
from routes.deps import ActorDep, SessionDep
from routes.rendering import back, done, render, undo_toast
from services import events
from services.core import clock
from services.core.i18n import _
from services.core.pagination import PageRequest
from services.schemas.stock import EventFilters
from services.wording import booked

router = APIRouter(include_in_schema=False)

ROWS = 50


@router.get("/history", name="events:list")
async def history(
    request: Request,
    session: SessionDep,
    actor: ActorDep,
    kind: EventKind | None = None,
    product: UUID | None = None,
    after: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    page = await events.list_events(
        session, actor, PageRequest(limit=ROWS, after=after), EventFilters(kind=kind, product=product)
    )
    query = {name: value for name, value in (("kind", kind), ("product", product)) if value}
    context = {
        "page": page,
        "days": by_day(page.items, actor.time_zone, lambda event: event.occurred_at),
        "today": clock.today(actor.time_zone),
        "kind": kind,
        "kinds": [
            (None, _("All")),
            (EventKind.ADD, _("Added")),
            (EventKind.CONSUME, _("Used")),
            (EventKind.DISCARD, _("Binned")),
        ],
        "here": f"/history?{urlencode(query)}",
        "more": f"/history?{urlencode({**query, 'after': page.next})}",
    }
    return render(request, "history/list.html", context, fragment="days" if after else "journal")


@router.post("/history/{event_id}/undo", name="events:undo")
async def undo(request: Request, event_id: UUID, session: SessionDep, actor: ActorDep, group: bool = False) -> Response:
    event = await events.undo(session, actor, event_id, whole_group=group)
    if event.kind is EventKind.UNDO:
        said, again = _("Taken back: {name}.").format(name=event.product_name), _("Redo")
    else:
        said, again = _("Done again: {what}.").format(what=booked(event)), _("Undo")
    toast = replace(undo_toast(said, event.id, whole_group=group), label=again)
    return done(request, toast, to=back(request, "/history"))
