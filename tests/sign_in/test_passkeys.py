"""Passkeys: added, shown, lost; and everything that only looks like one."""

import copy
import random
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient, Response
from pydantic import HttpUrl
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from auth import COOKIE
from models import Passkey, User
from services import passkeys, passwords, sessions
from services.challenges import LIFETIME
from services.core import clock
from services.core.errors import InvalidInput
from services.passkeys import MAX_PASSKEYS
from services.permissions import Actor
from services.schemas.passkeys import PasskeyAdd, PasskeyAnswer
from settings import Settings
from tests.conftest import NOW, ClientOf
from tests.sign_in.authenticator import PRESENT, Authenticator
from tests.sign_in.conftest import Confirm, SetUp, audited, notices_to


@pytest.fixture
def nobody(client_of: ClientOf) -> AsyncClient:
    return client_of(None)


async def add(client: AsyncClient, device: Authenticator, name: str = "Phone") -> Response:
    asked = (await client.post("/users/me/passkeys/options")).json()
    made = device.create(asked["options"])
    return await client.post(
        "/users/me/passkeys", json={"challenge": asked["challenge"], "credential": made, "name": name}
    )


async def ask(client: AsyncClient) -> dict[str, Any]:
    response = await client.post("/auth/login/passkey/options")
    assert response.status_code == 200, response.text
    return dict(response.json())


async def show(client: AsyncClient, asked: dict[str, Any], credential: Any) -> Response:
    return await client.post("/auth/login/passkey", json={"challenge": asked["challenge"], "credential": credential})


async def sign_in(client: AsyncClient, device: Authenticator) -> Response:
    asked = await ask(client)
    return await show(client, asked, device.get(asked["options"]))


@pytest.fixture
async def device(client: AsyncClient, alice: Actor, confirm: Confirm) -> Authenticator:
    """Alice's."""
    await confirm(alice)
    device = Authenticator()
    assert (await add(client, device)).status_code == 201
    return device


# Adding


async def test_a_passkey_is_added_listed_renamed_and_removed(
    session: AsyncSession, client: AsyncClient, alice: Actor, device: Authenticator
) -> None:
    (listed,) = (await client.get("/users/me/passkeys")).json()["items"]
    assert (listed["name"], listed["last_used_at"]) == ("Phone", None)
    assert (await session.scalars(select(Passkey.transports))).all() == [["internal"]]

    path = f"/users/me/passkeys/{listed['id']}"
    assert (await client.patch(path, json={"name": "Old phone"})).json()["name"] == "Old phone"
    assert (await client.patch(path, json={"name": " "})).status_code == 422
    assert (await client.delete(path)).status_code == 204
    assert (await client.get("/users/me/passkeys")).json()["items"] == []
    assert (await client.delete(path)).status_code == 404

    assert await notices_to(session, alice) == ["passkey_added", "passkey_removed"]
    for action in ("passkeys:add", "passkeys:rename", "passkeys:remove"):
        assert len(await audited(session, action)) == 1, action


async def test_the_browser_is_asked_for_one_that_names_its_owner_and_asks_them(
    client: AsyncClient, device: Authenticator
) -> None:
    options = (await client.post("/users/me/passkeys/options")).json()["options"]

    assert options["rp"] == {"name": "Larder", "id": "localhost"}
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["attestation"] == "none"
    assert [known["id"] for known in options["excludeCredentials"]] == [bytes_to_base64url(device.id)]


async def test_one_is_added_once(
    client: AsyncClient, bob: Actor, client_of: ClientOf, confirm: Confirm, device: Authenticator
) -> None:
    assert (await add(client, device)).status_code == 409

    await confirm(bob)
    assert (await add(client_of(bob), device)).status_code == 409, "nor by somebody else"


async def test_there_are_never_too_many(
    session: AsyncSession, client: AsyncClient, alice: Actor, confirm: Confirm
) -> None:
    await confirm(alice)
    session.add_all(
        Passkey(user_id=alice.user_id, credential_id=f"key{index}", public_key=b"", name="Key")
        for index in range(MAX_PASSKEYS)
    )
    await session.commit()

    response = await client.post("/users/me/passkeys/options")

    assert (response.status_code, response.json()["code"]) == (409, "too_many")


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:8080"},
        {"origin": "https://localhost"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": 0},
    ],
    ids=str,
)
async def test_what_was_made_elsewhere_or_without_its_owner_is_not_added(
    client: AsyncClient, alice: Actor, confirm: Confirm, wrong: dict[str, Any]
) -> None:
    await confirm(alice)

    response = await add(client, Authenticator(**wrong))

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "credential")
    assert (await client.get("/users/me/passkeys")).json()["items"] == []


