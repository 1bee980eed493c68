"""The audit log: finding what was done, and taking it elsewhere."""

from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from models import AuditEntry
from routes.days import by_day
from routes.deps import SessionDep, StaffDep
from routes.forms import Form, bind_filters
from routes.rendering import render
from services import audit_log
from services.audit_log import Format
from services.core import clock
from services.core.i18n import _
from services.core.pagination import PageRequest
from services.schemas.audit import AuditFilters

router = APIRouter(include_in_schema=False)

ROWS = 50
# What one seldom searches by.
SELDOM = {"for", "household", "address", "request"}
MEDIA_TYPES = {Format.CSV: "text/csv; charset=utf-8", Format.JSONL: "application/jsonl"}


class SubjectPage(NamedTuple):
    """Where the panel shows things of a kind, and what one must hold to see it."""

    path: str
    permission: str

    @classmethod
    def of(cls, identity: str) -> "SubjectPage":
        return cls(f"/admin/{identity}/details/", f"panel.{identity}:details")


SUBJECT_PAGES = {
    name: SubjectPage.of(name.replace("_", "-"))
    for name in ("catalogue_item", "category", "household", "membership", "product", "unit", "user")
}


@router.get("/admin/audit", name="audit:list")
async def list_entries(
    request: Request,
    session: SessionDep,
    staff: StaffDep,
    after: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    filters = bind_filters(request, AuditFilters)
    page = await audit_log.list_entries(session, staff, PageRequest(limit=ROWS, after=after), filters)
    query = filters.model_dump(by_alias=True, mode="json", exclude_defaults=True)
    context = {
        "page": page,
        "days": by_day(page.items, staff.time_zone, lambda act: act.at),
        "zone": staff.time_zone,
        "form": Form(values=dict(request.query_params)),
        "fields": _fields(),
        "seldom": SELDOM,
        "uses_seldom": bool(SELDOM & query.keys()),
        "is_filtered": bool(query),
        "more": f"/admin/audit?{urlencode({**query, 'after': page.next})}",
        "exports": f"/admin/audit/export?{urlencode(query)}",
        "subject_pages": SUBJECT_PAGES,
    }
    return render(request, "panel/audit.html", context, fragment="acts" if after else None)


@router.get("/admin/audit/export", name="audit:export")
async def export(request: Request, staff: StaffDep, format: Format = Format.CSV) -> Response:
    """What the filters find, within reach, as a file."""
    found = audit_log.found_by(bind_filters(request, AuditFilters), time_zone=staff.time_zone)
    reached = [staff.reach(name).rows(AuditEntry) for name in ("audit:list", "audit:export")]
    name = f"audit-{clock.today(staff.time_zone)}.{format}"
    return StreamingResponse(
        audit_log.export([*reached, *found], format),
        media_type=MEDIA_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _fields() -> list[tuple[str, str, str]]:
    """Name, label and type of each filter."""
    return [
        ("who", _("Who"), "text"),
        ("for", _("For whom"), "text"),
        ("action", _("Action"), "text"),
        ("subject", _("On what"), "text"),
        ("household", _("Household"), "text"),
        ("from", _("From"), "date"),
        ("to", _("Until"), "date"),
        ("address", _("Address"), "text"),
        ("request", _("Request"), "text"),
    ]
