"""Talk over real sockets: who hears it, in which order, what is replayed, and what is told without being kept.

"chat D5" and the like name the defects of the ancestor's live chat that are impossible here.
"""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import col, update
from websockets.exceptions import InvalidStatus

from auth import COOKIE
from db import session_scope
from models import Chat, LiveKind, Membership, Outbox, Role, TokenKind, User
from services import api_keys, outbox, sessions
from services.live import QUEUE, Ending, rooms
from services.live.rooms import MAX_CHATS
from services.schemas.accounts import ApiKeyCreate, Scope
from tests.live.conftest import PATIENCE, Person, Place, Socket, move_in, serving

LONG_AGO = {"action": "resume", "last_id": 0}


@pytest.fixture(autouse=True)
def _slow_typists(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the tests are, what they type twice is typed in the same moment."""
    monkeypatch.setattr(rooms, "TYPING_EVERY", 3600.0)


async def _heard(socket: Socket, times: int) -> list[dict[str, Any]]:
    return [await socket.hears("chat.message") for _ in range(times)]


async def _hears_last(socket: Socket, kind: str) -> dict[str, Any]:
    """The next frame of this type; others may come before."""
    while True:
        frame = await socket.next()
        if frame["type"] == kind:
            return frame


async def _last_id() -> int:
    async with session_scope(read_only=True) as session:
        return int((await session.execute(sa.select(sa.func.max(col(Outbox.id))))).scalar_one())


# Who hears it


async def test_a_message_is_heard_by_all_as_the_api_gives_it(alice: Person, bob: Person) -> None:
    chat = await alice.open_chat()
    async with alice.socket() as hers, bob.socket() as his:
        await alice.write(chat)

        seen, also_seen = await hers.hears("chat.message"), await his.hears("chat.message")
        listed = await bob.get(f"chats/{chat['id']}/messages")
        assert seen["data"] == also_seen["data"] == listed["items"][0]
        assert seen["household_id"] == str(alice.household_id)
        assert seen["id"] == also_seen["id"]


@pytest.mark.parametrize("way", ["bearer", "cookie", "ticket"])
async def test_whichever_way_one_is_let_in_one_hears_it(way: str, alice: Person, bob: Person) -> None:
    """Chat D1: a socket that a library's own request class refused."""
    chat = await alice.open_chat()
    query, options = "", {}
    if way == "cookie":
        options = {**bob.by_cookie, "origin": bob.place.http}
    elif way == "ticket":
        query, options = f"?ticket={(await bob.post('/ws/ticket'))['ticket']}", {"additional_headers": {}}

    async with bob.socket(query, **options) as socket:
        await alice.write(chat)
        await socket.hears("chat.message")


async def test_those_who_were_not_chosen_and_strangers_hear_nothing(
    place: Place, alice: Person, bob: Person, charlie: Person
) -> None:
    """Chat D4: whoever was signed in heard every chat."""
    vera = await move_in(place, "Vera", household_id=alice.household_id, role=Role.VIEWER)
    async with alice.socket() as hers, bob.socket() as his, vera.socket() as out, charlie.socket() as stranger:
        chat = await alice.open_chat(vera)
        message = await alice.write(chat)
        await vera.post(f"chats/{chat['id']}/read", {"message_id": message["id"]})
        await alice.send("PATCH", f"chats/{chat['id']}", {"title": "Secret"})
        await alice.send("DELETE", f"chats/{chat['id']}")

        for socket in (hers, out):
            assert (await _hears_last(socket, "chat.deleted"))["data"] == {"id": chat["id"]}
        for socket in (his, stranger):
            await socket.hears_nothing()
            await socket.send(LONG_AGO)
            await socket.hears_nothing()


async def test_a_viewer_hears_and_may_look_and_type(place: Place, alice: Person) -> None:
    vera = await move_in(place, "Vera", household_id=alice.household_id, role=Role.VIEWER)
    chat = await alice.open_chat()
    async with alice.socket() as hers, vera.socket() as socket:
        await hers.subscribe(chat)
        await socket.subscribe(chat)
        await socket.send({"action": "typing", "chat_id": chat["id"]})
        await hers.hears("chat.typing")

        await alice.write(chat)
        await socket.hears("chat.message")


async def test_whatever_happens_to_a_message_is_the_same_message_again(alice: Person, bob: Person) -> None:
    chat = await alice.open_chat()
    async with bob.socket() as socket:
        message = await alice.write(chat, "Milk?")
        path = f"chats/{chat['id']}/messages/{message['id']}"
        await alice.send("PATCH", path, {"content": "Oat milk?"})
        await bob.send("PUT", f"{path}/reactions/👍")
        await alice.send("DELETE", path)

        said, edited, liked, deleted = [frame["data"] for frame in await _heard(socket, 4)]
    assert {each["id"] for each in (said, edited, liked, deleted)} == {message["id"]}
    assert edited["content"] in {"Oat milk?", ""}  # as it is when it is handed out
    assert deleted["deleted_at"]
    assert deleted["content"] == ""


async def test_how_far_somebody_has_read_is_told_to_all_who_see_the_chat(alice: Person, bob: Person) -> None:
    chat = await alice.open_chat(bob)
    message = await alice.write(chat)
    async with alice.socket() as hers, bob.socket() as phone, bob.socket() as desk:
        await bob.post(f"chats/{chat['id']}/read", {"message_id": message["id"]})

        for socket in (hers, phone, desk):
            read = await socket.hears("chat.read")
            assert read["data"] == {"chat_id": chat["id"], "user_id": str(bob.user_id), "seq": message["seq"]}


async def test_what_becomes_of_a_chat_is_told_to_those_who_see_it(alice: Person, bob: Person) -> None:
    async with bob.socket() as socket:
        chat = await alice.open_chat(bob, title="Shoping")
        made = await socket.hears("chat.changed")
        await alice.send("PATCH", f"chats/{chat['id']}", {"title": "Shopping"})
        renamed = await socket.hears("chat.changed")
        await alice.send("PATCH", f"chats/{chat['id']}", {"is_archived": True})
        archived = await socket.hears("chat.changed")

    assert {frame["data"]["id"] for frame in (made, renamed, archived)} == {chat["id"]}
    assert renamed["data"]["title"] == "Shopping"
    assert archived["data"]["archived_at"]
    assert not {"unread", "read_seq", "last_message"} & made["data"].keys()


async def test_machines_and_staff_who_acts_hear_no_talk(alice: Person, bob: Person) -> None:
    chat = await alice.open_chat()
    await alice.write(chat)
    async with (
        bob.socket() as his,
        bob.socket(additional_headers=await _key(bob)) as machine,
        bob.socket(**await _acting_for(bob, by=alice)) as staff,
    ):
        await his.subscribe(chat)
        await alice.write(chat)
        await alice.send("PATCH", f"chats/{chat['id']}", {"title": "Cellar"})
        await his.hears("chat.message")
        for socket, code in ((machine, "insufficient_scope"), (staff, "not_while_acting")):
            await socket.hears_nothing()
            await socket.send(LONG_AGO)
            await socket.hears_nothing()
            for action, refusal in (("subscribe", code), ("typing", "not_found")):
                answer = await socket.answer_to({"action": action, "chat_id": chat["id"]})
                assert answer == {"type": "error", "code": refusal}

        lot = await alice.add()
        for socket in (machine, staff):
            assert (await socket.hears("lot.changed"))["data"]["id"] == lot["id"]


async def _key(person: Person) -> dict[str, str]:
    async with session_scope() as session:
        data = ApiKeyCreate(name="Script", scopes=frozenset({Scope.LIVE_LISTEN}))
        made = await api_keys.issue(session, person.user_id, data, by=None)
    return {"Authorization": f"Bearer {made.key}"}


async def _acting_for(person: Person, *, by: Person) -> dict[str, Any]:
    """The socket of staff who acts as them."""
    async with session_scope() as session:
        await session.execute(update(User).where(col(User.id) == by.user_id).values(is_superuser=True))
    async with session_scope() as session:
        found = await sessions.find(session, by.cookie, TokenKind.COOKIE)
        assert found is not None
        cookie = await sessions.start_acting(session, found.account, await session.get_one(User, person.user_id))
    return {"additional_headers": {"Cookie": f"{COOKIE}={cookie}"}, "origin": person.place.http}


# Order, and each once


async def test_two_hundred_members_each_hear_each_message_once_and_in_order(place: Place, alice: Person) -> None:
    chat = await alice.open_chat()
    members = [await move_in(place, f"Member {n}", household_id=alice.household_id) for n in range(200)]
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(member.socket()) for member in members]
        async with asyncio.TaskGroup() as group:
            for poster in (alice, *members[:3]):
                group.create_task(_write_often(poster, chat, 5))

        heard = await asyncio.gather(*(_heard(socket, 20) for socket in sockets))
        for socket, frames in zip(sockets, heard, strict=True):
            assert [frame["data"]["seq"] for frame in frames] == list(range(1, 21))
            await socket.hears_nothing()


