"""API keys: what they open, what they never open, and when they are over."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from auth import COOKIE
from models import ApiKey, AuditEntry, Delivery, User
from routes.table import list_routes
from services import accounts, api_keys
from services.core import clock
from services.core.ids import hash_token
from services.permissions import Actor
from services.schemas.accounts import ApiKeyCreate, Scope
from tests import samples
from tests.conftest import HOUSEHOLD, NEXT_DOOR, NOW, PASSWORD, ClientOf
from tests.doors import DOORS, make_one_of_each
from tests.factories import make_lot

ALL = frozenset(Scope)
WANTED = {"name": "Shopping script", "scopes": ["stock:read"]}


@pytest.fixture
def machine(client_of: ClientOf) -> Callable[[str], AsyncClient]:
    """A client that shows a key."""

    def make(key: str) -> AsyncClient:
        client = client_of(None)
        client.headers["Authorization"] = f"Bearer {key}"
        return client

    return make


async def key_of(session: AsyncSession, actor: Actor, *scopes: Scope, **more: Any) -> str:
    made = await api_keys.issue(
        session, actor.user_id, ApiKeyCreate(name="Script", scopes=frozenset(scopes), **more), by=None
    )
    await session.commit()
    return made.key


async def confirm(client: AsyncClient) -> None:
    assert (await client.post("/users/me/confirm", json={"password": PASSWORD})).status_code == 204


async def test_a_key_is_made_after_confirming_and_shown_once(
    client: AsyncClient, machine: Callable[[str], AsyncClient], session: AsyncSession
) -> None:
    refused = await client.post("/users/me/api-keys", json=WANTED)
    assert (refused.status_code, refused.json()["code"]) == (403, "confirmation_needed")
    await confirm(client)

    made = await client.post("/users/me/api-keys", json=WANTED)

    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    secret = made.json()["key"]
    assert secret.startswith("lrk_")
    assert len(secret) > 40
    listed = await client.get("/users/me/api-keys")
    assert [one["name"] for one in listed.json()["items"]] == ["Shopping script"]
    assert secret not in listed.text
    (row,) = await session.scalars(select(ApiKey))
    assert row.key_hash == hash_token(secret)
    assert secret not in str(row.model_dump())
    (entry,) = await session.scalars(select(AuditEntry).where(AuditEntry.action == "api_keys:create"))
    assert secret not in str(entry.model_dump())
    assert [letter.data["what"] for letter in await session.scalars(select(Delivery))] == ["api_key_made"]
    assert (await machine(secret).get(f"/households/{HOUSEHOLD}/lots")).status_code == 200


async def test_a_confirmation_lasts_a_quarter_of_an_hour(client: AsyncClient) -> None:
    await confirm(client)

    with clock.frozen(NOW + timedelta(minutes=14)):
        assert (await client.post("/users/me/api-keys", json=WANTED)).status_code == 201
    with clock.frozen(NOW + timedelta(minutes=16)):
        assert (await client.post("/users/me/api-keys", json=WANTED)).status_code == 403


@pytest.mark.parametrize("password", ["wrong one 1", "", "a1" * 5_000])
async def test_only_the_password_confirms(client: AsyncClient, password: str) -> None:
    response = await client.post("/users/me/confirm", json={"password": password})

    assert response.status_code == 422
    assert (await client.post("/users/me/api-keys", json=WANTED)).status_code == 403


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"scopes": ["account:edit"]}, "scopes.0"),
        ({"scopes": "stock:read"}, "scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
    ],
)
async def test_a_wrong_key_is_told_at_its_field(client: AsyncClient, wrong: dict[str, Any], field: str) -> None:
    await confirm(client)

    response = await client.post("/users/me/api-keys", json={**WANTED, **wrong})

    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_there_are_only_so_many_keys(client: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    for _one in range(api_keys.MAX_KEYS):
        await key_of(session, alice, Scope.STOCK_READ)
    await confirm(client)

    assert (await client.post("/users/me/api-keys", json=WANTED)).status_code == 409


def test_scopes_name_routes_that_there_are_and_none_twice(app: FastAPI) -> None:
    routes = {entry.name for entry in list_routes(app)}
    opened = [permission for scope in Scope for permission in api_keys.SCOPES[scope]]

    assert set(opened) <= routes
    assert len(opened) == len(set(opened))
    assert set(api_keys.SCOPES) == set(api_keys.LABELS) == ALL


async def test_all_scopes_together_open_no_account_no_credential_and_no_panel(
    app: FastAPI, machine: Callable[[str], AsyncClient], session: AsyncSession, sam: Actor, charlie: Actor
) -> None:
    """Sam is a superuser: nobody's key is staff."""
    ids = await make_one_of_each(session, charlie)
    opened = frozenset().union(*api_keys.SCOPES.values())
    client = machine(await key_of(session, charlie, *ALL))
    open_to_all = {"auth:forgot", "auth:register", "auth:refresh", "auth:reset", "feeds:calendar"}
    public = {door.name for door in DOORS if door.name.startswith(("auth:", "links:"))} | open_to_all

    for door in DOORS:
        if door.name in opened or door.name in public - {"auth:logout", "auth:logout_all"}:
            continue
        response = await door.knock(client, {**ids, "kind": "unit"})
        if door.name == "invitations:preview":
            continue
        assert response.status_code == 403, f"{door}: {response.status_code} {response.text[:200]}"
        if door.is_api:
            assert response.json()["code"] == "insufficient_scope", door
    panel = machine(await key_of(session, sam, *ALL))
    assert (await panel.get("http://localhost/admin/")).status_code in {303, 403}
    for prefix in ("account:", "auth:", "sessions:", "api_keys:", "acting:", "passkeys:", "second_factor:", "staff"):
        assert not [name for name in opened if name.startswith(prefix)]


