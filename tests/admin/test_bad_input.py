"""What people and machines send by mistake or by intent: the right answer, and never a 500."""

from urllib.parse import quote
from uuid import uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from models import CatalogueItem, Category, Household, Product, Unit, User
from tests.admin.conftest import Rows, act, delete, errors_of, fill_in, form_of
from tests.admin.test_views import CATEGORY, EDITABLE, ITEM, TABLES, UNIT, fresh
from tests.pages import html

NASTY = (
    "",
    " ",
    "\0",
    "a\0b",
    "\x1b[31m",
    "\ud7ff\u202e",
    "a" * 20_000,
    "-1",
    "0",
    "1e400",
    "99999999999999999999999999",
    "0.00000000000000001",
    "NaN",
    "Infinity",
    "None",
    "__None",
    "true",
    "' OR 1=1 --",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "../../etc/passwd",
    "00000000-0000-4000-8000-000000000000",
    "😀",
)
PARTS = 16
TERMS = ("\0", "a\0b", "a" * 20_000, "%" * 300, "' OR 1=1 --", "<script>", "\u202e😀")
NO_IDS = ("x", "a%00b", "%27", "a;b", "9" * 3000, "%F0%9F%98%80", str(uuid4()))


async def fields_of(panel: AsyncClient, address: str) -> list[str]:
    form = form_of(await panel.get(address))
    return [field.attrs["name"] for field in form.all("input", "select", "textarea") if "name" in field.attrs]


@pytest.mark.parametrize("table", EDITABLE)
async def test_nothing_typed_into_a_form_is_a_failure(table: str, panel: AsyncClient, rows: Rows) -> None:
    address = f"/admin/{table}/edit/{rows[table]}"
    form = form_of(await panel.get(address)).values

    for n, field in enumerate(await fields_of(panel, address)):
        # Each field in turn takes a part of them: all in all take minutes.
        for value in NASTY[n % PARTS :: PARTS]:
            answer = await panel.post(address, data={**form, field: value, "save": "Save"})
            assert answer.status_code in {303, 400, 422}, (field, value)
            assert value[:1] != "<" or value not in answer.text, field
    assert (await panel.get(address)).status_code == 200
    assert (await panel.get(f"/admin/{table}/list")).status_code == 200


