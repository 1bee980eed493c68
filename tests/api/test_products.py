"""Products over the API."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import Category, LocationKind, Product
from services.permissions import Actor
from tests.conftest import HOUSEHOLD, TODAY
from tests.factories import make_lot, make_product, place_of

PRODUCTS = f"/households/{HOUSEHOLD}/products"
EAN = "4006381333931"


def fields_of(response: Response) -> set[str]:
    return {error["field"] for error in response.json()["errors"]}


async def test_a_product_needs_only_a_name(client: AsyncClient) -> None:
    response = await client.post(PRODUCTS, json={"name": "  Oat   milk "})

    assert response.status_code == 201
    product = response.json()
    assert (product["name"], product["unit"], product["quantity"]) == ("Oat   milk", "piece", "0")
    assert product["category"]["name"] == "Oat milk"
    assert (await client.get(f"{PRODUCTS}/{product['id']}")).json() == product


async def test_a_product_can_say_all_there_is_to_say(client: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    fridge = await place_of(session, alice, LocationKind.FRIDGE)
    said = {
        "name": "Flour",
        "unit": "g",
        "barcode": EAN,
        "default_location_id": str(fridge),
        "min_quantity": "500",
        "usual_quantity": "250",
        "unopened_days": 365,
        "opened_days": 90,
        "frozen_days": 730,
        "thawed_days": 3,
        "soon_days": 0,
        "may_freeze": True,
        "note": "Type 550",
    }

    product = (await client.post(PRODUCTS, json=said)).json()

    assert {name: product[name] for name in said if name != "barcode"} == {
        name: value for name, value in said.items() if name != "barcode"
    }
    assert [barcode["code"] for barcode in product["barcodes"]] == [EAN]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": None}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "ﷺ" * 20}, "name"),  # folds to 360 letters
        ({"name": "a\u202eb"}, "name"),
        ({"unit": "furlong"}, "unit"),
        ({"barcode": "4006381333932"}, "barcode"),
        ({"barcode": "x" * 65}, "barcode"),
        ({"category_id": str(uuid4())}, "category_id"),
        ({"default_location_id": str(uuid4())}, "default_location_id"),
        ({"catalogue_item_id": str(uuid4())}, "catalogue_item_id"),
        ({"min_quantity": "-1"}, "min_quantity"),
        ({"usual_quantity": 0}, "usual_quantity"),
        ({"unopened_days": 10**9}, "unopened_days"),
        ({"opened_days": 1.5}, "opened_days"),
        ({"soon_days": 366}, "soon_days"),
        ({"may_freeze": "perhaps"}, "may_freeze"),
        ({"note": "x" * 2001}, "note"),
    ],
)
async def test_a_product_says_which_field_is_wrong(
    client: AsyncClient, session: AsyncSession, wrong: dict[str, Any], field: str
) -> None:
    created = await client.post(PRODUCTS, json={"name": "Flour", **wrong})
    assert created.status_code == 422, created.text
    assert fields_of(created) == {field}
    assert (await session.scalars(select(Product))).all() == []

    if field not in {"barcode", "catalogue_item_id"} and wrong.get("name", "") is not None:
        product = (await client.post(PRODUCTS, json={"name": "Flour"})).json()
        edited = await client.patch(f"{PRODUCTS}/{product['id']}", json=wrong)
        assert edited.status_code == 422, edited.text
        assert fields_of(edited) == {field}
        assert (await client.get(f"{PRODUCTS}/{product['id']}")).json() == product


async def test_two_products_of_one_name_are_a_conflict(client: AsyncClient) -> None:
    await client.post(PRODUCTS, json={"name": "Crème"})
    other = (await client.post(PRODUCTS, json={"name": "Cream"})).json()

    again = await client.post(PRODUCTS, json={"name": " CRÈME "})
    renamed = await client.patch(f"{PRODUCTS}/{other['id']}", json={"name": "crème"})

    assert (again.status_code, again.json()["code"]) == (409, "duplicate")
    assert renamed.status_code == 409


async def test_a_stale_edit_is_refused(client: AsyncClient) -> None:
    product = (await client.post(PRODUCTS, json={"name": "Cream"})).json()
    first = await client.patch(f"{PRODUCTS}/{product['id']}", json={"note": "one", "version": product["version"]})
    second = await client.patch(f"{PRODUCTS}/{product['id']}", json={"note": "two", "version": product["version"]})

    assert (first.status_code, second.status_code) == (200, 409)
    assert first.json()["version"] == product["version"] + 1


async def test_a_barcode_is_on_one_product_however_it_is_written(client: AsyncClient) -> None:
    ink = (await client.post(PRODUCTS, json={"name": "Ink"})).json()
    pen = (await client.post(PRODUCTS, json={"name": "Pen"})).json()

    added = await client.post(f"{PRODUCTS}/{ink['id']}/barcodes", json={"code": EAN, "quantity": "6"})
    assert added.status_code == 201
    assert added.json()["barcodes"] == [{"code": EAN, "quantity": "6"}]
    for code in (EAN, f"0{EAN}", f" {EAN} "):
        taken = await client.post(f"{PRODUCTS}/{pen['id']}/barcodes", json={"code": code})
        assert (taken.status_code, taken.json()["code"]) == (409, "duplicate")
        found = (await client.get(PRODUCTS, params={"barcode": code})).json()["items"]
        assert [product["name"] for product in found] == ["Ink"]

    assert (await client.delete(f"{PRODUCTS}/{ink['id']}/barcodes/{EAN}")).status_code == 204
    assert (await client.delete(f"{PRODUCTS}/{ink['id']}/barcodes/{EAN}")).status_code == 404


async def test_a_wrong_check_digit_is_named(client: AsyncClient) -> None:
    ink = (await client.post(PRODUCTS, json={"name": "Ink"})).json()

    response = await client.post(f"{PRODUCTS}/{ink['id']}/barcodes", json={"code": "4006381333932"})

    assert response.status_code == 422
    assert fields_of(response) == {"code"}


async def test_a_conversion_lets_cups_of_flour_be_used(client: AsyncClient) -> None:
    flour = (await client.post(PRODUCTS, json={"name": "Flour", "unit": "g"})).json()
    await client.post(f"/households/{HOUSEHOLD}/lots", json={"product_id": flour["id"], "quantity": 1, "unit": "kg"})

    unknown = await client.post(f"{PRODUCTS}/{flour['id']}/consume", json={"quantity": 2, "unit": "cup"})
    assert (unknown.status_code, fields_of(unknown)) == (422, {"unit"})
    said = await client.post(f"{PRODUCTS}/{flour['id']}/conversions", json={"unit": "cup", "factor": "120"})
    assert said.json()["conversions"] == [{"unit": "cup", "factor": "120"}]
    used = await client.post(f"{PRODUCTS}/{flour['id']}/consume", json={"quantity": 2, "unit": "cup"})
    assert used.json()["quantity"] == "240"

    assert (await client.delete(f"{PRODUCTS}/{flour['id']}/conversions/cup")).status_code == 204
    assert (await client.delete(f"{PRODUCTS}/{flour['id']}/conversions/cup")).status_code == 404


async def test_a_product_is_archived_when_none_is_left_and_restored(
    client: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    lot = await make_lot(session, alice, quantity=1)
    url = f"{PRODUCTS}/{lot.product.id}"

    assert (await client.delete(url)).status_code == 409
    await client.post(f"/households/{HOUSEHOLD}/lots/{lot.id}/consume")
    assert (await client.delete(url)).status_code == 204
    assert (await client.get(PRODUCTS)).json()["items"] == []
    archived = (await client.get(PRODUCTS, params={"archived": True})).json()["items"]
    assert [product["name"] for product in archived] == ["Milk"]
    assert (await client.post(f"{url}/restore")).json()["archived_at"] is None


async def test_bulk_makes_what_is_right_and_names_what_is_wrong(client: AsyncClient, session: AsyncSession) -> None:
    items = [{"name": "Rice"}, {"name": "rice"}, {"name": ""}, "Peas", {"name": "Peas", "unit": "furlong"}]

    result = (await client.post(f"{PRODUCTS}/bulk", json={"items": items})).json()
    assert [product["name"] for product in result["created"]] == ["Rice"]
    assert [(f["index"], f["errors"][0]["field"]) for f in result["failed"]] == [
        (1, ""),
        (2, "name"),
        (3, ""),
        (4, "unit"),
    ]

    atomic = await client.post(f"{PRODUCTS}/bulk?atomic=true", json={"items": [{"name": "Corn"}, {"name": "x" * 101}]})
    assert atomic.status_code == 422
    assert len((await session.scalars(select(Product))).all()) == 1


async def test_products_are_found_by_name_and_category(
    client: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    await make_product(session, alice, name="Whole milk")
    await make_product(session, alice, name="Ham")
    dairy = (await session.scalars(select(Category.id).where(Category.name == "Dairy"))).one()

    by_name = (await client.get(PRODUCTS, params={"q": "MILK"})).json()["items"]
    by_group = (await client.get(PRODUCTS, params={"category": str(dairy)})).json()["items"]

    assert [product["name"] for product in by_name] == ["Whole milk"]
    assert [product["name"] for product in by_group] == ["Whole milk"]


async def test_a_list_shows_what_is_in_stock_of_each(client: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    await make_lot(session, alice, quantity="1.5", expires_on=TODAY)
    await make_lot(session, alice, quantity=2)
    await make_product(session, alice, name="Ham")

    listed = (await client.get(PRODUCTS, params={"total": True})).json()

    assert listed["total"] == 2
    assert [(p["name"], p["quantity"], p["lots"], p["next_expires_on"]) for p in listed["items"]] == [
        ("Ham", "0", 0, None),
        ("Milk", "3.5", 2, "2026-11-22"),
    ]


async def test_products_come_in_pages(client: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    for name in ("b", "A", "ä", "c", "Z"):
        await make_product(session, alice, name=name)

    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = (await client.get(PRODUCTS, params={"limit": 2, **after})).json()
        seen += [product["name"] for product in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}

    assert sorted(seen) == sorted({"A", "b", "c", "Z", "ä"})


@pytest.mark.parametrize("code", ["https://shop.example/p/5?x=ö", "a/b", "Nr. 5", ".."])
async def test_any_code_that_can_be_put_on_a_product_can_be_taken_off_again(client: AsyncClient, code: str) -> None:
    product = (await client.post(f"{PRODUCTS}", json={"name": "Tea"})).json()
    at = f"{PRODUCTS}/{product['id']}/barcodes"
    assert (await client.post(at, json={"code": code})).status_code == 201

    removed = await client.delete(f"{at}/{quote(code, safe='').replace('.', '%2E')}")
    assert removed.status_code == 204


async def test_an_edit_to_a_name_that_is_taken_says_so_whatever_else_it_sets(client: AsyncClient) -> None:
    await client.post(f"{PRODUCTS}", json={"name": "Milk"})
    product = (await client.post(f"{PRODUCTS}", json={"name": "Cheese"})).json()
    response = await client.patch(f"{PRODUCTS}/{product['id']}", json={"name": "MILK", "unit": "piece"})

    assert (response.status_code, response.json()["code"]) == (409, "duplicate")
