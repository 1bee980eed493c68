"""The household: its settings, members, invitations and places."""

from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from babel.numbers import list_currencies
from fastapi import APIRouter, Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from models import LocationKind, Role, UnitKind
from routes.deps import AccountDep, ActorDep, SessionDep, VisitorDep
from routes.forms import Form, bind, bind_edit
from routes.idempotent import once
from routes.rendering import Toast, redirect, render, safe_next
from routes.urls import base_url
from services import categories, households, locations, sessions, units
from services.core.errors import NotFound
from services.core.i18n import _, parse_locale
from services.core.pagination import PageRequest
from services.permissions import RANK, Account, Actor, rank
from services.schemas.households import HouseholdForm, HouseholdUpdate, InvitationCreate, MemberUpdate
from services.schemas.types import Schema
from services.schemas.words import CategoryCreate, LocationCreate, LocationUpdate, UnitCreate
from services.wording import choices, label

router = APIRouter(include_in_schema=False)

EVERYBODY = PageRequest(limit=200)
LOCALES = ("en", "en-GB", "en-US", "de", "de-AT", "de-CH", "fr", "es", "it", "nl", "pl", "pt", "sv", "da", "ar", "he")


class Switch(Schema):
    household_id: UUID


class Deletion(Schema):
    name: str = Field(max_length=100)


