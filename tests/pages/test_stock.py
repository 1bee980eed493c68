"""Home, the stock, and what one does with a lot, either way a page is used."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import Event, LocationKind, Lot
from services import stock
from services.permissions import Actor
from services.schemas.stock import LotFreeze, LotRead, LotThaw
from tests.conftest import NOWHERE, TODAY, ClientOf
from tests.factories import assert_ledger_holds, make_lot, make_product, place_of
from tests.pages import html
from tests.pages.ways import BOTH_WAYS, assert_done, ends_whole, refused, shows, toast_of

FRAGMENT = {"HX-Request": "true"}
# Fields with a list of choices: what is not among them cannot stand there.
CHOSEN = {"unit", "location_id", "date_kind", "owner_id"}


async def make_cheese(session: AsyncSession, actor: Actor, **fields: Any) -> LotRead:
    lot = await make_lot(session, actor, product="Käse 🧀", quantity=5, expires_on=TODAY, **fields)
    await session.commit()
    return lot


async def bookings(session: AsyncSession) -> int:
    return len((await session.scalars(select(Event.id))).all())


async def quantities(session: AsyncSession) -> list[str]:
    session.expire_all()
    return sorted(str(quantity.normalize()) for quantity in await session.scalars(sa.select(col(Lot.quantity))))


@pytest.mark.parametrize(
    "path", ["/", "/stock", "/stock/lots/{lot}", "/stock/lots/{lot}/actions", "/stock/lots/{lot}/edit"]
)
async def test_a_page_is_whole_and_a_fragment_only_when_htmx_asks_for_one(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, path: str
) -> None:
    lot = await make_cheese(session, alice)
    browser, address = browser_of(alice), path.format(lot=lot.id)

    page, fragment = await browser.get(address), await browser.get(address, headers=FRAGMENT)
    assert ends_whole(page)
    assert "<html" not in fragment.text
    for response in (page, fragment):
        assert all(shows(response, "Käse 🧀").values())
        assert response.headers["vary"].startswith("HX-Request")
        assert response.headers["cache-control"] == "no-cache, private"
    for header in ("HX-Boosted", "HX-History-Restore-Request"):
        assert ends_whole(await browser.get(address, headers={**FRAGMENT, header: "true"}))


@BOTH_WAYS
@pytest.mark.parametrize(
    ("act", "sent", "said", "left"),
    [
        ("consume", {}, "Used 5 pieces of Käse 🧀.", ["0"]),
        ("consume", {"quantity": "1,5"}, "Used 1.5 pieces of Käse 🧀.", ["3.5"]),
        ("discard", {"reason": "spoiled_early", "quantity": "2"}, "Binned 2 pieces of Käse 🧀.", ["3"]),
        ("open", {"quantity": "1"}, "Opened 1 piece of Käse 🧀.", ["1", "4"]),
        ("freeze", {}, "Froze 5 pieces of Käse 🧀.", ["5"]),
        ("move", {"location_id": "{pantry}"}, "Käse 🧀 is in Pantry now.", ["5"]),
        ("correct", {"quantity": "7"}, "Käse 🧀: counted 7 pieces.", ["7"]),
        ("snooze", {"until": "2026-12-01"}, "We keep quiet about Käse 🧀.", ["5"]),
    ],
)
async def test_one_act_books_once_says_so_and_is_taken_back(
    browser_of: ClientOf,
    session: AsyncSession,
    alice: Actor,
    htmx: bool,
    act: str,
    sent: dict[str, str],
    said: str,
    left: list[str],
) -> None:
    lot = await make_cheese(session, alice)
    pantry = await place_of(session, alice, LocationKind.PANTRY)
    data = {name: value.format(pantry=pantry) for name, value in sent.items()}
    browser = browser_of(alice, htmx=htmx)

    response = await browser.post(f"/stock/lots/{lot.id}/{act}", data={**data, "version": str(lot.version)})
    toast = assert_done(response, htmx, to="/")
    assert (" ".join(toast["message"].split()), toast["label"]) == (said, "Undo")
    assert await quantities(session) == left

    again = await browser.post(f"/stock/lots/{lot.id}/{act}", data={**data, "version": str(lot.version)})
    assert again.status_code == 409
    assert await quantities(session) == left

    assert (await browser.post(toast["action"])).status_code in {204, 303}
    assert max(await quantities(session)) == "5"
    await assert_ledger_holds(session)


async def test_an_act_leads_back_to_the_list_but_not_into_a_form_about_the_lot(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    lot = await make_cheese(session, alice)
    browser = browser_of(alice)
    at = f"/stock/lots/{lot.id}"

    for came_from, leads_to in (("/stock?sort=name", "/stock?sort=name"), (f"{at}/actions", at), (at, at), ("", "/")):
        headers = {"Referer": f"http://localhost{came_from}"} if came_from else {}
        response = await browser.post(f"{at}/consume", data={"quantity": "1"}, headers=headers)
        assert response.headers["location"] == leads_to


@pytest.mark.parametrize(
    ("act", "sent", "field", "status"),
    [
        ("consume", {"quantity": "lots"}, "quantity", 422),
        ("consume", {"quantity": "NaN"}, "quantity", 422),
        ("consume", {"quantity": "-1"}, "quantity", 422),
        ("consume", {"quantity": "1e400"}, "quantity", 422),
        ("consume", {"quantity": "9" * 400}, "quantity", 422),
        ("consume", {"quantity": "1", "unit": "\x00"}, "unit", 422),
        ("consume", {"quantity": "1", "unit": "parsec"}, "unit", 422),
        ("consume", {"quantity": "6"}, "", 409),
        ("consume", {"quantity": "1", "version": "7"}, "", 409),
        ("consume", {"quantity": "1", "version": "x"}, "", 422),
        ("discard", {"reason": "hunger"}, "", 422),
        ("move", {"location_id": str(NOWHERE)}, "location_id", 422),
        ("move", {"location_id": "shelf"}, "location_id", 422),
        ("correct", {"quantity": "-1"}, "quantity", 422),
        ("snooze", {"until": "someday"}, "", 422),
        ("thaw", {}, "", 409),
    ],
)
async def test_a_wrong_act_is_told_at_its_field_and_does_nothing(
    browser_of: ClientOf,
    session: AsyncSession,
    alice: Actor,
    act: str,
    sent: dict[str, str],
    field: str,
    status: int,
) -> None:
    lot = await make_cheese(session, alice)
    before = await bookings(session)
    action = f"/stock/lots/{lot.id}/{act}"

    response = await browser_of(alice).post(action, data=sent)
    assert response.status_code == status
    page = html.read(response.text)
    wrong = [form for form in page.all("form", action=action) if field in form.errors]
    if field:
        (form,) = wrong
        assert field in CHOSEN or form.values[field] == sent[field]
        assert form.parent is not None
        assert form.parent.parent is not None
        assert "open" in form.parent.parent.attrs
    else:
        assert page.one("article").one("div", role="alert").text

    toast = await browser_of(alice, htmx=True).post(action, data=sent)
    assert (toast.status_code, toast.headers["hx-reswap"], toast.text) == (status, "none", "")
    assert toast_of(toast)["level"] == "error"
    assert toast.headers["vary"].startswith("HX-Request")
    assert await bookings(session) == before


@BOTH_WAYS
@pytest.mark.parametrize("act", ["freeze", "move"])
async def test_freezing_again_asks_first_and_then_freezes_what_was_asked_for(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool, act: str
) -> None:
    lot = await make_cheese(session, alice)
    await stock.freeze(session, alice, lot.id, LotFreeze())
    await stock.thaw(session, alice, lot.id, LotThaw())
    await session.commit()
    before = await bookings(session)
    browser = browser_of(alice, htmx=htmx)
    freezer = await place_of(session, alice, LocationKind.FREEZER)

    asked = await browser.post(f"/stock/lots/{lot.id}/{act}", data={"quantity": "2", "location_id": str(freezer)})
    question = toast_of(asked)
    assert (question["level"], question["label"]) == ("question", "Freeze it")
    assert await bookings(session) == before

    assert_done(await browser.post(question["action"]), htmx)
    assert await quantities(session) == ["2", "3"]


@BOTH_WAYS
async def test_a_lot_is_edited(browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool) -> None:
    lot = await make_cheese(session, alice, price="2.50", store="Market", note="old")
    browser = browser_of(alice, htmx=htmx)
    at = f"/stock/lots/{lot.id}"
    form = html.read((await browser.get(f"{at}/edit")).text).one("form", action=f"{at}/edit").values

    response = await browser.post(f"{at}/edit", data={**form, "note": "für Oma 👵", "price": "", "store": "Läden"})
    assert_done(response, htmx)
    edited = await stock.get_lot(session, alice, lot.id)
    assert (edited.note, edited.price, edited.store) == ("für Oma 👵", None, "Läden")
    assert str(edited.expires_on) == str(lot.expires_on)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"expires_on": "soon"}, "expires_on"),
        ({"expires_on": "9999-12-31"}, "expires_on"),
        ({"expires_on": ""}, "expires_on"),
        ({"date_kind": "never"}, "date_kind"),
        ({"purchased_on": "2026-02-30"}, "purchased_on"),
        ({"price": "free"}, "price"),
        ({"price": "-1"}, "price"),
        ({"price": "Infinity"}, "price"),
        ({"store": "x" * 101}, "store"),
        ({"lot_code": "\x07"}, "lot_code"),
        ({"owner_id": str(NOWHERE)}, "owner_id"),
        ({"note": "x" * 2001}, "note"),
        ({"version": "0"}, ""),
        ({"version": "x"}, ""),
    ],
)
async def test_a_wrong_edit_comes_back_as_a_form_with_what_was_typed(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool, wrong: dict[str, str], field: str
) -> None:
    lot = await make_cheese(session, alice)
    browser = browser_of(alice, htmx=htmx)
    action = f"/stock/lots/{lot.id}/edit"
    form = html.read((await browser.get(action)).text).one("form", action=action).values
    before = await bookings(session)

    response = await browser.post(action, data={**form, "store": "Läden", **wrong})
    errors, values = refused(response, action)
    assert set(errors) == {field}
    sent = {**form, "store": "Läden", **wrong}
    assert {name: values[name] for name in sent if name not in CHOSEN} == {
        name: value for name, value in sent.items() if name not in CHOSEN
    }
    assert ends_whole(response) is not htmx
    assert await bookings(session) == before


async def test_the_stock_is_searched_filtered_and_sorted_and_nonsense_does_not_filter(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    lot = await make_cheese(session, alice)
    await make_lot(session, alice, product="Peas", place=LocationKind.FREEZER)
    await session.commit()
    browser = browser_of(alice)

    async def found(query: str) -> set[str]:
        page = html.read((await browser.get(f"/stock?{query}")).text)
        return {name for name in ("Käse 🧀", "Peas") if name in page.one("div", id="stock").text}

    assert await found("q=KÄSE") == {"Käse 🧀"}
    assert await found("urgency=today") == {"Käse 🧀"}
    assert await found(f"location={await place_of(session, alice, LocationKind.FREEZER)}") == {"Peas"}
    assert await found("q=nothing-like-it") == set()
    for nonsense in (
        "urgency=never",
        "location=x",
        "sort=price",
        "q=%00",
        f"q={'x' * 200}",
        "category=-1",
        "q=%E2%80%8B",
    ):
        assert await found(nonsense) == {"Käse 🧀", "Peas"}, nonsense
    link = (await browser.get("/stock?sort=name")).text
    assert str(lot.id) in link


async def test_more_of_a_long_list_comes_either_way(browser_of: ClientOf, session: AsyncSession, alice: Actor) -> None:
    for number in range(55):
        await make_lot(session, alice, product=f"Thing {number:02}")
    await session.commit()
    browser = browser_of(alice)

    first = html.read((await browser.get("/stock?sort=name")).text)
    more = first.one("li", id="more").one("a").attrs["href"]
    rest = await browser.get(more, headers=FRAGMENT)
    assert rest.text.lstrip().startswith("<li")
    assert all(shows(rest, "Thing 50", "Thing 54").values())
    whole = await browser.get(more)
    assert ends_whole(whole)
    assert all(shows(whole, "Thing 54").values())


@pytest.mark.parametrize("path", ["/stock/lots/{id}", "/stock/lots/{id}/actions", "/stock/lots/{id}/edit"])
@pytest.mark.parametrize("lot_id", [str(NOWHERE), "milk", "%00"])
async def test_a_lot_that_is_not_there_is_a_friendly_page(
    browser_of: ClientOf, alice: Actor, path: str, lot_id: str
) -> None:
    response = await browser_of(alice).get(path.format(id=lot_id))

    assert response.status_code == 404
    assert ends_whole(response)
    assert all(shows(response, "Nothing here", "Go home").values())


async def test_a_viewer_sees_the_stock_and_no_button(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, vera: Actor
) -> None:
    lot = await make_cheese(session, alice)
    browser = browser_of(vera)

    for path in ("/", "/stock", f"/stock/lots/{lot.id}"):
        page = html.read((await browser.get(path)).text)
        assert "Käse 🧀" in page.text
        assert {form.attrs["action"] for form in page.all("form")} <= {"/logout", "/stock"}
        assert page.all("a", href="/stock/add") == []
    assert (await browser.get(f"/stock/lots/{lot.id}/actions")).status_code == 403


async def test_an_empty_household_is_told_what_to_do_next(browser_of: ClientOf, alice: Actor, vera: Actor) -> None:
    assert all(shows(await browser_of(alice).get("/"), "Nothing in the house yet", "Add the first thing").values())
    assert "Add the first thing" not in (await browser_of(vera).get("/")).text


async def test_what_is_typed_into_a_name_is_only_ever_text(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    lot = await make_lot(
        session, alice, product='<script>alert("1")</script>', note="</textarea><b>", store='" onload="x'
    )
    await session.commit()
    browser = browser_of(alice)

    for path in (
        "/",
        "/stock",
        "/history",
        f"/stock/lots/{lot.id}",
        f"/stock/lots/{lot.id}/edit",
        f"/products/{lot.product.id}",
    ):
        page = html.read((await browser.get(path)).text)
        assert all("src" in script.attrs for script in page.all("script")), path
        assert not any("onload" in element.attrs for element in page), path


async def test_lots_of_other_units_are_used_in_them(browser_of: ClientOf, session: AsyncSession, alice: Actor) -> None:
    flour = await make_product(session, alice, name="Flour", unit="g")
    lot = await make_lot(session, alice, product=flour, quantity=1500)
    await session.commit()
    response = await browser_of(alice, htmx=True).post(
        f"/stock/lots/{lot.id}/consume", data={"quantity": "0,5", "unit": "kg"}
    )

    assert toast_of(response)["message"].split() == ["Used", "500", "g", "of", "Flour."]
    assert await quantities(session) == ["1E+3"]
