"""A second factor: set up, asked for, used up, lost."""

import re
from datetime import timedelta
from html import unescape

import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from auth import COOKIE
from models import RecoveryCode, Totp, User
from services import second_factor, sessions
from services.challenges import LIFETIME, MAX_ATTEMPTS
from services.core import clock
from services.permissions import Actor
from tests.conftest import NOW, PASSWORD, ClientOf
from tests.sign_in.conftest import App, Confirm, SetUp, audited, notices_to


@pytest.fixture
def nobody(client_of: ClientOf) -> AsyncClient:
    return client_of(None)


@pytest.fixture
def stranger(browser_of: ClientOf) -> AsyncClient:
    return browser_of(None)


async def begin(client: AsyncClient, actor: Actor) -> str:
    """The password is right; what is left to answer."""
    response = await client.post("/auth/login", json={"email": actor.email, "password": PASSWORD})
    assert response.status_code == 401, response.text
    assert response.json()["code"] == "second_factor_required"
    assert not response.cookies
    return str(response.json()["challenge"])


async def answer(client: AsyncClient, challenge: str, code: str) -> Response:
    return await client.post("/auth/login/code", json={"challenge": challenge, "code": code})


# Setting it up


async def test_an_app_counts_once_its_code_was_shown(
    session: AsyncSession, client: AsyncClient, nobody: AsyncClient, alice: Actor, confirm: Confirm
) -> None:
    await confirm(alice)

    started = await client.post("/users/me/second-factor")
    assert started.status_code == 201
    assert started.headers["cache-control"] == "no-store"
    assert started.json()["uri"].startswith("otpauth://totp/Larder:alice%40example.com?secret=")
    assert started.json()["qr"].startswith("data:image/svg+xml")
    login = await nobody.post("/auth/login", json={"email": alice.email, "password": PASSWORD})
    assert login.status_code == 200, "what was not confirmed locks nobody out"

    app = App(started.json()["secret"])
    wrong = await client.post("/users/me/second-factor/confirm", json={"code": "000000"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "code")
    confirmed = await client.post("/users/me/second-factor/confirm", json={"code": app.code()})
    assert confirmed.status_code == 200
    codes = confirmed.json()["recovery_codes"]
    assert len(set(codes)) == 10
    assert all(re.fullmatch("[2-9a-z]{5}-[2-9a-z]{5}", code) for code in codes)

    await begin(nobody, alice)
    state = await client.get("/users/me/second-factor")
    assert (state.json()["is_on"], state.json()["recovery_codes_left"]) == (True, 10)
    again = await client.post("/users/me/second-factor")
    assert again.status_code == 409
    assert await notices_to(session, alice) == ["second_factor_on"]
    assert [entry.actor_name for entry in await audited(session, "second_factor:confirm")] == ["Alice"]


async def test_neither_the_secret_nor_the_codes_can_be_read_from_the_database(
    session: AsyncSession, client: AsyncClient, alice: Actor, confirm: Confirm
) -> None:
    await confirm(alice)
    secret = (await client.post("/users/me/second-factor")).json()["secret"]
    answered = await client.post("/users/me/second-factor/confirm", json={"code": App(secret).code()})

    kept = (await session.scalars(select(Totp.secret))).one()
    assert secret not in kept
    hashes = (await session.scalars(select(RecoveryCode.code_hash))).all()
    codes = answered.json()["recovery_codes"]
    assert not {code.replace("-", "") for code in codes} & set(hashes)
    assert secret not in str([entry.model_dump() for entry in await audited(session, "second_factor:confirm")])


async def test_a_set_up_that_was_left_lying_does_not_count(
    client: AsyncClient, alice: Actor, confirm: Confirm, session: AsyncSession
) -> None:
    await confirm(alice)
    app = App((await client.post("/users/me/second-factor")).json()["secret"])

    with clock.frozen(NOW + timedelta(minutes=31)):
        await confirm(alice)
        late = await client.post("/users/me/second-factor/confirm", json={"code": app.code()})

    assert (late.status_code, late.json()["code"]) == (409, "not_started")


# Signing in


@pytest.mark.parametrize("steps", [-1, 0, 1])
async def test_a_code_of_this_half_minute_or_of_its_neighbours_lets_in(
    nobody: AsyncClient, alice: Actor, set_up: SetUp, session: AsyncSession, steps: int
) -> None:
    app, _codes = await set_up(alice)

    response = await answer(nobody, await begin(nobody, alice), app.code(steps=steps))

    assert response.status_code == 200, response.text
    assert set(response.json()) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert COOKIE in response.cookies
    headers = {"Authorization": f"Bearer {response.json()['access_token']}"}
    nobody.cookies.clear()
    assert (await nobody.get("/users/me", headers=headers)).json()["email"] == alice.email
    assert [entry.after for entry in await audited(session, "auth:login")] == [{"way": "password, app"}]


@pytest.mark.parametrize("steps", [-3, -2, 2, 3])
async def test_an_older_or_newer_one_does_not(nobody: AsyncClient, alice: Actor, set_up: SetUp, steps: int) -> None:
    app, _codes = await set_up(alice)

    response = await answer(nobody, await begin(nobody, alice), app.code(steps=steps))

    assert (response.status_code, response.json()["code"]) == (401, "bad_code")


async def test_a_code_works_once(nobody: AsyncClient, alice: Actor, set_up: SetUp) -> None:
    app, _codes = await set_up(alice)
    assert (await answer(nobody, await begin(nobody, alice), app.code())).status_code == 200
    nobody.cookies.clear()

    challenge = await begin(nobody, alice)
    for steps in (0, -1):
        replayed = await answer(nobody, challenge, app.code(steps=steps))
        assert replayed.status_code == 401, "nor does one from before it"
    assert (await answer(nobody, challenge, app.code(steps=1))).status_code == 200


async def test_the_code_of_the_set_up_does_not_sign_in(
    session: AsyncSession, client: AsyncClient, nobody: AsyncClient, alice: Actor, confirm: Confirm
) -> None:
    await confirm(alice)
    app = App((await client.post("/users/me/second-factor")).json()["secret"])
    await client.post("/users/me/second-factor/confirm", json={"code": app.code()})

    assert (await answer(nobody, await begin(nobody, alice), app.code())).status_code == 401


async def test_a_challenge_is_answered_once(nobody: AsyncClient, alice: Actor, set_up: SetUp) -> None:
    app, _codes = await set_up(alice)
    challenge = await begin(nobody, alice)
    assert (await answer(nobody, challenge, app.code())).status_code == 200
    nobody.cookies.clear()

    again = await answer(nobody, challenge, app.code(steps=1))

    assert (again.status_code, again.json()["code"]) == (401, "challenge_over")


async def test_after_five_wrong_codes_the_right_one_is_too_late(
    session: AsyncSession, nobody: AsyncClient, alice: Actor, set_up: SetUp
) -> None:
    app, _codes = await set_up(alice)
    challenge = await begin(nobody, alice)

    for _index in range(MAX_ATTEMPTS):
        assert (await answer(nobody, challenge, "000000")).json()["code"] == "bad_code"
    late = await answer(nobody, challenge, app.code())

    assert (late.status_code, late.json()["code"]) == (401, "challenge_over")
    assert len(await audited(session, "auth:login_code")) == MAX_ATTEMPTS


async def test_a_challenge_is_good_for_ten_minutes(nobody: AsyncClient, alice: Actor, set_up: SetUp) -> None:
    app, _codes = await set_up(alice)
    challenge = await begin(nobody, alice)

    with clock.frozen(NOW + LIFETIME):
        late = await answer(nobody, challenge, app.code())

    assert late.json()["code"] == "challenge_over"


@pytest.mark.parametrize("what", ["disabled", "signed out everywhere"])
async def test_whoever_was_shut_out_meanwhile_stays_out(
    session: AsyncSession, nobody: AsyncClient, alice: Actor, set_up: SetUp, what: str
) -> None:
    app, _codes = await set_up(alice)
    challenge = await begin(nobody, alice)
    if what == "disabled":
        (await session.get_one(User, alice.user_id)).is_active = False
    else:
        await sessions.end_all(session, alice.user_id)
    await session.commit()

    response = await answer(nobody, challenge, app.code())

    assert (response.status_code, response.json()["code"]) == (401, "challenge_over")


@pytest.mark.parametrize(
    ("challenge", "code", "status"),
    [
        ("nonsense", "123456", 401),
        ("", "123456", 401),
        ("x" * 101, "123456", 422),
        (None, "123456", 422),
        (["a"], "123456", 422),
        ("nonsense", "", 422),
        ("nonsense", "1" * 65, 422),
        ("nonsense", None, 422),
        ("nonsense", 123456, 422),
        ("nonsense", "a\x00b", 422),
    ],
)
async def test_nonsense_is_refused(nobody: AsyncClient, challenge: object, code: object, status: int) -> None:
    response = await nobody.post("/auth/login/code", json={"challenge": challenge, "code": code})

    assert response.status_code == status, response.text


@pytest.mark.parametrize(
    "code", ["٣٤٥٦٧٨", "½½½½½½", "12345", "1234567", "-12345", "0x1234", "１２３４５６", "é" * 20, "'; --", "²²²²²²"]
)
async def test_strange_codes_are_wrong_codes(nobody: AsyncClient, alice: Actor, set_up: SetUp, code: str) -> None:
    await set_up(alice)

    response = await answer(nobody, await begin(nobody, alice), code)

    assert (response.status_code, response.json()["code"]) == (401, "bad_code"), response.text


async def test_a_wrong_password_does_not_say_that_there_is_a_second_factor(
    nobody: AsyncClient, alice: Actor, bob: Actor, set_up: SetUp
) -> None:
    await set_up(alice)

    wrong = [
        await nobody.post("/auth/login", json={"email": actor.email, "password": "wrong horse 7"})
        for actor in (alice, bob)
    ]

    assert [response.json()["code"] for response in wrong] == ["bad_credentials", "bad_credentials"]


# Recovery codes


async def test_a_recovery_code_lets_in_once_however_it_is_typed(
    session: AsyncSession, client: AsyncClient, nobody: AsyncClient, alice: Actor, set_up: SetUp
) -> None:
    _app, codes = await set_up(alice)
    typed = f" {codes[3].upper().replace('-', ' ')} "

    assert (await answer(nobody, await begin(nobody, alice), typed)).status_code == 200
    nobody.cookies.clear()
    again = await answer(nobody, await begin(nobody, alice), codes[3])

    assert again.status_code == 401
    assert (await client.get("/users/me/second-factor")).json()["recovery_codes_left"] == 9
    assert "recovery_code_used" in await notices_to(session, alice)


async def test_somebody_elses_recovery_code_does_not(
    nobody: AsyncClient, alice: Actor, bob: Actor, set_up: SetUp
) -> None:
    await set_up(alice)
    _app, codes = await set_up(bob)

    assert (await answer(nobody, await begin(nobody, alice), codes[0])).status_code == 401


async def test_new_recovery_codes_make_the_old_ones_void(
    client: AsyncClient, nobody: AsyncClient, alice: Actor, set_up: SetUp
) -> None:
    _app, codes = await set_up(alice)

    renewed = await client.post("/users/me/second-factor/recovery-codes")

    assert renewed.status_code == 201
    challenge = await begin(nobody, alice)
    assert (await answer(nobody, challenge, codes[0])).status_code == 401
    assert (await answer(nobody, challenge, renewed.json()["recovery_codes"][0])).status_code == 200


async def test_without_an_app_there_are_no_recovery_codes(client: AsyncClient, alice: Actor, confirm: Confirm) -> None:
    await confirm(alice)

    assert (await client.post("/users/me/second-factor/recovery-codes")).status_code == 409


# Turning it off


async def test_turned_off_it_is_not_asked_for(
    session: AsyncSession, client: AsyncClient, nobody: AsyncClient, alice: Actor, set_up: SetUp
) -> None:
    app, codes = await set_up(alice)
    challenge = await begin(nobody, alice)

    assert (await client.delete("/users/me/second-factor")).status_code == 204

    for code in (app.code(), codes[0]):
        assert (await answer(nobody, challenge, code)).status_code == 401, "what waited for a code is over with it"
    login = await nobody.post("/auth/login", json={"email": alice.email, "password": PASSWORD})
    assert login.status_code == 200
    assert (await notices_to(session, alice))[-1] == "second_factor_off"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/users/me/second-factor"),
        ("POST", "/users/me/second-factor/confirm"),
        ("POST", "/users/me/second-factor/recovery-codes"),
        ("DELETE", "/users/me/second-factor"),
    ],
)
async def test_changes_need_a_fresh_confirmation(
    client: AsyncClient, alice: Actor, set_up: SetUp, method: str, path: str
) -> None:
    await set_up(alice)

    with clock.frozen(NOW + sessions.CONFIRMED_FOR + timedelta(seconds=1)):
        response = await client.request(method, path, json={"code": "123456"})

    assert (response.status_code, response.json()["code"]) == (403, "confirmation_needed")
    assert (await client.get("/users/me/second-factor")).json()["recovery_codes_left"] == 10


