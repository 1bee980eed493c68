"""The live protocol, over real sockets: who is let in, who hears what, and what bad frames do."""

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import col, update
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from commands.sockets import MAX_FRAME
from db import session_scope, take_turns
from models import LiveKind, Notification, NotificationKind, Outbox, SessionToken, User
from services import accounts, api_keys, outbox, sessions
from services.core import clock
from services.core.ids import hash_token
from services.live import MEMORY, QUEUE, Ending, Listener
from services.schemas.accounts import ApiKeyCreate, Scope
from tests.live.conftest import PATIENCE, Person, Place, Socket, move_in, serving

# In step


async def test_two_people_see_what_either_does_as_the_api_gives_it(alice: Person, bob: Person) -> None:
    lot = await alice.add("Milk", "1000", price="4")
    async with alice.socket() as hers, bob.socket() as his:
        await bob.use(lot, "1.5")

        seen = await hers.hears("lot.changed")
        assert seen["household_id"] == str(alice.household_id)
        assert {**seen["data"], "photos": []} == await alice.get(f"lots/{lot['id']}")
        assert seen["actor"] == {"id": str(bob.user_id), "name": "Bob"}
        assert seen["said"] == "Bob: 1.5\N{NO-BREAK SPACE}pieces of Milk used"

        also_seen = await his.hears("lot.changed")
        assert {**also_seen["data"], "photos": []} == await bob.get(f"lots/{lot['id']}")
        assert also_seen["id"] == seen["id"]


async def test_each_hears_it_by_their_own_window_and_in_their_own_language(alice: Person, bob: Person) -> None:
    later = (clock.today("Europe/Berlin") + timedelta(days=20)).isoformat()
    async with alice.socket() as hers, bob.socket() as his:
        lot = await alice.add("Gizmo", "1.5", expires_on=later)

        seen, also_seen = await hers.hears("lot.changed"), await his.hears("lot.changed")
        assert (seen["data"]["urgency"], also_seen["data"]["urgency"]) == ("fine", "soon")
        assert seen["data"] == lot
        assert "1.5" in seen["said"]
        assert "1,5" in also_seen["said"]


async def test_every_socket_of_a_user_hears_it(alice: Person) -> None:
    async with alice.socket() as one, alice.socket() as another, alice.socket() as third:
        await alice.add()

        for socket in (one, another, third):
            await socket.hears("lot.changed")


async def test_strangers_hear_nothing(alice: Person, charlie: Person) -> None:
    async with alice.socket() as hers, charlie.socket() as his:
        await alice.add()

        await hers.hears("lot.changed")
        await his.hears_nothing()


async def test_a_thousand_sockets_all_hear_it(place: Place, alice: Person) -> None:
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(alice.socket()) for _ in range(1000)]
        assert place.hub is not None
        assert len(place.hub) >= 1000

        lot = await alice.add()

        heard = await asyncio.gather(*(socket.hears("lot.changed") for socket in sockets))
        assert {frame["data"]["id"] for frame in heard} == {lot["id"]}


# Resuming


async def test_who_was_away_gets_all_that_was_missed_in_order_and_then_goes_on(alice: Person, bob: Person) -> None:
    lot = await alice.add()
    async with alice.socket() as socket:
        await bob.use(lot)
        last = await socket.hears("lot.changed")
    for quantity in ("1", "2", "3"):
        await bob.use(lot, quantity)
    other = await bob.add("Bread")

    async with alice.socket() as socket:
        await socket.send({"action": "resume", "last_id": last["id"]})
        missed = [await socket.hears("lot.changed") for _ in range(4)]
        await socket.hears_nothing()
        await bob.use(other)
        missed.append(await socket.hears("lot.changed"))

    ids = [frame["id"] for frame in missed]
    assert ids == sorted(set(ids))
    assert ids[0] > last["id"]
    assert [frame["data"]["product"]["name"] for frame in missed] == ["Milk"] * 3 + ["Bread"] * 2
    assert [frame["said"].split("\N{NO-BREAK SPACE}")[0] for frame in missed[:3]] == ["Bob: 1", "Bob: 2", "Bob: 3"]


