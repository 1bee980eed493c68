"""Who may enter the panel: whoever is signed in to the app and a superuser, looked up at every request."""

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqladmin.authentication import AuthenticationBackend

import auth
from db import session_scope
from routes.errors import answer
from services import sessions
from services.core.i18n import _
from settings import Settings

LOGIN = "/login?next=/admin"


class SuperusersOnly(AuthenticationBackend):
    """The app's own sign-in: there is no second one for the panel."""

    def __init__(self, settings: Settings) -> None:
        # SQLAdmin's session only carries its flash messages.
        super().__init__(
            settings.secret_key.get_secret_value(),
            session_cookie="larder_admin",
            path="/admin",
            same_site="strict",
            https_only=settings.is_production,
        )

    async def logout(self, request: Request) -> Response:
        signed_in = await _signed_in(request)
        if signed_in:
            async with session_scope() as session:
                await sessions.end(session, signed_in.account.session_id)
        response = RedirectResponse("/login", 303)
        auth.session_cookie.remove(response, secure=auth.is_secure(request))
        return response

    async def authenticate(self, request: Request) -> Response | bool:
        signed_in = await _signed_in(request)
        if signed_in is None:
            return RedirectResponse(LOGIN, 303)
        if not signed_in.account.is_superuser:
            return answer(request, 403, _("The panel is for staff."), code="permission_denied")
        request.state.account = signed_in.account
        return True

    async def get_user_id(self, request: Request) -> str:
        return str(request.state.account.user_id)


async def _signed_in(request: Request) -> sessions.SignedIn | None:
    shown = auth.shown_token(request.headers, request.cookies)
    if shown is None:
        return None
    async with session_scope(read_only=True) as session:
        return await sessions.find(session, *shown)
