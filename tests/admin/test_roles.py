"""Staff roles in the panel: what each grants, and who has it."""

from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import AuditEntry, DataScope, GrantKind, MenuItem, MenuKind, StaffRole, UserSession
from services import staff_roles
from services.permissions import Actor
from tests.admin.conftest import assert_done
from tests.conftest import HOUSEHOLD, NEXT_DOOR, ClientOf
from tests.factories import make_role
from tests.pages import html

ROLE = {"code": "helpers", "name": "Helpers", "data_scope": "all"}


async def form_at(browser: AsyncClient, address: str, action: str) -> html.Element:
    return html.read((await browser.get(address)).text).one("form", action=action)


async def test_a_role_is_made_and_granted_things_at_once(panel: AsyncClient, session: AsyncSession) -> None:
    session.add(MenuItem(code="people.users", kind=MenuKind.ENTRY, label="Users", path="/admin/user/list"))
    await session.commit()
    assert_done(await panel.post("/admin/roles/new", data=ROLE), "/admin/roles/")
    role = (await session.scalars(select(StaffRole).where(StaffRole.code == "helpers"))).one()
    address = f"/admin/roles/{role.id}"

    chosen = {"permission": ["panel.user:list", "panel.user:details"], "menu": ["people.users"]}
    assert_done(await panel.post(f"{address}/grants", data=chosen), address)

    granted = await staff_roles.grants_of(session, role.id)
    assert granted[GrantKind.PERMISSION] == {"panel.user:list", "panel.user:details"}
    assert granted[GrantKind.MENU] == {"people.users"}
    form = await form_at(panel, address, f"{address}/grants")
    ticked = {box.attrs["value"] for box in form.all("input", type="checkbox") if "checked" in box.attrs}
    assert ticked == {"panel.user:list", "panel.user:details", "people.users"}
    entries = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == "roles:grant")))
    assert {"permissions": ["panel.user:details", "panel.user:list"]} in [entry.after for entry in entries]

    assert_done(await panel.post(f"{address}/grants", data={}), address)
    assert not any((await staff_roles.grants_of(session, role.id)).values())


async def test_every_permission_there_is_can_be_ticked(panel: AsyncClient, app: Any, session: AsyncSession) -> None:
    role = await make_role(session)
    await session.commit()

    form = await form_at(panel, f"/admin/roles/{role.id}", f"/admin/roles/{role.id}/grants")

    offered = {box.attrs["value"] for box in form.all("input", name="permission")}
    assert offered == set(app.state.registry.permissions)


async def test_what_there_is_not_is_not_granted_and_nothing_is_saved(panel: AsyncClient, session: AsyncSession) -> None:
    role = await make_role(session, permissions=["panel.user:list"])
    await session.commit()

    for wrong in ({"permission": ["panel.user:list", "panel.moon:list"]}, {"permission": [], "menu": ["nowhere"]}):
        answer = await panel.post(f"/admin/roles/{role.id}/grants", data=wrong)
        assert answer.status_code == 422
        assert (await staff_roles.grants_of(session, role.id))[GrantKind.PERMISSION] == {"panel.user:list"}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"code": "Not a code"}, "code"),
        ({"code": ""}, "code"),
        ({"name": ""}, "name"),
        ({"data_scope": "galaxy"}, "data_scope"),
        ({"data_scope": "custom"}, "filter"),
        ({"data_scope": "custom", "filter": "{"}, "filter"),
        ({"data_scope": "custom", "filter": "[1]"}, "filter"),
        ({"data_scope": "custom", "filter": '{"all": [{"field": "password", "is": "x"}]}'}, "filter"),
        ({"data_scope": "custom", "filter": '{"all": [{"field": "name", "like": "x"}]}'}, "filter"),
    ],
    ids=str,
)
async def test_a_role_that_makes_no_sense_is_refused_at_its_field(
    values: dict[str, str], field: str, panel: AsyncClient, session: AsyncSession
) -> None:
    answer = await panel.post("/admin/roles/new", data={**ROLE, **values})

    assert answer.status_code == 422
    assert list(html.read(answer.text).one("form", action="/admin/roles/new").errors) == [field]
    assert (await session.scalars(select(StaffRole).where(StaffRole.name == "Helpers"))).first() is None


async def test_a_role_is_renamed_switched_off_and_deleted(panel: AsyncClient, session: AsyncSession) -> None:
    role = await make_role(session, permissions=["panel.user:list"])
    await session.commit()
    address = f"/admin/roles/{role.id}"
    chosen = {
        "name": "Seekers",
        "description": "",
        "data_scope": "custom",
        "filter": '{"all": [{"field": "locale", "is": "de-AT"}]}',
        "is_enabled": "false",
    }

    assert_done(await panel.post(address, data=chosen), address)

    await session.refresh(role)
    assert (role.name, role.data_scope, role.is_enabled) == ("Seekers", DataScope.CUSTOM, False)
    assert role.filter == {"all": [{"field": "locale", "is": "de-AT"}]}
    assert "de-AT" in (await panel.get(address)).text
    assert_done(await panel.post(f"{address}/delete"), "/admin/roles")
    assert (await panel.get(address)).status_code == 404


