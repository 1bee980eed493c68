"""Chats: where a household talks, who belongs to each, and how far everybody has read it.

What is for all is for every member of the household; what is not, for those who were chosen, and nobody else there
sees it. Staff without a role in the household reads where a role of theirs says so, and does nothing else.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, delete, select, update

from db import insert_new, is_postgresql, unless_taken
from models import (
    Attachment,
    Chat,
    ChatMember,
    Event,
    Household,
    LiveKind,
    Membership,
    Message,
    MessageKind,
    ReadMarker,
    User,
)
from services import audit, events, files, names, notifications, outbox, wording
from services.core import clock
from services.core.errors import Conflict, InvalidInput, NotFound
from services.core.i18n import _, current_locale, use_locale
from services.core.pagination import Page, PageRequest, by_id, by_moment, fetch_page
from services.core.text import fold
from services.permissions import Actor, require
from services.schemas.chats import ChatCreate, ChatRead, ChatUpdate, LastMessage, SharedChat
from services.schemas.names import Person

MAX_CHATS = 200
_SAID = ("title", "is_for_all", "tells_stock", "archived_at")


def first_chat(household: Household) -> Chat:
    """What a new household begins with: a chat for all, which nobody owns, named in the household's language."""
    spoken = current_locale()
    use_locale(household.locale)
    title = _("Everyone")
    use_locale(spoken)
    return Chat(household_id=household.id, title=title, title_key=fold(title))


def visible_to(actor: Actor) -> Sequence[sa.ColumnElement[bool]]:
    """The conditions on `Chat` that let somebody see it."""
    here = col(Chat.household_id) == actor.household_id
    if actor.role is None:
        return (here,)
    is_member = sa.exists().where(
        col(Membership.household_id) == actor.household_id, col(Membership.user_id) == actor.user_id
    )
    chosen = (
        sa.exists()
        .where(col(ChatMember.chat_id) == col(Chat.id), col(ChatMember.user_id) == actor.user_id)
        .correlate(Chat)
    )
    return here, is_member, sa.or_(col(Chat.is_for_all), chosen)


async def load(session: AsyncSession, actor: Actor, chat_id: UUID, *, lock: bool = False) -> Chat:
    """Raises `NotFound` for one that the actor may not see."""
    statement = select(Chat).where(Chat.id == chat_id, *visible_to(actor))
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    chat: Chat | None = (await session.scalars(statement)).one_or_none()
    if chat is None:
        raise NotFound(_("There is no such chat."))
    return chat


def require_open(chat: Chat) -> None:
    """Raises `Conflict` for a chat that was put away: nothing is said in it any more."""
    if chat.archived_at is not None:
        raise Conflict(_("This chat is archived."), code="archived")


async def list_chats(
    session: AsyncSession, actor: Actor, page: PageRequest, *, archived: bool = False
) -> Page[ChatRead]:
    """Those one may see, where something was said last first; with those that were put away when asked."""
    statement = _rows(actor).where(*visible_to(actor))
    if not archived:
        statement = statement.where(col(Chat.archived_at).is_(None))
    keys = (by_moment(_active_at), by_id(col(Chat.id)))
    found = await fetch_page(session, statement, page, *keys, descending=True)
    return replace(found, items=await _read(session, found.items))


async def get_chat(session: AsyncSession, actor: Actor, chat_id: UUID) -> ChatRead:
    """Raises `NotFound`."""
    return await _get(session, actor, chat_id, *visible_to(actor))


async def create_chat(session: AsyncSession, actor: Actor, data: ChatCreate) -> ChatRead:
    """Its maker owns it, and belongs to it. Raises `Conflict` for a title that is taken, and for one chat too many."""
    await _take_turns(session, actor)
    count = await session.scalars(
        select(sa.func.count()).select_from(Chat).where(Chat.household_id == actor.household_id)
    )
    if count.one() >= MAX_CHATS:
        raise Conflict(_("A household can have {count} chats.").format(count=MAX_CHATS))
    chat = Chat(
        household_id=actor.household_id,
        owner_id=actor.user_id,
        title=data.title,
        title_key=fold(data.title),
        is_for_all=data.member_ids is None if data.is_for_all is None else data.is_for_all,
        tells_stock=data.tells_stock,
    )
    await _save(session, chat)
    if not chat.is_for_all:
        await _choose(session, chat, await _checked(session, chat, data.member_ids or ()))
    _record(session, "chats:create", chat, by=actor, after=audit.snapshot(chat, _SAID))
    _tell_changed(session, chat)
    return await _get(session, actor, chat.id)


