"""What happens to stock, said in the chats of the household that want it, in the transaction of the booking.

Whether a chat wants it is asked along with each booking (`IS_WANTED`), so where none does, nothing more is done. What
was booked together is one message, however many bookings that are.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from db import Id, before_commit
from models import Chat, Event, EventKind, LiveKind, Message, MessageKind
from services import outbox
from services.core import clock
from services.core.ids import new_id

_reversed = aliased(Event)
_first = aliased(Event)


def _wants(household_id: Any) -> list[Any]:
    return [col(Chat.household_id) == household_id, col(Chat.tells_stock), col(Chat.archived_at).is_(None)]


IS_WANTED = sa.exists().where(*_wants(sa.bindparam("talks_in", type_=Id)))


def say_booked(session: AsyncSession, event_id: UUID) -> None:
    """Say it when all is booked, and before the words of the outbox get their numbers: chats are locked first."""
    session.info.setdefault("stock_talk", []).append(event_id)
    before_commit(session, _say)


async def _say(session: AsyncSession) -> None:
    # Some may have been booked within a savepoint that was rolled back.
    rows = (await session.execute(_BOOKED, {"event_ids": session.info.pop("stock_talk")})).all()
    households: defaultdict[UUID, dict[UUID, list[Any]]] = defaultdict(dict)
    for row in rows:
        if EventKind.EDIT not in {row.kind, row.reversed_kind}:
            households[row.household_id].setdefault(row.group_id, []).append(row)
    for household_id, groups in sorted(households.items()):
        await _say_in(session, household_id, list(groups.values()))
        await _tell_undone(session, household_id, [row.reverses_id for row in rows if row.reverses_id])


async def _say_in(session: AsyncSession, household_id: UUID, groups: Sequence[Sequence[Any]]) -> None:
    wanting = sa.select(col(Chat.id)).where(*_wants(household_id)).order_by(col(Chat.id))
    chat_ids = (await session.scalars(wanting.with_for_update(key_share=True))).all()
    if not chat_ids:
        return
    numbered = await session.execute(
        sa.update(Chat)
        .where(col(Chat.id).in_(chat_ids))
        .values(last_seq=col(Chat.last_seq) + len(groups))
        .returning(col(Chat.id), col(Chat.last_seq))
        .execution_options(synchronize_session=False)
    )
    messages = [
        {
            "id": new_id(),
            "chat_id": chat_id,
            "seq": last_seq - len(groups) + place,
            "kind": MessageKind.SYSTEM,
            "content": "",
            "content_key": "",
            "event_id": bookings[0].id,
            "product_id": _one({row.product_id for row in bookings}),
            "lot_id": _one({row.lot_id for row in bookings}),
            "created_at": clock.now(),
        }
        for chat_id, last_seq in numbered.tuples().all()
        for place, bookings in enumerate(groups, start=1)
    ]
    await session.execute(sa.insert(Message), messages)
    for message in messages:
        tell(session, household_id, message["id"], message["chat_id"])


async def _tell_undone(session: AsyncSession, household_id: UUID, event_ids: Collection[UUID]) -> None:
    """What was taken back says so, wherever it was said."""
    if not event_ids:
        return
    groups = sa.select(col(Event.group_id)).where(col(Event.id).in_(event_ids))
    said = await session.execute(
        sa.select(col(Message.id), col(Message.chat_id))
        .join(_first, col(_first.id) == col(Message.event_id))
        .where(col(_first.household_id) == household_id, col(_first.group_id).in_(groups))
        .order_by(col(Message.id))
    )
    for message_id, chat_id in said.tuples():
        tell(session, household_id, message_id, chat_id)


def tell(session: AsyncSession, household_id: UUID, message_id: UUID, chat_id: UUID) -> None:
    """Those who see the chat hear that a message is there, or is another now."""
    outbox.tell(session, LiveKind.CHAT_MESSAGE, household_id=household_id, subject_id=message_id, chat_id=str(chat_id))


def _one(ids: Collection[UUID]) -> UUID | None:
    return next(iter(ids)) if len(ids) == 1 else None


_BOOKED: sa.Select[Any] = (
    sa.select(
        col(Event.id),
        col(Event.household_id),
        col(Event.group_id),
        col(Event.kind),
        col(Event.lot_id),
        col(Event.product_id),
        col(Event.reverses_id),
        col(_reversed.kind).label("reversed_kind"),
    )
    .outerjoin(_reversed, col(_reversed.id) == col(Event.reverses_id))
    .where(col(Event.id).in_(sa.bindparam("event_ids", expanding=True)))
    .order_by(col(Event.id))
)
