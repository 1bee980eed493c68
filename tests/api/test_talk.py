"""Messages over the API: what is sent, who may send it, and what nobody may."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from db import session_scope
from models import AuditEntry, FileKind, FilePurpose, FileState, LiveKind, Membership, Message, Outbox, Role, StoredFile
from services import chats
from services.permissions import Actor
from services.schemas.chats import ChatCreate, ChatUpdate
from tests.committing import committing_app, newcomer
from tests.conftest import CHAT, CHAT_NEXT_DOOR, HOUSEHOLD, NEXT_DOOR, NOWHERE, ClientOf
from tests.factories import make_message, make_role
from tests.servers import settings_for

TALK = f"/households/{HOUSEHOLD}/chats/{CHAT}/messages"
THUMB = "%F0%9F%91%8D"
AT_ONCE = 20


async def say(client: AsyncClient, content: str = "Bring milk", **more: Any) -> dict[str, Any]:
    response = await client.post(TALK, json={"content": content, **more})
    assert response.status_code == 201, response.text
    said: dict[str, Any] = response.json()
    return said


async def test_a_message_in_json(client: AsyncClient, alice: Actor) -> None:
    said = await say(client, "  Hello @Bob\r\n")

    assert said.keys() == {
        "id",
        "chat_id",
        "seq",
        "kind",
        "author",
        "content",
        "created_at",
        "edited_at",
        "deleted_at",
        "reply_to",
        "product",
        "lot",
        "mentions",
        "reactions",
        "attachments",
        "event",
    }
    assert said["content"] == "Hello @Bob"
    assert said["author"] == {"id": str(alice.user_id), "name": "Alice", "avatar_url": None}
    assert [person["name"] for person in said["mentions"]] == ["Bob"]
    assert said["created_at"].endswith(("Z", "+00:00"))
    assert (await client.get(TALK)).json() == {"items": [said], "next": None, "previous": None}
    assert (await client.get(TALK, params={"total": "true", "q": "hello"})).json()["total"] == 1


async def test_talk_is_for_those_who_are_signed_in(client_of: ClientOf) -> None:
    """chat D2: there, whoever asked could read it all."""
    nobody = client_of(None)

    for response in (
        await nobody.get(TALK),
        await nobody.post(TALK, json={"content": "x"}),
        await nobody.get(f"/households/{HOUSEHOLD}/messages"),
        await nobody.get("/users/me/messages"),
    ):
        assert response.status_code == 401


async def test_strangers_find_nothing(
    session: AsyncSession, client_of: ClientOf, client: AsyncClient, charlie: Actor
) -> None:
    """chat D2 and D3."""
    said = await say(client)
    next_door = await make_message(session, CHAT_NEXT_DOOR, charlie)
    await session.commit()
    stranger = client_of(charlie)
    one = f"{TALK}/{said['id']}"

    for method, path in (
        ("GET", TALK),
        ("POST", TALK),
        ("PATCH", one),
        ("DELETE", one),
        ("PUT", f"{one}/reactions/{THUMB}"),
        ("DELETE", f"{one}/reactions/{THUMB}"),
        ("GET", f"/households/{HOUSEHOLD}/messages"),
        ("GET", f"/households/{NEXT_DOOR}/chats/{CHAT}/messages"),
        ("PATCH", f"/households/{NEXT_DOOR}/chats/{CHAT_NEXT_DOOR}/messages/{said['id']}"),
    ):
        body = {"content": "x"} if method in {"POST", "PATCH"} else None
        assert (await stranger.request(method, path, json=body)).status_code == 404, path
    assert (await client.patch(f"{TALK}/{next_door.id}", json={"content": "x"})).status_code == 404
    assert (await client.get(TALK, params={"around": str(next_door.id)})).status_code == 404


async def test_viewers_say_react_and_change_their_own(client_of: ClientOf, client: AsyncClient, vera: Actor) -> None:
    viewer = client_of(vera)
    own, other = await say(viewer), await say(client)

    reacted = await viewer.put(f"{TALK}/{other['id']}/reactions/{THUMB}")
    edited = await viewer.patch(f"{TALK}/{own['id']}", json={"content": "Bring oat milk"})
    deleted = await viewer.delete(f"{TALK}/{own['id']}")

    assert reacted.json()["reactions"] == [{"emoji": "👍", "user_ids": [str(vera.user_id)]}]
    assert (await viewer.delete(f"{TALK}/{other['id']}/reactions/{THUMB}")).json()["reactions"] == []
    assert edited.json()["content"] == "Bring oat milk"
    assert deleted.status_code == 204
    assert [message["content"] for message in (await client.get(TALK)).json()["items"]] == ["Bring milk", ""]


async def test_what_others_said_is_theirs(
    session: AsyncSession, client_of: ClientOf, client: AsyncClient, bob: Actor, vera: Actor, dora: Actor
) -> None:
    said = await say(client)
    for actor in (bob, vera):
        other = client_of(actor)
        assert (await other.patch(f"{TALK}/{said['id']}", json={"content": "x"})).status_code == 403
        assert (await other.delete(f"{TALK}/{said['id']}")).status_code == 403
    assert (await client_of(dora).patch(f"{TALK}/{said['id']}", json={"content": "x"})).status_code == 403

    assert (await client_of(dora).delete(f"{TALK}/{said['id']}")).status_code == 204

    (entry,) = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "messages:delete"))).all()
    assert (entry.actor_name, entry.subject_id) == ("Dora", said["id"])
    # What it said is nobody's business but that of those who were in the chat.
    assert "milk" not in json.dumps([entry.subject_name, entry.before, entry.after])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "   ",
        "\u200b",
        "\u200b\u200d\u2060\ufeff\u00ad",
        "\u3164",
        "a\0b",
        "a\u202eb",
        "a\u0007",
        "x" * 4097,
        "😀" * 4097,
        None,
        5,
        ["x"],
        {"a": 1},
    ],
)
async def test_what_is_no_message_is_refused(client: AsyncClient, content: object) -> None:
    made = await client.post(TALK, json={"content": content})
    said = await say(client)
    edited = await client.patch(f"{TALK}/{said['id']}", json={"content": content})

    for response in (made, edited):
        assert response.status_code == 422
        assert {error["field"] for error in response.json()["errors"]} == {"content"}


@pytest.mark.parametrize("body", [b'{"content": "\\ud800"}', b'{"content": "\xff"}', b"{", b"[]", b"null", b""])
async def test_bodies_that_cannot_be_read_are_refused(client: AsyncClient, body: bytes) -> None:
    response = await client.post(TALK, content=body, headers={"Content-Type": "application/json"})

    assert response.status_code in {400, 422}


@pytest.mark.parametrize("content", ["x" * 4096, "😀" * 4096, f"  {'x' * 4096}\n", "a\n\n\tb", "e\u0301"])
async def test_what_fits_is_kept_as_it_is_read(client: AsyncClient, content: str) -> None:
    said = await say(client, content)

    assert len(said["content"]) <= 4096
    assert (await client.get(TALK)).json()["items"][0]["content"] == said["content"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reply_to_id", "x"),
        ("reply_to_id", str(NOWHERE)),
        ("lot_id", str(NOWHERE)),
        ("product_id", str(NOWHERE)),
        ("attachment_ids", [str(uuid4())]),
        ("attachment_ids", [str(uuid4()) for _ in range(11)]),
        ("attachment_ids", "x"),
    ],
)
async def test_what_is_not_there_is_not_sent_along(client: AsyncClient, field: str, value: object) -> None:
    response = await client.post(TALK, json={"content": "x", field: value})

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "path",
    [
        f"{TALK}?after=x",
        f"{TALK}?around=x",
        f"{TALK}?limit=0",
        f"{TALK}?limit=201",
        f"{TALK}?q=%00",
        f"{TALK}?q=",
        f"/households/{HOUSEHOLD}/messages?q={'x' * 101}",
        f"/households/{HOUSEHOLD}/messages?after=WyI1Il0",
    ],
)
async def test_questions_that_make_no_sense_are_refused(client: AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 422


@pytest.mark.parametrize("emoji", ["a", "%3Cb%3E", "%F0%9F%91%8D%F0%9F%91%8D", "%ED%A0%80", "%00", "1"])
async def test_no_reaction_but_an_emoji(client: AsyncClient, emoji: str) -> None:
    said = await say(client)

    assert (await client.put(f"{TALK}/{said['id']}/reactions/{emoji}")).status_code == 422


async def test_talking_too_often_is_refused_for_a_while(client: AsyncClient) -> None:
    for _again in range(120):
        await say(client)

    response = await client.post(TALK, json={"content": "more"})

    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) >= 1


async def test_one_key_says_it_once(client: AsyncClient) -> None:
    key = {"Idempotency-Key": "tap"}
    first = await client.post(TALK, json={"content": "Once"}, headers=key)
    again = await client.post(TALK, json={"content": "Once"}, headers=key)
    other = await client.post(TALK, json={"content": "Another"}, headers=key)

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert first.text == again.text
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len((await client.get(TALK)).json()["items"]) == 1


async def test_a_search_over_all_chats_says_where(session: AsyncSession, client: AsyncClient, alice: Actor) -> None:
    other = await chats.create_chat(session, alice, ChatCreate(title="Shopping"))
    await make_message(session, other.id, alice, "Oat milk")
    await session.commit()
    await say(client)

    found = (await client.get(f"/households/{HOUSEHOLD}/messages", params={"q": "MILK"})).json()

    assert [(item["content"], item["chat"]["title"]) for item in found["items"]] == [
        ("Bring milk", "Everyone"),
        ("Oat milk", "Shopping"),
    ]


async def test_with_a_chat_goes_all_that_was_said_in_it(
    session: AsyncSession, client: AsyncClient, alice: Actor
) -> None:
    """chat D30: there, messages stayed behind and could still be read."""
    other = await chats.create_chat(session, alice, ChatCreate(title="Shopping"))
    said = await make_message(session, other.id, alice, "@Bob oat milk")
    await session.commit()
    path = f"/households/{HOUSEHOLD}/chats/{other.id}"

    assert (await client.delete(path)).status_code == 204

    assert (await client.get(f"{path}/messages")).status_code == 404
    assert (await client.get(f"/households/{HOUSEHOLD}/messages", params={"q": "oat"})).json()["items"] == []
    assert (await client.get("/users/me/messages")).json() == []
    assert (await session.scalars(select(Message.id).where(Message.id == said.id))).all() == []


async def test_one_takes_ones_own_messages_along_as_a_file(
    client_of: ClientOf, client: AsyncClient, bob: Actor
) -> None:
    said = await say(client, "ünï")
    await say(client_of(bob), "not hers")

    response = await client.get("/users/me/messages")

    assert response.headers["content-disposition"] == 'attachment; filename="larder-messages-2026-11-22.json"'
    assert response.headers["content-type"] == "application/json"
    assert response.json() == [
        {
            "id": said["id"],
            "household_id": str(HOUSEHOLD),
            "household": "Home",
            "chat_id": str(CHAT),
            "chat": "Everyone",
            "content": "ünï",
            "created_at": said["created_at"],
            "edited_at": None,
            "attachments": [],
        }
    ]


async def test_who_has_left_takes_what_they_said_along_and_no_names(
    session: AsyncSession, client_of: ClientOf, client: AsyncClient, bob: Actor
) -> None:
    said = await say(client_of(bob))
    assert (await client.delete(f"/households/{HOUSEHOLD}/members/{bob.user_id}")).status_code == 204

    (taken,) = (await client_of(bob).get("/users/me/messages")).json()

    assert (taken["id"], taken["household"], taken["chat"]) == (said["id"], None, None)
    assert (await client_of(bob).get(TALK)).status_code == 404
    assert (await client.get(TALK)).json()["items"][0]["author"]["name"] == "Bob"


async def test_staff_reads_talk_by_a_role_that_says_so_and_says_nothing(
    session: AsyncSession, client_of: ClientOf, client: AsyncClient, tess: Actor
) -> None:
    await say(client)
    staff = client_of(tess)
    assert (await staff.get(TALK)).status_code == 404
    await make_role(session, holder=tess, permissions=["messages:list", "messages:create"])
    await session.commit()

    assert (await staff.get(TALK)).status_code == 200
    assert (await staff.post(TALK, json={"content": "x"})).status_code == 403

    session.expire_all()
    (entry,) = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "messages:list"))).all()
    assert (entry.actor_name, entry.household_id) == ("Tess", HOUSEHOLD)


async def test_what_happens_to_stock_is_said_in_one_message_a_basket(
    session: AsyncSession, client: AsyncClient, alice: Actor
) -> None:
    await chats.edit_chat(session, alice, CHAT, ChatUpdate(tells_stock=True))
    await session.commit()
    items = [{"product": {"name": f"Thing {number}"}} for number in range(20)]

    await client.post(f"/households/{HOUSEHOLD}/lots/bulk", json={"items": [*items, {"quantity": "x"}]})

    (said,) = (await client.get(TALK)).json()["items"]
    assert (said["kind"], said["content"], said["event"]["count"]) == ("system", "Alice: 20 things added", 20)
    words = select(Outbox.kind).where(Outbox.subject_id == UUID(said["id"]))
    assert (await session.scalars(words)).all() == [LiveKind.CHAT_MESSAGE]


# Many at once, on connections that commit


@pytest_asyncio.fixture
async def committing(url: str) -> AsyncIterator[FastAPI]:
    # Counting would let those of one member go one after the other.
    config = settings_for(url).model_copy(update={"guard_enabled": False})
    async with committing_app(config) as app:
        yield app


@pytest_asyncio.fixture
async def ann(committing: FastAPI) -> AsyncIterator[AsyncClient]:
    """In her first chat."""
    async with newcomer(committing) as client:
        (chat,) = (await client.get("chats")).json()["items"]
        client.headers["X-Chat"] = chat["id"]
        yield client


async def test_twenty_who_talk_at_once_are_numbered_one_after_the_other(ann: AsyncClient) -> None:
    """chat D24: the database decides, not a look before."""
    path = f"chats/{ann.headers['X-Chat']}/messages"
    answers = await asyncio.gather(*(ann.post(path, json={"content": str(n)}) for n in range(AT_ONCE)))

    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["seq"] for answer in answers) == list(range(1, AT_ONCE + 1))
    async with session_scope(read_only=True) as session:
        ids = {answer.json()["seq"]: UUID(answer.json()["id"]) for answer in answers}
        told = (
            await session.scalars(
                select(Outbox.subject_id)
                .where(Outbox.kind == LiveKind.CHAT_MESSAGE, col(Outbox.subject_id).in_(ids.values()))
                .order_by(col(Outbox.id))
            )
        ).all()
    # They are told in the order they are numbered in.
    assert list(told) == [ids[seq] for seq in sorted(ids)]


async def test_of_many_with_one_key_one_is_said_and_all_hear_the_same(ann: AsyncClient) -> None:
    path = f"chats/{ann.headers['X-Chat']}/messages"
    key = {"Idempotency-Key": "tap"}

    answers = await asyncio.gather(*(ann.post(path, json={"content": "Once"}, headers=key) for _ in range(AT_ONCE)))

    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert len((await ann.get(path)).json()["items"]) == 1


async def test_talk_and_bookings_at_once_do_not_wait_for_each_other_for_ever(ann: AsyncClient) -> None:
    path = f"chats/{ann.headers['X-Chat']}"
    assert (await ann.patch(path, json={"tells_stock": True})).status_code == 200
    other = await ann.post("chats", json={"title": "Other", "tells_stock": True})
    lot = (await ann.post("lots", json={"product": {"name": "Milk"}, "quantity": "100"})).json()["id"]

    answers = await asyncio.gather(
        *(ann.post(f"{path}/messages", json={"content": "Talk"}) for _ in range(AT_ONCE)),
        *(ann.post(f"chats/{other.json()['id']}/messages", json={"content": "Talk"}) for _ in range(AT_ONCE)),
        *(ann.post(f"lots/{lot}/consume", json={"quantity": "1"}) for _ in range(AT_ONCE)),
    )

    assert {answer.status_code for answer in answers} == {200, 201}
    said = (await ann.get(f"{path}/messages", params={"limit": 200})).json()["items"]
    assert [message["seq"] for message in said] == list(range(2 * AT_ONCE + 1, 0, -1))


async def test_of_two_with_one_file_one_sends_it(ann: AsyncClient) -> None:
    async with session_scope() as session:
        member = (await session.scalars(select(Membership).where(Membership.household_id == _home(ann)))).one()
        assert member.role is Role.OWNER
        file = await _file(session, member)
    path = f"chats/{ann.headers['X-Chat']}/messages"

    answers = await asyncio.gather(*(ann.post(path, json={"attachment_ids": [str(file)]}) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 7


async def test_many_different_reactions_at_once_are_at_most_twenty(ann: AsyncClient) -> None:
    path = f"chats/{ann.headers['X-Chat']}/messages"
    said = (await ann.post(path, json={"content": "React"})).json()["id"]

    answers = await asyncio.gather(
        *(ann.put(f"{path}/{said}/reactions/{chr(0x1F600 + number)}") for number in range(30))
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 20 + [409] * 10
    async with session_scope(read_only=True) as session:
        assert (await session.get_one(Message, UUID(said))).seq == 1


def _home(client: AsyncClient) -> UUID:
    return UUID(str(client.base_url).rstrip("/").rpartition("/")[2])


async def _file(session: AsyncSession, member: Membership) -> UUID:
    file = StoredFile(
        household_id=member.household_id,
        uploader_id=member.user_id,
        purpose=FilePurpose.MESSAGE,
        state=FileState.READY,
        kind=FileKind.DOCUMENT,
        name="list.pdf",
        media_type="application/pdf",
        size=1,
        key=uuid4().hex,
        digest="",
    )
    session.add(file)
    await session.flush()
    return file.id
