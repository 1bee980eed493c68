"""Talk: what is said, what comes with it, what happens to stock said beside it."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

import db
from models import (
    Attachment,
    FileKind,
    FilePurpose,
    FileState,
    LiveKind,
    Message,
    MessageKind,
    MessageRevision,
    Notification,
    Outbox,
    ReadMarker,
    StoredFile,
    User,
)
from services import chats, events, messages, stock
from services.core import clock, i18n
from services.core.errors import Conflict, InvalidInput, LimitExceeded, NotFound, PermissionDenied
from services.core.ids import new_id
from services.core.pagination import PageRequest
from services.dates import Urgency
from services.messages.text import Link, Named, Text, find_named, split
from services.permissions import Actor
from services.schemas.chats import ChatCreate, ChatUpdate
from services.schemas.names import Person
from services.schemas.stock import LotConsume, LotOpen, LotSnooze, ProductConsume
from services.schemas.talk import MessageCreate, MessageFilters, MessagePage, MessageRead, MessageSearch, MessageUpdate
from tests.conftest import CHAT, CHAT_NEXT_DOOR, HOUSEHOLD, NOW, TODAY
from tests.factories import make_lot, make_message
from tests.test_statements import counted


async def say(session: AsyncSession, actor: Actor, content: str = "Bring milk", **more: Any) -> MessageRead:
    return await messages.post(session, actor, more.pop("chat_id", CHAT), MessageCreate(content=content, **more))


async def read(session: AsyncSession, actor: Actor, **filters: Any) -> MessagePage:
    page = PageRequest(
        limit=filters.pop("limit", 50), after=filters.pop("after", None), total=filters.pop("total", False)
    )
    chat_id = filters.pop("chat_id", CHAT)
    return await messages.list_messages(session, actor, chat_id, page, MessageFilters(**filters))


async def words(session: AsyncSession, actor: Actor, **filters: Any) -> list[str]:
    return [message.content for message in (await read(session, actor, **filters)).items]


async def make_file(session: AsyncSession, actor: Actor, name: str = "fridge.webp", **fields: Any) -> StoredFile:
    values: dict[str, Any] = {
        "household_id": actor.household_id,
        "uploader_id": actor.user_id,
        "purpose": FilePurpose.MESSAGE,
        "state": FileState.READY,
        "kind": FileKind.IMAGE,
        "name": name,
        "media_type": "image/webp",
        "size": 10,
        "key": new_id().hex,
        "digest": "",
    }
    file = StoredFile(**values | fields)
    session.add(file)
    await session.flush()
    return file


async def told(session: AsyncSession) -> list[tuple[LiveKind, UUID | None]]:
    """What the outbox was told since it was last asked, as the commit does it."""
    await db.run_before_commit(session)
    rows = (
        await session.execute(sa.delete(Outbox).returning(col(Outbox.id), col(Outbox.kind), col(Outbox.subject_id)))
    ).all()
    return [(row.kind, row.subject_id) for row in sorted(rows)]


async def private_chat(session: AsyncSession, *members: Actor, title: str = "Surprise") -> UUID:
    data = ChatCreate(title=title, member_ids=[member.user_id for member in members])
    return (await chats.create_chat(session, members[0], data)).id


# Saying something


async def test_what_is_said_is_read_newest_first_by_everybody_who_sees_the_chat(
    session: AsyncSession, alice: Actor, bob: Actor, vera: Actor
) -> None:
    """chat D26: moments are aware, and in order."""
    first = await say(session, alice, "Who ate the yoghurt?")
    second = await say(session, bob, "Not me")

    found = await read(session, vera)

    assert [message.id for message in found.items] == [second.id, first.id]
    assert (first.seq, second.seq) == (1, 2)
    assert found.items[1].author == Person(id=alice.user_id, name="Alice", avatar_url=None)
    assert found.items[1].created_at == NOW
    assert found.items[1].created_at.tzinfo is not None
    assert (found.next, found.previous, found.total) == (None, None, None)


async def test_a_message_is_told_in_the_transaction_that_says_it(session: AsyncSession, alice: Actor) -> None:
    """chat D31: saved and told are one thing, so nobody misses what was saved."""
    said = await say(session, alice)

    assert (LiveKind.CHAT_MESSAGE, said.id) in await told(session)


async def test_nobody_talks_where_they_do_not_see_the_chat(
    session: AsyncSession, alice: Actor, bob: Actor, charlie: Actor
) -> None:
    """chat D2 and D3: a chat is for those who belong to it, and there must be one."""
    private = await private_chat(session, alice)
    hidden = await make_message(session, private, alice)
    for actor, chat_id in ((charlie, CHAT), (bob, private), (alice, CHAT_NEXT_DOOR), (alice, new_id())):
        with pytest.raises(NotFound):
            await say(session, actor, chat_id=chat_id)
        with pytest.raises(NotFound):
            await read(session, actor, chat_id=chat_id)
    for act in (
        messages.edit(session, bob, private, hidden.id, MessageUpdate(content="x")),
        messages.delete(session, bob, private, hidden.id),
        messages.react(session, bob, private, hidden.id, "👍"),
        messages.unreact(session, bob, private, hidden.id, "👍"),
        messages.edit(session, alice, CHAT, hidden.id, MessageUpdate(content="x")),
        messages.list_messages(session, bob, CHAT, PageRequest(), MessageFilters(around=hidden.id)),
    ):
        with pytest.raises(NotFound):
            await act


async def test_staff_who_may_read_says_nothing(session: AsyncSession, alice: Actor, tess: Actor) -> None:
    said = await say(session, alice)
    every = frozenset({"messages:create", "messages:edit", "messages:react", "messages:delete"})
    staff = replace(tess, household_id=HOUSEHOLD, role=None, staff_permissions=every)

    for act in (
        say(session, staff),
        messages.react(session, staff, CHAT, said.id, "👍"),
        messages.unreact(session, staff, CHAT, said.id, "👍"),
        messages.edit(session, staff, CHAT, said.id, MessageUpdate(content="x")),
        messages.delete(session, staff, CHAT, said.id),
    ):
        with pytest.raises(PermissionDenied):
            await act
    assert await words(session, staff) == ["Bring milk"]


@pytest.mark.parametrize("blank", ["", " ", "\n\t ", "\u200b", "\u200b \u2060\ufeff", "\u3164", "\u2800\u00ad"])
async def test_what_cannot_be_seen_is_nothing_said(session: AsyncSession, alice: Actor, blank: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await say(session, alice, blank)

    assert refused.value.fields.keys() == {"content"}


async def test_an_archived_chat_takes_nothing_new(session: AsyncSession, alice: Actor) -> None:
    said = await say(session, alice)
    await chats.edit_chat(session, alice, CHAT, ChatUpdate(is_archived=True))

    for act in (
        say(session, alice),
        messages.react(session, alice, CHAT, said.id, "👍"),
        messages.edit(session, alice, CHAT, said.id, MessageUpdate(content="x")),
    ):
        with pytest.raises(Conflict):
            await act
    assert await words(session, alice) == ["Bring milk"]
    await messages.delete(session, alice, CHAT, said.id)
    assert await words(session, alice) == [""]


async def test_who_says_something_has_read_the_chat(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await say(session, bob)
    said = await say(session, alice)

    markers = dict((await session.execute(select(ReadMarker.user_id, ReadMarker.seq))).tuples().all())

    assert markers == {alice.user_id: said.seq, bob.user_id: 1}
    assert await chats.count_unread(session, alice) == 0
    assert await chats.count_unread(session, bob) == 1


# Edit, delete


async def test_its_author_edits_a_message_and_what_it_said_is_kept(session: AsyncSession, vera: Actor) -> None:
    said = await say(session, vera)
    with clock.frozen(NOW + timedelta(minutes=1)):
        edited = await messages.edit(session, vera, CHAT, said.id, MessageUpdate(content="Bring oat milk"))

    assert (edited.content, edited.edited_at, edited.seq) == ("Bring oat milk", NOW + timedelta(minutes=1), said.seq)
    assert (await session.scalars(select(MessageRevision.content))).all() == ["Bring milk"]
    assert await words(session, vera, q="oat") == ["Bring oat milk"]


async def test_an_edit_that_changes_nothing_says_nothing(session: AsyncSession, vera: Actor) -> None:
    said = await say(session, vera)
    await told(session)

    same = await messages.edit(session, vera, CHAT, said.id, MessageUpdate(content=" Bring milk "))

    assert same.edited_at is None
    assert await told(session) == []


async def test_nobody_edits_what_others_said(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    said = await say(session, bob)

    with pytest.raises(PermissionDenied):
        await messages.edit(session, alice, CHAT, said.id, MessageUpdate(content="I ate it"))


async def test_what_is_deleted_keeps_its_place_and_nothing_else(
    session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    file = await make_file(session, bob)
    lot = await make_lot(session, bob)
    said = await say(session, bob, "@Alice look", attachment_ids=[file.id], lot_id=lot.id)
    answer = await say(session, alice, "Nice", reply_to_id=said.id)
    await messages.react(session, alice, CHAT, said.id, "👍")
    await told(session)

    await messages.delete(session, bob, CHAT, said.id)
    await messages.delete(session, bob, CHAT, said.id)

    newest, deleted = (await read(session, bob)).items
    assert deleted.model_dump(include={"content", "mentions", "reactions", "attachments", "lot", "reply_to"}) == {
        "content": "",
        "mentions": [],
        "reactions": [],
        "attachments": [],
        "lot": None,
        "reply_to": None,
    }
    assert (deleted.seq, deleted.deleted_at) == (said.seq, NOW)
    assert newest.id == answer.id
    assert newest.reply_to is not None
    assert (newest.reply_to.content, newest.reply_to.deleted_at) == ("", NOW)
    await session.refresh(file)
    assert file.state is FileState.RELEASED
    assert (await session.scalars(select(MessageRevision.content))).all() == ["@Alice look"]
    assert await told(session) == [(LiveKind.CHAT_MESSAGE, said.id)]
    for act in (
        messages.react(session, alice, CHAT, said.id, "👍"),
        messages.edit(session, bob, CHAT, said.id, MessageUpdate(content="x")),
    ):
        with pytest.raises(Conflict):
            await act


async def test_admins_delete_what_others_said_and_members_do_not(
    session: AsyncSession, alice: Actor, dora: Actor, bob: Actor, vera: Actor
) -> None:
    of_alice, of_bob = await say(session, alice), await say(session, bob)
    for actor in (bob, vera):
        with pytest.raises(PermissionDenied):
            await messages.delete(session, actor, CHAT, of_alice.id)

    await messages.delete(session, dora, CHAT, of_alice.id)
    await messages.delete(session, alice, CHAT, of_bob.id)

    assert await words(session, vera) == ["", ""]


async def test_talk_of_somebody_who_is_gone_stays_without_a_name(
    session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    await say(session, bob, "@Alice hello")
    await session.execute(sa.delete(User).where(col(User.id) == bob.user_id))

    (message,) = (await read(session, alice)).items

    assert (message.author, message.content) == (None, "@Alice hello")


# What comes with it


async def test_an_answer_shows_what_it_answers(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    said = await say(session, alice, "Who ate\nthe yoghurt?")

    answer = await say(session, bob, "Not me", reply_to_id=said.id)

    assert answer.reply_to is not None
    assert (answer.reply_to.id, answer.reply_to.content) == (said.id, "Who ate the yoghurt?")
    assert answer.reply_to.author is not None
    assert answer.reply_to.author.name == "Alice"


async def test_one_answers_only_what_was_said_in_the_same_chat(
    session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    elsewhere = await make_message(session, await private_chat(session, alice), alice)
    next_door = await make_message(session, CHAT_NEXT_DOOR, charlie)

    for other in (elsewhere.id, next_door.id, new_id()):
        with pytest.raises(InvalidInput) as refused:
            await say(session, alice, reply_to_id=other)
        assert refused.value.fields.keys() == {"reply_to_id"}


async def test_what_belongs_to_others_is_not_linked(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    lot = await make_lot(session, charlie)

    for name, other in (("lot_id", lot.id), ("product_id", lot.product.id), ("lot_id", new_id())):
        with pytest.raises(InvalidInput) as refused:
            await messages.post(session, alice, CHAT, MessageCreate.model_validate({"content": "x", name: other}))
        assert refused.value.fields.keys() == {name}


async def test_a_card_shows_a_lot_as_it_is_now(session: AsyncSession, alice: Actor) -> None:
    """Urgent by the household's own day: on Kiritimati it is tomorrow already."""
    lot = await make_lot(session, alice, quantity=3, expires_on=TODAY)
    said = await say(session, alice, "Eat this", lot_id=lot.id, product_id=lot.product.id)
    assert said.lot is not None
    assert said.product is not None
    assert (said.lot.name, said.lot.quantity, said.lot.urgency, said.lot.is_used_up) == (
        "Milk",
        "3",
        Urgency.TODAY,
        False,
    )
    assert (said.product.name, said.product.quantity) == ("Milk", "3")

    await stock.consume(session, alice, UUID(str(lot.id)), LotConsume())
    await session.execute(sa.text("UPDATE household SET time_zone = 'Pacific/Kiritimati'"))

    (now,) = (await read(session, alice)).items
    assert now.lot is not None
    assert now.product is not None
    assert (now.lot.quantity, now.lot.is_used_up, now.lot.days_left) == ("0", True, -1)
    assert now.product.is_used_up


