"""DELETE /users/me."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import User
from services.permissions import Actor
from tests.conftest import HOUSEHOLD, PASSWORD, ClientOf


async def remaining(session: AsyncSession, actor: Actor) -> int:
    found = await session.execute(sa.select(sa.func.count()).where(col(User.id) == actor.user_id))
    return found.scalar_one()


async def test_an_account_is_deleted_by_its_password(client_of: ClientOf, session: AsyncSession, bob: Actor) -> None:
    client = client_of(bob)

    deleted = await client.request("DELETE", "/users/me", json={"password": PASSWORD})

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert "larder_session" in deleted.headers["set-cookie"]
    assert await remaining(session, bob) == 0
    assert (await client.get("/users/me")).status_code == 401
    assert (await client.post("/auth/login", json={"email": bob.email, "password": PASSWORD})).status_code == 401


async def test_a_wrong_password_deletes_nothing(client_of: ClientOf, session: AsyncSession, bob: Actor) -> None:
    for wrong in ({"password": "wrong horse 7"}, {}, {"password": None}):
        refused = await client_of(bob).request("DELETE", "/users/me", json=wrong)

        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == ["password"]
    assert await remaining(session, bob) == 1


async def test_who_owns_a_household_of_others_hands_it_over_first(
    client_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    client = client_of(alice)

    refused = await client.request("DELETE", "/users/me", json={"password": PASSWORD})

    assert (refused.status_code, refused.json()["code"]) == (409, "owns_households")
    assert refused.json()["detail"] == "Hand these over to somebody first: Home."
    assert await remaining(session, alice) == 1
    path = f"/households/{HOUSEHOLD}/members/{bob.user_id}"
    assert (await client.patch(path, json={"role": "owner"})).status_code == 200
    assert (await client.request("DELETE", "/users/me", json={"password": PASSWORD})).status_code == 204


async def test_others_still_see_what_was_booked(client_of: ClientOf, alice: Actor, bob: Actor) -> None:
    added = await client_of(bob).post(
        f"/households/{HOUSEHOLD}/lots", json={"product": {"name": "Milk"}, "quantity": "2"}
    )
    assert added.status_code == 201

    assert (await client_of(bob).request("DELETE", "/users/me", json={"password": PASSWORD})).status_code == 204

    seen = await client_of(alice).get(f"/households/{HOUSEHOLD}/events")
    assert seen.status_code == 200, seen.text
    (event,) = seen.json()["items"]
    assert (event["kind"], event["actor"]) == ("add", None)
    members = (await client_of(alice).get(f"/households/{HOUSEHOLD}/members")).json()["items"]
    assert "Bob" not in {member["name"] for member in members}
