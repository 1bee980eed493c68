"""Getting back in, and confirming an e-mail address: the pages around the links that are mailed."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

import auth
from models import LinkPurpose
from routes.deps import AccountDep, SessionDep, VisitorDep
from routes.forms import Form, bind
from routes.rendering import Toast, redirect, render, safe_next
from services import accounts, guard, one_time_links, recovery
from services.core.errors import Conflict, LimitExceeded
from services.core.i18n import _
from services.permissions import Account
from services.schemas.accounts import EmailChange, EmailOnly, NewPassword
from settings import get_settings

router = APIRouter(include_in_schema=False)


@router.get("/forgot", name="auth:forgot")
async def forgot_form(request: Request) -> Response:
    auth.speak_to_stranger(request)
    return render(request, "account/forgot.html", {"form": Form(), "is_sent": False})


@router.post("/forgot", name="auth:forgot")
async def forgot(request: Request, session: SessionDep) -> Response:
    auth.speak_to_stranger(request)
    form = await bind(request, EmailOnly)
    if form.is_valid:
        await guard.spend(guard.MAIL, account=form.data.email)
    await form.attempt(session, lambda data: recovery.ask_for_reset(session, data.email))
    context = {"form": form, "is_sent": form.is_valid}
    return render(request, "account/forgot.html", context, status_code=200 if form.is_valid else 422)


@router.get("/reset/{token}", name="auth:reset")
async def reset_form(request: Request, token: str, session: SessionDep) -> Response:
    auth.speak_to_stranger(request)
    return await _reset_page(request, session, token, Form())


@router.post("/reset/{token}", name="auth:reset")
async def reset(request: Request, token: str, session: SessionDep) -> Response:
    auth.speak_to_stranger(request)
    form = await bind(request, NewPassword)
    user = await form.attempt(session, lambda data: recovery.reset(session, token, data.password))
    if user is None:
        return await _reset_page(request, session, token, form, status_code=422)
    response = redirect(request, "/login", toast=Toast(_("Your password is changed. Sign in with it.")))
    auth.session_cookie.remove(response, secure=auth.is_secure(request))
    return response


@router.get("/verify/{token}", name="auth:verify")
async def verify_form(request: Request, token: str, session: SessionDep, visitor: VisitorDep) -> Response:
    """Only asks: scanners of mail follow every link they find."""
    link, user = await one_time_links.get_link(session, token, *recovery.OF_ADDRESSES)
    is_new = link.purpose is LinkPurpose.CHANGE_EMAIL
    return render(request, "account/verify.html", {"link": link, "user": user, "is_new": is_new})


@router.post("/verify/{token}", name="auth:verify")
async def verify(request: Request, token: str, session: SessionDep, visitor: VisitorDep) -> Response:
    user = await recovery.confirm_address(session, token, visitor=visitor)
    toast = Toast(_("{email} is confirmed.").format(email=user.email))
    return redirect(request, "/" if visitor and visitor.user_id == user.id else "/login", toast=toast)


@router.get("/verify-email", name="account:verify_email")
async def verify_email_page(
    request: Request, account: AccountDep, next: Annotated[str, Query(max_length=2000)] = "/"
) -> Response:
    if account.is_verified:
        return redirect(request, safe_next(next))
    return render(request, "account/verify_email.html", {"problem": "", "is_sent": False})


@router.post("/verify-email", name="account:verify_email")
async def send_verification(request: Request, session: SessionDep, account: AccountDep) -> Response:
    try:
        await recovery.ask_to_verify(session, account)
    except LimitExceeded as error:
        context = {"problem": str(error), "is_sent": False}
        return render(request, "account/verify_email.html", context, status_code=429)
    except Conflict:
        return redirect(request, "/")
    return render(request, "account/verify_email.html", {"problem": "", "is_sent": True})


@router.get("/settings/email", name="account:change_email")
async def change_email_form(request: Request, session: SessionDep, account: AccountDep) -> Response:
    return await _email_page(request, session, account, Form())


@router.post("/settings/email", name="account:change_email")
async def change_email(request: Request, session: SessionDep, account: AccountDep) -> Response:
    form = await bind(request, EmailChange)
    try:
        await form.attempt(
            session,
            lambda data: recovery.ask_to_change_email(session, account, email=data.email, password=data.password),
        )
    except LimitExceeded as error:
        form.errors[""] = str(error)
        return await _email_page(request, session, account, form, status_code=429)
    if not form.is_valid:
        return await _email_page(request, session, account, form, status_code=422)
    return await _email_page(request, session, account, form, wanted=form.data.email)


async def _reset_page(
    request: Request, session: SessionDep, token: str, form: Form[NewPassword], *, status_code: int = 200
) -> Response:
    _link, user = await one_time_links.get_link(session, token, LinkPurpose.RESET_PASSWORD)
    context = {"form": form, "token": token, "email": user.email}
    return render(request, "account/reset.html", context, status_code=status_code)


async def _email_page(
    request: Request,
    session: SessionDep,
    account: Account,
    form: Form[Any],
    *,
    wanted: str = "",
    status_code: int = 200,
) -> Response:
    user = await accounts.get_user(session, account)
    is_waiting = get_settings().require_verified and not user.is_verified
    context = {"form": form, "user": user, "wanted": wanted, "is_waiting": is_waiting}
    return render(request, "account/email.html", context, status_code=status_code)
