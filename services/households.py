"""Households, who belongs to them in which role, and how others are invited.

A household always has exactly one owner.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

from db import unless_taken
from models import Avatar, Household, Invitation, LiveKind, Membership, Role, User, UserSession
from services import audit, chats, locations, outbox
from services.core import clock, file_urls
from services.core.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from services.core.i18n import _
from services.core.ids import hash_token, new_token
from services.core.pagination import Page, PageRequest, by_id, fetch_page
from services.core.text import fold
from services.permissions import RANK, Account, Actor, rank, require
from services.schemas.households import (
    HouseholdCreate,
    HouseholdRead,
    HouseholdUpdate,
    InvitationCreate,
    InvitationCreated,
    InvitationPreview,
    InvitationRead,
    MemberRead,
)

INVITATION_LIFETIME = timedelta(days=7)
MAX_HOUSEHOLDS = 50
_SETTINGS = ("name", "time_zone", "currency", "locale", "soon_days")
MAX_OPEN_INVITATIONS = 50


async def list_households(session: AsyncSession, account: Account, page: PageRequest) -> Page[HouseholdRead]:
    """The households someone belongs to, in the order they joined."""
    statement = (
        sa.select(Household, col(Membership.role)).join(Membership).where(col(Membership.user_id) == account.user_id)
    )
    found = await fetch_page(session, statement, page, by_id(col(Membership.id)))
    return replace(found, items=[_read(household, role) for household, role in found.items])


async def find_first(session: AsyncSession, account: Account) -> UUID | None:
    """The household to show to someone whose device has not chosen one."""
    statement = (
        select(Membership.household_id).where(Membership.user_id == account.user_id).order_by(col(Membership.id))
    )
    return (await session.scalars(statement)).first()


async def get_household(session: AsyncSession, actor: Actor) -> HouseholdRead:
    return _read(await session.get_one(Household, actor.household_id), actor.role)


async def create_household(session: AsyncSession, maker: Account | User, data: HouseholdCreate) -> HouseholdRead:
    """A household with its first places and its first chat; its maker owns it."""
    user_id = audit.id_of(maker)
    count = await session.scalars(select(sa.func.count()).select_from(Membership).where(Membership.user_id == user_id))
    if count.one() >= MAX_HOUSEHOLDS:
        raise Conflict(_("You can belong to {count} households.").format(count=MAX_HOUSEHOLDS))
    household = Household(**data.model_dump(exclude_none=True))
    session.add(household)
    await session.flush()  # members, places and chats refer to it
    session.add(Membership(household_id=household.id, user_id=user_id, role=Role.OWNER))
    session.add_all([*locations.first_locations(household.id), chats.first_chat(household)])
    _record(session, "households:create", household, by=maker, after=audit.snapshot(household, _SETTINGS))
    await session.flush()
    return _read(household, Role.OWNER)


async def edit_household(session: AsyncSession, actor: Actor, data: HouseholdUpdate) -> HouseholdRead:
    household = await session.get_one(Household, actor.household_id)
    before = audit.snapshot(household, _SETTINGS)
    household.sqlmodel_update(data.model_dump(exclude_unset=True, exclude_none=True))
    after = audit.snapshot(household, _SETTINGS)
    _record(session, "households:edit", household, by=actor, before=before, after=after)
    await look_again(session, household.id)
    return _read(household, actor.role)


async def delete_household(session: AsyncSession, actor: Actor, *, name: str) -> None:
    """For good, with all that is in it. `name` must repeat its name."""
    household = await session.get_one(Household, actor.household_id)
    if fold(name) != fold(household.name):
        raise InvalidInput({"name": _("Type the household's name to delete it.")})
    await erase(session, household, by=actor)


async def erase(session: AsyncSession, household: Household, *, by: Account) -> None:
    _record(session, "households:delete", household, by=by, before=audit.snapshot(household, _SETTINGS))
    await session.execute(delete(Household).where(col(Household.id) == household.id))


async def list_members(session: AsyncSession, actor: Actor, page: PageRequest) -> Page[MemberRead]:
    statement = (
        sa.select(Membership, User, col(Avatar.file_id))
        .select_from(Membership)
        .join(User)
        .outerjoin(Avatar, col(Avatar.user_id) == col(User.id))
        .where(col(Membership.household_id) == actor.household_id)
    )
    found = await fetch_page(session, statement, page, by_id(col(Membership.id)))
    return replace(found, items=[_read_member(*row) for row in found.items])


async def change_role(session: AsyncSession, actor: Actor, user_id: UUID, role: Role) -> MemberRead:
    """Give a member another role; `owner` hands the household over, and makes its owner an admin."""
    actor = await _lock(session, actor)
    require(actor, "members:edit")
    membership, user = await _get_member(session, actor, user_id)
    if role is membership.role:
        return await _shown_member(session, membership, user)
    if role is Role.OWNER:
        require(actor, "members:transfer_ownership")
        own, owner = await _get_member(session, actor, actor.user_id)
        _record_role(session, actor, own, owner, Role.ADMIN)
        own.role = Role.ADMIN
    elif membership.role is Role.OWNER:
        raise Conflict(_("A household needs an owner. Hand it over to somebody first."))
    _record_role(session, actor, membership, user, role)
    membership.role = role
    return await _shown_member(session, membership, user)


async def remove_member(session: AsyncSession, actor: Actor, user_id: UUID) -> None:
    """Let a member go, or leave oneself."""
    actor = await _lock(session, actor)
    membership, user = await _get_member(session, actor, user_id)
    if user_id != actor.user_id:
        require(actor, "members:remove_others")
    if membership.role is Role.OWNER:
        raise Conflict(_("A household needs an owner. Hand it over to somebody first."))
    before = {"role": membership.role}
    audit.record(session, "members:remove", by=actor, subject=membership, subject_name=user.name, before=before)
    await end_membership(session, membership)


async def end_membership(session: AsyncSession, membership: Membership) -> None:
    """And let the former member's devices know, which may show the household."""
    user_id, household_id = membership.user_id, membership.household_id
    await session.delete(membership)
    await session.flush()
    await chats.forget_member(session, household_id, user_id)
    outbox.tell(session, LiveKind.MEMBER_REMOVED, user_id=user_id, subject_id=household_id)
    await session.execute(
        update(UserSession)
        .where(col(UserSession.user_id) == user_id, col(UserSession.household_id) == household_id)
        .values(household_id=None)
    )


