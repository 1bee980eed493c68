"""Signing in, and one's own account: /auth and /users/me."""

from typing import Annotated
from uuid import UUID

from fastapi import Cookie, Request, Response

import auth
from models import User
from routes.api.routers import account_router
from routes.deps import AccountDep, PageDep, SessionDep
from routes.errors import documented, problem
from services import account_deletion, accounts, second_factor, sessions
from services.core.errors import NotSignedIn, SecondFactorRequired
from services.core.i18n import _
from services.core.pagination import Page
from services.schemas.accounts import (
    Confirm,
    Login,
    PasswordChange,
    Refresh,
    Register,
    SessionRead,
    TokensRead,
    UserRead,
    UserUpdate,
)
from services.schemas.types import PageOf

router = account_router("account")


@router.post(
    "/auth/register",
    response_model=UserRead,
    status_code=201,
    name="auth:register",
    responses=documented(403, 404, 409, 422),
)
async def register(body: Register, session: SessionDep) -> User:
    """Make an account, with a household of its own or in the one an invitation leads to."""
    return await auth.register(session, body)


@router.post("/auth/login", response_model=TokensRead, name="auth:login", responses=documented(401, 422))
async def login(body: Login, request: Request, response: Response, session: SessionDep) -> TokensRead | Response:
    """Sign in: tokens in the body, and the same session in cookies.

    An account with a second factor answers 401 `second_factor_required` with a `challenge`, which goes with the code
    to `POST /auth/login/code`.
    """
    user = await auth.authenticate(body.email, body.password)
    challenge = await second_factor.ask(session, user, way="password")
    if challenge is not None:
        return problem(request, SecondFactorRequired(_("Now the code of your app."), challenge=challenge))
    tokens = await auth.finish_sign_in(request, response, session, user, way="password")
    return answer_with_tokens(request, response, tokens)


@router.post("/auth/refresh", response_model=TokensRead, name="auth:refresh", responses=documented(401, 422))
async def refresh(
    request: Request,
    response: Response,
    session: SessionDep,
    body: Refresh | None = None,
    larder_refresh: Annotated[str | None, Cookie()] = None,
) -> TokensRead | Response:
    """Trade a refresh token for new tokens. Each works once; a used one that comes back ends the session."""
    token = (body and body.refresh_token) or larder_refresh
    tokens = await sessions.refresh(session, token) if token else None
    if tokens is None:
        return problem(request, NotSignedIn(_("Please sign in again.")))
    return answer_with_tokens(request, response, tokens)


@router.post("/auth/logout", status_code=204, name="auth:logout", responses=documented(401))
async def logout(request: Request, response: Response, session: SessionDep, account: AccountDep) -> None:
    """End this session."""
    await sessions.sign_out(session, account)
    _remove_cookies(request, response)


@router.post("/auth/logout-all", status_code=204, name="auth:logout_all", responses=documented(401))
async def logout_all(request: Request, response: Response, session: SessionDep, account: AccountDep) -> None:
    """End every session of yours, on every device."""
    await sessions.sign_out_everywhere(session, account)
    _remove_cookies(request, response)


@router.get("/users/me", response_model=UserRead, name="account:profile", responses=documented(401))
async def get_me(session: SessionDep, account: AccountDep) -> UserRead:
    """Your account."""
    return await accounts.read_profile(session, account)


@router.patch("/users/me", response_model=UserRead, name="account:edit", responses=documented(401, 422))
async def edit_me(body: UserUpdate, session: SessionDep, account: AccountDep) -> UserRead:
    """Change your name, language or theme."""
    return await accounts.edit_profile(session, account, body)


@router.post("/users/me/password", status_code=204, name="account:password", responses=documented(401, 403, 422, 429))
async def change_password(body: PasswordChange, session: SessionDep, account: AccountDep) -> None:
    """Change your password. Other devices are signed out."""
    await accounts.change_password(session, account, current=body.current_password, new=body.new_password)


@router.post("/users/me/confirm", status_code=204, name="account:confirm", responses=documented(401, 403, 422, 429))
async def confirm(body: Confirm, session: SessionDep, account: AccountDep) -> None:
    """Show by your password that it is still you: changes to how you sign in ask for that every 15 minutes."""
    await auth.confirm(session, account, body.password)


@router.delete("/users/me", status_code=204, name="account:delete", responses=documented(401, 403, 409, 422, 429))
async def delete_me(
    body: Confirm, request: Request, response: Response, session: SessionDep, account: AccountDep
) -> None:
    """Delete your account for good, and the households you are alone in.

    What you wrote and booked in other households stays, without your name. Those you own with others in them must be
    handed over first (409).
    """
    await account_deletion.delete_by_password(session, account, body.password)
    _remove_cookies(request, response)


@router.get(
    "/users/me/sessions", response_model=PageOf[SessionRead], name="sessions:list", responses=documented(401, 422)
)
async def list_sessions(session: SessionDep, account: AccountDep, page: PageDep) -> Page[SessionRead]:
    """Where you are signed in, newest first."""
    return await sessions.list_sessions(session, account, page)


@router.delete("/users/me/sessions", status_code=204, name="sessions:end_others", responses=documented(401, 403))
async def end_other_sessions(session: SessionDep, account: AccountDep) -> None:
    """Sign out on every device but this."""
    await sessions.end_others(session, account)


@router.delete(
    "/users/me/sessions/{session_id}", status_code=204, name="sessions:end", responses=documented(401, 404, 422)
)
async def end_session(session_id: UUID, session: SessionDep, account: AccountDep) -> None:
    """Sign out on one of your devices."""
    await sessions.end_own(session, account, session_id)


def answer_with_tokens(request: Request, response: Response, tokens: sessions.Tokens) -> TokensRead:
    auth.refresh_cookie.attach(response, tokens.refresh, secure=auth.is_secure(request))
    response.headers["Cache-Control"] = "no-store"
    return TokensRead(access_token=tokens.access, refresh_token=tokens.refresh, expires_in=tokens.expires_in)


def _remove_cookies(request: Request, response: Response) -> None:
    for cookie in (auth.session_cookie, auth.refresh_cookie):
        cookie.remove(response, secure=auth.is_secure(request))
