"""Households, members, roles, invitations."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import Household, Lot, Membership, Role, UserSession
from services import households
from services.core import clock
from services.core.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from services.core.pagination import PageRequest
from services.permissions import Actor
from services.schemas.households import HouseholdCreate, HouseholdUpdate, InvitationCreate
from tests.conftest import HOUSEHOLD, NOW
from tests.factories import make_lot

ALL = PageRequest(limit=200)
BASE = "https://larder.example"


async def roles(session: AsyncSession) -> dict[UUID, Role]:
    members = await session.scalars(
        select(Membership).where(Membership.household_id == HOUSEHOLD).execution_options(populate_existing=True)
    )
    return {member.user_id: member.role for member in members}


async def test_its_maker_owns_a_household(session: AsyncSession, sam: Actor) -> None:
    made = await households.create_household(session, sam, HouseholdCreate(name="Staff kitchen"))

    assert made.role is Role.OWNER
    listed = await households.list_households(session, sam, ALL)
    assert [household.name for household in listed.items] == ["Staff kitchen"]


async def test_ownership_is_handed_over_and_stays_single(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await households.change_role(session, alice, bob.user_id, Role.OWNER)

    now = await roles(session)
    assert (now[alice.user_id], now[bob.user_id]) == (Role.ADMIN, Role.OWNER)
    # Alice's request was on its way when she was still the owner.
    with pytest.raises(PermissionDenied):
        await households.change_role(session, alice, alice.user_id, Role.OWNER)


async def test_the_owner_cannot_be_demoted_removed_or_leave(session: AsyncSession, alice: Actor, dora: Actor) -> None:
    for attempt in (
        lambda: households.change_role(session, dora, alice.user_id, Role.MEMBER),
        lambda: households.change_role(session, alice, alice.user_id, Role.MEMBER),
        lambda: households.remove_member(session, dora, alice.user_id),
        lambda: households.remove_member(session, alice, alice.user_id),
    ):
        with pytest.raises(Conflict, match="needs an owner"):
            await attempt()


async def test_admins_do_not_make_owners(session: AsyncSession, dora: Actor, bob: Actor) -> None:
    with pytest.raises(PermissionDenied):
        await households.change_role(session, dora, bob.user_id, Role.OWNER)


async def test_members_leave_but_do_not_remove_others(
    session: AsyncSession, bob: Actor, vera: Actor, charlie: Actor
) -> None:
    with pytest.raises(PermissionDenied):
        await households.remove_member(session, bob, vera.user_id)
    with pytest.raises(NotFound):
        await households.remove_member(session, bob, charlie.user_id)

    await households.remove_member(session, vera, vera.user_id)

    assert vera.user_id not in await roles(session)
    shown = await session.scalar(select(UserSession.household_id).where(UserSession.id == vera.session_id))
    assert shown is None


async def test_an_invitation_lets_one_person_join_with_its_role(
    session: AsyncSession, alice: Actor, charlie: Actor, sam: Actor
) -> None:
    made = await households.invite(session, alice, InvitationCreate(role=Role.VIEWER), base_url=BASE)
    assert made.url == f"{BASE}/invitations/{made.token}"

    joined = await households.accept_invitation(session, charlie, made.token)

    assert (joined.id, joined.role) == (HOUSEHOLD, Role.VIEWER)
    with pytest.raises(NotFound):
        await households.accept_invitation(session, sam, made.token)


async def test_an_invitation_for_one_address_serves_no_other(
    session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    made = await households.invite(session, alice, InvitationCreate(email="erin@example.com"), base_url=BASE)

    with pytest.raises(PermissionDenied):
        async with session.begin_nested():
            await households.accept_invitation(session, charlie, made.token)

    preview = await households.preview_invitation(session, made.token)
    assert (preview.household_name, preview.role, preview.invited_by) == ("Home", Role.MEMBER, "Alice")


async def test_invitations_end_after_a_week_or_when_withdrawn(
    session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    old = await households.invite(session, alice, InvitationCreate(), base_url=BASE)
    withdrawn = await households.invite(session, alice, InvitationCreate(), base_url=BASE)
    await households.revoke_invitation(session, alice, withdrawn.id)

    with pytest.raises(NotFound):
        await households.preview_invitation(session, withdrawn.token)
    with clock.frozen(NOW + timedelta(days=7, seconds=1)), pytest.raises(NotFound):
        await households.accept_invitation(session, charlie, old.token)
    with pytest.raises(NotFound):
        await households.revoke_invitation(session, charlie, old.id)


async def test_nobody_invites_above_their_own_role(session: AsyncSession, dora: Actor) -> None:
    await households.invite(session, dora, InvitationCreate(role=Role.ADMIN), base_url=BASE)

    await session.execute(sa.update(Membership).where(col(Membership.user_id) == dora.user_id).values(role=Role.MEMBER))
    with pytest.raises(PermissionDenied):
        await households.invite(session, dora, InvitationCreate(role=Role.MEMBER), base_url=BASE)


async def test_someone_who_belongs_already_keeps_their_role(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    made = await households.invite(session, alice, InvitationCreate(role=Role.VIEWER), base_url=BASE)

    with pytest.raises(Conflict, match="already"):
        async with session.begin_nested():
            await households.accept_invitation(session, bob, made.token)

    assert (await roles(session))[bob.user_id] is Role.MEMBER


async def test_a_household_is_deleted_with_all_that_is_in_it(session: AsyncSession, alice: Actor) -> None:
    await make_lot(session, alice)
    with pytest.raises(InvalidInput):
        await households.delete_household(session, alice, name="Somebody else's")

    await households.delete_household(session, alice, name=" home ")

    assert await session.scalar(select(Household.id).where(Household.id == HOUSEHOLD)) is None
    assert await session.scalar(select(Lot.id).where(Lot.household_id == HOUSEHOLD)) is None


async def test_todays_date_is_the_households(session: AsyncSession, alice: Actor) -> None:
    await households.edit_household(session, alice, HouseholdUpdate(time_zone="Pacific/Auckland", soon_days=0))

    household = await session.get_one(Household, HOUSEHOLD)

    assert (household.time_zone, household.soon_days) == ("Pacific/Auckland", 0)
    with clock.frozen(NOW.replace(hour=12)):
        there = replace(alice, time_zone=household.time_zone)
        lot = await make_lot(session, there, product="Milk")
        assert str(lot.purchased_on) == "2026-11-23"
