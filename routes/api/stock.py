"""Lots: /households/{h}/lots."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response
from msgspec import structs

from routes.api import answers
from routes.api.answers import json
from routes.api.routers import household_router
from routes.deps import ActorDep, PageDep, SessionDep
from routes.idempotent import Claimed, IdempotentRoute
from services import files, stock
from services.schemas.stock import (
    LotBulkCreate,
    LotBulkResult,
    LotConsume,
    LotCorrect,
    LotCreate,
    LotDetailModel,
    LotDiscard,
    LotFilters,
    LotFreeze,
    LotModel,
    LotMove,
    LotOpen,
    LotPageModel,
    LotSnooze,
    LotThaw,
    LotUpdate,
)

router = household_router("lots", route_class=IdempotentRoute, dependencies=[Claimed])


@router.get("/lots", response_model=LotPageModel, name="stock:list")
async def list_lots(
    session: SessionDep, actor: ActorDep, page: PageDep, filters: Annotated[LotFilters, Query()]
) -> Response:
    """What is in stock. `sort` takes a leading minus; lots without a date come last."""
    return answers.page(await stock.list_lots(session, actor, page, filters))


@router.post("/lots", response_model=LotModel, status_code=201, name="stock:add")
async def add(body: LotCreate, session: SessionDep, actor: ActorDep) -> Response:
    """Put something into stock."""
    added = await stock.add(session, actor, body)
    return json(added.lot, 201)


@router.post("/lots/bulk", response_model=LotBulkResult, name="stock:add_bulk")
async def add_bulk(
    body: LotBulkCreate,
    session: SessionDep,
    actor: ActorDep,
    atomic: Annotated[bool, Query(description="All or nothing.")] = False,
) -> Response:
    """Put many things into stock. Items that are wrong are left out and named."""
    added, failed, group_id = await stock.add_bulk(session, actor, body.items, atomic=atomic)
    return json(
        {
            "created": [item.lot for item in added],
            "failed": [item.model_dump() for item in failed],
            "group_id": group_id if added else None,
        }
    )


@router.get("/lots/{lot_id}", response_model=LotDetailModel, name="stock:detail")
async def get_lot(lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    """One lot, used up or not, with its photos."""
    lot = await stock.get_lot(session, actor, lot_id)
    photos = [photo.model_dump(mode="json") for photo in await files.list_lot_photos(session, lot_id)]
    return json({**structs.asdict(lot), "photos": photos})


@router.patch("/lots/{lot_id}", response_model=LotModel, name="stock:edit")
async def edit(lot_id: UUID, body: LotUpdate, session: SessionDep, actor: ActorDep) -> Response:
    """Change what is known about a lot. Quantity and place have routes of their own."""
    booked = await stock.edit(session, actor, lot_id, body)
    return json(booked.lot)


@router.post("/lots/{lot_id}/consume", response_model=LotModel, name="stock:consume")
async def consume(lot_id: UUID, session: SessionDep, actor: ActorDep, body: LotConsume | None = None) -> Response:
    """Take some of one lot, or all of it."""
    booked = await stock.consume(session, actor, lot_id, body or LotConsume())
    return json(booked.lot)


@router.post("/lots/{lot_id}/discard", response_model=LotModel, name="stock:discard")
async def discard(lot_id: UUID, body: LotDiscard, session: SessionDep, actor: ActorDep) -> Response:
    """Throw some of one lot away, or all of it, and say why."""
    booked = await stock.discard(session, actor, lot_id, body)
    return json(booked.lot)


@router.post("/lots/{lot_id}/open", response_model=LotModel, name="stock:open")
async def open_lot(lot_id: UUID, session: SessionDep, actor: ActorDep, body: LotOpen | None = None) -> Response:
    """Open one lot. With a smaller `quantity` that part becomes a lot of its own, which is the answer."""
    booked = await stock.open_lot(session, actor, lot_id, body or LotOpen())
    return json(booked.lot)


@router.post("/lots/{lot_id}/freeze", response_model=LotModel, name="stock:freeze")
async def freeze(lot_id: UUID, session: SessionDep, actor: ActorDep, body: LotFreeze | None = None) -> Response:
    """Freeze one lot, or part of it. 409 with code `confirm` asks to send `confirm: true`."""
    booked = await stock.freeze(session, actor, lot_id, body or LotFreeze())
    return json(booked.lot)


@router.post("/lots/{lot_id}/thaw", response_model=LotModel, name="stock:thaw")
async def thaw(lot_id: UUID, session: SessionDep, actor: ActorDep, body: LotThaw | None = None) -> Response:
    """Take one lot, or part of it, out of the freezer."""
    booked = await stock.thaw(session, actor, lot_id, body or LotThaw())
    return json(booked.lot)


@router.post("/lots/{lot_id}/move", response_model=LotModel, name="stock:move")
async def move(lot_id: UUID, body: LotMove, session: SessionDep, actor: ActorDep) -> Response:
    """Put one lot, or part of it, elsewhere. Into a freezer it freezes, out of it it thaws."""
    booked = await stock.move(session, actor, lot_id, body)
    return json(booked.lot)


@router.post("/lots/{lot_id}/correct", response_model=LotModel, name="stock:correct")
async def correct(lot_id: UUID, body: LotCorrect, session: SessionDep, actor: ActorDep) -> Response:
    """Say how much is really there."""
    booked = await stock.correct(session, actor, lot_id, body)
    return json(booked.lot)


@router.post("/lots/{lot_id}/snooze", response_model=LotModel, name="stock:snooze")
async def snooze(lot_id: UUID, body: LotSnooze, session: SessionDep, actor: ActorDep) -> Response:
    """Not soon due until a day."""
    booked = await stock.snooze(session, actor, lot_id, body)
    return json(booked.lot)
