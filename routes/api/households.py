"""Households, members and invitations: /households."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request

from routes.api.routers import account_router, household_router
from routes.deps import AccountDep, ActorDep, PageDep, SessionDep
from routes.urls import base_url
from services import households
from services.core.pagination import Page
from services.schemas.households import (
    HouseholdCreate,
    HouseholdRead,
    HouseholdUpdate,
    InvitationCreate,
    InvitationCreated,
    InvitationRead,
    MemberRead,
    MemberUpdate,
)
from services.schemas.types import PageOf

own_router = account_router("households", errors=(401, 404, 409, 422))
router = household_router("households")


@own_router.get("/households", response_model=PageOf[HouseholdRead], name="households:list")
async def list_households(session: SessionDep, account: AccountDep, page: PageDep) -> Page[HouseholdRead]:
    """The households you belong to."""
    return await households.list_households(session, account, page)


@own_router.post("/households", response_model=HouseholdRead, status_code=201, name="households:create")
async def create(body: HouseholdCreate, session: SessionDep, account: AccountDep) -> HouseholdRead:
    """Make a household. You own it; it begins with a pantry, a fridge and a freezer."""
    return await households.create_household(session, account, body)


@own_router.post("/invitations/{token}/accept", response_model=HouseholdRead, name="invitations:accept")
async def accept(token: str, session: SessionDep, account: AccountDep) -> HouseholdRead:
    """Join the household you were invited to."""
    return await households.accept_invitation(session, account, token)


@router.get("", response_model=HouseholdRead, name="households:detail")
async def get_household(session: SessionDep, actor: ActorDep) -> HouseholdRead:
    """One household and your role in it."""
    return await households.get_household(session, actor)


@router.patch("", response_model=HouseholdRead, name="households:edit")
async def edit(body: HouseholdUpdate, session: SessionDep, actor: ActorDep) -> HouseholdRead:
    """Change a household's name, time zone, currency, language, or how early it is warned."""
    return await households.edit_household(session, actor, body)


@router.delete("", status_code=204, name="households:delete")
async def delete(
    session: SessionDep, actor: ActorDep, name: Annotated[str | None, Query(description="Its name, to be sure.")] = None
) -> None:
    """Delete a household for good, with everything in it."""
    await households.delete_household(session, actor, name=actor.household_name if name is None else name)


@router.get("/members", response_model=PageOf[MemberRead], name="members:list")
async def list_members(session: SessionDep, actor: ActorDep, page: PageDep) -> Page[MemberRead]:
    """Who belongs to the household."""
    return await households.list_members(session, actor, page)


@router.patch("/members/{user_id}", response_model=MemberRead, name="members:edit")
async def change_role(user_id: UUID, body: MemberUpdate, session: SessionDep, actor: ActorDep) -> MemberRead:
    """Give a member another role, or hand the household over to them."""
    return await households.change_role(session, actor, user_id, body.role)


@router.delete("/members/{user_id}", status_code=204, name="members:remove")
async def remove(user_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Let a member go, or leave yourself."""
    await households.remove_member(session, actor, user_id)


@router.get("/invitations", response_model=PageOf[InvitationRead], name="invitations:list")
async def list_invitations(session: SessionDep, actor: ActorDep, page: PageDep) -> Page[InvitationRead]:
    """Invitations that can still be accepted."""
    return await households.list_invitations(session, actor, page)


@router.post("/invitations", response_model=InvitationCreated, status_code=201, name="invitations:create")
async def invite(body: InvitationCreate, request: Request, session: SessionDep, actor: ActorDep) -> InvitationCreated:
    """Make a link with which one person can join, within seven days."""
    return await households.invite(session, actor, body, base_url=base_url(request))


@router.delete("/invitations/{invitation_id}", status_code=204, name="invitations:revoke")
async def revoke(invitation_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Withdraw an invitation."""
    await households.revoke_invitation(session, actor, invitation_id)
