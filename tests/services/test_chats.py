"""Chats: who sees them, who belongs to them, and how far everybody has read."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import (
    Attachment,
    AuditEntry,
    Avatar,
    Chat,
    ChatMember,
    FileKind,
    FilePurpose,
    FileState,
    Household,
    LiveKind,
    Membership,
    Message,
    MessageKind,
    ReadMarker,
    Role,
    StoredFile,
    User,
)
from services import chats, events, households, names, stock
from services.core import clock
from services.core.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from services.core.i18n import current_locale
from services.core.pagination import PageRequest
from services.permissions import Actor
from services.schemas.chats import ChatCreate, ChatRead, ChatUpdate
from services.schemas.households import HouseholdCreate, InvitationCreate
from services.schemas.stock import EventFilters, LotConsume
from tests.conftest import CHAT, HOUSEHOLD, NOW
from tests.factories import make_account, make_lot, make_message

ALL = PageRequest(limit=200)


async def make(session: AsyncSession, actor: Actor, title: str = "Shopping", *members: Actor, **fields: object) -> UUID:
    """A chat; for all unless members are given."""
    chosen = [member.user_id for member in members] if members else None
    data = ChatCreate.model_validate({"title": title, "member_ids": chosen, **fields})
    return (await chats.create_chat(session, actor, data)).id


async def titles(session: AsyncSession, actor: Actor, *, archived: bool = False) -> list[str]:
    return [chat.title for chat in (await chats.list_chats(session, actor, ALL, archived=archived)).items]


async def unread(session: AsyncSession, actor: Actor, chat_id: UUID = CHAT) -> int:
    return (await chats.get_chat(session, actor, chat_id)).unread


def told(session: AsyncSession, kind: LiveKind) -> list[dict[str, object]]:
    """What the outbox says of it when this transaction commits."""
    waiting = session.info.get("outbox", {}).values()
    return [{"subject_id": word["subject_id"], **word["data"]} for word in waiting if word["kind"] is kind]


def make_file(actor: Actor, purpose: FilePurpose = FilePurpose.MESSAGE) -> StoredFile:
    return StoredFile(
        uploader_id=actor.user_id,
        purpose=purpose,
        state=FileState.READY,
        kind=FileKind.IMAGE,
        media_type="image/webp",
        size=1,
        key=f"{purpose}/{actor.name}",
        digest="",
    )


def who(chat: ChatRead) -> list[str]:
    return [person.name for person in chat.members]


# Making one


async def test_a_household_has_a_chat_for_all_from_the_start(session: AsyncSession, sam: Actor) -> None:
    made = await households.create_household(session, sam, HouseholdCreate(name="Staff kitchen"))
    owner = replace(sam, household_id=made.id, role=Role.OWNER)

    (chat,) = (await chats.list_chats(session, owner, ALL)).items

    assert (chat.title, chat.is_for_all, chat.owner, chat.unread, chat.last_message) == (
        "Everyone",
        True,
        None,
        0,
        None,
    )


def test_the_first_chat_is_named_in_the_language_of_the_household() -> None:
    spoken = current_locale()

    assert chats.first_chat(Household(id=uuid4(), name="Zuhause", locale="en")).title == "Everyone"
    assert current_locale() == spoken


async def test_its_maker_owns_a_chat(session: AsyncSession, bob: Actor, vera: Actor) -> None:
    made = await chats.create_chat(session, bob, ChatCreate(title="  Shopping "))

    assert made.title == "Shopping"
    assert made.owner == names.Person(id=bob.user_id, name="Bob", avatar_url=None)
    assert made.is_for_all
    assert await titles(session, vera) == ["Shopping", "Everyone"]


@pytest.mark.parametrize("title", ["Shopping", " shopping", "SHOPPING  ", "Ｓhopping", "Shop\u200bping\ufe0f"])
async def test_a_title_is_there_once_however_it_is_spelt(
    title: str, session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    """Chat 1.3: `" t"` and `"t"` were two chats."""
    await make(session, alice, "Shopping")

    with pytest.raises(Conflict) as refused:
        await chats.create_chat(session, bob, ChatCreate(title=title))
    assert refused.value.code == "duplicate"


async def test_another_household_has_its_own_titles(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    """Chat D33: titles were unique over the whole system, so that anybody could probe and squat those of others."""
    await make(session, alice, "Birthday")

    await make(session, charlie, "Birthday")

    assert await titles(session, charlie) == ["Birthday", "Everyone"]


async def test_there_are_so_many_chats_and_no_more(
    session: AsyncSession, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chats, "MAX_CHATS", 2)
    await make(session, alice, "Second")

    with pytest.raises(Conflict, match="2 chats"):
        await make(session, alice, "Third")


# Who sees it


async def test_what_is_not_for_all_is_there_for_those_who_were_chosen(
    session: AsyncSession, alice: Actor, bob: Actor, dora: Actor, vera: Actor
) -> None:
    """Chat D2: anybody could read, and delete, any chat. Not even an admin sees this one."""
    chat_id = await make(session, bob, "Surprise", vera)

    for actor in (bob, vera):
        assert "Surprise" in await titles(session, actor)
        assert who(await chats.get_chat(session, actor, chat_id)) == ["Bob", "Vera"]
    for actor in (alice, dora):
        assert "Surprise" not in await titles(session, actor)
        for attempt in (
            lambda actor=actor: chats.load(session, actor, chat_id),
            lambda actor=actor: chats.get_chat(session, actor, chat_id),
            lambda actor=actor: chats.list_people(session, actor, chat_id),
            lambda actor=actor: chats.edit_chat(session, actor, chat_id, ChatUpdate(title="Found out")),
            lambda actor=actor: chats.delete_chat(session, actor, chat_id),
            lambda actor=actor: chats.mark_read(session, actor, chat_id, uuid4()),
        ):
            with pytest.raises(NotFound, match="no such chat"):
                await attempt()


async def test_what_admins_read_in_the_log_does_not_say_what_it_is_called(
    session: AsyncSession, bob: Actor, vera: Actor
) -> None:
    chat_id = await make(session, bob, "Surprise", vera)
    await chats.edit_chat(session, bob, chat_id, ChatUpdate(title="Surprise party"))
    await chats.delete_chat(session, bob, chat_id)
    await session.flush()

    entries = (await session.scalars(select(AuditEntry).where(col(AuditEntry.action).startswith("chats:")))).all()
    assert [entry.action for entry in entries] == ["chats:create", "chats:edit", "chats:delete"]
    assert all(entry.subject_id == str(chat_id) and entry.household_id == HOUSEHOLD for entry in entries)
    assert "Surprise" not in "".join(str(entry.model_dump()) for entry in entries)


async def test_only_members_of_the_household_can_be_chosen(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    with pytest.raises(InvalidInput) as refused:
        await make(session, alice, "With a stranger", charlie)
    assert "member_ids" in refused.value.fields


async def test_who_belongs_to_it_can_be_mentioned(session: AsyncSession, alice: Actor, bob: Actor, vera: Actor) -> None:
    chosen = await make(session, bob, "Surprise", vera)

    assert [person.name for person in await chats.list_people(session, bob, chosen)] == ["Bob", "Vera"]
    everyone = await chats.list_people(session, alice, CHAT)
    assert [person.name for person in everyone] == ["Alice", "Bob", "Dora", "Vera"]


async def test_hearers_are_those_who_belong_to_it_or_all(session: AsyncSession, bob: Actor, vera: Actor) -> None:
    chosen = await make(session, bob, "Surprise", vera)

    found = await chats.find_hearers(session, [CHAT, chosen, uuid4()])

    assert found == {CHAT: None, chosen: frozenset({bob.user_id, vera.user_id})}


async def test_what_is_shared_has_nothing_in_it_of_one_reader(session: AsyncSession, bob: Actor, vera: Actor) -> None:
    chat_id = await make(session, bob, "Surprise", vera)

    found = await chats.find_shared(session, [chat_id, uuid4()])

    assert list(found) == [chat_id]
    assert [person.name for person in found[chat_id].members] == ["Bob", "Vera"]
    assert not found[chat_id].model_dump().keys() & {"unread", "read_seq", "last_message"}


async def test_staff_without_a_role_sees_what_is_there_and_has_read_nothing(
    session: AsyncSession, bob: Actor, vera: Actor, tess: Actor
) -> None:
    staff = replace(tess, household_id=HOUSEHOLD, role=None, staff_permissions=frozenset({"chats:list"}))
    chat_id = await make(session, bob, "Surprise", vera)
    await make_message(session, chat_id, bob)

    assert await titles(session, staff) == ["Surprise", "Everyone"]
    assert await chats.count_unread(session, staff) == 0
    assert not staff.can("chats:read")


# Changing it


async def test_its_owner_and_admins_change_a_chat_and_nobody_else(
    session: AsyncSession, alice: Actor, bob: Actor, dora: Actor
) -> None:
    of_alice, of_bob = await make(session, alice, "Of Alice"), await make(session, bob, "Of Bob")

    assert (await chats.edit_chat(session, bob, of_bob, ChatUpdate(title="Bob’s own"))).title == "Bob’s own"
    for admin in (alice, dora):
        edited = await chats.edit_chat(session, admin, of_bob, ChatUpdate(title=f"As {admin.name} says"))
        assert (edited.title, edited.owner and edited.owner.name) == (f"As {admin.name} says", "Bob")
    for attempt in (
        lambda: chats.edit_chat(session, bob, of_alice, ChatUpdate(title="Mine")),
        lambda: chats.delete_chat(session, bob, of_alice),
        lambda: chats.edit_chat(session, bob, CHAT, ChatUpdate(title="Mine")),
    ):
        with pytest.raises(PermissionDenied):
            await attempt()


async def test_a_title_that_is_taken_is_not_taken_again_by_renaming(session: AsyncSession, alice: Actor) -> None:
    chat_id = await make(session, alice, "Shopping")

    with pytest.raises(Conflict, match="already a chat"):
        await chats.edit_chat(session, alice, chat_id, ChatUpdate(title="EVERYONE"))


async def test_it_keeps_its_own_title_when_that_is_spelt_otherwise(session: AsyncSession, alice: Actor) -> None:
    assert (await chats.edit_chat(session, alice, CHAT, ChatUpdate(title="everyone"))).title == "everyone"


async def test_an_archived_chat_takes_no_messages_and_is_listed_when_asked_for(
    session: AsyncSession, alice: Actor
) -> None:
    chat_id = await make(session, alice, "Summer")
    archived = await chats.edit_chat(session, alice, chat_id, ChatUpdate(is_archived=True))

    assert archived.archived_at == NOW
    with pytest.raises(Conflict) as refused:
        chats.require_open(await chats.load(session, alice, chat_id))
    assert refused.value.code == "archived"
    assert await titles(session, alice) == ["Everyone"]
    assert await titles(session, alice, archived=True) == ["Summer", "Everyone"]

    with clock.frozen(NOW + timedelta(days=1)):
        again = await chats.edit_chat(session, alice, chat_id, ChatUpdate(is_archived=True))
        assert again.archived_at == NOW
        assert (await chats.edit_chat(session, alice, chat_id, ChatUpdate(is_archived=False))).archived_at is None
    chats.require_open(await chats.load(session, alice, chat_id))


async def test_what_is_archived_does_not_count_as_unread(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    chat_id = await make(session, alice, "Summer")
    await make_message(session, chat_id, bob)
    assert await chats.count_unread(session, alice) == 1

    await chats.edit_chat(session, alice, chat_id, ChatUpdate(is_archived=True))

    assert await chats.count_unread(session, alice) == 0


async def test_a_chat_for_all_becomes_one_for_some_and_back(
    session: AsyncSession, alice: Actor, bob: Actor, dora: Actor, vera: Actor
) -> None:
    chat_id = await make(session, bob, "Shopping")

    some = await chats.edit_chat(session, bob, chat_id, ChatUpdate(member_ids=[vera.user_id]))
    assert (some.is_for_all, who(some)) == (False, ["Bob", "Vera"])
    assert await titles(session, alice) == ["Everyone"]
    gone = told(session, LiveKind.CHAT_DELETED)
    assert gone == [{"subject_id": chat_id, "hearers": sorted([str(alice.user_id), str(dora.user_id)])}]

    every = await chats.edit_chat(session, bob, chat_id, ChatUpdate(is_for_all=True))
    assert (every.is_for_all, who(every)) == (True, [])
    assert await titles(session, alice) == ["Shopping", "Everyone"]
    assert (await session.scalars(select(ChatMember).where(ChatMember.chat_id == chat_id))).all() == []


async def test_who_is_chosen_is_said_anew_and_its_owner_stays(
    session: AsyncSession, bob: Actor, vera: Actor, dora: Actor
) -> None:
    chat_id = await make(session, bob, "Surprise", vera)

    edited = await chats.edit_chat(session, bob, chat_id, ChatUpdate(member_ids=[dora.user_id]))
    assert who(edited) == ["Bob", "Dora"]
    renamed = await chats.edit_chat(session, bob, chat_id, ChatUpdate(title="No surprise", is_for_all=False))
    assert who(renamed) == ["Bob", "Dora"]
    without = await chats.edit_chat(session, dora, chat_id, ChatUpdate(member_ids=[]))
    assert who(without) == ["Bob"]
    with pytest.raises(NotFound):
        await chats.load(session, dora, chat_id)


async def test_a_chat_that_nobody_owns_is_somebodys(session: AsyncSession, alice: Actor) -> None:
    with pytest.raises(InvalidInput, match="Choose who"):
        await chats.edit_chat(session, alice, CHAT, ChatUpdate(is_for_all=False))


async def test_it_is_made_for_all_whoever_was_ticked_before(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    made = await chats.create_chat(
        session, alice, ChatCreate(title="Shopping", is_for_all=True, member_ids=[bob.user_id])
    )

    assert (made.is_for_all, made.members) == (True, [])


async def test_everybody_is_told_of_what_changes(session: AsyncSession, alice: Actor) -> None:
    chat_id = await make(session, alice, "Shopping")
    await chats.edit_chat(session, alice, chat_id, ChatUpdate(title="Market"))

    assert told(session, LiveKind.CHAT_CHANGED) == [{"subject_id": chat_id, "chat_id": str(chat_id)}]


# Deleting it


async def test_with_a_chat_goes_all_that_was_said_in_it(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    """Chat D30: messages stayed behind and could be read; nobody was told. Chat D31: nothing could cascade."""
    chat_id = await make(session, alice, "Surprise", bob)
    message = await make_message(session, chat_id, alice)
    await make_message(session, chat_id, bob, reply_to_id=message.id)
    photo = make_file(alice)
    session.add(photo)
    await session.flush()
    session.add(Attachment(message_id=message.id, file_id=photo.id))
    await chats.mark_read(session, bob, chat_id, message.id)

    await chats.delete_chat(session, alice, chat_id)

    for table in (ChatMember, ReadMarker, Message):
        assert (await session.execute(sa.select(table).where(col(table.chat_id) == chat_id))).all() == []
    assert told(session, LiveKind.CHAT_DELETED) == [
        {"subject_id": chat_id, "hearers": sorted([str(alice.user_id), str(bob.user_id)])}
    ]
    await session.refresh(photo)
    assert photo.state is FileState.RELEASED
    with pytest.raises(NotFound):
        await chats.delete_chat(session, alice, chat_id)


async def test_the_last_chat_for_all_can_be_deleted_too(session: AsyncSession, dora: Actor) -> None:
    await chats.delete_chat(session, dora, CHAT)

    assert await titles(session, dora) == []
    assert await chats.count_unread(session, dora) == 0
    assert told(session, LiveKind.CHAT_DELETED) == [{"subject_id": CHAT, "hearers": None}]


# Listing them


async def test_where_something_was_said_last_comes_first(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    """Chat 2: newest first was promised, and the order was the store's."""
    for number, title in enumerate(["A", "B", "C"]):
        with clock.frozen(NOW + timedelta(minutes=number)):
            await make(session, alice, title)
    assert await titles(session, bob) == ["C", "B", "A", "Everyone"]
    with clock.frozen(NOW + timedelta(hours=1)):
        message = await make_message(session, CHAT, bob, "Who ate the yoghurt?")

    assert await titles(session, bob) == ["Everyone", "C", "B", "A"]
    last = (await chats.get_chat(session, alice, CHAT)).last_message
    assert last is not None
    assert (last.id, last.author and last.author.name, last.content) == (message.id, "Bob", "Who ate the yoghurt?")


