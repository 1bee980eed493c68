"""Who may enter the panel, and what they may do in it: staff, as far as their roles go, looked up at every request."""

from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqladmin.authentication import AuthenticationBackend
from sqladmin.authorization import AuthorizationBackend

import auth
from db import session_scope
from routes.errors import answer, problem
from services import menus, sessions, staff
from services.core.errors import PermissionDenied
from services.core.i18n import _
from services.staff import Staff

LOGIN = "/login?next=/admin"


def permission(identity: str, action: str) -> str:
    """The name of what one does with a table of the panel: `panel.user:edit`; custom actions go by their own name."""
    return f"panel.{identity}:{action.removeprefix('action:')}"


class StaffOnly(AuthenticationBackend):
    """The app's own sign-in: there is no second one for the panel."""

    def __init__(self) -> None:
        # Not theirs, which would bring a session cookie of its own.
        self.middlewares = []

    async def authenticate(self, request: Request) -> Response | bool:
        signed_in = await _signed_in(request)
        if signed_in is None:
            return RedirectResponse(LOGIN, 303)
        try:
            auth.admit(signed_in.account, "panel")
        except PermissionDenied as error:
            return problem(request, error)
        async with session_scope(read_only=True) as session:
            found = await staff.load(session, signed_in.account)
            if found is None:
                return answer(request, 403, _("The panel is for staff."), code="permission_denied")
            menu = await menus.read(session, found)
        request.state.menu, request.state.hidden_buttons = menu.areas, menu.hidden
        request.state.account = request.state.staff = found
        return True

    async def get_user_id(self, request: Request) -> str:
        return str(staff_of(request).user_id)


class ByRole(AuthorizationBackend):
    """Asks the roles that `StaffOnly` has read."""

    def has_permission(self, request: Request, identity: str, action: str, obj: Any | None = None) -> bool:
        return staff_of(request).can(permission(identity, str(action)))


def staff_of(request: Request) -> Staff:
    found: Staff = request.state.staff
    return found


async def _signed_in(request: Request) -> sessions.SignedIn | None:
    shown = auth.shown_token(request.headers, request.cookies)
    if shown is None:
        return None
    async with session_scope(read_only=True) as session:
        return await sessions.find(session, *shown)
