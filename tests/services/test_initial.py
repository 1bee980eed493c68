"""What an instance begins with: brought in once, and beside what staff made of it."""

from dataclasses import replace

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

from models import (
    AuditEntry,
    DataScope,
    DictionaryEntry,
    GrantKind,
    MenuItem,
    SeedRecord,
    StaffAssignment,
    StaffGrant,
    StaffRole,
    User,
)
from services import initial, staff_roles
from services.endpoints import Registry
from services.initial import Difference, What
from services.permissions import Actor
from services.schemas.staff_roles import StaffRoleUpdate
from services.seeds import panel
from tests.factories import load_staff


@pytest.fixture
def registry(app: FastAPI) -> Registry:
    found: Registry = app.state.registry
    return found


async def role_of(session: AsyncSession, code: str) -> StaffRole:
    role = await staff_roles.find_role(session, code)
    assert role
    return role


async def granted(session: AsyncSession, code: str) -> set[str]:
    role = await role_of(session, code)
    return set((await staff_roles.grants_of(session, role.id))[GrantKind.PERMISSION])


def told(differences: list[Difference]) -> set[tuple[str, str, What]]:
    return {(found.kind, found.code, found.what) for found in differences}


async def test_it_is_brought_in_once(session: AsyncSession, registry: Registry) -> None:
    planned = await initial.plan(session, registry)
    assert (await session.scalars(select(MenuItem.code))).all() == []

    done = await initial.apply(session, registry)

    assert done == planned
    assert {found.what for found in done} == {What.NEW}
    assert await initial.plan(session, registry) == []
    assert await initial.apply(session, registry) == []


async def test_no_account_is_made_and_nobody_gets_a_role(session: AsyncSession, registry: Registry) -> None:
    """soy 3.7: accounts with known passwords came back there at each start."""
    before = set(await session.scalars(select(User.id)))
    await initial.apply(session, registry)

    assert set(await session.scalars(select(User.id))) == before
    assert (await session.scalars(select(StaffAssignment))).all() == []


async def test_all_that_is_declared_is_there(session: AsyncSession, registry: Registry) -> None:
    """No entry leads nowhere, no role grants a name that nothing has, and each sees what it may open."""
    await initial.apply(session, registry)
    assert await initial.plan(session, registry) == []

    for role in panel.ROLES:
        unknown = {
            name
            for each in role.permissions
            for name in initial.matching(each, registry.permissions)
            if name not in registry.permissions
        }
        assert unknown == set(), role.code
    buttons = {button.code for area in panel.MENU for entry in area.entries for button in entry.buttons}
    assert buttons <= registry.permissions.keys()
    codes = {code for area in panel.MENU for code in (area.code, *(entry.code for entry in area.entries))}
    assert {code for role in panel.ROLES for code in role.menus} <= codes


async def test_what_staff_changed_stays_until_it_is_asked_to_go(
    session: AsyncSession, registry: Registry, sam: Actor
) -> None:
    """soy 2.4: what was changed by hand was lost there at the next start."""
    await initial.apply(session, registry)
    by = await load_staff(session, sam)
    support = await role_of(session, "support")
    await staff_roles.edit(session, by, support.id, StaffRoleUpdate(name="Help desk"))
    await staff_roles.change_grants(
        session,
        by,
        support.id,
        GrantKind.PERMISSION,
        add=["panel.unit:list"],
        remove=["panel.user:list"],
        known=registry.permissions,
    )
    await session.execute(update(MenuItem).where(col(MenuItem.code) == "stock.lots").values(is_enabled=False))
    await session.execute(delete(DictionaryEntry).where(col(DictionaryEntry.value) == "butcher"))
    session.expire_all()

    drift = {
        ("role", "support", What.BY_HAND),
        ("menu", "stock.lots", What.BY_HAND),
        ("dictionary", "store/butcher", What.REMOVED),
    }
    assert told(await initial.plan(session, registry)) == drift
    assert told(await initial.apply(session, registry)) == drift
    assert (await role_of(session, "support")).name == "Help desk"
    assert "panel.unit:list" in await granted(session, "support")
    assert "panel.user:list" not in await granted(session, "support")

    done = await initial.apply(session, registry, force=True)
    session.expire_all()
    assert {found.what for found in done} == {What.CHANGED, What.NEW}
    assert (await role_of(session, "support")).name == "Support"
    assert "panel.user:list" in await granted(session, "support")
    assert await initial.plan(session, registry) == []


