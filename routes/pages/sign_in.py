"""Signing in: with a password, then a code where one is wanted, or with an OpenID provider. Passkeys are the API's."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

import auth
from db import session_scope
from models import User
from routes.deps import AccountDep, SessionDep, VisitorDep
from routes.errors import status_of
from routes.forms import Form, bind
from routes.rendering import Toast, redirect, render, safe_next
from routes.urls import base_url
from services import identities, openid, second_factor
from services.core.errors import AppError, NotSignedIn
from services.core.i18n import _
from services.identities import Errand, Intent
from services.openid import Claims
from services.schemas.accounts import Login
from services.schemas.identities import OpenIdStart
from services.schemas.second_factor import CodeEntry
from settings import Registration, get_settings

router = APIRouter(include_in_schema=False)

SECURITY = "/settings/security"


@router.get("/login", name="auth:login")
async def login_form(
    request: Request, visitor: VisitorDep, next: Annotated[str, Query(max_length=2000)] = "/"
) -> Response:
    target = safe_next(next)
    if visitor is not None:
        return redirect(request, target)
    return _login_page(request, Form(), target)


@router.post("/login", name="auth:login")
async def login(request: Request, session: SessionDep) -> Response:
    auth.speak_to_stranger(request)
    form = await bind(request, Login)
    target = safe_next(form.value("next"))
    if not form.is_valid:
        return _login_page(request, form, target, status_code=422)
    try:
        user = await auth.authenticate(form.data.email, form.data.password)
    except NotSignedIn as error:
        form.errors[""] = str(error)
        return _login_page(request, form, target, status_code=401)
    return await _go_on(request, session, user, target, way="password")


@router.get("/login/code", name="auth:login_code")
async def code_form(request: Request, visitor: VisitorDep) -> Response:
    if visitor is not None or auth.challenge_cookie.cookie_name not in request.cookies:
        return redirect(request, "/login")
    return _code_page(request, Form())


@router.post("/login/code", name="auth:login_code")
async def login_code(request: Request, session: SessionDep) -> Response:
    auth.speak_to_stranger(request)
    form = await bind(request, CodeEntry)
    if not form.is_valid:
        return _code_page(request, form, status_code=422)
    try:
        passed = await auth.answer_second_factor(_token(request, auth.challenge_cookie), form.data.code)
    except NotSignedIn as error:
        if error.code != "bad_code":
            return _login_page(request, Form(errors={"": str(error)}), "/", status_code=401)
        form.errors["code"] = str(error)
        return _code_page(request, form, status_code=401)
    response = redirect(request, safe_next(passed.next))
    auth.challenge_cookie.remove(response, secure=auth.is_secure(request))
    await auth.finish_sign_in(request, response, session, passed.user, way=passed.way)
    return response


@router.post("/login/openid", name="auth:login_openid")
async def login_openid(request: Request, session: SessionDep) -> Response:
    form = await bind(request, OpenIdStart)
    data = form.parsed or OpenIdStart()
    token = await identities.send_out(session, Intent.SIGN_IN, next=safe_next(data.next), time_zone=data.time_zone)
    return _send_out(request, token)


@router.post("/settings/security/identities", name="identities:link")
async def link(request: Request, session: SessionDep, account: AccountDep) -> Response:
    return _send_out(request, await identities.send_out(session, Intent.LINK, account=account, next=SECURITY))


@router.post("/confirm/openid", name="account:confirm_openid")
async def confirm(request: Request, session: SessionDep, account: AccountDep) -> Response:
    form = await bind(request, OpenIdStart)
    target = safe_next(form.value("next"), SECURITY)
    return _send_out(request, await identities.send_out(session, Intent.CONFIRM, account=account, next=target))


@router.get("/login/openid/go", name="auth:openid_go")
async def openid_go(request: Request) -> Response:
    """A page of its own between the form and the provider: `form-action` holds for where a form is sent on to, too."""
    auth.speak_to_stranger(request)
    async with session_scope(read_only=True) as session:
        errand = await identities.find_errand(session, _token(request, auth.openid_cookie))
    if errand is None:
        return redirect(request, "/login")
    try:
        address = await openid.address(errand.quest, _redirect_uri(request))
    except AppError as error:
        return _come_back(request, errand, error)
    response = render(request, "account/openid.html", {"address": address, "provider": get_settings().openid_name})
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get("/login/openid/callback", name="auth:openid_callback")
async def openid_callback(
    request: Request,
    code: Annotated[str, Query(max_length=4000)] = "",
    state: Annotated[str, Query(max_length=200)] = "",
    iss: Annotated[str, Query(max_length=300)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Where the provider sends the browser back to."""
    auth.speak_to_stranger(request)
    async with session_scope() as session:
        errand = await identities.take_errand(session, _token(request, auth.openid_cookie))
    answer = openid.Answer(code=code, state=state, issuer=iss, error=error)
    try:
        if errand is None:
            raise NotSignedIn(_("That took too long. Please start again."), code="challenge_over")
        claims = await openid.redeem(errand.quest, answer, _redirect_uri(request))
        response = await _AFTER[errand.intent](request, errand, claims)
    except AppError as refusal:
        response = _come_back(request, errand, refusal)
    auth.openid_cookie.remove(response, secure=auth.is_secure(request))
    response.headers["Cache-Control"] = "no-store"
    return response