async def test_pages_of_chats_that_tie_hold_each_once(session: AsyncSession, alice: Actor) -> None:
    """Chat D25: pages were skipped to, and counted, by reading all that lay before."""
    for number in range(7):
        await make(session, alice, f"Chat {number}")
    seen, after = [], None
    while True:
        page = await chats.list_chats(session, alice, PageRequest(limit=3, after=after, total=True))
        seen += [chat.title for chat in page.items]
        assert page.total == 8
        if page.next is None:
            break
        after = page.next

    assert seen == [*(f"Chat {number}" for number in reversed(range(7))), "Everyone"]


async def test_a_deleted_message_is_not_the_last(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await make_message(session, CHAT, bob, "First")
    await make_message(session, CHAT, bob, "", deleted_at=NOW)

    chat = await chats.get_chat(session, alice, CHAT)

    assert chat.last_message is not None
    assert (chat.last_message.content, chat.unread) == ("First", 1)


async def test_what_happened_to_stock_is_the_last_in_words(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await make_lot(session, bob, product="Oat milk", quantity=3)
    booked = (await events.list_events(session, alice, ALL, EventFilters())).items[0]
    await make_message(session, CHAT, None, "", kind=MessageKind.SYSTEM, event_id=booked.id)

    last = (await chats.get_chat(session, alice, CHAT)).last_message

    assert last is not None
    assert (last.kind, last.author, last.content) == (
        MessageKind.SYSTEM,
        None,
        "Bob: 3\N{NO-BREAK SPACE}pieces of Oat milk added",
    )


# Reading


async def test_unread_is_what_others_said_since(session: AsyncSession, alice: Actor, bob: Actor, vera: Actor) -> None:
    first = await make_message(session, CHAT, bob)
    await make_message(session, CHAT, alice)
    await make_message(session, CHAT, vera)
    await make_message(session, CHAT, vera, deleted_at=NOW)

    assert [await unread(session, actor) for actor in (alice, bob, vera)] == [2, 2, 2]
    await chats.mark_read(session, alice, CHAT, first.id)
    assert await unread(session, alice) == 1
    assert await chats.count_unread(session, alice) == 1
    assert (await chats.get_chat(session, alice, CHAT)).read_seq == 1
    assert await chats.count_unread(session, bob) == 2


async def test_what_one_did_to_stock_oneself_is_not_unread(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    lot = await make_lot(session, bob, quantity=3)
    await stock.consume(session, bob, lot.id, LotConsume(quantity=1))
    booked = (await events.list_events(session, alice, ALL, EventFilters())).items[0]
    await make_message(session, CHAT, None, "", kind=MessageKind.SYSTEM, event_id=booked.id)

    assert [await unread(session, actor) for actor in (alice, bob)] == [1, 0]


async def test_a_marker_never_goes_back(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    first, second = [await make_message(session, CHAT, bob) for _ in range(2)]
    await chats.mark_read(session, alice, CHAT, second.id)
    assert told(session, LiveKind.CHAT_READ) == [
        {"subject_id": CHAT, "chat_id": str(CHAT), "user_id": str(alice.user_id), "seq": 2}
    ]
    session.info.pop("outbox")

    await chats.mark_read(session, alice, CHAT, first.id)

    assert (await chats.get_chat(session, alice, CHAT)).read_seq == 2
    assert told(session, LiveKind.CHAT_READ) == []


async def test_a_message_of_another_chat_marks_nothing(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    """Chat D3, D4: whatever id was given was taken."""
    elsewhere = await make_message(session, await make(session, alice, "Elsewhere"), bob)

    for message_id in (elsewhere.id, uuid4()):
        with pytest.raises(NotFound, match="no such message"):
            await chats.mark_read(session, alice, CHAT, message_id)


async def test_to_whoever_joins_what_was_said_before_counts_as_read(
    session: AsyncSession, alice: Actor, bob: Actor, charlie: Actor
) -> None:
    await make_message(session, CHAT, bob, "Before")
    invitation = await households.invite(session, alice, InvitationCreate(), base_url="")
    await households.accept_invitation(session, make_account(charlie), invitation.token)
    joined = replace(charlie, household_id=HOUSEHOLD, role=Role.MEMBER)
    assert await unread(session, joined) == 0

    await make_message(session, CHAT, bob, "After")

    assert await unread(session, joined) == 1
    assert await unread(session, alice) == 2


async def test_so_it_does_to_whoever_is_chosen_later(
    session: AsyncSession, alice: Actor, bob: Actor, vera: Actor
) -> None:
    chat_id = await make(session, bob, "Surprise", vera)
    await make_message(session, chat_id, vera)

    await chats.edit_chat(session, bob, chat_id, ChatUpdate(is_for_all=True))

    assert [await unread(session, actor, chat_id) for actor in (alice, bob, vera)] == [0, 1, 0]
    await make_message(session, chat_id, bob)
    assert [await unread(session, actor, chat_id) for actor in (alice, bob, vera)] == [1, 1, 1]


# Leaving


async def test_leaving_the_household_cuts_off_at_once(
    session: AsyncSession, alice: Actor, bob: Actor, vera: Actor
) -> None:
    """Chat D3, D4: nobody was ever a member, so nobody could be put out."""
    owned, chosen = await make(session, bob, "Of Bob"), await make(session, vera, "Of Vera", bob)
    message = await make_message(session, chosen, bob, "Remember me")
    await chats.mark_read(session, bob, chosen, message.id)

    await households.remove_member(session, alice, bob.user_id)

    assert await chats.find_hearers(session, [chosen]) == {chosen: frozenset({vera.user_id})}
    left = await chats.get_chat(session, alice, owned)
    assert (left.title, left.owner) == ("Of Bob", None)
    assert (await chats.edit_chat(session, alice, owned, ChatUpdate(title="Ours"))).title == "Ours"
    read = await chats.get_chat(session, vera, chosen)
    assert read.last_message is not None
    assert read.last_message.content == "Remember me"
    assert "Bob" not in [person.name for person in await chats.list_people(session, vera, chosen)]
    for table in (ChatMember, ReadMarker):
        assert (await session.execute(sa.select(table).where(col(table.user_id) == bob.user_id))).all() == []


async def test_coming_back_is_not_belonging_to_what_one_was_chosen_for(
    session: AsyncSession, alice: Actor, bob: Actor, vera: Actor
) -> None:
    chosen = await make(session, vera, "Of Vera", bob)
    await households.remove_member(session, alice, bob.user_id)
    session.add(Membership(household_id=HOUSEHOLD, user_id=bob.user_id, role=Role.MEMBER))
    await session.flush()

    with pytest.raises(NotFound):
        await chats.load(session, bob, chosen)


async def test_what_was_theirs_alone_goes_with_them(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    """Its title would be taken for ever, by what nobody sees."""
    alone = await make(session, bob, "Notes to self", bob)

    await households.remove_member(session, alice, bob.user_id)

    assert await session.get(Chat, alone, populate_existing=True) is None
    assert (await chats.create_chat(session, alice, ChatCreate(title="Notes to self"))).owner


async def test_without_its_author_talk_stays_readable(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    owned = await make(session, bob, "Of Bob")
    await make_message(session, owned, bob, "Remember me")
    await session.execute(sa.delete(User).where(col(User.id) == bob.user_id))
    session.expire_all()

    chat = await chats.get_chat(session, alice, owned)

    assert (chat.owner, chat.unread) == (None, 1)
    assert chat.last_message is not None
    assert (chat.last_message.author, chat.last_message.content) == (None, "Remember me")


# Names


async def test_people_have_a_name_and_a_picture_and_former_members_are_not_there(
    session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    """Chat D32: a client had no way to show who had sent something."""
    picture = make_file(bob, purpose=FilePurpose.AVATAR)
    session.add(picture)
    await session.flush()
    session.add(Avatar(user_id=bob.user_id, file_id=picture.id))
    await session.flush()

    people = await names.find_people(session, [alice.user_id, bob.user_id, None, uuid4()])

    assert people.keys() == {alice.user_id, bob.user_id}
    assert people[alice.user_id].avatar_url is None
    address = people[bob.user_id].avatar_url
    assert address is not None
    assert address.startswith(f"/files/{picture.id}/small?")
