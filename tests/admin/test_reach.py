"""What limited staff sees and does: as far as their roles reach, and nothing beyond, however it is asked for."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import AuditEntry, DataScope, Household, Membership, Product, User, UserSession
from services.permissions import Actor
from tests.admin.conftest import Rows, act, assert_done, delete, fill_in
from tests.admin.test_views import fresh
from tests.conftest import HOUSEHOLD, NEXT_DOOR, ClientOf
from tests.factories import make_product, make_role

ALL = ("list", "details", "edit", "delete", "export")


def granted(table: str, *actions: str) -> list[str]:
    return [f"panel.{table}:{action}" for action in actions or ALL]


@pytest.fixture
def limited(browser_of: ClientOf, session: AsyncSession, tess: Actor) -> Callable[..., Any]:
    """Tess at the panel, with a role that grants this, for alice's household unless told otherwise."""

    async def limited(*permissions: str, scope: DataScope = DataScope.HOUSEHOLDS, **fields: Any) -> AsyncClient:
        households = [HOUSEHOLD] if scope is DataScope.HOUSEHOLDS else []
        await make_role(
            session, holder=tess, permissions=permissions, data_scope=scope, households=households, **fields
        )
        await session.commit()
        return browser_of(tess)

    return limited


async def ids_in(browser: AsyncClient, table: str, name: str) -> set[str]:
    text = (await browser.get(f"/admin/{table}/export/csv")).text
    return {row[name] for row in csv.DictReader(io.StringIO(text))}


async def test_lists_details_and_exports_end_where_the_reach_does(
    limited: Any, rows: Rows, session: AsyncSession, charlie: Actor
) -> None:
    theirs = await make_product(session, charlie, name="Secret sauce")
    browser = await limited(*granted("household"), *granted("product"), *granted("user"))

    assert "Secret sauce" not in (await browser.get("/admin/product/list")).text
    assert "Secret sauce" not in (await browser.get("/admin/product/list?search=Secret")).text
    assert "Secret sauce" not in (await browser.get("/admin/product/export/csv")).text
    assert "Secret sauce" not in (await browser.get("/admin/product/export/json")).text
    assert (await browser.get(f"/admin/product/details/{theirs.id}")).status_code == 404
    assert (await browser.get(f"/admin/product/details/{rows['product']}")).status_code == 200
    assert await ids_in(browser, "household", "id") == {str(HOUSEHOLD)}
    assert "charlie@example.com" not in await ids_in(browser, "user", "email")
    assert "bob@example.com" in await ids_in(browser, "user", "email")


async def test_nothing_beyond_the_reach_is_changed(
    limited: Any, rows: Rows, session: AsyncSession, charlie: Actor
) -> None:
    """FastOpp 1.6: sales was to edit its own rows only, and edited all."""
    theirs = await make_product(session, charlie, name="Secret sauce")
    membership = (await session.scalars(select(Membership).where(Membership.household_id == NEXT_DOOR))).first()
    assert membership
    acts = granted("user", "list", "details", "edit", "disable", "logout")
    browser = await limited(*acts, *granted("product"), *granted("household"), *granted("membership"))

    answers = [
        await browser.get(f"/admin/product/edit/{theirs.id}"),
        await browser.post(f"/admin/product/edit/{theirs.id}", data={"name": "Hacked"}),
        await browser.post(f"/admin/household/edit/{NEXT_DOOR}", data={"name": "Hacked"}),
        await delete(browser, "household", NEXT_DOOR),
        await delete(browser, "household", HOUSEHOLD, NEXT_DOOR),
        await delete(browser, "membership", membership.id),
        await browser.post(f"/admin/user/edit/{charlie.user_id}", data={"name": "Hacked", "email": "x@example.com"}),
        await act(browser, "user", "disable", str(charlie.user_id)),
        await act(browser, "user", "disable", rows["user"], str(charlie.user_id)),
        await act(browser, "user", "logout", str(charlie.user_id)),
    ]

    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert (await fresh(session, Product, theirs.id)).name == "Secret sauce"
    assert (await fresh(session, Household, NEXT_DOOR)).name != "Hacked"
    assert await session.get(Household, HOUSEHOLD, populate_existing=True) is not None
    for user in (charlie.user_id, rows["user"]):
        assert (await fresh(session, User, user)).is_active
    assert await session.get(UserSession, charlie.session_id, populate_existing=True) is not None


