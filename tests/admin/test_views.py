"""Lists, details, forms and exports of the panel."""

import csv
import io
import re
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col, select

from admin import VIEWS
from db import Statement, statements
from models import (
    ApiKey,
    AuditEntry,
    CatalogueItem,
    CatalogueSource,
    Category,
    DictionaryEntry,
    Endpoint,
    Household,
    Lot,
    Membership,
    MenuItem,
    Product,
    Role,
    Unit,
    User,
    UserSession,
)
from services import audit
from services.permissions import Actor
from tests.admin.conftest import Rows, act, assert_done, delete, errors_of, fill_in
from tests.conftest import HOUSEHOLD
from tests.factories import make_product
from tests.pages import html

TABLES = tuple(view.identity for view in VIEWS)
MADE_HERE = ("user", "category", "unit", "catalogue-item", "dictionary-entry")
READ_ONLY = ("user-session", "api-key", "passkey", "endpoint", "lot", "event", "channel", "delivery", "job-run")
EDITABLE = tuple(table for table in TABLES if table not in READ_ONLY)
KEPT = ("user", "product", "menu-item", *READ_ONLY)
SECRETS = ("argon2", "hashed", "5ecret", "NWVjcmV0")

CATEGORY = {"name": "Star dust", "keywords": "soy|Itohiki", "date_kind": "use_by", "fridge_days": "14"}
UNIT = {"code": "keg", "name": "keg", "plural": "kegs", "kind": "volume", "factor": "30000.5"}
ITEM = {"gtin": "5012345678900", "name": "Beans", "source": "staff", "package_quantity": "0.4", "protein": "4.25"}


async def fresh(session: AsyncSession, table: type[SQLModel], row: object) -> Any:
    return await session.get_one(table, row, populate_existing=True)


async def is_gone(session: AsyncSession, table: type[SQLModel], row: str | UUID) -> bool:
    return await session.get(table, row, populate_existing=True) is None


async def last_entry(session: AsyncSession) -> AuditEntry:
    entry: AuditEntry = (await session.scalars(select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(1))).one()
    return entry


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
        for secret in SECRETS:
            assert secret not in answer.text, (address, secret)
        assert "larder_session" not in answer.text


@pytest.mark.parametrize("table", TABLES)
async def test_pages_are_ours_and_load_nothing_from_elsewhere(table: str, panel: AsyncClient, rows: Rows) -> None:
    for address in ("/admin/", f"/admin/{table}/list", f"/admin/{table}/details/{rows[table]}"):
        answer = await panel.get(address)
        for link in re.findall(r'(?:src|href|action|formaction)="([^"]+)"', answer.text):
            assert urlsplit(link).netloc in {"", "localhost"}, link
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text)
        assert not re.search(r"\sstyle=|\son[a-z]+=", answer.text)
        assert not re.search("tabler|bootstrap|jquery|fa-solid", answer.text)


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
        names = [cell.text for cell in page.one("main").all("th", "dt")]
        assert len(names) > 1
        assert [name for name in names if "_" in name or name[:1].islower()] == []


async def test_a_list_asks_as_often_for_many_rows_as_for_few(
    panel: AsyncClient, rows: Rows, session: AsyncSession
) -> None:
    counts = []
    for _round in range(2):
        recorded: list[Statement] = []
        token = statements.set(recorded)
        await panel.get("/admin/catalogue-item/list")
        statements.reset(token)
        counts.append(len(recorded))
        names = (f"Thing {n}" for n in range(40))
        session.add_all(
            CatalogueItem(gtin=f"{n:014}", name=name, name_key=name.lower(), source=CatalogueSource.STAFF)
            for n, name in enumerate(names)
            if not _round
        )
        await session.commit()

    assert counts[0] == counts[1]


async def test_a_list_is_filtered_and_sorted(panel: AsyncClient, rows: Rows) -> None:
    async def names(query: str) -> list[str]:
        page = html.read((await panel.get(f"/admin/user/list?{query}")).text)
        return [link.text for link in page.one("main").all("a", **{"class": "name"})]

    assert await names("is_superuser=true") == ["Sam"]
    assert "Sam" not in await names("is_superuser=false")
    assert await names("staff=true") == ["Sam"]
    assert "Sam" not in await names("staff=false")
    assert await names("search=ALICE%40") == ["Alice"]
    assert await names("sortBy=name&sort=asc") == sorted(await names(""))
    assert await names("sortBy=name&sort=desc") == sorted(await names(""), reverse=True)


