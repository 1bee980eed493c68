"""Going back to being oneself, for staff who acts for somebody."""

from fastapi import APIRouter, Request, Response

import auth
from routes.deps import AccountDep, SessionDep
from routes.rendering import Toast, redirect
from services import acting
from services.core.i18n import _

router = APIRouter(include_in_schema=False)


@router.post("/acting/end", name="acting:end")
async def end(request: Request, session: SessionDep, account: AccountDep) -> Response:
    cookie = await acting.end(session, account)
    response = redirect(request, "/admin/", toast=Toast(_("You are yourself again.")))
    auth.session_cookie.attach(response, cookie, secure=auth.is_secure(request))
    return response