async def test_names_in_a_message_mention_those_who_see_the_chat(
    session: AsyncSession, alice: Actor, bob: Actor, vera: Actor
) -> None:
    said = await say(session, alice, "@bob and @VERA, not @charlie nor vera@example.com")
    private = await say(session, alice, "@Bob", chat_id=await private_chat(session, alice, vera))

    assert {person.name for person in said.mentions} == {"Bob", "Vera"}
    assert private.mentions == []
    notified = await session.scalars(select(Notification.user_id).where(Notification.message_id == said.id))
    assert set(notified) == {bob.user_id, vera.user_id}


async def test_an_edit_mentions_anew_and_tells_each_once(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    said = await say(session, alice, "@Bob")
    without = await messages.edit(session, alice, CHAT, said.id, MessageUpdate(content="@Vera"))
    again = await messages.edit(session, alice, CHAT, said.id, MessageUpdate(content="@Bob @Bob @Vera"))

    assert [person.name for person in without.mentions] == ["Vera"]
    assert {person.name for person in again.mentions} == {"Bob", "Vera"}
    notified = await session.scalars(select(Notification.user_id).where(Notification.message_id == said.id))
    assert len(notified.all()) == 2


async def test_files_come_with_a_message_in_their_order(session: AsyncSession, alice: Actor) -> None:
    files = [await make_file(session, alice, name) for name in ("b.webp", "a.webp")]

    said = await say(session, alice, "\u200b", attachment_ids=[file.id for file in files])

    assert said.content == ""
    assert [file.name for file in said.attachments] == ["b.webp", "a.webp"]
    assert said.attachments[0].url


async def test_a_file_is_sent_once_and_by_whoever_sent_it_here(
    session: AsyncSession, alice: Actor, bob: Actor, charlie: Actor
) -> None:
    sent = await make_file(session, alice)
    await say(session, alice, attachment_ids=[sent.id])
    others = [
        sent,
        await make_file(session, bob),
        await make_file(session, charlie),
        await make_file(session, alice, household_id=charlie.household_id),
        await make_file(session, alice, purpose=FilePurpose.AVATAR),
        await make_file(session, alice, state=FileState.PENDING),
    ]

    for file in others:
        with pytest.raises(InvalidInput) as refused:
            await say(session, alice, attachment_ids=[file.id])
        assert refused.value.fields.keys() == {"attachment_ids"}
    assert (await session.scalars(select(Attachment.file_id))).all() == [sent.id]


async def test_what_came_with_files_may_lose_its_words(session: AsyncSession, alice: Actor) -> None:
    file = await make_file(session, alice)
    with_file, without = await say(session, alice, attachment_ids=[file.id]), await say(session, alice)

    assert (await messages.edit(session, alice, CHAT, with_file.id, MessageUpdate(content=""))).content == ""
    with pytest.raises(InvalidInput):
        await messages.edit(session, alice, CHAT, without.id, MessageUpdate(content=""))


# Reactions


async def test_one_reacts_with_an_emoji_and_takes_it_away(session: AsyncSession, alice: Actor, vera: Actor) -> None:
    said = await say(session, alice)
    await told(session)

    await messages.react(session, vera, CHAT, said.id, "❤")
    await messages.react(session, vera, CHAT, said.id, "❤\ufe0f")
    both = await messages.react(session, alice, CHAT, said.id, "❤\ufe0f")

    # The same heart, however it is spelt.
    (reaction,) = both.reactions
    assert reaction.emoji == "❤\ufe0f"
    assert set(reaction.user_ids) == {vera.user_id, alice.user_id}
    left = await messages.unreact(session, vera, CHAT, said.id, "❤")
    assert [reaction.user_ids for reaction in left.reactions] == [[alice.user_id]]
    assert await told(session) == [(LiveKind.CHAT_MESSAGE, said.id)]
    await messages.unreact(session, vera, CHAT, said.id, "❤")
    await messages.react(session, alice, CHAT, said.id, "❤")
    assert await told(session) == []


@pytest.mark.parametrize("no_emoji", ["", "a", "👍👍", "👍 ", ":heart:", "\u200b", "<b>", "1"])
async def test_nothing_but_one_emoji_is_a_reaction(session: AsyncSession, alice: Actor, no_emoji: str) -> None:
    said = await say(session, alice)

    with pytest.raises(InvalidInput):
        await messages.react(session, alice, CHAT, said.id, no_emoji)


async def test_a_message_takes_twenty_different_reactions(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    said = await say(session, alice)
    for number in range(20):
        await messages.react(session, alice, CHAT, said.id, chr(0x1F600 + number))

    with pytest.raises(Conflict):
        await messages.react(session, alice, CHAT, said.id, "👍")
    joined = await messages.react(session, bob, CHAT, said.id, "\U0001f600")
    assert len(joined.reactions) == 20
    assert len(joined.reactions[0].user_ids) == 2


# Finding


async def test_pages_lead_to_older_and_to_newer_messages_and_stay_stable(session: AsyncSession, alice: Actor) -> None:
    """chat D25: where a page begins is a number with an index, not how many rows to skip."""
    for number in range(1, 8):
        await make_message(session, CHAT, alice, str(number))

    first = await read(session, alice, limit=3, total=True)
    await make_message(session, CHAT, alice, "8")
    second = await read(session, alice, limit=3, after=first.next)
    third = await read(session, alice, limit=3, after=second.next)
    back = await read(session, alice, limit=3, after=third.previous)
    newest = await read(session, alice, limit=3, after=back.previous)
    last = await read(session, alice, limit=3, after=newest.previous)

    pages = [[message.content for message in page.items] for page in (first, second, third, back, newest, last)]
    assert pages == [["7", "6", "5"], ["4", "3", "2"], ["1"], ["4", "3", "2"], ["7", "6", "5"], ["8"]]
    assert (first.total, first.previous, third.next, last.previous) == (7, None, None, None)


async def test_a_page_around_a_message_leads_both_ways(session: AsyncSession, alice: Actor) -> None:
    said = [await make_message(session, CHAT, alice, str(number)) for number in range(1, 10)]

    middle = await read(session, alice, limit=4, around=said[4].id)
    end = await read(session, alice, limit=4, around=said[8].id)
    start = await read(session, alice, limit=4, around=said[0].id)

    assert [message.content for message in middle.items] == ["7", "6", "5", "4"]
    assert await words(session, alice, limit=4, after=middle.next) == ["3", "2", "1"]
    assert await words(session, alice, limit=4, after=middle.previous) == ["9", "8"]
    assert ([message.content for message in end.items], end.previous) == (["9", "8", "7", "6"], None)
    assert ([message.content for message in start.items], start.next) == (["3", "2", "1"], None)


@pytest.mark.parametrize("after", ["", "x", "WyJvbGRlciIsICI5OTk5OTk5OTk5OSJd", "WyJzaWRld2F5cyIsICIxIl0", "WyIxIl0"])
async def test_a_cursor_of_another_list_is_refused(session: AsyncSession, alice: Actor, after: str) -> None:
    with pytest.raises(InvalidInput):
        await read(session, alice, after=after)


async def test_one_searches_a_chat_by_what_people_take_for_the_same(session: AsyncSession, alice: Actor) -> None:
    await say(session, alice, "100% Müsli")
    await say(session, alice, "a_b\\c")
    await say(session, alice, "1000 things")

    assert await words(session, alice, q="MÜSLI") == ["100% Müsli"]
    assert await words(session, alice, q="0%") == ["100% Müsli"]
    assert await words(session, alice, q="a_b\\") == ["a_b\\c"]
    assert await words(session, alice, q="axb") == []


async def test_a_search_finds_what_one_sees_and_nothing_else(
    session: AsyncSession, alice: Actor, bob: Actor, charlie: Actor
) -> None:
    private = await private_chat(session, alice)
    await make_message(session, CHAT, bob, "Milk is out")
    await make_message(session, private, alice, "Hidden milk")
    await make_message(session, CHAT_NEXT_DOOR, charlie, "Milk next door")

    async def search(actor: Actor, after: str | None = None) -> tuple[list[tuple[str, str]], str | None]:
        found = await messages.search(session, actor, PageRequest(limit=1, after=after), MessageSearch(q="MILK"))
        return [(message.content, message.chat.title) for message in found.items], found.next

    first, more = await search(alice)
    assert first == [("Hidden milk", "Surprise")]
    assert (await search(alice, more))[0] == [("Milk is out", "Everyone")]
    assert await search(bob) == ([("Milk is out", "Everyone")], None)
    assert (await search(charlie))[0] == [("Milk next door", "Everyone")]


async def test_what_was_deleted_is_not_found(session: AsyncSession, alice: Actor) -> None:
    said = await say(session, alice, "Regret")
    await messages.delete(session, alice, CHAT, said.id)

    assert await words(session, alice, q="regret") == []


async def test_a_page_costs_as_many_statements_however_much_is_in_it(session: AsyncSession, alice: Actor) -> None:
    await chats.edit_chat(session, alice, CHAT, ChatUpdate(tells_stock=True))

    async def fill(count: int) -> None:
        for number in range(count):
            lot = await make_lot(session, alice, product=f"Thing {new_id()}")
            file = await make_file(session, alice)
            said = await say(session, alice, "@Bob", lot_id=lot.id, product_id=lot.product.id, attachment_ids=[file.id])
            await say(session, alice, f"{number}", reply_to_id=said.id)
            await messages.react(session, alice, CHAT, said.id, "👍")
        await told(session)

    with clock.frozen(NOW - timedelta(hours=1)):
        await fill(2)
    with counted() as few:
        short = await read(session, alice, limit=200)
    for minutes in range(4):
        with clock.frozen(NOW + timedelta(minutes=5 * minutes)):
            await fill(10)
    session.expunge_all()
    with counted() as many:
        long = await read(session, alice, limit=200)

    assert (len(short.items), len(long.items)) == (6, 126)
    assert len(many) == len(few), "\n".join(many)


async def test_one_takes_all_that_one_wrote_along(
    session: AsyncSession, alice: Actor, bob: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces, so that years of talk take no more memory than a page of it."""
    monkeypatch.setattr("services.messages.reading.BATCH", 2)
    file = await make_file(session, alice)
    await say(session, alice, "ä", attachment_ids=[file.id])
    await say(session, bob, "not hers")
    gone = await say(session, alice, "gone")
    await messages.delete(session, alice, CHAT, gone.id)
    for number in range(4):
        await say(session, alice, str(number))
    await session.commit()

    pieces = [piece async for piece in messages.export(alice)]
    nothing = "".join([piece async for piece in messages.export(replace(alice, user_id=new_id()))])

    taken = json.loads("".join(pieces))
    assert [each["content"] for each in taken] == ["ä", "0", "1", "2", "3"]
    assert (taken[0]["household"], taken[0]["chat"], taken[0]["attachments"]) == ("Home", "Everyone", ["fridge.webp"])
    assert len(pieces) == 5
    assert json.loads(nothing) == []


# Limits


async def test_nobody_talks_without_end(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    for number in range(120):
        await say(session, alice, str(number))

    with pytest.raises(LimitExceeded) as refused:
        await say(session, alice)
    await say(session, bob)
    with clock.frozen(NOW + timedelta(seconds=refused.value.retry_after)):
        await say(session, alice)


async def test_what_was_refused_does_not_count(session: AsyncSession, alice: Actor) -> None:
    for _again in range(130):
        with pytest.raises(InvalidInput):
            async with session.begin_nested():
                await say(session, alice, " ")

    await say(session, alice)


# Text


ANN = Person(id=new_id(), name="Ann", avatar_url=None)
ANN_LEE = Person(id=new_id(), name="Ann Lee", avatar_url=None)
STRASSE = Person(id=new_id(), name="Straße", avatar_url=None)
TWIN = Person(id=new_id(), name="ann", avatar_url=None)


def texts(content: str, *people: Person) -> list[tuple[str, str]]:
    return [(part.kind, part.text) for part in split(content, people)]


@pytest.mark.parametrize(
    ("content", "url"),
    [
        ("see https://larder.example.com/a_(b).", "https://larder.example.com/a_(b)"),
        ("HTTP://Example.com", "HTTP://Example.com"),
        ("example.com", "http://example.com"),
        ("ann@example.com", "mailto:ann@example.com"),
    ],
)
def test_links_are_found(content: str, url: str) -> None:
    (link,) = [part for part in split(content, []) if isinstance(part, Link)]

    assert link.url == url
    assert link.text in content


@pytest.mark.parametrize(
    "content",
    [
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "ftp://files.example.com/x",
        "//example.com/x",
        "vbscript:x",
        "file:///etc/passwd",
        "JaVaScRiPt://example.com/%0aalert(1)",
    ],
)
def test_nothing_is_a_link_but_the_web_and_mail(content: str) -> None:
    links = [part.url for part in split(content, []) if isinstance(part, Link)]

    assert [url for url in links if not url.lower().startswith(("http://", "https://", "mailto:"))] == []
    assert content not in links


def test_the_longest_name_that_fits_is_meant() -> None:
    assert texts("@ann lee and @ANN, @anna @Ann", ANN, ANN_LEE) == [
        ("mention", "@ann lee"),
        ("text", " and "),
        ("mention", "@ANN"),
        ("text", ", @anna "),
        ("mention", "@Ann"),
    ]
    assert find_named("@Ann Lee", [ANN, ANN_LEE]) == [ANN_LEE]


def test_two_who_are_called_the_same_are_both_meant() -> None:
    assert find_named("@ANN", [ANN, TWIN]) == [ANN, TWIN]


def test_a_name_is_found_however_its_letters_fold() -> None:
    assert texts("x @STRASSE!", STRASSE) == [("text", "x "), ("mention", "@STRASSE"), ("text", "!")]
    assert texts("@straße\n@Straß", STRASSE) == [("mention", "@straße"), ("text", "\n@Straß")]


def test_neither_an_address_nor_a_link_mentions_anybody() -> None:
    assert find_named("bob@ann https://example.com/@Ann a@Ann", [ANN]) == []


@given(st.text(alphabet=st.sampled_from("@anßsS le.\nhtp:/éı\u0130\u0307com"), max_size=80))
def test_nothing_of_a_text_is_lost_or_changed(content: str) -> None:
    assert "".join(part.text for part in split(content, [ANN, ANN_LEE, STRASSE])) == content


def test_what_a_template_shows_is_the_message(session: AsyncSession) -> None:
    parts = split("Hi @Ann,\nsee example.com", [ANN])

    assert parts == [
        Text("Hi "),
        Named("@Ann", (ANN,)),
        Text(",\nsee "),
        Link("example.com", "http://example.com"),
    ]


# What happens to stock


async def listen(session: AsyncSession, alice: Actor) -> None:
    await chats.edit_chat(session, alice, CHAT, ChatUpdate(tells_stock=True))
    await told(session)


async def said_of_stock(session: AsyncSession, actor: Actor, chat_id: UUID = CHAT) -> list[str]:
    await db.run_before_commit(session)
    return await words(session, actor, chat_id=chat_id)


async def test_a_chat_that_wants_it_says_what_happens_to_stock(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await listen(session, alice)
    lot = await make_lot(session, alice, quantity=3)
    await stock.consume(session, bob, UUID(str(lot.id)), LotConsume(quantity=Decimal(2)))
    heard = await told(session)

    newest, oldest = (await read(session, alice)).items
    assert [newest.content, oldest.content] == ["Bob: 2\xa0pieces of Milk used", "Alice: 3\xa0pieces of Milk added"]
    assert (newest.kind, newest.author, newest.seq) == (MessageKind.SYSTEM, None, 2)
    assert newest.event is not None
    assert (newest.event.count, newest.event.undone) == (1, False)
    assert newest.lot is not None
    assert newest.lot.quantity == "1"
    # Said before it is told, so that chats are locked before the outbox is.
    assert [subject for kind, subject in heard if kind is LiveKind.CHAT_MESSAGE] == [oldest.id, newest.id]


async def test_where_no_chat_wants_it_a_booking_says_nothing(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice)
    with counted() as statements:
        await stock.consume(session, alice, UUID(str(lot.id)), LotConsume(quantity=Decimal(1)))

    # To hold it, to change it, and to write that down; what everybody is told comes with the commit.
    assert len(statements) == 3, "\n".join(statements)
    assert await told(session) == [(LiveKind.LOT_CHANGED, UUID(str(lot.id)))]
    assert await words(session, alice) == []


async def test_an_archived_chat_hears_of_no_stock(session: AsyncSession, alice: Actor) -> None:
    await listen(session, alice)
    await chats.edit_chat(session, alice, CHAT, ChatUpdate(is_archived=True))
    await make_lot(session, alice)

    assert await said_of_stock(session, alice) == []


async def test_what_is_added_together_is_one_message(session: AsyncSession, alice: Actor) -> None:
    """And what failed among it is not in it."""
    await listen(session, alice)
    items = [{"product": {"name": f"Thing {number}"}} for number in range(30)]
    await stock.add_bulk(
        session, alice, [*items, {"product": {"name": ""}}, {"product_id": str(new_id())}], atomic=False
    )

    assert await said_of_stock(session, alice) == ["Alice: 30 things added"]
    last = (await chats.get_chat(session, alice, CHAT)).last_message
    assert last is not None
    assert last.content == "Alice: 30 things added"


async def test_lots_of_one_product_are_summed(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=2)
    await make_lot(session, alice, quantity=2)
    await listen(session, alice)
    await stock.consume_product(session, alice, UUID(str(lot.product.id)), ProductConsume(quantity=Decimal(3)))

    assert await said_of_stock(session, alice) == ["Alice: 3\xa0pieces of Milk used"]


async def test_a_part_that_is_opened_is_one_message_and_an_edit_is_none(session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, quantity=4)
    await listen(session, alice)
    await stock.open_lot(session, alice, UUID(str(lot.id)), LotOpen(quantity=Decimal(1)))
    await stock.snooze(session, alice, UUID(str(lot.id)), LotSnooze(until=TODAY + timedelta(days=3)))

    assert await said_of_stock(session, alice) == ["Alice: Milk opened"]


async def test_what_was_taken_back_says_so_where_it_was_said(session: AsyncSession, alice: Actor) -> None:
    await listen(session, alice)
    lot = await make_lot(session, alice, quantity=4)
    used = await stock.consume(session, alice, UUID(str(lot.id)), LotConsume())
    await told(session)
    await events.undo(session, alice, used.event_id)
    heard = await told(session)

    undo, use, add = (await read(session, alice)).items
    assert undo.content == "Alice: Milk: a booking taken back"
    assert [message.event.undone for message in (undo, use, add) if message.event] == [False, True, False]
    assert {subject for kind, subject in heard if kind is LiveKind.CHAT_MESSAGE} == {undo.id, use.id}


async def test_what_the_system_says_is_in_the_readers_language(session: AsyncSession, alice: Actor) -> None:
    await listen(session, alice)
    await make_lot(session, alice, quantity="1.5")
    await told(session)
    (message_id,) = (await session.scalars(select(Message.id))).all()

    shared = (await messages.find_shared(session, [message_id]))[message_id]
    i18n.use_locale("de")
    german = messages.in_words(shared).content
    i18n.use_locale("en-GB")

    assert shared.content == ""
    assert "1,5" in german
    assert "1.5" in messages.in_words(shared).content
    assert "booking" not in shared.model_dump()


async def test_every_chat_that_wants_it_hears_it(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    await listen(session, alice)
    private = await private_chat(session, alice)
    await chats.edit_chat(session, alice, private, ChatUpdate(tells_stock=True))
    await make_lot(session, alice)
    await make_lot(session, charlie)

    assert await said_of_stock(session, alice) == await said_of_stock(session, alice, private) != []
    assert await said_of_stock(session, charlie, CHAT_NEXT_DOOR) == []


async def test_nobody_edits_what_the_system_says(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await listen(session, alice)
    await make_lot(session, alice)
    await told(session)
    (message,) = (await read(session, alice)).items

    with pytest.raises(PermissionDenied):
        await messages.edit(session, alice, CHAT, message.id, MessageUpdate(content="x"))
    with pytest.raises(PermissionDenied):
        await messages.delete(session, bob, CHAT, message.id)
    await messages.react(session, bob, CHAT, message.id, "👍")


async def test_what_the_system_said_can_be_deleted_too(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await listen(session, alice)
    await make_lot(session, bob)
    await told(session)
    (message,) = (await read(session, alice)).items

    await messages.delete(session, alice, CHAT, message.id)

    (deleted,) = (await read(session, alice)).items
    assert (deleted.content, deleted.lot, deleted.event, deleted.deleted_at) == ("", None, None, NOW)


def test_what_was_found_far_into_a_long_message_is_among_what_is_shown() -> None:
    long = "word " * 100 + "the yoghurt is gone"

    parts = messages.with_found(long, "YOGHURT")

    assert parts[0].text == "… "
    assert messages.Found("yoghurt") in parts
    shown = "".join(part.text for part in parts)
    assert shown.startswith("… word ")
    assert shown.endswith("the yoghurt is gone")
    assert len(shown) < 100
    assert messages.with_found("x" * 300 + "yes", "yes") == [messages.Text("… "), messages.Found("yes")]
    assert messages.with_found("Bring milk", "milk") == [messages.Text("Bring "), messages.Found("milk")]
