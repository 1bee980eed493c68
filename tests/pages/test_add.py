"""Adding to the stock: a sheet that stays open with HTMX, a page that comes again without JavaScript."""

from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import Category, Event, Lot, Product
from services.permissions import Actor
from tests.conftest import NOWHERE, TODAY, ClientOf
from tests.factories import make_lot, make_product
from tests.pages import html
from tests.pages.ways import BOTH_WAYS, ends_whole, form_at, refused, shows, toast_of

FRAGMENT = {"HX-Request": "true"}


async def lots(session: AsyncSession) -> list[Lot]:
    session.expire_all()
    return list((await session.scalars(select(Lot).order_by(sa.text("id")))).all())


@BOTH_WAYS
async def test_several_things_go_in_one_after_the_other(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    browser = browser_of(alice, htmx=htmx)
    form = await form_at(browser, "/stock/add", "/stock/add")
    response = await browser.post(
        "/stock/add", data={**form, "name": "Käse 🧀", "expires": "24.12.", "store": "Market"}
    )

    if htmx:
        assert response.status_code == 200
        assert "stock:changed" in response.headers["hx-trigger"]
        sheet = html.read(response.text)
        assert sheet.one("section", id="added").one("form").attrs["action"].endswith("/undo")
    else:
        toast = toast_of(response)
        assert (toast["message"].split(), toast["label"]) == (["1", "piece", "of", "Käse", "🧀", "added."], "Undo")
        sheet = html.read((await browser.get(response.headers["location"])).text)
    assert "Käse 🧀" in sheet.one("section", id="added").text
    again = sheet.one("form", id="add-form").values
    assert (again["name"], again["group"]) == ("", form["group"])
    assert again["idempotency_key"] != form["idempotency_key"]

    await browser.post("/stock/add", data={**again, "name": "Ñandú", "quantity": "2"})
    first, second = await lots(session)
    assert (str(first.expires_on), first.store, str(second.quantity)) == ("2026-12-24", "Market", "2.000000")


@BOTH_WAYS
async def test_a_form_that_is_sent_twice_adds_once_and_gets_the_same_answer(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    browser = browser_of(alice, htmx=htmx)
    form = {**await form_at(browser, "/stock/add", "/stock/add"), "name": "Milk"}

    first, again = [await browser.post("/stock/add", data=form) for _time in range(2)]

    assert (first.status_code, first.text) == (again.status_code, again.text)
    assert again.headers["idempotent-replayed"] == "true"
    if not htmx:
        assert toast_of(again) == toast_of(first)
    assert len(await lots(session)) == 1


async def test_without_a_key_two_forms_are_two_things(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    group = str(uuid4())
    for name in ("Milk", "Eggs"):
        await browser_of(alice).post("/stock/add", data={"name": name, "group": group})

    assert len(await lots(session)) == 2


@BOTH_WAYS
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": " \u200b "}, "name"),
        ({"quantity": "0"}, "quantity"),
        ({"quantity": "NaN"}, "quantity"),
        ({"quantity": "1e400"}, "quantity"),
        ({"quantity": "0.0000001"}, "quantity"),
        ({"unit": "parsec"}, "unit"),
        ({"location_id": str(NOWHERE)}, "location_id"),
        ({"location_id": "fridge"}, "location_id"),
        ({"expires": "32.13."}, "expires"),
        ({"expires": "+99999d"}, "expires"),
        ({"expires": "x" * 21}, "expires"),
        ({"expires": "24.12.", "date_kind": "none"}, "expires"),
        ({"date_kind": "never"}, "date_kind"),
        ({"price": "free"}, "price"),
        ({"store": "x" * 101}, "store"),
        ({"note": "x" * 2001}, "note"),
        ({"pick": f"product:{NOWHERE}"}, "name"),
        ({"pick": f"food:{NOWHERE}"}, "name"),
        ({"pick": f"item:{NOWHERE}"}, "name"),
        ({"pick": "p" * 61}, ""),
    ],
)
async def test_what_is_wrong_is_told_at_its_field_and_nothing_is_left_behind(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool, wrong: dict[str, str], field: str
) -> None:
    browser = browser_of(alice, htmx=htmx)
    form = await form_at(browser, "/stock/add", "/stock/add")
    sent = {**form, "name": "Käse 🧀", "quantity": "2", "store": "Läden", **wrong}

    response = await browser.post("/stock/add", data=sent)
    errors, values = refused(response, "/stock/add")
    assert set(errors) == {field}
    del sent["idempotency_key"], values["idempotency_key"]
    shown = {name: value for name, value in sent.items() if name not in {"unit", "location_id", "date_kind"}}
    assert {name: values[name] for name in shown} == shown
    assert ends_whole(response) is not htmx
    assert await lots(session) == []
    assert (await session.scalars(select(Product))).all() == []

    right = {
        **form,
        **values,
        **dict.fromkeys(wrong, ""),
        "name": "Käse 🧀",
        "idempotency_key": form["idempotency_key"],
    }
    assert (await browser.post("/stock/add", data=right)).status_code < 400
    assert len(await lots(session)) == 1


async def test_a_thing_of_another_household_cannot_be_picked(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    theirs = await make_product(session, charlie, name="Secret")
    await session.commit()
    data = {"name": "Milk", "pick": f"product:{theirs.id}"}

    assert (await browser_of(alice).post("/stock/add", data=data)).status_code == 422
    fields = await browser_of(alice).get("/stock/add/fields", params=data, headers=FRAGMENT)
    assert fields.status_code == 200
    assert "Secret" not in fields.text
    assert (await session.scalars(select(Event.id))).all() == []


async def test_names_are_suggested_ones_own_first(browser_of: ClientOf, session: AsyncSession, alice: Actor) -> None:
    own = await make_product(session, alice, name="Milk for Ñandú")
    await session.commit()
    response = await browser_of(alice).get("/stock/suggest", params={"name": "milk"}, headers=FRAGMENT)

    options = html.read(response.text).all("li", role="option")
    assert options[0].attrs["data-pick"] == f"product:{own.id}"
    assert any(option.attrs["data-pick"].startswith("food:") for option in options)


async def test_a_picked_food_brings_its_place_and_its_date(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    milk = (await session.scalars(select(Category).where(Category.name == "Milk"))).one()
    params = {"name": "Milk", "pick": f"food:{milk.id}"}
    fields = html.read((await browser_of(alice).get("/stock/add/fields", params=params, headers=FRAGMENT)).text)

    place = fields.one("select", name="location_id")
    assert next(o.text for o in place.all("option") if "selected" in o.attrs) == "Fridge"
    assert "usually" in fields.one("input", name="expires").attrs["placeholder"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("24.12.", "24 Dec 2026"),
        ("x", "No date"),
        ("", ""),
        ("soon", "not a date"),
        ("+99999d", "not a date"),
        ("\x00", "not a date"),
    ],
)
async def test_a_typed_date_is_read_aloud(browser_of: ClientOf, alice: Actor, typed: str, said: str) -> None:
    response = await browser_of(alice).get("/stock/add/date", params={"expires": typed}, headers=FRAGMENT)

    assert response.status_code == 200
    assert said in response.text


@pytest.mark.parametrize("path", ["/stock/suggest?name=m", "/stock/add/fields?name=m", "/stock/add/date?expires=x"])
async def test_what_helps_while_typing_is_no_page_of_its_own(browser_of: ClientOf, alice: Actor, path: str) -> None:
    response = await browser_of(alice).get(path)

    assert (response.status_code, response.headers["location"]) == (303, "/stock/add")


async def test_a_viewer_adds_nothing(browser_of: ClientOf, session: AsyncSession, alice: Actor, vera: Actor) -> None:
    await make_lot(session, alice, expires_on=TODAY)
    await session.commit()
    browser = browser_of(vera)

    for path in ("/", "/stock", "/products"):
        assert not any(shows(await browser.get(path), "Add something", "Add the first thing").values())
    assert (await browser.get("/stock/add")).status_code == 403
    assert (await browser.post("/stock/add", data={"name": "Milk"})).status_code == 403
