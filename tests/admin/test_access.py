"""Who may enter the panel, and from where."""

import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession

from admin import VIEWS
from models import Category, TokenKind, User, UserSession
from services import sessions
from services.permissions import Actor
from tests.admin.conftest import Rows, act, delete
from tests.conftest import ClientOf, token_of

DOORS = (
    ("GET", ""),
    ("GET", "{table}/list"),
    ("GET", "{table}/details/{id}"),
    ("GET", "{table}/create"),
    ("POST", "{table}/create"),
    ("GET", "{table}/edit/{id}"),
    ("POST", "{table}/edit/{id}"),
    ("POST", "{table}/delete"),
    ("POST", "{table}/action/revoke"),
    ("GET", "{table}/export/csv"),
    ("GET", "{table}/export/json"),
    ("GET", "{table}/import"),
    ("POST", "{table}/import"),
)
TABLES = tuple(view.identity for view in VIEWS)


async def knock_everywhere(browser: AsyncClient, rows: Rows) -> dict[str, Response]:
    return {
        f"{method} {path}": await browser.request(method, f"/admin/{path}")
        for table in TABLES
        for method, path in ((method, path.format(table=table, id=rows[table])) for method, path in DOORS)
    }


def test_every_table_has_a_row_to_try(rows: Rows) -> None:
    assert set(rows) == set(TABLES)


async def test_strangers_are_sent_to_sign_in(browser_of: ClientOf, rows: Rows) -> None:
    answers = await knock_everywhere(browser_of(None), rows)

    wrong = {
        door: answer.status_code
        for door, answer in answers.items()
        if (answer.status_code, answer.headers.get("location")) != (303, "/login?next=/admin")
    }
    assert wrong == {}


async def test_members_are_refused(browser_of: ClientOf, alice: Actor, rows: Rows) -> None:
    answers = await knock_everywhere(browser_of(alice), rows)

    assert {door: answer.status_code for door, answer in answers.items() if answer.status_code != 403} == {}
    assert "The panel is for staff." in answers["GET "].text


async def test_refused_requests_change_nothing(
    browser_of: ClientOf, alice: Actor, rows: Rows, session: AsyncSession
) -> None:
    for browser in (browser_of(None), browser_of(alice)):
        await browser.post(f"/admin/category/edit/{rows['category']}", data={"name": "Hacked"})
        await delete(browser, "category", rows["category"])

    assert (await session.get_one(Category, rows["category"], populate_existing=True)).name == "Moon cheese"


async def test_superusers_come_in_by_cookie_and_by_bearer(panel: AsyncClient, client_of: ClientOf, sam: Actor) -> None:
    assert (await panel.get("/admin/")).status_code == 200
    assert (await client_of(sam).get("http://localhost/admin/")).status_code == 200
    # A cookie's token is no bearer token.
    bearer = {"Authorization": f"Bearer {token_of(sam, TokenKind.COOKIE)}"}
    assert (await client_of(None).get("http://localhost/admin/", headers=bearer)).status_code == 303


@pytest.mark.parametrize(("change", "status"), [("is_superuser", 403), ("is_active", 303)])
async def test_who_is_demoted_or_disabled_is_out_at_once(
    change: str, status: int, panel: AsyncClient, sam: Actor, session: AsyncSession
) -> None:
    assert (await panel.get("/admin/user/list")).status_code == 200

    setattr(await session.get_one(User, sam.user_id), change, False)
    await session.commit()

    assert (await panel.get("/admin/user/list")).status_code == status
    assert (await panel.post(f"/admin/user/edit/{sam.user_id}", data={change: "y"})).status_code == status


async def test_whose_session_ended_is_out_at_once(panel: AsyncClient, sam: Actor, session: AsyncSession) -> None:
    await sessions.end_all(session, sam.user_id)
    await session.commit()

    assert (await panel.get("/admin/")).status_code == 303


async def test_there_is_no_second_sign_in_nor_out(panel: AsyncClient, sam: Actor, session: AsyncSession) -> None:
    for answer in (
        await panel.get("/admin/login"),
        await panel.post("/admin/login", data={"username": "sam@example.com", "password": "x"}),
        await panel.get("/admin/logout"),
        await panel.get("/admin/statics/js/main.js"),
        await panel.get("/admin/user/ajax/lookup?name=x&term=x"),
        await panel.get(f"/admin/user/{sam.user_id}/hashed_password/download/"),
    ):
        assert answer.status_code == 404
        assert "set-cookie" not in answer.headers
    assert await session.get(UserSession, sam.session_id) is not None


# Other sites

ELSEWHERE = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
)


def coming_from(panel: AsyncClient, headers: dict[str, str]) -> AsyncClient:
    del panel.headers["Sec-Fetch-Site"]
    panel.headers.update(headers)
    return panel


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
async def test_other_sites_change_nothing(
    headers: dict[str, str], panel: AsyncClient, rows: Rows, session: AsyncSession, sam: Actor
) -> None:
    browser = coming_from(panel, headers)

    answers = [
        await browser.post("/admin/category/create", data={"name": "Hacked", "save": "Save"}),
        await browser.post(f"/admin/category/edit/{rows['category']}", data={"name": "Hacked", "save": "Save"}),
        await browser.post(f"/admin/user/edit/{rows['user']}", data={"is_superuser": "y", "save": "Save"}),
        await delete(browser, "category", rows["category"]),
        await act(browser, "user", "disable", rows["user"]),
        await browser.post("/admin/catalogue-item/import", data={"take": "all", "content": "gtin,name"}),
        await browser.post(f"/admin/roles/of/{rows['user']}", data={"role": "x"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert all("another site" in answer.text for answer in answers)
    assert (await session.get_one(Category, rows["category"], populate_existing=True)).name == "Moon cheese"
    assert await session.get(UserSession, sam.session_id) is not None


async def test_nothing_is_done_by_following_a_link(
    panel: AsyncClient, rows: Rows, session: AsyncSession, bob: Actor
) -> None:
    for path in ("action/disable", "delete"):
        answer = await panel.get(f"/admin/user/{path}?pks={bob.user_id}&sure=yes")
        assert answer.status_code == 405

    assert (await session.get_one(User, bob.user_id, populate_existing=True)).is_active


async def test_it_has_no_cookie_of_its_own(panel: AsyncClient, rows: Rows) -> None:
    answer = await panel.post("/admin/category/create", data={"name": "Star dust", "save": "Save"})

    names = {cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie")}
    assert names <= {"larder_flash"}
