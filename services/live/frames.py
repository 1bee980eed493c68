"""What is said on sockets: rows of the outbox as frames."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from models import LiveKind
from services import events, notifications, stock, wording
from services.core.i18n import _, use_locale
from services.live.audience import Audience, Reader
from services.schemas.notifications import NotificationRead
from services.schemas.stock import EventRead

encode = msgspec.json.Encoder(decimal_format="string").encode


class Frame(msgspec.Struct, kw_only=True):
    """`data` is the resource as the API gives it. With a lot go who booked on it (`actor`) and what, in words (`said`);
    with notifications how many are unread."""

    id: int
    type: LiveKind
    at: datetime
    household_id: UUID | UnsetType = UNSET
    data: Any
    actor: dict[str, Any] | UnsetType | None = UNSET
    said: str | UnsetType | None = UNSET
    unread: int | UnsetType = UNSET


class Told:
    """One row of the outbox, put into words once for all who read it alike."""

    def __init__(self, row: Any, say: Callable[[Reader], dict[str, Any]]) -> None:
        self.id: int = row.id
        self.kind: LiveKind = row.kind
        self.household_id: UUID | None = row.household_id
        self.user_id: UUID | None = row.user_id
        self.subject_id: UUID | None = row.subject_id
        self._at: datetime = row.created_at
        self._say = say
        self._texts: dict[Reader, str] = {}

    def text_for(self, audience: Audience) -> str:
        reader = audience.reader_in(self.household_id)
        text = self._texts.get(reader)
        if text is None:
            use_locale(reader.locale)
            frame = Frame(
                id=self.id,
                type=self.kind,
                at=self._at,
                household_id=self.household_id or UNSET,
                **self._say(reader),
            )
            text = self._texts[reader] = encode(frame).decode()
        return text


async def read(session: AsyncSession, rows: Sequence[Any]) -> list[Told]:
    """In their order, by as many queries however many they are. What is not there (any more) is left out."""
    told: dict[int, Told] = {}
    for kind, tell in _TELLERS.items():
        of_kind = [row for row in rows if row.kind is kind]
        if of_kind:
            told |= {each.id: each for each in await tell(session, of_kind)}
    return [told[row.id] for row in rows if row.id in told]


async def _tell_lots(session: AsyncSession, rows: Sequence[Any]) -> list[Told]:
    lots = await stock.find_shared(session, {row.subject_id for row in rows})
    event_ids = {row.id: UUID(row.data["event_id"]) for row in rows if "event_id" in row.data}
    bookings = await events.find_shared(session, set(event_ids.values())) if event_ids else {}
    return [
        Told(row, partial(_lot, lots[row.subject_id], bookings.get(event_ids.get(row.id, row.subject_id))))
        for row in rows
        if row.subject_id in lots
    ]


async def _tell_notifications(session: AsyncSession, rows: Sequence[Any]) -> list[Told]:
    found = await notifications.find_shared(session, {row.subject_id for row in rows})
    unread = await notifications.count_unread_of(session, {row.user_id for row in rows})
    return [
        Told(row, partial(_notification, found[row.subject_id], unread.get(row.user_id, 0)))
        for row in rows
        if row.subject_id in found
    ]


async def _tell_read(session: AsyncSession, rows: Sequence[Any]) -> list[Told]:
    unread = await notifications.count_unread_of(session, {row.user_id for row in rows})
    return [Told(row, partial(_plain, {"id": row.subject_id}, unread=unread.get(row.user_id, 0))) for row in rows]


async def _tell_endings(_session: AsyncSession, rows: Sequence[Any]) -> list[Told]:
    return [Told(row, partial(_plain, {"id": row.subject_id})) for row in rows]


_TELLERS: Mapping[LiveKind, Callable[[AsyncSession, Sequence[Any]], Awaitable[list[Told]]]] = {
    LiveKind.LOT_CHANGED: _tell_lots,
    LiveKind.NOTIFICATION_CREATED: _tell_notifications,
    LiveKind.NOTIFICATIONS_READ: _tell_read,
    LiveKind.SESSION_REVOKED: _tell_endings,
    LiveKind.MEMBER_REMOVED: _tell_endings,
}


def _lot(lot: stock.SharedLot, booking: EventRead | None, reader: Reader) -> dict[str, Any]:
    return {
        "data": lot.seen_by(time_zone=reader.time_zone, soon_days=reader.soon_days),
        "actor": booking.actor.model_dump() if booking and booking.actor else None,
        "said": _said(booking) if booking else None,
    }


def _said(booking: EventRead) -> str:
    """Who did what."""
    what = wording.booked(booking)
    return _("{name}: {what}").format(name=booking.actor.name, what=what) if booking.actor else what


def _notification(read: Callable[[], NotificationRead], unread: int, _reader: Reader) -> dict[str, Any]:
    return {"data": read().model_dump(mode="json"), "unread": unread}


def _plain(data: dict[str, Any], _reader: Reader, **more: Any) -> dict[str, Any]:
    return {"data": data, **more}
