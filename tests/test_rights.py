"""Rights that are taken away are gone at once, and what other systems got wrong about them."""

import pytest
from httpx import AsyncClient
from markupsafe import escape
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select, update

from models import DataScope, GrantKind, MenuItem, MenuKind, StaffGrant, User
from services import staff_roles
from services.live import audience
from services.permissions import Actor
from services.schemas.staff_roles import StaffRoleUpdate
from tests.conftest import HOUSEHOLD, ClientOf
from tests.factories import make_lot, make_role


async def test_what_a_role_loses_is_gone_at_the_next_request(
    session: AsyncSession, browser_of: ClientOf, tess: Actor
) -> None:
    """soy 3.2: rights lived in a cache there, and the way without it was broken. Here they are read from the tables."""
    role = await make_role(session, holder=tess, permissions=["panel.unit:list"])
    await session.commit()
    browser = browser_of(tess)
    assert (await browser.get("/admin/unit/list")).status_code == 200

    await staff_roles.set_grants(session, None, role.id, GrantKind.PERMISSION, [])
    await session.commit()
    assert (await browser.get("/admin/unit/list")).status_code == 403

    await staff_roles.set_grants(
        session, None, role.id, GrantKind.PERMISSION, ["panel.unit:list"], known=["panel.unit:list"]
    )
    await session.commit()
    assert (await browser.get("/admin/unit/list")).status_code == 200

    await staff_roles.edit(session, None, role.id, StaffRoleUpdate(is_enabled=False))
    await session.commit()
    assert (await browser.get("/admin/unit/list")).status_code == 403

    await staff_roles.edit(session, None, role.id, StaffRoleUpdate(is_enabled=True))
    await staff_roles.withdraw(session, None, tess.user_id, role.id)
    await session.commit()
    assert (await browser.get("/admin/unit/list")).status_code == 403


async def test_who_is_no_superuser_any_more_is_out_of_the_panel_at_once(
    session: AsyncSession, browser_of: ClientOf, sam: Actor
) -> None:
    """FastOpp D20: a token there said for half an hour that somebody was an admin."""
    browser = browser_of(sam)
    assert (await browser.get("/admin/user/list")).status_code == 200

    await session.execute(update(User).where(col(User.id) == sam.user_id).values(is_superuser=False))
    await session.commit()
    assert (await browser.get("/admin/user/list")).status_code == 403

    await session.execute(update(User).where(col(User.id) == sam.user_id).values(is_superuser=True, is_active=False))
    await session.commit()
    refused = await browser.get("/admin/user/list")
    assert refused.status_code == 303
    assert refused.headers["location"].startswith("/login")


async def test_new_grants_replace_old_ones_in_one_transaction(session: AsyncSession) -> None:
    """soy 3.15: there they were cleared first and added after that, and whoever asked in between had none."""
    role = await make_role(session, permissions=["panel.unit:list", "panel.unit:edit"])
    kept = select(StaffGrant).where(StaffGrant.role_id == role.id, StaffGrant.name == "panel.unit:list")
    before = (await session.scalars(kept)).one()

    await staff_roles.set_grants(
        session,
        None,
        role.id,
        GrantKind.PERMISSION,
        ["panel.unit:list", "panel.unit:create"],
        known=["panel.unit:create"],
    )

    assert (await session.scalars(kept)).one() is before, "what stays is not written at all"


async def test_a_button_is_shown_to_whoever_has_it_and_may_do_what_it_does(
    session: AsyncSession, browser_of: ClientOf, tess: Actor
) -> None:
    name = "panel.user:logout"
    session.add(MenuItem(code=name, kind=MenuKind.BUTTON, label="Sign out everywhere"))
    role = await make_role(session, holder=tess, permissions=["panel.user:list", name])
    await session.commit()
    browser = browser_of(tess)
    assert "/admin/user/action/logout" not in (await browser.get("/admin/user/list")).text

    await staff_roles.set_grants(session, None, role.id, GrantKind.BUTTON, [name])
    await session.commit()
    assert "/admin/user/action/logout" in (await browser.get("/admin/user/list")).text

    await staff_roles.set_grants(session, None, role.id, GrantKind.PERMISSION, ["panel.user:list"])
    await session.commit()
    assert "/admin/user/action/logout" not in (await browser.get("/admin/user/list")).text


