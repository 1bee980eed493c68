"""Places, categories and units over the API."""

from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import Category, Unit
from services.permissions import Actor
from tests.conftest import HOUSEHOLD
from tests.factories import make_lot

HOME = f"/households/{HOUSEHOLD}"


def fields_of(response: Response) -> set[str]:
    return {error["field"] for error in response.json()["errors"]}


async def test_places_form_a_tree(client: AsyncClient) -> None:
    fridge = next(p for p in (await client.get(f"{HOME}/locations")).json()["items"] if p["name"] == "Fridge")

    door = await client.post(f"{HOME}/locations", json={"name": "Door", "parent_id": fridge["id"]})

    assert door.status_code == 201
    assert (door.json()["path"], door.json()["kind"]) == ("Fridge / Door", "fridge")
    paths = [place["path"] for place in (await client.get(f"{HOME}/locations")).json()["items"]]
    assert paths.index("Fridge / Door") == paths.index("Fridge") + 1
    loop = await client.patch(f"{HOME}/locations/{fridge['id']}", json={"parent_id": door.json()["id"]})
    assert loop.status_code == 422
    assert fields_of(loop) == {"parent_id"}


async def test_places_have_their_own_names(client: AsyncClient) -> None:
    taken = await client.post(f"{HOME}/locations", json={"name": "FRIDGE"})
    assert taken.status_code == 409
    cellar = (await client.post(f"{HOME}/locations", json={"name": "Cellar", "kind": "pantry"})).json()
    renamed = await client.patch(f"{HOME}/locations/{cellar['id']}", json={"name": "fridge"})
    assert renamed.status_code == 409


async def test_a_place_is_put_out_of_use_when_nothing_lies_there(
    client: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    lot = await make_lot(session, alice)
    url = f"{HOME}/locations/{lot.location.id}"

    assert (await client.delete(url)).status_code == 409
    await client.post(f"{HOME}/lots/{lot.id}/consume")
    assert (await client.delete(url)).status_code == 204
    assert (await client.delete(url)).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "wrong", "field"),
    [
        ("locations", {"name": "Cellar"}, {"name": ""}, "name"),
        ("locations", {"name": "Cellar"}, {"kind": "attic"}, "kind"),
        ("locations", {"name": "Cellar"}, {"parent_id": str(uuid4())}, "parent_id"),
        ("locations", {"name": "Cellar"}, {"position": -1}, "position"),
        ("locations", {"name": "Cellar"}, {"position": 2**40}, "position"),
        ("categories", {"name": "Kimchi"}, {"name": "x" * 101}, "name"),
        ("categories", {"name": "Kimchi"}, {"parent_id": str(uuid4())}, "parent_id"),
        ("categories", {"name": "Kimchi"}, {"fridge_days": -1}, "fridge_days"),
        ("categories", {"name": "Kimchi"}, {"fridge_days": True}, "fridge_days"),
        ("categories", {"name": "Kimchi"}, {"unit": "furlong"}, "unit"),
        ("categories", {"name": "Kimchi"}, {"date_kind": "best"}, "date_kind"),
        ("units", {"code": "jar", "name": "jar"}, {"code": ""}, "code"),
        ("units", {"code": "jar", "name": "jar"}, {"code": "x" * 21}, "code"),
        ("units", {"code": "jar", "name": "jar"}, {"factor": 0}, "factor"),
        ("units", {"code": "jar", "name": "jar"}, {"factor": "1e-20"}, "factor"),
        ("units", {"code": "jar", "name": "jar"}, {"factor": "NaN"}, "factor"),
        ("units", {"code": "jar", "name": "jar"}, {"kind": "length"}, "kind"),
    ],
)
async def test_words_say_which_field_is_wrong(
    client: AsyncClient, path: str, body: dict[str, Any], wrong: dict[str, Any], field: str
) -> None:
    response = await client.post(f"{HOME}/{path}", json={**body, **wrong})

    assert response.status_code == 422, response.text
    assert fields_of(response) == {field}


@pytest.mark.parametrize("path", ["locations", "categories", "units"])
@pytest.mark.parametrize("name", ["お茶の棚", "Größe “L” <b>", "خزانة", "🥫"])
async def test_words_of_all_alphabets_survive(client: AsyncClient, path: str, name: str) -> None:
    made = await client.post(f"{HOME}/{path}", json={"name": name, "code": "x"})

    assert made.status_code == 201, made.text
    assert made.json()["name"] == name


async def test_a_category_of_ones_own_is_changed_and_deleted(client: AsyncClient, session: AsyncSession) -> None:
    group = (await session.scalars(select(Category.id).where(Category.code == "dairy"))).one()
    made = await client.post(
        f"{HOME}/categories", json={"name": "Kefir of ours", "parent_id": str(group), "fridge_days": 14}
    )
    assert made.status_code == 201
    url = f"{HOME}/categories/{made.json()['id']}"

    assert (await client.patch(url, json={"fridge_days": 10})).json()["fridge_days"] == 10
    assert (await client.delete(url)).status_code == 204
    assert (await client.patch(url, json={"fridge_days": 10})).status_code == 404


@pytest.mark.parametrize("kind", [Category, Unit])
async def test_shared_words_cannot_be_changed(client: AsyncClient, session: AsyncSession, kind: Any) -> None:
    word = (await session.scalars(select(kind).limit(1))).one()
    path = "categories" if kind is Category else "units"

    assert (await client.patch(f"{HOME}/{path}/{word.id}", json={"name": "Mine"})).status_code == 409
    assert (await client.delete(f"{HOME}/{path}/{word.id}")).status_code == 409


async def test_there_are_foods_enough_with_the_days_they_keep(client: AsyncClient) -> None:
    first = (await client.get(f"{HOME}/categories", params={"total": True, "limit": 200})).json()
    banana = next(c for c in (await client.get(f"{HOME}/categories", params={"q": "banana"})).json()["items"])

    assert first["total"] > 150
    assert banana["pantry_days"] == 5
    assert banana["is_shared"]


async def test_a_unit_in_use_stays(client: AsyncClient) -> None:
    unit = (await client.post(f"{HOME}/units", json={"code": "jar", "name": "jam jar", "kind": "pack"})).json()
    await client.post(f"{HOME}/products", json={"name": "Jam", "unit": "jar"})

    assert (await client.delete(f"{HOME}/units/{unit['id']}")).status_code == 409
    assert (await client.post(f"{HOME}/units", json={"code": "jar", "name": "other"})).status_code == 409