async def list_invitations(session: AsyncSession, actor: Actor, page: PageRequest) -> Page[InvitationRead]:
    """Those that can still be accepted, newest first."""
    statement = (
        sa.select(Invitation, col(User.name))
        .outerjoin(User, col(User.id) == col(Invitation.invited_by_id))
        .where(col(Invitation.household_id) == actor.household_id, *_open())
    )
    found = await fetch_page(session, statement, page, by_id(col(Invitation.id)), descending=True)
    return replace(
        found, items=[InvitationRead(**invitation.model_dump(), invited_by=name) for invitation, name in found.items]
    )


async def invite(session: AsyncSession, actor: Actor, data: InvitationCreate, *, base_url: str) -> InvitationCreated:
    """Make a link with which one person can join. Nobody can give more than they have."""
    actor = await _lock(session, actor)
    require(actor, "invitations:create")
    if RANK[data.role] > rank(actor):
        raise PermissionDenied(_("You cannot give a role above your own."))
    waiting = select(sa.func.count()).select_from(Invitation)
    if (await session.scalars(waiting.where(col(Invitation.household_id) == actor.household_id, *_open()))).one() >= (
        MAX_OPEN_INVITATIONS
    ):
        raise Conflict(_("Too many invitations are open. Withdraw some first."))
    token = new_token()
    invitation = Invitation(
        household_id=actor.household_id,
        role=data.role,
        email=data.email,
        token_hash=hash_token(token),
        invited_by_id=actor.user_id,
        expires_at=clock.now() + INVITATION_LIFETIME,
    )
    session.add(invitation)
    _record_invitation(session, "invitations:create", invitation, by=actor)
    await session.flush()
    return InvitationCreated(
        **invitation.model_dump(), invited_by=actor.name, token=token, url=f"{base_url}/invitations/{token}"
    )


async def revoke_invitation(session: AsyncSession, actor: Actor, invitation_id: UUID) -> None:
    revoked = await session.execute(
        delete(Invitation)
        .where(col(Invitation.household_id) == actor.household_id, col(Invitation.id) == invitation_id)
        .returning(Invitation)
    )
    invitation: Invitation | None = revoked.scalar_one_or_none()
    if invitation is None:
        raise NotFound(_("There is no such invitation."))
    _record_invitation(session, "invitations:revoke", invitation, by=actor)


