"""Getting back in, and confirming an e-mail address, with the tokens of links that are mailed."""

from fastapi import Request, Response

import auth
from routes.api.routers import account_router
from routes.deps import AccountDep, SessionDep, VisitorDep
from routes.errors import documented
from services import guard, recovery
from services.schemas.accounts import EmailChange, EmailOnly, LinkToken, PasswordReset

router = account_router("account")


@router.post("/auth/forgot", status_code=202, name="auth:forgot", responses=documented(422, 429))
async def forgot(body: EmailOnly, session: SessionDep) -> None:
    """Have a link mailed to choose a new password with. The answer does not tell whether there is such an account."""
    await guard.spend(guard.MAIL, account=body.email)
    await recovery.ask_for_reset(session, body.email)


@router.post("/auth/reset", status_code=204, name="auth:reset", responses=documented(404, 410, 422, 429))
async def reset(body: PasswordReset, request: Request, response: Response, session: SessionDep) -> None:
    """Choose a new password with the token of a link. Every session and API key ends."""
    await recovery.reset(session, body.token, body.password)
    for cookie in (auth.session_cookie, auth.refresh_cookie):
        cookie.remove(response, secure=auth.is_secure(request))


@router.post("/auth/verify", status_code=204, name="auth:verify", responses=documented(404, 409, 410, 422))
async def verify(body: LinkToken, session: SessionDep, visitor: VisitorDep) -> None:
    """Confirm an e-mail address with the token of a link."""
    await recovery.confirm_address(session, body.token, visitor=visitor)


@router.post(
    "/auth/verify/resend", status_code=202, name="account:verify_email", responses=documented(401, 403, 409, 429)
)
async def send_verification(session: SessionDep, account: AccountDep) -> None:
    """Have the link mailed once more."""
    await recovery.ask_to_verify(session, account)


@router.post("/users/me/email", status_code=202, name="account:change_email", responses=documented(401, 403, 422, 429))
async def change_email(body: EmailChange, session: SessionDep, account: AccountDep) -> None:
    """Have a link mailed to a new address, which becomes yours when the link is used."""
    await recovery.ask_to_change_email(session, account, email=body.email, password=body.password)