@router.get("/household", name="households:detail")
async def detail(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    return await _page(request, session, actor)


@router.post("/household", name="households:edit")
async def edit(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind_edit(request, HouseholdUpdate, required=frozenset({"name"}))
    edited = await form.attempt(session, lambda data: households.edit_household(session, actor, data))
    if edited is None:
        return await _page(request, session, actor, settings_form=form, status_code=422)
    return redirect(request, "/household", toast=Toast(_("Saved.")))


@router.post("/household/delete", name="households:delete")
async def delete(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind(request, Deletion)
    await form.attempt(session, lambda data: households.delete_household(session, actor, name=data.name))
    if not form.is_valid:
        return await _page(request, session, actor, deletion_form=form, status_code=422)
    return redirect(request, "/", toast=Toast(_("The household is gone.")))


@router.get("/households", name="households:list")
async def list_households(request: Request, session: SessionDep, account: AccountDep) -> Response:
    """The households one can switch to."""
    page = await households.list_households(session, account, EVERYBODY)
    return render(request, "household/list.html", {"households": page.items}, fragment="others")


@router.get("/households/new", name="households:create")
async def create_form(request: Request, account: AccountDep, next: str = "/") -> Response:
    return _new_page(request, Form(values={"next": next}))


@router.post("/households/new", name="households:create")
async def create(request: Request, session: SessionDep, account: AccountDep) -> Response:
    form = await bind(request, HouseholdForm)
    key = form.value("idempotency_key")
    return await once(request, session, account, key, lambda: _create(request, session, account, form))


async def _create(request: Request, session: AsyncSession, account: Account, form: Form[HouseholdForm]) -> Response:
    household = await form.attempt(session, lambda data: households.create_household(session, account, data))
    if household is None:
        return _new_page(request, form, status_code=422)
    await sessions.switch_household(session, account, household.id)
    toast = Toast(_("Welcome to {name}.").format(name=household.name))
    return redirect(request, safe_next(form.value("next")), toast=toast)


def _new_page(request: Request, form: Form[Any], *, status_code: int = 200) -> Response:
    context = {"form": form, "next": safe_next(form.value("next"))}
    return render(request, "household/new.html", context, status_code=status_code)


@router.post("/households/switch", name="households:switch")
async def switch(request: Request, session: SessionDep, account: AccountDep) -> Response:
    data = (await bind(request, Switch)).checked()
    page = await households.list_households(session, account, EVERYBODY)
    household = next((h for h in page.items if h.id == data.household_id), None)
    if household is None:
        raise NotFound(_("There is no such household."))
    await sessions.switch_household(session, account, household.id)
    return redirect(request, "/", toast=Toast(_("You are in {name} now.").format(name=household.name)))


@router.post("/household/members/{user_id}/role", name="members:edit")
async def change_role(request: Request, user_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    data = (await bind(request, MemberUpdate)).checked()
    member = await households.change_role(session, actor, user_id, data.role)
    said = _("{name} is {role} now.").format(name=member.name, role=label(member.role))
    return redirect(request, "/household", toast=Toast(said))


@router.post("/household/members/{user_id}/remove", name="members:remove")
async def remove(request: Request, user_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await households.remove_member(session, actor, user_id)
    if user_id == actor.user_id:
        return redirect(request, "/", toast=Toast(_("You left {name}.").format(name=actor.household_name)))
    return redirect(request, "/household", toast=Toast(_("Removed.")))


@router.post("/household/invitations", name="invitations:create")
async def invite(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind(request, InvitationCreate)
    created = await form.attempt(
        session, lambda data: households.invite(session, actor, data, base_url=base_url(request))
    )
    status_code = 200 if created else 422
    return await _page(request, session, actor, invitation_form=form, invitation=created, status_code=status_code)


@router.post("/household/invitations/{invitation_id}/revoke", name="invitations:revoke")
async def revoke(request: Request, invitation_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await households.revoke_invitation(session, actor, invitation_id)
    return redirect(request, "/household", toast=Toast(_("Invitation withdrawn.")))


@router.get("/invitations/{token}", name="invitations:preview")
async def preview(request: Request, token: str, session: SessionDep, _visitor: VisitorDep) -> Response:
    """What an invitation leads to, for whoever holds the link."""
    invitation = await households.preview_invitation(session, token)
    return render(request, "household/invitation.html", {"invitation": invitation, "token": token})


@router.post("/invitations/{token}", name="invitations:accept")
async def accept(request: Request, token: str, session: SessionDep, account: AccountDep) -> Response:
    household = await households.accept_invitation(session, account, token)
    await sessions.switch_household(session, account, household.id)
    return redirect(request, "/", toast=Toast(_("Welcome to {name}.").format(name=household.name)))


@router.get("/household/places", name="locations:list")
async def places(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    return await _places_page(request, session, actor, Form())


@router.post("/household/places", name="locations:create")
async def create_place(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind(request, LocationCreate)
    created = await form.attempt(session, lambda data: locations.create_location(session, actor, data))
    if created is None:
        return await _places_page(request, session, actor, form, status_code=422)
    return redirect(request, "/household/places", toast=Toast(_("Added.")))


@router.post("/household/places/{location_id}", name="locations:edit")
async def edit_place(request: Request, location_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind_edit(request, LocationUpdate, required=frozenset({"name"}))
    edited = await form.attempt(session, lambda data: locations.edit_location(session, actor, location_id, data))
    if edited is None:
        return await _places_page(request, session, actor, Form(), edited=(location_id, form), status_code=422)
    return redirect(request, "/household/places", toast=Toast(_("Saved.")))


@router.post("/household/places/{location_id}/archive", name="locations:archive")
async def archive_place(request: Request, location_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await locations.archive_location(session, actor, location_id)
    return redirect(request, "/household/places", toast=Toast(_("Removed.")))


@router.get("/household/words", name="units:list")
async def words(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    """Units and categories of one's own."""
    return await _words_page(request, session, actor)


@router.post("/household/words/units", name="units:create")
async def create_unit(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind(request, UnitCreate)
    created = await form.attempt(session, lambda data: units.create_unit(session, actor, data))
    if created is None:
        return await _words_page(request, session, actor, unit_form=form, status_code=422)
    return redirect(request, "/household/words", toast=Toast(_("Added.")))


@router.post("/household/words/units/{unit_id}/delete", name="units:delete")
async def delete_unit(request: Request, unit_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await units.delete_unit(session, actor, unit_id)
    return redirect(request, "/household/words", toast=Toast(_("Removed.")))


@router.post("/household/words/categories", name="categories:create")
async def create_category(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind(request, CategoryCreate)
    created = await form.attempt(session, lambda data: categories.create_category(session, actor, data))
    if created is None:
        return await _words_page(request, session, actor, category_form=form, status_code=422)
    return redirect(request, "/household/words", toast=Toast(_("Added.")))


@router.post("/household/words/categories/{category_id}/delete", name="categories:delete")
async def delete_category(request: Request, category_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await categories.delete_category(session, actor, category_id)
    return redirect(request, "/household/words", toast=Toast(_("Removed.")))


async def _page(
    request: Request, session: SessionDep, actor: Actor, *, status_code: int = 200, **forms: Any
) -> Response:
    members = await households.list_members(session, actor, EVERYBODY)
    waiting = None
    if actor.can("invitations:list"):
        waiting = await households.list_invitations(session, actor, EVERYBODY)
    household = await households.get_household(session, actor)
    context = {
        "household": household,
        "members": members.items,
        "waiting": waiting.items if waiting else [],
        "roles": [pair for pair in choices(Role) if pair[0] != Role.OWNER],
        "inviting": [(r.value, label(r)) for r in Role if r is not Role.OWNER and RANK[r] <= rank(actor)],
        "zones": _zones(),
        "currencies": sorted(list_currencies()),
        "locales": languages(household.locale),
        "settings_form": Form(),
        "invitation_form": Form(),
        "deletion_form": Form(),
        "invitation": None,
        **forms,
    }
    return render(request, "household/detail.html", context, status_code=status_code)


async def _places_page(
    request: Request,
    session: SessionDep,
    actor: Actor,
    form: Form[Any],
    *,
    edited: tuple[UUID, Form[Any]] | None = None,
    status_code: int = 200,
) -> Response:
    edited_id, edit_form = edited or (None, Form())
    context = {
        "edited_id": edited_id,
        "edit_form": edit_form,
        "blank": Form(),
        "tree": await locations.read_tree(session, actor),
        "kinds": choices(LocationKind),
        "form": form,
    }
    return render(request, "household/places.html", context, status_code=status_code)


async def _words_page(
    request: Request, session: SessionDep, actor: Actor, *, status_code: int = 200, **forms: Any
) -> Response:
    context = {
        "units": await units.list_own(session, actor),
        "categories": await categories.list_own(session, actor),
        "groups": await categories.list_groups(session, actor),
        "unit_kinds": choices(UnitKind),
        "unit_form": Form(),
        "category_form": Form(),
        **forms,
    }
    return render(request, "household/words.html", context, status_code=status_code)


def languages(chosen: str | None) -> list[tuple[str, str]]:
    """Languages in their own words; what is chosen already stays a choice."""
    tags = LOCALES if not chosen or chosen in LOCALES else (*LOCALES, chosen)
    return [(tag, parse_locale(tag).get_display_name() or tag) for tag in tags]


def _zones() -> list[str]:
    return sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/")))
