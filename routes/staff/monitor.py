"""How requests go, one by one and all together, and what nobody expected."""

from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from routes.deps import SessionDep, StaffDep
from routes.forms import Form, bind_filters
from routes.rendering import Toast, redirect, render
from services import monitor
from services.core.i18n import _
from services.core.pagination import PageRequest
from services.schemas.monitor import ProblemFilters, RequestFilters, Window, WindowFilter
from settings import get_settings

router = APIRouter(include_in_schema=False)

ROWS = 50
After = Annotated[str | None, Query(max_length=500)]


@router.get("/admin/monitor", name="monitor:overview")
async def overview(request: Request, session: SessionDep, staff: StaffDep) -> Response:
    """Totals, percentiles, slow queries and problems of a window of time."""
    settings = get_settings()
    window = bind_filters(request, WindowFilter).window
    context = {
        "it": await monitor.overview(session, window),
        "open_problems": await monitor.count_open(session),
        "process": monitor.read_process(dropped=request.app.state.recorder.dropped),
        "windows": list(Window),
        "zone": staff.time_zone,
        "is_on": settings.monitor_enabled,
        "sample": settings.monitor_sample,
    }
    return render(request, "panel/monitor/overview.html", context)


@router.get("/admin/monitor/requests", name="monitor:requests")
async def list_requests(request: Request, session: SessionDep, staff: StaffDep, after: After = None) -> Response:
    """Find requests by route, path, status or time."""
    filters = bind_filters(request, RequestFilters)
    page = await monitor.list_requests(session, filters, PageRequest(limit=ROWS, after=after))
    query = filters.model_dump(mode="json", exclude_none=True)
    context = {
        "page": page,
        "form": Form(values=dict(request.query_params)),
        "is_filtered": bool(query),
        "more": f"/admin/monitor/requests?{urlencode({**query, 'after': page.next})}",
        "zone": staff.time_zone,
    }
    return render(request, "panel/monitor/requests.html", context)


@router.get("/admin/monitor/requests/{request_id}", name="monitor:request")
async def show_request(request: Request, request_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """One request with its statements."""
    detail = await monitor.get_request(session, request_id)
    return render(request, "panel/monitor/request.html", {"it": detail, "zone": staff.time_zone})


@router.get("/admin/monitor/problems", name="monitor:problems")
async def list_problems(request: Request, session: SessionDep, staff: StaffDep, after: After = None) -> Response:
    """What nobody expected, those of one shape together."""
    filters = bind_filters(request, ProblemFilters)
    page = await monitor.list_problems(session, PageRequest(limit=ROWS, after=after), filters.state)
    query = filters.model_dump(mode="json", exclude_none=True)
    more = f"/admin/monitor/problems?{urlencode({**query, 'after': page.next})}"
    context = {"page": page, "state": filters.state, "more": more, "zone": staff.time_zone}
    return render(request, "panel/monitor/problems.html", context)


@router.post("/admin/monitor/problems/{problem_id}/resolve", name="monitor:resolve")
async def resolve(request: Request, problem_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """Say that a problem is mended."""
    await monitor.resolve(session, problem_id, by=staff)
    return redirect(
        request, "/admin/monitor/problems", toast=Toast(_("Resolved. It opens again when it is seen again."))
    )


@router.post("/admin/monitor/problems/{problem_id}/reopen", name="monitor:reopen")
async def reopen(request: Request, problem_id: UUID, session: SessionDep, staff: StaffDep) -> Response:
    """Say that a problem is not mended after all."""
    await monitor.reopen(session, problem_id, by=staff)
    return redirect(request, "/admin/monitor/problems", toast=Toast(_("Open again.")))
