"""What nobody but their owner does with credentials: not staff in their name, not a key, not before all else."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from auth import COOKIE
from models import User
from routes.api import security as api_security
from routes.api import sign_in as api_sign_in
from routes.pages import security, sign_in
from routes.table import list_routes
from services import sessions
from services.core import clock
from services.permissions import NEVER_WHILE_ACTING, Actor
from settings import Settings
from tests.conftest import NOW, ClientOf
from tests.doors import DOORS, Door, make_one_of_each
from tests.sign_in.conftest import Confirm

ROUTERS = (security.router, sign_in.router, api_security.router, api_sign_in.router)
PUBLIC = {
    "auth:login",
    "auth:login_code",
    "auth:login_openid",
    "auth:login_passkey",
    "auth:login_passkey_options",
    "auth:openid_callback",
    "auth:openid_go",
}
OURS = {(method, route.path) for router in ROUTERS for route in list_routes(router) for method in route.methods}
CLOSED = [door for door in DOORS if (door.method, door.path) in OURS and door.name not in PUBLIC]


def test_all_of_them_are_closed_to_staff_who_acts() -> None:
    assert {door.name for door in CLOSED} <= NEVER_WHILE_ACTING
    assert len(CLOSED) >= 20


@pytest.mark.parametrize("door", CLOSED, ids=str)
async def test_staff_who_acts_changes_no_credentials(
    session: AsyncSession, browser_of: ClientOf, sam: Actor, alice: Actor, confirm: Confirm, door: Door
) -> None:
    await confirm(sam)
    ids = await make_one_of_each(session, alice)
    acting = await sessions.start_acting(session, sam, await session.get_one(User, alice.user_id))
    await session.commit()
    browser = browser_of(None)
    browser.cookies.set(COOKIE, acting)

    response = await door.knock(browser, ids)

    assert response.status_code == 403, response.text
    if door.is_api:
        assert response.json()["code"] == "not_while_acting"


@pytest.mark.parametrize("door", CLOSED, ids=str)
async def test_whoever_must_choose_a_password_first_does_nothing_else(
    session: AsyncSession, client_of: ClientOf, browser_of: ClientOf, alice: Actor, confirm: Confirm, door: Door
) -> None:
    await confirm(alice)
    ids = await make_one_of_each(session, alice)
    (await session.get_one(User, alice.user_id)).must_change_password = True
    await session.commit()

    response = await door.knock(client_of(alice) if door.is_api else browser_of(alice), ids)

    if door.is_api:
        assert (response.status_code, response.json()["code"]) == (403, "password_change_required")
    else:
        assert response.headers["location"].startswith("/settings/password")


@pytest.mark.parametrize("door", CLOSED, ids=str)
async def test_nor_does_whoever_must_confirm_an_address_first(
    session: AsyncSession,
    client_of: ClientOf,
    browser_of: ClientOf,
    alice: Actor,
    confirm: Confirm,
    config: Settings,
    monkeypatch: pytest.MonkeyPatch,
    door: Door,
) -> None:
    monkeypatch.setattr(config, "require_verified", True)
    await confirm(alice)
    ids = await make_one_of_each(session, alice)
    (await session.get_one(User, alice.user_id)).is_verified = False
    await session.commit()

    response = await door.knock(client_of(alice) if door.is_api else browser_of(alice), ids)

    if door.is_api:
        assert (response.status_code, response.json()["code"]) == (403, "not_verified")
    else:
        assert response.headers["location"].startswith("/verify-email")


@pytest.mark.parametrize("door", CLOSED, ids=str)
async def test_other_sites_change_nothing(
    session: AsyncSession, app: FastAPI, browser_of: ClientOf, alice: Actor, confirm: Confirm, door: Door
) -> None:
    if door.method == "GET":
        return
    await confirm(alice)
    ids = await make_one_of_each(session, alice)
    await session.commit()
    browser = browser_of(alice)
    browser.headers["Sec-Fetch-Site"] = "cross-site"

    response = await door.knock(browser, ids)

    assert response.status_code == 403
    if door.is_api:
        assert response.json()["code"] == "cross_origin"


async def test_acting_ends_what_confirmed_its_staff_does_not_confirm_the_user(
    session: AsyncSession, browser_of: ClientOf, sam: Actor, alice: Actor, confirm: Confirm
) -> None:
    """The page that asks for a password is closed as well: staff may know one."""
    await confirm(sam)
    acting = await sessions.start_acting(session, sam, await session.get_one(User, alice.user_id))
    await session.commit()
    browser = browser_of(None)
    browser.cookies.set(COOKIE, acting)

    with clock.frozen(NOW + timedelta(minutes=1)):
        response = await browser.post("/confirm", data={"password": "correct horse 7", "next": "/settings/security"})
        assert response.status_code == 403, response.text