async def test_of_twenty_who_write_at_once_the_order_of_words_is_that_of_numbers(place: Place, alice: Person) -> None:
    """Numbers are given under the chat's lock and words under the outbox's, both until the commit."""
    chat, other = await alice.open_chat(), await alice.open_chat(title="Cellar")
    writers = [await move_in(place, f"Writer {n}", household_id=alice.household_id) for n in range(20)]
    async with alice.socket() as socket:
        async with asyncio.TaskGroup() as group:
            for writer in writers:
                group.create_task(_write_often(writer, chat, 3))
                group.create_task(_write_often(writer, other, 1))
        frames = await _heard(socket, 80)

    assert [frame["id"] for frame in frames] == sorted({frame["id"] for frame in frames})
    for each, count in ((chat, 60), (other, 20)):
        seqs = [frame["data"]["seq"] for frame in frames if frame["data"]["chat_id"] == each["id"]]
        assert seqs == list(range(1, count + 1))


async def _write_often(person: Person, chat: dict[str, Any], times: int) -> None:
    for number in range(times):
        await person.write(chat, f"{person.user_id} says {number}")


async def test_a_slow_client_delays_neither_who_writes_nor_who_listens(world: None) -> None:
    """Chat D6: each message waited in its request for every socket, one after the other."""
    async with serving(send_buffer=4096) as narrow:
        assert narrow.hub is not None
        alice = await move_in(narrow, "Alice")
        mallory = await move_in(narrow, "Mallory", household_id=alice.household_id)
        chat = await alice.open_chat()
        message = await alice.write(chat, "x" * 4000)
        async with alice.socket() as quick, mallory.deaf():
            (slow,) = narrow.hub.listeners_of(mallory.user_id)
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(_heard(quick, QUEUE * 2))
                group.create_task(_tell_often(alice, message, QUEUE * 2))

            assert len({frame["id"] for frame in listening.result()}) == QUEUE * 2
            assert await asyncio.wait_for(slow.over, PATIENCE) is Ending.TOO_SLOW


