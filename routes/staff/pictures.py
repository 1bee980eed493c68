"""Pictures of the catalogue, which every household sees."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from db import session_scope
from models import FilePurpose, StoredFile
from routes.deps import SessionDep, StaffDep
from routes.forms import Form
from routes.pages.sending import send
from routes.rendering import Toast, done, is_htmx, render
from routes.uploads import UploadingStaffDep
from services import catalogue
from services.core.i18n import _
from services.staff import Staff

router = APIRouter(include_in_schema=False)


@router.post("/admin/catalogue-items/{item_id}/picture", name="panel.catalogue-item:picture")
async def set_picture(request: Request, item_id: UUID, staff: UploadingStaffDep) -> Response:
    """Give an item a picture."""

    async def put(session: AsyncSession, staff: Staff, file: StoredFile) -> None:
        await catalogue.set_picture(session, staff, item_id, file)

    sent = await send(request, staff, FilePurpose.CATALOGUE, put)
    async with session_scope(read_only=True) as session:
        if sent.file is not None:
            return await _changed(request, session, item_id, _("That is how it looks."))
        return await _part(request, session, item_id, sent.form, status_code=sent.status_code)


@router.post("/admin/catalogue-items/{item_id}/picture/remove", name="panel.catalogue-item:remove-picture")
async def remove_picture(request: Request, item_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """Take an item’s picture away."""
    await catalogue.remove_picture(session, staff, item_id)
    return await _changed(request, session, item_id, _("Removed."))


async def _changed(request: Request, session: AsyncSession, item_id: UUID, said: str) -> Response:
    answer = await _part(request, session, item_id, Form()) if is_htmx(request) else None
    to = f"/admin/catalogue-item/details/{item_id}"
    return done(request, Toast(said), to=to, answer=answer, event="catalogue:changed")


async def _part(
    request: Request, session: AsyncSession, item_id: UUID, form: Form[Any], *, status_code: int = 200
) -> Response:
    """The picture within an item's page; by itself where a form came back without JavaScript."""
    context = {"row": await catalogue.get_item(session, item_id), "picture_form": form}
    return render(request, "panel/picture.html", context, fragment="picture", status_code=status_code)
