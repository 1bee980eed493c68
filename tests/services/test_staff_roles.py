"""Staff roles: what they grant and how far, and that nobody gives away what they do not hold."""

from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import AuditEntry, DataScope, GrantKind, Household, MenuItem, MenuKind, StaffRole, User
from services import reach, staff, staff_roles
from services.core.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from services.permissions import Actor
from services.reach import Reach
from services.schemas.staff_roles import StaffRoleCreate, StaffRoleUpdate
from tests.conftest import HOUSEHOLD, NEXT_DOOR
from tests.factories import load_staff, make_account, make_role

KNOWN = {"panel.user:list", "panel.user:edit", "panel.unit:edit", "roles:assign", "roles:grant", "stock:list"}
PERMISSION = GrantKind.PERMISSION


async def granted(session: AsyncSession, role: StaffRole, kind: GrantKind = PERMISSION) -> set[str]:
    return set((await staff_roles.grants_of(session, role.id))[kind])


async def written(session: AsyncSession) -> list[AuditEntry]:
    await session.flush()
    return list(await session.scalars(select(AuditEntry).order_by(col(AuditEntry.id))))


async def reached(session: AsyncSession, found: Reach) -> set[str]:
    return set(await session.scalars(select(Household.name).where(found.rows(Household))))


async def test_a_role_is_made_granted_assigned_and_taken_back_and_all_is_written_down(
    session: AsyncSession, sam: Actor, tess: Actor
) -> None:
    by = await load_staff(session, sam)
    role = await staff_roles.create(session, by, StaffRoleCreate(code="helper", name="Helper"))
    await staff_roles.set_grants(session, by, role.id, PERMISSION, ["panel.user:list", "stock:list"], known=KNOWN)
    await staff_roles.change_grants(
        session, by, role.id, PERMISSION, add=["panel.unit:edit"], remove=["stock:list"], known=KNOWN
    )
    await staff_roles.assign(session, by, tess.user_id, role.id)

    found = await load_staff(session, tess)
    assert found.reaches.keys() == {"panel.user:list", "panel.unit:edit"}

    await staff_roles.withdraw(session, by, tess.user_id, role.id)
    await staff_roles.remove(session, by, role.id)
    assert not (await load_staff(session, tess)).can("panel.user:list")
    entries = await written(session)
    assert [entry.action for entry in entries] == [
        "roles:create",
        "roles:grant",
        "roles:grant",
        "roles:assign",
        "roles:withdraw",
        "roles:delete",
    ]
    assert {entry.actor_id for entry in entries} == {sam.user_id}
    assert (entries[2].before, entries[2].after) == (
        {"permissions": ["stock:list"]},
        {"permissions": ["panel.unit:edit"]},
    )
    assert entries[5].before["permissions"] == ["panel.unit:edit", "panel.user:list"]


async def test_what_does_not_change_is_not_written_down(session: AsyncSession, sam: Actor, tess: Actor) -> None:
    by = await load_staff(session, sam)
    role = await make_role(session, permissions=["stock:list"], holder=tess, households=[HOUSEHOLD])

    await staff_roles.set_grants(session, by, role.id, PERMISSION, ["stock:list"], known=KNOWN)
    await staff_roles.assign(session, by, tess.user_id, role.id)
    await staff_roles.assign_household(session, by, tess.user_id, HOUSEHOLD)
    await staff_roles.withdraw_household(session, by, tess.user_id, NEXT_DOOR)

    assert await written(session) == []


async def test_what_there_is_not_cannot_be_granted(session: AsyncSession, sam: Actor) -> None:
    by = await load_staff(session, sam)
    role = await make_role(session)
    session.add(MenuItem(code="people", kind=MenuKind.AREA, label="People"))

    for kind, name in [(PERMISSION, "panel.moon:list"), (GrantKind.MENU, "people"), (GrantKind.BUTTON, "nothing")]:
        with pytest.raises(InvalidInput, match=name):
            await staff_roles.set_grants(session, by, role.id, kind, [name], known=KNOWN)


# The rule


async def test_nobody_grants_what_they_do_not_hold(session: AsyncSession, tess: Actor) -> None:
    mine = await make_role(session, permissions=["panel.user:list", "roles:grant"], holder=tess)
    by = await load_staff(session, tess)

    with pytest.raises(PermissionDenied, match=r"panel\.unit:edit") as refused:
        await staff_roles.change_grants(session, by, mine.id, PERMISSION, add=["panel.unit:edit"], known=KNOWN)

    assert refused.value.code == "escalation"
    assert await granted(session, mine) == {"panel.user:list", "roles:grant"}


