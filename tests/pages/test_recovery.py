"""The pages around the links that are mailed, and what else one does to an account."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from auth import COOKIE
from models import ApiKey, Job, LinkPurpose, OneTimeLink, User, UserSession
from services import account_mail, one_time_links, sessions
from services.core import clock
from services.permissions import Actor
from settings import Settings
from tests.conftest import NOW, PASSWORD, ClientOf
from tests.pages import html
from tests.pages.ways import BOTH_WAYS, assert_sent, form_at, refused, shows, toast_of

BETTER = "nine plums 9"


async def link_for(session: AsyncSession, actor: Actor, purpose: LinkPurpose, *, email: str | None = None) -> str:
    """The path of a link as it would be mailed."""
    user = await session.get_one(User, actor.user_id)
    await account_mail.send_link(session, user, purpose, email=email)
    link = (await session.scalars(select(OneTimeLink).order_by(col(OneTimeLink.id).desc()))).first()
    assert link is not None
    await session.commit()
    return urlsplit(one_time_links.address(link)).path


# The forgotten password


@BOTH_WAYS
@pytest.mark.parametrize("email", ["alice@example.com", "who@example.com"])
async def test_asking_for_a_link_answers_everybody_alike(
    browser_of: ClientOf, session: AsyncSession, htmx: bool, email: str
) -> None:
    browser = browser_of(None, htmx=htmx)
    assert "/forgot" in (await browser.get("/login", headers={"HX-Request": ""})).text

    response = await browser.post("/forgot", data={"email": email})

    assert response.status_code == 200
    assert email not in response.text
    assert "If there is an account with this address" in html.read(response.text).text
    (job,) = await session.scalars(select(Job))
    assert job.payload == {"email": email}


async def test_what_is_no_address_is_told_at_its_field(browser_of: ClientOf) -> None:
    errors, values = refused(await browser_of(None).post("/forgot", data={"email": "nobody"}), "/forgot")

    assert set(errors) == {"email"}
    assert values["email"] == "nobody"


@BOTH_WAYS
async def test_a_new_password_is_chosen_by_a_link(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    path = await link_for(session, alice, LinkPurpose.RESET_PASSWORD)
    browser = browser_of(None, htmx=htmx)
    page = await browser.get(path, headers={"HX-Request": ""})
    assert alice.email in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "no-store" in page.headers["cache-control"]

    response = await browser.post(path, data={"password": BETTER})

    assert_sent(response, htmx, "/login")
    assert COOKIE not in browser.cookies
    assert (await browser_of(alice).get("/")).headers["location"].startswith("/login")
    signed_in = await browser_of(None).post("/login", data={"email": alice.email, "password": BETTER})
    assert signed_in.status_code == 303
    assert (await browser.get(path, headers={"HX-Request": ""})).status_code == 410


async def test_a_weak_password_is_told_at_its_field_and_leaves_the_link_good(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    path = await link_for(session, alice, LinkPurpose.RESET_PASSWORD)
    browser = browser_of(None)

    for weak in ("", "short1", "password1", "a1" * 65):
        errors, values = refused(await browser.post(path, data={"password": weak}), path)
        assert (set(errors), values["password"]) == ({"password"}, "")

    assert (await browser.post(path, data={"password": BETTER})).status_code == 303


@pytest.mark.parametrize("path", ["/reset/", "/verify/"])
@pytest.mark.parametrize("token", ["made-up", "made.up", "%00", "x" * 3000, "%F0%9F%8D%8F.x"])
async def test_forged_links_lead_nowhere(browser_of: ClientOf, path: str, token: str) -> None:
    browser = browser_of(None)

    for response in (await browser.get(path + token), await browser.post(path + token, data={"password": BETTER})):
        assert response.status_code in {404, 405}
        assert token not in response.text or len(token) < 3


# Verification


async def test_following_a_link_changes_nothing_until_the_button_is_pressed(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    user = await session.get_one(User, alice.user_id)
    user.is_verified = False
    path = await link_for(session, alice, LinkPurpose.VERIFY_EMAIL)
    scanner = browser_of(None)

    for _time in range(2):
        page = await scanner.get(path)
        assert page.status_code == 200
        assert (await scanner.head(path)).status_code in {200, 405}
    await session.refresh(user)
    assert not user.is_verified

    response = await browser_of(None).post(path)
    assert response.headers["location"] == "/login"
    assert alice.email in toast_of(response)["message"]
    await session.refresh(user)
    assert user.is_verified


async def test_who_must_confirm_first_is_shown_how(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "require_verified", True)
    (await session.get_one(User, alice.user_id)).is_verified = False
    path = await link_for(session, alice, LinkPurpose.VERIFY_EMAIL)
    browser = browser_of(alice)

    assert (await browser.get("/stock")).headers["location"] == "/verify-email?next=/stock"
    page = await browser.get("/verify-email")
    assert all(shows(page, alice.email, "Send the link again", "Another address", "Sign out").values())
    assert 'href="/stock"' not in page.text
    assert (await browser.post("/verify-email")).status_code == 429
    with clock.frozen(NOW + timedelta(minutes=2)):
        assert "Another link is on its way" in (await browser.post("/verify-email")).text
        assert (await browser.get("/settings/email")).status_code == 200
        assert (await browser.get(path)).status_code == 410  # the newer one is good

        (link,) = await session.scalars(select(OneTimeLink))
        response = await browser.post(urlsplit(one_time_links.address(link)).path)
        assert response.headers["location"] == "/"
        assert (await browser.get("/verify-email", params={"next": "/stock"})).headers["location"] == "/stock"
        assert (await browser.get("/stock")).status_code == 200


async def test_who_is_confirmed_has_nothing_to_ask_for(browser_of: ClientOf, alice: Actor) -> None:
    assert (await browser_of(alice).post("/verify-email")).headers["location"] == "/"


# Another address


async def test_another_address_is_asked_for_and_confirmed(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    browser = browser_of(alice)
    page = await browser.post("/settings/email", data={"email": "New@example.com", "password": PASSWORD})
    assert all(shows(page, "A link is on its way to new@example.com", f"It is {alice.email}").values())
    (link,) = await session.scalars(select(OneTimeLink))
    path = urlsplit(one_time_links.address(link)).path

    asked = await browser.get(path)
    assert all(shows(asked, "new@example.com", alice.email, "Alice").values())
    done = await browser.post(path)

    assert done.headers["location"] == "/"
    assert (await browser.get("/settings")).status_code == 200
    session.expire_all()
    assert (await session.get_one(User, alice.user_id)).email == "new@example.com"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"password": "wrong one 1"}, "password"),
        ({"password": ""}, "password"),
        ({"email": "nobody"}, "email"),
        ({"email": ""}, "email"),
        ({"email": "alice@example.com"}, "email"),
    ],
)
async def test_a_wrong_address_is_told_at_its_field(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, wrong: dict[str, str], field: str
) -> None:
    data = {"email": "new@example.com", "password": PASSWORD, **wrong}
    errors, values = refused(await browser_of(alice).post("/settings/email", data=data), "/settings/email")

    assert set(errors) == {field}
    assert (values["email"], values["password"]) == (data["email"], "")
    assert (await session.scalars(select(OneTimeLink))).all() == []


async def test_addresses_are_not_tried_out_one_after_the_other(browser_of: ClientOf, alice: Actor) -> None:
    browser = browser_of(alice)
    await browser.post("/settings/email", data={"email": "one@example.com", "password": PASSWORD})

    response = await browser.post("/settings/email", data={"email": "two@example.com", "password": PASSWORD})

    assert response.status_code == 429
    assert "Wait a minute" in response.text


# Devices


async def other_device(browser_of: ClientOf, actor: Actor, agent: str) -> AsyncClient:
    browser = browser_of(None)
    await browser.post("/login", data={"email": actor.email, "password": PASSWORD}, headers={"User-Agent": agent})
    return browser


@BOTH_WAYS
async def test_ones_devices_are_listed_and_signed_out_one_by_one(
    browser_of: ClientOf, alice: Actor, htmx: bool
) -> None:
    phone = await other_device(browser_of, alice, "Mozilla/5.0 (Android 15; Mobile) Gecko/140.0 Firefox/140.0")
    browser = browser_of(alice, htmx=htmx)
    page = await browser.get("/settings/devices", headers={"HX-Request": ""})
    assert all(shows(page, "Firefox on Android", "this one", "127.0.0.1").values())
    (form,) = [one for one in html.read(page.text).all("form") if one.attrs["action"].endswith("/end")]

    assert_sent(await browser.post(form.attrs["action"]), htmx, "/settings/devices")

    assert (await phone.get("/")).status_code == 303
    assert "Firefox" not in (await browser.get("/settings/devices", headers={"HX-Request": ""})).text
    assert (await browser.post(form.attrs["action"])).status_code == 404


async def test_all_other_devices_are_signed_out(browser_of: ClientOf, alice: Actor) -> None:
    phones = [await other_device(browser_of, alice, "phone") for _phone in range(2)]
    browser = browser_of(alice)

    assert (await browser.post("/settings/devices/end-others")).headers["location"] == "/settings/devices"

    assert [(await phone.get("/")).status_code for phone in phones] == [303, 303]
    assert (await browser.get("/")).status_code == 200


async def test_signing_out_this_device_in_the_list_goes_to_the_sign_in(browser_of: ClientOf, alice: Actor) -> None:
    response = await browser_of(alice).post(f"/settings/devices/{alice.session_id}/end")

    assert response.headers["location"] == "/login"
    assert any(one.startswith(f'{COOKIE}=""') for one in response.headers.get_list("set-cookie"))


async def test_what_a_device_calls_itself_is_only_text(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    (await session.get_one(UserSession, alice.session_id)).user_agent = "<script>alert(1)</script>\x1b[31m"
    await session.commit()

    page = await browser_of(alice).get("/settings/devices")

    assert page.status_code == 200
    assert "<script>alert" not in page.text


# Confirming, and API keys


@BOTH_WAYS
async def test_a_key_is_made_once_it_is_known_who_asks(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    browser = browser_of(alice, htmx=htmx)
    wanted = {"name": "Script", "days": "90", "stock:read": "on", "stock:write": "on"}
    sent = await browser.post(
        "/settings/api-keys", data=wanted, headers={"Referer": "http://localhost/settings/api-keys"}
    )
    assert sent.headers["hx-redirect" if htmx else "location"] == "/confirm?next=/settings/api-keys"
    page = await browser.get("/settings/api-keys", headers={"HX-Request": ""})
    assert html.read(page.text).all("a", href="/confirm?next=/settings/api-keys")

    values = await form_at(browser, "/confirm?next=/settings/api-keys", "/confirm")
    errors, _values = refused(await browser.post("/confirm", data={**values, "password": "wrong one 1"}), "/confirm")
    assert set(errors) == {"password"}
    confirmed = await browser.post("/confirm", data={**values, "password": PASSWORD})
    assert confirmed.headers["hx-redirect" if htmx else "location"] == "/settings/api-keys"
    made = await browser.post("/settings/api-keys", data=wanted, headers={"HX-Request": ""})

    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    secret = html.read(made.text).one("input", id="api-key").value
    assert secret.startswith("lrk_")
    (key,) = await session.scalars(select(ApiKey))
    assert (key.name, key.scopes) == ("Script", ["stock:read", "stock:write"])
    assert key.expires_at == NOW + timedelta(days=90)
    again = await browser.get("/settings/api-keys", headers={"HX-Request": ""})
    assert secret not in again.text
    assert key.prefix in again.text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"days": "soon"}, "days"),
        ({"days": "-1"}, "days"),
        ({"days": "99999"}, "days"),
        ({"stock:read": ""}, ""),
        ({"stock:read": "", "account:edit": "on"}, ""),
    ],
)
async def test_a_wrong_key_is_told_at_its_field(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, wrong: dict[str, str], field: str
) -> None:
    browser = browser_of(alice)
    await browser.post("/confirm", data={"password": PASSWORD})
    wanted = {"name": "Script", "days": "90", "stock:read": "on", **wrong}

    errors, values = refused(await browser.post("/settings/api-keys", data=wanted), "/settings/api-keys")

    assert set(errors) == {field}
    assert values["name"] == wanted["name"]
    assert (await session.scalars(select(ApiKey))).all() == []


async def test_a_key_is_ended_on_its_page(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    browser = browser_of(alice)
    await browser.post("/confirm", data={"password": PASSWORD})
    await browser.post("/settings/api-keys", data={"name": "Script", "days": "0", "stock:read": "on"})
    (key,) = await session.scalars(select(ApiKey))
    assert key.expires_at is None

    assert (await browser_of(bob).post(f"/settings/api-keys/{key.id}/revoke")).status_code == 404
    response = await browser.post(f"/settings/api-keys/{key.id}/revoke")

    assert response.headers["location"] == "/settings/api-keys"
    assert (await session.scalars(select(ApiKey))).all() == []


async def test_nobody_is_confirmed_in_somebody_elses_name(session: AsyncSession, alice: Actor, sam: Actor) -> None:
    await sessions.confirm(session, alice)
    assert await sessions.is_confirmed(session, alice)

    (await session.get_one(UserSession, alice.session_id)).impersonator_id = sam.user_id
    await session.flush()

    assert not await sessions.is_confirmed(session, alice)
