"""Where one is signed in."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

import auth
from routes.deps import AccountDep, PageDep, SessionDep
from routes.rendering import Toast, redirect, render
from services import sessions
from services.core.i18n import _

router = APIRouter(include_in_schema=False)

PATH = "/settings/devices"


@router.get(PATH, name="sessions:list")
async def devices_page(request: Request, session: SessionDep, account: AccountDep, page: PageDep) -> Response:
    found = await sessions.list_sessions(session, account, page)
    return render(request, "account/devices.html", {"devices": found.items, "next": found.next})


@router.post(PATH + "/end-others", name="sessions:end_others")
async def end_others(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await sessions.end_others(session, account)
    return redirect(request, PATH, toast=Toast(_("You are signed out everywhere else.")))


@router.post(PATH + "/{session_id}/end", name="sessions:end")
async def end_one(request: Request, session_id: UUID, session: SessionDep, account: AccountDep) -> Response:
    await sessions.end_own(session, account, session_id)
    if session_id == account.session_id:
        response = redirect(request, "/login", toast=Toast(_("You are signed out.")))
        auth.session_cookie.remove(response, secure=auth.is_secure(request))
        return response
    return redirect(request, PATH, toast=Toast(_("That device is signed out.")))