async def edit_chat(session: AsyncSession, actor: Actor, chat_id: UUID, data: ChatUpdate) -> ChatRead:
    """Rename it, put it away or take it out again, and say who belongs to it. For its owner, and for admins."""
    await _take_turns(session, actor)
    chat = await _load_to_change(session, actor, chat_id)
    before = audit.snapshot(chat, _SAID)
    if data.title is not None:
        chat.title, chat.title_key = data.title, fold(data.title)
    if data.tells_stock is not None:
        chat.tells_stock = data.tells_stock
    if data.is_archived is not None:
        chat.archived_at = (chat.archived_at or clock.now()) if data.is_archived else None
    chat.updated_at = clock.now()
    await _save(session, chat)
    belonged, belong = await _change_members(session, chat, data)
    after = audit.snapshot(chat, _SAID) | belong
    _record(session, "chats:edit", chat, by=actor, before=before | belonged, after=after)
    _tell_changed(session, chat)
    return await _get(session, actor, chat.id)


async def delete_chat(session: AsyncSession, actor: Actor, chat_id: UUID) -> None:
    """For good, with all that was said in it. For its owner, and for admins."""
    chat = await _load_to_change(session, actor, chat_id)
    _record(session, "chats:delete", chat, by=actor, before=audit.snapshot(chat, _SAID))
    await _delete(session, [chat])


async def mark_read(session: AsyncSession, actor: Actor, chat_id: UUID, message_id: UUID) -> None:
    """Up to this message, and with it. What one has read once stays so. Raises `NotFound`."""
    chat = await load(session, actor, chat_id)
    seq = await session.scalar(select(Message.seq).where(Message.id == message_id, Message.chat_id == chat.id))
    if seq is None:
        raise NotFound(_("There is no such message."))
    if await advance(session, actor, chat, seq):
        outbox.tell(
            session,
            LiveKind.CHAT_READ,
            household_id=chat.household_id,
            subject_id=chat.id,
            more={"chat_id": str(chat.id), "user_id": str(actor.user_id), "seq": seq},
        )


async def advance(session: AsyncSession, actor: Actor, chat: Chat, seq: int) -> bool:
    """Mark a chat as read up to a number that it has; whether that was news.

    Telling is the caller's: whoever hears a message knows that its author has read up to it.
    """
    is_news = await _mark(session, [(chat.id, actor.user_id, seq)])
    if is_news:
        await notifications.mark_mentions_read(session, actor, chat.id, up_to=seq)
    return is_news


async def count_unread(session: AsyncSession, actor: Actor) -> int:
    """In all chats one may see that were not put away."""
    statement = (
        sa.select(sa.func.coalesce(sa.func.sum(_unread(actor)), 0))
        .select_from(Chat)
        .outerjoin(ReadMarker, _marker_of(actor))
        .where(*visible_to(actor), col(Chat.archived_at).is_(None))
    )
    return int((await session.execute(statement)).scalar_one())


async def find_hearers(session: AsyncSession, chat_ids: Collection[UUID]) -> dict[UUID, frozenset[UUID] | None]:
    """Who hears what happens in these chats: None for all members of the household. Those that are gone are missing."""
    rows = await session.execute(
        sa.select(col(Chat.id), col(Chat.is_for_all), col(ChatMember.user_id))
        .outerjoin(ChatMember, col(ChatMember.chat_id) == col(Chat.id))
        .where(col(Chat.id).in_(chat_ids))
    )
    found: dict[UUID, frozenset[UUID] | None] = {}
    for chat_id, is_for_all, user_id in rows:
        chosen = found.get(chat_id) or frozenset()
        found[chat_id] = None if is_for_all else chosen | ({user_id} if user_id else frozenset())
    return found


async def find_shared(session: AsyncSession, chat_ids: Collection[UUID]) -> dict[UUID, SharedChat]:
    """Those of these chats that there are, of any household: for those who know already who may see them."""
    found = (await session.scalars(select(Chat).where(col(Chat.id).in_(chat_ids)))).all()
    chosen = await _list_chosen(session, found)
    owners = {chat.owner_id for chat in found}
    people = await names.find_people(session, [*owners, *(each for ids in chosen.values() for each in ids)])
    return {chat.id: SharedChat(**_shared(chat, chosen, people)) for chat in found}