@pytest.mark.parametrize("scope", Scope)
async def test_a_scope_opens_what_it_names_and_nothing_else(
    scope: Scope, machine: Callable[[str], AsyncClient], session: AsyncSession, charlie: Actor
) -> None:
    ids = await make_one_of_each(session, charlie)
    client = machine(await key_of(session, charlie, scope))
    of_any_scope = frozenset().union(*api_keys.SCOPES.values())

    for door in DOORS:
        if not door.is_api or door.name not in of_any_scope:
            continue
        response = await door.knock(client, ids)
        refused = response.status_code == 403 and response.json()["code"] == "insufficient_scope"
        assert refused is (door.name not in api_keys.SCOPES[scope]), f"{door}: {response.text[:200]}"


async def test_a_key_reaches_as_far_as_its_user(
    machine: Callable[[str], AsyncClient], session: AsyncSession, vera: Actor
) -> None:
    client = machine(await key_of(session, vera, *ALL))

    assert (await client.get(f"/households/{HOUSEHOLD}/lots")).status_code == 200
    assert (await client.get(f"/households/{NEXT_DOOR}/lots")).status_code == 404
    refused = await client.post(f"/households/{HOUSEHOLD}/products", json={"name": "Peas"})
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")


async def test_who_may_change_products_and_stock_by_a_key_sends_pictures_of_them(
    machine: Callable[[str], AsyncClient], session: AsyncSession, alice: Actor
) -> None:
    lot = await make_lot(session, alice)
    products, stock = [machine(await key_of(session, alice, one)) for one in (Scope.PRODUCTS_WRITE, Scope.STOCK_WRITE)]
    picture = f"/households/{HOUSEHOLD}/products/{lot.product.id}/picture"
    photos = f"/households/{HOUSEHOLD}/lots/{lot.id}/photos"
    form = {"file": ("a.png", samples.picture())}

    assert (await products.post(picture, files=form)).status_code == 200
    photo = await stock.post(photos, files=form)
    assert photo.status_code == 201
    assert (await stock.post(picture, files=form)).json()["code"] == "insufficient_scope"
    assert (await stock.post("/users/me/avatar", files=form)).json()["code"] == "insufficient_scope"
    assert (await products.delete(picture)).status_code == 204
    assert (await stock.delete(f"{photos}/{photo.json()['id']}")).status_code == 204


async def test_a_key_is_over_when_it_says_so(
    machine: Callable[[str], AsyncClient], session: AsyncSession, alice: Actor
) -> None:
    client = machine(await key_of(session, alice, Scope.STOCK_READ, expires_at=NOW + timedelta(days=1)))
    path = f"/households/{HOUSEHOLD}/lots"

    assert (await client.get(path)).status_code == 200
    with clock.frozen(NOW + timedelta(days=1)):
        assert (await client.get(path)).status_code == 401


