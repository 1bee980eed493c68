"""Lists, details, forms and exports of the panel."""

import csv
import io
import re
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, select

from admin import VIEWS
from models import CatalogueItem, Category, Household, Lot, Membership, Product, Role, Unit, User
from services.permissions import Actor
from tests.admin.conftest import Rows
from tests.conftest import HOUSEHOLD
from tests.factories import make_product
from tests.pages import html

TABLES = tuple(view.identity for view in VIEWS)
MADE_HERE = ("category", "unit", "catalogue-item")
READ_ONLY = ("lot", "event", "channel", "delivery", "job-run")
EDITABLE = tuple(table for table in TABLES if table not in READ_ONLY)
KEPT = ("user", "product", *READ_ONLY)

CATEGORY = {"name": "Star dust", "keywords": "soy|Itohiki", "date_kind": "use_by", "fridge_days": "14"}
UNIT = {"code": "keg", "name": "keg", "plural": "kegs", "kind": "volume", "factor": "30000.5"}
ITEM = {"gtin": "5012345678900", "name": "Beans", "source": "staff", "package_quantity": "0.4", "protein": "4.25"}


async def fresh(session: AsyncSession, table: type[SQLModel], row: str) -> Any:
    return await session.get_one(table, row, populate_existing=True)


async def is_gone(session: AsyncSession, table: type[SQLModel], row: str | UUID) -> bool:
    return await session.get(table, row, populate_existing=True) is None


async def fill_in(panel: AsyncClient, address: str, **values: str) -> Response:
    """Send the form at an address, with some of its fields filled in anew."""
    form = html.read((await panel.get(address)).text).one("form")
    boxes = {box.attrs["name"] for box in form.all("input", type="checkbox") if "checked" not in box.attrs}
    given = {name: value for name, value in form.values.items() if name not in boxes}
    return await panel.post(address, data={**given, **values, "save": "Save"})


def assert_saved(answer: Response, table: str) -> None:
    assert (answer.status_code, answer.headers["location"]) == (302, f"http://localhost/admin/{table}/list")


def error_of(answer: Response) -> str:
    """What a form says, or what a deletion says in the address it goes on to."""
    if answer.status_code == 200:
        return parse_qs(urlsplit(answer.text).query).get("error", [""])[0]
    assert answer.status_code == 400
    return " ".join(
        said.text
        for said in html.read(answer.text).all("div")
        if said.attrs.get("role") == "alert" or said.attrs.get("class") == "invalid-feedback"
    )


async def test_the_first_page_leads_to_every_table(panel: AsyncClient) -> None:
    page = html.read((await panel.get("/admin/")).text)

    leads_to = {urlsplit(link.attrs["href"]).path for link in page.all("a")}
    assert {f"/admin/{table}/list" for table in TABLES} <= leads_to
    assert "/" in leads_to


@pytest.mark.parametrize("table", TABLES)
async def test_rows_are_listed_shown_and_exported_without_secrets(
    table: str, panel: AsyncClient, rows: Rows, alice: Actor, session: AsyncSession
) -> None:
    hashed = (await session.get_one(User, alice.user_id)).hashed_password
    addresses = ["list", f"details/{rows[table]}", "export/csv", "export/json"]
    if table in EDITABLE:
        addresses.append(f"edit/{rows[table]}")
    if table in MADE_HERE:
        addresses.append("create")

    for address in addresses:
        answer = await panel.get(f"/admin/{table}/{address}")
        assert answer.status_code == 200, address
        assert hashed not in answer.text, address
        assert "argon2" not in answer.text, address
        assert "hashed" not in answer.text.lower(), address
        assert "larder_session" not in answer.text


@pytest.mark.parametrize("table", TABLES)
async def test_pages_load_nothing_from_elsewhere(table: str, panel: AsyncClient, rows: Rows) -> None:
    for address in ("/admin/", f"/admin/{table}/list", f"/admin/{table}/details/{rows[table]}"):
        answer = await panel.get(address)
        for link in re.findall(r'(?:src|href|action|data-url)="([^"]+)"', answer.text):
            assert urlsplit(link).netloc in {"", "localhost"}, link
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text)