async def test_resuming_while_much_happens_leaves_no_gap_and_says_nothing_twice(alice: Person, bob: Person) -> None:
    lots = [await alice.add(f"Tin {number}", "100") for number in range(4)]
    async with bob.socket() as witness:
        for lot in lots:
            await bob.use(lot)
        before = [(await witness.hears("lot.changed"))["id"] for _ in lots]

        async with alice.socket() as socket:
            async with asyncio.TaskGroup() as group:
                for lot in lots:
                    group.create_task(_use_often(bob, lot))
                group.create_task(socket.send({"action": "resume", "last_id": before[0]}))
            told = [(await witness.hears("lot.changed"))["id"] for _ in range(40)]
            heard = [(await socket.hears("lot.changed"))["id"] for _ in range(43)]
            await socket.hears_nothing()

    assert sorted(heard) == before[1:] + told
    # What happened before it could ask may come first; the rest is in order.
    early = [id_ for id_ in heard if id_ > before[-1]][: heard.index(before[1])]
    assert heard[len(early) :] == [id_ for id_ in before[1:] + told if id_ not in early]


async def _use_often(person: Person, lot: dict[str, Any]) -> None:
    for _ in range(10):
        await person.use(lot)


async def test_what_happens_while_one_catches_up_waits_for_its_turn(place: Place, alice: Person) -> None:
    lot = await alice.add()
    last = await _last_id()
    await _tell_often(alice, lot, QUEUE + 50)

    assert place.hub is not None
    async with place.hub.listening(alice.session_id) as listener, alice.socket() as witness:
        resuming = asyncio.create_task(place.hub.resume(listener, last))
        await asyncio.wait_for(_is_full(listener), PATIENCE)
        await _tell_often(alice, lot, 50)
        await _listen(witness, 50)
        heard = [json.loads(await listener.waiting.get())["id"] for _ in range(QUEUE + 100)]

        assert await resuming
        assert listener.waiting.empty()
        assert not listener.over.done()
    assert heard[0] > last
    assert heard == sorted(set(heard))


async def _is_full(listener: Listener) -> None:
    while not listener.waiting.full():  # noqa: ASYNC110  (a queue does not say so)
        await asyncio.sleep(0)


async def test_what_one_has_heard_is_not_said_again(alice: Person) -> None:
    async with alice.socket() as socket:
        await alice.add()
        heard = await socket.hears("lot.changed")

        await socket.send({"action": "resume", "last_id": heard["id"] - 1})
        await socket.hears_nothing()


async def test_what_is_missed_of_others_stays_theirs(alice: Person, charlie: Person) -> None:
    lot = await alice.add()
    await alice.use(lot)

    async with charlie.socket() as socket:
        await socket.send({"action": "resume", "last_id": await _last_id() - 2})
        await socket.hears_nothing()


async def test_who_was_away_longer_than_we_remember_is_told_so(alice: Person) -> None:
    await alice.add()
    last = await _last_id() - 1
    await alice.add("Bread")
    async with session_scope() as session:
        old = clock.now() - MEMORY - timedelta(minutes=1)
        await session.execute(update(Outbox).where(col(Outbox.id) == last + 1).values(created_at=old))

    async with alice.socket() as socket:
        assert await socket.answer_to({"action": "resume", "last_id": last}) == {"type": "error", "code": "too_old"}
        await socket.send({"action": "resume", "last_id": last + 1})
        assert (await socket.hears("lot.changed"))["data"]["product"]["name"] == "Bread"
    async with session_scope() as session:
        await session.execute(update(Outbox).where(col(Outbox.id) == last + 1).values(created_at=clock.now()))