async def test_a_key_is_removed_by_its_owner_alone(
    client: AsyncClient,
    client_of: ClientOf,
    machine: Callable[[str], AsyncClient],
    session: AsyncSession,
    alice: Actor,
    bob: Actor,
) -> None:
    script = machine(await key_of(session, alice, Scope.STOCK_READ))
    (key,) = (await client.get("/users/me/api-keys")).json()["items"]

    assert (await client_of(bob).delete(f"/users/me/api-keys/{key['id']}")).status_code == 404
    assert (await client_of(bob).get("/users/me/api-keys")).json()["items"] == []
    assert (await client.delete(f"/users/me/api-keys/{key['id']}")).status_code == 204
    assert (await client.delete(f"/users/me/api-keys/{key['id']}")).status_code == 404
    assert (await client.delete(f"/users/me/api-keys/{uuid4()}")).status_code == 404

    assert (await script.get(f"/households/{HOUSEHOLD}/lots")).status_code == 401


async def test_signing_out_everywhere_leaves_keys_and_disabling_does_not(
    client: AsyncClient, machine: Callable[[str], AsyncClient], session: AsyncSession, alice: Actor
) -> None:
    script = machine(await key_of(session, alice, Scope.STOCK_READ))
    path = f"/households/{HOUSEHOLD}/lots"
    await client.post("/auth/logout-all")
    assert (await script.get(path)).status_code == 200

    await accounts.disable(session, alice.user_id, by=None)
    await session.commit()
    assert (await script.get(path)).status_code == 401
    await accounts.enable(session, alice.user_id, by=None)
    await session.commit()
    assert (await script.get(path)).status_code == 200


async def test_a_key_waits_for_what_its_user_must_do_first(
    machine: Callable[[str], AsyncClient], session: AsyncSession, alice: Actor
) -> None:
    script = machine(await key_of(session, alice, Scope.STOCK_READ))
    await accounts.require_password_change(session, alice.user_id, by=None)
    await session.commit()

    response = await script.get(f"/households/{HOUSEHOLD}/lots")

    assert (response.status_code, response.json()["code"]) == (403, "password_change_required")


async def test_the_last_use_is_noted_once_an_hour(
    machine: Callable[[str], AsyncClient], session: AsyncSession, alice: Actor
) -> None:
    script = machine(await key_of(session, alice, Scope.STOCK_READ))

    async def used_at(minutes: int) -> Any:
        with clock.frozen(NOW + timedelta(minutes=minutes)):
            await script.get(f"/households/{HOUSEHOLD}/lots")
        session.expire_all()
        return (await session.scalars(select(ApiKey.last_used_at))).one()

    assert await used_at(0) == NOW
    assert await used_at(59) == NOW
    assert await used_at(61) == NOW + timedelta(minutes=61)


@pytest.mark.parametrize("wrong", ["lrk_", "lrk_x", "lrk_" + "x" * 10_000, "LRK_x", "lrk_\u00e9"])
async def test_what_is_no_key_lets_nobody_in(client_of: ClientOf, wrong: str) -> None:
    response = await client_of(None).get("/households", headers={b"Authorization": f"Bearer {wrong}".encode()})

    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_key_is_no_cookie_and_no_refresh_token(
    client_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    key = await key_of(session, alice, *ALL)
    nobody = client_of(None)

    assert (await nobody.get("/households", headers={"Cookie": f"{COOKIE}={key}"})).status_code == 401
    assert (await nobody.post("/auth/refresh", json={"refresh_token": key})).status_code == 401


async def test_a_key_cannot_make_more_of_itself(
    machine: Callable[[str], AsyncClient], session: AsyncSession, alice: Actor
) -> None:
    script = machine(await key_of(session, alice, *ALL))

    for path, body in (
        ("/users/me/api-keys", WANTED),
        ("/users/me/confirm", {"password": PASSWORD}),
        ("/ws/ticket", {}),
        ("/users/me/password", {"current_password": PASSWORD, "new_password": "nine plums 9"}),
    ):
        assert (await script.post(path, json=body)).json()["code"] == "insufficient_scope"
    assert len((await session.scalars(select(ApiKey))).all()) == 1
    assert (await session.get_one(User, alice.user_id)).hashed_password.startswith("$argon2id$")
