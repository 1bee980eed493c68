"""Registering, signing in and out, and one's own settings, in the pages."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from auth import COOKIE
from models import Household, Membership, User
from services import households
from services.permissions import Actor
from services.schemas.households import InvitationCreate
from settings import Registration, Settings
from tests.conftest import HOUSEHOLD, PASSWORD, ClientOf
from tests.pages import html
from tests.pages.ways import BOTH_WAYS, assert_sent, refused, shows

NORA = {"name": "Nora", "email": "nora@example.com", "password": "seven plums 7", "time_zone": "Asia/Tokyo"}


@BOTH_WAYS
async def test_registering_signs_in_to_a_household_of_ones_own(
    browser_of: ClientOf, session: AsyncSession, htmx: bool
) -> None:
    browser = browser_of(None, htmx=htmx)
    response = await browser.post("/register", data={**NORA, "name": "Nóra 🥛 Ñ"})

    assert "Nóra 🥛 Ñ" in assert_sent(response, htmx, "/")["message"]
    assert response.headers["cache-control"] == "no-store"
    home = await browser.get("/", headers={"HX-Request": ""})
    assert all(shows(home, "Nóra", "Nothing in the house yet", "Welcome, Nóra 🥛 Ñ.").values())
    assert "Welcome" not in (await browser.get("/", headers={"HX-Request": ""})).text
    found = await session.scalars(select(Household.time_zone).where(col(Household.name).startswith("Nóra")))
    assert found.one() == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"email": "nobody"}, "email"),
        ({"email": "x" * 300 + "@example.com"}, "email"),
        ({"password": "short1"}, "password"),
        ({"password": "a1" * 65}, "password"),
        ({"password": "password1"}, "password"),
        ({"email": "alice@example.com"}, ""),
        ({"invitation": "i" * 201}, ""),
        ({"invitation": "made up"}, ""),
    ],
)
async def test_a_wrong_registration_is_told_at_its_field_and_keeps_what_was_typed(
    browser_of: ClientOf, session: AsyncSession, wrong: dict[str, str], field: str
) -> None:
    response = await browser_of(None).post("/register", data={**NORA, **wrong})

    errors, values = refused(response, "/register")
    assert set(errors) == {field}
    assert values["password"] == ""
    kept = {**NORA, **wrong}
    assert values["name"] == kept["name"]
    assert values["email"] == kept["email"]
    assert COOKIE not in response.cookies
    assert (await session.scalars(select(User).where(User.name == "Nora"))).all() == []


async def test_a_zone_that_only_the_browser_knows_keeps_nobody_out(browser_of: ClientOf) -> None:
    response = await browser_of(None).post("/register", data={**NORA, "time_zone": "Mars/Olympus_Mons"})

    assert response.status_code == 303


@pytest.mark.parametrize("registration", [Registration.CLOSED, Registration.INVITE])
async def test_an_instance_that_takes_nobody_says_so(
    browser_of: ClientOf, config: Settings, monkeypatch: pytest.MonkeyPatch, registration: Registration
) -> None:
    monkeypatch.setattr(config, "registration", registration)
    browser = browser_of(None)

    page = await browser.get("/register")
    assert html.read(page.text).all("input", name="password") == []
    assert "Make an account" not in (await browser.get("/login")).text
    assert (await browser.post("/register", data=NORA)).status_code == 422


async def test_an_invitation_opens_an_instance_for_the_invited_but_not_a_closed_one(
    browser_of: ClientOf,
    session: AsyncSession,
    config: Settings,
    monkeypatch: pytest.MonkeyPatch,
    alice: Actor,
) -> None:
    invited = await households.invite(session, alice, InvitationCreate(), base_url="")
    await session.commit()
    browser = browser_of(None)

    monkeypatch.setattr(config, "registration", Registration.CLOSED)
    closed = await browser.get("/register", params={"invitation": invited.token})
    assert html.read(closed.text).all("input", name="password") == []

    monkeypatch.setattr(config, "registration", Registration.INVITE)
    page = await browser.get("/register", params={"invitation": invited.token})
    assert all(shows(page, "You join Home as Member.").values())
    response = await browser.post("/register", data={**NORA, "invitation": invited.token})
    assert response.status_code == 303
    member = await session.scalars(
        select(Membership.role).join(User).where(User.email == NORA["email"], Membership.household_id == HOUSEHOLD)
    )
    assert member.all() == ["member"]


@BOTH_WAYS
async def test_signing_in_leads_to_where_one_wanted_to_go(browser_of: ClientOf, alice: Actor, htmx: bool) -> None:
    browser = browser_of(None)
    sent = await browser.get("/stock?q=K%C3%A4se&sort=name")
    assert sent.status_code == 303
    login = html.read((await browser.get(sent.headers["location"])).text).one("form", action="/login").values
    assert login["next"] == "/stock?q=K%C3%A4se&sort=name"

    browser = browser_of(None, htmx=htmx)
    data = {**login, "email": " ALICE@example.com ", "password": PASSWORD}
    response = await browser.post("/login", data=data)
    assert (response.status_code, response.headers["hx-redirect" if htmx else "location"]) == (
        204 if htmx else 303,
        "/stock?q=K%C3%A4se&sort=name",
    )
    assert (await browser.get("/")).status_code == 200
    assert (await browser.get("/login", params={"next": "/stock"})).status_code in {303, 204}


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "\t//evil.example",
        "/\t/evil",
        "",
    ],
)
@BOTH_WAYS
async def test_signing_in_never_leads_elsewhere(browser_of: ClientOf, alice: Actor, htmx: bool, target: str) -> None:
    browser = browser_of(None, htmx=htmx)
    shown = await browser.get("/login", params={"next": target})
    assert html.read(shown.text).one("input", name="next").value == "/"

    response = await browser.post("/login", data={"email": alice.email, "password": PASSWORD, "next": target})
    assert response.headers["hx-redirect" if htmx else "location"] == "/"


@BOTH_WAYS
async def test_names_of_all_alphabets_survive_in_headers(browser_of: ClientOf, alice: Actor, htmx: bool) -> None:
    data = {"email": alice.email, "password": PASSWORD, "next": "/stock?q=Käse 🧀"}
    response = await browser_of(None, htmx=htmx).post("/login", data=data)

    assert response.headers["hx-redirect" if htmx else "location"] == "/stock?q=K%C3%A4se%20%F0%9F%A7%80"


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"password": "not this 1"}, 401),
        ({"email": "who@example.com"}, 401),
        ({"password": ""}, 422),
        ({"email": "\x00"}, 422),
    ],
)
async def test_a_wrong_sign_in_keeps_the_address_and_not_the_password(
    browser_of: ClientOf, alice: Actor, wrong: dict[str, str], status: int
) -> None:
    data = {"email": alice.email, "password": PASSWORD, "next": "/stock", **wrong}
    response = await browser_of(None).post("/login", data=data)

    errors, values = refused(response, "/login", status=status)
    assert errors
    assert (values["email"], values["password"], values["next"]) == (data["email"], "", "/stock")
    assert COOKIE not in response.cookies


@pytest.mark.parametrize(("host", "secure"), [("localhost", False), ("127.0.0.1", False), ("larder.example", True)])
async def test_the_session_cookie_is_for_the_server_alone(
    browser_of: ClientOf, alice: Actor, host: str, secure: bool
) -> None:
    data = {"email": alice.email, "password": PASSWORD}
    response = await browser_of(None).post(f"http://{host}/login", data=data)

    (cookie,) = [one.lower() for one in response.headers.get_list("set-cookie") if one.startswith(COOKIE)]
    flags = {flag.strip() for flag in cookie.split(";")}
    assert {"httponly", "samesite=lax", "path=/"} <= flags
    assert ("secure" in flags) is secure


@BOTH_WAYS
@pytest.mark.parametrize("way", ["/logout", "/logout-all"])
async def test_signing_out_ends_the_session_and_forgets_the_pages(
    browser_of: ClientOf, alice: Actor, htmx: bool, way: str
) -> None:
    browser, other = browser_of(alice, htmx=htmx), browser_of(None)
    await other.post("/login", data={"email": alice.email, "password": PASSWORD})
    response = await browser.post(way)

    assert "signed out" in assert_sent(response, htmx, "/login")["message"]
    assert response.headers["clear-site-data"] == '"cache"'
    (removed,) = [one for one in response.headers.get_list("set-cookie") if one.startswith(f'{COOKIE}=""')]
    assert "Max-Age=0" in removed
    assert (await browser_of(alice).get("/")).headers["location"] == "/login"
    assert (await other.get("/")).status_code == (303 if way == "/logout-all" else 200)


@BOTH_WAYS
async def test_ones_name_and_looks_are_changed(browser_of: ClientOf, alice: Actor, htmx: bool) -> None:
    browser = browser_of(alice, htmx=htmx)
    response = await browser.post("/settings", data={"name": "Älice", "locale": "de", "theme": "dark"})

    assert_sent(response, htmx, "/settings")
    page = html.read((await browser.get("/settings", headers={"HX-Request": ""})).text)
    assert page.one("html").attrs["data-theme"] == "dark"
    assert page.one("html").attrs["lang"] == "de"
    assert page.one("form", action="/settings").values == {"name": "Älice", "locale": "de", "theme": "dark"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"locale": "klingon"}, "locale"),
        ({"theme": "neon"}, "theme"),
    ],
)
async def test_wrong_settings_are_told_at_their_field(
    browser_of: ClientOf, alice: Actor, wrong: dict[str, Any], field: str
) -> None:
    response = await browser_of(alice).post(
        "/settings", data={"name": "Alice", "locale": "", "theme": "system", **wrong}
    )

    errors, values = refused(response, "/settings")
    assert set(errors) == {field}
    assert values["name"] == wrong.get("name", "Alice")


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"current_password": "wrong one 1", "new_password": "seven plums 7"}, "current_password"),
        ({"current_password": PASSWORD, "new_password": "short1"}, "new_password"),
        ({"current_password": PASSWORD, "new_password": ""}, "new_password"),
        ({"current_password": "", "new_password": "seven plums 7"}, "current_password"),
    ],
)
async def test_a_wrong_change_of_password_is_told_at_its_field(
    browser_of: ClientOf, alice: Actor, sent: dict[str, str], field: str
) -> None:
    browser = browser_of(alice)
    errors, values = refused(await browser.post("/settings/password", data=sent), "/settings/password")

    assert set(errors) == {field}
    assert (values["current_password"], values["new_password"]) == ("", "")
    assert (await browser_of(None).post("/login", data={"email": alice.email, "password": PASSWORD})).status_code == 303
