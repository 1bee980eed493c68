"""Registering, signing out, and one's own settings."""

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response

import auth
from db import session_scope
from models import FilePurpose, Theme
from routes.deps import AccountDep, SessionDep, VisitorDep
from routes.forms import Form, bind, bind_edit
from routes.pages.households import languages
from routes.pages.sending import send
from routes.rendering import Toast, done, is_htmx, redirect, render, safe_next
from routes.uploads import UploadingAccountDep
from services import accounts, files, households, openid, sessions
from services.core.errors import NotFound
from services.core.i18n import _, current_locale, is_locale
from services.permissions import Account
from services.schemas.accounts import Confirm, PasswordChange, RegisterForm, UserUpdate
from services.wording import choices
from settings import Registration, get_settings

router = APIRouter(include_in_schema=False)


@router.get("/register", name="auth:register")
async def register_form(
    request: Request,
    session: SessionDep,
    visitor: VisitorDep,
    invitation: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    if visitor is not None:
        return redirect(request, f"/invitations/{quote(invitation, safe='')}" if invitation else "/")
    return await _register_page(request, session, Form(values={"invitation": invitation}))


@router.post("/register", name="auth:register")
async def register(request: Request, session: SessionDep) -> Response:
    auth.speak_to_stranger(request)
    form = await bind(request, RegisterForm)
    if form.parsed is not None:
        form.parsed.locale = form.parsed.locale or _asked_locale()
    try:
        user = await form.attempt(session, lambda data: auth.register(session, data))
    except NotFound:  # the invitation is over; the page says so, and keeps what was typed
        user = None
    if user is None:
        return await _register_page(request, session, form, status_code=422)
    toast = Toast(_("Welcome, {name}.").format(name=user.name))
    response = redirect(request, "/", toast=toast)
    await auth.finish_sign_in(request, response, session, user, way="password")
    return response


@router.post("/logout", name="auth:logout")
async def logout(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await sessions.sign_out(session, account)
    return signed_out(request, Toast(_("You are signed out.")))


@router.post("/logout-all", name="auth:logout_all")
async def logout_all(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await sessions.sign_out_everywhere(session, account)
    return signed_out(request, Toast(_("You are signed out everywhere.")))


@router.get("/settings", name="account:profile")
async def settings_page(request: Request, session: SessionDep, account: AccountDep) -> Response:
    return await _settings_page(request, session, account)


@router.post("/settings", name="account:edit")
async def edit(request: Request, session: SessionDep, account: AccountDep) -> Response:
    form = await bind_edit(request, UserUpdate, required=frozenset({"name"}))
    if not form.is_valid:
        return await _settings_page(request, session, account, profile_form=form, status_code=422)
    await accounts.edit_profile(session, account, form.data)
    return redirect(request, "/settings", toast=Toast(_("Saved.")))


@router.post("/settings/avatar", name="account:avatar")
async def set_avatar(request: Request, account: UploadingAccountDep) -> Response:
    sent = await send(request, account, FilePurpose.AVATAR, files.set_avatar)
    if sent.file is not None:
        return _avatar_changed(request, replace(account, avatar_id=sent.file.id), _("This is you now."))
    if is_htmx(request):
        return _avatar_part(request, sent.form, status_code=sent.status_code)
    async with session_scope(read_only=True) as session:
        return await _settings_page(request, session, account, avatar_form=sent.form, status_code=sent.status_code)


@router.post("/settings/avatar/remove", name="account:remove_avatar")
async def remove_avatar(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await files.remove_avatar(session, account)
    return _avatar_changed(request, replace(account, avatar_id=None), _("Removed."))


@router.get("/settings/password", name="account:password")
async def password_form(
    request: Request, account: AccountDep, next: Annotated[str, Query(max_length=2000)] = "/settings"
) -> Response:
    return _password_page(request, Form(values={"next": safe_next(next, "/settings")}))


@router.post("/settings/password", name="account:password")
async def change_password(request: Request, session: SessionDep, account: AccountDep) -> Response:
    form = await bind(request, PasswordChange)
    await form.attempt(
        session,
        lambda data: accounts.change_password(session, account, current=data.current_password, new=data.new_password),
    )
    if not form.is_valid:
        return _password_page(request, form, status_code=422)
    toast = Toast(_("Your password is changed. Other devices are signed out."))
    return redirect(request, safe_next(form.value("next"), "/settings"), toast=toast)


@router.get("/confirm", name="account:confirm")
async def confirm_form(
    request: Request, account: AccountDep, next: Annotated[str, Query(max_length=2000)] = "/settings"
) -> Response:
    return _confirm_page(request, Form(values={"next": safe_next(next, "/settings")}))


@router.post("/confirm", name="account:confirm")
async def confirm(request: Request, session: SessionDep, account: AccountDep) -> Response:
    """Show once more that it is still you: changes to how you sign in ask for that."""
    form = await bind(request, Confirm)
    await form.attempt(session, lambda data: auth.confirm(session, account, data.password))
    if not form.is_valid:
        return _confirm_page(request, form, status_code=422)
    return redirect(request, safe_next(form.value("next"), "/settings"))


@router.get("/more", name="account:more")
async def more(request: Request, session: SessionDep, account: AccountDep) -> Response:
    """What does not fit the bottom bar."""
    return render(request, "account/more.html")


def _avatar_changed(request: Request, account: Account, said: str) -> Response:
    request.state.account = account
    answer = _avatar_part(request, Form())
    return done(request, Toast(said), to="/settings", answer=answer, event="avatar:changed")


def _avatar_part(request: Request, form: Form[Any], *, status_code: int = 200) -> Response:
    """What shows oneself, and the same picture where it stands on every page."""
    context = {"avatar_form": form}
    return render(request, "account/avatar_changed.html", context, fragment="changed", status_code=status_code)


def signed_out(request: Request, toast: Toast) -> Response:
    response = redirect(request, "/login", toast=toast)
    auth.session_cookie.remove(response, secure=auth.is_secure(request))
    # Pages in the browser's cache are somebody's food.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _asked_locale() -> str | None:
    locale = current_locale()
    return locale if is_locale(locale) else None


def _password_page(request: Request, form: Form[PasswordChange], *, status_code: int = 200) -> Response:
    return render(request, "account/password.html", {"form": form}, status_code=status_code)


def _confirm_page(request: Request, form: Form[Confirm], *, status_code: int = 200) -> Response:
    context = {"form": form, "provider": get_settings().openid_name if openid.is_configured() else ""}
    return render(request, "account/confirm.html", context, status_code=status_code)


async def _register_page(
    request: Request, session: SessionDep, form: Form[RegisterForm], *, status_code: int = 200
) -> Response:
    registration = get_settings().registration
    token = form.value("invitation")
    invitation = None
    if token:
        try:
            invitation = await households.preview_invitation(session, token)
        except NotFound as error:
            form.errors[""] = str(error)
    context = {
        "form": form,
        "invitation": invitation,
        "is_closed": registration is Registration.CLOSED
        or (registration is Registration.INVITE and invitation is None),
        "registration": registration,
    }
    return render(request, "account/register.html", context, status_code=status_code)


async def _settings_page(
    request: Request, session: SessionDep, account: Account, *, status_code: int = 200, **forms: Any
) -> Response:
    user = await accounts.get_user(session, account)
    context = {
        "user": user,
        "themes": choices(Theme),
        "locales": languages(user.locale),
        "profile_form": Form(),
        "avatar_form": Form(),
        **forms,
    }
    return render(request, "account/settings.html", context, status_code=status_code)
