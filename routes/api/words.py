"""Places, categories and units: /households/{h}/{locations,categories,units}."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from routes.api.routers import household_router
from routes.deps import ActorDep, PageDep, SessionDep
from routes.idempotent import Claimed, IdempotentRoute
from services import categories, locations, units
from services.core.pagination import Page
from services.schemas.types import Line, PageOf
from services.schemas.words import (
    CategoryCreate,
    CategoryRead,
    CategoryUpdate,
    LocationCreate,
    LocationRead,
    LocationUpdate,
    UnitCreate,
    UnitRead,
    UnitUpdate,
)

router = household_router("words", route_class=IdempotentRoute, dependencies=[Claimed])


@router.get("/locations", response_model=PageOf[LocationRead], name="locations:list")
async def list_locations(session: SessionDep, actor: ActorDep, page: PageDep) -> Page[LocationRead]:
    """The places, in the order of the tree."""
    return await locations.list_locations(session, actor, page)


@router.post("/locations", response_model=LocationRead, status_code=201, name="locations:create")
async def create_location(body: LocationCreate, session: SessionDep, actor: ActorDep) -> LocationRead:
    """Add a place, on its own or within another."""
    return await locations.create_location(session, actor, body)


@router.patch("/locations/{location_id}", response_model=LocationRead, name="locations:edit")
async def edit_location(location_id: UUID, body: LocationUpdate, session: SessionDep, actor: ActorDep) -> LocationRead:
    """Rename a place, or put it elsewhere in the tree."""
    return await locations.edit_location(session, actor, location_id, body)


@router.delete("/locations/{location_id}", status_code=204, name="locations:archive")
async def archive_location(location_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Put a place out of use. Refused while something lies there."""
    await locations.archive_location(session, actor, location_id)


@router.get("/categories", response_model=PageOf[CategoryRead], name="categories:list")
async def list_categories(
    session: SessionDep,
    actor: ActorDep,
    page: PageDep,
    q: Annotated[Line, Query(description="Part of a name or keyword.")] = "",
    parent: Annotated[UUID | None, Query(description="Foods of one group.")] = None,
) -> Page[CategoryRead]:
    """Food categories by name: ours and the household's own."""
    return await categories.list_categories(session, actor, page, query=q, parent_id=parent)


@router.post("/categories", response_model=CategoryRead, status_code=201, name="categories:create")
async def create_category(body: CategoryCreate, session: SessionDep, actor: ActorDep) -> CategoryRead:
    """Add a category of one's own."""
    return await categories.create_category(session, actor, body)


@router.patch("/categories/{category_id}", response_model=CategoryRead, name="categories:edit")
async def edit_category(category_id: UUID, body: CategoryUpdate, session: SessionDep, actor: ActorDep) -> CategoryRead:
    """Change a category of one's own."""
    return await categories.edit_category(session, actor, category_id, body)


@router.delete("/categories/{category_id}", status_code=204, name="categories:delete")
async def delete_category(category_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Delete a category of one's own; its products stay."""
    await categories.delete_category(session, actor, category_id)


@router.get("/units", response_model=PageOf[UnitRead], name="units:list")
async def list_units(session: SessionDep, actor: ActorDep, page: PageDep) -> Page[UnitRead]:
    """Units: ours and the household's own."""
    return await units.list_units(session, actor, page)


@router.post("/units", response_model=UnitRead, status_code=201, name="units:create")
async def create_unit(body: UnitCreate, session: SessionDep, actor: ActorDep) -> UnitRead:
    """Add a unit of one's own."""
    return await units.create_unit(session, actor, body)


@router.patch("/units/{unit_id}", response_model=UnitRead, name="units:edit")
async def edit_unit(unit_id: UUID, body: UnitUpdate, session: SessionDep, actor: ActorDep) -> UnitRead:
    """Rename a unit of one's own."""
    return await units.edit_unit(session, actor, unit_id, body)


@router.delete("/units/{unit_id}", status_code=204, name="units:delete")
async def delete_unit(unit_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Delete a unit of one's own that nothing is kept in."""
    await units.delete_unit(session, actor, unit_id)
