"""The ledger: /households/{h}/events."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from routes.api.routers import household_router
from routes.deps import ActorDep, PageDep, SessionDep
from routes.idempotent import Claimed, IdempotentRoute
from services import events
from services.core.pagination import Page
from services.schemas.stock import EventFilters, EventRead
from services.schemas.types import PageOf

router = household_router("ledger", route_class=IdempotentRoute, dependencies=[Claimed])


@router.get("/events", response_model=PageOf[EventRead], name="events:list")
async def list_events(
    session: SessionDep, actor: ActorDep, page: PageDep, filters: Annotated[EventFilters, Query()]
) -> Page[EventRead]:
    """The journal, newest first."""
    return await events.list_events(session, actor, page, filters)


@router.post("/events/{event_id}/undo", response_model=EventRead, name="events:undo")
async def undo(
    event_id: UUID,
    session: SessionDep,
    actor: ActorDep,
    group: Annotated[bool, Query(description="Also all that was booked with it.")] = False,
) -> EventRead:
    """Take a booking back; of an undo, redo. Answers the new event. The two halves of a split go together."""
    return await events.undo(session, actor, event_id, whole_group=group)