async def test_within_the_reach_it_is(limited: Any, rows: Rows, session: AsyncSession, tess: Actor) -> None:
    browser = await limited(*granted("user", "list", "details", "edit", "disable"), *granted("household"))

    assert_done(await fill_in(browser, f"/admin/household/edit/{HOUSEHOLD}", name="Nest"))
    assert_done(await act(browser, "user", "disable", rows["user"]))

    assert (await fresh(session, Household, HOUSEHOLD)).name == "Nest"
    assert not (await fresh(session, User, rows["user"])).is_active
    actors = await session.scalars(select(AuditEntry.actor_id).where(AuditEntry.action == "users:disable"))
    assert list(actors) == [tess.user_id]


@pytest.mark.parametrize(
    ("scope", "chosen", "reached"),
    [
        (DataScope.ALL, {}, {HOUSEHOLD, NEXT_DOOR}),
        (DataScope.SELF, {}, set()),
        (DataScope.CUSTOM, {}, set()),
        (DataScope.CUSTOM, {"all": [{"field": "id", "is": str(NEXT_DOOR)}]}, {NEXT_DOOR}),
        (DataScope.CUSTOM, {"all": [{"field": "nonsense", "is": "x"}]}, set()),
    ],
    ids=str,
)
async def test_each_scope_reaches_what_it_says(
    scope: DataScope, chosen: dict[str, Any], reached: set[Any], limited: Any
) -> None:
    browser = await limited(*granted("household"), scope=scope, filter=chosen)

    assert await ids_in(browser, "household", "id") == {str(household) for household in reached}


async def test_each_action_reaches_as_far_as_its_own_grant(
    limited: Any, rows: Rows, session: AsyncSession, charlie: Actor
) -> None:
    theirs = await make_product(session, charlie, name="Secret sauce")
    await limited(*granted("product", "list", "details"), scope=DataScope.ALL)
    browser = await limited(*granted("product", "edit", "export"))

    assert "Secret sauce" in (await browser.get("/admin/product/list")).text
    shown = await browser.get(f"/admin/product/details/{theirs.id}")
    assert shown.status_code == 200
    assert "/edit/" not in shown.text
    assert "/edit/" in (await browser.get(f"/admin/product/details/{rows['product']}")).text
    assert (await browser.get(f"/admin/product/edit/{theirs.id}")).status_code == 404
    assert "Secret sauce" not in (await browser.get("/admin/product/export/csv")).text


async def test_what_is_not_granted_is_neither_shown_nor_done(limited: Any, rows: Rows) -> None:
    """FastOpp D4: there a method that forbade it was true, being a method."""
    browser = await limited(*granted("user", "list", "details"))

    page = (await browser.get(f"/admin/user/details/{rows['user']}")).text
    for what in ("/edit/", "action/disable", "roles/of"):
        assert what not in page
    assert "export" not in (await browser.get("/admin/user/list")).text
    for answer in (
        await browser.get("/admin/user/create"),
        await browser.get(f"/admin/user/edit/{rows['user']}"),
        await act(browser, "user", "disable", rows["user"]),
        await browser.get("/admin/user/export/csv"),
        await browser.get("/admin/household/list"),
        await browser.get("/admin/system"),
        await browser.get("/admin/roles"),
    ):
        assert answer.status_code == 403


async def test_only_superusers_touch_superusers(
    limited: Any, session: AsyncSession, sam: Actor, rows: Rows, tess: Actor
) -> None:
    actions = ("list", "details", "edit", "disable", "logout", "send-reset", "require-password", "promote", "demote")
    permissions = [*granted("user", *actions), *granted("user-session", "list", "details", "revoke")]
    browser = await limited(*permissions, scope=DataScope.ALL)

    answers = [
        await browser.post(f"/admin/user/edit/{sam.user_id}", data={"name": "x", "email": "tess2@example.com"}),
        await act(browser, "user-session", "revoke", str(sam.session_id)),
        *[await act(browser, "user", what, str(sam.user_id)) for what in actions[3:]],
        await act(browser, "user", "promote", rows["user"]),
        await act(browser, "user", "promote", str(tess.user_id)),
    ]

    assert [answer.status_code for answer in answers] == [403] * len(answers)
    user = await fresh(session, User, sam.user_id)
    assert (user.email, user.is_active, user.is_superuser, user.must_change_password) == (
        "sam@example.com",
        True,
        True,
        False,
    )
    assert await session.get(UserSession, sam.session_id, populate_existing=True) is not None
    assert not (await fresh(session, User, tess.user_id)).is_superuser


async def test_the_overview_tells_only_what_one_may_see(limited: Any, rows: Rows, browser_of: ClientOf) -> None:
    browser = await limited(*granted("category", "list"), menus=[])

    page = (await browser.get("/admin/")).text
    assert "Categories" in page
    assert "/admin/user/list" not in page
