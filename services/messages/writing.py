"""Saying something in a chat, and what one does with what was said. Whoever sees a chat may talk in it."""

from collections.abc import Sequence
from uuid import UUID

import emoji
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from db import insert_new
from models import Attachment, Chat, Household, Lot, Mention, Message, MessageRevision, Product, Reaction
from services import audit, chats, files, guard, mentions, stock_talk
from services.core import clock
from services.core.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from services.core.i18n import _
from services.core.text import fold, is_blank
from services.messages.reading import written
from services.messages.text import find_named
from services.permissions import Actor, require
from services.schemas.talk import MessageCreate, MessageRead, MessageUpdate

MAX_EMOJI = 20


async def post(session: AsyncSession, actor: Actor, chat_id: UUID, data: MessageCreate) -> MessageRead:
    """Say something. Raises `Conflict` in a chat that was put away, and `LimitExceeded`."""
    chat = await _enter(session, actor, chat_id)
    await _may_talk(session, actor, chat)
    content = _content(data.content, is_alone=not data.attachment_ids)
    await _check_links(session, actor, chat, data)
    attached = await files.find_attachable(session, actor, data.attachment_ids)
    named = await _find_named(session, actor, chat, content)

    message = Message(
        chat_id=chat.id,
        seq=await _next_seq(session, chat),
        author_id=actor.user_id,
        content=content,
        content_key=fold(content),
        reply_to_id=data.reply_to_id,
        product_id=data.product_id,
        lot_id=data.lot_id,
    )
    session.add(message)
    await session.flush()  # what comes with it refers to it
    session.add_all(
        Attachment(message_id=message.id, file_id=file.id, position=place) for place, file in enumerate(attached)
    )
    session.add_all(Mention(message_id=message.id, user_id=user_id) for user_id in named)
    await mentions.tell(session, message, named)
    await chats.advance(session, actor, chat, message.seq)
    return await _changed(session, chat, message)


async def edit(
    session: AsyncSession, actor: Actor, chat_id: UUID, message_id: UUID, data: MessageUpdate
) -> MessageRead:
    """Say it otherwise; what it said is kept for audit. For its author alone."""
    chat, message = await _hold(session, actor, chat_id, message_id)
    if message.author_id != actor.user_id:
        raise PermissionDenied(_("Only its author can edit a message."))
    await _may_talk(session, actor, chat)
    attached = sa.exists().where(col(Attachment.message_id) == message.id)
    content = _content(data.content, is_alone=not (await session.execute(sa.select(attached))).scalar_one())
    if content == message.content:
        return await written(session, message)

    _keep_revision(session, message)
    message.content, message.content_key, message.edited_at = content, fold(content), clock.now()
    named = await _find_named(session, actor, chat, content)
    await session.execute(
        sa.delete(Mention).where(col(Mention.message_id) == message.id, col(Mention.user_id).not_in(named))
    )
    if named:
        rows = [{"message_id": message.id, "user_id": user_id} for user_id in named]
        await session.execute(insert_new(session, Mention), rows)
    await mentions.tell(session, message, named)
    return await _changed(session, chat, message)


async def delete(session: AsyncSession, actor: Actor, chat_id: UUID, message_id: UUID) -> None:
    """Take the words away, and what came with them; its place stays. For its author, and for admins."""
    chat, message = await _hold(session, actor, chat_id, message_id, is_there=False)
    if message.author_id != actor.user_id:
        require(actor, "messages:delete_others")
    if message.deleted_at is not None:
        return
    _keep_revision(session, message)
    message.content = message.content_key = ""
    message.reply_to_id = message.product_id = message.lot_id = message.event_id = None
    message.deleted_at = clock.now()
    gone = await session.execute(
        sa.delete(Attachment).where(col(Attachment.message_id) == message.id).returning(col(Attachment.file_id))
    )
    await files.release(session, gone.scalars().all())
    for table in (Mention, Reaction):
        await session.execute(sa.delete(table).where(col(table.message_id) == message.id))
    audit.record(
        session,
        "messages:delete",
        by=actor,
        subject_type="message",
        subject_id=message.id,
        household_id=chat.household_id,
    )
    stock_talk.tell(session, chat.household_id, message.id, chat.id)


async def react(session: AsyncSession, actor: Actor, chat_id: UUID, message_id: UUID, symbol: str) -> MessageRead:
    """Put an emoji under a message. Raises `Conflict` when there are too many different ones."""
    symbol = _emoji(symbol)
    chat, message = await _hold(session, actor, chat_id, message_id)
    await _may_talk(session, actor, chat)
    used = await session.scalars(select(Reaction.emoji).where(Reaction.message_id == message.id).distinct())
    different = set(used)
    if symbol not in different and len(different) >= MAX_EMOJI:
        raise Conflict(_("A message takes {count} different reactions.").format(count=MAX_EMOJI))
    put = await session.execute(
        insert_new(session, Reaction)
        .values(message_id=message.id, user_id=actor.user_id, emoji=symbol, created_at=clock.now())
        .returning(col(Reaction.emoji))
    )
    if put.first() is None:
        return await written(session, message)
    return await _changed(session, chat, message)