async def preview_invitation(session: AsyncSession, token: str) -> InvitationPreview:
    """Raises `NotFound` for one that is unknown, withdrawn, used or over."""
    statement = (
        sa.select(Invitation, col(Household.name), col(User.name))
        .join(Household)
        .outerjoin(User, col(User.id) == col(Invitation.invited_by_id))
        .where(col(Invitation.token_hash) == hash_token(token), *_open())
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(_("This invitation was used, withdrawn, or is over. Ask for a new one."))
    invitation, household_name, invited_by = row
    return InvitationPreview(**invitation.model_dump(), household_name=household_name, invited_by=invited_by)


async def accept_invitation(session: AsyncSession, guest: Account | User, token: str) -> HouseholdRead:
    """Join with the invitation's role. It works once; someone who is a member already keeps their role."""
    await preview_invitation(session, token)
    taken = await session.execute(
        update(Invitation)
        .where(col(Invitation.token_hash) == hash_token(token), *_open())
        .values(accepted_at=clock.now())
        .returning(Invitation)
    )
    invitation: Invitation | None = taken.scalar_one_or_none()
    if invitation is None:
        raise NotFound(_("This invitation was used, withdrawn, or is over. Ask for a new one."))
    if invitation.email and invitation.email != guest.email:
        raise PermissionDenied(_("This invitation is for another e-mail address."))
    user_id = audit.id_of(guest)
    membership = Membership(household_id=invitation.household_id, user_id=user_id, role=invitation.role)
    async with unless_taken(session, Conflict(_("You already belong to this household."))):
        session.add(membership)
    await chats.welcome(session, membership.household_id, user_id)
    joined = {"role": membership.role}
    audit.record(session, "invitations:accept", by=guest, subject=membership, subject_name=guest.name, after=joined)
    await look_again(session, invitation.household_id)
    household = await session.get_one(Household, invitation.household_id)
    return _read(household, invitation.role)


async def look_again(session: AsyncSession, household_id: UUID) -> None:
    """Let the next sweep look at a household: something changed that decides what its members are told, and when."""
    await session.execute(
        update(Household)
        .where(col(Household.id) == household_id, col(Household.next_sweep_at) > clock.now())
        .values(next_sweep_at=clock.now())
    )


def _record(session: AsyncSession, action: str, household: Household, *, by: Account | User, **changes: Any) -> None:
    audit.record(session, action, by=by, subject=household, household_id=household.id, **changes)


def _record_role(session: AsyncSession, actor: Actor, membership: Membership, user: User, role: Role) -> None:
    changes: dict[str, Any] = {"before": {"role": membership.role}, "after": {"role": role}}
    audit.record(session, "members:edit", by=actor, subject=membership, subject_name=user.name, **changes)


def _record_invitation(session: AsyncSession, action: str, invitation: Invitation, *, by: Actor) -> None:
    after = audit.snapshot(invitation, ("role", "email", "expires_at"))
    audit.record(session, action, by=by, subject=invitation, after=after)


def _open() -> tuple[sa.ColumnElement[bool], ...]:
    return col(Invitation.accepted_at).is_(None), col(Invitation.expires_at) > clock.now()


async def _lock(session: AsyncSession, actor: Actor) -> Actor:
    """Let membership changes of one household wait for each other, and see who the actor is by now.

    Two at once could leave it with two owners, or with none.
    """
    await session.scalars(select(Household.id).where(Household.id == actor.household_id).with_for_update())
    if actor.role is None:
        return actor
    own, _user = await _get_member(session, actor, actor.user_id)
    return replace(actor, role=own.role)


async def _get_member(session: AsyncSession, actor: Actor, user_id: UUID) -> tuple[Membership, User]:
    statement = (
        sa.select(Membership, User)
        .join(User)
        .where(col(Membership.household_id) == actor.household_id, col(Membership.user_id) == user_id)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(_("There is no such member."))
    return row[0], row[1]


def _read(household: Household, role: Role | None) -> HouseholdRead:
    return HouseholdRead(**household.model_dump(), role=role)


async def _shown_member(session: AsyncSession, membership: Membership, user: User) -> MemberRead:
    avatar = await session.get(Avatar, user.id)
    return _read_member(membership, user, avatar.file_id if avatar else None)


def _read_member(membership: Membership, user: User, picture_id: UUID | None) -> MemberRead:
    return MemberRead(
        user_id=user.id,
        name=user.name,
        email=user.email,
        role=membership.role,
        joined_at=membership.joined_at,
        avatar_url=file_urls.address(picture_id, "small") if picture_id else None,
    )
