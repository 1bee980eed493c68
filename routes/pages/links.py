"""Action links: a page that asks, and one that says what was done. Whoever holds the link is let in."""

from fastapi import APIRouter, Request, Response

import auth
from routes.deps import SessionDep
from routes.forms import bind
from routes.rendering import render
from services import action_links
from services.core.errors import Conflict
from services.schemas.stock import LotFreeze

router = APIRouter(include_in_schema=False)


@router.get("/do/{token}", name="links:ask")
async def ask(request: Request, token: str, session: SessionDep) -> Response:
    auth.speak_to_stranger(request)
    asked = await action_links.ask(session, token)
    return render(request, "links/done.html" if asked.is_done else "links/ask.html", {"asked": asked, "again": True})


@router.post("/do/{token}", name="links:act")
async def act(request: Request, token: str, session: SessionDep) -> Response:
    auth.speak_to_stranger(request)
    data = (await bind(request, LotFreeze)).checked()
    try:
        async with session.begin_nested():
            asked = await action_links.act(session, token, version=data.version, confirm=data.confirm)
    except Conflict as error:
        if error.code != "confirm":
            raise
        context = {"asked": await action_links.ask(session, token), "warning": str(error)}
        return render(request, "links/ask.html", context, status_code=409)
    return render(request, "links/done.html", {"asked": asked, "again": asked.is_done})
