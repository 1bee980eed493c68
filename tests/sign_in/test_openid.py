"""Signing in with an OpenID provider: a real one, and one that lies."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from httpx import AsyncClient, Response
from joserfc import jwk
from pydantic import HttpUrl, SecretStr
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from auth import COOKIE
from models import ExternalIdentity, Household, Membership, User
from services import passwords
from services.core import clock
from services.permissions import Actor
from settings import Registration, Settings
from tests.conftest import PASSWORD, ClientOf
from tests.openid.provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider
from tests.sign_in.conftest import Confirm, SetUp, audited, notices_to
from tests.sign_in.rogue import Rogue, as_json, rogue_provider

CALLBACK = "http://localhost/login/openid/callback"


@pytest.fixture(scope="module")
def real_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_provider(CALLBACK, tmp_path_factory.mktemp("openid") / "provider.log") as provider:
        yield provider


@pytest.fixture(autouse=True)
def _as_late_as_it_is() -> Iterator[None]:
    """The provider does not stand still with us."""
    with clock.frozen(datetime.now(UTC)):
        yield


def configure(config: Settings, monkeypatch: pytest.MonkeyPatch, issuer: str, secret: str) -> None:
    monkeypatch.setattr(config, "openid_issuer", HttpUrl(issuer))
    monkeypatch.setattr(config, "openid_client_id", CLIENT_ID)
    monkeypatch.setattr(config, "openid_client_secret", SecretStr(secret))
    monkeypatch.setattr(config, "openid_name", "Club <ID>")


@pytest.fixture
def provider(real_provider: Provider, config: Settings, monkeypatch: pytest.MonkeyPatch) -> Provider:
    configure(config, monkeypatch, real_provider.issuer, CLIENT_SECRET)
    return real_provider


@pytest.fixture
async def rogue(config: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rogue]:
    async with rogue_provider() as rogue:
        configure(config, monkeypatch, rogue.issuer, "secret")
        yield rogue


@pytest.fixture
def browser(browser_of: ClientOf) -> AsyncClient:
    return browser_of(None)


async def set_out(browser: AsyncClient, path: str = "/login/openid", **form: str) -> str:
    """Where the browser is sent; it waits on a page of ours for that."""
    begun = await browser.post(path, data=form)
    assert (begun.status_code, begun.headers["location"]) == (303, "/login/openid/go"), begun.text
    page = await browser.get("/login/openid/go")
    assert page.status_code == 200, page.text
    assert page.headers["cache-control"] == "no-store"
    return unescape(page.text.split('content="0;url=')[1].split('"')[0])


async def go(browser: AsyncClient, provider: Provider, login: str, **form: str) -> Response:
    """There and back as `login`."""
    back = await provider.sign_in(await set_out(browser, **form), login)
    return await browser.get(back)


def asked_in(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query))


async def come_back(browser: AsyncClient, rogue: Rogue, **query: str) -> Response:
    """From a provider that looks at nothing."""
    asked = asked_in(await set_out(browser))
    rogue.nonce = asked["nonce"]
    return await browser.get("/login/openid/callback", params={"code": "abc", "state": asked["state"], **query})


def is_in(response: Response) -> bool:
    return COOKIE in response.cookies


async def users_called(session: AsyncSession, email: str) -> list[User]:
    return list(await session.scalars(select(User).where(User.email == email)))


# With a real provider


async def test_whoever_is_new_gets_an_account_and_a_household_and_comes_back_to_them(
    session: AsyncSession, browser: AsyncClient, browser_of: ClientOf, provider: Provider
) -> None:
    first = await go(browser, provider, "nora", next="/stock?q=milk", time_zone="Asia/Tokyo")

    assert (first.status_code, first.headers["location"]) == (303, "/stock?q=milk"), first.text
    assert is_in(first)
    assert first.headers["cache-control"] == "no-store"
    (user,) = await users_called(session, "nora@example.com")
    assert (user.name, user.is_verified, user.locale) == ("nora", True, "en-GB")
    assert user.hashed_password == passwords.UNUSABLE
    household = await session.scalars(select(Household).join(Membership).where(Membership.user_id == user.id))
    assert [(home.name, home.time_zone) for home in household] == [("nora’s household", "Asia/Tokyo")]

    again = await go(browser_of(None), provider, "nora")
    assert is_in(again)
    assert len((await session.scalars(select(ExternalIdentity))).all()) == 1
    assert [entry.after for entry in await audited(session, "auth:login")] == [{"way": "openid"}] * 2


async def test_what_is_asked_is_what_the_standards_want(browser: AsyncClient, provider: Provider) -> None:
    one, other = asked_in(await set_out(browser)), asked_in(await set_out(browser))

    assert one["response_type"] == "code"
    assert one["code_challenge_method"] == "S256"
    assert one["redirect_uri"] == CALLBACK
    assert set(one["scope"].split()) == {"openid", "email", "profile"}
    for secret in ("state", "nonce", "code_challenge"):
        assert one[secret] != other[secret]
        assert len(one[secret]) >= 43


async def test_the_identity_decides_and_not_the_address(
    session: AsyncSession, browser: AsyncClient, provider: Provider, alice: Actor
) -> None:
    """Whoever has alice's address at the provider gets nowhere near her account."""
    response = await go(browser, provider, "alice")

    assert response.status_code == 409
    assert not is_in(response)
    assert "There is an account with your e-mail address" in response.text
    assert "Club &lt;ID&gt;" in response.text
    assert (await session.scalars(select(ExternalIdentity))).all() == []


