"""What happened in a household: /households/{h}/audit."""

from routes.api.routers import household_router
from routes.deps import ActorDep, PageDep, SessionDep
from services import audit_log
from services.core.pagination import Page
from services.schemas.audit import ActRead
from services.schemas.types import PageOf

router = household_router("households")


@router.get("/audit", response_model=PageOf[ActRead], name="audit:household")
async def list_acts(session: SessionDep, actor: ActorDep, page: PageDep) -> Page[ActRead]:
    """Who changed what, newest first. What was done with the stock is in the journal."""
    return await audit_log.list_acts(session, actor, page)