@pytest.mark.parametrize("table", EDITABLE)
async def test_a_form_without_fields_or_with_files_is_no_failure(table: str, panel: AsyncClient, rows: Rows) -> None:
    address = f"/admin/{table}/edit/{rows[table]}"

    empty = await panel.post(address)
    files = await panel.post(address, files={"name": ("a.png", b"\x89PNG\0\xff", "image/png")}, data={"save": "Save"})
    garbage = await panel.post(
        address, content=b"\xff\xfe=\0&%%%", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    broken = await panel.post(address, content=b"--x", headers={"Content-Type": "multipart/form-data; boundary=x"})

    assert {answer.status_code for answer in (empty, files, garbage, broken)} <= {303, 400, 422}


@pytest.mark.parametrize("table", TABLES)
async def test_ids_that_lead_nowhere_are_not_found(table: str, panel: AsyncClient) -> None:
    for no_id in NO_IDS:
        assert (await panel.get(f"/admin/{table}/details/{no_id}")).status_code == 404, no_id
        for method in ("GET", "POST"):
            answer = await panel.request(method, f"/admin/{table}/edit/{no_id}")
            assert answer.status_code in {403, 404}, no_id
        for answer in (await delete(panel, table, no_id), await act(panel, table, "revoke", no_id)):
            assert answer.status_code in {403, 404}, no_id


@pytest.mark.parametrize("table", [*TABLES, "nothing", "../user", "%00"])
async def test_addresses_that_lead_nowhere_are_not_found(table: str, panel: AsyncClient) -> None:
    for path in ("nowhere", "export/exe", f"{uuid4()}/name/download/", f"{uuid4()}/hashed_password/preview/"):
        assert (await panel.get(f"/admin/{table}/{path}")).status_code == 404, path
    assert (await panel.post(f"/admin/{table}/action/nothing")).status_code == 404
    assert (await panel.post(f"/admin/{table}/list")).status_code in {404, 405}


@pytest.mark.parametrize("table", TABLES)
async def test_lists_take_any_question(table: str, panel: AsyncClient, rows: Rows) -> None:
    queries = [
        *(f"page={page}" for page in ("x", "-1", "9" * 30, "%00")),
        *(f"pageSize={size}" for size in ("x", "0", "9" * 30)),
        *(f"search={quote(term)}" for term in TERMS),
        *(f"sortBy={name}&sort=asc" for name in ("bogus", "hashed_password", "%00", "household")),
        "sort=sideways&sortBy=name",
        "error=%3Cscript%3E",
    ]
    for query in queries:
        answer = await panel.get(f"/admin/{table}/list?{query}&pageSize=5", follow_redirects=True)
        assert answer.status_code in {200, 400}, query
        assert "<script>" not in answer.text


async def test_a_search_takes_signs_as_they_are(panel: AsyncClient) -> None:
    for term in ("%", "_", "\\"):
        page = html.read((await panel.get("/admin/user/list", params={"search": term})).text)
        assert page.all("tr") == [], term


@pytest.mark.parametrize(
    ("table", "values", "field", "told"),
    [
        ("category", {**CATEGORY, "name": "  "}, "name", "This is needed."),
        ("category", {**CATEGORY, "name": "x" * 101}, "name", "At most 100 characters, please."),
        ("category", {**CATEGORY, "name": "a\x07b"}, "name", "Control characters are not allowed."),
        ("category", {**CATEGORY, "fridge_days": "-1"}, "fridge_days", "Enter at least 0."),
        ("category", {**CATEGORY, "fridge_days": "36501"}, "fridge_days", "Enter at most 36500."),
        ("category", {**CATEGORY, "keywords": "x" * 401}, "keywords", "At most 400 characters, please."),
        ("unit", {**UNIT, "factor": "0"}, "factor", "Enter more than 0."),
        ("unit", {**UNIT, "factor": "-2"}, "factor", "Enter more than 0."),
        ("unit", {**UNIT, "factor": "1e-13"}, "factor", "At most 12 decimals, please."),
        ("unit", {**UNIT, "factor": "NaN"}, "factor", ""),
        ("catalogue-item", {**ITEM, "gtin": "5012345678901"}, "gtin", "A digit of this barcode is wrong"),
        ("catalogue-item", {**ITEM, "gtin": "12"}, "gtin", "This is not a GTIN"),
        ("catalogue-item", {**ITEM, "protein": "-1"}, "protein", "Enter at least 0."),
        ("catalogue-item", {**ITEM, "package_quantity": "1000001"}, "package_quantity", "Enter at most 1000000."),
    ],
    ids=str,
)
async def test_a_wrong_field_is_named_and_what_was_typed_stays(
    table: str, values: dict[str, str], field: str, told: str, panel: AsyncClient
) -> None:
    answer = await fill_in(panel, f"/admin/{table}/create", **values)

    said = errors_of(answer)
    assert list(said) == [field]
    assert said[field].startswith(told)
    form = form_of(answer).values
    for name, value in values.items():
        assert form[name].strip() == value.strip(), name
    page = html.read((await panel.get(f"/admin/{table}/list", params={"search": values["name"][:50]})).text)
    assert values["name"].strip() == "" or len(page.all("tr")) == 0


async def test_what_is_there_already_is_told(panel: AsyncClient, rows: Rows, session: AsyncSession) -> None:
    answers = [
        await fill_in(panel, "/admin/category/create", **{**CATEGORY, "name": "MOON CHEESE"}),
        await fill_in(panel, "/admin/unit/create", **{**UNIT, "code": "crate"}),
        await fill_in(panel, "/admin/catalogue-item/create", **{**ITEM, "gtin": "4006381333931"}),
        await fill_in(panel, f"/admin/user/edit/{rows['user']}", email="ALICE@example.com"),
    ]

    for answer in answers:
        assert errors_of(answer)[""].startswith("There is one like that already")
    taken = await fill_in(panel, "/admin/user/create", name="Again", email="ALICE@example.com")
    assert list(errors_of(taken)) == [""]
    assert (await fresh(session, User, rows["user"])).email == "bob@example.com"


async def test_what_is_chosen_must_be_there(panel: AsyncClient, rows: Rows, session: AsyncSession) -> None:
    before = (await fresh(session, Product, rows["product"])).category_id
    for chosen in (str(uuid4()), "x", "\0"):
        for table, field in (
            ("product", "category_id"),
            ("category", "parent_id"),
            ("catalogue-item", "package_unit_id"),
        ):
            answer = await fill_in(panel, f"/admin/{table}/edit/{rows[table]}", **{field: chosen})
            assert list(errors_of(answer)) == [field], (table, chosen)
    assert (await fresh(session, Product, rows["product"])).category_id == before
    assert (await fresh(session, Category, rows["category"])).parent_id is None
    assert (await fresh(session, CatalogueItem, rows["catalogue-item"])).package_unit_id is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("time_zone", "Mars/Base"), ("currency", "XXQ"), ("locale", "??"), ("soon_days", "366"), ("name", "")],
)
async def test_a_household_stays_sound(
    field: str, value: str, panel: AsyncClient, rows: Rows, session: AsyncSession
) -> None:
    answer = await fill_in(panel, f"/admin/household/edit/{rows['household']}", **{field: value})

    assert list(errors_of(answer)) == [field]
    assert getattr(await fresh(session, Household, rows["household"]), field) not in {value, 366}


async def test_names_in_any_script_survive(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    name = "納豆 🥢 Ñandú <b>&amp;"

    await fill_in(panel, f"/admin/unit/edit/{rows['unit']}", name=name)

    assert (await fresh(session, Unit, rows["unit"])).name == name
    assert name in html.read((await panel.get(f"/admin/unit/details/{rows['unit']}")).text).text
    assert name in (await panel.get("/admin/unit/export/csv")).text


MARKUP = "<script>alert(1)</script> 100% {x}"


async def test_what_is_called_by_markup_stays_text(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    for address, values in (
        (f"/admin/category/edit/{rows['category']}", {"name": MARKUP}),
        (f"/admin/menu-item/edit/{rows['menu-item']}", {"label": MARKUP}),
        (f"/admin/dictionary-entry/edit/{rows['dictionary-entry']}", {"label": MARKUP}),
    ):
        assert (await fill_in(panel, address, **values)).status_code == 303
    made = await panel.post("/admin/roles/new", data={"code": "m", "name": MARKUP, "data_scope": "self"})
    assert made.status_code == 303

    asked = await panel.post("/admin/category/delete", data={"pks": rows["category"]})
    pages = [
        await panel.get("/admin/"),
        await panel.get("/admin/category/list"),
        await panel.get(f"/admin/category/details/{rows['category']}"),
        await panel.get(f"/admin/category/edit/{rows['category']}"),
        await panel.get("/admin/menu-item/list"),
        await panel.get("/admin/dictionary-entry/list"),
        await panel.get("/admin/roles"),
        await panel.get(made.headers["location"]),
        await panel.get(f"/admin/roles/of/{rows['user']}"),
        asked,
    ]
    for page in pages:
        assert page.status_code == 200, page.url
        assert "<script>alert" not in page.text, page.url
        assert MARKUP in html.read(page.text).text, page.url