@pytest.mark.parametrize("login", ["alice+unverified", "nora+unverified", "nora+nomail"])
async def test_an_address_nobody_vouches_for_makes_no_account(
    session: AsyncSession, browser: AsyncClient, provider: Provider, login: str
) -> None:
    response = await go(browser, provider, login)

    assert response.status_code == 403
    assert not is_in(response)
    assert "does not vouch" in response.text, "and does not say whether the address has an account"
    assert await users_called(session, "nora@example.com") == []


@pytest.mark.parametrize("registration", [Registration.CLOSED, Registration.INVITE])
async def test_a_closed_instance_makes_no_accounts(
    session: AsyncSession,
    browser: AsyncClient,
    provider: Provider,
    config: Settings,
    monkeypatch: pytest.MonkeyPatch,
    registration: Registration,
) -> None:
    monkeypatch.setattr(config, "registration", registration)

    response = await go(browser, provider, "nora")

    assert response.status_code == 403
    assert await users_called(session, "nora@example.com") == []


async def test_linked_by_its_owner_it_signs_in(
    session: AsyncSession,
    browser_of: ClientOf,
    browser: AsyncClient,
    provider: Provider,
    alice: Actor,
    confirm: Confirm,
) -> None:
    await confirm(alice)
    alices = browser_of(alice)

    linked = await go(alices, provider, "somebody", path="/settings/security/identities")
    assert (linked.status_code, linked.headers["location"]) == (303, "/settings/security")
    assert "somebody@example.com" in (await alices.get("/settings/security")).text

    response = await go(browser, provider, "somebody")
    assert is_in(response)
    assert alice.email in (await browser.get("/settings/email")).text
    assert await notices_to(session, alice) == ["identity_linked"]
    assert [entry.actor_name for entry in await audited(session, "identities:link")] == ["Alice"]


async def test_linking_needs_a_fresh_confirmation_on_both_ways(
    session: AsyncSession, browser_of: ClientOf, provider: Provider, alice: Actor, confirm: Confirm
) -> None:
    alices = browser_of(alice)
    begun = await alices.post(
        "/settings/security/identities", headers={"Referer": "http://localhost/settings/security"}
    )
    assert begun.headers["location"] == "/confirm?next=/settings/security"

    await confirm(alice)
    back = await provider.sign_in(await set_out(alices, "/settings/security/identities"), "somebody")
    with clock.frozen(clock.now() + timedelta(minutes=9)):
        await confirm(alice)
    with clock.frozen(clock.now() + timedelta(minutes=9)):
        assert (await alices.get(back)).headers["location"] == "/settings/security"
    assert len((await session.scalars(select(ExternalIdentity))).all()) == 1


