"""Deleting one's account: what it means, and the last question."""

from fastapi import APIRouter, Request, Response

from routes.deps import AccountDep, SessionDep
from routes.forms import Form, bind
from routes.pages.accounts import signed_out
from routes.rendering import Toast, render
from services import account_deletion, sessions
from services.core.i18n import _
from services.permissions import Account
from services.schemas.accounts import AccountDelete

router = APIRouter(include_in_schema=False)


@router.get("/settings/delete", name="account:delete")
async def deletion(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await sessions.require_confirmed(session, account)
    return await _page(request, session, account, Form())


@router.post("/settings/delete", name="account:delete")
async def delete(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await sessions.require_confirmed(session, account)
    form = await bind(request, AccountDelete)
    await form.attempt(session, lambda data: account_deletion.delete_by_email(session, account, data.email))
    if not form.is_valid:
        return await _page(request, session, account, form, status_code=422)
    return signed_out(request, Toast(_("Your account is gone. Take care.")))


async def _page(
    request: Request, session: SessionDep, account: Account, form: Form[AccountDelete], *, status_code: int = 200
) -> Response:
    context = {"form": form, "homes": await account_deletion.list_homes(session, account)}
    return render(request, "account/delete.html", context, status_code=status_code)
