"""API keys of one's own."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from routes.deps import AccountDep, SessionDep
from routes.forms import Form, bind
from routes.rendering import Toast, redirect, render
from services import api_keys, sessions
from services.core.i18n import _
from services.core.pagination import PageRequest
from services.permissions import Account
from services.schemas.accounts import ApiKeyCreated, ApiKeyForm

router = APIRouter(include_in_schema=False)

PATH = "/settings/api-keys"


@router.get(PATH, name="api_keys:list")
async def keys_page(request: Request, session: SessionDep, account: AccountDep) -> Response:
    return await _keys_page(request, session, account, Form())


@router.post(PATH, name="api_keys:create")
async def create_key(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await sessions.require_confirmed(session, account)
    form = await bind(request, ApiKeyForm)
    made = await form.attempt(session, lambda data: api_keys.create(session, account, data.wanted))
    if made is None:
        return await _keys_page(request, session, account, form, status_code=422)
    return await _keys_page(request, session, account, Form(), made=made, status_code=201)


@router.post(PATH + "/{key_id}/revoke", name="api_keys:revoke")
async def revoke_key(request: Request, key_id: UUID, session: SessionDep, account: AccountDep) -> Response:
    await api_keys.revoke(session, account, key_id)
    return redirect(request, PATH, toast=Toast(_("The API key is over.")))


async def _keys_page(
    request: Request,
    session: SessionDep,
    account: Account,
    form: Form[Any],
    *,
    made: ApiKeyCreated | None = None,
    status_code: int = 200,
) -> Response:
    context = {
        "form": form,
        "keys": (await api_keys.list_keys(session, account, PageRequest(limit=api_keys.MAX_KEYS))).items,
        "made": made,
        "scopes": api_keys.choices(),
        "labels": dict(api_keys.choices()),
        "lifetimes": [(30, _("30 days")), (90, _("90 days")), (365, _("A year")), (0, _("For ever"))],
        "is_confirmed": await sessions.is_confirmed(session, account),
    }
    response = render(request, "account/api_keys.html", context, status_code=status_code)
    response.headers["Cache-Control"] = "no-store"
    return response