async def test_it_answers_what_was_asked_here_now_and_of_this_user(
    client: AsyncClient, client_of: ClientOf, alice: Actor, bob: Actor, confirm: Confirm
) -> None:
    await confirm(alice)
    await confirm(bob)
    asked = (await client.post("/users/me/passkeys/options")).json()
    other = (await client.post("/users/me/passkeys/options")).json()
    body = {"challenge": asked["challenge"], "credential": Authenticator().create(asked["options"]), "name": "Phone"}

    crossed = await client.post("/users/me/passkeys", json={**body, "challenge": other["challenge"]})
    assert crossed.status_code == 422, "another challenge"
    assert (await client.post("/users/me/passkeys", json={**body, "challenge": "made up"})).status_code == 409
    with clock.frozen(NOW + LIFETIME):
        assert (await client.post("/users/me/passkeys", json=body)).status_code == 409, "too late"
    assert (await client.post("/users/me/passkeys", json=body)).status_code == 201
    assert (await client.post("/users/me/passkeys", json=body)).status_code == 409, "used up"

    asked = (await client.post("/users/me/passkeys/options")).json()
    body = {"challenge": asked["challenge"], "credential": Authenticator().create(asked["options"]), "name": "Phone"}
    assert (await client_of(bob).post("/users/me/passkeys", json=body)).status_code == 409, "somebody else’s"


async def test_adding_and_removing_need_a_fresh_confirmation(
    client: AsyncClient, alice: Actor, device: Authenticator
) -> None:
    (listed,) = (await client.get("/users/me/passkeys")).json()["items"]
    asked = (await client.post("/users/me/passkeys/options")).json()
    made = Authenticator().create(asked["options"])

    with clock.frozen(NOW + sessions.CONFIRMED_FOR + timedelta(seconds=1)):
        refused = [
            await client.post("/users/me/passkeys/options"),
            await client.post(
                "/users/me/passkeys", json={"challenge": asked["challenge"], "credential": made, "name": "Phone"}
            ),
            await client.delete(f"/users/me/passkeys/{listed['id']}"),
        ]

    assert [response.json()["code"] for response in refused] == ["confirmation_needed"] * 3


async def test_the_only_way_in_is_not_removed(
    session: AsyncSession, client: AsyncClient, alice: Actor, device: Authenticator
) -> None:
    (await session.get_one(User, alice.user_id)).hashed_password = passwords.UNUSABLE
    await session.commit()
    first, second = Authenticator(), Authenticator()
    (listed,) = (await client.get("/users/me/passkeys")).json()["items"]

    refused = await client.delete(f"/users/me/passkeys/{listed['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "last_way_in")
    assert len((await client.get("/users/me/passkeys")).json()["items"]) == 1

    for another in (first, second):
        assert (await add(client, another)).status_code == 201
    assert (await client.delete(f"/users/me/passkeys/{listed['id']}")).status_code == 204


# Signing in


async def test_a_passkey_signs_in_without_an_address_and_without_a_code(
    session: AsyncSession, nobody: AsyncClient, alice: Actor, device: Authenticator, set_up: SetUp
) -> None:
    await set_up(alice)

    response = await sign_in(nobody, device)

    assert response.status_code == 200, response.text
    assert COOKIE in response.cookies
    headers = {"Authorization": f"Bearer {response.json()['access_token']}"}
    nobody.cookies.clear()
    assert (await nobody.get("/users/me", headers=headers)).json()["email"] == alice.email
    assert [entry.after for entry in await audited(session, "auth:login")] == [{"way": "passkey"}]


async def test_the_address_of_the_instance_is_the_operators(
    client: AsyncClient, alice: Actor, confirm: Confirm, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "base_url", HttpUrl("https://larder.example:8443/"))
    await confirm(alice)

    assert (await add(client, Authenticator())).status_code == 422
    assert (await add(client, Authenticator(origin="https://larder.example:8443"))).status_code == 201


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:8080"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": 0},
        {"id": b"another passkey"},
        {"user_handle": b"somebody else"},
        {"user_handle": b""},
    ],
    ids=str,
)
async def test_what_is_not_quite_right_does_not(
    nobody: AsyncClient, device: Authenticator, wrong: dict[str, Any]
) -> None:
    for name, value in wrong.items():
        setattr(device, name, value)

    response = await sign_in(nobody, device)

    assert (response.status_code, response.json()["code"]) == (401, "bad_credentials")
    assert COOKIE not in response.cookies