async def list_people(session: AsyncSession, actor: Actor, chat_id: UUID) -> list[Person]:
    """Who belongs to a chat, by name. Raises `NotFound`."""
    chat = await load(session, actor, chat_id)
    people = await names.find_people(session, await _belonging(session, chat))
    return sorted(people.values(), key=lambda person: (fold(person.name), person.id))


async def list_readers(session: AsyncSession, actor: Actor, chat_id: UUID) -> list[tuple[Person, int]]:
    """Who belongs to a chat, by name, and up to which message each has read it. Raises `NotFound`."""
    people = await list_people(session, actor, chat_id)
    rows = await session.execute(select(ReadMarker.user_id, ReadMarker.seq).where(ReadMarker.chat_id == chat_id))
    markers = dict(rows.tuples().all())
    return [(person, markers.get(person.id, 0)) for person in people]


async def welcome(session: AsyncSession, household_id: UUID, user_id: UUID) -> None:
    """To a new member of the household, what was said before counts as read."""
    rows = await session.execute(
        select(Chat.id, Chat.last_seq).where(Chat.household_id == household_id, col(Chat.is_for_all))
    )
    await _mark(session, [(chat_id, user_id, last_seq) for chat_id, last_seq in rows.tuples()])


async def forget_member(session: AsyncSession, household_id: UUID, user_id: UUID) -> None:
    """Somebody belongs to the household no more: what they owned is nobody's, and what was theirs alone is deleted."""
    here = select(Chat.id).where(Chat.household_id == household_id)
    await session.execute(
        update(Chat).where(col(Chat.household_id) == household_id, col(Chat.owner_id) == user_id).values(owner_id=None)
    )
    for table in (ChatMember, ReadMarker):
        await session.execute(delete(table).where(col(table.user_id) == user_id, col(table.chat_id).in_(here)))
    somebody = sa.exists().where(col(ChatMember.chat_id) == col(Chat.id)).correlate(Chat)
    left = await session.scalars(
        select(Chat).where(Chat.household_id == household_id, col(Chat.is_for_all).is_(False), ~somebody)
    )
    await _delete(session, left.all())


# Who belongs to it


async def _change_members(session: AsyncSession, chat: Chat, data: ChatUpdate) -> tuple[dict[str, Any], dict[str, Any]]:
    """Who belonged to it and who does now, where that was asked for."""
    if data.is_for_all is None and data.member_ids is None:
        return {}, {}
    before = await _belonging(session, chat)
    was_for_all, chat.is_for_all = chat.is_for_all, data.is_for_all is True
    if chat.is_for_all:
        after = await _members(session, chat.household_id)
        await session.execute(delete(ChatMember).where(col(ChatMember.chat_id) == chat.id))
    else:
        named = data.member_ids if data.member_ids is not None else () if was_for_all else before
        after = await _checked(session, chat, named)
        await _choose(session, chat, after)
    await session.flush()
    await _mark(session, [(chat.id, user_id, chat.last_seq) for user_id in after - before])
    if gone := before - after:
        # To them it is as if it were deleted.
        _tell_deleted(session, chat, gone)
    return {"member_ids": _listed(before)}, {"member_ids": _listed(after)}


async def _belonging(session: AsyncSession, chat: Chat) -> set[UUID]:
    """Members of the household all of them, whatever was chosen once."""
    members = await _members(session, chat.household_id)
    if chat.is_for_all:
        return members
    chosen = await session.scalars(select(ChatMember.user_id).where(ChatMember.chat_id == chat.id))
    return members & set(chosen)


async def _members(session: AsyncSession, household_id: UUID) -> set[UUID]:
    return set(await session.scalars(select(Membership.user_id).where(Membership.household_id == household_id)))


async def _checked(session: AsyncSession, chat: Chat, chosen: Iterable[UUID]) -> set[UUID]:
    """With its owner. Raises `InvalidInput`."""
    members = await _members(session, chat.household_id)
    wanted = set(chosen)
    if not wanted <= members:
        raise InvalidInput({"member_ids": _("Only members of the household can belong to a chat.")})
    if chat.owner_id in members:
        wanted.add(chat.owner_id)
    if not wanted:
        raise InvalidInput({"member_ids": _("Choose who belongs to it.")})
    return wanted


