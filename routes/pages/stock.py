"""Home, the stock, one lot, and what one can do with it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from db import session_scope
from models import DateKind, DiscardReason, FilePurpose
from routes.deps import ActorDep, SessionDep
from routes.forms import Form, bind_edit, bind_filters, parse, read
from routes.pages.sending import send_each
from routes.rendering import Toast, back, done, is_htmx, render, trigger, undo_toast, wants_fragment
from routes.uploads import UploadingActorDep
from services import categories, dictionary, events, files, households, locations, stock, units
from services.core import clock
from services.core.errors import Conflict
from services.core.i18n import _
from services.core.numbers import plain
from services.core.pagination import PageRequest
from services.dates import Urgency
from services.permissions import Actor
from services.schemas.stock import (
    EventFilters,
    LotConsume,
    LotCorrect,
    LotDiscard,
    LotFilters,
    LotFreeze,
    LotMove,
    LotOpen,
    LotRead,
    LotSnooze,
    LotSort,
    LotThaw,
    LotUpdate,
)
from services.wording import amount, choices, label

router = APIRouter(include_in_schema=False)

S = TypeVar("S", bound=BaseModel)

AT_HOME = 100
EVERYTHING = PageRequest(limit=200)
# Which of the forms about a lot asks for it, where that is not the one for some of it.
PARTS = {"stock:move": "elsewhere", "stock:correct": "count"}


@dataclass(frozen=True, slots=True)
class Group:
    """One heading of the home page."""

    key: str
    title: str
    rows: list[stock.Row]
    kind: str = ""
    advice: str = ""
    is_folded: bool = False


@router.get("/", name="stock:home")
async def home(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    """What should we eat first?"""
    numbers = await stock.count(session, actor)
    page = await stock.list_lots(session, actor, PageRequest(limit=AT_HOME), LotFilters())
    context = {
        "greeting": _greeting(actor),
        "today": clock.today(actor.time_zone),
        "numbers": numbers,
        "groups": _groups(stock.merged(page.items)),
        "has_more": page.next is not None,
    }
    return render(request, "stock/home.html", context, fragment="eat_first")


@router.get("/today", name="stock:today")
async def today(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    """For the tablet on the fridge door: what is due, big enough to read from the table."""
    page = await stock.list_lots(session, actor, PageRequest(limit=AT_HOME), LotFilters())
    due = [group for group in _groups(stock.merged(page.items)) if group.key in {"now", "over", "week"}]
    context = {"today": clock.today(actor.time_zone), "groups": due}
    return render(request, "stock/today.html", context, fragment="due")


def _groups(rows: list[stock.Row]) -> list[Group]:
    now: list[stock.Row] = []
    week: list[stock.Row] = []
    over: list[stock.Row] = []
    later: list[stock.Row] = []
    undated: list[stock.Row] = []
    for row in rows:
        lot = row.lot
        if lot.days_left is None:
            undated.append(row)
        elif lot.urgency is Urgency.EXPIRED:
            over.append(row)
        elif lot.days_left <= 0:
            now.append(row)
        else:
            (week if lot.days_left <= 7 else later).append(row)
    return [
        Group("now", _("Use now"), now, kind="now"),
        Group("over", _("Past their use-by"), over, advice=_("Not to be eaten any more, however good they look.")),
        Group("week", _("This week"), week),
        Group("later", _("Later"), later),
        Group("undated", _("No date"), undated, is_folded=True),
    ]


def _greeting(actor: Actor) -> str:
    hour = clock.local(actor.time_zone).hour
    first_name = actor.name.split()[0]
    if 4 <= hour < 12:
        return _("Good morning, {name}").format(name=first_name)
    if 12 <= hour < 18:
        return _("Good afternoon, {name}").format(name=first_name)
    return _("Good evening, {name}").format(name=first_name)


@router.get("/stock", name="stock:list")
async def list_lots(
    request: Request,
    session: SessionDep,
    actor: ActorDep,
    after: Annotated[str | None, Query(max_length=500)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Do we have it, where, until when?"""
    filters = bind_filters(request, LotFilters)
    page = await stock.list_lots(session, actor, PageRequest(limit=limit, after=after, total=True), filters)
    query = {name: value for name, value in request.query_params.items() if value and name not in {"after", "limit"}}
    context = {
        "page": page,
        "rows": stock.merged(page.items),
        "filters": filters,
        "is_filtered": bool(filters.q or filters.urgency or filters.location or filters.category or filters.product),
        "here": f"/stock?{urlencode(query)}",
        "more": f"/stock?{urlencode({**query, 'after': page.next})}",
    }
    if wants_fragment(request):
        return render(request, "stock/list.html", context, fragment="rows" if after else "stock")
    context |= {
        "blank": Form(),
        "urgencies": [("", _("All"))] + [(member.value, label(member)) for member in Urgency],
        "places": await _places(session, actor),
        "groups": await categories.list_groups(session, actor),
        "sort": f"-{filters.sort}" if filters.descending else filters.sort.value,
        "sorts": [
            (LotSort.EXPIRES_ON.value, _("What is due first")),
            (LotSort.NAME.value, _("By name")),
            (f"-{LotSort.ADDED}", _("Newest first")),
            (LotSort.PURCHASED_ON.value, _("Oldest first")),
        ],
    }
    return render(request, "stock/list.html", context)


