"""How one signs in, on one page: authenticator app, recovery codes, passkeys, linked accounts."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from routes.deps import AccountDep, SessionDep
from routes.forms import Form, bind
from routes.rendering import Toast, redirect, render
from services import identities, openid, passkeys, second_factor, sessions, ways_in
from services.core.i18n import _
from services.permissions import Account
from services.schemas.passkeys import PasskeyRename
from services.schemas.second_factor import CodeEntry
from settings import get_settings

router = APIRouter(prefix="/settings/security", include_in_schema=False)

PAGE = "/settings/security"


@router.get("", name="security:detail")
async def detail(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await sessions.require_confirmed(session, account)
    return await _page(request, session, account)


@router.post("/second-factor", name="second_factor:start")
async def start(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await second_factor.start(session, account)
    return redirect(request, f"{PAGE}#app")


@router.post("/second-factor/confirm", name="second_factor:confirm")
async def confirm(request: Request, session: SessionDep, account: AccountDep) -> Response:
    form = await bind(request, CodeEntry)
    codes = await form.attempt(session, lambda data: second_factor.confirm(session, account, code=data.code))
    return await _page(request, session, account, app_form=form, codes=codes or (), status_code=200 if codes else 422)


@router.post("/second-factor/recovery-codes", name="second_factor:renew_codes")
async def renew_codes(request: Request, session: SessionDep, account: AccountDep) -> Response:
    return await _page(request, session, account, codes=await second_factor.renew_codes(session, account))


@router.post("/second-factor/end", name="second_factor:end")
async def end(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await second_factor.end(session, account)
    return redirect(request, PAGE, toast=Toast(_("Signing in needs no code any more.")))


@router.post("/passkeys/{passkey_id}", name="passkeys:rename")
async def rename(passkey_id: UUID, request: Request, session: SessionDep, account: AccountDep) -> Response:
    form = await bind(request, PasskeyRename)
    await passkeys.rename(session, account, passkey_id, name=form.checked().name)
    return redirect(request, PAGE, toast=Toast(_("Saved.")))


@router.post("/passkeys/{passkey_id}/remove", name="passkeys:remove")
async def remove(passkey_id: UUID, request: Request, session: SessionDep, account: AccountDep) -> Response:
    await passkeys.remove(session, account, passkey_id)
    return redirect(request, PAGE, toast=Toast(_("Removed.")))


@router.post("/identities/{identity_id}/unlink", name="identities:unlink")
async def unlink(identity_id: UUID, request: Request, session: SessionDep, account: AccountDep) -> Response:
    await identities.unlink(session, account, identity_id)
    return redirect(request, PAGE, toast=Toast(_("Unlinked.")))


async def _page(
    request: Request,
    session: SessionDep,
    account: Account,
    *,
    app_form: Form[CodeEntry] | None = None,
    codes: Sequence[str] = (),
    status_code: int = 200,
) -> Response:
    context: dict[str, Any] = {
        "second_factor": await second_factor.get_state(session, account),
        "set_up": await second_factor.find_set_up(session, account),
        "app_form": app_form or Form(),
        "codes": codes,
        "passkeys": await passkeys.list_passkeys(session, account),
        "identities": await identities.list_identities(session, account),
        "provider": get_settings().openid_name if openid.is_configured() else "",
        "has_password": await ways_in.has_password(session, account),
    }
    response = render(request, "account/security.html", context, status_code=status_code)
    response.headers["Cache-Control"] = "no-store"  # it can show secrets
    return response
