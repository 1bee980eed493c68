"""Places, units and categories of one's own, in the pages."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import Category, Location, LocationKind, Unit
from services import locations
from services.permissions import Actor
from services.schemas.words import LocationCreate
from tests.conftest import HOUSEHOLD, NOWHERE, ClientOf
from tests.factories import make_lot, place_of
from tests.pages import html
from tests.pages.ways import BOTH_WAYS, assert_sent, ends_whole, form_at, refused, shows

PLACES, UNITS, CATEGORIES = "/household/places", "/household/words/units", "/household/words/categories"


async def own(session: AsyncSession, table: type[Location | Unit | Category]) -> list[str]:
    session.expire_all()
    return sorted(await session.scalars(select(table.name).where(table.household_id == HOUSEHOLD)))


@BOTH_WAYS
async def test_a_place_is_added_within_another_changed_and_removed(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    browser = browser_of(alice, htmx=htmx)
    freezer = await place_of(session, alice, LocationKind.FREEZER)
    added = await browser.post(PLACES, data={"name": "Schublade 🧊", "parent_id": str(freezer), "kind": ""})
    assert_sent(added, htmx, PLACES)
    drawer = next(p for p in await locations.read_tree(session, alice) if p.name == "Schublade 🧊")
    assert (drawer.path, drawer.kind) == ("Freezer / Schublade 🧊", LocationKind.FREEZER)

    action = f"{PLACES}/{drawer.id}"
    form = await form_at(browser, PLACES, action)
    assert_sent(
        await browser.post(action, data={**form, "name": "Kiste", "parent_id": "", "kind": "other"}), htmx, PLACES
    )
    assert "Kiste" in await own(session, Location)
    assert_sent(await browser.post(f"{action}/archive"), htmx, PLACES)
    assert "Kiste" not in (await browser.get(PLACES)).text


@BOTH_WAYS
@pytest.mark.parametrize(
    ("address", "sent", "field"),
    [
        (PLACES, {"name": ""}, "name"),
        (PLACES, {"name": "x" * 101}, "name"),
        (PLACES, {"name": "a\x00b"}, "name"),
        (PLACES, {"name": "FRIDGE"}, ""),
        (PLACES, {"name": "Cellar", "kind": "cave"}, "kind"),
        (PLACES, {"name": "Cellar", "parent_id": str(NOWHERE)}, "parent_id"),
        (PLACES, {"name": "Cellar", "parent_id": "x"}, "parent_id"),
        (UNITS, {"name": "", "code": "jar"}, "name"),
        (UNITS, {"name": "jar", "code": ""}, "code"),
        (UNITS, {"name": "jar", "code": "x" * 21}, "code"),
        (UNITS, {"name": "jar", "code": "j", "kind": "time"}, "kind"),
        (UNITS, {"name": "jar", "code": "j", "factor": "NaN"}, "factor"),
        (UNITS, {"name": "jar", "code": "j", "factor": "0"}, "factor"),
        (UNITS, {"name": "jar", "code": "j", "factor": "9" * 400}, "factor"),
        (UNITS, {"name": "jar", "code": "j", "plural": "\x07"}, "plural"),
        (CATEGORIES, {"name": ""}, "name"),
        (CATEGORIES, {"name": "x" * 101}, "name"),
        (CATEGORIES, {"name": "Kimchi", "parent_id": str(NOWHERE)}, "parent_id"),
        (CATEGORIES, {"name": "Kimchi", "fridge_days": "-1"}, "fridge_days"),
        (CATEGORIES, {"name": "Kimchi", "pantry_days": "1.5"}, "pantry_days"),
        (CATEGORIES, {"name": "Kimchi", "opened_days": "99999"}, "opened_days"),
    ],
)
async def test_a_wrong_word_is_told_at_its_field_and_what_was_typed_stays(
    browser_of: ClientOf,
    session: AsyncSession,
    alice: Actor,
    htmx: bool,
    address: str,
    sent: dict[str, str],
    field: str,
) -> None:
    before = [await own(session, table) for table in (Location, Unit, Category)]
    response = await browser_of(alice, htmx=htmx).post(address, data=sent)

    errors, values = refused(response, address)
    assert set(errors) == {field}
    assert all(values[name] == value for name, value in sent.items() if name not in {"kind", "parent_id"})
    assert ends_whole(response)
    assert [await own(session, table) for table in (Location, Unit, Category)] == before


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "Fridge"}, ""),
        ({"kind": "cave"}, "kind"),
        ({"parent_id": str(NOWHERE)}, "parent_id"),
        ({"parent_id": "{itself}"}, "parent_id"),
        ({"parent_id": "{within}"}, "parent_id"),
    ],
)
async def test_a_wrong_change_of_a_place_comes_back_open_with_what_was_typed(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, wrong: dict[str, str], field: str
) -> None:
    cellar = await locations.create_location(session, alice, LocationCreate(name="Cellar"))
    within = await locations.create_location(session, alice, LocationCreate(name="Shelf", parent_id=cellar.id))
    await session.commit()
    before = await own(session, Location)
    action = f"{PLACES}/{cellar.id}"
    changed = {name: value.format(itself=cellar.id, within=within.id) for name, value in wrong.items()}
    data = {"name": "Keller", "kind": "pantry", "parent_id": "", **changed}

    response = await browser_of(alice).post(action, data=data)
    errors, values = refused(response, action)
    assert set(errors) == {field}
    assert values["name"] == data["name"]
    (menu,) = [one for one in html.read(response.text).one("main").all("details") if "open" in one.attrs]
    assert menu.all("form", action=action)
    assert await own(session, Location) == before


async def test_a_place_that_holds_something_stays(browser_of: ClientOf, session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice)
    await session.commit()
    browser, action = browser_of(alice), f"{PLACES}/{lot.location.id}/archive"

    assert action not in (await browser.get(PLACES)).text
    refusal = await browser.post(action)
    assert refusal.status_code == 409
    assert all(shows(refusal, "Something is still in Fridge. Move it first.").values())


@BOTH_WAYS
async def test_units_and_categories_are_added_and_removed(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    browser = browser_of(alice, htmx=htmx)
    unit = {**await form_at(browser, "/household/words", UNITS), "name": "Einmachglas", "code": "glas", "factor": "1,5"}
    food = {**await form_at(browser, "/household/words", CATEGORIES), "name": "Omas Suppe 🍲", "fridge_days": "3"}

    assert_sent(await browser.post(UNITS, data=unit), htmx, "/household/words")
    assert_sent(await browser.post(CATEGORIES, data=food), htmx, "/household/words")
    page = html.read((await browser.get("/household/words")).text)
    assert "Einmachglas" in page.text
    assert "Omas Suppe 🍲" in page.text
    for action in [form.attrs["action"] for form in page.all("form") if form.attrs["action"].endswith("/delete")]:
        assert_sent(await browser.post(action), htmx, "/household/words")
        assert (await browser.post(action)).status_code == 404
    assert (await own(session, Unit), await own(session, Category)) == ([], [])


async def test_a_viewer_reads_the_words_and_changes_none(browser_of: ClientOf, vera: Actor) -> None:
    for path in (PLACES, "/household/words"):
        response = await browser_of(vera).get(path)
        assert response.status_code == 200
        assert html.read(response.text).one("main").all("button") == []