async def test_an_identity_belongs_to_one_account(
    session: AsyncSession, browser_of: ClientOf, provider: Provider, alice: Actor, bob: Actor, confirm: Confirm
) -> None:
    await confirm(alice)
    await confirm(bob)
    await go(browser_of(alice), provider, "somebody", path="/settings/security/identities")

    await go(browser_of(bob), provider, "somebody", path="/settings/security/identities")

    (identity,) = (await session.scalars(select(ExternalIdentity))).all()
    assert identity.user_id == alice.user_id


async def test_an_answer_does_not_link_to_whoever_else_brings_it(
    session: AsyncSession, browser_of: ClientOf, provider: Provider, alice: Actor, bob: Actor, confirm: Confirm
) -> None:
    """Bob begins a link, and gets alice to finish it: his identity must not open her account."""
    await confirm(alice)
    await confirm(bob)
    bobs, alices = browser_of(bob), browser_of(alice)
    back = await provider.sign_in(await set_out(bobs, "/settings/security/identities"), "bobs-identity")

    await alices.get(back)
    assert (await session.scalars(select(ExternalIdentity))).all() == []

    alices.cookies.update(dict(bobs.cookies))
    alices.cookies.delete(COOKIE)
    alices.cookies.set(COOKIE, "cookie-of-Alice")
    await alices.get(back)
    assert (await session.scalars(select(ExternalIdentity))).all() == [], "with bob’s cookie planted, neither"


async def test_a_second_factor_is_asked_for_all_the_same(
    session: AsyncSession, browser_of: ClientOf, browser: AsyncClient, provider: Provider, alice: Actor, set_up: SetUp
) -> None:
    app, _codes = await set_up(alice)
    await go(browser_of(alice), provider, "somebody", path="/settings/security/identities")

    response = await go(browser, provider, "somebody", next="/stock")
    assert (response.headers["location"], is_in(response)) == ("/login/code", False)

    done = await browser.post("/login/code", data={"code": app.code()})
    assert (done.headers["location"], is_in(done)) == ("/stock", True)
    assert [entry.after for entry in await audited(session, "auth:login")] == [{"way": "openid, app"}]


async def test_the_disabled_stay_out(session: AsyncSession, browser_of: ClientOf, provider: Provider) -> None:
    await go(browser_of(None), provider, "nora")
    (user,) = await users_called(session, "nora@example.com")
    user.is_active = False
    await session.commit()

    response = await go(browser_of(None), provider, "nora")

    assert (response.status_code, is_in(response)) == (401, False)


async def test_unlinked_it_signs_nobody_in(
    session: AsyncSession, browser_of: ClientOf, client: AsyncClient, provider: Provider, alice: Actor, confirm: Confirm
) -> None:
    await confirm(alice)
    await go(browser_of(alice), provider, "somebody+unverified", path="/settings/security/identities")
    (listed,) = (await client.get("/users/me/identities")).json()["items"]
    assert (listed["issuer"], listed["email"]) == (provider.issuer, "")

    assert (await client.delete(f"/users/me/identities/{listed['id']}")).status_code == 204

    assert not is_in(await go(browser_of(None), provider, "somebody+unverified"))
    assert await notices_to(session, alice) == ["identity_linked", "identity_unlinked"]


async def test_the_only_way_in_is_not_unlinked(session: AsyncSession, browser: AsyncClient, provider: Provider) -> None:
    await go(browser, provider, "nora")
    (identity,) = (await session.scalars(select(ExternalIdentity))).all()

    refused = await browser.post(f"/settings/security/identities/{identity.id}/unlink")
    assert refused.status_code == 409
    assert "only way you can sign in" in refused.text

    (user,) = await users_called(session, "nora@example.com")
    user.hashed_password = passwords.HASHER.hash(PASSWORD)
    await session.commit()
    unlinked = await browser.post(f"/settings/security/identities/{identity.id}/unlink")
    assert unlinked.headers["location"] == "/settings/security"


