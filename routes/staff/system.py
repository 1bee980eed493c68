"""How the instance is."""

from fastapi import APIRouter, Request, Response

from routes.deps import SessionDep, StaffDep
from routes.rendering import render
from services import system

router = APIRouter()


@router.get("/admin/system", name="system:overview")
async def show(request: Request, session: SessionDep, staff: StaffDep) -> Response:
    """What runs, what it holds, what waits, and how it is set up."""
    return render(request, "panel/system.html", {"system": await system.overview(session, request.app.version)})