async def _choose(session: AsyncSession, chat: Chat, chosen: set[UUID]) -> None:
    """Let them belong to it, and nobody else."""
    of_chat = col(ChatMember.chat_id) == chat.id
    await session.execute(delete(ChatMember).where(of_chat, col(ChatMember.user_id).not_in(chosen)))
    rows = [{"chat_id": chat.id, "user_id": user_id, "joined_at": clock.now()} for user_id in chosen]
    await session.execute(insert_new(session, ChatMember), rows)


async def _list_chosen(session: AsyncSession, found: Iterable[Chat]) -> dict[UUID, list[UUID]]:
    """By chat, in the order of their names."""
    ids = [chat.id for chat in found if not chat.is_for_all]
    rows = await session.execute(
        select(ChatMember.chat_id, ChatMember.user_id)
        .join(User, col(User.id) == col(ChatMember.user_id))
        .where(col(ChatMember.chat_id).in_(ids))
        .order_by(col(User.name), col(User.id))
    )
    chosen: dict[UUID, list[UUID]] = {}
    for chat_id, user_id in rows.tuples():
        chosen.setdefault(chat_id, []).append(user_id)
    return chosen


async def _take_turns(session: AsyncSession, actor: Actor) -> None:
    """Let those who make chats or change them wait for each other, for those who leave, and for those who talk."""
    await session.scalars(select(Household.id).where(Household.id == actor.household_id).with_for_update())


# How far everybody has read


def _marker_of(actor: Actor) -> sa.ColumnElement[bool]:
    return sa.and_(col(ReadMarker.chat_id) == col(Chat.id), col(ReadMarker.user_id) == actor.user_id)


def _unread(actor: Actor) -> sa.ColumnElement[int]:
    """How many messages lie behind one's marker that are there and not by oneself, nor tell what one did."""
    if actor.role is None:
        return sa.literal(0)
    by = sa.func.coalesce(col(Message.author_id), col(Event.actor_id))
    return (
        sa.select(sa.func.count())
        .select_from(Message)
        .outerjoin(Event, col(Event.id) == col(Message.event_id))
        .where(col(Message.chat_id) == col(Chat.id), col(Message.seq) > sa.func.coalesce(col(ReadMarker.seq), 0))
        .where(col(Message.deleted_at).is_(None), by.is_distinct_from(actor.user_id))
        .correlate(Chat, ReadMarker)
        .scalar_subquery()
    )


async def _mark(session: AsyncSession, read: Sequence[tuple[UUID, UUID, int]]) -> bool:
    """Chat, user, and up to where. Whether that was further than before for any: markers that race never go back."""
    if not read:
        return False
    dialect = postgresql if is_postgresql(session) else sqlite
    now = clock.now()
    new: Any = dialect.insert(ReadMarker.__table__).values(  # type: ignore[attr-defined]
        [{"chat_id": chat_id, "user_id": user_id, "seq": seq, "read_at": now} for chat_id, user_id, seq in read]
    )
    moved = await session.execute(
        new.on_conflict_do_update(
            index_elements=["chat_id", "user_id"],
            set_={"seq": new.excluded.seq, "read_at": new.excluded.read_at},
            where=col(ReadMarker.seq) < new.excluded.seq,
        ).returning(col(ReadMarker.seq))
    )
    return bool(moved.all())


# Reading


_newest = aliased(Message)
_active_at = sa.func.coalesce(col(_newest.created_at), col(Chat.created_at))
_newest_seq = (
    sa.select(sa.func.max(col(Message.seq)))
    .where(col(Message.chat_id) == col(Chat.id), col(Message.deleted_at).is_(None))
    .correlate(Chat)
    .scalar_subquery()
)
_attachments = (
    sa.select(sa.func.count()).where(col(Attachment.message_id) == col(_newest.id)).correlate(_newest).scalar_subquery()
)


def _rows(actor: Actor) -> sa.Select[Any]:
    return (
        sa.select(Chat, sa.func.coalesce(col(ReadMarker.seq), 0), _unread(actor), _newest, _attachments)
        .outerjoin(ReadMarker, _marker_of(actor))
        .outerjoin(_newest, sa.and_(col(_newest.chat_id) == col(Chat.id), col(_newest.seq) == _newest_seq))
    )