async def test_its_assets_are_here(panel: AsyncClient) -> None:
    page = html.read((await panel.get("/admin/")).text)

    addresses = [style.attrs["href"] for style in page.all("link")]
    addresses += [script.attrs["src"] for script in page.all("script")]
    assert len(addresses) > 5
    for address in addresses:
        assert (await panel.get(address)).status_code == 200, address


@pytest.mark.parametrize("table", TABLES)
async def test_columns_are_named_for_people(table: str, panel: AsyncClient, rows: Rows) -> None:
    for address in (f"/admin/{table}/list", f"/admin/{table}/details/{rows[table]}"):
        page = html.read((await panel.get(address)).text)
        names = [cell.text for cell in page.all("th")]
        if "details" in address:
            names += [row.all("td")[0].text for row in page.all("tr")[1:]]
        assert [name for name in names if "_" in name or name[:1].islower()] == []


@pytest.mark.parametrize("table", READ_ONLY)
async def test_the_ledger_is_for_looking_only(
    table: str, panel: AsyncClient, rows: Rows, session: AsyncSession
) -> None:
    row = rows[table]

    answers = [
        await panel.get(f"/admin/{table}/create"),
        await panel.post(f"/admin/{table}/create", data={"quantity": "9", "save": "Save"}),
        await panel.get(f"/admin/{table}/edit/{row}"),
        await panel.post(f"/admin/{table}/edit/{row}", data={"quantity": "9", "save": "Save"}),
        await panel.delete(f"/admin/{table}/delete?pks={row}"),
        await panel.post(f"/admin/{table}/import"),
    ]

    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert (await fresh(session, Lot, rows["lot"])).quantity == 5
    page = (await panel.get(f"/admin/{table}/list")).text
    assert f"/admin/{table}/edit" not in page
    assert f"/admin/{table}/create" not in page


@pytest.mark.parametrize("table", [table for table in TABLES if table not in MADE_HERE])
async def test_what_the_app_makes_is_not_made_here(table: str, panel: AsyncClient) -> None:
    assert (await panel.get(f"/admin/{table}/create")).status_code == 403
    assert (await panel.post(f"/admin/{table}/create", data={"name": "x"})).status_code == 403


@pytest.mark.parametrize("table", KEPT)
async def test_what_others_build_on_is_kept(table: str, panel: AsyncClient, rows: Rows) -> None:
    assert (await panel.delete(f"/admin/{table}/delete?pks={rows[table]}")).status_code == 403
    assert (await panel.get(f"/admin/{table}/details/{rows[table]}")).status_code == 200


@pytest.mark.parametrize("table", TABLES)
async def test_nothing_is_imported(table: str, panel: AsyncClient) -> None:
    answer = await panel.post(f"/admin/{table}/import", files={"file": ("rows.csv", "name\nx\n", "text/csv")})

    assert answer.status_code == 403


# Words


async def test_a_category_is_made_changed_and_deleted(panel: AsyncClient, session: AsyncSession) -> None:
    assert_saved(await fill_in(panel, "/admin/category/create", **CATEGORY), "category")
    made = (await session.scalars(select(Category).where(Category.name == "Star dust"))).one()
    assert (made.name_key, made.fridge_days, made.date_kind, made.household_id) == ("star dust", 14, "use_by", None)
    assert set(made.keywords.split("|")) - {""} == {"star dust", "soy", "itohiki"}
    assert "Star dust" in (await panel.get("/admin/category/list?search=ITOHIKI")).text

    assert_saved(await fill_in(panel, f"/admin/category/edit/{made.id}", name="Stardust", fridge_days=""), "category")
    changed = await fresh(session, Category, str(made.id))
    assert (changed.name, changed.fridge_days, changed.date_kind) == ("Stardust", None, "use_by")

    assert error_of(await panel.delete(f"/admin/category/delete?pks={made.id}")) == ""
    assert await is_gone(session, Category, made.id)