@pytest.mark.parametrize(
    "act",
    [
        lambda session, by, role, user: staff_roles.assign(session, by, user, role),
        lambda session, by, role, user: staff_roles.withdraw(session, by, user, role),
        lambda session, by, role, user: staff_roles.remove(session, by, role),
        lambda session, by, role, user: staff_roles.edit(session, by, role, StaffRoleUpdate(is_enabled=False)),
        lambda session, by, role, user: staff_roles.set_grants(session, by, role, PERMISSION, []),
    ],
)
async def test_a_role_above_ones_own_is_out_of_reach(act: Any, session: AsyncSession, tess: Actor, bob: Actor) -> None:
    await make_role(session, permissions=["roles:assign", "panel.user:list"], holder=tess)
    above = await make_role(session, permissions=["panel.user:list", "panel.user:edit"], holder=bob)
    by = await load_staff(session, tess)

    with pytest.raises(PermissionDenied, match=r"panel\.user:edit"):
        await act(session, by, above.id, bob.user_id)

    assert await granted(session, above) == {"panel.user:list", "panel.user:edit"}


@pytest.mark.parametrize("scope", [DataScope.ALL, DataScope.CUSTOM, DataScope.SELF])
async def test_nobody_grants_further_than_they_reach(scope: DataScope, session: AsyncSession, tess: Actor) -> None:
    await make_role(
        session, permissions=["panel.user:list"], holder=tess, data_scope=DataScope.HOUSEHOLDS, households=[HOUSEHOLD]
    )
    narrow = await make_role(session, permissions=["panel.user:list"], data_scope=DataScope.HOUSEHOLDS)
    by = await load_staff(session, tess)
    wider = StaffRoleUpdate(data_scope=scope, filter={"all": [{"field": "locale", "is": "en-GB"}]})

    with pytest.raises(PermissionDenied, match="not as far"):
        await staff_roles.edit(session, by, narrow.id, wider)


async def test_households_are_assigned_by_those_who_reach_them(
    session: AsyncSession, tess: Actor, alice: Actor
) -> None:
    """And a role that reaches somebody's households is given by those who reach these."""
    role = await make_role(
        session,
        permissions=["roles:assign", "roles:assign_household"],
        holder=tess,
        data_scope=DataScope.HOUSEHOLDS,
        households=[HOUSEHOLD],
    )
    by = await load_staff(session, tess)

    await staff_roles.assign_household(session, by, alice.user_id, HOUSEHOLD)
    with pytest.raises(NotFound):
        await staff_roles.assign_household(session, by, alice.user_id, NEXT_DOOR)
    await staff_roles.assign(session, by, alice.user_id, role.id)
    await staff_roles.withdraw(session, by, alice.user_id, role.id)

    await staff_roles.assign_household(session, None, alice.user_id, NEXT_DOOR)
    with pytest.raises(PermissionDenied) as refused:
        await staff_roles.assign(session, by, alice.user_id, role.id)
    assert refused.value.code == "escalation"


async def test_nobody_widens_what_they_reach_by_assigning_households(session: AsyncSession, tess: Actor) -> None:
    await make_role(session, permissions=["roles:assign", "roles:assign_household"], holder=tess)
    await make_role(
        session,
        permissions=["panel.household:delete"],
        holder=tess,
        data_scope=DataScope.HOUSEHOLDS,
        households=[HOUSEHOLD],
    )
    by = await load_staff(session, tess)

    await staff_roles.assign_household(session, by, tess.user_id, HOUSEHOLD)
    with pytest.raises(PermissionDenied) as refused:
        await staff_roles.assign_household(session, by, tess.user_id, NEXT_DOOR)

    assert refused.value.code == "escalation"
    assert [home.id for home in await staff_roles.households_of(session, tess.user_id)] == [HOUSEHOLD]


async def test_staff_manages_only_those_they_reach_and_no_superuser(
    session: AsyncSession, tess: Actor, charlie: Actor, sam: Actor
) -> None:
    near = await make_role(
        session,
        permissions=["roles:assign"],
        holder=tess,
        data_scope=DataScope.HOUSEHOLDS,
        households=[HOUSEHOLD],
    )
    with pytest.raises(NotFound):
        await staff_roles.assign(session, await load_staff(session, tess), charlie.user_id, near.id)

    everywhere = await make_role(session, permissions=["roles:assign"], holder=tess)
    with pytest.raises(PermissionDenied, match="superuser"):
        await staff_roles.assign(session, await load_staff(session, tess), sam.user_id, everywhere.id)


def test_nobody_touches_a_superuser_but_a_superuser(sam: Actor) -> None:
    above = User(email="s@example.com", name="S", hashed_password="-", is_superuser=True)

    staff.require_above(None, above)
    staff.require_above(staff.Staff(**vars_of(sam)), above)
    with pytest.raises(PermissionDenied):
        staff.require_above(staff.Staff(**{**vars_of(sam), "is_superuser": False}), above)