async def _tell_often(person: Person, message: dict[str, Any], times: int) -> None:
    for _ in range(times):
        async with session_scope() as session:
            outbox.tell(
                session,
                LiveKind.CHAT_MESSAGE,
                household_id=person.household_id,
                subject_id=UUID(message["id"]),
                chat_id=message["chat_id"],
            )


async def test_who_comes_and_goes_meanwhile_makes_nobody_miss_anything(alice: Person, bob: Person) -> None:
    """Chat D7: a list that changed while it was walked."""
    chat = await alice.open_chat()
    async with alice.socket() as socket:
        async with asyncio.TaskGroup() as group:
            group.create_task(_write_often(alice, chat, 30))
            for _ in range(5):
                group.create_task(_come_and_go(bob, 10))

        assert [frame["data"]["seq"] for frame in await _heard(socket, 30)] == list(range(1, 31))


async def _come_and_go(person: Person, times: int) -> None:
    for _ in range(times):
        async with person.socket():
            pass


# Being away


async def test_who_was_away_hears_what_was_said_in_order_and_once(alice: Person, bob: Person) -> None:
    chat, lot = await alice.open_chat(bob), await alice.add()
    async with bob.socket() as socket:
        await alice.write(chat, "One")
        last = await socket.hears("chat.message")
    await alice.write(chat, "Two")
    await alice.use(lot)
    await alice.write(chat, "Three")

    async with bob.socket() as socket:
        await socket.send({"action": "resume", "last_id": last["id"]})
        two, used, three = await socket.next(), await socket.next(), await socket.next()
        assert (two["data"]["content"], used["type"], three["data"]["content"]) == ("Two", "lot.changed", "Three")
        assert last["id"] < two["id"] < used["id"] < three["id"]
        await alice.write(chat, "Four")
        assert (await socket.hears("chat.message"))["data"]["content"] == "Four"
        await socket.send({"action": "resume", "last_id": last["id"]})
        await socket.hears_nothing()


