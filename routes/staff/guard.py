"""Who is kept out, and who is counted."""

from typing import Any

from fastapi import APIRouter, Request, Response

from routes.deps import SessionDep, StaffDep
from routes.forms import Form, bind
from routes.rendering import Toast, redirect, render
from services import dictionary, guard
from services.core.i18n import _
from services.schemas.guard import BanCreate, Unban
from services.staff import Staff
from settings import get_settings

router = APIRouter(include_in_schema=False)


@router.get("/admin/guard", name="guard:overview")
async def show(request: Request, session: SessionDep, staff: StaffDep) -> Response:
    """Who is kept out, and who comes close."""
    return await _page(request, session, staff, Form())


@router.post("/admin/guard/ban", name="guard:ban")
async def ban(request: Request, session: SessionDep, staff: StaffDep) -> Response:
    """Keep an address or an account out for a time."""
    form = await bind(request, BanCreate)
    banned = await form.attempt(session, lambda data: guard.ban(session, data, by=staff))
    if banned is None:
        return await _page(request, session, staff, form, status_code=422)
    return redirect(request, "/admin/guard", toast=Toast(_("{who} is kept out.").format(who=form.data.who)))


@router.post("/admin/guard/unban", name="guard:unban")
async def unban(request: Request, session: SessionDep, staff: StaffDep) -> Response:
    """Let somebody in again."""
    form = await bind(request, Unban)
    await guard.unban(session, form.checked().who, by=staff)
    return redirect(request, "/admin/guard", toast=Toast(_("{who} may come in again.").format(who=form.data.who)))


async def _page(
    request: Request, session: SessionDep, staff: Staff, form: Form[BanCreate], *, status_code: int = 200
) -> Response:
    context: dict[str, Any] = {
        "form": form,
        "bans": await guard.list_bans(session),
        "counts": await guard.list_counts(session),
        "reasons": await dictionary.options(session, "ban_reason"),
        "zone": staff.time_zone,
        "is_on": get_settings().guard_enabled,
    }
    return render(request, "panel/guard.html", context, status_code=status_code)
