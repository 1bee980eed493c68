"""Chats over the API: who is let in, what is refused, and what staff leaves behind by looking."""

import base64
import json
from datetime import timedelta
from fnmatch import fnmatch
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from auth import COOKIE
from models import AuditEntry, Chat, DataScope, Outbox, Role, User
from services import api_keys, chats, households, sessions
from services.core import clock
from services.permissions import ROLE_PERMISSIONS, Actor
from services.schemas.accounts import ApiKeyCreate, Scope
from services.schemas.chats import ChatCreate
from services.seeds import panel
from tests.conftest import CHAT, CHAT_NEXT_DOOR, HOUSEHOLD, NEXT_DOOR, NOW, NOWHERE, ClientOf
from tests.factories import make_account, make_message, make_role

CHATS = f"/households/{HOUSEHOLD}/chats"


async def make(session: AsyncSession, actor: Actor, title: str, *members: Actor) -> UUID:
    chosen = [member.user_id for member in members] if members else None
    made = await chats.create_chat(session, actor, ChatCreate(title=title, member_ids=chosen))
    await session.commit()
    return made.id


async def entries(session: AsyncSession) -> list[tuple[str, str, str]]:
    found = await session.scalars(
        select(AuditEntry)
        .where(col(AuditEntry.subject_type) == "chat", col(AuditEntry.household_id) == HOUSEHOLD)
        .order_by(col(AuditEntry.id))
    )
    return [(entry.action, entry.actor_name, entry.subject_id) for entry in found]


# What works


async def test_a_chat_is_made_renamed_archived_and_deleted(client: AsyncClient, alice: Actor) -> None:
    made = await client.post(CHATS, json={"title": " Shopping "})
    assert made.status_code == 201
    chat = made.json()
    assert chat == {
        "id": chat["id"],
        "title": "Shopping",
        "is_for_all": True,
        "owner": {"id": str(alice.user_id), "name": "Alice", "avatar_url": None},
        "members": [],
        "tells_stock": False,
        "archived_at": None,
        "created_at": "2026-11-22T10:30:00Z",
        "updated_at": "2026-11-22T10:30:00Z",
        "unread": 0,
        "last_message": None,
        "read_seq": 0,
    }
    own = f"{CHATS}/{chat['id']}"

    with clock.frozen(NOW + timedelta(hours=1)):
        edited = await client.patch(own, json={"title": "Market", "tells_stock": True, "is_archived": True})
    assert edited.status_code == 200
    assert edited.json()["updated_at"] == edited.json()["archived_at"] == "2026-11-22T11:30:00Z"
    assert edited.json() == (await client.get(own)).json()
    assert [one["title"] for one in (await client.get(CHATS)).json()["items"]] == ["Everyone"]
    shown = await client.get(CHATS, params={"archived": "true"})
    assert [one["title"] for one in shown.json()["items"]] == ["Market", "Everyone"]

    assert (await client.delete(own)).status_code == 204
    assert (await client.get(own)).status_code == 404
    assert (await client.delete(own)).status_code == 404


async def test_reading_moves_the_marker_and_the_count(
    session: AsyncSession, client: AsyncClient, bob: Actor, alice: Actor
) -> None:
    first, last = [await make_message(session, CHAT, bob, content) for content in ("First", "Last")]
    await session.commit()
    assert (await client.get(f"{CHATS}/unread-count")).json() == {"count": 2}
    (chat,) = (await client.get(CHATS)).json()["items"]
    assert chat["unread"] == 2
    assert chat["last_message"] == {
        "id": str(last.id),
        "seq": 2,
        "kind": "text",
        "author": {"id": str(bob.user_id), "name": "Bob", "avatar_url": None},
        "content": "Last",
        "attachments": 0,
        "created_at": "2026-11-22T10:30:00Z",
    }

    for message, count in ((first, 1), (last, 0), (first, 0)):
        answer = await client.post(f"{CHATS}/{CHAT}/read", json={"message_id": str(message.id)})
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.get(f"{CHATS}/unread-count")).json() == {"count": count}

    words = await session.scalars(select(Outbox).where(Outbox.kind == "chat.read").order_by(col(Outbox.id)))
    said = {"chat_id": str(CHAT), "user_id": str(alice.user_id)}
    assert [word.data for word in words] == [{**said, "seq": 1}, {**said, "seq": 2}]