async def test_who_was_chosen_later_may_hear_what_was_said_before(alice: Person, bob: Person, place: Place) -> None:
    vera = await move_in(place, "Vera", household_id=alice.household_id)
    chat = await alice.open_chat(vera)
    last = await _last_id()
    await alice.write(chat, "One")
    members = [str(each.user_id) for each in (vera, bob)]
    async with bob.socket() as socket:
        await alice.send("PATCH", f"chats/{chat['id']}", {"member_ids": members})
        assert (await socket.hears("chat.changed"))["data"]["id"] == chat["id"]
        await socket.send({"action": "resume", "last_id": last})
        assert (await _hears_last(socket, "chat.message"))["data"]["content"] == "One"


async def test_who_was_put_out_of_a_chat_hears_nothing_more_of_it_nor_what_was_before(
    alice: Person, bob: Person, place: Place
) -> None:
    vera = await move_in(place, "Vera", household_id=alice.household_id)
    chat = await alice.open_chat(vera, bob)
    last = await _last_id()
    await alice.write(chat, "Before")
    async with bob.socket() as his, vera.socket() as hers:
        await his.subscribe(chat)
        await hers.subscribe(chat)
        await alice.send("PATCH", f"chats/{chat['id']}", {"member_ids": [str(vera.user_id)]})
        await hers.hears("chat.changed")
        await alice.write(chat, "After")
        await hers.hears("chat.message")
        await hers.send({"action": "typing", "chat_id": chat["id"]})

        assert await _talk_until_pong(his) <= {"chat.deleted"}  # that it is not there for him
        await his.send({"action": "resume", "last_id": last})
        assert await _talk_until_pong(his) <= {"chat.deleted"}
        answer = await his.answer_to({"action": "typing", "chat_id": chat["id"]})
        assert answer == {"type": "error", "code": "not_found"}
        answer = await his.answer_to({"action": "subscribe", "chat_id": chat["id"]})
        assert answer == {"type": "error", "code": "not_found"}


async def _talk_until_pong(socket: Socket) -> set[str]:
    """What is heard until what was said before has been handed out."""
    await socket.send({"action": "ping"})
    heard = set()
    while (frame := await socket.next())["type"] != "pong":
        heard.add(frame["type"])
    return heard


async def test_who_leaves_the_household_hears_nothing_after_that_and_nothing_again(alice: Person, bob: Person) -> None:
    """Chat D11: a socket that was let in once went on for ever."""
    chat = await alice.open_chat()
    async with alice.socket() as hers, bob.socket() as his:
        await his.subscribe(chat)
        await alice.write(chat, "Before")
        await his.hears("chat.message")
        await hers.hears("chat.message")
        await alice.send("DELETE", f"members/{bob.user_id}")
        for _ in range(5):
            await alice.write(chat, "After")
        await _heard(hers, 5)

        assert await his.code_of_end() == 4403
    async with bob.socket() as again:
        await again.send(LONG_AGO)
        await again.hears_nothing()
        answer = await again.answer_to({"action": "subscribe", "chat_id": chat["id"]})
        assert answer == {"type": "error", "code": "not_found"}