async def test_staff_can_reset_it_for_somebody_who_lost_it(
    session: AsyncSession, nobody: AsyncClient, alice: Actor, sam: Actor, set_up: SetUp
) -> None:
    await set_up(alice)

    assert await second_factor.reset(session, await session.get_one(User, alice.user_id), by=sam)
    await session.commit()

    login = await nobody.post("/auth/login", json={"email": alice.email, "password": PASSWORD})
    assert login.status_code == 200
    assert [entry.actor_name for entry in await audited(session, "users:reset_second_factor")] == ["Sam"]


# On pages


async def test_signing_in_without_javascript(stranger: AsyncClient, alice: Actor, set_up: SetUp) -> None:
    app, _codes = await set_up(alice)

    first = await stranger.post("/login", data={"email": alice.email, "password": PASSWORD, "next": "/stock?q=milk"})
    assert (first.status_code, first.headers["location"]) == (303, "/login/code")
    assert COOKIE not in first.cookies
    assert "HttpOnly" in first.headers["set-cookie"]
    page = await stranger.get("/login/code")
    assert 'autocomplete="one-time-code"' in page.text

    wrong = await stranger.post("/login/code", data={"code": "000000"})
    assert wrong.status_code == 401
    assert "This code is wrong" in wrong.text
    right = await stranger.post("/login/code", data={"code": app.code()})
    assert (right.status_code, right.headers["location"]) == (303, "/stock?q=milk")
    assert COOKIE in right.cookies
    assert (await stranger.get("/settings")).status_code == 200