async def test_somebody_gets_roles_and_households(panel: AsyncClient, session: AsyncSession, tess: Actor) -> None:
    first, second = await make_role(session), await make_role(session)
    await session.commit()
    address = f"/admin/roles/of/{tess.user_id}"

    assert_done(await panel.post(address, data={"role": [str(first.id), str(second.id)]}), address)
    assert_done(await panel.post(address, data={"role": [str(second.id)]}), address)
    assert [role.id for role in await staff_roles.roles_of(session, tess.user_id)] == [second.id]

    found = html.read((await panel.get(f"{address}?q=e")).text).one("form", action=f"{address}/households")
    assert {box.attrs["value"] for box in found.all("input", name="add")} >= {str(HOUSEHOLD)}
    assert_done(await panel.post(f"{address}/households", data={"add": [str(HOUSEHOLD), str(NEXT_DOOR)]}), address)
    assert_done(await panel.post(f"{address}/households", data={"keep": [str(NEXT_DOOR)]}), address)
    assert [each.id for each in await staff_roles.households_of(session, tess.user_id)] == [NEXT_DOOR]


async def test_a_whole_role_is_signed_out(
    panel: AsyncClient, session: AsyncSession, tess: Actor, bob: Actor, sam: Actor
) -> None:
    role = await make_role(session, holder=tess)
    await session.commit()

    assert_done(await panel.post(f"/admin/roles/{role.id}/logout"))

    assert await session.get(UserSession, tess.session_id, populate_existing=True) is None
    for actor in (bob, sam):
        assert await session.get(UserSession, actor.session_id, populate_existing=True) is not None


async def test_nobody_gives_more_than_they_hold(
    browser_of: ClientOf, session: AsyncSession, tess: Actor, bob: Actor
) -> None:
    mine = ["roles:matrix", "roles:grant", "roles:assign", "roles:holder", "roles:edit", "panel.user:list"]
    await make_role(session, holder=tess, permissions=mine)
    lesser = await make_role(session, permissions=["panel.user:list"])
    greater = await make_role(session, permissions=["panel.user:edit"])
    await session.commit()
    browser = browser_of(tess)

    grants = await form_at(browser, f"/admin/roles/{lesser.id}", f"/admin/roles/{lesser.id}/grants")
    free = {box.attrs["value"] for box in grants.all("input", name="permission") if "disabled" not in box.attrs}
    assert free == set(mine)
    refused = [
        await browser.post(f"/admin/roles/{lesser.id}/grants", data={"permission": ["panel.user:edit"]}),
        await browser.post(f"/admin/roles/{greater.id}/grants", data={"permission": []}),
        await browser.post(f"/admin/roles/of/{tess.user_id}", data={"role": [str(greater.id)]}),
        await browser.post(f"/admin/roles/of/{bob.user_id}", data={"role": [str(greater.id)]}),
        await browser.post(f"/admin/roles/{greater.id}", data={**ROLE, "name": "Mine"}),
    ]
    assert [answer.status_code for answer in refused] == [403] * 5 or [a.status_code for a in refused][-1] == 422
    assert (await staff_roles.grants_of(session, lesser.id))[GrantKind.PERMISSION] == {"panel.user:list"}
    assert [role.id for role in await staff_roles.roles_of(session, bob.user_id)] == []
    assert_done(await browser.post(f"/admin/roles/of/{bob.user_id}", data={"role": [str(lesser.id)]}))


async def test_roles_and_people_that_are_not_there_are_not_found(panel: AsyncClient, tess: Actor) -> None:
    nowhere = "00000000-0000-4000-8000-000000000000"
    for answer in (
        await panel.get(f"/admin/roles/{nowhere}"),
        await panel.get("/admin/roles/x"),
        await panel.post(f"/admin/roles/{nowhere}/grants"),
        await panel.get(f"/admin/roles/of/{nowhere}"),
        await panel.post(f"/admin/roles/of/{nowhere}", data={"role": [nowhere]}),
        await panel.post(f"/admin/roles/of/{tess.user_id}", data={"role": ["x"]}),
        await panel.post(f"/admin/roles/of/{tess.user_id}/households", data={"add": [nowhere]}),
    ):
        assert answer.status_code == 404


# The instance


async def test_the_system_page_tells_much_and_no_secret(
    panel: AsyncClient, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (await panel.get("/admin/system")).text

    for told in ("Database", "Memory", "Python", "LARDER_SECRET_KEY", "Deliveries that wait"):
        assert told in text
    secret = app.state.settings.secret_key.get_secret_value()
    assert secret not in text
    url = app.state.settings.url
    assert not url.password or url.password not in text
