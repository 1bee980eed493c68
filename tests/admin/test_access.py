"""Who may enter the panel, and from where."""

from collections.abc import Callable

import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession

from admin import VIEWS
from models import Category, TokenKind, User, UserSession
from services import sessions
from services.permissions import Actor
from tests.admin.conftest import Rows
from tests.conftest import token_of

BrowserOf = Callable[..., AsyncClient]

DOORS = (
    ("GET", ""),
    ("GET", "{table}/list"),
    ("GET", "{table}/details/{id}"),
    ("GET", "{table}/create"),
    ("POST", "{table}/create"),
    ("GET", "{table}/edit/{id}"),
    ("POST", "{table}/edit/{id}"),
    ("DELETE", "{table}/delete?pks={id}"),
    ("GET", "{table}/export/csv"),
    ("GET", "{table}/export/json"),
    ("POST", "{table}/import"),
    ("GET", "{table}/ajax/lookup?name=x&term=x"),
    ("GET", "{table}/{id}/name/download/"),
    ("GET", "{table}/{id}/name/preview/"),
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


async def test_strangers_are_sent_to_sign_in(browser_of: BrowserOf, rows: Rows) -> None:
    answers = await knock_everywhere(browser_of(None), rows)

    wrong = {
        door: answer.status_code
        for door, answer in answers.items()
        if (answer.status_code, answer.headers.get("location")) != (303, "/login?next=/admin")
    }
    assert wrong == {}


async def test_members_are_refused(browser_of: BrowserOf, alice: Actor, rows: Rows) -> None:
    answers = await knock_everywhere(browser_of(alice), rows)

    assert {door: answer.status_code for door, answer in answers.items() if answer.status_code != 403} == {}
    assert "The panel is for staff." in answers["GET "].text


async def test_refused_requests_change_nothing(
    browser_of: BrowserOf, alice: Actor, rows: Rows, session: AsyncSession
) -> None:
    for browser in (browser_of(None), browser_of(alice)):
        await browser.post(f"/admin/category/edit/{rows['category']}", data={"name": "Hacked"})
        await browser.delete(f"/admin/category/delete?pks={rows['category']}")

    assert (await session.get_one(Category, rows["category"], populate_existing=True)).name == "Moon cheese"


async def test_superusers_come_in_by_cookie_and_by_bearer(panel: AsyncClient, client_of: BrowserOf, sam: Actor) -> None:
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


async def test_there_is_no_second_sign_in(browser_of: BrowserOf) -> None:
    browser = browser_of(None)

    for answer in (
        await browser.get("/admin/login"),
        await browser.post("/admin/login", data={"username": "sam@example.com", "password": "x"}),
    ):
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/admin")
        assert "set-cookie" not in answer.headers


async def test_logging_out_ends_the_session(panel: AsyncClient, sam: Actor, session: AsyncSession) -> None:
    answer = await panel.get("/admin/logout")

    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert 'larder_session=""' in answer.headers["set-cookie"]
    assert await session.get(UserSession, sam.session_id) is None


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
        await browser.delete(f"/admin/category/delete?pks={rows['category']}"),
        await browser.get("/admin/logout"),
        await browser.get(f"/admin/category/action/delete-all?pks={rows['category']}"),
    ]

    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert all("another site" in answer.text for answer in answers)
    assert (await session.get_one(Category, rows["category"], populate_existing=True)).name == "Moon cheese"
    assert await session.get(UserSession, sam.session_id) is not None


@pytest.mark.parametrize("path", ["logout", "category/action/delete-all?pks=1"])
async def test_an_address_that_acts_is_not_followed_from_nowhere(path: str, panel: AsyncClient) -> None:
    assert (await coming_from(panel, {"Sec-Fetch-Site": "none"}).get(f"/admin/{path}")).status_code == 403


async def test_its_own_cookie_stays_in_the_panel(panel: AsyncClient, rows: Rows) -> None:
    answer = await panel.post("/admin/category/create", data={"name": "Star dust", "save": "Save"})

    for cookie in answer.headers.get_list("set-cookie"):
        assert cookie.startswith("larder_admin=")
        assert "path=/admin" in cookie
        assert "samesite=strict" in cookie.lower()
        assert "httponly" in cookie.lower()