async def test_what_is_declared_anew_comes_in_beside_it(
    session: AsyncSession, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await initial.apply(session, registry)
    support = await role_of(session, "support")
    await staff_roles.change_grants(
        session, None, support.id, GrantKind.PERMISSION, remove=["panel.user:details"], known=registry.permissions
    )
    await staff_roles.edit(session, None, support.id, StaffRoleUpdate(name="Help desk"))
    declared = next(role for role in panel.ROLES if role.code == "support")
    kept = tuple(name for name in declared.permissions if name != "panel.household:details")
    newer = replace(
        declared,
        name="Supporters",
        description="Helps.",
        permissions=(*kept, "panel.unit:list"),
        data_scope=DataScope.ALL,
    )
    monkeypatch.setattr(panel, "ROLES", (newer, *(role for role in panel.ROLES if role is not declared)))

    await initial.apply(session, registry)
    session.expire_all()

    role = await role_of(session, "support")
    assert (role.name, role.description, role.data_scope) == ("Help desk", "Helps.", DataScope.ALL)
    assert "panel.unit:list" in await granted(session, "support")
    assert not {"panel.user:details", "panel.household:details"} & await granted(session, "support")
    (left,) = await initial.plan(session, registry)
    assert (left.what, left.before["name"], left.after["name"]) == (What.BY_HAND, "Supporters", "Help desk")


async def test_what_is_declared_no_more_goes_unless_somebody_touched_it(
    session: AsyncSession, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await initial.apply(session, registry)
    await session.execute(
        update(DictionaryEntry).where(col(DictionaryEntry.value) == "butcher").values(label="Our butcher")
    )
    session.expire_all()
    monkeypatch.setattr(panel, "DICTIONARY", tuple(row for row in panel.DICTIONARY if row.kind != "store"))
    monkeypatch.setattr(panel, "ROLES", panel.ROLES[1:])

    gone = await initial.apply(session, registry)

    assert {found.what for found in gone} == {What.GONE}
    assert ("dictionary", "store/bakery", What.GONE) in told(gone)
    assert (await session.scalars(select(DictionaryEntry.value).where(DictionaryEntry.kind == "store"))).all() == [
        "butcher"
    ]
    assert await staff_roles.find_role(session, panel.ROLES[0].code), "somebody may have it"
    assert await session.get(SeedRecord, ("dictionary", "store/butcher")) is None
    assert await initial.plan(session, registry) == []


async def test_what_was_there_before_is_not_overwritten(session: AsyncSession, registry: Registry) -> None:
    session.add(StaffRole(code="curator", name="Ours", data_scope=DataScope.SELF))
    await session.flush()

    found = told(await initial.apply(session, registry))

    assert ("role", "curator", What.BY_HAND) in found
    assert (await role_of(session, "curator")).name == "Ours"
    assert await granted(session, "curator") == set()


async def test_names_that_nothing_has_are_told(session: AsyncSession, registry: Registry) -> None:
    await initial.apply(session, registry)
    session.add(StaffGrant(role_id=(await role_of(session, "support")).id, kind=GrantKind.PERMISSION, name="moon:land"))
    await session.flush()

    assert ("role", "support", What.UNKNOWN) in told(await initial.plan(session, registry))


async def test_what_is_brought_in_is_written_down(session: AsyncSession, registry: Registry) -> None:
    await initial.apply(session, registry)
    await session.flush()

    entries = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "init:role"))).all()
    assert {entry.subject_id for entry in entries} == {role.code for role in panel.ROLES}
    assert all(entry.actor_id is None for entry in entries)
    assert entries[0].after["permissions"]
