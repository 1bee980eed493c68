"""What happened in a household, for those who look after it."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from models import Household, LocationKind
from services import acts, audit, preferences
from services.core import origin
from services.core.origin import Origin, Source
from services.permissions import Actor
from services.schemas.notifications import PreferencesUpdate
from tests.conftest import HOUSEHOLD, NEXT_DOOR, ClientOf, make_actor
from tests.factories import make_product, place_of

PATH = f"/households/{HOUSEHOLD}/audit"


async def test_it_says_who_did_what_in_words(session: AsyncSession, browser_of: ClientOf, alice: Actor) -> None:
    browser = browser_of(alice)
    await browser.post("/household", data={"name": "Nest", "soon_days": "5"})
    await make_product(session, make_actor("bob"), name="Peas <3")
    await session.commit()

    page = (await browser.get("/household/audit")).text

    for text in ("What happened", "Household changed", "Product added", "Peas &lt;3", "Alice", "Bob"):
        assert text in page
    assert "<del><bdi>Home</bdi></del>" in page
    assert "<ins><bdi>Nest</bdi></ins>" in page


async def test_what_is_referred_to_is_named_and_moments_are_readable(
    session: AsyncSession, browser_of: ClientOf, client_of: ClientOf, alice: Actor
) -> None:
    browser = browser_of(alice)
    freezer = await place_of(session, alice, LocationKind.FREEZER)
    await make_product(session, alice, name="Peas", default_location_id=freezer)
    await session.commit()
    await browser.post("/household/invitations", data={"role": "viewer"})

    page = (await browser.get("/household/audit")).text
    changes = (await client_of(alice).get(PATH)).json()["items"][1]["changes"]

    assert {"field": "default_location_id", "before": None, "after": "Freezer"} in changes
    assert "Default location</dt><dd><ins><bdi>Freezer</bdi></ins>" in page
    assert "29 Nov, 11:30" in page


def test_what_cannot_be_a_moment_is_shown_as_it_is() -> None:
    for text in ("2026-19-39T29:59:59+00:00", "2026-12-01", "2026-12-01T10:00:00+02:00"):
        assert acts.shown(text, "Europe/Berlin") == text


@pytest.mark.parametrize(("name", "status"), [("alice", 200), ("dora", 200), ("bob", 403), ("vera", 403)])
async def test_it_is_for_owners_and_admins(name: str, status: int, browser_of: ClientOf, client_of: ClientOf) -> None:
    assert (await browser_of(make_actor(name)).get("/household/audit")).status_code == status
    assert (await client_of(make_actor(name)).get(PATH)).status_code == status
    offered = "/household/audit" in (await browser_of(make_actor(name)).get("/household")).text
    assert offered is (status == 200)


async def test_another_household_has_its_own(session: AsyncSession, client_of: ClientOf, charlie: Actor) -> None:
    await make_product(session, make_actor("alice"), name="Ours")
    await session.commit()

    assert (await client_of(charlie).get(PATH)).status_code == 404
    assert (await client_of(charlie).get(f"/households/{NEXT_DOOR}/audit")).json()["items"] == []


async def test_nobody_learns_from_where_others_came(
    session: AsyncSession, client_of: ClientOf, browser_of: ClientOf, alice: Actor
) -> None:
    origin.set_origin(Origin(Source.API, "203.0.113.7", "feedbeef"))
    await make_product(session, make_actor("bob"), name="Peas")
    await session.commit()

    answer = await client_of(alice).get(PATH)
    page = await browser_of(alice).get("/household/audit")

    assert answer.json()["items"][0].keys() == {
        "id",
        "at",
        "action",
        "actor",
        "on_behalf_of",
        "subject",
        "changes",
    }
    for text in (answer.text, page.text):
        assert "203.0.113.7" not in text
        assert "feedbeef" not in text


async def test_how_others_want_to_hear_of_things_is_theirs(
    session: AsyncSession, client_of: ClientOf, alice: Actor, bob: Actor, dora: Actor
) -> None:
    product = await make_product(session, alice, name="Peas")
    await preferences.mute(session, dora, product.id)
    await preferences.edit_preferences(session, bob, PreferencesUpdate(digest_at=450))
    await session.commit()

    seen = {
        name: [entry["action"] for entry in (await client_of(make_actor(name)).get(PATH)).json()["items"]]
        for name in ("alice", "dora")
    }

    assert seen == {"alice": ["products:create"], "dora": ["products:mute", "products:create"]}


async def test_it_is_read_page_by_page(
    session: AsyncSession, client_of: ClientOf, browser_of: ClientOf, alice: Actor
) -> None:
    household = await session.get_one(Household, HOUSEHOLD)
    for number in range(60):
        audit.record(session, "products:edit", by=alice, subject=household, household_id=HOUSEHOLD, after={"n": number})
    await session.commit()

    first = (await client_of(alice).get(PATH, params={"limit": 25, "total": True})).json()
    second = (await client_of(alice).get(PATH, params={"limit": 50, "after": first["next"]})).json()
    page = (await browser_of(alice).get("/household/audit")).text

    numbers = [entry["changes"][0]["after"] for entry in [*first["items"], *second["items"]]]
    assert (numbers, first["total"], second["next"]) == (list(range(59, -1, -1)), 60, None)
    assert page.count("Product changed") == 50
    more = page.partition('id="more"><a class="button wide" href="')[2].partition('"')[0].replace("&amp;", "&")
    rest = await browser_of(alice, htmx=True).get(more)
    assert rest.text.count("Product changed") == 10
    assert "<html" not in rest.text


async def test_a_household_in_which_nothing_happened_says_so(browser_of: ClientOf, alice: Actor) -> None:
    assert "Nothing happened yet" in (await browser_of(alice).get("/household/audit")).text


async def test_a_cursor_of_elsewhere_is_refused(client_of: ClientOf, alice: Actor) -> None:
    assert (await client_of(alice).get(PATH, params={"after": "nonsense"})).status_code == 422
