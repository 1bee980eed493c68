"""Households, members and invitations over the API."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import Household, Lot
from services.core import clock
from services.households import INVITATION_LIFETIME
from services.permissions import Actor
from tests.conftest import HOUSEHOLD, NEXT_DOOR, NOW, ClientOf
from tests.factories import make_lot

HOME = f"/households/{HOUSEHOLD}"


def fields_of(response: Response) -> set[str]:
    return {error["field"] for error in response.json()["errors"]}


async def invite(client: AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post(f"{HOME}/invitations", json=body)
    assert response.status_code == 201, response.text
    return dict(response.json())


async def test_one_sees_the_households_one_belongs_to(client: AsyncClient) -> None:
    assert [h["id"] for h in (await client.get("/households")).json()["items"]] == [str(HOUSEHOLD)]

    made = await client.post("/households", json={"name": "Cabin", "time_zone": "America/Anchorage", "currency": "usd"})

    assert made.status_code == 201
    assert (made.json()["role"], made.json()["currency"], made.json()["soon_days"]) == ("owner", "USD", 5)
    assert [h["name"] for h in (await client.get("/households")).json()["items"]] == ["Home", "Cabin"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"currency": "XXL"}, "currency"),
        ({"locale": "!!"}, "locale"),
        ({"soon_days": 400}, "soon_days"),
        ({"soon_days": "x"}, "soon_days"),
    ],
)
async def test_a_household_says_which_field_is_wrong(client: AsyncClient, wrong: dict[str, Any], field: str) -> None:
    made = await client.post("/households", json={"name": "Cabin", **wrong})
    edited = await client.patch(HOME, json=wrong)

    assert (made.status_code, edited.status_code) == (422, 422)
    assert fields_of(made) == fields_of(edited) == {field}


async def test_an_admin_changes_the_household_and_a_member_does_not(
    client_of: ClientOf, dora: Actor, bob: Actor
) -> None:
    assert (await client_of(bob).patch(HOME, json={"name": "Bobland"})).status_code == 403
    assert (await client_of(dora).patch(HOME, json={"name": "Our home"})).json()["name"] == "Our home"


async def test_an_invitation_is_accepted_once(
    client: AsyncClient, client_of: ClientOf, charlie: Actor, sam: Actor
) -> None:
    invitation = await invite(client, role="viewer")
    assert invitation["url"] == f"http://localhost/invitations/{invitation['token']}"

    accepted = await client_of(charlie).post(f"/invitations/{invitation['token']}/accept")
    again = await client_of(sam).post(f"/invitations/{invitation['token']}/accept")

    assert (accepted.status_code, accepted.json()["role"]) == (200, "viewer")
    assert again.status_code == 404
    assert (await client_of(charlie).get(f"{HOME}/lots")).status_code == 200


async def test_an_invitation_is_for_whom_it_names(
    client: AsyncClient, client_of: ClientOf, charlie: Actor, sam: Actor
) -> None:
    invitation = await invite(client, role="member", email="SAM@example.com")

    assert (await client_of(charlie).post(f"/invitations/{invitation['token']}/accept")).status_code == 403
    assert (await client_of(sam).post(f"/invitations/{invitation['token']}/accept")).status_code == 200


async def test_an_invitation_ends(client: AsyncClient, client_of: ClientOf, charlie: Actor) -> None:
    over, withdrawn = await invite(client), await invite(client)
    assert (await client.delete(f"{HOME}/invitations/{withdrawn['id']}")).status_code == 204
    assert (await client.delete(f"{HOME}/invitations/{withdrawn['id']}")).status_code == 404

    assert (await client_of(charlie).post(f"/invitations/{withdrawn['token']}/accept")).status_code == 404
    with clock.frozen(NOW + INVITATION_LIFETIME + timedelta(seconds=1)):
        assert (await client_of(charlie).post(f"/invitations/{over['token']}/accept")).status_code == 404


async def test_tokens_of_invitations_are_shown_once(client: AsyncClient) -> None:
    invitation = await invite(client, role="member", email="new@example.com")

    listed = await client.get(f"{HOME}/invitations")

    assert [waiting["email"] for waiting in listed.json()["items"]] == ["new@example.com"]
    assert invitation["token"] not in listed.text


@pytest.mark.parametrize(
    ("body", "field"), [({"role": "owner"}, "role"), ({"role": "king"}, "role"), ({"email": "x"}, "email")]
)
async def test_an_invitation_says_which_field_is_wrong(client: AsyncClient, body: dict[str, Any], field: str) -> None:
    response = await client.post(f"{HOME}/invitations", json=body)

    assert response.status_code == 422
    assert fields_of(response) == {field}


async def test_roles_are_changed_and_the_household_is_handed_over(
    client: AsyncClient, client_of: ClientOf, alice: Actor, bob: Actor, vera: Actor
) -> None:
    promoted = await client.patch(f"{HOME}/members/{vera.user_id}", json={"role": "member"})
    assert promoted.json()["role"] == "member"

    handed = await client.patch(f"{HOME}/members/{bob.user_id}", json={"role": "owner"})

    assert handed.status_code == 200
    roles = {m["name"]: m["role"] for m in (await client.get(f"{HOME}/members")).json()["items"]}
    assert roles == {"Alice": "admin", "Bob": "owner", "Dora": "admin", "Vera": "member"}
    assert (await client.delete(HOME, params={"name": "Home"})).status_code == 403
    assert (await client_of(bob).delete(f"{HOME}/members/{alice.user_id}")).status_code == 204
    assert (await client.get(HOME)).status_code == 404


async def test_a_household_keeps_its_owner(client: AsyncClient, client_of: ClientOf, alice: Actor, dora: Actor) -> None:
    leave = await client.delete(f"{HOME}/members/{alice.user_id}")
    demote = await client_of(dora).patch(f"{HOME}/members/{alice.user_id}", json={"role": "member"})
    rob = await client_of(dora).patch(f"{HOME}/members/{dora.user_id}", json={"role": "owner"})

    assert [r.status_code for r in (leave, demote, rob)] == [409, 409, 403]


async def test_members_leave_by_themselves_and_remove_nobody(client_of: ClientOf, bob: Actor, vera: Actor) -> None:
    assert (await client_of(bob).delete(f"{HOME}/members/{vera.user_id}")).status_code == 403
    assert (await client_of(vera).delete(f"{HOME}/members/{vera.user_id}")).status_code == 204
    assert (await client_of(vera).get(HOME)).status_code == 404
    assert (await client_of(bob).delete(f"{HOME}/members/{uuid4()}")).status_code == 404


async def test_deleting_a_household_takes_all_of_it_and_no_more(
    client: AsyncClient, session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    await make_lot(session, alice)
    theirs = await make_lot(session, charlie)
    await session.commit()

    assert (await client.delete(HOME, params={"name": "Hom"})).status_code == 422
    assert (await client.delete(HOME, params={"name": "home"})).status_code == 204

    assert (await client.get(HOME)).status_code == 404
    assert (await session.scalars(select(Lot.id))).all() == [UUID(str(theirs.id))]
    assert (await session.scalars(select(Household.id))).all() == [NEXT_DOOR]