async def _last_id() -> int:
    async with session_scope(read_only=True) as session:
        return int((await session.execute(sa.select(sa.func.max(col(Outbox.id))))).scalar_one())


# Notifications


async def _notify(person: Person, lot: dict[str, Any]) -> UUID:
    async with session_scope() as session:
        notification = Notification(
            user_id=person.user_id,
            household_id=person.household_id,
            kind=NotificationKind.TODAY,
            product_id=UUID(lot["product"]["id"]),
            lot_id=UUID(lot["id"]),
            due_on=clock.today("Europe/Berlin"),
        )
        session.add(notification)
        outbox.tell(
            session,
            LiveKind.NOTIFICATION_CREATED,
            household_id=person.household_id,
            user_id=person.user_id,
            subject_id=notification.id,
        )
    return notification.id


async def test_a_notification_is_for_one_alone_and_read_on_all_devices(alice: Person, bob: Person) -> None:
    lot = await alice.add()
    async with alice.socket() as phone, alice.socket() as desk, bob.socket() as his:
        notification_id = await _notify(alice, lot)

        created = await phone.hears("notification.created")
        assert created["data"]["id"] == str(notification_id)
        assert created["household_id"] == str(alice.household_id)
        assert created["unread"] == 1
        listed = await alice.get(f"{alice.place.http}/api/v1/notifications")
        assert listed["items"] == [created["data"]]
        assert await desk.hears("notification.created") == created
        await his.hears_nothing()

        assert await phone.answer_to({"action": "mark_read", "id": str(notification_id)}) == {
            "type": "ack",
            "id": str(notification_id),
        }
        for socket in (phone, desk):
            read = await socket.hears("notification.read")
            assert (read["data"], read["unread"]) == ({"id": str(notification_id)}, 0)


async def test_notifications_of_others_are_not_there(alice: Person, bob: Person) -> None:
    notification_id = await _notify(alice, await alice.add())

    async with bob.socket() as socket:
        for unknown in (notification_id, uuid4()):
            answer = await socket.answer_to({"action": "mark_read", "id": str(unknown)})
            assert answer == {"type": "error", "code": "not_found"}
    async with session_scope(read_only=True) as session:
        assert (await session.get_one(Notification, notification_id)).read_at is None


# Being let in


async def test_a_cookie_lets_in_from_our_own_pages(alice: Person) -> None:
    async with alice.socket(**alice.by_cookie, origin=alice.place.http) as socket:
        await socket.hears_nothing()


async def test_a_ticket_lets_in_once(alice: Person) -> None:
    ticket = await alice.post("/ws/ticket")

    async with alice.socket(f"?ticket={ticket['ticket']}", additional_headers={}) as socket:
        await socket.hears_nothing()
    await _is_refused(alice, f"?ticket={ticket['ticket']}", additional_headers={})


async def test_of_many_who_show_one_ticket_at_once_one_is_let_in(alice: Person) -> None:
    ticket = (await alice.post("/ws/ticket"))["ticket"]

    async def knock() -> bool:
        try:
            async with alice.socket(f"?ticket={ticket}", additional_headers={}):
                return True
        except InvalidStatus:
            return False

    assert sum(await asyncio.gather(*(knock() for _ in range(8)))) == 1


async def test_a_ticket_that_is_over_lets_nobody_in(alice: Person) -> None:
    ticket = (await alice.post("/ws/ticket"))["ticket"]
    await _let_run_out(ticket)

    await _is_refused(alice, f"?ticket={ticket}", additional_headers={})


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://127.0.0.1:1", "file://"])
async def test_a_cookie_from_elsewhere_lets_nobody_in(origin: str | None, alice: Person) -> None:
    await _is_refused(alice, **alice.by_cookie, origin=origin)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer forged", "Basic YTpi", "Bearer " + "x" * 5000, "Bearer \N{LATIN SMALL LETTER E WITH ACUTE}"],
)
async def test_a_token_that_is_none_lets_nobody_in(header: str, alice: Person) -> None:
    await _is_refused(alice, additional_headers={"Authorization": header} if header else {})