@pytest.mark.parametrize("label", ["100 % sure", "<b>bold</b>", "%(name)s {{ 7*7 }} &amp;"])
async def test_what_staff_calls_things_is_text(
    label: str, session: AsyncSession, browser_of: ClientOf, sam: Actor
) -> None:
    area = MenuItem(code="area", kind=MenuKind.AREA, label=label)
    role = await make_role(session, name=label, description=label)
    session.add(area)
    await session.flush()
    session.add(MenuItem(code="entry", kind=MenuKind.ENTRY, parent_id=area.id, label=label, path="/admin/roles"))
    await session.commit()

    for path in ("/admin/", "/admin/user/list", "/admin/roles", f"/admin/roles/{role.id}"):
        page = await browser_of(sam).get(path)
        assert page.status_code == 200
        assert str(escape(label)) in page.text
        assert "<b>bold" not in page.text


async def test_what_a_household_calls_things_is_text(
    session: AsyncSession, client: AsyncClient, browser_of: ClientOf, alice: Actor
) -> None:
    name = "100 % <b>bold</b>"
    category = await client.post(f"/households/{HOUSEHOLD}/categories", json={"name": name})
    made = await client.post(
        f"/households/{HOUSEHOLD}/products", json={"name": "Jam", "category_id": category.json()["id"]}
    )

    for path in ("/products", f"/products/{made.json()['id']}"):
        page = await browser_of(alice).get(path)
        assert page.status_code == 200
        assert str(escape(name)) in page.text
        assert "<b>bold" not in page.text


# Sockets


async def test_a_socket_hears_of_the_homes_of_its_user_and_never_by_a_staff_role(
    session: AsyncSession, alice: Actor, tess: Actor, sam: Actor
) -> None:
    """So that a role that is taken away has nothing to take from a socket that is open."""
    await make_role(
        session,
        holder=tess,
        permissions=["stock:list", "events:list"],
        data_scope=DataScope.HOUSEHOLDS,
        households=[HOUSEHOLD],
    )
    await make_role(session, holder=sam, permissions=["stock:list"])
    found = await audience.load(session, [alice.session_id, tess.session_id, sam.session_id])

    assert set(found[alice.session_id].households) == {HOUSEHOLD}
    assert found[tess.session_id].households == {}
    assert found[sam.session_id].households == {}


# What comes from a form and a query


async def test_a_field_can_be_emptied_and_what_is_not_said_stays(
    session: AsyncSession, client: AsyncClient, alice: Actor
) -> None:
    """soy 3.14: null could not be written there."""
    lot = await make_lot(session, alice, price="2", note="from the market")
    await session.commit()
    address = f"/households/{HOUSEHOLD}/lots/{lot.id}"
    version = (await client.get(address)).json()["version"]

    changed = (await client.patch(address, json={"price": None, "version": version})).json()

    assert (changed["price"], changed["note"]) == (None, "from the market")


@pytest.mark.parametrize("field", ["hashed_password", "product.household.name", "id; drop table lot", "-"])
async def test_lists_are_sorted_by_what_they_offer_and_nothing_else(field: str, client: AsyncClient) -> None:
    """soy 3.14: any field of any relation could be sorted by there."""
    assert (await client.get(f"/households/{HOUSEHOLD}/lots", params={"sort": field})).status_code == 422


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM users; DROP TABLE lot; --",
        "' OR 1=1 --",
        "http://shop.example/?a=1&b=<script>alert(1)</script>",
        "../../etc/passwd",
        "${jndi:ldap://x}",
    ],
)
async def test_text_that_looks_like_an_attack_is_kept_as_it_was_written(
    text: str, client: AsyncClient, browser_of: ClientOf, alice: Actor
) -> None:
    """soy 3.17: people were refused and banned there for what they wrote."""
    made = await client.post(
        f"/households/{HOUSEHOLD}/lots", json={"product": {"name": "Milk"}, "quantity": "1", "note": text}
    )

    assert made.status_code == 201
    assert made.json()["note"] == text
    page = (await browser_of(alice).get(f"/stock/lots/{made.json()['id']}")).text
    assert "<script>alert" not in page