async def test_a_key_of_ones_own_does_not_open_somebody_elses_account(
    nobody: AsyncClient, client_of: ClientOf, bob: Actor, confirm: Confirm, device: Authenticator
) -> None:
    await confirm(bob)
    bobs = Authenticator()
    assert (await add(client_of(bob), bobs)).status_code == 201

    bobs.user_handle = device.user_handle
    assert (await sign_in(nobody, bobs)).status_code == 401, "bob’s passkey that says it is alice’s"
    bobs.id = device.id
    assert (await sign_in(nobody, bobs)).status_code == 401, "bob’s key under the name of alice’s passkey"


async def test_it_answers_one_challenge_once(nobody: AsyncClient, device: Authenticator) -> None:
    asked, other = await ask(nobody), await ask(nobody)
    shown = device.get(asked["options"])

    assert (await show(nobody, other, shown)).status_code == 401, "another challenge"
    assert (await show(nobody, {"challenge": "made up"}, shown)).status_code == 401
    assert (await show(nobody, asked, shown)).status_code == 200
    nobody.cookies.clear()
    assert (await show(nobody, asked, shown)).status_code == 401, "replayed"
    again = device.get(other["options"])
    assert (await show(nobody, other, again)).status_code == 401, "a wrong answer ends it too"


async def test_a_challenge_is_good_for_ten_minutes(nobody: AsyncClient, device: Authenticator) -> None:
    asked = await ask(nobody)

    with clock.frozen(NOW + LIFETIME):
        assert (await show(nobody, asked, device.get(asked["options"]))).status_code == 401


async def test_a_challenge_for_adding_does_not_sign_in(
    client: AsyncClient, nobody: AsyncClient, device: Authenticator
) -> None:
    asked = (await client.post("/users/me/passkeys/options")).json()

    assert (await show(nobody, asked, device.get(asked["options"]))).status_code == 401


async def test_a_copy_of_a_passkey_lets_nobody_in_and_its_owner_hears_of_it(
    session: AsyncSession, nobody: AsyncClient, alice: Actor, device: Authenticator
) -> None:
    thief = copy.copy(device)
    assert (await sign_in(nobody, device)).status_code == 200
    nobody.cookies.clear()

    assert (await sign_in(nobody, thief)).status_code == 401

    assert "passkey_copied" in await notices_to(session, alice)
    assert [entry.subject_id for entry in await audited(session, "auth:passkey_copied")] == [str(alice.user_id)]


async def test_passkeys_that_do_not_count_are_as_good(
    client: AsyncClient, nobody: AsyncClient, alice: Actor, confirm: Confirm
) -> None:
    await confirm(alice)
    device = Authenticator(counts=False)
    assert (await add(client, device)).status_code == 201

    for _index in range(2):
        assert (await sign_in(nobody, device)).status_code == 200
        nobody.cookies.clear()


async def test_one_of_somebody_disabled_does_not(
    session: AsyncSession, nobody: AsyncClient, alice: Actor, device: Authenticator
) -> None:
    (await session.get_one(User, alice.user_id)).is_active = False
    await session.commit()

    assert (await sign_in(nobody, device)).status_code == 401


async def test_removed_it_does_not(client: AsyncClient, nobody: AsyncClient, device: Authenticator) -> None:
    (listed,) = (await client.get("/users/me/passkeys")).json()["items"]
    await client.delete(f"/users/me/passkeys/{listed['id']}")

    assert (await sign_in(nobody, device)).status_code == 401


# Confirming