async def test_a_repeated_request_makes_one_chat(session: AsyncSession, client: AsyncClient) -> None:
    answers = [
        await client.post(CHATS, json={"title": "Shopping"}, headers={"Idempotency-Key": "tap"}) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


async def test_an_id_is_the_same_in_capitals(client: AsyncClient) -> None:
    """Chat D10: in capitals it was another key, on which nothing was ever heard."""
    assert (await client.get(f"{CHATS}/{str(CHAT).upper()}")).json()["id"] == str(CHAT)


async def test_pages_go_on_where_the_last_one_ended(session: AsyncSession, client: AsyncClient, alice: Actor) -> None:
    for number in range(4):
        await make(session, alice, f"Chat {number}")

    first = (await client.get(CHATS, params={"limit": 2, "total": "true"})).json()
    second = (await client.get(CHATS, params={"limit": 2, "after": first["next"]})).json()

    assert first["total"] == 5
    seen = [chat["title"] for page in (first, second) for chat in page["items"]]
    assert seen == ["Chat 3", "Chat 2", "Chat 1", "Chat 0"]


# Who is not let in


DOORS = [
    ("GET", "", None),
    ("PATCH", "", {"title": "Mine"}),
    ("DELETE", "", None),
    ("POST", "/read", {"message_id": str(uuid4())}),
]


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
async def test_nobody_reads_or_deletes_a_chat_without_signing_in(
    method: str, path: str, body: dict[str, str] | None, session: AsyncSession, client_of: ClientOf
) -> None:
    """Chat D2: reading a chat, deleting it, and reading all that was said in it needed no login."""
    response = await client_of(None).request(method, f"{CHATS}/{CHAT}{path}", json=body)

    assert response.status_code == 401
    assert await session.get(Chat, CHAT) is not None


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
async def test_to_a_stranger_a_chat_is_not_there(
    method: str, path: str, body: dict[str, str] | None, client_of: ClientOf, charlie: Actor, alice: Actor
) -> None:
    """Chat D2, D3, D4: whoever was signed in could do all of that with any chat."""
    for address in (f"{CHATS}/{CHAT}", f"/households/{NEXT_DOOR}/chats/{CHAT}"):
        response = await client_of(charlie).request(method, f"{address}{path}", json=body)
        assert response.status_code == 404
    response = await client_of(alice).request(method, f"{CHATS}/{CHAT_NEXT_DOOR}{path}", json=body)
    assert response.json()["detail"] == "There is no such chat."


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
async def test_nor_is_it_to_a_member_who_was_not_chosen(
    method: str,
    path: str,
    body: dict[str, str] | None,
    session: AsyncSession,
    client_of: ClientOf,
    alice: Actor,
    bob: Actor,
    vera: Actor,
) -> None:
    chat_id = await make(session, bob, "Surprise", vera)

    response = await client_of(alice).request(method, f"{CHATS}/{chat_id}{path}", json=body)

    assert response.status_code == 404
    assert "Surprise" not in (await client_of(alice).get(CHATS)).text


async def test_a_viewer_reads_and_makes_none(session: AsyncSession, client_of: ClientOf, vera: Actor) -> None:
    message = await make_message(session, CHAT, None)
    await session.commit()
    viewer = client_of(vera)

    assert (await viewer.get(f"{CHATS}/{CHAT}")).status_code == 200
    assert (await viewer.post(f"{CHATS}/{CHAT}/read", json={"message_id": str(message.id)})).status_code == 204
    for response in (
        await viewer.post(CHATS, json={"title": "Mine"}),
        await viewer.patch(f"{CHATS}/{CHAT}", json={"title": "Mine"}),
        await viewer.delete(f"{CHATS}/{CHAT}"),
    ):
        assert response.status_code == 403


async def test_a_member_changes_no_chat_of_others(client_of: ClientOf, bob: Actor, dora: Actor) -> None:
    assert (await client_of(bob).patch(f"{CHATS}/{CHAT}", json={"title": "Mine"})).status_code == 403
    assert (await client_of(bob).delete(f"{CHATS}/{CHAT}")).status_code == 403
    assert (await client_of(dora).patch(f"{CHATS}/{CHAT}", json={"title": "All of us"})).status_code == 200


async def test_who_leaves_is_cut_off_at_once(
    session: AsyncSession, client_of: ClientOf, alice: Actor, bob: Actor
) -> None:
    assert (await client_of(bob).get(f"{CHATS}/{CHAT}")).status_code == 200
    await households.remove_member(session, alice, bob.user_id)
    await session.commit()

    for path in ("", f"/{CHAT}", "/unread-count"):
        assert (await client_of(bob).get(f"{CHATS}{path}")).status_code == 404


# What is refused


LONG = "x" * 256


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({"title": None}, "title"),
        ({"title": ""}, "title"),
        ({"title": " \t "}, "title"),
        ({"title": "\u200b\u2060\u3164"}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"title": "a\u202eb"}, "title"),
        ({"title": "a\ud800"}, "title"),
        ({"title": LONG}, "title"),
        ({"title": "\ufdfa" * 255}, "title"),
        ({"title": 7}, "title"),
        ({"title": "A", "member_ids": "everybody"}, "member_ids"),
        ({"title": "A", "member_ids": ["nobody"]}, "member_ids.0"),
        ({"title": "A", "member_ids": [str(uuid4())]}, "member_ids"),
        ({"title": "A", "member_ids": [str(uuid4())] * 1001}, "member_ids"),
        ({"title": "A", "tells_stock": "perhaps"}, "tells_stock"),
    ],
)
async def test_what_makes_no_sense_is_refused(body: dict[str, object], field: str, client: AsyncClient) -> None:
    # The client's own JSON has no words for half a character.
    response = await client.post(CHATS, content=json.dumps(body), headers={"Content-Type": "application/json"})

    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize("title", ["x" * 255, "🧀" * 255, "ß" * 255])
