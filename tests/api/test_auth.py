"""Signing in and out over the API."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from auth import COOKIE, REFRESH_COOKIE
from models import Membership, SessionToken, TokenKind, User, UserSession
from services import accounts, passwords, sessions
from services.core import clock
from services.core.ids import hash_token
from services.permissions import Actor
from services.sessions import ACCESS_LIFETIME, SESSION_LIFETIME
from settings import Registration, Settings
from tests.conftest import HOUSEHOLD, NOW, PASSWORD, ClientOf, make_actor, token_of
from tests.doors import make_one_of_each

NEW = {"email": "Nora@Example.com", "password": "seven plums 7", "name": "Nora", "time_zone": "Asia/Tokyo"}


@pytest.fixture
def nobody(client_of: ClientOf) -> AsyncClient:
    return client_of(None)


async def sign_in(client: AsyncClient, actor: Actor, password: str = PASSWORD) -> dict[str, Any]:
    response = await client.post("/auth/login", json={"email": actor.email, "password": password})
    assert response.status_code == 200, response.text
    client.cookies.clear()
    return dict(response.json())


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def fields_of(response: Response) -> set[str]:
    return {error["field"] for error in response.json()["errors"]}


async def test_registering_makes_an_account_with_a_household_of_its_own(nobody: AsyncClient) -> None:
    response = await nobody.post("/auth/register", json=NEW)

    assert response.status_code == 201
    user = response.json()
    assert user["email"] == "nora@example.com"
    assert user["avatar_url"] is None
    assert "password" not in response.text

    login = await nobody.post("/auth/login", json={"email": "NORA@example.com ", "password": NEW["password"]})
    households = (await nobody.get("/households", headers=bearer(login.json()))).json()["items"]
    assert [(h["name"], h["role"], h["time_zone"]) for h in households] == [("Nora’s household", "owner", "Asia/Tokyo")]
    places = (await nobody.get(f"/households/{households[0]['id']}/locations", headers=bearer(login.json()))).json()
    assert {place["name"] for place in places["items"]} == {"Pantry", "Fridge", "Freezer"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": "a@b"}, "email"),
        ({"email": "x" * 300 + "@example.com"}, "email"),
        ({"email": None}, "email"),
        ({"password": "short1"}, "password"),
        ({"password": "onlyletters"}, "password"),
        ({"password": "12345678901"}, "password"),
        ({"password": "password1"}, "password"),
        ({"password": "a1" * 65}, "password"),
        ({"password": "a1" * 100_000}, "password"),
        ({"password": ["list"]}, "password"),
        ({"name": ""}, "name"),
        ({"name": "  \u200b "}, "name"),
        ({"name": "n" * 101}, "name"),
        ({"name": "bell\x07"}, "name"),
        ({"time_zone": "Middle/Earth"}, "time_zone"),
        ({"locale": "klingon"}, "locale"),
    ],
)
async def test_registering_says_which_field_is_wrong(nobody: AsyncClient, wrong: dict[str, Any], field: str) -> None:
    response = await nobody.post("/auth/register", json={**NEW, **wrong})

    assert response.status_code == 422, response.text
    assert fields_of(response) == {field}


async def test_an_address_is_registered_once_however_it_is_written(nobody: AsyncClient, alice: Actor) -> None:
    response = await nobody.post("/auth/register", json={**NEW, "email": alice.email.upper()})

    assert response.status_code == 409
    assert response.json()["code"] == "duplicate"


@pytest.mark.parametrize("registration", [Registration.CLOSED, Registration.INVITE])
async def test_a_closed_instance_takes_no_strangers(
    nobody: AsyncClient, config: Settings, monkeypatch: pytest.MonkeyPatch, registration: Registration
) -> None:
    monkeypatch.setattr(config, "registration", registration)

    assert (await nobody.post("/auth/register", json=NEW)).status_code == 403


async def test_an_invitation_opens_an_instance_that_takes_only_the_invited(
    nobody: AsyncClient, client: AsyncClient, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "registration", Registration.INVITE)
    invited = await client.post(f"/households/{HOUSEHOLD}/invitations", json={"role": "viewer"})

    response = await nobody.post("/auth/register", json={**NEW, "invitation": invited.json()["token"]})
    assert response.status_code == 201
    refused = await nobody.post("/auth/register", json={**NEW, "email": "two@example.com", "invitation": "made up"})
    assert refused.status_code == 404

    tokens = (await nobody.post("/auth/login", json=NEW)).json()
    households = (await nobody.get("/households", headers=bearer(tokens))).json()["items"]
    assert [(h["id"], h["role"]) for h in households] == [(str(HOUSEHOLD), "viewer")]


async def test_signing_in_gives_tokens_and_cookies(nobody: AsyncClient, alice: Actor) -> None:
    response = await nobody.post("/auth/login", json={"email": alice.email, "password": PASSWORD})

    assert response.status_code == 200
    assert set(response.json()) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert response.json()["expires_in"] == ACCESS_LIFETIME.total_seconds()
    assert response.headers["cache-control"] == "no-store"
    cookies = {cookie.partition("=")[0]: cookie.lower() for cookie in response.headers.get_list("set-cookie")}
    assert set(cookies) == {COOKIE, REFRESH_COOKIE}
    for cookie in cookies.values():
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "secure" not in cookie  # reached over loopback
    assert "path=/api/v1/auth" in cookies[REFRESH_COOKIE]


async def test_cookies_are_secure_off_loopback(nobody: AsyncClient, alice: Actor) -> None:
    response = await nobody.post(
        "http://larder.example/api/v1/auth/login", json={"email": alice.email, "password": PASSWORD}
    )

    assert all("; Secure" in cookie for cookie in response.headers.get_list("set-cookie"))


async def test_wrong_passwords_and_unknown_addresses_answer_alike(nobody: AsyncClient, alice: Actor) -> None:
    wrong = await nobody.post("/auth/login", json={"email": alice.email, "password": "not this one 1"})
    unknown = await nobody.post("/auth/login", json={"email": "who@example.com", "password": "not this one 1"})

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.headers["www-authenticate"] == "Bearer"
    same = ("type", "title", "status", "code", "detail", "errors")
    assert [wrong.json()[key] for key in same] == [unknown.json()[key] for key in same]
    assert "set-cookie" not in wrong.headers


async def test_unknown_addresses_cost_a_hash_as_well(nobody: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str | None] = []
    verify = passwords.verify

    async def watched(password: str, hashed: str | None) -> tuple[bool, str | None]:
        verified.append(hashed)
        return await verify(password, hashed)

    monkeypatch.setattr(passwords, "verify", watched)
    await nobody.post("/auth/login", json={"email": "who@example.com", "password": "not this one 1"})

    assert verified == [None]


async def test_a_deactivated_account_cannot_sign_in_or_go_on(
    nobody: AsyncClient, client: AsyncClient, alice: Actor, session: AsyncSession
) -> None:
    (await session.get_one(User, alice.user_id)).is_active = False
    await session.commit()

    response = await nobody.post("/auth/login", json={"email": alice.email, "password": PASSWORD})
    assert response.status_code == 401
    assert (await client.get("/users/me")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer nothing"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "bearer Ünïcode"},
        {"Cookie": f"{COOKIE}=nothing"},
        {"Cookie": f"{COOKIE}="},
    ],
)
async def test_without_a_right_token_nobody_is_let_in(nobody: AsyncClient, headers: dict[str, str]) -> None:
    shown = {name.encode(): value.encode() for name, value in headers.items()}
    response = await nobody.get("/users/me", headers=shown)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["code"] == "not_signed_in"


async def test_refreshing_rotates_both_tokens(nobody: AsyncClient, alice: Actor) -> None:
    first = await sign_in(nobody, alice)

    response = await nobody.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})

    assert response.status_code == 200
    second = response.json()
    assert second["refresh_token"] != first["refresh_token"]
    nobody.cookies.clear()
    assert (await nobody.get("/users/me", headers=bearer(second))).status_code == 200
    assert (await nobody.get("/users/me", headers=bearer(first))).status_code == 401


async def test_the_refresh_cookie_does_as_well(nobody: AsyncClient, alice: Actor) -> None:
    await nobody.post("/auth/login", json={"email": alice.email, "password": PASSWORD})

    assert (await nobody.post("/auth/refresh")).status_code == 200
    assert (await nobody.post("/auth/refresh")).status_code == 200


async def test_a_refresh_token_that_comes_back_ends_its_session(nobody: AsyncClient, alice: Actor) -> None:
    first = await sign_in(nobody, alice)
    other = await sign_in(nobody, alice)
    second = (await nobody.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})).json()
    nobody.cookies.clear()

    stolen = await nobody.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})

    assert stolen.status_code == 401
    assert (await nobody.get("/users/me", headers=bearer(second))).status_code == 401
    refused = await nobody.post("/auth/refresh", json={"refresh_token": second["refresh_token"]})
    assert refused.status_code == 401
    assert (await nobody.get("/users/me", headers=bearer(other))).status_code == 200


@pytest.mark.parametrize("body", [{}, {"refresh_token": None}, {"refresh_token": "made up"}])
async def test_nothing_is_refreshed_for_nothing(nobody: AsyncClient, body: dict[str, Any]) -> None:
    assert (await nobody.post("/auth/refresh", json=body)).status_code == 401


async def test_an_access_token_is_not_a_refresh_token_nor_a_cookie(nobody: AsyncClient, alice: Actor) -> None:
    tokens = await sign_in(nobody, alice)

    refused = await nobody.post("/auth/refresh", json={"refresh_token": tokens["access_token"]})
    assert refused.status_code == 401
    response = await nobody.get("/users/me", headers={"Cookie": f"{COOKIE}={tokens['access_token']}"})
    assert response.status_code == 401
    response = await nobody.get("/users/me", headers={"Authorization": f"Bearer {tokens['refresh_token']}"})
    assert response.status_code == 401


async def test_access_tokens_live_for_minutes_and_sessions_slide(nobody: AsyncClient, alice: Actor) -> None:
    tokens = await sign_in(nobody, alice)

    with clock.frozen(NOW + ACCESS_LIFETIME + timedelta(seconds=1)):
        assert (await nobody.get("/users/me", headers=bearer(tokens))).status_code == 401
    with clock.frozen(NOW + SESSION_LIFETIME - timedelta(days=1)):
        tokens = (await nobody.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})).json()
    with clock.frozen(NOW + SESSION_LIFETIME + timedelta(days=1)):
        assert (await nobody.post("/auth/refresh", json=tokens)).status_code == 200
    with clock.frozen(NOW + 3 * SESSION_LIFETIME):
        assert (await nobody.post("/auth/refresh", json=tokens)).status_code == 401


async def test_a_cookie_slides_with_its_use(browser_of: ClientOf, alice: Actor) -> None:
    browser = browser_of(None)
    await browser.post("/login", data={"email": alice.email, "password": PASSWORD})

    for days in range(50, 250, 50):
        with clock.frozen(NOW + timedelta(days=days)):
            assert (await browser.get("/")).status_code == 200
    with clock.frozen(NOW + timedelta(days=200 + 61)):
        assert (await browser.get("/")).headers["location"].startswith("/login")


async def test_signing_out_ends_this_session_with_all_its_tokens(nobody: AsyncClient, alice: Actor) -> None:
    tokens, other = await sign_in(nobody, alice), await sign_in(nobody, alice)

    response = await nobody.post("/auth/logout", headers=bearer(tokens))

    assert response.status_code == 204
    assert (await nobody.get("/users/me", headers=bearer(tokens))).status_code == 401
    assert (await nobody.post("/auth/refresh", json=tokens)).status_code == 401
    assert (await nobody.get("/users/me", headers=bearer(other))).status_code == 200


async def test_signing_out_everywhere_ends_every_session_but_nobody_elses(
    nobody: AsyncClient, client: AsyncClient, client_of: ClientOf, alice: Actor, bob: Actor
) -> None:
    tokens = await sign_in(nobody, alice)

    assert (await nobody.post("/auth/logout-all", headers=bearer(tokens))).status_code == 204

    assert (await client.get("/users/me")).status_code == 401
    assert (await nobody.get("/users/me", headers=bearer(tokens))).status_code == 401
    assert (await client_of(bob).get("/users/me")).status_code == 200


async def test_a_new_password_signs_other_devices_out(
    nobody: AsyncClient, client: AsyncClient, browser_of: ClientOf, alice: Actor
) -> None:
    browser = browser_of(None)
    await browser.post("/login", data={"email": alice.email, "password": PASSWORD})

    changed = await browser.post(
        "/settings/password", data={"current_password": PASSWORD, "new_password": "a better one 8"}
    )

    assert changed.status_code == 303
    assert (await browser.get("/settings")).status_code == 200
    assert (await client.get("/users/me")).status_code == 401
    refused = await nobody.post("/auth/login", json={"email": alice.email, "password": PASSWORD})
    assert refused.status_code == 401
    await sign_in(nobody, alice, "a better one 8")


async def test_only_hashes_of_tokens_and_passwords_are_kept(
    nobody: AsyncClient, alice: Actor, session: AsyncSession
) -> None:
    tokens = await sign_in(nobody, alice)

    kept = {row.token_hash for row in await session.scalars(select(SessionToken))}
    assert not kept & {tokens["access_token"], tokens["refresh_token"]}
    user = await session.get_one(User, alice.user_id)
    assert user.hashed_password.startswith("$argon2id$")


async def test_ones_profile_can_be_changed(client: AsyncClient) -> None:
    response = await client.patch("/users/me", json={"name": "Álice 🍏", "locale": "de", "theme": "dark"})

    assert response.status_code == 200
    assert (await client.get("/users/me")).json() == response.json()
    assert response.json()["name"] == "Álice 🍏"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"name": ""}, "name"), ({"theme": "neon"}, "theme"), ({"locale": "xx-nowhere"}, "locale"), ({"name": 5}, "name")],
)
async def test_a_profile_says_which_field_is_wrong(client: AsyncClient, wrong: dict[str, Any], field: str) -> None:
    response = await client.patch("/users/me", json=wrong)

    assert response.status_code == 422
    assert fields_of(response) == {field}


async def test_a_profile_cannot_make_itself_staff(client: AsyncClient, alice: Actor, session: AsyncSession) -> None:
    await client.patch("/users/me", json={"is_superuser": True, "email": "other@example.com", "hashed_password": "x"})

    user = await session.get_one(User, alice.user_id)
    assert (user.is_superuser, user.email) == (False, alice.email)


async def test_registering_cannot_make_staff_either(nobody: AsyncClient, session: AsyncSession) -> None:
    await nobody.post("/auth/register", json={**NEW, "is_superuser": True, "is_verified": True, "role": "owner"})

    user = (await session.scalars(select(User).where(User.email == "nora@example.com"))).one()
    assert (user.is_superuser, user.is_verified) == (False, False)


async def test_sessions_of_deleted_users_go_with_them(session: AsyncSession, vera: Actor) -> None:
    await session.delete(await session.get_one(User, vera.user_id))
    await session.flush()

    assert await session.get(UserSession, vera.session_id, populate_existing=True) is None
    assert (await session.scalars(select(Membership).where(Membership.user_id == vera.user_id))).all() == []


async def test_one_sees_where_one_is_signed_in_and_ends_one_of_them(
    client: AsyncClient, client_of: ClientOf, alice: Actor, bob: Actor
) -> None:
    phone = client_of(None)
    await phone.post("/auth/login", json={"email": alice.email, "password": PASSWORD}, headers={"User-Agent": "Phone"})
    found = {one["is_current"]: one for one in (await client.get("/users/me/sessions")).json()["items"]}
    newest = found[False]
    assert (found[True]["id"], newest["user_agent"]) == (str(alice.session_id), "Phone")

    assert (await client_of(bob).delete(f"/users/me/sessions/{newest['id']}")).status_code == 404
    assert (await phone.get("/users/me")).status_code == 200
    assert (await client.delete(f"/users/me/sessions/{newest['id']}")).status_code == 204
    assert (await client.delete(f"/users/me/sessions/{newest['id']}")).status_code == 404

    assert (await phone.get("/users/me")).status_code == 401
    assert [one["id"] for one in (await client.get("/users/me/sessions")).json()["items"]] == [str(alice.session_id)]


@pytest.mark.parametrize("path", ["/households", f"/households/{HOUSEHOLD}/lots", "/users/me/sessions"])
async def test_a_list_is_counted_only_when_asked_to(client: AsyncClient, path: str) -> None:
    plain = (await client.get(path)).json()
    counted = (await client.get(path, params={"total": "true"})).json()

    assert set(plain) == {"items", "next"}
    assert counted["total"] == len(counted["items"])


@pytest.mark.parametrize("email", ["a\x00@example.com", "\ud800", "x" * 255])
async def test_signing_in_with_what_is_no_address_is_refused_at_its_field(nobody: AsyncClient, email: str) -> None:
    response = await nobody.post(
        "/auth/login",
        content=json.dumps({"email": email, "password": "x"}),
        headers={"Content-Type": "application/json"},
    )

    assert response.status_code == 422
    assert fields_of(response) == {"email"}


# Tokens that are none


def _jwt(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, signature])


CLAIMS = {"sub": str(make_actor("alice").user_id), "userId": 1, "tokenType": "accessToken", "exp": 9999999999}
FORGED = {
    "alg none": _jwt({"alg": "none", "typ": "JWT"}, CLAIMS),
    "re-signed": _jwt({"alg": "HS256"}, CLAIMS, "x" * 43),
    "the hash of a real one": hash_token(token_of(make_actor("alice"), TokenKind.ACCESS)),
    "a real one, a letter longer": token_of(make_actor("alice"), TokenKind.ACCESS) + "x",
    "a real one in capitals": token_of(make_actor("alice"), TokenKind.ACCESS).upper(),
    "the kind of the other door": token_of(make_actor("alice"), TokenKind.COOKIE),
    "of no size": "x" * 8_000,
    "of SQL": "' OR 1=1 --",
    "two": f"{token_of(make_actor('alice'), TokenKind.ACCESS)}, {token_of(make_actor('alice'), TokenKind.ACCESS)}",
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
async def test_forged_tokens_open_no_door_of_any_kind(
    token: str, client_of: ClientOf, browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    nobody, browser, ids = client_of(None), browser_of(None), await make_one_of_each(session, alice)
    nobody.headers["Authorization"] = f"Bearer {token}"
    as_cookie = token if token != token_of(alice, TokenKind.COOKIE) else token_of(alice, TokenKind.ACCESS)
    browser.cookies.set(COOKIE, f'"{as_cookie}"')

    for path in ("/users/me", f"/households/{HOUSEHOLD}/lots", "/notifications", "/users/me/api-keys"):
        assert (await nobody.get(path)).status_code == 401
    assert (await nobody.post("/ws/ticket")).status_code == 401
    assert (await nobody.delete(f"/households/{HOUSEHOLD}/lots/{ids['lot_id']}")).status_code in {401, 405}
    assert (await nobody.post("/auth/refresh", json={"refresh_token": token[:200]})).status_code == 401
    for path in ("/", "/settings", "/admin/"):
        assert (await browser.get(path)).headers["location"].startswith("/login")


# Refreshing


async def test_all_that_a_stolen_token_bred_dies_with_its_family(nobody: AsyncClient, alice: Actor) -> None:
    """Three generations: the oldest comes back, and the newest is over as well."""
    tokens = [await sign_in(nobody, alice)]
    for _generation in range(2):
        tokens.append((await nobody.post("/auth/refresh", json=_renewal(tokens[-1]))).json())
        nobody.cookies.clear()

    assert (await nobody.post("/auth/refresh", json=_renewal(tokens[0]))).status_code == 401

    for generation in tokens:
        assert (await nobody.get("/users/me", headers=bearer(generation))).status_code == 401
        assert (await nobody.post("/auth/refresh", json=_renewal(generation))).status_code == 401


@pytest.mark.parametrize("change", ["disabled", "signed out everywhere", "version raised", "deleted"])
async def test_nothing_is_refreshed_for_a_user_who_is_out(
    change: str, nobody: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    tokens = await sign_in(nobody, alice)
    user = await session.get_one(User, alice.user_id, populate_existing=True)
    match change:
        case "disabled":
            user.is_active = False
        case "signed out everywhere":
            await sessions.end_all(session, alice.user_id)
        case "version raised":
            user.auth_version += 1
        case _:
            await session.delete(user)
    await session.commit()

    assert (await nobody.post("/auth/refresh", json=_renewal(tokens))).status_code == 401
    assert (await nobody.get("/users/me", headers=bearer(tokens))).status_code == 401


@pytest.mark.parametrize("version", [0, 2, -1, 1_000_000])
async def test_a_session_is_good_for_one_version_of_its_user_not_for_later_ones(
    version: int, nobody: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    """fast-soy-admin compares with `<`, so a version that is higher passes there."""
    tokens = await sign_in(nobody, alice)
    newest = select(UserSession).where(UserSession.user_id == alice.user_id, col(UserSession.id) != alice.session_id)
    (await session.scalars(newest)).one().auth_version = version
    await session.commit()

    assert (await nobody.get("/users/me", headers=bearer(tokens))).status_code == 401


async def test_what_was_over_before_somebody_was_disabled_stays_over_after(
    nobody: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    tokens = await sign_in(nobody, alice)
    await accounts.disable(session, alice.user_id, by=None)
    await accounts.enable(session, alice.user_id, by=None)
    await session.commit()

    assert (await nobody.get("/users/me", headers=bearer(tokens))).status_code == 401
    assert (await nobody.post("/auth/refresh", json=_renewal(tokens))).status_code == 401


def _renewal(tokens: dict[str, Any]) -> dict[str, str]:
    return {"refresh_token": tokens["refresh_token"]}


# Cookies, headers, fixation


async def test_a_session_is_never_one_that_the_browser_brought(browser_of: ClientOf, alice: Actor) -> None:
    browser = browser_of(None)
    browser.cookies.set(COOKIE, "chosen-by-somebody-else")

    response = await browser.post("/login", data={"email": alice.email, "password": PASSWORD})

    given = response.cookies[COOKIE]
    assert given != "chosen-by-somebody-else"
    assert len(given) == 43
    assert (await browser_of(None).get("/", headers={"Cookie": f"{COOKIE}=chosen-by-somebody-else"})).status_code == 303


async def test_signing_in_again_gives_another_session(browser_of: ClientOf, alice: Actor) -> None:
    browser = browser_of(None)
    first = (await browser.post("/login", data={"email": alice.email, "password": PASSWORD})).cookies[COOKIE]
    browser.cookies.clear()
    second = (await browser.post("/login", data={"email": alice.email, "password": PASSWORD})).cookies[COOKIE]

    assert first != second


@pytest.mark.parametrize(
    "injected", ["x\r\nSet-Cookie: a=b", "x\nLocation: https://evil.example", "x\x00", "x; Path=/"]
)
async def test_nothing_that_is_typed_becomes_a_header_or_a_cookie(
    injected: str, browser_of: ClientOf, nobody: AsyncClient, alice: Actor
) -> None:
    browser = browser_of(None)
    signed_in = await browser.post("/login", data={"email": alice.email, "password": PASSWORD, "next": f"/{injected}"})
    assert signed_in.status_code == 303
    assert "evil" not in signed_in.headers["location"]
    assert "a=b" not in str(signed_in.headers.get_list("set-cookie"))

    for data in ({**NEW, "name": injected}, {**NEW, "email": injected}, {**NEW, "locale": injected}):
        made = await nobody.post("/auth/register", json=data)
        assert made.status_code in {201, 422}
        assert "set-cookie" not in made.headers
    renamed = await browser.post("/settings", data={"name": injected, "locale": "", "theme": "system"})
    assert renamed.status_code in {303, 422}
    assert all(one.startswith("larder_flash=") for one in renamed.headers.get_list("set-cookie"))


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "https:evil.example",
        "https://evil.example",
        "///evil.example",
        "/\t/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
    ],
)
@pytest.mark.parametrize("page", ["/login", "/confirm", "/settings/password", "/verify-email"])
async def test_no_page_leads_to_another_site(page: str, target: str, browser_of: ClientOf, alice: Actor) -> None:
    browser = browser_of(alice)

    seen = await browser.get(page, params={"next": target})

    assert "evil.example" not in seen.text
    assert "alert(1)" not in seen.text
    assert "evil.example" not in seen.headers.get("location", "")
    typed = {"password": PASSWORD, "current_password": PASSWORD, "new_password": "nine plums 9", "next": target}
    done = await browser.post(page, data={**typed, "email": alice.email})
    assert "evil.example" not in done.headers.get("location", "")
    assert not done.headers.get("location", "/").startswith(("//", "/\\", "javascript", "data"))


@pytest.mark.parametrize("password", ["a1" * 5_000, "a1" * 500_000])
async def test_a_password_of_any_length_is_only_wrong(
    password: str, nobody: AsyncClient, browser_of: ClientOf, alice: Actor
) -> None:
    answers = [
        await nobody.post("/auth/login", json={"email": alice.email, "password": password}),
        await browser_of(None).post("/login", data={"email": alice.email, "password": password}),
        await browser_of(alice).post(
            "/settings/password", data={"current_password": PASSWORD, "new_password": password}
        ),
    ]

    # Too long for the schema, for the rules, or for a form field: never too long for us.
    assert all(answer.status_code in {400, 401, 413, 422} for answer in answers)
    assert password not in "".join(answer.text for answer in answers)


@pytest.mark.parametrize(
    "email", ["\u0430lice@example.com", "alice@example.com\r\nBcc: x@example.com", "a" * 300, "\u202ealice@example.com"]
)
async def test_an_address_that_only_looks_right_is_refused_at_its_field(nobody: AsyncClient, email: str) -> None:
    response = await nobody.post("/auth/register", json={**NEW, "email": email})

    assert response.status_code == 422
    assert fields_of(response) == {"email"}


@pytest.mark.parametrize("email", ["\uff41lice@example.com", "ALICE@EXAMPLE.COM", " alice@example.com"])
async def test_an_address_is_the_same_in_every_spelling(nobody: AsyncClient, alice: Actor, email: str) -> None:
    assert (await nobody.post("/auth/register", json={**NEW, "email": email})).status_code == 409
    assert (await nobody.post("/auth/login", json={"email": email, "password": PASSWORD})).status_code == 200


async def test_an_address_in_another_script_is_kept_as_mail_servers_have_it(nobody: AsyncClient) -> None:
    made = await nobody.post("/auth/register", json={**NEW, "email": "nora@m\u00fcnchen.de"})

    assert made.json()["email"] == "nora@xn--mnchen-3ya.de"
    for spelling in ("nora@m\u00fcnchen.de", "NORA@XN--MNCHEN-3YA.DE"):
        signed_in = await nobody.post("/auth/login", json={"email": spelling, "password": NEW["password"]})
        assert signed_in.status_code == 200


# Where one is signed in


async def test_devices_are_told_in_words_with_where_they_are(
    nobody: AsyncClient, client: AsyncClient, alice: Actor
) -> None:
    agent = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
    await nobody.post("/auth/login", json={"email": alice.email, "password": PASSWORD}, headers={"User-Agent": agent})

    found = (await client.get("/users/me/sessions")).json()["items"]

    (newest,) = [one for one in found if not one["is_current"]]
    assert (newest["device"], newest["user_agent"]) == ("Firefox on Android", agent)
    assert (newest["ip_address"], newest["is_acting"], newest["acting_name"]) == ("127.0.0.1", False, "")


async def test_staff_in_ones_name_is_marked(
    client: AsyncClient, session: AsyncSession, alice: Actor, sam: Actor
) -> None:
    await sessions.start_acting(session, sam, await session.get_one(User, alice.user_id))
    await session.commit()

    found = (await client.get("/users/me/sessions")).json()["items"]

    assert [(one["is_acting"], one["acting_name"]) for one in found if not one["is_current"]] == [(True, "Sam")]


async def test_every_other_device_is_signed_out_at_once(nobody: AsyncClient, client: AsyncClient, alice: Actor) -> None:
    others = [await sign_in(nobody, alice) for _device in range(3)]

    assert (await client.delete("/users/me/sessions")).status_code == 204

    assert (await client.get("/users/me")).status_code == 200
    for other in others:
        assert (await nobody.get("/users/me", headers=bearer(other))).status_code == 401


async def test_one_changes_the_password_over_the_api(nobody: AsyncClient, client: AsyncClient, alice: Actor) -> None:
    other = await sign_in(nobody, alice)
    body = {"current_password": PASSWORD, "new_password": "nine plums 9"}

    assert (await client.post("/users/me/password", json={**body, "current_password": "x"})).status_code == 422
    assert (await client.post("/users/me/password", json=body)).status_code == 204

    assert (await client.get("/users/me")).status_code == 200
    assert (await nobody.get("/users/me", headers=bearer(other))).status_code == 401
    await sign_in(nobody, alice, "nine plums 9")
