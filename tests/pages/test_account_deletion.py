"""The page on which one deletes one's account."""

from urllib.parse import unquote

import pytest
import sqlalchemy as sa
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import User
from services import households
from services.permissions import Actor
from services.schemas.households import HouseholdCreate
from tests.conftest import PASSWORD, ClientOf

PAGE = "/settings/delete"


@pytest.fixture
def browser(browser_of: ClientOf, bob: Actor) -> AsyncClient:
    return browser_of(bob)


async def confirm(browser: AsyncClient) -> None:
    assert (await browser.post("/confirm", data={"password": PASSWORD, "next": PAGE})).headers["location"] == PAGE


async def remaining(session: AsyncSession, actor: Actor) -> int:
    found = await session.execute(sa.select(sa.func.count()).where(col(User.id) == actor.user_id))
    return found.scalar_one()


async def test_the_settings_lead_to_it(browser: AsyncClient) -> None:
    assert f'href="{PAGE}"' in (await browser.get("/settings")).text


async def test_it_asks_for_the_password_first(browser: AsyncClient, session: AsyncSession, bob: Actor) -> None:
    for answer in (await browser.get(PAGE), await browser.post(PAGE, data={"email": bob.email})):
        assert answer.status_code == 303
        assert unquote(answer.headers["location"]).startswith("/confirm?next=")
    assert await remaining(session, bob) == 1


async def test_it_says_what_goes_and_what_stays(browser: AsyncClient, session: AsyncSession, bob: Actor) -> None:
    await households.create_household(session, bob, HouseholdCreate(name="Alone & <b>", time_zone="UTC"))
    await session.commit()
    await confirm(browser)

    page = await browser.get(PAGE)

    assert "You are alone in Alone &amp; &lt;b&gt;: it goes too" in page.text
    assert "In Home, what you wrote and booked stays" in page.text


async def test_the_address_typed_once_more_deletes_it(browser: AsyncClient, session: AsyncSession, bob: Actor) -> None:
    await confirm(browser)

    wrong = await browser.post(PAGE, data={"email": "alice@example.com"})
    assert wrong.status_code == 422
    assert "Type your e-mail address to delete your account." in wrong.text
    assert await remaining(session, bob) == 1
    gone = await browser.post(PAGE, data={"email": "Bob@Example.com "})

    assert (gone.status_code, gone.headers["location"]) == (303, "/login")
    assert 'larder_session=""' in gone.headers["set-cookie"]
    assert await remaining(session, bob) == 0
    assert "Your account is gone" in (await browser.get("/login")).text


async def test_an_owner_is_shown_what_to_hand_over(browser_of: ClientOf, session: AsyncSession, alice: Actor) -> None:
    browser = browser_of(alice)
    await confirm(browser)

    page = await browser.get(PAGE)
    refused = await browser.post(PAGE, data={"email": alice.email})

    assert "First hand these over" in page.text
    assert f'action="{PAGE}"' not in page.text
    assert refused.status_code == 422
    assert "First hand these over" in refused.text
    assert await remaining(session, alice) == 1