async def test_as_long_a_title_as_there_may_be(title: str, client: AsyncClient) -> None:
    made = await client.post(CHATS, json={"title": title})

    assert made.status_code == 201
    assert made.json()["title"] == title
    assert (await client.post(CHATS, json={"title": f" {title}"})).status_code == 409


@pytest.mark.parametrize("path", ["/nothing", "/00000000", f"/{NOWHERE}"])
async def test_what_is_no_chat(path: str, client: AsyncClient) -> None:
    assert (await client.get(f"{CHATS}{path}")).status_code in {404, 422}


@pytest.mark.parametrize("cursor", ["x", "WyIyMDI2LTExLTIyIiwgIngiXQ", "WyIyMDI2LTExLTIyIl0", "bnVsbA"])
async def test_a_cursor_of_something_else_is_refused(cursor: str, client: AsyncClient) -> None:
    assert (await client.get(CHATS, params={"after": cursor})).status_code == 422


async def test_a_moment_without_a_zone_is_no_cursor(client: AsyncClient) -> None:
    naive = base64.urlsafe_b64encode(json.dumps(["2026-11-22T10:30:00", str(CHAT)]).encode()).decode()

    assert (await client.get(CHATS, params={"after": naive})).status_code == 422


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_a_moment_outside_of_all_time_is_no_cursor(moment: str, client: AsyncClient) -> None:
    outside = base64.urlsafe_b64encode(json.dumps([moment, str(CHAT)]).encode()).decode()

    assert (await client.get(CHATS, params={"after": outside})).status_code == 422


async def test_a_title_that_is_taken(client: AsyncClient) -> None:
    refused = await client.post(CHATS, json={"title": "everyone"})

    assert (refused.status_code, refused.json()["code"]) == (409, "duplicate")


@pytest.mark.parametrize("message_id", ["", "7", None, str(NOWHERE)])
async def test_what_is_no_message_is_not_read(message_id: str | None, client: AsyncClient) -> None:
    response = await client.post(f"{CHATS}/{CHAT}/read", json={"message_id": message_id})

    assert response.status_code == (404 if message_id and len(message_id) == 36 else 422)


# Staff


async def test_staff_without_a_role_that_says_so_reads_nothing(
    session: AsyncSession, client_of: ClientOf, tess: Actor, sam: Actor
) -> None:
    await make_role(session, holder=tess, permissions=["stock:list", "panel.household:list"])
    await session.commit()

    for staff in (tess, sam):
        for path in ("", f"/{CHAT}", "/unread-count"):
            assert (await client_of(staff).get(f"{CHATS}{path}")).status_code == 404
    assert await entries(session) == []