async def test_a_group_that_holds_foods_is_not_deleted(panel: AsyncClient, session: AsyncSession) -> None:
    group = (await session.scalars(select(Category).where(Category.code == "fruit"))).one()

    answer = await panel.delete(f"/admin/category/delete?pks={group.id}", headers={"Referer": "http://x/?page=2"})

    assert error_of(answer) == "Others refer to it."
    assert await session.get(Category, group.id) is not None
    shown = await panel.get(answer.text.replace("page=2", "page=1"))
    assert "Others refer to it." in shown.text


async def test_foods_lie_in_groups_and_no_deeper(panel: AsyncClient, rows: Rows, session: AsyncSession) -> None:
    food = (await session.scalars(select(Category).where(Category.code == "fruit.banana"))).one()
    group = (await session.scalars(select(Category).where(Category.code == "fruit"))).one()
    address = f"/admin/category/edit/{rows['category']}"

    assert_saved(await fill_in(panel, address, parent=str(group.id)), "category")
    assert (await fresh(session, Category, rows["category"])).parent_id == group.id
    for parent in (food.id, rows["category"]):
        assert error_of(await fill_in(panel, address, parent=str(parent))).startswith("Parent: Choose a group")
    moved = await fill_in(panel, f"/admin/category/edit/{group.id}", parent=str(food.parent_id))
    assert error_of(moved).startswith("Parent: Choose a group")


async def test_a_unit_is_made_changed_and_deleted(panel: AsyncClient, session: AsyncSession) -> None:
    assert_saved(await fill_in(panel, "/admin/unit/create", **UNIT), "unit")
    made = (await session.scalars(select(Unit).where(Unit.code == "keg"))).one()
    assert (made.factor, made.kind, made.household_id) == (Decimal("30000.5"), "volume", None)

    assert_saved(await fill_in(panel, f"/admin/unit/edit/{made.id}", factor="0.000000000001"), "unit")
    assert (await fresh(session, Unit, str(made.id))).factor == Decimal("0.000000000001")

    assert error_of(await panel.delete(f"/admin/unit/delete?pks={made.id}")) == ""
    assert await is_gone(session, Unit, made.id)


