"""Messages as they are read: a page of a chat, what was searched for, one's own to take along.

A page costs the same number of statements however much comes with its messages.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from db import like, session_scope
from models import (
    Attachment,
    Category,
    Chat,
    ChatMember,
    Household,
    Lot,
    Membership,
    Mention,
    Message,
    Product,
    Reaction,
    StoredFile,
    Unit,
)
from services import chats, events, names, products, stock, wording
from services.core.errors import InvalidInput, NotFound
from services.core.i18n import _
from services.core.numbers import plain
from services.core.pagination import Page, PageRequest, by_id, decode_cursor, encode_cursor, fetch_page
from services.core.text import fold
from services.permissions import Account, Actor
from services.schemas.files import FileRead, picture
from services.schemas.names import Person
from services.schemas.stock import EventGroup, LotRead
from services.schemas.talk import (
    ExportedMessage,
    FoundMessage,
    MessageChat,
    MessageEvent,
    MessageFilters,
    MessageLot,
    MessagePage,
    MessageProduct,
    MessageReaction,
    MessageRead,
    MessageSearch,
    RepliedTo,
)

OLDER, NEWER = "older", "newer"
LARGEST = 2**31 - 1
BATCH = 500


async def list_messages(
    session: AsyncSession, actor: Actor, chat_id: UUID, page: PageRequest, filters: MessageFilters
) -> MessagePage:
    """What was said in a chat, newest first; with `around`, the page that one message is in the middle of."""
    chat = await chats.load(session, actor, chat_id)
    statement = _MESSAGES.where(col(Message.chat_id) == chat.id)
    if filters.q:
        statement = statement.where(_contains(filters.q))
    total = await _count(session, statement) if page.total else None

    if page.after is not None:
        direction, seq = decode_cursor(page.after, (_direction, _number))
        if direction == NEWER:
            rows, more = await _newer(session, statement, seq, page.limit)
            return await _page(session, rows, has_older=True, has_newer=more, total=total)
        rows, more = await _older(session, statement, seq, page.limit)
        return await _page(session, rows, has_older=more, has_newer=True, total=total)
    if filters.around is None:
        rows, more = await _older(session, statement, None, page.limit)
        return await _page(session, rows, has_older=more, has_newer=False, total=total)

    seq = await _seq_of(session, chat.id, filters.around)
    newer, has_newer = await _newer(session, statement, seq, page.limit // 2)
    older, has_older = await _older(session, statement, seq + 1, page.limit - len(newer))
    return await _page(session, [*newer, *older], has_older=has_older, has_newer=has_newer, total=total)


async def search(session: AsyncSession, actor: Actor, page: PageRequest, filters: MessageSearch) -> Page[FoundMessage]:
    """In all chats one sees, newest first; without words, all that was said."""
    statement = _MESSAGES.add_columns(col(Chat.title)).where(*chats.visible_to(actor))
    if filters.q:
        statement = statement.where(_contains(filters.q))
    found = await fetch_page(session, statement, page, by_id(col(Message.id)), descending=True)
    titles = {row[0].id: row[-1] for row in found.items}
    read = await _read(session, [row[:-1] for row in found.items])
    items = [
        FoundMessage(**in_words(message).__dict__, chat=MessageChat(id=message.chat_id, title=titles[message.id]))
        for message in read
    ]
    return replace(found, items=items)


async def get_message(session: AsyncSession, actor: Actor, chat_id: UUID, message_id: UUID) -> MessageRead:
    """Raises `NotFound`."""
    chat = await chats.load(session, actor, chat_id)
    message = (await find_shared(session, [message_id])).get(message_id)
    if message is None or message.chat_id != chat.id:
        raise NotFound(_("There is no such message."))
    return in_words(message)


async def written(session: AsyncSession, message: Message) -> MessageRead:
    """One that is held just now, as its writer reads it."""
    return in_words((await find_shared(session, [message.id]))[message.id])


async def find_shared(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, MessageRead]:
    """Those of these that there are, of any chat: for those who know already who may see them.

    Nothing in them depends on the reader but the words of the system: see `in_words`.
    """
    statement = _MESSAGES.add_columns(_COMES_WITH_SOMETHING).where(col(Message.id).in_(ids))
    rows = (await session.execute(statement.execution_options(populate_existing=True))).all()
    are_plain = not any(row[-1] for row in rows)
    return {message.id: message for message in await _read(session, [row[:-1] for row in rows], are_plain=are_plain)}


def in_words(message: MessageRead) -> MessageRead:
    """The same, with what the system says in the language of the moment."""
    changes: dict[str, Any] = {}
    if message.booking:
        changes["content"] = wording.booked_together(message.booking)
    if message.reply_to and message.reply_to.booking:
        said = wording.excerpt(wording.booked_together(message.reply_to.booking))
        changes["reply_to"] = message.reply_to.model_copy(update={"content": said})
    return message.model_copy(update=changes) if changes else message


async def export(account: Account) -> AsyncIterator[str]:
    """All that one wrote, wherever, oldest first, as JSON in pieces. Holds no connection while a piece is sent."""
    yield "["
    after: UUID | None = None
    while True:
        async with session_scope(read_only=True) as session:
            written = await _written_by(session, account.user_id, after)
        if written:
            lines = (json.dumps(each.model_dump(mode="json"), ensure_ascii=False) for each in written)
            yield ("\n" if after is None else ",\n") + ",\n".join(lines)
            after = written[-1].id
        if len(written) < BATCH:
            yield "\n]\n"
            return


# Pages


Rows = Sequence[Sequence[Any]]


async def _older(session: AsyncSession, statement: sa.Select[Any], before: int | None, limit: int) -> tuple[Rows, bool]:
    if before is not None:
        statement = statement.where(col(Message.seq) < before)
    rows = (await session.execute(statement.order_by(col(Message.seq).desc()).limit(limit + 1))).all()
    return rows[:limit], len(rows) > limit


async def _newer(session: AsyncSession, statement: sa.Select[Any], after: int, limit: int) -> tuple[Rows, bool]:
    statement = statement.where(col(Message.seq) > after).order_by(col(Message.seq)).limit(limit + 1)
    rows = (await session.execute(statement)).all()
    return rows[:limit][::-1], len(rows) > limit


async def _page(
    session: AsyncSession, rows: Rows, *, has_older: bool, has_newer: bool, total: int | None
) -> MessagePage:
    items = [in_words(message) for message in await _read(session, rows)]
    return MessagePage(
        items=items,
        next=encode_cursor((OLDER, items[-1].seq)) if items and has_older else None,
        previous=encode_cursor((NEWER, items[0].seq)) if items and has_newer else None,
        total=total,
    )


async def _count(session: AsyncSession, statement: sa.Select[Any]) -> int:
    count = statement.with_only_columns(sa.func.count(), maintain_column_froms=True)
    return int((await session.execute(count)).scalar_one())


async def _seq_of(session: AsyncSession, chat_id: UUID, message_id: UUID) -> int:
    statement = sa.select(col(Message.seq)).where(col(Message.chat_id) == chat_id, col(Message.id) == message_id)
    seq = (await session.execute(statement)).scalar_one_or_none()
    if seq is None:
        raise NotFound(_("There is no such message."))
    return seq


def _direction(text: str) -> str:
    if text not in {OLDER, NEWER}:
        raise ValueError(text)
    return text


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number <= LARGEST:
        raise ValueError(text)
    return number


def _contains(q: str) -> sa.ColumnElement[bool]:
    if not fold(q):
        raise InvalidInput({"q": _("This is needed.")})
    return col(Message.content_key).like(like(fold(q)), escape="\\")


# What comes with messages


_answered = aliased(Message)
_MESSAGES = (
    sa.select(Message, _answered, col(Household.time_zone), col(Household.soon_days))
    .join(Chat, col(Chat.id) == col(Message.chat_id))
    .join(Household, col(Household.id) == col(Chat.household_id))
    .outerjoin(_answered, col(_answered.id) == col(Message.reply_to_id))
)


# Most come alone, and everybody in the chat waits for the next one.
_COMES_WITH_SOMETHING = sa.or_(
    *(
        sa.exists().where(col(table.message_id) == col(Message.id)).correlate(Message)
        for table in (Mention, Reaction, Attachment)
    )
)


async def _read(session: AsyncSession, rows: Rows, *, are_plain: bool = False) -> list[MessageRead]:
    """From rows of `_MESSAGES`. `are_plain`: nobody is named in them, and they have neither reactions nor files."""
    messages: list[Message] = [row[0] for row in rows]
    ids = [message.id for message in messages]
    if not ids:
        return []
    named = {} if are_plain else await _find_named(session, ids)
    reactions = {} if are_plain else await _find_reactions(session, ids)
    attachments = {} if are_plain else await _find_attachments(session, ids)
    linked = await _find_products(session, {message.product_id for message in messages if message.product_id})
    lot_ids = {message.lot_id for message in messages if message.lot_id}
    lots = await stock.find_shared(session, lot_ids) if lot_ids else {}
    event_ids = {message.event_id for row in rows for message in row[:2] if message and message.event_id}
    bookings = await events.find_together(session, event_ids) if event_ids else {}
    people = await names.find_people(
        session,
        [
            *(message.author_id for row in rows for message in row[:2] if message),
            *(user_id for user_ids in named.values() for user_id in user_ids),
        ],
    )
    read = []
    for message, answered, time_zone, soon_days in rows:
        lot = lots.get(message.lot_id) if message.lot_id else None
        booking = bookings.get(message.event_id) if message.event_id else None
        read.append(
            MessageRead(
                id=message.id,
                chat_id=message.chat_id,
                seq=message.seq,
                kind=message.kind,
                author=_person(people, message.author_id),
                content=message.content,
                created_at=message.created_at,
                edited_at=message.edited_at,
                deleted_at=message.deleted_at,
                reply_to=_replied_to(answered, people, bookings) if answered else None,
                product=linked.get(message.product_id) if message.product_id else None,
                lot=_lot(lot.seen_by(time_zone=time_zone, soon_days=soon_days)) if lot else None,
                mentions=[people[user_id] for user_id in named.get(message.id, ()) if user_id in people],
                reactions=reactions.get(message.id, []),
                attachments=attachments.get(message.id, []),
                event=_event(booking) if booking else None,
                booking=booking,
            )
        )
    return read


async def _find_named(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    rows = await session.execute(
        sa.select(col(Mention.message_id), col(Mention.user_id))
        .where(col(Mention.message_id).in_(ids))
        .order_by(col(Mention.user_id))
    )
    found: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for message_id, user_id in rows.tuples():
        found[message_id].append(user_id)
    return found


async def _find_reactions(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, list[MessageReaction]]:
    rows = await session.execute(
        sa.select(col(Reaction.message_id), col(Reaction.emoji), col(Reaction.user_id))
        .where(col(Reaction.message_id).in_(ids))
        .order_by(col(Reaction.created_at), col(Reaction.user_id))
    )
    found: defaultdict[UUID, dict[str, MessageReaction]] = defaultdict(dict)
    for message_id, emoji, user_id in rows.tuples():
        found[message_id].setdefault(emoji, MessageReaction(emoji=emoji, user_ids=[])).user_ids.append(user_id)
    return {message_id: list(reactions.values()) for message_id, reactions in found.items()}


async def _find_attachments(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, list[FileRead]]:
    rows = await session.execute(
        sa.select(col(Attachment.message_id), StoredFile)
        .join(StoredFile, col(StoredFile.id) == col(Attachment.file_id))
        .where(col(Attachment.message_id).in_(ids))
        .order_by(col(Attachment.position), col(Attachment.file_id))
    )
    found: defaultdict[UUID, list[FileRead]] = defaultdict(list)
    for message_id, file in rows.tuples():
        found[message_id].append(FileRead.of(file))
    return found


async def _find_products(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, MessageProduct]:
    if not ids:
        return {}
    in_stock = (
        sa.select(sa.func.coalesce(sa.func.sum(sa.type_coerce(col(Lot.quantity), sa.BigInteger)), 0))
        .where(col(Lot.product_id) == col(Product.id), col(Lot.quantity) > 0)
        .scalar_subquery()
    )
    rows = await session.execute(
        sa.select(
            col(Product.id),
            col(Product.name),
            sa.func.coalesce(col(Category.icon), ""),
            products.PICTURE,
            in_stock,
            col(Unit.code),
            col(Unit.name),
            col(Unit.plural),
            col(Product.archived_at),
        )
        .join(Unit, col(Unit.id) == col(Product.unit_id))
        .outerjoin(Category, col(Category.id) == col(Product.category_id))
        .where(col(Product.id).in_(ids))
    )
    return {
        product_id: MessageProduct(
            id=product_id,
            name=name,
            icon=icon,
            picture=picture(picture_id),
            quantity=plain(Decimal(int(millionths)).scaleb(-6)),
            unit=unit,
            unit_name=unit_name,
            unit_plural=unit_plural,
            is_used_up=not millionths,
            is_archived=archived_at is not None,
        )
        for product_id, name, icon, picture_id, millionths, unit, unit_name, unit_plural, archived_at in rows
    }


def _lot(lot: LotRead) -> MessageLot:
    return MessageLot(
        id=lot.id,
        product_id=lot.product.id,
        name=lot.product.name,
        icon=lot.product.icon,
        picture=lot.product.picture,
        location=lot.location.name,
        quantity=lot.quantity,
        unit=lot.product.unit,
        unit_name=lot.product.unit_name,
        unit_plural=lot.product.unit_plural,
        date_kind=lot.date_kind,
        expires_on=lot.expires_on,
        expiry_reason=lot.expiry_reason,
        urgency=lot.urgency,
        days_left=lot.days_left,
        is_used_up=Decimal(lot.quantity) == 0,
    )


def _event(booking: EventGroup) -> MessageEvent:
    return MessageEvent(
        id=booking.event.id, group_id=booking.event.group_id, count=booking.count, undone=booking.undone
    )


def _replied_to(message: Message, people: Mapping[UUID, Person], bookings: Mapping[UUID, EventGroup]) -> RepliedTo:
    return RepliedTo(
        id=message.id,
        seq=message.seq,
        kind=message.kind,
        author=_person(people, message.author_id),
        content=wording.excerpt(message.content),
        deleted_at=message.deleted_at,
        booking=bookings.get(message.event_id) if message.event_id else None,
    )


def _person(people: Mapping[UUID, Person], user_id: UUID | None) -> Person | None:
    return people.get(user_id) if user_id else None


# Taking along


async def _written_by(session: AsyncSession, user_id: UUID, after: UUID | None) -> list[ExportedMessage]:
    """What a chat or a household is called is told to those who still see it."""
    is_member = sa.exists().where(
        col(Membership.household_id) == col(Chat.household_id), col(Membership.user_id) == user_id
    )
    is_chosen = sa.exists().where(col(ChatMember.chat_id) == col(Chat.id), col(ChatMember.user_id) == user_id)
    statement = (
        sa.select(
            Message,
            col(Chat.household_id),
            sa.case((is_member, col(Household.name))),
            sa.case((sa.and_(is_member, sa.or_(col(Chat.is_for_all), is_chosen)), col(Chat.title))),
        )
        .join(Chat, col(Chat.id) == col(Message.chat_id))
        .join(Household, col(Household.id) == col(Chat.household_id))
        .where(col(Message.author_id) == user_id, col(Message.deleted_at).is_(None))
        .order_by(col(Message.id))
        .limit(BATCH)
    )
    if after is not None:
        statement = statement.where(col(Message.id) > after)
    rows = (await session.execute(statement)).all()
    attachments = await _find_attachments(session, [row[0].id for row in rows])
    return [
        ExportedMessage(
            id=message.id,
            household_id=household_id,
            household=household,
            chat_id=message.chat_id,
            chat=chat,
            content=message.content,
            created_at=message.created_at,
            edited_at=message.edited_at,
            attachments=[file.name for file in attachments.get(message.id, ())],
        )
        for message, household_id, household, chat in rows
    ]