@pytest.mark.parametrize("role", panel.ROLES, ids=lambda role: role.code)
def test_no_role_that_an_instance_begins_with_says_so(role: panel.Role) -> None:
    talk = [name for name in ROLE_PERMISSIONS[Role.OWNER] if name.startswith(("chats:", "messages:", "files:"))]

    assert [name for name in talk for granted in role.permissions if fnmatch(name, granted)] == []


async def test_what_staff_reads_is_written_down(
    session: AsyncSession, client_of: ClientOf, tess: Actor, bob: Actor, vera: Actor, alice: Actor
) -> None:
    surprise = await make(session, bob, "Surprise", vera)
    await make_role(
        session,
        holder=tess,
        permissions=["chats:list", "chats:detail"],
        data_scope=DataScope.HOUSEHOLDS,
        households=[HOUSEHOLD],
    )
    await session.commit()
    before = await entries(session)
    staff = client_of(tess)

    listed = await staff.get(CHATS)
    shown = await staff.get(f"{CHATS}/{surprise}")

    assert [chat["title"] for chat in listed.json()["items"]] == ["Surprise", "Everyone"]
    assert shown.json()["title"] == "Surprise"
    assert (await entries(session))[len(before) :] == [
        ("chats:list", "Tess", ""),
        ("chats:detail", "Tess", str(surprise)),
    ]
    assert (await staff.get(f"/households/{NEXT_DOOR}/chats")).status_code == 404
    log = (await client_of(alice).get(f"/households/{HOUSEHOLD}/audit")).json()["items"]
    assert [entry["action"] for entry in log[:2]] == ["chats:detail", "chats:list"]
    assert "Surprise" not in str(log)


async def test_what_members_read_is_not(session: AsyncSession, client: AsyncClient) -> None:
    await client.get(CHATS)
    await client.get(f"{CHATS}/{CHAT}")

    assert await entries(session) == []


async def test_no_role_lets_staff_do_more_than_read(session: AsyncSession, client_of: ClientOf, tess: Actor) -> None:
    message = await make_message(session, CHAT, None)
    granted = ["chats:create", "chats:edit", "chats:edit_others", "chats:delete", "chats:read", "chats:unread"]
    await make_role(session, holder=tess, permissions=granted)
    await session.commit()
    staff = client_of(tess)

    for response in (
        await staff.post(CHATS, json={"title": "Ours"}),
        await staff.patch(f"{CHATS}/{CHAT}", json={"title": "Ours"}),
        await staff.delete(f"{CHATS}/{CHAT}"),
        await staff.post(f"{CHATS}/{CHAT}/read", json={"message_id": str(message.id)}),
        await staff.get(f"{CHATS}/unread-count"),
    ):
        assert response.status_code == 403, response.text
    assert await entries(session) == []


async def test_staff_who_acts_as_a_member_sees_no_chats(
    session: AsyncSession, browser_of: ClientOf, alice: Actor, sam: Actor
) -> None:
    token = await sessions.start_acting(session, make_account(sam), await session.get_one(User, alice.user_id))
    await session.commit()
    acting = browser_of(None)
    acting.cookies.set(COOKIE, token)

    for path in ("", f"/{CHAT}", "/unread-count"):
        refused = await acting.get(f"/api/v1{CHATS}{path}")
        assert (refused.status_code, refused.json()["code"]) == (403, "not_while_acting")


# Machines


async def test_a_key_reads_chats_or_writes_them_as_it_was_made_for(
    session: AsyncSession, client_of: ClientOf, alice: Actor
) -> None:
    machines = {}
    for scope in (Scope.CHATS_READ, Scope.CHATS_WRITE, Scope.STOCK_READ):
        wanted = ApiKeyCreate(name="Script", scopes=frozenset({scope}))
        machines[scope] = client_of(None)
        key = (await api_keys.issue(session, alice.user_id, wanted, by=None)).key
        machines[scope].headers["Authorization"] = f"Bearer {key}"
    await session.commit()

    read = {scope: (await machine.get(CHATS)).status_code for scope, machine in machines.items()}
    written = {
        scope: (await machine.post(CHATS, json={"title": "Of a script"})).status_code
        for scope, machine in machines.items()
    }

    assert read == {Scope.CHATS_READ: 200, Scope.CHATS_WRITE: 403, Scope.STOCK_READ: 403}
    assert written == {Scope.CHATS_READ: 403, Scope.CHATS_WRITE: 201, Scope.STOCK_READ: 403}