async def test_nothing_that_comes_after_a_removal_in_one_reading_is_handed_to_the_removed(
    place: Place, alice: Person, bob: Person
) -> None:
    chat = await alice.open_chat()
    message = await alice.write(chat)
    assert place.hub is not None
    async with place.hub.listening(bob.session_id) as listener, alice.socket() as witness:
        await place.hub.subscribe(listener, UUID(chat["id"]))
        async with session_scope() as session:
            outbox.tell(session, LiveKind.MEMBER_REMOVED, user_id=bob.user_id, subject_id=bob.household_id)
            outbox.tell(
                session,
                LiveKind.CHAT_MESSAGE,
                household_id=alice.household_id,
                subject_id=UUID(message["id"]),
                chat_id=chat["id"],
            )
        await witness.hears("chat.message")
        said = json.dumps([chat["id"], str(alice.user_id), "Alice"])
        place.hub.hear(f"typing {said}")

        assert await asyncio.wait_for(listener.over, PATIENCE) is Ending.NOT_A_MEMBER
        assert listener.waiting.empty()


async def test_a_removal_that_was_not_handed_out_yet_holds_for_what_is_asked_for_again(
    place: Place, alice: Person, bob: Person
) -> None:
    chat = await alice.open_chat()
    last = await _last_id()
    await alice.write(chat)
    assert place.hub is not None
    async with place.hub.listening(bob.session_id) as listener:
        async with session_scope() as session:
            # Past the service, so that no word tells it.
            await session.execute(sa.delete(Membership).where(col(Membership.user_id) == bob.user_id))

        assert await place.hub.resume(listener, last)
        assert listener.waiting.empty()


@pytest.mark.parametrize("end", ["disabled", "signed out"])
async def test_who_may_not_sign_in_any_more_hears_no_more_talk(
    end: str, place: Place, alice: Person, bob: Person
) -> None:
    """Chat D11."""
    chat = await alice.open_chat()
    async with bob.socket() as his, alice.socket() as hers:
        if end == "disabled":
            async with session_scope() as session:
                await session.execute(update(User).where(col(User.id) == bob.user_id).values(is_active=False))
            assert place.hub is not None
            await place.hub.check()
        else:
            await bob.post("/auth/logout")
        await alice.write(chat)
        await hers.hears("chat.message")

        assert await his.code_of_end() == 4401


async def test_a_page_of_somebody_else_hears_no_talk(alice: Person) -> None:
    """Chat D11: no look at the Origin."""
    for origin in (None, "https://evil.example"):
        with pytest.raises(InvalidStatus):
            async with alice.socket(**alice.by_cookie, origin=origin):
                pass


# Looking at a chat, and typing


async def test_who_looks_at_a_chat_hears_that_others_type_and_nobody_else_does(
    place: Place, alice: Person, bob: Person
) -> None:
    vera = await move_in(place, "Vera", household_id=alice.household_id)
    chat, other = await alice.open_chat(), await alice.open_chat(title="Cellar")
    before = await _last_id()
    async with alice.socket() as hers, bob.socket() as his, bob.socket() as also_his, vera.socket() as elsewhere:
        for socket in (hers, his, also_his):
            await socket.subscribe(chat)
        await elsewhere.subscribe(other)
        for _ in range(3):
            await his.send({"action": "typing", "chat_id": chat["id"].upper()})
        await his.hears_nothing()

        assert await hers.next() == {
            "type": "chat.typing",
            "chat_id": chat["id"],
            "user": {"id": str(bob.user_id), "name": "Bob"},
        }
        for socket in (hers, also_his, elsewhere):
            await socket.hears_nothing()
    assert await _last_id() == before


async def test_one_hears_again_that_somebody_types_when_some_time_has_passed(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "TYPING_EVERY", 0.0)
    chat = await alice.open_chat()
    async with alice.socket() as hers, bob.socket() as his:
        await hers.subscribe(chat)
        await his.subscribe(chat)
        for _ in range(2):
            await his.send({"action": "typing", "chat_id": chat["id"]})
            await hers.hears("chat.typing")


