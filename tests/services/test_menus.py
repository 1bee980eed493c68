"""The panel's menu, as each of the staff sees it."""

import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncSession

from models import MenuItem, MenuKind
from services import menus
from services.permissions import Actor
from tests.factories import load_staff, make_role


@pytest_asyncio.fixture
async def menu(session: AsyncSession) -> dict[str, MenuItem]:
    areas = {code: MenuItem(code=code, kind=MenuKind.AREA, label=code.capitalize()) for code in ("people", "watch")}
    areas["people"].position = 5
    session.add_all(areas.values())
    await session.flush()
    entries = [
        MenuItem(
            code=f"{area}.{name}", kind=MenuKind.ENTRY, parent_id=areas[area].id, label=name, path=f"/admin/{name}"
        )
        for area, name in (("people", "users"), ("people", "homes"), ("watch", "audit"))
    ]
    session.add_all([*entries, MenuItem(code="start", kind=MenuKind.ENTRY, label="start", path="/admin/")])
    await session.flush()
    buttons = [
        MenuItem(code=f"people.users.{name}", kind=MenuKind.BUTTON, parent_id=entries[0].id, label=name)
        for name in ("reset", "logout")
    ]
    session.add_all(buttons)
    await session.flush()
    return {item.code: item for item in (*areas.values(), *entries, *buttons)}


Menu = dict[str, MenuItem]


async def seen(session: AsyncSession, actor: Actor) -> list[tuple[str, list[str]]]:
    shown = await menus.visible(session, await load_staff(session, actor))
    return [(area.code, [entry.code for entry in area.entries]) for area in shown]


async def test_a_superuser_sees_everything_in_order(session: AsyncSession, menu: Menu, sam: Actor) -> None:
    assert await seen(session, sam) == [
        ("", ["start"]),
        ("watch", ["watch.audit"]),
        ("people", ["people.homes", "people.users"]),
    ]


async def test_whoever_sees_an_entry_sees_the_area_it_lies_in(session: AsyncSession, menu: Menu, tess: Actor) -> None:
    await make_role(session, menus=["people.users"], holder=tess)

    assert await seen(session, tess) == [("people", ["people.users"])]


async def test_an_area_alone_shows_nothing(session: AsyncSession, menu: Menu, tess: Actor) -> None:
    await make_role(session, menus=["people"], holder=tess)

    assert await seen(session, tess) == []


async def test_what_is_disabled_nobody_sees(session: AsyncSession, menu: Menu, sam: Actor) -> None:
    menu["people"].is_enabled = menu["watch.audit"].is_enabled = False
    await session.flush()

    assert await seen(session, sam) == [("", ["start"])]


async def test_buttons_are_granted_one_by_one(session: AsyncSession, menu: Menu, sam: Actor, tess: Actor) -> None:
    await make_role(session, buttons=["people.users.reset"], holder=tess)

    assert (await menus.read(session, await load_staff(session, tess))).hidden == {"people.users.logout"}
    assert (await menus.read(session, await load_staff(session, sam))).hidden == frozenset()

    menu["people.users.reset"].is_enabled = False
    await session.flush()
    assert (await menus.read(session, await load_staff(session, sam))).hidden == {"people.users.reset"}