async def unreact(session: AsyncSession, actor: Actor, chat_id: UUID, message_id: UUID, symbol: str) -> MessageRead:
    """Take one's own emoji away again, if it is there."""
    symbol = _emoji(symbol)
    chat, message = await _hold(session, actor, chat_id, message_id)
    await _may_talk(session, actor, chat)
    taken = await session.execute(
        sa.delete(Reaction)
        .where(
            col(Reaction.message_id) == message.id,
            col(Reaction.user_id) == actor.user_id,
            col(Reaction.emoji) == symbol,
        )
        .returning(col(Reaction.emoji))
    )
    if taken.first() is None:
        return await written(session, message)
    return await _changed(session, chat, message)


async def _enter(session: AsyncSession, actor: Actor, chat_id: UUID) -> Chat:
    """The chat. From here on, whoever would put somebody out of it or of the household, or it away, waits.

    They lock the household first, too. Raises `NotFound`.
    """
    here = select(Household.id).where(Household.id == actor.household_id)
    await session.scalars(here.with_for_update(read=True, key_share=True))
    return await chats.load(session, actor, chat_id)


async def _may_talk(session: AsyncSession, actor: Actor, chat: Chat) -> None:
    """Not in what was put away, nor as staff who reads there, nor too often."""
    if actor.role is None:
        raise PermissionDenied(_("Only members talk here."))
    chats.require_open(chat)
    await guard.spend_within(session, guard.TALK, f"{actor.household_id}:{actor.user_id}")


async def _hold(
    session: AsyncSession, actor: Actor, chat_id: UUID, message_id: UUID, *, is_there: bool = True
) -> tuple[Chat, Message]:
    """Lock a message. Raises `NotFound`, and `Conflict` for one that was deleted."""
    chat = await _enter(session, actor, chat_id)
    statement = select(Message).where(Message.chat_id == chat.id, Message.id == message_id)
    held = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    message: Message | None = (await session.scalars(held)).one_or_none()
    if message is None:
        raise NotFound(_("There is no such message."))
    if is_there and message.deleted_at is not None:
        raise Conflict(_("This message was deleted."), code="deleted")
    return chat, message


async def _next_seq(session: AsyncSession, chat: Chat) -> int:
    """The number of the next message. From here on, whoever else talks in this chat waits until the commit."""
    seq: int | None = await session.scalar(
        sa.update(Chat)
        .where(col(Chat.id) == chat.id)
        .values(last_seq=col(Chat.last_seq) + 1)
        .returning(col(Chat.last_seq))
        .execution_options(synchronize_session=False)
    )
    if seq is None:  # deleted meanwhile
        raise NotFound(_("There is no such chat."))
    return seq


def _content(typed: str, *, is_alone: bool) -> str:
    """What was typed, or nothing when it cannot be seen. Raises `InvalidInput` when there must be something."""
    if not is_blank(typed):
        return typed
    if is_alone:
        raise InvalidInput({"content": _("This is needed.")})
    return ""


async def _check_links(session: AsyncSession, actor: Actor, chat: Chat, data: MessageCreate) -> None:
    """Raises `InvalidInput`. Holds what it is about: before the chat, as whoever books does whose booking is said."""
    if data.reply_to_id:
        answered = select(Message.id).where(Message.chat_id == chat.id, Message.id == data.reply_to_id)
        if (await session.scalars(answered)).first() is None:
            raise InvalidInput({"reply_to_id": _("There is no such message.")})
    if data.product_id and not await _hold_here(session, actor, Product, data.product_id):
        raise InvalidInput({"product_id": _("There is no such product.")})
    if data.lot_id and not await _hold_here(session, actor, Lot, data.lot_id):
        raise InvalidInput({"lot_id": _("There is no such lot.")})


async def _hold_here(session: AsyncSession, actor: Actor, table: type[Product | Lot], linked_id: UUID) -> bool:
    found = select(table.id).where(table.household_id == actor.household_id, table.id == linked_id)
    return (await session.scalars(found.with_for_update(read=True, key_share=True))).first() is not None


async def _find_named(session: AsyncSession, actor: Actor, chat: Chat, content: str) -> Sequence[UUID]:
    if "@" not in content:
        return []
    people = await chats.list_people(session, actor, chat.id)
    return [person.id for person in find_named(content, people)]


def _emoji(symbol: str) -> str:
    """In the one spelling that shows as a picture. Raises `InvalidInput`."""
    if not emoji.is_emoji(symbol):
        raise InvalidInput({"emoji": _("Choose one emoji.")})
    return emoji.emojize(emoji.demojize(symbol))


def _keep_revision(session: AsyncSession, message: Message) -> None:
    session.add(MessageRevision(message_id=message.id, content=message.content, replaced_at=clock.now()))


async def _changed(session: AsyncSession, chat: Chat, message: Message) -> MessageRead:
    await session.flush()
    stock_talk.tell(session, chat.household_id, message.id, chat.id)
    return await written(session, message)