async def test_who_looks_away_hears_no_typing_and_cannot_type(alice: Person, bob: Person) -> None:
    chat = await alice.open_chat()
    async with alice.socket() as hers, bob.socket() as his:
        await his.subscribe(chat)
        await hers.subscribe(chat)
        left = await hers.answer_to({"action": "unsubscribe", "chat_id": chat["id"]})
        assert left == {"type": "ack", "id": chat["id"]}
        await his.send({"action": "typing", "chat_id": chat["id"]})
        await his.hears_nothing()

        await hers.hears_nothing()
        answer = await hers.answer_to({"action": "typing", "chat_id": chat["id"]})
        assert answer == {"type": "error", "code": "not_found"}


async def test_an_id_in_capitals_is_the_same_chat(alice: Person, bob: Person) -> None:
    """Chat D10: the key was the path as it was typed, and upper case heard nothing."""
    chat = await alice.open_chat()
    async with bob.socket() as his, alice.socket() as hers:
        answer = await his.answer_to({"action": "subscribe", "chat_id": chat["id"].upper()})
        assert answer == {"type": "ack", "id": chat["id"]}
        await hers.subscribe(chat)
        await hers.send({"action": "typing", "chat_id": chat["id"]})
        await his.hears("chat.typing")


async def test_unknown_chats_leave_nothing_behind(place: Place, alice: Person, charlie: Person) -> None:
    """Chat D4: any string was a chat; chat D9: and each stayed for ever."""
    secret = await alice.open_chat()
    assert place.hub is not None
    before = len(place.hub.rooms)
    async with charlie.socket() as socket:
        for chat_id in (secret["id"], str(charlie.household_id), *(str(uuid4()) for _ in range(20))):
            for action in ("subscribe", "typing"):
                answer = await socket.answer_to({"action": action, "chat_id": chat_id})
                assert answer == {"type": "error", "code": "not_found"}
            await socket.answer_to({"action": "unsubscribe", "chat_id": chat_id})
        assert len(place.hub.rooms) == before


async def test_a_socket_that_is_gone_leaves_no_room_behind(place: Place, alice: Person, bob: Person) -> None:
    """Chat D9."""
    chat = await alice.open_chat()
    assert place.hub is not None
    before = len(place.hub.rooms)
    async with alice.socket() as socket:
        await socket.subscribe(chat)
        assert len(place.hub.rooms) == before + 1
        (listener,) = place.hub.listeners_of(alice.user_id)
    await asyncio.wait_for(_is_gone(place, alice), PATIENCE)

    assert len(place.hub.rooms) == before
    assert not listener.chat_ids


async def _is_gone(place: Place, person: Person) -> None:
    while place.hub is not None and place.hub.listeners_of(person.user_id):  # noqa: ASYNC110  (a hub does not say so)
        await asyncio.sleep(0)


async def test_one_can_look_at_a_hundred_chats_and_no_more(alice: Person) -> None:
    async with session_scope() as session:
        chats = [
            Chat(household_id=alice.household_id, owner_id=alice.user_id, title=f"Chat {n}", title_key=f"chat {n}")
            for n in range(MAX_CHATS + 1)
        ]
        session.add_all(chats)
    *first, last = [str(chat.id) for chat in chats]

    async with alice.socket() as socket:
        for chat_id in first:
            assert await _asked(socket, "subscribe", chat_id) == {"type": "ack", "id": chat_id}
        assert await _asked(socket, "subscribe", last) == {"type": "error", "code": "too_many_chats"}
        assert await _asked(socket, "subscribe", first[0]) == {"type": "ack", "id": first[0]}
        await _asked(socket, "unsubscribe", first[0])
        assert await _asked(socket, "subscribe", last) == {"type": "ack", "id": last}


async def _asked(socket: Socket, action: str, chat_id: str) -> dict[str, Any]:
    """Again when it was too fast."""
    while True:
        answer = await socket.answer_to({"action": action, "chat_id": chat_id})
        if answer != {"type": "error", "code": "too_fast"}:
            return answer