async def _after_sign_in(request: Request, errand: Errand, claims: Claims) -> Response:
    async with session_scope() as session:
        user = await identities.enter(session, claims, time_zone=errand.time_zone)
        return await _go_on(request, session, user, errand.next, way="openid")


async def _after_link(request: Request, errand: Errand, claims: Claims) -> Response:
    async with session_scope(read_only=True) as session:
        account = await auth.current_account(request, session)
    async with session_scope() as session:
        await identities.link(session, account, errand, claims)
    toast = Toast(_("You can sign in with {name} now.").format(name=get_settings().openid_name))
    return redirect(request, errand.next, toast=toast)


async def _after_confirming(request: Request, errand: Errand, claims: Claims) -> Response:
    async with session_scope(read_only=True) as session:
        account = await auth.current_account(request, session)
    async with session_scope() as session:
        await identities.confirm(session, account, errand, claims)
    return redirect(request, errand.next)


_AFTER = {Intent.SIGN_IN: _after_sign_in, Intent.LINK: _after_link, Intent.CONFIRM: _after_confirming}


def _send_out(request: Request, token: str) -> Response:
    response = redirect(request, "/login/openid/go")
    auth.openid_cookie.attach(response, token, secure=auth.is_secure(request))
    return response


def _come_back(request: Request, errand: Errand | None, error: AppError) -> Response:
    """From the provider, in vain."""
    if errand is not None and errand.intent is not Intent.SIGN_IN:
        return redirect(request, SECURITY, toast=Toast(str(error), "error"))
    target = errand.next if errand else "/"
    return _login_page(request, Form(errors={"": str(error)}), target, status_code=status_of(error))


async def _go_on(request: Request, session: SessionDep, user: User, target: str, *, way: str) -> Response:
    """In, or to the second factor."""
    challenge = await second_factor.ask(session, user, way=way, next=target)
    if challenge is None:
        response = redirect(request, target)
        await auth.finish_sign_in(request, response, session, user, way=way)
        return response
    response = redirect(request, "/login/code")
    auth.challenge_cookie.attach(response, challenge, secure=auth.is_secure(request))
    return response


def _token(request: Request, cookie: auth.SessionCookie) -> str:
    return request.cookies.get(cookie.cookie_name, "")


def _redirect_uri(request: Request) -> str:
    return f"{base_url(request)}/login/openid/callback"


def _login_page(request: Request, form: Form[Login], target: str, *, status_code: int = 200) -> Response:
    settings = get_settings()
    context = {
        "form": form,
        "next": target,
        "may_register": settings.registration is Registration.OPEN,
        "provider": settings.openid_name if openid.is_configured() else "",
        # A cookie marked Secure does not survive plain http: say so instead of failing in silence.
        "is_insecure": auth.is_secure(request) and request.url.scheme != "https",
    }
    return render(request, "account/login.html", context, status_code=status_code)


def _code_page(request: Request, form: Form[CodeEntry], *, status_code: int = 200) -> Response:
    return render(request, "account/code.html", {"form": form}, status_code=status_code)
