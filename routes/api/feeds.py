"""The calendar feed: /users/me/feed makes its secret address, /feeds serves it."""

from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from routes.api.routers import account_router
from routes.deps import ActorDep, SessionDep
from routes.errors import documented
from routes.urls import base_url
from services import feeds
from services.schemas.notifications import FeedRead

router = account_router("feeds", errors=(401, 404, 422))
public_router = APIRouter(tags=["feeds"])


@router.post("/users/me/feed", response_model=FeedRead, status_code=201, name="feeds:start")
async def start(request: Request, session: SessionDep, actor: ActorDep) -> FeedRead:
    """A secret address for your calendar of what is due in this household. A new one ends the old one."""
    return await feeds.start(session, actor, base_url=base_url(request))


@router.delete("/users/me/feed", status_code=204, name="feeds:end")
async def end(session: SessionDep, actor: ActorDep) -> None:
    """End your feed of this household."""
    await feeds.end(session, actor)


@public_router.get("/feeds/{secret}/expiry.ics", name="feeds:calendar", responses=documented(404))
async def calendar(secret: str, session: SessionDep, if_none_match: Annotated[str, Header()] = "") -> Response:
    """What is due when, as an iCalendar of all-day events."""
    content = await feeds.read(session, secret)
    headers = {"ETag": f'"{sha256(content).hexdigest()[:32]}"', "Cache-Control": "private, max-age=300"}
    if headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="text/calendar", headers=headers)
