"""Beginning to act for somebody. How it ends is a page like any other: see `routes/pages/acting.py`."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

import auth
from models import User
from routes.deps import SessionDep, StaffDep
from routes.forms import Form, bind
from routes.rendering import Toast, redirect, render
from services import acting
from services.core.i18n import _
from services.schemas.acting import ActingStart
from services.sessions import ACTING_LIFETIME

router = APIRouter(include_in_schema=False)


@router.get("/admin/users/{user_id}/act", name="acting:start")
async def ask(request: Request, user_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """Why somebody wants to."""
    return _page(request, await acting.get_user(session, staff, user_id), Form())


@router.post("/admin/users/{user_id}/act", name="acting:start")
async def start(request: Request, user_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    user = await acting.get_user(session, staff, user_id)
    form = await bind(request, ActingStart)
    cookie = await form.attempt(session, lambda data: acting.start(session, staff, user, data))
    if cookie is None:
        return _page(request, user, form, status_code=422)
    response = redirect(request, "/", toast=Toast(_("You are acting for {name} now.").format(name=user.name)))
    auth.session_cookie.attach(response, cookie, secure=auth.is_secure(request))
    return response


def _page(request: Request, user: User, form: Form[ActingStart], *, status_code: int = 200) -> Response:
    context = {"user": user, "form": form, "minutes": int(ACTING_LIFETIME.total_seconds() // 60)}
    return render(request, "panel/act.html", context, status_code=status_code)
