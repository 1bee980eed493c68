"""Another household's things do not exist: at every route that takes an id, found from the routers themselves."""

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from models import Household, Role
from routes.table import list_routes
from services.permissions import ROLE_PERMISSIONS, Actor
from tests.conftest import HOUSEHOLD, NEXT_DOOR, ClientOf, make_actor
from tests.doors import DOORS, Door, make_one_of_each

OF_A_HOUSEHOLD = {"household_id"}
# A link that lets whoever holds it in, and codes that only mean something within a product.
NO_IDS = {"token", "code", "unit", "secret", "kind"}
WITH_ID = [door for door in DOORS if door.keys - OF_A_HOUSEHOLD - NO_IDS]
IN_A_HOUSEHOLD = [door for door in DOORS if door.keys & OF_A_HOUSEHOLD]
BY_ROLE = [door for door in DOORS if door.name in ROLE_PERMISSIONS[Role.OWNER]]
OPEN = {
    "auth:forgot",
    "auth:login",
    "auth:login_code",
    "auth:login_openid",
    "auth:login_passkey",
    "auth:login_passkey_options",
    "auth:openid_callback",
    "auth:openid_go",
    "auth:register",
    "auth:refresh",
    "auth:reset",
    "auth:verify",
    "feeds:calendar",
    "invitations:preview",
    "links:act",
    "links:ask",
}
# Asked again by the service, about whom it is done to.
ONESELF = {"chats:delete", "chats:edit", "members:remove", "messages:delete", "messages:edit"}
# An owner stays one, some is in stock, nothing is frozen.
CONFLICTS = {"members:remove", "members:edit", "products:archive", "stock:thaw"}


def test_every_route_of_the_app_is_tried(app: FastAPI) -> None:
    tried = {(door.method, door.path) for door in DOORS}
    with_id = {
        (method, entry.path)
        for entry in list_routes(app)
        for method in entry.methods
        if "{" in entry.path and not entry.path.startswith(("/admin", "/static", "/files/"))
    }

    assert with_id <= tried | {("HEAD", path) for _method, path in tried}


async def everything_of(session: AsyncSession, household_id: Any) -> dict[str, list[Any]]:
    """All rows of a household."""
    session.expire_all()
    kept = {
        table.name: sorted(
            map(str, await session.execute(sa.select(table).where(table.c.household_id == household_id)))
        )
        for table in SQLModel.metadata.sorted_tables
        if "household_id" in table.c and table.name != "user_session"
    }
    kept["household"] = [str((await session.get_one(Household, household_id)).model_dump())]
    return kept


async def test_what_belongs_to_another_household_is_not_there(
    session: AsyncSession, client_of: ClientOf, browser_of: ClientOf, alice: Actor, charlie: Actor
) -> None:
    theirs = await make_one_of_each(session, charlie)
    await session.commit()
    before = await everything_of(session, NEXT_DOOR)

    for door in WITH_ID:
        client = client_of(alice) if door.is_api else browser_of(alice)
        response = await door.knock(client, {**theirs, "household_id": str(HOUSEHOLD)})
        assert response.status_code == 404, f"{door}: {response.text}"
    assert await everything_of(session, NEXT_DOOR) == before


async def test_another_household_is_not_there(
    session: AsyncSession, client_of: ClientOf, alice: Actor, charlie: Actor, sam: Actor
) -> None:
    theirs = await make_one_of_each(session, charlie)
    await session.commit()
    before = await everything_of(session, NEXT_DOOR)

    for door in IN_A_HOUSEHOLD:
        for stranger in (alice, sam):
            response = await door.knock(client_of(stranger), theirs)
            assert response.status_code == 404, f"{door}: {response.text}"
            assert response.json()["detail"] == "There is no such household.", door
    assert await everything_of(session, NEXT_DOOR) == before


@pytest.mark.parametrize("door", BY_ROLE, ids=str)
async def test_ones_own_is_there(
    door: Door, session: AsyncSession, client_of: ClientOf, browser_of: ClientOf, charlie: Actor
) -> None:
    """Without this, the tests above would be content with requests that are wrong in themselves."""
    ids = await make_one_of_each(session, charlie)
    await session.commit()

    response = await door.knock(client_of(charlie) if door.is_api else browser_of(charlie), ids)

    assert response.status_code < 400 or (response.status_code == 409 and door.name in CONFLICTS), response.text


@pytest.mark.parametrize("name", ["vera", "bob", "dora"])
async def test_a_role_opens_the_doors_of_its_permissions_and_no_other(
    name: str, session: AsyncSession, client_of: ClientOf, browser_of: ClientOf, alice: Actor
) -> None:
    ids = await make_one_of_each(session, alice)
    await session.commit()
    actor = make_actor(name)
    before = await everything_of(session, HOUSEHOLD)

    for door in sorted(BY_ROLE, key=lambda door: actor.can(door.name)):
        if actor.can(door.name) and before:
            assert await everything_of(session, HOUSEHOLD) == before
            before = {}
        response = await door.knock(client_of(actor) if door.is_api else browser_of(actor), ids)
        if not actor.can(door.name):
            assert response.status_code == 403, f"{door}: {response.text}"
        else:
            assert response.status_code != 403 or door.name in ONESELF, f"{door}: {response.text}"


async def test_nobody_gets_in_without_signing_in(
    session: AsyncSession, client_of: ClientOf, browser_of: ClientOf, alice: Actor
) -> None:
    ids = await make_one_of_each(session, alice)
    await session.commit()
    before = await everything_of(session, HOUSEHOLD)

    for door in DOORS:
        if door.name in OPEN:
            continue
        response = await door.knock(client_of(None) if door.is_api else browser_of(None), ids)
        if door.is_api:
            assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer"), door
        else:
            assert response.status_code == 303, door
            assert response.headers["location"].startswith("/login"), door
    assert await everything_of(session, HOUSEHOLD) == before
