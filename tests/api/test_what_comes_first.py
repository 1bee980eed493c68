"""What somebody must do before anything else: it is the server that insists, at every door."""

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from models import User
from services import accounts
from services.permissions import Actor
from settings import Settings
from tests.conftest import PASSWORD, ClientOf
from tests.doors import DOORS, make_one_of_each
from tests.test_isolation import OPEN

TO_CHANGE = {"account:password", "auth:logout", "auth:logout_all", "acting:end"}
TO_VERIFY = TO_CHANGE | {
    "account:change_email",
    "account:confirm",
    "account:delete",
    "account:profile",
    "account:verify_email",
}
# Open to strangers, and not asking who comes.
ASKS_NOBODY = OPEN | {"invitations:preview"}


@pytest.mark.parametrize("first", ["password_change_required", "not_verified"])
async def test_every_door_sends_one_to_what_comes_first(
    first: str,
    session: AsyncSession,
    client_of: ClientOf,
    browser_of: ClientOf,
    alice: Actor,
    config: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = {**await make_one_of_each(session, alice), "kind": "unit"}
    user = await session.get_one(User, alice.user_id)
    user.must_change_password, user.is_verified = first == "password_change_required", False
    await session.commit()
    monkeypatch.setattr(config, "require_verified", True)
    allowed, page = (TO_CHANGE, "/settings/password") if user.must_change_password else (TO_VERIFY, "/verify-email")

    tried = 0
    for door in DOORS:
        if door.name in allowed | ASKS_NOBODY:
            continue
        response = await door.knock(client_of(alice) if door.is_api else browser_of(alice), ids)
        if door.is_api:
            assert (response.status_code, response.json()["code"]) == (403, first), door
        else:
            assert response.status_code == 303, door
            assert response.headers["location"].partition("?")[0] == page, door
        tried += 1
    assert tried > 100


@pytest.mark.parametrize("path", ["/admin/", "/admin/user/list"])
async def test_the_panel_insists_too(path: str, browser_of: ClientOf, sam: Actor, session: AsyncSession) -> None:
    browser = browser_of(sam)
    assert (await browser.get(path)).status_code == 200
    (await session.get_one(User, sam.user_id)).must_change_password = True
    await session.commit()

    response = await browser.get(path)

    assert response.status_code in {303, 403}
    assert "Sam" not in response.text


async def test_the_new_password_is_chosen_on_its_own_page_and_leads_on(
    browser_of: ClientOf, alice: Actor, session: AsyncSession
) -> None:
    await accounts.require_password_change(session, alice.user_id, by=None)
    await session.commit()
    browser = browser_of(alice)

    sent = await browser.get("/stock?sort=name")
    assert sent.headers["location"] == "/settings/password?next=/stock%3Fsort%3Dname"
    page = await browser.get(sent.headers["location"])
    assert page.status_code == 200
    assert 'href="/stock"' not in page.text  # nothing that would only lead back here
    same = {"current_password": PASSWORD, "new_password": PASSWORD, "next": "/stock?sort=name"}
    assert (await browser.post("/settings/password", data=same)).status_code == 422
    done = await browser.post("/settings/password", data={**same, "new_password": "nine plums 9"})

    assert done.headers["location"] == "/stock?sort=name"
    assert (await browser.get("/stock")).status_code == 200


async def test_a_program_can_choose_the_new_password_too(
    client: AsyncClient, alice: Actor, session: AsyncSession
) -> None:
    await accounts.require_password_change(session, alice.user_id, by=None)
    await session.commit()
    assert (await client.get("/users/me")).json()["code"] == "password_change_required"

    body = {"current_password": PASSWORD, "new_password": "nine plums 9"}
    assert (await client.post("/users/me/password", json=body)).status_code == 204

    assert (await client.get("/users/me")).status_code == 200


async def test_whoever_must_change_it_can_still_leave(client: AsyncClient, alice: Actor, session: AsyncSession) -> None:
    await accounts.require_password_change(session, alice.user_id, by=None)
    await session.commit()

    assert (await client.post("/auth/logout")).status_code == 204