async def test_whoever_has_no_password_confirms_where_they_sign_in(
    session: AsyncSession, browser: AsyncClient, provider: Provider
) -> None:
    await go(browser, provider, "nora")
    with clock.frozen(clock.now() + timedelta(minutes=16)):
        asked = await browser.get("/settings/security")
        assert asked.headers["location"] == "/confirm?next=/settings/security"
        assert 'action="/confirm/openid"' in (await browser.get("/confirm?next=/settings/security")).text

        other = await go(browser, provider, "somebody-else", path="/confirm/openid", next="/settings/security")
        assert other.status_code == 303
        assert (await browser.get("/settings/security")).status_code == 303, "that was somebody else"

        back = await go(browser, provider, "nora", path="/confirm/openid", next="/settings/security")
        assert back.headers["location"] == "/settings/security"
        assert (await browser.get("/settings/security")).status_code == 200


async def test_an_answer_works_once_and_only_where_it_was_asked_for(
    browser: AsyncClient, browser_of: ClientOf, provider: Provider
) -> None:
    back = await provider.sign_in(await set_out(browser), "nora")
    cookies = dict(browser.cookies)

    elsewhere = await browser_of(None).get(back)
    assert (elsewhere.status_code, is_in(elsewhere)) == (401, False), "no cookie: another browser"
    other = browser_of(None)
    await set_out(other)
    assert not is_in(await other.get(back)), "the cookie of another sign-in"

    assert is_in(await browser.get(back))
    replaying = browser_of(None)
    replaying.cookies.update(cookies)
    again = await replaying.get(back)
    assert (again.status_code, is_in(again)) == (401, False)


async def test_a_code_of_another_sign_in_is_refused_by_the_provider(
    browser: AsyncClient, browser_of: ClientOf, provider: Provider
) -> None:
    """PKCE: a code that was stolen on its way is of no use to the thief, whatever state he has."""
    stolen = asked_in(await provider.sign_in(await set_out(browser), "nora"))["code"]
    thief = browser_of(None)
    state = asked_in(await set_out(thief))["state"]

    response = await thief.get(
        "/login/openid/callback", params={"code": stolen, "state": state, "iss": provider.issuer}
    )

    assert (response.status_code, is_in(response)) == (401, False)


async def test_who_says_no_there_is_back_at_the_door(browser: AsyncClient, provider: Provider) -> None:
    state = asked_in(await set_out(browser))["state"]

    response = await browser.get(
        "/login/openid/callback", params={"error": "access_denied", "state": state, "iss": provider.issuer}
    )

    assert response.status_code == 401
    assert "Club &lt;ID&gt; did not sign you in" in response.text


async def test_answers_take_ten_minutes_at_most(browser: AsyncClient, provider: Provider) -> None:
    back = await provider.sign_in(await set_out(browser), "nora")

    with clock.frozen(clock.now() + timedelta(minutes=10)):
        response = await browser.get(back)

    assert (response.status_code, is_in(response)) == (401, False)


# With one that lies


async def test_what_is_right_is_believed(browser: AsyncClient, rogue: Rogue) -> None:
    response = await come_back(browser, rogue)

    assert is_in(response), response.text


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another client"},
        {"aud": ["another", "client"]},
        {"aud": ["larder", "another"]},
        {"aud": ["larder", "another"], "azp": "another"},
        {"aud": None},
        {"azp": "another"},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 17},
        {"sub": "s" * 256},
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
    ],
    ids=str,
)
async def test_a_token_for_another_purpose_is_refused(
    session: AsyncSession, browser: AsyncClient, rogue: Rogue, claims: dict[str, Any]
) -> None:
    rogue.claims = claims

    response = await come_back(browser, rogue)

    assert (response.status_code, is_in(response)) == (401, False)
    assert await users_called(session, "rita@example.com") == []


@pytest.mark.parametrize(
    ("name", "seconds", "is_good"),
    [("exp", -60, True), ("exp", -180, False), ("iat", 60, True), ("iat", 180, False), ("nbf", 180, False)],
)
async def test_clocks_may_differ_a_little(
    browser: AsyncClient, rogue: Rogue, name: str, seconds: int, is_good: bool
) -> None:
    rogue.claims = {name: int(clock.now().timestamp()) + seconds}

    assert is_in(await come_back(browser, rogue)) is is_good


