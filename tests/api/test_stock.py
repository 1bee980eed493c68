"""Lots and the ledger over the API."""

import base64
import json
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import func, select

from models import Event, LocationKind, Lot, Product
from services import locations
from services.permissions import Actor
from services.schemas.stock import LotModel, LotRead
from tests.conftest import HOUSEHOLD, NEXT_DOOR, TODAY, ClientOf
from tests.factories import make_lot, make_product, place_of

LOTS = f"/households/{HOUSEHOLD}/lots"
SHAPE = {
    "id",
    "product",
    "location",
    "quantity",
    "date_kind",
    "printed_on",
    "expires_on",
    "expiry_reason",
    "urgency",
    "days_left",
    "opened_on",
    "frozen_on",
    "purchased_on",
    "price",
    "store",
    "lot_code",
    "note",
    "version",
}


def fields_of(response: Response) -> set[str]:
    return {error["field"] for error in response.json()["errors"]}


async def test_a_lot_is_added_and_read_in_the_shape_of_the_contract(client: AsyncClient) -> None:
    response = await client.post(
        LOTS,
        json={
            "product": {"name": "Crème fraîche"},
            "quantity": "1.5",
            "date_kind": "use_by",
            "expires_on": "2026-11-27",
            "price": "2.4900",
            "store": "Märkte & Söhne",
            "note": "zwei\nZeilen",
        },
    )

    assert response.status_code == 201, response.text
    lot = response.json()
    assert set(lot) >= SHAPE
    assert set(lot) == set(LotModel.model_fields)
    assert lot["product"]["name"] == "Crème fraîche"
    assert lot["location"]["name"] == "Fridge"
    assert (lot["quantity"], lot["price"]) == ("1.5", "2.49")
    assert (lot["expires_on"], lot["printed_on"], lot["expiry_reason"]) == ("2026-11-27", "2026-11-27", "printed")
    assert (lot["urgency"], lot["days_left"], lot["version"]) == ("soon", 5, 1)
    assert (await client.get(f"{LOTS}/{lot['id']}")).json() == {**lot, "photos": []}