async def test_a_unit_in_use_is_not_deleted(panel: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    product = await make_product(session, alice, name="Rice")
    await session.commit()

    assert error_of(await panel.delete(f"/admin/unit/delete?pks={product.unit_id}")) == "Others refer to it."
    assert (await panel.get(f"/admin/unit/details/{product.unit_id}")).status_code == 200


async def test_a_catalogue_item_is_made_changed_and_deleted(panel: AsyncClient, session: AsyncSession) -> None:
    assert_saved(await fill_in(panel, "/admin/catalogue-item/create", **ITEM), "catalogue-item")
    made = (await session.scalars(select(CatalogueItem).where(CatalogueItem.name == "Beans"))).one()
    assert (made.gtin, made.protein, made.sodium) == ("05012345678900", Decimal("4.25"), None)
    assert made.package_quantity == Decimal("0.4")

    address = f"/admin/catalogue-item/edit/{made.id}"
    assert_saved(await fill_in(panel, address, name="BEANS", protein=""), "catalogue-item")
    changed = await fresh(session, CatalogueItem, str(made.id))
    assert (changed.name_key, changed.protein) == ("beans", None)

    assert error_of(await panel.delete(f"/admin/catalogue-item/delete?pks={made.id}")) == ""
    assert await is_gone(session, CatalogueItem, made.id)


# People


async def test_an_account_is_changed_without_touching_its_password(
    panel: AsyncClient, session: AsyncSession, rows: Rows
) -> None:
    before = (await session.get_one(User, rows["user"])).hashed_password
    address = f"/admin/user/edit/{rows['user']}"

    sent = await fill_in(
        panel, address, name="Robert", email="Robert@Example.com", theme="dark", hashed_password="x", is_superuser="y"
    )

    assert_saved(sent, "user")
    user = await fresh(session, User, rows["user"])
    assert (user.name, user.email, user.theme, user.is_superuser) == ("Robert", "robert@example.com", "dark", True)
    assert user.is_active
    assert user.hashed_password == before


async def test_an_account_is_disabled_and_signed_out(
    panel: AsyncClient, browser_of: Any, bob: Actor, rows: Rows
) -> None:
    browser = browser_of(bob)
    assert (await browser.get("/")).status_code == 200
    form = html.read((await panel.get(f"/admin/user/edit/{rows['user']}")).text).one("form").values
    without = {name: value for name, value in form.items() if name not in {"is_active", "is_superuser"}}

    assert_saved(await panel.post(f"/admin/user/edit/{rows['user']}", data={**without, "save": "Save"}), "user")

    assert (await browser.get("/")).headers["location"] == "/login"


async def test_a_household_is_changed(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    address = f"/admin/household/edit/{rows['household']}"

    assert_saved(await fill_in(panel, address, name="Nest", currency="chf", soon_days="3"), "household")

    household = await fresh(session, Household, rows["household"])
    assert (household.name, household.currency, household.soon_days) == ("Nest", "CHF", 3)


async def test_a_household_goes_with_all_it_has(
    panel: AsyncClient, session: AsyncSession, rows: Rows, alice: Actor
) -> None:
    assert error_of(await panel.delete(f"/admin/household/delete?pks={rows['household']}")) == ""

    assert await is_gone(session, Household, rows["household"])
    assert await is_gone(session, Lot, rows["lot"])
    assert not await is_gone(session, User, alice.user_id)


async def test_a_membership_changes_its_role_and_ends(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    address = f"/admin/membership/edit/{rows['membership']}"

    assert_saved(await fill_in(panel, address, role="admin"), "membership")
    assert (await fresh(session, Membership, rows["membership"])).role is Role.ADMIN

    assert error_of(await panel.delete(f"/admin/membership/delete?pks={rows['membership']}")) == ""
    assert await is_gone(session, Membership, rows["membership"])


async def test_a_household_keeps_its_one_owner(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    owner = (
        await session.scalars(
            select(Membership).where(Membership.household_id == HOUSEHOLD, Membership.role == "owner")
        )
    ).one()

    lowered = await fill_in(panel, f"/admin/membership/edit/{owner.id}", role="viewer")
    raised = await fill_in(panel, f"/admin/membership/edit/{rows['membership']}", role="owner")
    gone = await panel.delete(f"/admin/membership/delete?pks={owner.id}")

    assert error_of(lowered).startswith("Role: ")
    assert error_of(raised).startswith("Role: ")
    assert error_of(gone) == "A household needs its owner."
    assert (await fresh(session, Membership, str(owner.id))).role is Role.OWNER
    assert (await fresh(session, Membership, rows["membership"])).role is Role.MEMBER


# Stock


async def test_a_product_is_renamed(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    before = (await session.get_one(Product, rows["product"])).version

    assert_saved(await fill_in(panel, f"/admin/product/edit/{rows['product']}", name="Whole MILK"), "product")

    product = await fresh(session, Product, rows["product"])
    assert (product.name, product.name_key, product.version) == ("Whole MILK", "whole milk", before + 1)


async def test_a_product_takes_no_category_of_another_household(
    panel: AsyncClient, session: AsyncSession, rows: Rows, charlie: Actor
) -> None:
    theirs = Category(household_id=charlie.household_id, name="Theirs", name_key="theirs")
    session.add(theirs)
    await session.commit()

    answer = await fill_in(panel, f"/admin/product/edit/{rows['product']}", category=str(theirs.id))

    assert error_of(answer) == "Category: This belongs to another household."
    assert (await fresh(session, Product, rows["product"])).category_id != theirs.id


# Exports


async def test_an_export_is_a_table_of_what_there_is(panel: AsyncClient, session: AsyncSession) -> None:
    as_csv = await panel.get("/admin/user/export/csv")
    as_json = await panel.get("/admin/user/export/json")

    exported = list(csv.DictReader(io.StringIO(as_csv.text)))
    emails = set(await session.scalars(select(User.email)))
    assert {row["email"] for row in exported} == {row["email"] for row in as_json.json()} == emails
    assert "attachment" in as_csv.headers["content-disposition"]
    assert "attachment" in as_json.headers["content-disposition"]
