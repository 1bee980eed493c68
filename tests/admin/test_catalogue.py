"""Keeping the shared words in order: duplicates, many at once, and files."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import AuditEntry, CatalogueItem, CatalogueSource, Category, Product, Unit, UnitConversion, UnitKind
from services import catalogue
from services.core import tables
from services.permissions import Actor
from tests.admin.conftest import Rows, act, assert_done, errors_of
from tests.admin.test_views import fresh, is_gone
from tests.factories import make_product
from tests.pages import html

GTINS = ("96385074", "12345670", "11111115", "22222220", "33333335")
AS_GTIN = [f"{gtin:0>14}" for gtin in GTINS]


async def make_items(session: AsyncSession, *names: str, **fields: Any) -> list[CatalogueItem]:
    items = [
        CatalogueItem(gtin=gtin, name=name, name_key=name.lower(), source=CatalogueSource.OFF, **fields)
        for gtin, name in zip(AS_GTIN, names, strict=False)
    ]
    session.add_all(items)
    await session.commit()
    return items


# Duplicates


async def test_duplicates_become_one_and_products_follow(
    panel: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    kept, other = await make_items(session, "Oats", "Oats, rolled")
    other.protein = Decimal(13)
    product = await make_product(session, alice, name="Oats")
    product.catalogue_item_id = other.id
    await session.commit()

    answer = await act(panel, "catalogue-item", "merge", str(kept.id), str(other.id), survivor_id=str(kept.id))

    assert_done(answer)
    assert (await fresh(session, Product, product.id)).catalogue_item_id == kept.id
    assert (await fresh(session, CatalogueItem, kept.id)).protein == 13
    assert await is_gone(session, CatalogueItem, other.id)
    entries = (
        await session.scalars(
            select(AuditEntry).where(AuditEntry.action == "panel.catalogue-item:merge").order_by(col(AuditEntry.id))
        )
    ).all()
    assert {entry.subject_id for entry in entries} == {str(kept.id), str(other.id)}
    assert any("Oats, rolled" in str(entry.after.get("merged")) for entry in entries)


async def test_one_chooses_which_one_stays(panel: AsyncClient, session: AsyncSession) -> None:
    items = await make_items(session, "Oats", "Oats, rolled")
    ids = [str(item.id) for item in items]

    asked = await panel.post("/admin/catalogue-item/action/merge", data={"pks": ids})
    choices = {option.attrs["value"] for option in html.read(asked.text).one("main").all("option")}
    assert choices == set(ids)
    for survivor in ("", "x", "00000000-0000-4000-8000-000000000000"):
        answer = await act(panel, "catalogue-item", "merge", *ids, survivor_id=survivor)
        assert list(errors_of(answer)) == ["survivor_id"]
    alone = await act(panel, "catalogue-item", "merge", ids[0], survivor_id=ids[0])
    assert errors_of(alone) == {"": "Choose two or more to merge."}
    assert not await is_gone(session, CatalogueItem, ids[1])


async def test_categories_become_one(panel: AsyncClient, session: AsyncSession, alice: Actor, rows: Rows) -> None:
    bananas = (await session.scalars(select(Category).where(Category.code == "fruit.banana"))).one()
    twin = Category(name="Bananes", name_key="bananes", parent_id=bananas.parent_id, keywords="plantain")
    session.add(twin)
    product = await make_product(session, alice, name="Fruit")
    await session.flush()
    product.category_id = twin.id
    (item,) = await make_items(session, "Banana", category_id=twin.id)

    ids = [str(bananas.id), str(twin.id)]
    assert_done(await act(panel, "category", "merge", *ids, survivor_id=str(bananas.id)))

    assert (await fresh(session, Product, product.id)).category_id == bananas.id
    assert (await fresh(session, CatalogueItem, item.id)).category_id == bananas.id
    merged = await fresh(session, Category, bananas.id)
    assert "bananes" in merged.keywords
    assert "plantain" in merged.keywords
    assert merged.code == "fruit.banana"


async def test_what_came_with_larder_does_not_come_back(panel: AsyncClient, session: AsyncSession) -> None:
    bananas = (await session.scalars(select(Category).where(Category.code == "fruit.banana"))).one()
    own = Category(name="Bananes", name_key="bananes", parent_id=bananas.parent_id)
    session.add(own)
    await session.commit()

    assert_done(await act(panel, "category", "merge", str(own.id), str(bananas.id), survivor_id=str(own.id)))

    assert (await fresh(session, Category, own.id)).code == "fruit.banana"


@pytest.mark.parametrize("what", ["two of ours", "a group and a food", "another household's"])
async def test_what_cannot_be_one_stays_two(
    what: str, panel: AsyncClient, session: AsyncSession, charlie: Actor
) -> None:
    codes = {"two of ours": "fruit.apple", "a group and a food": "fruit"}
    bananas = (await session.scalars(select(Category).where(Category.code == "fruit.banana"))).one()
    if what in codes:
        other = (await session.scalars(select(Category).where(Category.code == codes[what]))).one()
    else:
        other = Category(household_id=charlie.household_id, name="x", name_key="x", parent_id=bananas.parent_id)
        session.add(other)
        await session.commit()

    answer = await act(panel, "category", "merge", str(bananas.id), str(other.id), survivor_id=str(bananas.id))

    assert list(errors_of(answer)) == [""]
    assert not await is_gone(session, Category, other.id)


async def test_units_become_one_only_if_they_are_the_same_size(
    panel: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    kept, twin, larger = (
        Unit(code=code, name=code, plural=code, kind=UnitKind.VOLUME, factor=Decimal(factor))
        for code, factor in (("cupful", 240), ("cupfull", 240), ("mug", 300))
    )
    session.add_all([kept, twin, larger])
    product = await make_product(session, alice, name="Flour")
    await session.flush()
    session.add_all(
        [UnitConversion(product_id=product.id, unit_id=unit.id, factor=Decimal(120)) for unit in (kept, twin)]
    )
    await session.commit()

    wrong = await act(panel, "unit", "merge", str(kept.id), str(larger.id), survivor_id=str(kept.id))
    assert errors_of(wrong) == {"": "These units are not the same size."}

    assert_done(await act(panel, "unit", "merge", str(kept.id), str(twin.id), survivor_id=str(kept.id)))
    left = await session.scalars(select(UnitConversion.unit_id).where(UnitConversion.product_id == product.id))
    assert list(left) == [kept.id]


# Many at once


async def test_many_items_get_a_brand_at_once(panel: AsyncClient, session: AsyncSession) -> None:
    items = await make_items(session, "Oats", "Rice", "Salt")
    ids = [str(item.id) for item in items]

    assert errors_of(await act(panel, "catalogue-item", "change", *ids)) == {"": "Choose what to change."}
    assert_done(await act(panel, "catalogue-item", "change", *ids[:2], brand="Mill"))

    brands = [(await fresh(session, CatalogueItem, item_id)).brand for item_id in ids]
    assert brands == ["Mill", "Mill", ""]
    entries = await session.scalars(select(AuditEntry).where(AuditEntry.action == "panel.catalogue-item:change"))
    assert [entry.after for entry in entries] == [{"brand": "Mill"}] * 2


# Files

FILE = f"gtin,name,brand,category,package_unit,protein\n{GTINS[0]},Oats,Mill,Bananas,kg,13\n{GTINS[1]},Rice,,,,\n"


async def upload(panel: AsyncClient, content: str | bytes) -> Response:
    body = content if isinstance(content, bytes) else content.encode()
    return await panel.post("/admin/catalogue-item/import", files={"file": ("items.csv", body, "text/csv")})


async def take(panel: AsyncClient, shown: Response, what: str) -> Response:
    form = html.read(shown.text).one("main").one("form")
    return await panel.post("/admin/catalogue-item/import", data={**form.values, "take": what})


async def items(session: AsyncSession) -> dict[str, CatalogueItem]:
    rows = await session.scalars(
        select(CatalogueItem).where(col(CatalogueItem.gtin).in_(AS_GTIN)), execution_options={"populate_existing": True}
    )
    return {item.gtin: item for item in rows}


async def test_a_file_is_shown_first_and_then_taken(panel: AsyncClient, session: AsyncSession) -> None:
    shown = await upload(panel, FILE)
    assert shown.status_code == 200
    assert "2 new, 0 there already, 0 wrong." in shown.text
    assert await items(session) == {}

    assert_done(await take(panel, shown, "all"), "/admin/catalogue-item/list")

    found = await items(session)
    oats = found[AS_GTIN[0]]
    bananas = (await session.scalars(select(Category).where(Category.code == "fruit.banana"))).one()
    assert (oats.name, oats.name_key, oats.brand, oats.protein) == ("Oats", "oats", "Mill", Decimal(13))
    assert (oats.category_id, oats.source) == (bananas.id, CatalogueSource.IMPORT)
    assert found[AS_GTIN[1]].category_id is None
    actions = await session.scalars(select(AuditEntry.action).where(AuditEntry.subject_id == str(oats.id)))
    assert list(actions) == ["panel.catalogue-item:import"]


async def test_what_is_there_already_is_changed_in_its_columns_only(panel: AsyncClient, session: AsyncSession) -> None:
    await make_items(session, "Oat", brand="Mill")

    shown = await upload(panel, f"gtin;name\n{GTINS[0]};Oats\n")
    assert "0 new, 1 there already, 0 wrong." in shown.text
    assert_done(await take(panel, shown, "all"))

    oats = (await items(session))[AS_GTIN[0]]
    assert (oats.name, oats.brand, oats.source) == ("Oats", "Mill", CatalogueSource.OFF)


WRONG = (
    f"gtin,name,brand,category,protein\n{GTINS[0]},Oats,,,\n{GTINS[1]},,,,\n{GTINS[2]},Rice,,Moonstone,\n"
    f"12,Salt,,,\n{GTINS[3]},Fig,,,-1\n{GTINS[0]},Oats again,,,\n"
)


async def test_each_wrong_row_says_why(panel: AsyncClient, session: AsyncSession) -> None:
    shown = await upload(panel, WRONG)

    rows = {
        cells[0].text: cells[3].text
        for cells in (row.all("td") for row in html.read(shown.text).one("main").all("tr"))
        if cells
    }
    assert rows["2"] == "new"
    assert rows["3"] == "name: This is needed."
    assert rows["4"] == "category: There is nothing called Moonstone."
    assert rows["5"].startswith("gtin: ")
    assert rows["6"] == "protein: Enter at least 0."
    assert rows["7"] == "gtin: Row 2 has this barcode too."


async def test_a_file_with_wrong_rows_is_taken_whole_or_not_at_all(panel: AsyncClient, session: AsyncSession) -> None:
    shown = await upload(panel, WRONG)

    assert (await take(panel, shown, "all")).status_code == 422
    assert await items(session) == {}

    assert_done(await take(panel, shown, "right"))
    assert set(await items(session)) == {AS_GTIN[0]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\x89PNG\r\n\0\xff",
        b"gtin,name\n\0",
        b"name\nOats\n",
        b"gtin,name,name\n1,2,3\n",
        b"gtin,name,hashed_password\n1,2,3\n",
        b'gtin,name\n"1,2\n',
        b"gtin,name\n" + b"1,x\n" * (catalogue.MAX_ROWS + 1),
        b"x" * (catalogue.MAX_FILE + 1),
    ],
    ids=lambda content: repr(content[:20]),
)
async def test_what_is_no_table_of_items_is_refused(content: bytes, panel: AsyncClient) -> None:
    answer = await upload(panel, content)

    assert answer.status_code == 422
    assert html.read(answer.text).one("main").all("div", role="alert")


async def test_an_import_without_a_file_is_refused(panel: AsyncClient) -> None:
    for data in ({}, {"take": "all"}, {"take": "all", "content": "x"}, {"file": "text"}):
        assert (await panel.post("/admin/catalogue-item/import", data=data)).status_code == 422


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_are_read_however_a_spreadsheet_wrote_them(encoding: str, delimiter: str) -> None:
    written = f"GTIN{delimiter} Name \r\n1{delimiter}Käse\r\n".encode(encoding)

    columns, rows = tables.read_csv(written, max_rows=10)

    assert columns == ["gtin", "name"]
    assert rows == [{"gtin": "1", "name": "Käse"}]


def test_formulas_are_disarmed_and_read_back() -> None:
    names = ["=1+1", "+x", "-x", "@x", "'quoted", "plain", 'a "b", c', "two\nlines"]

    written = tables.write_csv(["name", "number"], [(name, Decimal("-1.5")) for name in names])

    raw = list(csv.DictReader(io.StringIO(written, newline="")))
    assert not any(row["name"].startswith(tables.FORMULA) for row in raw)
    assert {row["number"] for row in raw} == {"-1.5"}
    _columns, rows = tables.read_csv(written.encode(), max_rows=10)
    assert [row["name"] for row in rows] == names


async def test_an_export_can_be_read_in_again(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    await take(panel, await upload(panel, FILE), "all")
    exported = (await panel.get("/admin/catalogue-item/export/csv")).content

    shown = await upload(panel, exported)

    assert " 0 wrong." in shown.text
    assert "0 new, " in shown.text
    entries_before = len((await session.scalars(select(AuditEntry.id))).all())
    assert_done(await take(panel, shown, "all"))
    assert len((await session.scalars(select(AuditEntry.id))).all()) == entries_before