@pytest.mark.parametrize("query", ["?ticket=forged", "?ticket=", "?ticket=" + "x" * 5000, "?ticket=%00%ff"])
async def test_a_ticket_that_is_none_lets_nobody_in(query: str, alice: Person) -> None:
    await _is_refused(alice, query, additional_headers={})


async def test_a_token_that_ran_out_or_is_of_another_kind_lets_nobody_in(alice: Person) -> None:
    await _is_refused(alice, additional_headers={"Authorization": f"Bearer {alice.cookie}"})
    await _is_refused(alice, f"?ticket={alice.access}", additional_headers={})
    await _let_run_out(alice.access)
    await _is_refused(alice)


async def test_a_disabled_user_is_not_let_in(alice: Person) -> None:
    await _disable(alice)

    await _is_refused(alice)


async def test_a_ticket_needs_somebody_who_is_signed_in(alice: Person) -> None:
    async with alice.client() as client:
        answer = await client.post(f"{alice.place.http}/api/v1/ws/ticket", headers={"Authorization": "Bearer forged"})
    assert answer.status_code == 401


async def test_a_key_that_may_listen_is_let_in_and_hears_what_its_user_hears(alice: Person, bob: Person) -> None:
    async with alice.socket(additional_headers=await _key(alice, Scope.LIVE_LISTEN)) as socket:
        lot = await bob.add()

        assert (await socket.hears("lot.changed"))["data"]["id"] == lot["id"]
        refused = await socket.answer_to({"action": "mark_read", "id": str(uuid4())})
        assert refused == {"type": "error", "code": "insufficient_scope"}


async def test_a_key_that_may_not_listen_is_not_let_in(alice: Person) -> None:
    await _is_refused(alice, additional_headers=await _key(alice, Scope.STOCK_READ))
    await _is_refused(alice, additional_headers={"Authorization": "Bearer lrk_forged"})


async def test_a_key_that_is_ended_is_cut_off(alice: Person) -> None:
    async with alice.socket(additional_headers=await _key(alice, Scope.LIVE_LISTEN)) as socket, alice.socket() as hers:
        async with session_scope() as session:
            await api_keys.revoke_all(session, alice.user_id)

        assert await socket.code_of_end() == 4401
        await hers.hears_nothing()


async def test_who_must_choose_a_new_password_is_not_let_in(alice: Person) -> None:
    await _require_password_change(alice)

    await _is_refused(alice)
    await _is_refused(alice, **alice.by_cookie, origin=alice.place.http)


async def _key(person: Person, *scopes: Scope) -> dict[str, str]:
    async with session_scope() as session:
        data = ApiKeyCreate(name="Script", scopes=frozenset(scopes))
        made = await api_keys.issue(session, person.user_id, data, by=None)
    return {"Authorization": f"Bearer {made.key}"}


async def _require_password_change(person: Person) -> None:
    async with session_scope() as session:
        await accounts.require_password_change(session, person.user_id, by=None)


async def _is_refused(person: Person, query: str = "", **options: Any) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with person.socket(query, **options):
            pass
    assert refused.value.response.status_code == 403


async def _let_run_out(token: str) -> None:
    async with session_scope() as session:
        mine = col(SessionToken.token_hash) == hash_token(token)
        await session.execute(update(SessionToken).where(mine).values(expires_at=clock.now() - timedelta(seconds=1)))


async def _disable(person: Person) -> None:
    async with session_scope() as session:
        await session.execute(update(User).where(col(User.id) == person.user_id).values(is_active=False))


# Being cut off