@pytest.mark.parametrize("table", READ_ONLY)
async def test_what_is_for_looking_only(table: str, panel: AsyncClient, rows: Rows, session: AsyncSession) -> None:
    row = rows[table]

    answers = [
        await panel.get(f"/admin/{table}/create"),
        await panel.post(f"/admin/{table}/create", data={"quantity": "9", "save": "Save"}),
        await panel.get(f"/admin/{table}/edit/{row}"),
        await panel.post(f"/admin/{table}/edit/{row}", data={"quantity": "9", "save": "Save"}),
        await delete(panel, table, row),
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
    assert (await delete(panel, table, rows[table])).status_code == 403
    assert (await panel.get(f"/admin/{table}/details/{rows[table]}")).status_code == 200


@pytest.mark.parametrize("table", [table for table in TABLES if table != "catalogue-item"])
async def test_only_the_catalogue_is_imported(table: str, panel: AsyncClient) -> None:
    answer = await panel.post(f"/admin/{table}/import", files={"file": ("rows.csv", "name\nx\n", "text/csv")})

    assert answer.status_code == 403


async def test_one_is_asked_before_anything_is_done(panel: AsyncClient, rows: Rows, session: AsyncSession) -> None:
    asked = await panel.post("/admin/category/delete", data={"pks": rows["category"]})

    assert asked.status_code == 200
    form = html.read(asked.text).one("main").one("form")
    assert "Moon cheese" in form.text
    assert not await is_gone(session, Category, rows["category"])

    assert_done(await panel.post("/admin/category/delete", data={**form.values, "sure": "yes"}), "/admin/category/list")
    assert await is_gone(session, Category, rows["category"])


async def test_nothing_chosen_is_said(panel: AsyncClient, rows: Rows) -> None:
    answer = await panel.post("/admin/category/delete", data={"sure": "yes"})

    assert_done(answer, "/admin/category/list")
    assert "Choose a row first." in (await panel.get("/admin/category/list")).text


# What is written down


async def test_every_write_has_its_entry_with_before_and_after(
    panel: AsyncClient, session: AsyncSession, rows: Rows, sam: Actor
) -> None:
    await fill_in(panel, f"/admin/unit/edit/{rows['unit']}", name="basket", factor="10")
    edited = await last_entry(session)
    assert (edited.action, edited.actor_id, edited.subject_id) == ("panel.unit:edit", sam.user_id, rows["unit"])
    assert {**edited.before, "factor": Decimal(edited.before["factor"])} == {"name": "crate", "factor": 12}
    assert edited.after == {"name": "basket", "factor": "10"}
    assert edited.source == "panel"
    assert edited.request_id

    await fill_in(panel, "/admin/unit/create", **UNIT)
    made = await last_entry(session)
    assert (made.action, made.before, made.after["code"]) == ("panel.unit:create", {}, "keg")

    await delete(panel, "unit", rows["unit"])
    gone = await last_entry(session)
    assert (gone.action, gone.before["name"], gone.after) == ("panel.unit:delete", "basket", {})


@pytest.mark.parametrize("what", ["create", "edit", "delete", "act"])
async def test_an_act_that_cannot_be_written_down_does_not_happen(
    what: str, panel: AsyncClient, session: AsyncSession, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"/admin/category/edit/{rows['category']}"

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the audit log is full")

    monkeypatch.setattr(audit, "record", fail)
    acts = {
        "create": lambda: panel.post("/admin/category/create", data=CATEGORY),
        "edit": lambda: panel.post(address, data=CATEGORY),
        "delete": lambda: delete(panel, "category", rows["category"]),
        "act": lambda: act(panel, "user", "disable", rows["user"]),
    }
    assert (await acts[what]()).status_code == 500

    assert (await fresh(session, Category, rows["category"])).name == "Moon cheese"
    assert (await session.scalars(select(Category).where(Category.name == "Star dust"))).first() is None
    assert (await fresh(session, User, rows["user"])).is_active


# Words


async def test_a_category_is_made_changed_and_deleted(panel: AsyncClient, session: AsyncSession) -> None:
    assert_done(await fill_in(panel, "/admin/category/create", **CATEGORY), "/admin/category/details/")
    made = (await session.scalars(select(Category).where(Category.name == "Star dust"))).one()
    assert (made.name_key, made.fridge_days, made.date_kind, made.household_id) == ("star dust", 14, "use_by", None)
    assert set(made.keywords.split("|")) - {""} == {"star dust", "soy", "itohiki"}
    assert made.may_freeze is None
    assert "Star dust" in (await panel.get("/admin/category/list?search=ITOHIKI")).text

    changes = {"name": "Stardust", "fridge_days": "", "may_freeze": "false"}
    assert_done(await fill_in(panel, f"/admin/category/edit/{made.id}", **changes))
    changed = await fresh(session, Category, made.id)
    assert (changed.name, changed.fridge_days, changed.date_kind) == ("Stardust", None, "use_by")
    assert changed.may_freeze is False

    assert_done(await delete(panel, "category", made.id))
    assert await is_gone(session, Category, made.id)


async def test_a_group_that_holds_foods_is_not_deleted(panel: AsyncClient, session: AsyncSession) -> None:
    group = (await session.scalars(select(Category).where(Category.code == "fruit"))).one()

    assert errors_of(await delete(panel, "category", group.id)) == {"": "Others refer to it."}
    assert await session.get(Category, group.id) is not None


async def test_foods_lie_in_groups_and_no_deeper(panel: AsyncClient, rows: Rows, session: AsyncSession) -> None:
    food = (await session.scalars(select(Category).where(Category.code == "fruit.banana"))).one()
    group = (await session.scalars(select(Category).where(Category.code == "fruit"))).one()
    address = f"/admin/category/edit/{rows['category']}"

    assert_done(await fill_in(panel, address, parent_id=str(group.id)))
    assert (await fresh(session, Category, rows["category"])).parent_id == group.id
    for parent in (food.id, rows["category"]):
        assert "parent_id" in errors_of(await fill_in(panel, address, parent_id=str(parent)))
    moved = await fill_in(panel, f"/admin/category/edit/{group.id}", parent_id=str(food.parent_id))
    assert errors_of(moved) == {"parent_id": "A group lies in no other."}


async def test_a_unit_is_made_changed_and_deleted(panel: AsyncClient, session: AsyncSession) -> None:
    assert_done(await fill_in(panel, "/admin/unit/create", **UNIT))
    made = (await session.scalars(select(Unit).where(Unit.code == "keg"))).one()
    assert (made.factor, made.kind, made.household_id) == (Decimal("30000.5"), "volume", None)

    assert_done(await fill_in(panel, f"/admin/unit/edit/{made.id}", factor="0.000000000001"))
    assert (await fresh(session, Unit, made.id)).factor == Decimal("0.000000000001")

    assert_done(await delete(panel, "unit", made.id))
    assert await is_gone(session, Unit, made.id)


async def test_a_unit_in_use_is_not_deleted(panel: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    product = await make_product(session, alice, name="Rice")
    await session.commit()

    assert errors_of(await delete(panel, "unit", product.unit_id)) == {"": "Others refer to it."}
    assert (await panel.get(f"/admin/unit/details/{product.unit_id}")).status_code == 200


async def test_a_catalogue_item_is_made_changed_and_deleted(panel: AsyncClient, session: AsyncSession) -> None:
    assert_done(await fill_in(panel, "/admin/catalogue-item/create", **ITEM))
    made = (await session.scalars(select(CatalogueItem).where(CatalogueItem.name == "Beans"))).one()
    assert (made.gtin, made.protein, made.sodium) == ("05012345678900", Decimal("4.25"), None)
    assert made.package_quantity == Decimal("0.4")

    address = f"/admin/catalogue-item/edit/{made.id}"
    assert_done(await fill_in(panel, address, name="BEANS", protein=""))
    changed = await fresh(session, CatalogueItem, made.id)
    assert (changed.name_key, changed.protein) == ("beans", None)

    assert_done(await delete(panel, "catalogue-item", made.id))
    assert await is_gone(session, CatalogueItem, made.id)


async def test_saving_one_can_lead_to_the_next(panel: AsyncClient) -> None:
    answer = await panel.post("/admin/unit/create", data={**UNIT, "save": "again"})

    assert_done(answer, "/admin/unit/create")


# People


async def test_an_account_is_changed_without_touching_its_password(
    panel: AsyncClient, session: AsyncSession, rows: Rows
) -> None:
    before = (await session.get_one(User, rows["user"])).hashed_password
    address = f"/admin/user/edit/{rows['user']}"

    sent = await fill_in(panel, address, name="Robert", theme="dark", hashed_password="x", is_superuser="true")

    assert_done(sent, f"/admin/user/details/{rows['user']}")
    user = await fresh(session, User, rows["user"])
    assert (user.name, user.email, user.theme, user.is_superuser) == ("Robert", "bob@example.com", "dark", False)
    assert user.is_verified
    assert user.hashed_password == before


async def test_another_address_is_one_that_nobody_has_proved_yet(
    panel: AsyncClient, session: AsyncSession, rows: Rows
) -> None:
    assert_done(await fill_in(panel, f"/admin/user/edit/{rows['user']}", email="Robert@Example.com"))

    user = await fresh(session, User, rows["user"])
    assert (user.email, user.is_verified) == ("robert@example.com", False)


async def test_an_account_is_made_without_a_password_anybody_knows(panel: AsyncClient, session: AsyncSession) -> None:
    assert_done(await fill_in(panel, "/admin/user/create", name="Nora", email="Nora@Example.com"))

    made = (await session.scalars(select(User).where(User.email == "nora@example.com"))).one()
    assert not made.is_superuser
    assert "argon2" not in made.hashed_password


async def test_an_account_is_disabled_and_signed_out(
    panel: AsyncClient, browser_of: Any, bob: Actor, rows: Rows, session: AsyncSession
) -> None:
    browser = browser_of(bob)
    assert (await browser.get("/")).status_code == 200

    assert_done(await act(panel, "user", "disable", rows["user"]))

    assert (await browser.get("/")).headers["location"].startswith("/login")
    assert_done(await act(panel, "user", "enable", rows["user"]))
    assert (await fresh(session, User, rows["user"])).is_active


async def test_several_accounts_are_signed_out_at_once(
    panel: AsyncClient, browser_of: Any, alice: Actor, bob: Actor, vera: Actor
) -> None:
    assert_done(await act(panel, "user", "logout", str(alice.user_id), str(bob.user_id)))

    for actor, is_out in ((alice, True), (bob, True), (vera, False)):
        assert ((await browser_of(actor).get("/")).status_code == 303) is is_out


async def test_a_new_password_is_required(panel: AsyncClient, browser_of: Any, bob: Actor, rows: Rows) -> None:
    assert_done(await act(panel, "user", "require-password", rows["user"]))

    assert (await browser_of(bob).get("/")).headers["location"].startswith("/settings/password")


async def test_a_superuser_is_made_and_unmade_but_the_last_one_stays(
    panel: AsyncClient, session: AsyncSession, rows: Rows, sam: Actor
) -> None:
    for what in ("demote", "disable"):
        answer = await act(panel, "user", what, str(sam.user_id))
        assert list(errors_of(answer)) == [""]
    assert (await fresh(session, User, sam.user_id)).is_superuser

    assert_done(await act(panel, "user", "promote", rows["user"]))
    assert (await fresh(session, User, rows["user"])).is_superuser
    assert_done(await act(panel, "user", "demote", rows["user"]))
    assert not (await fresh(session, User, rows["user"])).is_superuser


async def test_of_several_acts_all_happen_or_none(
    panel: AsyncClient, session: AsyncSession, rows: Rows, sam: Actor
) -> None:
    answer = await act(panel, "user", "disable", rows["user"], str(sam.user_id))

    assert answer.status_code == 422
    assert (await fresh(session, User, rows["user"])).is_active


async def test_a_household_is_changed(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    address = f"/admin/household/edit/{rows['household']}"

    assert_done(await fill_in(panel, address, name="Nest", currency="chf", soon_days="3"))

    household = await fresh(session, Household, rows["household"])
    assert (household.name, household.currency, household.soon_days) == ("Nest", "CHF", 3)


async def test_a_household_goes_with_all_it_has(
    panel: AsyncClient, session: AsyncSession, rows: Rows, alice: Actor
) -> None:
    assert_done(await delete(panel, "household", rows["household"]))

    assert await is_gone(session, Household, rows["household"])
    assert await is_gone(session, Lot, rows["lot"])
    assert not await is_gone(session, User, alice.user_id)


async def test_a_membership_changes_its_role_and_ends(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    address = f"/admin/membership/edit/{rows['membership']}"

    assert_done(await fill_in(panel, address, role="admin"))
    assert (await fresh(session, Membership, rows["membership"])).role is Role.ADMIN

    assert_done(await delete(panel, "membership", rows["membership"]))
    assert await is_gone(session, Membership, rows["membership"])


async def test_a_household_keeps_its_one_owner(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    owner = (
        await session.scalars(
            select(Membership).where(Membership.household_id == HOUSEHOLD, Membership.role == "owner")
        )
    ).one()

    lowered = await fill_in(panel, f"/admin/membership/edit/{owner.id}", role="viewer")
    raised = await fill_in(panel, f"/admin/membership/edit/{rows['membership']}", role="owner")
    gone = await delete(panel, "membership", owner.id)

    assert list(errors_of(lowered)) == ["role"]
    assert list(errors_of(raised)) == ["role"]
    assert errors_of(gone) == {"": "A household needs its owner."}
    assert (await fresh(session, Membership, owner.id)).role is Role.OWNER
    assert (await fresh(session, Membership, rows["membership"])).role is Role.MEMBER


async def test_sessions_and_keys_are_ended(
    panel: AsyncClient, session: AsyncSession, rows: Rows, browser_of: Any, bob: Actor
) -> None:
    assert_done(await act(panel, "user-session", "revoke", rows["user-session"]))
    assert await is_gone(session, UserSession, rows["user-session"])
    assert (await browser_of(bob).get("/")).status_code == 303

    assert_done(await act(panel, "api-key", "revoke", rows["api-key"]))
    key = await session.get(ApiKey, rows["api-key"], populate_existing=True)
    assert key is None or key.expires_at is not None


# What the app is made of


async def test_an_endpoint_is_switched_off_and_on(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    for what, is_on in (("disable", False), ("enable", True)):
        assert_done(await act(panel, "endpoint", what, rows["endpoint"]))
        assert (await fresh(session, Endpoint, rows["endpoint"])).is_enabled is is_on


async def test_an_entry_of_the_menu_is_renamed_and_hidden(
    panel: AsyncClient, session: AsyncSession, rows: Rows
) -> None:
    address = f"/admin/menu-item/edit/{rows['menu-item']}"
    assert "Cats" in (await panel.get("/admin/")).text

    assert_done(await fill_in(panel, address, label="Felines", is_enabled="false"))

    item = await fresh(session, MenuItem, rows["menu-item"])
    assert (item.label, item.is_enabled) == ("Felines", False)
    assert "Felines" not in (await panel.get("/admin/")).text
    for wrong in ("//evil.example", "https://evil.example", "/\\evil.example"):
        assert list(errors_of(await fill_in(panel, address, path=wrong))) == ["path"]


async def test_a_choice_is_added_and_known_at_once(panel: AsyncClient, session: AsyncSession) -> None:
    values = {"kind": "store", "value": "kiosk", "label": "Kiosk", "is_enabled": "true"}

    assert_done(await fill_in(panel, "/admin/dictionary-entry/create", **values))

    assert (await session.scalars(select(DictionaryEntry.label).where(DictionaryEntry.value == "kiosk"))).one()
    wrong = await fill_in(panel, "/admin/dictionary-entry/create", **{**values, "kind": "planets"})
    assert list(errors_of(wrong)) == ["kind"]


# Stock


async def test_a_product_is_renamed(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    before = (await session.get_one(Product, rows["product"])).version

    assert_done(await fill_in(panel, f"/admin/product/edit/{rows['product']}", name="Whole MILK"))

    product = await fresh(session, Product, rows["product"])
    assert (product.name, product.name_key, product.version) == ("Whole MILK", "whole milk", before + 1)


async def test_a_product_takes_no_category_of_another_household(
    panel: AsyncClient, session: AsyncSession, rows: Rows, charlie: Actor
) -> None:
    theirs = Category(household_id=charlie.household_id, name="Theirs", name_key="theirs")
    session.add(theirs)
    await session.commit()
    address = f"/admin/product/edit/{rows['product']}"

    assert "Theirs" not in (await panel.get(address)).text
    answer = await fill_in(panel, address, category_id=str(theirs.id))

    assert errors_of(answer) == {"category_id": "Choose one from the list."}
    assert (await fresh(session, Product, rows["product"])).category_id != theirs.id


# Exports


async def test_an_export_is_a_table_of_what_there_is(panel: AsyncClient, session: AsyncSession) -> None:
    """FastOpp D9: there it was 200 with nothing in it."""
    as_csv = await panel.get("/admin/user/export/csv")
    as_json = await panel.get("/admin/user/export/json")

    exported = list(csv.DictReader(io.StringIO(as_csv.text)))
    emails = set(await session.scalars(select(User.email)))
    assert {row["email"] for row in exported} == {row["email"] for row in as_json.json()} == emails
    assert "attachment" in as_csv.headers["content-disposition"]
    assert "attachment" in as_json.headers["content-disposition"]


async def test_an_export_holds_no_formulas(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    names = ['=HYPERLINK("http://evil.example")', "+1", "-2", "@SUM(A1)", "Plain"]
    for name, gtin in zip(names, ("96385074", "12345670", "11111115", "22222220", "33333335"), strict=True):
        assert_done(await fill_in(panel, "/admin/catalogue-item/create", **{**ITEM, "gtin": gtin, "name": name}))

    text = (await panel.get("/admin/catalogue-item/export/csv")).text
    written = {row["name"] for row in csv.DictReader(io.StringIO(text))}
    assert {f"'{name}" for name in names[:4]} | {"Plain"} <= written