async def test_a_code_in_another_browser_does_not_let_in(
    stranger: AsyncClient, browser_of: ClientOf, alice: Actor, set_up: SetUp
) -> None:
    app, _codes = await set_up(alice)
    await stranger.post("/login", data={"email": alice.email, "password": PASSWORD})
    other = browser_of(None)

    assert (await other.get("/login/code")).headers["location"] == "/login"
    refused = await other.post("/login/code", data={"code": app.code()})

    assert refused.status_code == 401
    assert COOKIE not in refused.cookies


async def test_a_page_elsewhere_is_never_gone_on_to(stranger: AsyncClient, alice: Actor, set_up: SetUp) -> None:
    app, _codes = await set_up(alice)
    await stranger.post("/login", data={"email": alice.email, "password": PASSWORD, "next": "//evil.example"})

    response = await stranger.post("/login/code", data={"code": app.code()})

    assert response.headers["location"] == "/"


async def test_setting_it_up_on_the_page(browser_of: ClientOf, alice: Actor, confirm: Confirm) -> None:
    await confirm(alice)
    browser = browser_of(alice)

    started = await browser.post("/settings/security/second-factor")
    assert started.headers["location"].startswith("/settings/security")
    page = await browser.get("/settings/security")
    assert page.headers["cache-control"] == "no-store"
    assert 'src="data:image/svg+xml' in page.text
    app = App(str(re.search(r'class="secret"[^>]*>([A-Z2-7]+)<', page.text)[1]))  # type: ignore[index]

    wrong = await browser.post("/settings/security/second-factor/confirm", data={"code": "000000"})
    assert wrong.status_code == 422
    assert "This code is wrong" in wrong.text
    assert "data:image/svg+xml" in wrong.text

    done = await browser.post("/settings/security/second-factor/confirm", data={"code": app.code()})
    assert done.status_code == 200
    codes = re.findall(r"<li>([2-9a-z]{5}-[2-9a-z]{5})</li>", unescape(done.text))
    assert len(codes) == 10
    assert codes[0] not in (await browser.get("/settings/security")).text, "shown once"


async def test_the_page_asks_first_whether_it_is_you(browser_of: ClientOf, alice: Actor) -> None:
    response = await browser_of(alice).get("/settings/security")

    assert (response.status_code, response.headers["location"]) == (303, "/confirm?next=/settings/security")
