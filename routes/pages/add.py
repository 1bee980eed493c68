"""Adding to the stock: a form that stays open between items."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from models import DateKind
from routes.deps import ActorDep, SessionDep
from routes.forms import Form, bind, bind_filters
from routes.idempotent import once
from routes.rendering import is_htmx, redirect, render, trigger, undo_toast, wants_fragment
from services import dictionary, events, locations, quick_add, units
from services.core import clock
from services.core.errors import InvalidInput
from services.core.i18n import _
from services.core.ids import new_id
from services.permissions import Actor
from services.quick_add import Draft, Proposal, QuickAdd
from services.schemas.types import Line
from services.wording import amount, choices, day, suggested

router = APIRouter(include_in_schema=False)


@router.get("/stock/suggest", name="stock:suggest")
async def suggest(
    request: Request, session: SessionDep, actor: ActorDep, name: Annotated[Line, Query()] = ""
) -> Response:
    """Names for what was typed so far."""
    if not wants_fragment(request):
        return redirect(request, "/stock/add")
    options = await quick_add.suggest(session, actor, name)
    return render(request, "stock/options.html", {"options": options})


@router.get("/stock/add", name="stock:add")
async def add_form(request: Request, session: SessionDep, actor: ActorDep, group: UUID | None = None) -> Response:
    return await _page(request, session, actor, Form(), group=group or new_id())


@router.get("/stock/add/fields", name="stock:add")
async def fields(request: Request, session: SessionDep, actor: ActorDep, keep_place: bool = False) -> Response:
    """The rest of the form, as it fits what is being added."""
    if not wants_fragment(request):
        return redirect(request, "/stock/add")
    proposal = await quick_add.propose(session, actor, bind_filters(request, Draft), keep_place=keep_place)
    form: Form[QuickAdd] = Form(values={"expires": request.query_params.get("expires", "")})
    return render(request, "stock/add.html", await _fields(session, actor, form, proposal), fragment="add_fields")


@router.get("/stock/add/date", name="stock:add")
async def say_date(request: Request, actor: ActorDep, expires: Annotated[str, Query(max_length=40)] = "") -> Response:
    """What a typed date means."""
    if not wants_fragment(request):
        return redirect(request, "/stock/add")
    try:
        on = quick_add.read_date(actor, expires)
        said = (day(on, year=True) if on else _("No date")) if expires.strip() else ""
    except InvalidInput as error:
        said = error.fields["expires"]
    return render(request, "stock/said.html", {"said": said})


@router.post("/stock/add", name="stock:add")
async def add(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind(request, QuickAdd)
    key = form.value("idempotency_key")
    return await once(request, session, actor, key, lambda: _add(request, session, actor, form))


async def _add(request: Request, session: AsyncSession, actor: Actor, form: Form[QuickAdd]) -> Response:
    group = _group(form)
    added = await form.attempt(session, lambda data: quick_add.add(session, actor, data, group_id=group))
    if added is None:
        return await _page(request, session, actor, form, group=group, status_code=422)

    if is_htmx(request):
        # Place and shop stay for the next item; what was added is listed below, with its undo.
        kept: Form[QuickAdd] = Form(values={name: form.value(name) for name in ("store", "location_id")})
        return trigger(await _page(request, session, actor, kept, group=group), {"stock:changed": True})
    product = added.lot.product
    quantity = amount(added.lot.quantity, product.unit, product.unit_name, product.unit_plural)
    said = _("{amount} of {name} added.").format(amount=quantity, name=product.name)
    return redirect(request, f"/stock/add?group={group}", toast=undo_toast(said, added.event_id))


async def _page(
    request: Request, session: AsyncSession, actor: Actor, form: Form[Any], *, group: UUID, status_code: int = 200
) -> Response:
    given = {name: form.values[name] for name in Draft.model_fields if form.values.get(name)}
    try:
        draft = Draft.model_validate(given)
    except ValueError:
        draft = Draft()
    proposal = await quick_add.propose(session, actor, draft, keep_place=True)
    added = await events.list_group(session, actor, group)
    context = {
        **await _fields(session, actor, form, proposal),
        "group": group,
        "added": [event for event in reversed(added) if event.kind == "add"],
        "date_kinds": choices(DateKind),
        "stores": await dictionary.options(session, "store"),
    }
    return render(request, "stock/add.html", context, fragment="add", status_code=status_code)


async def _fields(session: SessionDep, actor: Actor, form: Form[Any], proposal: Proposal) -> dict[str, Any]:
    suggestion = proposal.suggestion
    estimate = f"{day(suggestion.expires_on, year=True)} · {suggested(suggestion)}" if suggestion else _("no date")
    return {
        "form": form,
        "proposal": proposal,
        "placeholder": estimate,
        "units": await units.list_choices(session, actor),
        "places": [(place.id, place.path) for place in await locations.read_tree(session, actor)],
        "chips": [
            ("+3d", _("+3d")),
            ("+1w", _("+1w")),
            ("+1m", _("+1m")),
            ("e", _("end of month")),
            ("x", _("none")),
        ],
        "today": clock.today(actor.time_zone),
    }


def _group(form: Form[Any]) -> UUID:
    try:
        return UUID(form.value("group"))
    except ValueError:
        return new_id()