async def test_nobody_looks_at_a_chat_that_was_deleted(place: Place, alice: Person, bob: Person) -> None:
    chat = await alice.open_chat()
    async with bob.socket() as socket:
        await socket.subscribe(chat)
        await alice.send("DELETE", f"chats/{chat['id']}")
        await socket.hears("chat.deleted")

        assert await _asked(socket, "typing", chat["id"]) == {"type": "error", "code": "not_found"}
        assert place.hub is not None
        assert UUID(chat["id"]) not in place.hub.rooms.chat_ids


async def test_an_archived_chat_can_be_looked_at(alice: Person, bob: Person) -> None:
    chat = await alice.open_chat()
    async with bob.socket() as socket:
        await socket.subscribe(chat)
        await alice.send("PATCH", f"chats/{chat['id']}", {"is_archived": True})
        await socket.hears("chat.changed")
        await socket.send({"action": "typing", "chat_id": chat["id"]})
        await socket.hears_nothing()
        await socket.subscribe(chat)


async def test_what_no_word_told_is_seen_by_looking_now_and_then(place: Place, alice: Person, bob: Person) -> None:
    chat = await alice.open_chat(bob)
    async with bob.socket() as socket:
        await socket.subscribe(chat)
        async with session_scope() as session:
            # Past the service, so that no word tells it.
            await session.execute(sa.delete(Chat).where(col(Chat.id) == UUID(chat["id"])))
        assert place.hub is not None
        await place.hub.check()

        assert await _asked(socket, "typing", chat["id"]) == {"type": "error", "code": "not_found"}


@pytest.mark.parametrize(
    "message",
    ["typing ", "typing null", "typing []", 'typing ["x","y","z"]', "typing {", "typing \ud800", "typing [1,2,3,4]"],
)
async def test_what_the_bus_says_of_typing_that_is_nothing_harms_nothing(
    message: str, place: Place, alice: Person, bob: Person
) -> None:
    chat = await alice.open_chat()
    async with alice.socket() as socket:
        await socket.subscribe(chat)
        assert place.hub is not None
        place.hub.hear(message)
        await socket.hears_nothing()


async def test_a_slow_client_is_not_dropped_for_what_others_type(place: Place, alice: Person, bob: Person) -> None:
    chat = await alice.open_chat()
    assert place.hub is not None
    async with place.hub.listening(alice.session_id) as listener:
        await place.hub.subscribe(listener, UUID(chat["id"]))
        for _ in range(QUEUE * 2):
            said = json.dumps([chat["id"], str(bob.user_id), "Bob"])
            place.hub.hear(f"typing {said}")

        assert listener.waiting.qsize() == QUEUE // 2
        assert not listener.over.done()


# Bad frames

BAD = [
    (b"\x00\x01", "bad_frame"),
    (b'{"action":"subscribe"}', "bad_frame"),
    ("subscribe", "bad_json"),
    *(
        ({"action": action, **more}, code)
        for action in ("subscribe", "unsubscribe", "typing")
        for more, code in (
            ({}, "bad_frame"),
            ({"chat_id": None}, "bad_frame"),
            ({"chat_id": 7}, "bad_frame"),
            ({"chat_id": []}, "bad_frame"),
            ({"chat_id": ""}, "bad_frame"),
            ({"chat_id": "' OR 1=1"}, "bad_frame"),
            ({"chat_id": "x" * 10_000}, "bad_frame"),
            ({"chat_id": "\x00"}, "bad_frame"),
        )
    ),
    ({"action": "subscribe", "chat_id": str(UUID(int=0))}, "not_found"),
    ({"action": "typing", "chat_id": str(UUID(int=2**128 - 1))}, "not_found"),
]


async def test_bad_frames_about_chats_are_answered_and_talk_goes_on(alice: Person, bob: Person) -> None:
    """Chat D8: a binary frame left a dead socket behind that was still said to."""
    chat = await alice.open_chat()
    async with bob.socket() as socket:
        await socket.subscribe(chat)
        for frame, code in BAD:
            assert await socket.answer_to(frame) == {"type": "error", "code": code}, frame
            await socket.hears_nothing()

        await alice.write(chat)
        await socket.hears("chat.message")
