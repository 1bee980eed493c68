"""Signing in beyond a password: a second factor, or a passkey instead: /auth/login/…"""

from fastapi import Request, Response

import auth
from models import User
from routes.api.accounts import answer_with_tokens
from routes.api.routers import account_router
from routes.deps import AccountDep, SessionDep
from routes.errors import documented
from routes.urls import relying_party
from services import passkeys
from services.schemas.accounts import TokensRead
from services.schemas.passkeys import PasskeyAnswer, PasskeyOptions
from services.schemas.second_factor import CodeAnswer

router = account_router("account")


@router.post("/auth/login/code", response_model=TokensRead, name="auth:login_code", responses=documented(401, 422, 429))
async def login_code(body: CodeAnswer, request: Request, response: Response, session: SessionDep) -> TokensRead:
    """Go on with a sign-in that answered `second_factor_required`: a code of the app, or a recovery code.

    A challenge is good for ten minutes and five tries.
    """
    passed = await auth.answer_second_factor(body.challenge, body.code)
    return await _finish(request, response, session, passed.user, way=passed.way)


@router.post(
    "/auth/login/passkey/options",
    response_model=PasskeyOptions,
    name="auth:login_passkey_options",
    responses=documented(429),
)
async def login_passkey_options(request: Request, session: SessionDep) -> PasskeyOptions:
    """Begin to sign in with a passkey: what `navigator.credentials.get` needs. No e-mail address is."""
    return await passkeys.begin_sign_in(session, relying_party(request))


@router.post(
    "/auth/login/passkey", response_model=TokensRead, name="auth:login_passkey", responses=documented(401, 422, 429)
)
async def login_passkey(body: PasskeyAnswer, request: Request, response: Response, session: SessionDep) -> TokensRead:
    """Sign in with a passkey. It counts as both factors: no code is asked for."""
    user = await auth.answer_passkey(body, relying_party(request))
    return await _finish(request, response, session, user, way="passkey")


@router.post(
    "/users/me/confirm/passkey", status_code=204, name="account:confirm_passkey", responses=documented(401, 403, 422)
)
async def confirm_passkey(body: PasskeyAnswer, request: Request, session: SessionDep, account: AccountDep) -> None:
    """Show with a passkey that it is still you, before you change how you sign in."""
    await passkeys.confirm(session, account, body, relying_party(request))


async def _finish(request: Request, response: Response, session: SessionDep, user: User, *, way: str) -> TokensRead:
    tokens = await auth.finish_sign_in(request, response, session, user, way=way)
    return answer_with_tokens(request, response, tokens)