async def test_lists_and_single_lots_are_the_same_thing(
    client: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    lot = await make_lot(session, alice)

    listed = (await client.get(LOTS, params={"total": True})).json()
    single = (await client.get(f"{LOTS}/{lot.id}")).json()
    assert single.pop("photos") == []
    assert listed == {"items": [single], "next": None, "total": 1}


async def test_answers_fit_the_model_that_openapi_shows(
    client: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    lot = await make_lot(session, alice, expires_on=TODAY, price="1.20")

    LotModel.model_validate((await client.get(f"{LOTS}/{lot.id}")).json(), strict=False)
    assert set(LotRead.__struct_fields__) == set(LotModel.model_fields)


async def test_a_lot_says_in_one_way_what_it_is(client: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    product = await make_product(session, alice)

    for body in ({}, {"product_id": str(product.id), "product": {"name": "Milk"}}, {"quantity": 1}):
        response = await client.post(LOTS, json=body)
        assert response.status_code == 422
        assert "product" in response.json()["detail"]


async def test_a_lot_is_added_by_barcode(client: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    product = await make_product(session, alice, name="Ink", barcode="4006381333931")

    response = await client.post(LOTS, json={"barcode": "4006381333931"})

    assert response.status_code == 201
    assert response.json()["product"]["id"] == str(product.id)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"product": {"name": ""}}, "product.name"),
        ({"product": {"name": "a\x00b"}}, "product.name"),
        ({"product": {"name": "\ud800"}}, "product.name"),
        ({"product": {"name": "x" * 101}}, "product.name"),
        ({"product": {"name": "Milk", "unit": "furlong"}}, "unit"),
        ({"product": "Milk"}, "product"),
        ({"quantity": "NaN"}, "quantity"),
        ({"quantity": "Infinity"}, "quantity"),
        ({"quantity": "1e999999"}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": "0.0000001"}, "quantity"),
        ({"quantity": 10**30}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"quantity": []}, "quantity"),
        ({"price": "-1"}, "price"),
        ({"price": "1.23456"}, "price"),
        ({"expires_on": "soon"}, "expires_on"),
        ({"expires_on": "2026-02-30"}, "expires_on"),
        ({"expires_on": "0001-01-01"}, "expires_on"),
        ({"expires_on": 20_000}, "expires_on"),
        ({"purchased_on": "9999-12-31"}, "purchased_on"),
        ({"date_kind": "best"}, "date_kind"),
        ({"date_kind": "none", "expires_on": "2026-12-01"}, "expires_on"),
        ({"location_id": "fridge"}, "location_id"),
        ({"location_id": str(uuid4())}, "location_id"),
        ({"owner_id": str(uuid4())}, "owner_id"),
        ({"note": "x" * 2001}, "note"),
        ({"store": "two\nlines"}, "store"),
        ({"lot_code": "x" * 51}, "lot_code"),
        ({"unit": "furlong"}, "unit"),
        ({"unit": "kg"}, "unit"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_left_behind(
    client: AsyncClient, session: AsyncSession, wrong: dict[str, Any], field: str
) -> None:
    body = json.dumps({"product": {"name": "Milk"}, "quantity": 1, **wrong})
    response = await client.post(LOTS, content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == 422, response.text
    assert fields_of(response) == {field}
    assert (await session.scalars(select(func.count()).select_from(Product))).one() == 0
    assert (await session.scalars(select(func.count()).select_from(Event))).one() == 0


async def test_things_of_other_households_are_named_as_unknown(
    client: AsyncClient, session: AsyncSession, charlie: Actor
) -> None:
    theirs = await make_product(session, charlie)
    place = await place_of(session, charlie, LocationKind.FRIDGE)

    by_product = await client.post(LOTS, json={"product_id": str(theirs.id)})
    by_place = await client.post(LOTS, json={"product": {"name": "Milk"}, "location_id": str(place)})
    by_owner = await client.post(LOTS, json={"product": {"name": "Milk"}, "owner_id": str(charlie.user_id)})

    assert [response.status_code for response in (by_product, by_place, by_owner)] == [422, 422, 422]
    assert [fields_of(r) for r in (by_product, by_place, by_owner)] == [{"product_id"}, {"location_id"}, {"owner_id"}]


async def test_bulk_adds_what_is_right_and_names_what_is_wrong(client: AsyncClient) -> None:
    items = [{"product": {"name": "Rice"}}, {"product": {"name": ""}}, 7, {"product": {"name": "Rice"}, "quantity": 3}]

    response = await client.post(f"{LOTS}/bulk", json={"items": items})

    assert response.status_code == 200, response.text
    result = response.json()
    assert [lot["quantity"] for lot in result["created"]] == ["1", "3"]
    assert len({lot["product"]["id"] for lot in result["created"]}) == 1
    assert [(failed["index"], failed["errors"][0]["field"]) for failed in result["failed"]] == [
        (1, "product.name"),
        (2, ""),
    ]


async def test_an_atomic_bulk_does_all_or_nothing(client: AsyncClient, session: AsyncSession) -> None:
    items = [{"product": {"name": "Rice"}}, {"product": {"name": ""}}]

    response = await client.post(f"{LOTS}/bulk", params={"atomic": True}, json={"items": items})

    assert response.status_code == 422
    assert fields_of(response) == {"items.1.product.name"}
    assert (await session.scalars(select(func.count()).select_from(Lot))).one() == 0


async def test_a_bulk_is_taken_back_at_once(client: AsyncClient) -> None:
    items = [{"product": {"name": name}} for name in ("Rice", "Peas", "Corn")]
    group_id = (await client.post(f"{LOTS}/bulk", json={"items": items})).json()["group_id"]
    event = (await client.get(f"/households/{HOUSEHOLD}/events")).json()["items"][0]
    assert event["group_id"] == group_id

    response = await client.post(f"/households/{HOUSEHOLD}/events/{event['id']}/undo", params={"group": True})

    assert response.status_code == 200
    assert (await client.get(LOTS)).json()["items"] == []


@pytest.mark.parametrize("path", ["lots/bulk", "products/bulk"])
@pytest.mark.parametrize("items", [[], [{}] * 10_000, "many", None])
async def test_bulks_have_bounds(client: AsyncClient, path: str, items: Any) -> None:
    response = await client.post(f"/households/{HOUSEHOLD}/{path}", json={"items": items})

    assert response.status_code == 422
    assert fields_of(response) == {"items"}


async def test_one_by_one_a_lot_is_used_opened_frozen_thawed_moved_counted_snoozed_and_edited(
    client: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    lot = await make_lot(session, alice, quantity=6, expires_on=TODAY)
    pantry = await place_of(session, alice, LocationKind.PANTRY)
    steps: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("consume", {"quantity": "1.5"}, {"quantity": "4.5"}),
        ("discard", {"quantity": "0.5", "reason": "leftover"}, {"quantity": "4"}),
        ("open", {}, {"opened_on": "2026-11-22"}),
        ("freeze", {}, {"frozen_on": "2026-11-22"}),
        ("thaw", {}, {"frozen_on": None}),
        ("move", {"location_id": str(pantry)}, {}),
        ("correct", {"quantity": "3"}, {"quantity": "3"}),
        ("snooze", {"until": "2026-11-25"}, {"snoozed_until": "2026-11-25"}),
    ]

    for version, (action, body, expected) in enumerate(steps, start=2):
        response = await client.post(f"{LOTS}/{lot.id}/{action}", json=body)
        assert response.status_code == 200, (action, response.text)
        answer = response.json()
        assert {name: answer[name] for name in expected} == expected, action
        assert answer["version"] == version, action
    edited = await client.patch(f"{LOTS}/{lot.id}", json={"note": "last one"})
    assert (edited.status_code, edited.json()["note"]) == (200, "last one")

    events = (await client.get(f"/households/{HOUSEHOLD}/events", params={"lot": str(lot.id)})).json()["items"]
    kinds = ["edit", "edit", "correct", "move", "thaw", "freeze", "open", "discard", "consume", "add"]
    assert [event["kind"] for event in events] == kinds
    for event in events:
        undone = await client.post(f"/households/{HOUSEHOLD}/events/{event['id']}/undo")
        assert undone.status_code == 200, undone.text
    assert (await client.get(f"{LOTS}/{lot.id}")).json()["quantity"] == "0"


async def test_an_event_has_the_shape_of_the_contract(client: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, price="4")
    await client.post(f"{LOTS}/{lot.id}/discard", json={"quantity": 1, "reason": "spoiled_early"})

    event = (await client.get(f"/households/{HOUSEHOLD}/events")).json()["items"][0]

    shape = (
        "id kind lot_id product_id quantity_delta quantity_after reason value actor occurred_at group_id reverses_id "
        "undone"
    )
    assert set(shape.split()) <= set(event)
    assert (event["kind"], event["quantity_delta"], event["quantity_after"]) == ("discard", "-1", "1")
    assert (event["reason"], event["value"]) == ("spoiled_early", "2.00")
    assert event["actor"] == {"id": str(alice.user_id), "name": "Alice"}
    assert event["occurred_at"] == "2026-11-22T10:30:00Z"
    assert (event["reverses_id"], event["undone"]) == (None, False)


@pytest.mark.parametrize(
    ("action", "body", "status", "field"),
    [
        ("consume", {"quantity": "3"}, 409, None),
        ("consume", {"quantity": "-1"}, 422, "quantity"),
        ("consume", {"quantity": "NaN"}, 422, "quantity"),
        ("consume", {"quantity": 1, "version": 99}, 409, None),
        ("consume", {"quantity": 1, "unit": "kg"}, 422, "unit"),
        ("discard", {}, 422, "reason"),
        ("discard", {"reason": "bored"}, 422, "reason"),
        ("open", {"quantity": "2.5"}, 409, None),
        ("open", {"version": 99}, 409, None),
        ("freeze", {"location_id": str(uuid4())}, 422, "location_id"),
        ("thaw", {}, 409, None),
        ("move", {}, 422, "location_id"),
        ("move", {"location_id": "there"}, 422, "location_id"),
        ("correct", {}, 422, "quantity"),
        ("correct", {"quantity": "-0.5"}, 422, "quantity"),
        ("correct", {"quantity": 1, "version": 0}, 409, None),
        ("snooze", {}, 422, "until"),
        ("snooze", {"until": "tomorrow"}, 422, "until"),
    ],
)
async def test_a_wrong_step_changes_nothing(
    client: AsyncClient,
    session: AsyncSession,
    alice: Actor,
    action: str,
    body: dict[str, Any],
    status: int,
    field: str | None,
) -> None:
    lot = await make_lot(session, alice, quantity=2)
    before = (await client.get(f"{LOTS}/{lot.id}")).json()

    response = await client.post(f"{LOTS}/{lot.id}/{action}", json=body)

    assert response.status_code == status, response.text
    assert fields_of(response) == ({field} if field else set())
    assert (await client.get(f"{LOTS}/{lot.id}")).json() == before


async def test_a_stale_edit_is_refused_and_a_fresh_one_is_not(
    client: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    lot = await make_lot(session, alice)
    mine = await client.patch(f"{LOTS}/{lot.id}", json={"note": "mine", "version": 1})
    theirs = await client.patch(f"{LOTS}/{lot.id}", json={"note": "theirs", "version": 1})

    assert (mine.status_code, theirs.status_code) == (200, 409)
    assert theirs.json()["code"] == "stale"
    assert (await client.get(f"{LOTS}/{lot.id}")).json()["note"] == "mine"


async def test_the_quantity_is_not_edited_but_booked(client: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=2)

    await client.patch(f"{LOTS}/{lot.id}", json={"note": "x", "quantity": 99, "version": 1, "household_id": "x"})

    assert (await client.get(f"{LOTS}/{lot.id}")).json()["quantity"] == "2"


async def test_freezing_again_asks_first(client: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, expires_on=TODAY)
    await client.post(f"{LOTS}/{lot.id}/freeze")
    await client.post(f"{LOTS}/{lot.id}/thaw")

    asked = await client.post(f"{LOTS}/{lot.id}/freeze")
    confirmed = await client.post(f"{LOTS}/{lot.id}/freeze", json={"confirm": True})

    assert (asked.status_code, asked.json()["code"]) == (409, "confirm")
    assert confirmed.status_code == 200


async def test_a_product_is_used_first_expiring_first_across_its_lots(
    client: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    product = await make_product(session, alice)
    later = await make_lot(session, alice, product=product, quantity=2, expires_on=TODAY.replace(month=12))
    first = await make_lot(session, alice, product=product, quantity=2, expires_on=TODAY)

    response = await client.post(f"/households/{HOUSEHOLD}/products/{product.id}/consume", json={"quantity": "3"})

    assert response.status_code == 200, response.text
    assert [(lot["id"], lot["quantity"]) for lot in response.json()["lots"]] == [
        (str(first.id), "0"),
        (str(later.id), "1"),
    ]
    assert {event["group_id"] for event in response.json()["events"]} == {response.json()["group_id"]}

    more = await client.post(f"/households/{HOUSEHOLD}/products/{product.id}/consume", json={"quantity": "3"})
    assert (more.status_code, more.json()["code"]) == (409, "too_little_left")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["Milk", "Ham", "Rice"]),
        ({"sort": "name"}, ["Ham", "Milk", "Rice"]),
        ({"sort": "-name"}, ["Rice", "Milk", "Ham"]),
        ({"q": "MI"}, ["Milk"]),
        ({"q": "%"}, []),
        ({"urgency": "undated"}, ["Rice"]),
        ({"urgency": "today"}, ["Milk"]),
        ({"location": "fridge"}, ["Milk", "Ham"]),
        ({"product": "Ham"}, ["Ham"]),
        ({"category": str(uuid4())}, []),
    ],
)
async def test_lists_are_filtered_and_sorted(
    client: AsyncClient, session: AsyncSession, alice: Actor, query: dict[str, str], names: list[str]
) -> None:
    await make_lot(session, alice, product="Milk", expires_on=TODAY)
    ham = await make_lot(session, alice, product="Ham", expires_on=TODAY.replace(day=30))
    await make_lot(session, alice, product="Rice", place=LocationKind.PANTRY, date_kind="none")
    if "location" in query:
        query = {"location": str(await place_of(session, alice, LocationKind.FRIDGE))}
    if "product" in query:
        query = {"product": ham.product.id}

    response = await client.get(LOTS, params=query)

    assert [lot["product"]["name"] for lot in response.json()["items"]] == names


@pytest.mark.parametrize("sort", ["expires_on", "-expires_on", "name", "-name", "added", "-added", "purchased_on"])
async def test_pages_of_a_list_hold_every_lot_once(
    client: AsyncClient, session: AsyncSession, alice: Actor, sort: str
) -> None:
    product = await make_product(session, alice)
    for day in (22, 22, 23, 25, None, None, 22):
        expires_on = TODAY.replace(day=day) if day else None
        await make_lot(session, alice, product=product, expires_on=expires_on, date_kind=None if day else "none")
    whole = [lot["id"] for lot in (await client.get(LOTS, params={"sort": sort})).json()["items"]]

    seen: list[str] = []
    query: dict[str, Any] = {"sort": sort, "limit": 2}
    while True:
        page = (await client.get(LOTS, params=query)).json()
        seen += [lot["id"] for lot in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]

    assert len(whole) == 7
    assert seen == whole


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"after": "nonsense"}, "after"),
        ({"after": "W10"}, "after"),
        ({"after": "x" * 501}, "after"),
        ({"after": "WyIyMDI2LTExLTIyIiwgIjEiLCAieCJd"}, "after"),
        ({"sort": "price"}, "sort"),
        ({"urgency": "later"}, "urgency"),
        ({"location": "fridge"}, "location"),
        ({"q": "\x00"}, "q"),
    ],
)
async def test_a_list_says_which_parameter_is_wrong(client: AsyncClient, query: dict[str, Any], field: str) -> None:
    response = await client.get(LOTS, params=query)

    assert response.status_code == 422, response.text
    assert fields_of(response) == {field}