async def test_a_token_that_nobody_signed_is_refused(browser: AsyncClient, rogue: Rogue) -> None:
    rogue.header = {"alg": "none"}

    assert (await come_back(browser, rogue)).status_code == 401


async def test_a_token_signed_with_another_key_is_refused(browser: AsyncClient, rogue: Rogue) -> None:
    rogue.signs_with = jwk.RSAKey.generate_key(2048, {"kid": "one"})

    assert (await come_back(browser, rogue)).status_code == 401


@pytest.mark.parametrize("secret", ["the public key", "the client secret"])
async def test_a_token_signed_with_what_others_know_is_refused(browser: AsyncClient, rogue: Rogue, secret: str) -> None:
    """The old confusion: HMAC with the public key, or with the secret that both sides have."""
    pem = rogue.key.as_pem(private=False)
    rogue.signs_with = jwk.OctKey.import_key(urlsafe_b64encode(pem) if secret == "the public key" else b"secret" * 8)
    rogue.header = {"alg": "HS256", "kid": "one"}

    assert (await come_back(browser, rogue)).status_code == 401


async def test_a_key_that_comes_with_the_token_is_not_used(browser: AsyncClient, rogue: Rogue) -> None:
    own = jwk.RSAKey.generate_key(2048)
    rogue.signs_with = own
    rogue.header = {"alg": "RS256", "kid": "one", "jwk": own.as_dict(private=False)}

    assert (await come_back(browser, rogue)).status_code == 401


@pytest.mark.parametrize("id_token", ["", "a", "a.b", "a.b.c", "é.é.é", "e30.e30.", "." * 5000, "a" * 10_000])
async def test_nonsense_is_refused(browser: AsyncClient, rogue: Rogue, id_token: str) -> None:
    rogue.id_token = id_token

    assert (await come_back(browser, rogue)).status_code == 401


async def test_new_keys_are_asked_for_but_not_at_every_made_up_name(browser: AsyncClient, rogue: Rogue) -> None:
    assert is_in(await come_back(browser, rogue))
    assert rogue.count("/jwks") == 1

    rogue.key = jwk.RSAKey.generate_key(2048, {"kid": "two"})
    rogue.header = {"alg": "RS256", "kid": "two"}
    with clock.frozen(clock.now() + timedelta(minutes=1)):
        browser.cookies.clear()
        assert is_in(await come_back(browser, rogue))
        assert rogue.count("/jwks") == 2

        rogue.header = {"alg": "RS256", "kid": "made up"}
        for _index in range(3):
            browser.cookies.clear()
            assert not is_in(await come_back(browser, rogue))
        assert rogue.count("/jwks") == 2
    assert rogue.count("/.well-known/openid-configuration") == 1


async def test_another_provider_in_the_middle_is_noticed(browser: AsyncClient, rogue: Rogue) -> None:
    mixed_up = await come_back(browser, rogue, iss="https://evil.example")
    assert (mixed_up.status_code, is_in(mixed_up)) == (401, False)

    assert is_in(await come_back(browser, rogue, iss=rogue.issuer))


async def test_one_that_says_it_names_itself_must(browser: AsyncClient, rogue: Rogue) -> None:
    rogue.metadata = {"authorization_response_iss_parameter_supported": True}

    assert (await come_back(browser, rogue)).status_code == 401


async def test_a_wrong_state_is_refused(browser: AsyncClient, rogue: Rogue) -> None:
    for state in ("", "made up", "é"):
        assert (await come_back(browser, rogue, state=state)).status_code == 401
    assert rogue.count("/token") == 0, "before the code is shown to anybody"