async def test_a_session_that_is_ended_is_cut_off_and_no_other(alice: Person) -> None:
    async with session_scope() as session:
        elsewhere = await sessions.start(session, await session.get_one(User, alice.user_id))
    other = {"Authorization": f"Bearer {elsewhere.access}"}
    async with alice.socket() as ended, alice.socket(additional_headers=other) as staying:
        await alice.post("/auth/logout")

        revoked = await ended.hears("session.revoked")
        assert revoked["data"] == {"id": str(alice.session_id)}
        assert await ended.code_of_end() == 4401
        await staying.hears_nothing()


async def test_a_member_who_is_removed_is_cut_off_and_hears_nothing_more(alice: Person, bob: Person) -> None:
    async with alice.socket() as hers, bob.socket() as his:
        async with alice.client() as client:
            assert (await client.delete(f"members/{bob.user_id}")).status_code == 204
        await alice.add()

        await hers.hears("lot.changed")
        assert await his.code_of_end() == 4403
    async with bob.socket() as again:
        await alice.add()
        await again.hears_nothing()
        await again.send({"action": "resume", "last_id": 0})
        await again.hears_nothing()


async def test_a_user_who_is_disabled_is_cut_off(place: Place, alice: Person, bob: Person) -> None:
    async with alice.socket() as hers, bob.socket() as his:
        await _disable(bob)
        assert place.hub is not None
        await place.hub.check()

        assert await his.code_of_end() == 4401
        await hers.hears_nothing()


async def test_a_user_who_must_choose_a_new_password_is_cut_off(place: Place, alice: Person, bob: Person) -> None:
    key = await _key(bob, Scope.LIVE_LISTEN)
    async with alice.socket() as hers, bob.socket() as his, bob.socket(additional_headers=key) as machine:
        await _require_password_change(bob)
        assert place.hub is not None
        await place.hub.check()

        assert await his.code_of_end() == 4401
        assert await machine.code_of_end() == 4401
        await hers.hears_nothing()


@pytest.mark.parametrize("act", [accounts.disable, accounts.force_logout], ids=lambda act: act.__name__)
async def test_whom_staff_puts_out_is_cut_off_without_waiting(act: Any, alice: Person, bob: Person) -> None:
    async with alice.socket() as hers, bob.socket() as his:
        async with session_scope() as session:
            await act(session, bob.user_id, by=None)

        await his.hears("session.revoked")
        assert await his.code_of_end() == 4401
        await hers.hears_nothing()


async def test_who_joins_a_household_hears_of_it_without_a_new_socket(place: Place, alice: Person, bob: Person) -> None:
    async with bob.socket() as socket:
        invitation = await alice.post("invitations", {"role": "viewer"})
        newcomer = await move_in(place, "Nia")
        async with newcomer.socket() as hers:
            await newcomer.post(f"/invitations/{invitation['token']}/accept")
            assert place.hub is not None
            await place.hub.check()
            await alice.add()

            await socket.hears("lot.changed")
            assert (await hers.hears("lot.changed"))["household_id"] == str(alice.household_id)


async def test_a_slow_client_is_dropped_while_the_others_hear_everything(world: None) -> None:
    async with serving(send_buffer=4096) as narrow:
        assert narrow.hub is not None
        alice = await move_in(narrow, "Alice")
        mallory = await move_in(narrow, "Mallory", household_id=alice.household_id)
        lot = await alice.add(note="x" * 2000)
        async with alice.socket() as quick, mallory.deaf():
            (slow,) = narrow.hub.listeners_of(mallory.user_id)
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(_listen(quick, 600))
                group.create_task(_tell_often(alice, lot, 600))

            assert len(set(listening.result())) == 600
            assert await asyncio.wait_for(slow.over, PATIENCE) is Ending.TOO_SLOW


async def _tell_often(person: Person, lot: dict[str, Any], times: int) -> None:
    word: dict[str, Any] = {
        "kind": LiveKind.LOT_CHANGED,
        "household_id": person.household_id,
        "subject_id": UUID(lot["id"]),
    }
    async with session_scope() as session:
        # Of one lot only the last word in a transaction counts; the one told here comes after all of these.
        await take_turns(session, outbox.LOCK)
        await session.execute(sa.insert(Outbox), [word] * (times - 1))
        outbox.tell(session, **word)