@pytest.mark.parametrize("noun", ["lots", "products", "events", "locations", "units", "categories", "members"])
async def test_cursors_of_one_list_never_break_another(client: AsyncClient, noun: str) -> None:
    for position in ('["a"]', '["a","b"]', '["1","2","3"]', '["2026-01-01","x","y"]', "[1]", "{}", "[[]]", "[" * 300):
        cursor = base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")
        response = await client.get(f"/households/{HOUSEHOLD}/{noun}", params={"after": cursor})
        assert response.status_code in {200, 422}, (position, response.text)


async def test_undo_is_refused_with_a_reason(client: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=3)
    await client.post(f"{LOTS}/{lot.id}/consume", json={"quantity": 1})
    await client.post(f"{LOTS}/{lot.id}/consume", json={"quantity": 1})
    events = (await client.get(f"/households/{HOUSEHOLD}/events")).json()["items"]

    refused = await client.post(f"/households/{HOUSEHOLD}/events/{events[1]['id']}/undo")

    assert refused.status_code == 409
    assert refused.json()["detail"]
    unknown = await client.post(f"/households/{HOUSEHOLD}/events/{uuid4()}/undo")
    assert unknown.status_code == 404


async def test_undo_answers_the_new_event_and_redo_undoes_it(
    client: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    lot = await make_lot(session, alice, quantity=3)
    await client.post(f"{LOTS}/{lot.id}/consume")
    used = (await client.get(f"/households/{HOUSEHOLD}/events")).json()["items"][0]

    undo = (await client.post(f"/households/{HOUSEHOLD}/events/{used['id']}/undo")).json()
    assert (undo["kind"], undo["reverses_id"], undo["quantity_after"]) == ("undo", used["id"], "3")
    redo = (await client.post(f"/households/{HOUSEHOLD}/events/{undo['id']}/undo")).json()
    assert (redo["reverses_id"], redo["quantity_after"]) == (undo["id"], "0")
    twice = await client.post(f"/households/{HOUSEHOLD}/events/{used['id']}/undo")
    assert twice.status_code == 409


async def test_the_journal_is_read_by_lot_and_by_product(
    client: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    milk = await make_lot(session, alice)
    await make_lot(session, alice, product="Ham")

    by_lot = (await client.get(f"/households/{HOUSEHOLD}/events", params={"lot": milk.id})).json()["items"]
    by_product = (await client.get(f"/households/{HOUSEHOLD}/events", params={"product": milk.product.id})).json()

    assert [event["product_name"] for event in by_lot] == ["Milk"]
    assert by_product["items"] == by_lot


async def test_the_same_names_live_next_door(
    client_of: ClientOf, session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    await make_lot(session, alice)

    response = await client_of(charlie).post(f"/households/{NEXT_DOOR}/lots", json={"product": {"name": "Milk"}})

    assert response.status_code == 201
    tree = await locations.read_tree(session, charlie)
    assert {place.lots for place in tree} == {0, 1}