async def test_a_passkey_shows_that_it_is_still_you(
    client: AsyncClient, client_of: ClientOf, bob: Actor, device: Authenticator, nobody: AsyncClient
) -> None:
    with clock.frozen(NOW + timedelta(hours=1)):
        assert (await client.post("/users/me/passkeys/options")).status_code == 403
        asked = await ask(nobody)
        body = {"challenge": asked["challenge"], "credential": device.get(asked["options"])}
        somebody_else = await client_of(bob).post("/users/me/confirm/passkey", json=body)
        assert (somebody_else.status_code, somebody_else.json()["errors"][0]["field"]) == (422, "credential")

        asked = await ask(nobody)
        body = {"challenge": asked["challenge"], "credential": device.get(asked["options"])}
        assert (await client.post("/users/me/confirm/passkey", json=body)).status_code == 204
        assert (await client.post("/users/me/passkeys/options")).status_code == 200


# Bad input


def _broken(credential: dict[str, Any]) -> list[Any]:
    """Everything that is nearly one."""
    response = credential["response"]
    return [
        {},
        {"id": 1},
        {"id": None, "response": []},
        {**credential, "id": ["a"]},
        {**credential, "id": "é"},
        {**credential, "rawId": "AAAA"},
        {**credential, "rawId": 1},
        {**credential, "type": "password"},
        {**credential, "type": None},
        {**credential, "response": None},
        {**credential, "response": "text"},
        {**credential, "response": {}},
        *({**credential, "response": {**response, name: wrong}} for name in response for wrong in _WRONG),
        *({**credential, "response": {n: v for n, v in response.items() if n != name}} for name in response),
    ]


_WRONG: list[Any] = [None, 1, [], {}, "", "A", "é", "%%%%", "AAAA", "e30", "W10", "bnVsbA", "oA", "_" * 3000]


async def test_no_credential_is_too_broken_to_be_refused(
    client: AsyncClient, nobody: AsyncClient, alice: Actor, device: Authenticator, confirm: Confirm
) -> None:
    shown = device.get((await ask(nobody))["options"])
    made = device.create((await client.post("/users/me/passkeys/options")).json()["options"])

    for broken in _broken(shown):
        response = await show(nobody, await ask(nobody), broken)
        assert response.status_code in {401, 422}, (broken, response.text)
    for broken in _broken(made):
        asked = (await client.post("/users/me/passkeys/options")).json()
        body = {"challenge": asked["challenge"], "credential": broken, "name": "Phone"}
        response = await client.post("/users/me/passkeys", json=body)
        assert response.status_code == 422, (broken, response.text)


@pytest.mark.parametrize("body", [None, [], "text", {}, {"challenge": "a"}, {"challenge": 1, "credential": {}}])
async def test_no_body_is_too_strange_to_be_refused(nobody: AsyncClient, body: Any) -> None:
    assert (await nobody.post("/auth/login/passkey", json=body)).status_code == 422


async def test_flipped_bits_never_let_in_and_never_break_anything(
    session: AsyncSession, alice: Actor, client: AsyncClient, device: Authenticator
) -> None:
    chance = random.Random(4)
    party = passkeys.RelyingParty(id="localhost", origin="http://localhost")
    for _index in range(150):
        asked = await passkeys.begin_sign_in(session, party)
        shown = device.get(asked.options)
        name = chance.choice(["clientDataJSON", "authenticatorData", "signature"])
        shown["response"][name] = _flipped(shown["response"][name], chance)
        answer = PasskeyAnswer(challenge=asked.challenge, credential=shown)
        assert await passkeys.sign_in(session, answer, party) is None

    for _index in range(150):
        asked = await passkeys.begin_adding(session, alice, party)
        made = Authenticator().create(asked.options)
        made["response"]["attestationObject"] = _flipped(made["response"]["attestationObject"], chance)
        body = {"challenge": asked.challenge, "credential": made, "name": "Phone"}
        with suppress(InvalidInput):  # a key that was not signed for may be another one
            await session.delete(await passkeys.add(session, alice, PasskeyAdd.model_validate(body), party))


def _flipped(text: str, chance: random.Random) -> str:
    data = bytearray(base64url_to_bytes(text))
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes_to_base64url(bytes(data))