async def _listen(socket: Socket, times: int) -> list[int]:
    return [(await socket.hears("lot.changed"))["id"] for _ in range(times)]


async def test_a_server_that_stops_says_so(world: None) -> None:
    async with serving() as place:
        alice = await move_in(place, "Alice")
        connection = await connect(place.ws, additional_headers={"Authorization": f"Bearer {alice.access}"})
        await connection.recv()
    await connection.wait_closed()

    assert connection.close_code == 1012


# Bad frames

BAD = [
    ("", "bad_json"),
    ("PING", "bad_json"),
    ("{", "bad_json"),
    ("[" * 60_000, "bad_json"),
    ('{"a":' * 10_000, "bad_json"),
    (b"\x00\x01", "bad_frame"),
    (b'{"action":"ping"}', "bad_frame"),
    ("null", "bad_frame"),
    ("[]", "bad_frame"),
    ("7", "bad_frame"),
    ("{}", "bad_frame"),
    ({"action": None}, "bad_frame"),
    ({"action": ["ping"]}, "bad_frame"),
    ({"action": "dance"}, "unknown_action"),
    ({"action": "\x00"}, "unknown_action"),
    ({"action": "subscribe"}, "bad_frame"),
    ({"action": "subscribe", "chat_id": 7}, "bad_frame"),
    ({"action": "subscribe", "chat_id": "' OR 1=1"}, "bad_frame"),
    ({"action": "subscribe", "chat_id": str(uuid4())}, "not_found"),
    ({"action": "mark_read"}, "bad_frame"),
    ({"action": "mark_read", "id": None}, "bad_frame"),
    ({"action": "mark_read", "id": str(uuid4()).upper()}, "not_found"),
    ({"action": "resume"}, "bad_frame"),
    ({"action": "resume", "last_id": "1"}, "bad_frame"),
    ({"action": "resume", "last_id": True}, "bad_frame"),
    ({"action": "resume", "last_id": 1.5}, "bad_frame"),
    ({"action": "resume", "last_id": -1}, "bad_frame"),
    ({"action": "resume", "last_id": 2**63}, "bad_frame"),
    ('{"action":"resume","last_id":1' + "0" * 4000 + "}", "bad_frame"),
    ('{"action":"resume","last_id":1e999}', "bad_json"),
    ('{"action":"resume","last_id":NaN}', "bad_json"),
]


async def test_bad_frames_are_answered_and_the_socket_stays(alice: Person) -> None:
    async with alice.socket() as socket:
        for frame, code in BAD:
            assert await socket.answer_to(frame) == {"type": "error", "code": code}, frame
            await socket.hears_nothing()

        await alice.add()
        await socket.hears("lot.changed")


async def test_the_highest_last_id_is_one(alice: Person) -> None:
    async with alice.socket() as socket:
        await socket.send({"action": "resume", "last_id": 2**63 - 1})
        await socket.hears_nothing()
        await alice.add()
        await socket.hears("lot.changed")


async def test_ten_thousand_subscribes_get_ten_thousand_errors_and_a_pong(alice: Person) -> None:
    async with alice.socket() as socket:
        frame = json.dumps({"action": "subscribe", "chat_id": str(uuid4())})
        for _ in range(10_000):
            await socket.send(frame)

        codes = [(await socket.hears("error"))["code"] for _ in range(10_000)]
        assert codes[:100] == ["not_found"] * 100
        assert "too_fast" in codes
        await socket.hears_nothing()


async def test_a_frame_that_is_too_long_ends_its_socket_alone(alice: Person) -> None:
    async with alice.socket() as long, alice.socket() as other:
        await long.send(json.dumps({"action": "x" * MAX_FRAME}))

        assert await long.code_of_end() == 1009
        await other.hears_nothing()