@router.get("/stock/lots/{lot_id}", name="stock:detail")
async def detail(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    """One lot and its history."""
    return await _detail_page(request, session, actor, lot_id)


async def _detail_page(
    request: Request,
    session: SessionDep,
    actor: Actor,
    lot_id: UUID,
    *,
    tried: Form[Any] | None = None,
    photo_form: Form[Any] | None = None,
    status_code: int = 200,
) -> Response:
    lot = await stock.get_lot(session, actor, lot_id)
    journal = await events.list_events(session, actor, EVERYTHING, EventFilters(lot=lot_id))
    members = await households.list_members(session, actor, EVERYTHING) if lot.owner_id else None
    context = {
        **await _for_actions(session, actor, lot),
        "date_kind": label(DateKind(lot.date_kind)),
        "events": journal.items,
        **await _for_photos(session, lot_id, photo_form or Form()),
        "owner": next((m.name for m in members.items if str(m.user_id) == str(lot.owner_id)), "") if members else "",
    }
    if tried is not None:
        context["refused"] = context[PARTS.get(request.scope["route"].name, "some")] = tried
    return render(request, "stock/detail.html", context, fragment="lot", status_code=status_code)


@router.get("/stock/lots/{lot_id}/actions", name="stock:actions")
async def actions(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    """Everything one can do with a lot, in a sheet."""
    lot = await stock.get_lot(session, actor, lot_id)
    return render(request, "stock/actions.html", await _for_actions(session, actor, lot), fragment="sheet")


@router.post("/stock/lots/{lot_id}/consume", name="stock:consume")
async def consume(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    return await _act(request, session, actor, LotConsume, stock.consume, _("Used {amount} of {name}."))


@router.post("/stock/lots/{lot_id}/discard", name="stock:discard")
async def discard(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    return await _act(request, session, actor, LotDiscard, stock.discard, _("Binned {amount} of {name}."))


@router.post("/stock/lots/{lot_id}/open", name="stock:open")
async def open_lot(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    return await _act(request, session, actor, LotOpen, stock.open_lot, _("Opened {amount} of {name}."))


@router.post("/stock/lots/{lot_id}/freeze", name="stock:freeze")
async def freeze(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    return await _act(request, session, actor, LotFreeze, stock.freeze, _("Froze {amount} of {name}."))


@router.post("/stock/lots/{lot_id}/thaw", name="stock:thaw")
async def thaw(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    return await _act(request, session, actor, LotThaw, stock.thaw, _("Thawed {amount} of {name}."))


@router.post("/stock/lots/{lot_id}/move", name="stock:move")
async def move(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    return await _act(request, session, actor, LotMove, stock.move, _("{name} is in {place} now."))


@router.post("/stock/lots/{lot_id}/correct", name="stock:correct")
async def correct(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    return await _act(request, session, actor, LotCorrect, stock.correct, _("{name}: counted {left}."))


@router.post("/stock/lots/{lot_id}/snooze", name="stock:snooze")
async def snooze(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    return await _act(request, session, actor, LotSnooze, stock.snooze, _("We keep quiet about {name}."))


@router.post("/stock/lots/{lot_id}/photos", name="stock:photo")
async def add_photo(request: Request, lot_id: UUID, actor: UploadingActorDep) -> Response:
    """Take photos, each for itself: the good ones stay, whatever is wrong with others."""
    sent = await send_each(
        request,
        actor,
        FilePurpose.LOT,
        lambda session, actor, file: files.add_lot_photo(session, actor, lot_id, file),
        max_files=files.MAX_LOT_PHOTOS,
    )
    async with session_scope(read_only=True) as session:
        if sent.file is not None:
            return await _photos_changed(request, session, actor, lot_id, _("The photo is there."))
        if is_htmx(request):
            return await _photos_part(request, session, actor, lot_id, sent.form, status_code=sent.status_code)
        return await _detail_page(request, session, actor, lot_id, photo_form=sent.form, status_code=sent.status_code)


@router.post("/stock/lots/{lot_id}/photos/{file_id}/remove", name="stock:remove_photo")
async def remove_photo(request: Request, lot_id: UUID, file_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await files.remove_lot_photo(session, actor, lot_id, file_id)
    return await _photos_changed(request, session, actor, lot_id, _("Removed."))


async def _photos_changed(request: Request, session: AsyncSession, actor: Actor, lot_id: UUID, said: str) -> Response:
    answer = await _photos_part(request, session, actor, lot_id, Form()) if is_htmx(request) else None
    return done(request, Toast(said), to=f"/stock/lots/{lot_id}", answer=answer, event="photos:changed")


async def _photos_part(
    request: Request, session: AsyncSession, actor: Actor, lot_id: UUID, form: Form[Any], *, status_code: int = 200
) -> Response:
    context = {"lot": await stock.get_lot(session, actor, lot_id), **await _for_photos(session, lot_id, form)}
    return render(request, "stock/photos.html", context, fragment="photos", status_code=status_code)


async def _for_photos(session: AsyncSession, lot_id: UUID, form: Form[Any]) -> dict[str, Any]:
    photos = await files.list_lot_photos(session, lot_id)
    return {"photos": photos, "photo_form": form, "photo_room": max(0, files.MAX_LOT_PHOTOS - len(photos))}


@router.get("/stock/lots/{lot_id}/edit", name="stock:edit")
async def edit_form(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    lot = await stock.get_lot(session, actor, lot_id)
    return await _edit_page(request, session, actor, lot, Form())


@router.post("/stock/lots/{lot_id}/edit", name="stock:edit")
async def edit(request: Request, lot_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind_edit(request, LotUpdate)
    booked = await form.attempt(session, lambda data: stock.edit(session, actor, lot_id, data))
    if booked is None:
        lot = await stock.get_lot(session, actor, lot_id)
        return await _edit_page(request, session, actor, lot, form, status_code=422)
    return _booked(request, booked, _("{name} is up to date."))


async def _edit_page(
    request: Request,
    session: SessionDep,
    actor: Actor,
    lot: LotRead,
    form: Form[LotUpdate],
    *,
    status_code: int = 200,
) -> Response:
    members = await households.list_members(session, actor, EVERYTHING)
    context = {
        "lot": lot,
        "form": form,
        "date_kinds": choices(DateKind),
        "stores": await dictionary.options(session, "store"),
        "members": [(member.user_id, member.name) for member in members.items],
    }
    return render(request, "stock/edit.html", context, fragment="edit_form", status_code=status_code)


async def _act(
    request: Request,
    session: SessionDep,
    actor: Actor,
    schema: type[S],
    act: Callable[[AsyncSession, Actor, UUID, S], Awaitable[stock.Booked]],
    said: str,
) -> Response:
    """Do what one of the small forms about a lot asks for."""
    lot_id = UUID(request.path_params["lot_id"])
    # A question that is answered with yes repeats in its address what was asked for.
    form = parse(schema, {**request.query_params, **await read(request)})
    try:
        booked = await form.act(request, session, lambda data: act(session, actor, lot_id, data))
    except Conflict as error:
        if error.code != "confirm":
            raise
        asked = {name: value for name, value in form.values.items() if name in schema.model_fields}
        return _ask(request, str(error), f"{request.url.path}?{urlencode({**asked, 'confirm': 'true'})}")
    if booked is None:
        return await _detail_page(
            request, session, actor, lot_id, tried=form, status_code=409 if "" in form.errors else 422
        )
    return _booked(request, booked, said)


async def _for_actions(session: SessionDep, actor: Actor, lot: LotRead) -> dict[str, Any]:
    today = clock.today(actor.time_zone)
    return {
        "lot": lot,
        "refused": Form(),
        "some": Form(),
        "elsewhere": Form(),
        "count": Form(),
        "units": await units.list_choices(session, actor, lot.product.unit),
        "places": [place for place in await _places(session, actor) if str(place[0]) != str(lot.location.id)],
        "reasons": choices(DiscardReason),
        "snoozes": _snoozes(today),
    }


def _snoozes(today: date) -> list[tuple[date, str]]:
    days = [(1, _("Tomorrow")), (3, _("In 3 days")), (7, _("In a week")), (30, _("In a month"))]
    return [(today + timedelta(days=count), text) for count, text in days]


async def _places(session: SessionDep, actor: Actor) -> list[tuple[UUID, str]]:
    return [(location.id, location.path) for location in await locations.read_tree(session, actor)]


def _booked(request: Request, booked: stock.Booked, message: str) -> Response:
    product = booked.lot.product
    quantity = amount(plain(booked.quantity), product.unit, product.unit_name, product.unit_plural)
    said = message.format(
        amount=quantity,
        name=product.name,
        place=booked.lot.location.name,
        left=amount(booked.lot.quantity, product.unit, product.unit_name, product.unit_plural),
    )
    # Not back into a form about what was done.
    lot_page = f"/stock/lots/{request.path_params['lot_id']}"
    to = back(request, "/")
    to = lot_page if to.startswith(lot_page) else to
    response = done(request, undo_toast(said, booked.event_id), to=to)
    return trigger(response, {"sheet:close": True}) if response.status_code == 204 else response


def _ask(request: Request, question: str, action: str) -> Response:
    toast = Toast(question, "question", action=action, label=_("Freeze it"))
    return done(request, toast, to=back(request, "/"))