async def test_what_is_published_must_be_of_who_was_meant(browser: AsyncClient, rogue: Rogue) -> None:
    rogue.metadata = {"issuer": "https://evil.example"}

    await browser.post("/login/openid")
    response = await browser.get("/login/openid/go")

    assert response.status_code == 503
    assert "evil.example" not in response.text


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/token", "/me"])
@pytest.mark.parametrize(
    "answer", [as_json([]), as_json({}), as_json(None), as_json({}, 500), b"HTTP/1.1 200 OK\r\n\r\nnot json", b"\0"]
)
async def test_a_provider_that_is_broken_is_a_pity_and_no_more(
    browser: AsyncClient, rogue: Rogue, path: str, answer: bytes
) -> None:
    rogue.answers = {path: answer}
    rogue.claims = {"email": None}

    await browser.post("/login/openid")
    page = await browser.get("/login/openid/go")
    if page.status_code == 200:
        asked = asked_in(unescape(page.text.split('content="0;url=')[1].split('"')[0]))
        rogue.nonce = asked["nonce"]
        page = await browser.get("/login/openid/callback", params={"code": "abc", "state": asked["state"]})

    assert page.status_code in {401, 403, 503}
    assert not is_in(page)
    assert "<form" in page.text, "and there are other ways in"


async def test_one_that_is_away_is_a_pity_and_no_more(
    browser: AsyncClient, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(config, monkeypatch, "http://127.0.0.1:9", "secret")

    await browser.post("/login/openid")

    assert (await browser.get("/login/openid/go")).status_code == 503


async def test_what_it_says_elsewhere_must_be_of_the_same_person(browser: AsyncClient, rogue: Rogue) -> None:
    rogue.claims = {"email": None}
    rogue.about = {"sub": "somebody else", "email": "rita@example.com", "email_verified": True}
    assert not is_in(await come_back(browser, rogue))

    rogue.about = {"email": "rita@example.com"}
    assert not is_in(await come_back(browser, rogue)), "vouched for in one place, named in another"

    rogue.about = {"email": "rita@example.com", "email_verified": True}
    assert is_in(await come_back(browser, rogue))


@pytest.mark.parametrize(
    "claims",
    [
        {"name": ""},
        {"name": "\x00"},
        {"name": "n" * 300},
        {"name": 17},
        {"name": ["a"]},
        {"name": "\u202eevil"},
        {"locale": "klingon"},
        {"locale": 17},
        {"locale": "x" * 10_000},
    ],
    ids=lambda claims: str(claims)[:30],
)
async def test_strange_names_are_replaced(
    session: AsyncSession, browser: AsyncClient, rogue: Rogue, claims: dict[str, Any]
) -> None:
    rogue.claims = claims

    assert is_in(await come_back(browser, rogue))

    (user,) = await users_called(session, "rita@example.com")
    assert user.name in {"Rita", "rita"}


@pytest.mark.parametrize("verified", [None, False, "true", 1, "yes"])
async def test_only_true_is_true(browser: AsyncClient, rogue: Rogue, verified: object) -> None:
    rogue.claims = {"email_verified": verified}

    assert (await come_back(browser, rogue)).status_code == 403


@pytest.mark.parametrize("email", ["nobody", "a@b", "x" * 300 + "@example.com", "rita@example.com\r\nBcc: all", 17, []])
async def test_strange_addresses_make_no_account(browser: AsyncClient, rogue: Rogue, email: object) -> None:
    rogue.claims = {"email": email}

    assert (await come_back(browser, rogue)).status_code == 403


# Without one


async def test_without_a_provider_there_is_none(browser: AsyncClient) -> None:
    assert (await browser.post("/login/openid")).status_code == 404
    assert (await browser.get("/login/openid/go")).headers["location"] == "/login"
    assert (await browser.get("/login/openid/callback?code=a&state=b")).status_code == 401
    assert "openid" not in (await browser.get("/login")).text


async def test_a_page_of_others_cannot_send_anybody_there(browser: AsyncClient, rogue: Rogue) -> None:
    response = await browser.post("/login/openid", headers={"Sec-Fetch-Site": "cross-site"})

    assert response.status_code == 403


@pytest.mark.parametrize("next", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_a_page_elsewhere_is_never_gone_on_to(browser: AsyncClient, rogue: Rogue, next: str) -> None:
    asked = asked_in(await set_out(browser, next=next))
    rogue.nonce = asked["nonce"]

    response = await browser.get("/login/openid/callback", params={"code": "abc", "state": asked["state"]})

    assert response.headers["location"] == "/"
