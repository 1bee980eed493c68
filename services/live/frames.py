"""What is said on sockets: rows of the outbox as frames."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from models import LiveKind
from services import chats, events, messages, notifications, stock, wording
from services.core.i18n import _, use_locale
from services.live.audience import Audience, Reader
from services.notifications import Unread
from services.schemas.notifications import NotificationRead
from services.schemas.stock import EventRead
from services.schemas.talk import MessageRead

NO_EVENT = UUID(int=0)
NOBODY: frozenset[UUID] | None = frozenset()

encode = msgspec.json.Encoder(decimal_format="string").encode


class Word(NamedTuple):
    """A row of the outbox. Its kind tells which ids it has."""

    id: int
    kind: LiveKind
    household_id: Any
    user_id: Any
    subject_id: Any
    data: dict[str, Any]
    created_at: datetime


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
    """A word, and its text: made once for all who read it alike.

    `is_talk`: what somebody said to others. Of a chat (`chat_id`) it is for its `hearers`; None: for every member.
    """

    def __init__(
        self,
        word: Word,
        say: Callable[[Reader], dict[str, Any]],
        *,
        chat_id: UUID | None = None,
        is_talk: bool = False,
    ) -> None:
        self.id, self.kind = word.id, word.kind
        self.household_id, self.user_id, self.subject_id = word.household_id, word.user_id, word.subject_id
        self.chat_id, self.is_talk = chat_id, is_talk or chat_id is not None
        self.hearers = NOBODY if chat_id else None
        self._at = word.created_at
        self._say = say
        self._texts: dict[Reader, str] = {}

    def is_for(self, audience: Audience) -> bool:
        """Whether somebody of its household may hear it."""
        if not self.is_talk:
            return True
        return audience.hears_talk and (self.hearers is None or audience.user_id in self.hearers)

    def text_for(self, audience: Audience) -> str:
        reader = audience.reader_in(self.household_id)
        if self.chat_id is not None:
            # What is said in a chat is the same for all who speak a language.
            reader = Reader(reader.hears_talk, reader.locale)
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


async def read(session: AsyncSession, words: Sequence[Word]) -> list[Told]:
    """In their order, by as many queries however many they are. What is not there (any more) is left out."""
    told: dict[int, Told] = {}
    for kind, tell in _TELLERS.items():
        of_kind = [word for word in words if word.kind is kind]
        if of_kind:
            told |= {each.id: each for each in await tell(session, of_kind)}
    await _find_hearers(session, list(told.values()))
    return [told[word.id] for word in words if word.id in told]


async def _find_hearers(session: AsyncSession, told: Sequence[Told]) -> None:
    of_chats = [(each, each.chat_id) for each in told if each.chat_id and each.kind is not LiveKind.CHAT_DELETED]
    if of_chats:
        hearers = await chats.find_hearers(session, {chat_id for _each, chat_id in of_chats})
        for each, chat_id in of_chats:
            each.hearers = hearers.get(chat_id, NOBODY)


async def _tell_lots(session: AsyncSession, words: Sequence[Word]) -> list[Told]:
    lots = await stock.find_shared(session, {word.subject_id for word in words})
    event_ids = {word.id: UUID(word.data["event_id"]) for word in words if "event_id" in word.data}
    bookings = await events.find_shared(session, set(event_ids.values())) if event_ids else {}
    return [
        Told(word, partial(_lot, lots[word.subject_id], bookings.get(event_ids.get(word.id, NO_EVENT))))
        for word in words
        if word.subject_id in lots
    ]


async def _tell_notifications(session: AsyncSession, words: Sequence[Word]) -> list[Told]:
    found = await notifications.find_shared(session, {word.subject_id for word in words})
    unread = await notifications.count_unread_of(session, {word.user_id for word in words})
    return [
        Told(
            word,
            partial(_notification, found[word.subject_id].read, unread.get(word.user_id, Unread())),
            is_talk=found[word.subject_id].is_talk,
        )
        for word in words
        if word.subject_id in found
    ]


async def _tell_read(session: AsyncSession, words: Sequence[Word]) -> list[Told]:
    unread = await notifications.count_unread_of(session, {word.user_id for word in words})
    return [Told(word, partial(_marked, word.subject_id, unread.get(word.user_id, Unread()))) for word in words]


async def _tell_messages(session: AsyncSession, words: Sequence[Word]) -> list[Told]:
    found = await messages.find_shared(session, {word.subject_id for word in words})
    return [
        Told(word, partial(_message, found[word.subject_id]), chat_id=UUID(word.data["chat_id"]))
        for word in words
        if word.subject_id in found
    ]


async def _tell_chats(session: AsyncSession, words: Sequence[Word]) -> list[Told]:
    found = await chats.find_shared(session, {word.subject_id for word in words})
    return [
        Told(word, partial(_plain, found[word.subject_id].model_dump(mode="json")), chat_id=word.subject_id)
        for word in words
        if word.subject_id in found
    ]


async def _tell_markers(_session: AsyncSession, words: Sequence[Word]) -> list[Told]:
    return [Told(word, partial(_plain, word.data), chat_id=word.subject_id) for word in words]


async def _tell_chats_gone(_session: AsyncSession, words: Sequence[Word]) -> list[Told]:
    """Who saw one, and does no more, is in the word: nobody can look that up any more."""
    told = []
    for word in words:
        each = Told(word, partial(_plain, {"id": word.subject_id}), chat_id=word.subject_id)
        named = word.data["hearers"]
        each.hearers = None if named is None else frozenset(map(UUID, named))
        told.append(each)
    return told


async def _tell_endings(_session: AsyncSession, words: Sequence[Word]) -> list[Told]:
    return [Told(word, partial(_plain, {"id": word.subject_id})) for word in words]


_TELLERS: Mapping[LiveKind, Callable[[AsyncSession, Sequence[Word]], Awaitable[list[Told]]]] = {
    LiveKind.LOT_CHANGED: _tell_lots,
    LiveKind.NOTIFICATION_CREATED: _tell_notifications,
    LiveKind.NOTIFICATIONS_READ: _tell_read,
    LiveKind.CHAT_MESSAGE: _tell_messages,
    LiveKind.CHAT_CHANGED: _tell_chats,
    LiveKind.CHAT_DELETED: _tell_chats_gone,
    LiveKind.CHAT_READ: _tell_markers,
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
    return _("{name}: {what}").format(name=wording.doer(booking), what=what) if booking.actor else what


def _notification(read: Callable[[], NotificationRead], unread: Unread, reader: Reader) -> dict[str, Any]:
    return {"data": read().model_dump(mode="json"), "unread": unread.heard_by(hears_talk=reader.hears_talk)}


def _marked(notification_id: UUID | None, unread: Unread, reader: Reader) -> dict[str, Any]:
    return {"data": {"id": notification_id}, "unread": unread.heard_by(hears_talk=reader.hears_talk)}


def _message(message: MessageRead, _reader: Reader) -> dict[str, Any]:
    return {"data": messages.in_words(message).model_dump(mode="json")}


def _plain(data: dict[str, Any], _reader: Reader) -> dict[str, Any]:
    return {"data": data}