def vars_of(actor: Actor) -> dict[str, Any]:
    account = make_account(actor)
    return {name: getattr(account, name) for name in account.__dataclass_fields__}


async def test_two_roles_cannot_have_one_code(session: AsyncSession, sam: Actor) -> None:
    by = await load_staff(session, sam)
    await staff_roles.create(session, by, StaffRoleCreate(code="helper", name="Helper"))

    with pytest.raises(Conflict):
        await staff_roles.create(session, by, StaffRoleCreate(code="helper", name="Other"))


@pytest.mark.parametrize("code", ["", "Helper", "9lives", "a b", "a" * 51, "é", "a-b", "a\n"])
def test_a_code_is_plain(code: str) -> None:
    with pytest.raises(ValidationError):
        StaffRoleCreate(code=code, name="Helper")


# How far a role reaches


async def test_the_most_permissive_role_wins(session: AsyncSession, tess: Actor) -> None:
    """soy 2.3: `custom` never won there."""
    await make_role(session, permissions=["stock:list"], holder=tess, data_scope=DataScope.SELF)
    assert await reached(session, (await load_staff(session, tess)).reach("stock:list")) == set()

    custom = {"all": [{"field": "name", "starts_with": "Next"}]}
    await make_role(session, permissions=["stock:list"], holder=tess, data_scope=DataScope.CUSTOM, filter=custom)
    assert await reached(session, (await load_staff(session, tess)).reach("stock:list")) == {"Next door"}

    await make_role(
        session, permissions=["stock:list"], holder=tess, data_scope=DataScope.HOUSEHOLDS, households=[HOUSEHOLD]
    )
    assert await reached(session, (await load_staff(session, tess)).reach("stock:list")) == {"Next door", "Home"}
    assert not (await load_staff(session, tess)).reach("stock:list").is_all

    await make_role(session, permissions=["stock:list"], holder=tess)
    assert (await load_staff(session, tess)).reach("stock:list").is_all


async def test_what_is_bound_to_nothing_reaches_nothing(session: AsyncSession, tess: Actor) -> None:
    """soy 3.3: an unbound scope returned everything there, and `all` was what a role had if nobody said otherwise."""
    role = StaffRole(code="new", name="New")
    assert role.data_scope is DataScope.SELF

    await make_role(session, permissions=["stock:list"], holder=tess, data_scope=DataScope.HOUSEHOLDS)
    await make_role(session, permissions=["stock:list"], holder=tess, data_scope=DataScope.CUSTOM, filter={})
    found = (await load_staff(session, tess)).reach("stock:list")

    assert await reached(session, found) == set()
    assert await reached(session, (await load_staff(session, tess)).reach("not:granted")) == set()


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"all": []},
        {"some": [{"field": "name", "is": "x"}]},
        {"all": [{"field": "name", "is": "x"}], "any": [{"field": "name", "is": "x"}]},
        {"all": [{"field": "hashed_password", "is": "x"}]},
        {"all": [{"field": "name", "like": "%"}]},
        {"all": [{"field": "name", "in": "x"}]},
        {"all": [{"field": "name", "is": 5}]},
        {"all": [{"field": "id", "is": "x"}]},
        {"all": "name"},
        {"all": [["field"]]},
    ],
)
async def test_a_filter_that_says_nothing_is_refused_when_it_is_written(
    chosen: dict[str, Any], session: AsyncSession, sam: Actor
) -> None:
    by = await load_staff(session, sam)
    wanted = StaffRoleCreate(code="odd", name="Odd", data_scope=DataScope.CUSTOM, filter=chosen)

    with pytest.raises(InvalidInput) as refused:
        await staff_roles.create(session, by, wanted)

    assert set(refused.value.fields) == {"filter"}


async def test_a_disabled_role_grants_nothing(session: AsyncSession, tess: Actor) -> None:
    role = await make_role(session, permissions=["stock:list"], menus=["people.users"], holder=tess)
    await staff_roles.edit(session, None, role.id, StaffRoleUpdate(is_enabled=False))
    found = await load_staff(session, tess)

    assert (found.can("stock:list"), found.sees("people.users")) == (False, False)


def test_one_reach_covers_another_when_it_says_the_same_or_all(tess: Actor) -> None:
    near = reach.combine(tess.user_id, [(DataScope.HOUSEHOLDS, {})])

    assert reach.covers(near, DataScope.HOUSEHOLDS, {})
    assert not reach.covers(near, DataScope.SELF, {})
    assert reach.covers(reach.everything(tess.user_id), DataScope.CUSTOM, {"all": []})
    assert not reach.covers(reach.nothing(tess.user_id), DataScope.SELF, {})
