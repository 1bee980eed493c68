"""Products in the pages, either way they are used."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import Event, Product
from services import products
from services.permissions import Actor
from services.schemas.products import BarcodeCreate, ConversionCreate, ProductUpdate
from tests.conftest import NOWHERE, ClientOf
from tests.factories import assert_ledger_holds, make_lot, make_product
from tests.pages import html
from tests.pages.ways import BOTH_WAYS, assert_done, assert_sent, ends_whole, form_at, refused, shows, toast_of

FRAGMENT = {"HX-Request": "true"}


async def names(session: AsyncSession) -> list[str]:
    session.expire_all()
    return sorted(await session.scalars(select(Product.name)))


@BOTH_WAYS
async def test_a_product_is_made_once_however_often_the_form_is_sent(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    browser = browser_of(alice, htmx=htmx)
    form = {**await form_at(browser, "/products/new", "/products/new"), "name": "Käse 🧀", "min_quantity": "1,5"}

    answers = [await browser.post("/products/new", data=form) for _time in range(2)]
    product = (await session.scalars(select(Product))).one()
    for response in answers:
        assert assert_sent(response, htmx, f"/products/{product.id}")["message"] == "Käse 🧀 is made."
    assert str(product.min_quantity) == "1.500000"


@BOTH_WAYS
@pytest.mark.parametrize("locale", ["en", "de", "fr", "de-CH"])
async def test_what_is_saved_as_it_stands_stays_as_it_is_in_every_language(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool, locale: str
) -> None:
    fields = {"min_quantity": "1500", "usual_quantity": "1250.5", "unopened_days": 1200, "may_freeze": False}
    product = await make_product(session, alice, name="Flour", unit="g", note="Zeile 1\nZeile 2", **fields)
    await session.commit()
    browser = browser_of(alice, htmx=htmx)
    await browser.post("/settings", data={"name": "Alice", "locale": locale, "theme": "system"})
    product_id = product.id
    before = await products.read_product(session, alice, product_id)

    edit = f"/products/{product_id}/edit"
    assert_sent(await browser.post(edit, data=await form_at(browser, edit, edit)), htmx, f"/products/{product_id}")
    session.expire_all()
    after = await products.read_product(session, alice, product_id)
    assert after.model_dump(exclude={"version"}) == before.model_dump(exclude={"version"})


@pytest.mark.parametrize("page", ["/products/new", "/products/{id}/edit"])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "MILK"}, ""),
        ({"category": "No such thing"}, "category"),
        ({"category": "\x00"}, "category"),
        ({"unit": "parsec"}, "unit"),
        ({"default_location_id": str(NOWHERE)}, "default_location_id"),
        ({"usual_quantity": "NaN"}, "usual_quantity"),
        ({"usual_quantity": "0"}, "usual_quantity"),
        ({"min_quantity": "9" * 400}, "min_quantity"),
        ({"unopened_days": "1.5"}, "unopened_days"),
        ({"opened_days": "-1"}, "opened_days"),
        ({"frozen_days": "99999"}, "frozen_days"),
        ({"soon_days": "x"}, "soon_days"),
        ({"may_freeze": "perhaps"}, "may_freeze"),
        ({"note": "x" * 2001}, "note"),
    ],
)
async def test_what_is_wrong_is_told_at_its_field_and_what_was_typed_stays(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, page: str, wrong: dict[str, str], field: str
) -> None:
    await make_product(session, alice, name="Milk")
    product = await make_product(session, alice, name="Cheese")
    await session.commit()
    browser, action = browser_of(alice), page.format(id=product.id)
    form = {**await form_at(browser, action, action), "name": "Käse 🧀", "note": "für Oma 👵", **wrong}

    errors, values = refused(await browser.post(action, data=form), action)
    assert set(errors) == {field}
    for name in ("name", "note", "category", "usual_quantity", "min_quantity", "opened_days"):
        assert values[name] == form[name], name
    assert await names(session) == ["Cheese", "Milk"]


@pytest.mark.parametrize(
    ("barcode", "message"), [("4006381333932", "check digit"), ("x" * 65, "At most"), ("4006381333931", "belongs to")]
)
async def test_a_wrong_barcode_leaves_no_product_behind(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, barcode: str, message: str
) -> None:
    await make_product(session, alice, name="Pen", barcode="4006381333931")
    await session.commit()
    response = await browser_of(alice).post("/products/new", data={"name": "Cheese", "barcode": barcode})

    assert response.status_code == 422
    assert await names(session) == ["Pen"]


async def test_an_edit_that_was_overtaken_is_refused(browser_of: ClientOf, session: AsyncSession, alice: Actor) -> None:
    product = await make_product(session, alice, name="Cheese")
    await session.commit()
    browser, action = browser_of(alice), f"/products/{product.id}/edit"
    form = await form_at(browser, action, action)
    await products.edit_product(session, alice, product.id, ProductUpdate(note="theirs"))
    await session.commit()

    errors, values = refused(await browser.post(action, data={**form, "note": "mine"}), action)
    assert "meanwhile" in errors[""]
    assert values["note"] == "mine"
    assert (await products.read_product(session, alice, product.id)).note == "theirs"


@BOTH_WAYS
async def test_some_is_used_first_expiring_first_and_once_however_often_it_is_sent(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    milk = await make_product(session, alice, name="Milk")
    for _lot in range(2):
        await make_lot(session, alice, product=milk, quantity=2)
    await session.commit()
    browser, page, action = browser_of(alice, htmx=htmx), f"/products/{milk.id}", f"/products/{milk.id}/consume"
    form = {**await form_at(browser, page, action), "quantity": "3"}

    toast, again = [assert_done(await browser.post(action, data=form), htmx, to=page) for _time in range(2)]
    assert toast == again
    assert toast["message"].split() == ["Used", "3", "pieces", "of", "Milk."]
    assert str((await products.read_product(session, alice, milk.id)).quantity) in {"1", "1.000000"}

    assert_done(await browser.post(toast["action"]), htmx)
    assert (await products.read_product(session, alice, milk.id)).quantity == 4
    await assert_ledger_holds(session)


@pytest.mark.parametrize(
    ("quantity", "field", "status"),
    [("5", "", 409), ("", "quantity", 422), ("NaN", "quantity", 422), ("1e400", "quantity", 422)],
)
async def test_a_wrong_use_is_told_beside_the_amount_and_takes_nothing(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, quantity: str, field: str, status: int
) -> None:
    lot = await make_lot(session, alice, quantity=2)
    await session.commit()
    action = f"/products/{lot.product.id}/consume"
    data = {"quantity": quantity, "idempotency_key": "one"}
    before = len((await session.scalars(select(Event.id))).all())

    errors, values = refused(await browser_of(alice).post(action, data=data), action, status=status)
    assert set(errors) == {field}
    assert values["quantity"] == quantity
    toast = await browser_of(alice, htmx=True).post(action, data=data)
    assert (toast.status_code, toast_of(toast)["level"]) == (status, "error")
    assert len((await session.scalars(select(Event.id))).all()) == before
    assert (await browser_of(alice).post(action, data={**data, "quantity": "1"})).status_code == 303


@BOTH_WAYS
async def test_barcodes_and_units_are_put_on_and_taken_off(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    flour = await make_product(session, alice, name="Flour", unit="g")
    await session.commit()
    browser, page = browser_of(alice, htmx=htmx), f"/products/{flour.id}"

    assert_done(
        await browser.post(f"{page}/barcodes", data={"code": "https://x.example/Nr. 5?ö", "quantity": "500"}),
        htmx,
        to=page,
    )
    assert_done(await browser.post(f"{page}/conversions", data={"unit": "cup", "factor": "120,5"}), htmx, to=page)
    shown = html.read((await browser.get(page, headers={"HX-Request": ""})).text)
    removals = [form.attrs["action"] for form in shown.all("form") if form.attrs["action"].endswith("/remove")]
    assert len(removals) == 2
    for action in removals:
        assert_done(await browser.post(action), htmx, to=page)
    product = await products.read_product(session, alice, flour.id)
    assert (product.barcodes, product.conversions) == ([], [])


@BOTH_WAYS
@pytest.mark.parametrize(
    ("part", "sent", "field"),
    [
        ("barcodes", {"code": ""}, "code"),
        ("barcodes", {"code": "x" * 65}, "code"),
        ("barcodes", {"code": "\x07"}, "code"),
        ("barcodes", {"code": "4006381333932"}, "code"),
        ("barcodes", {"code": "5", "quantity": "-1"}, "quantity"),
        ("barcodes", {"code": "known"}, ""),
        ("conversions", {"unit": "parsec", "factor": "1"}, "unit"),
        ("conversions", {"unit": "cup", "factor": "NaN"}, "factor"),
        ("conversions", {"unit": "cup", "factor": "0"}, "factor"),
        ("conversions", {"unit": "kg", "factor": "5"}, "unit"),
    ],
)
async def test_a_wrong_barcode_or_unit_comes_back_with_what_was_typed(
    browser_of: ClientOf,
    session: AsyncSession,
    alice: Actor,
    htmx: bool,
    part: str,
    sent: dict[str, str],
    field: str,
) -> None:
    flour = await make_product(session, alice, name="Flour", unit="g")
    await products.add_barcode(session, alice, flour.id, BarcodeCreate(code="known"))
    await products.add_conversion(session, alice, flour.id, ConversionCreate(unit="can", factor="400"))
    await session.commit()
    action = f"/products/{flour.id}/{part}"

    response = await browser_of(alice, htmx=htmx).post(action, data=sent)
    errors, values = refused(response, action)
    assert set(errors) == {field}
    assert all(values[name] == value for name, value in sent.items() if name != "unit")
    assert ends_whole(response) is not htmx
    product = await products.read_product(session, alice, flour.id)
    assert (len(product.barcodes), len(product.conversions)) == (1, 1)


@BOTH_WAYS
async def test_a_product_is_archived_and_comes_back(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    product = await make_product(session, alice, name="Käse 🧀")
    await session.commit()
    browser = browser_of(alice, htmx=htmx)

    toast = assert_sent(await browser.post(f"/products/{product.id}/archive"), htmx, "/products")
    assert "Käse 🧀" not in (await browser.get("/products")).text
    assert "Käse 🧀" in (await browser.get("/products?archived=true")).text
    assert_sent(await browser.post(toast["action"]), htmx, f"/products/{product.id}")
    assert "Käse 🧀" in (await browser.get("/products")).text


async def test_the_list_is_a_page_a_fragment_and_more_of_it_and_is_searched(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    for number in range(55):
        await make_product(session, alice, name=f"Thing {number:02}")
    await make_product(session, alice, name="Käse 🧀")
    await session.commit()
    browser = browser_of(alice)

    page = await browser.get("/products")
    assert ends_whole(page)
    fragment = await browser.get("/products?q=KÄSE", headers=FRAGMENT)
    assert "<html" not in fragment.text
    assert shows(fragment, "Käse 🧀", "Thing 01", "1 product") == {
        "Käse 🧀": True,
        "Thing 01": False,
        "1 product": True,
    }
    more = html.read(page.text).one("li", id="more").one("a").attrs["href"]
    assert shows(await browser.get(more), "Thing 54") == {"Thing 54": True}
    assert (await browser.get(more, headers=FRAGMENT)).text.lstrip().startswith("<li")
    for nonsense in ("q=%00", "q=%E2%80%8B", f"q={'x' * 200}", "archived=perhaps", "category=x"):
        assert shows(await browser.get(f"/products?{nonsense}"), "56 products") == {"56 products": True}
    assert (await browser.get("/products?after=nonsense")).status_code == 422


async def test_a_viewer_changes_no_product(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, vera: Actor
) -> None:
    lot = await make_lot(session, alice)
    await session.commit()
    page = html.read((await browser_of(vera).get(f"/products/{lot.product.id}")).text)

    # What one hears about is one's own affair.
    mute = f"/products/{lot.product.id}/mute"
    assert {form.attrs["action"] for form in page.all("form") if form.all("button")} == {"/logout", mute}
    assert "Edit" not in page.one("main").text
    assert "New product" not in (await browser_of(vera).get("/products")).text
