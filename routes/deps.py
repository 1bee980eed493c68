"""What routes ask for, under one name each."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, WebSocket, WebSocketException
from fastapi.security import HTTPAuthorizationCredentials
from sqlalchemy.ext.asyncio import AsyncSession

import auth
from db import get_session, session_scope
from models import TokenKind
from routes.middleware.cross_origin import is_same_origin
from services import menus, sessions
from services.core.errors import NotSignedIn, PermissionDenied
from services.core.pagination import DEFAULT_LIMIT, MAX_LIMIT, PageRequest
from services.permissions import Account, Actor
from services.staff import Staff

# Function scope: the commit comes before the response is sent.
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]


async def _account(request: Request, session: SessionDep) -> Account:
    request.state.session = session
    request.state.account = account = await auth.current_account(request, session)
    return account


async def _actor(request: Request, session: SessionDep) -> Actor:
    request.state.session = session
    request.state.account = actor = await auth.current_actor(request, session)
    return actor


async def _staff(request: Request, session: SessionDep) -> Staff:
    request.state.session = session
    request.state.account = staff = await auth.current_staff(request, session)
    request.state.menu = await menus.visible(session, staff)
    return staff


async def _visitor(request: Request, session: SessionDep) -> Account | None:
    try:
        return await _account(request, session)
    except NotSignedIn:
        auth.speak_to_stranger(request)
        return None


NOT_SIGNED_IN = 4401


async def _socket_account(websocket: WebSocket, ticket: Annotated[str, Query(max_length=200)] = "") -> Account:
    """Whoever shows a bearer token, or a ticket, or a cookie from one of our pages: no middleware looks at sockets."""
    if ticket and "authorization" not in websocket.headers:
        async with session_scope() as session:
            found = await sessions.redeem_ticket(session, ticket)
    else:
        token, kind = auth.shown_token(websocket.headers, websocket.cookies) or ("", TokenKind.ACCESS)
        if kind is TokenKind.COOKIE and not is_same_origin(websocket.headers):
            raise WebSocketException(NOT_SIGNED_IN)
        async with session_scope(read_only=True) as session:
            found = await sessions.find(session, token, kind)
    if found is None:
        raise WebSocketException(NOT_SIGNED_IN)
    try:
        auth.admit(found.account, websocket.scope["route"].name)
    except PermissionDenied as error:
        raise WebSocketException(NOT_SIGNED_IN) from error
    return found.account


SocketAccountDep = Annotated[Account, Depends(_socket_account)]

# Public pages that look different to someone who is signed in.
VisitorDep = Annotated[Account | None, Depends(_visitor)]
AccountDep = Annotated[Account, Depends(_account)]
ActorDep = Annotated[Actor, Depends(_actor)]
StaffDep = Annotated[Staff, Depends(_staff)]


async def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows a page.")] = DEFAULT_LIMIT,
    after: Annotated[str | None, Query(max_length=500, description="`next` of the page before.")] = None,
    total: Annotated[bool, Query(description="Also count all rows.")] = False,
) -> PageRequest:
    return PageRequest(limit=limit, after=after, total=total)


PageDep = Annotated[PageRequest, Depends(_page)]


async def household_in_path(household_id: UUID) -> UUID:
    """For the documentation of API routes; `current_actor` reads it from the path itself."""
    return household_id


async def show_security(
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(auth.bearer)],
    _cookie: Annotated[str | None, Depends(auth.session_cookie.scheme)],
) -> None:
    """For the documentation of API routes: how one signs in."""