async def _get(session: AsyncSession, actor: Actor, chat_id: UUID, *conditions: sa.ColumnElement[bool]) -> ChatRead:
    """Without conditions for somebody who has just changed it, even if they took themselves out of it."""
    rows = (await session.execute(_rows(actor).where(col(Chat.id) == chat_id, *conditions))).all()
    if not rows:
        raise NotFound(_("There is no such chat."))
    return (await _read(session, rows))[0]


async def _read(session: AsyncSession, rows: Sequence[Any]) -> list[ChatRead]:
    found = [row[0] for row in rows]
    newest = [message for _chat, _seq, _count, message, _files in rows if message]
    chosen = await _list_chosen(session, found)
    people = await names.find_people(
        session,
        [
            *(chat.owner_id for chat in found),
            *(message.author_id for message in newest),
            *(user_id for ids in chosen.values() for user_id in ids),
        ],
    )
    booked = [message.event_id for message in newest if message.event_id]
    bookings = await events.find_together(session, booked) if booked else {}

    def last(message: Message | None, attachments: int) -> LastMessage | None:
        if message is None:
            return None
        booking = bookings.get(message.event_id) if message.event_id else None
        is_system = message.kind is MessageKind.SYSTEM
        return LastMessage(
            id=message.id,
            seq=message.seq,
            kind=message.kind,
            author=people.get(message.author_id) if message.author_id else None,
            content=wording.booked_together(booking) if is_system and booking else message.content,
            attachments=attachments,
            created_at=message.created_at,
        )

    return [
        ChatRead(
            **_shared(chat, chosen, people), unread=unread, read_seq=read_seq, last_message=last(message, attachments)
        )
        for chat, read_seq, unread, message, attachments in rows
    ]


def _shared(chat: Chat, chosen: dict[UUID, list[UUID]], people: dict[UUID, Person]) -> dict[str, Any]:
    return {
        **chat.model_dump(exclude={"owner_id"}),
        "owner": people.get(chat.owner_id) if chat.owner_id else None,
        "members": [people[user_id] for user_id in chosen.get(chat.id, ()) if user_id in people],
    }


# Changing


async def _load_to_change(session: AsyncSession, actor: Actor, chat_id: UUID) -> Chat:
    """Raises `NotFound`, and `PermissionDenied` for what is somebody else's."""
    chat = await load(session, actor, chat_id, lock=True)
    if chat.owner_id != actor.user_id:
        require(actor, "chats:edit_others")
    return chat


async def _save(session: AsyncSession, chat: Chat) -> None:
    taken = _("There is already a chat “{title}” here.").format(title=chat.title)
    async with unless_taken(session, Conflict(taken, code="duplicate")):
        session.add(chat)


async def _delete(session: AsyncSession, gone: Sequence[Chat]) -> None:
    """Who is to hear of it is decided now: later nobody knows who belonged to it."""
    ids = [chat.id for chat in gone]
    hearers = await find_hearers(session, ids)
    for chat in gone:
        _tell_deleted(session, chat, hearers.get(chat.id))
    sent = (await session.scalars(select(Attachment.file_id).join(Message).where(col(Message.chat_id).in_(ids)))).all()
    await session.execute(delete(Chat).where(col(Chat.id).in_(ids)))
    # Messages before files, as by whoever deletes one of them at the same time.
    await files.release(session, sent)


def _tell_changed(session: AsyncSession, chat: Chat) -> None:
    outbox.tell(
        session, LiveKind.CHAT_CHANGED, household_id=chat.household_id, subject_id=chat.id, chat_id=str(chat.id)
    )


def _tell_deleted(session: AsyncSession, chat: Chat, hearers: Collection[UUID] | None) -> None:
    heard = None if hearers is None else _listed(hearers)
    outbox.tell(session, LiveKind.CHAT_DELETED, household_id=chat.household_id, subject_id=chat.id, hearers=heard)


def _listed(ids: Iterable[UUID]) -> list[str]:
    return sorted(map(str, ids))


def _record(
    session: AsyncSession,
    action: str,
    chat: Chat,
    *,
    by: Actor,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Of a chat that is not for all, admins read in the log that there is one, not what it is called."""
    hidden = frozenset() if chat.is_for_all else {"title"}
    before, after = (
        {name: value for name, value in (values or {}).items() if name not in hidden} for values in (before, after)
    )
    audit.record(
        session,
        action,
        by=by,
        subject_type="chat",
        subject_id=chat.id,
        subject_name=chat.title if chat.is_for_all else "",
        household_id=chat.household_id,
        before=before,
        after=after,
    )
