"""Who looks at which chat just now, and that somebody types in it. Nothing of this is kept.

What is said in a chat is heard without looking at it (`services.live.hub`).
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import msgspec

from services.core import bus
from services.core.errors import LimitExceeded, NotFound
from services.core.i18n import _
from services.live.listener import Listener

MAX_CHATS = 100
# Seconds. So often is it told that somebody types; who is told shows it a little longer.
TYPING_EVERY = 2.0
TYPING = "typing "


class Typist(msgspec.Struct, array_like=True):
    """What the bus carries."""

    chat_id: UUID
    id: UUID
    name: str


_encode = msgspec.json.Encoder().encode
_typist = msgspec.json.Decoder(Typist).decode


@dataclass(slots=True)
class Seat:
    """Of one socket in one room: since when, and when it last typed there; by `time.monotonic`."""

    since: float
    typed_at: float = float("-inf")


class Rooms:
    """Of one process. A room is there while somebody is in it."""

    def __init__(self) -> None:
        self._rooms: dict[UUID, dict[Listener, Seat]] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    @property
    def chat_ids(self) -> frozenset[UUID]:
        return frozenset(self._rooms)

    def check_space(self, listener: Listener, chat_id: UUID) -> None:
        """Raises `LimitExceeded` when the socket is in too many rooms already."""
        if chat_id not in listener.chat_ids and len(listener.chat_ids) >= MAX_CHATS:
            raise LimitExceeded(_("That is too many chats at once."), code="too_many_chats")

    def enter(self, listener: Listener, chat_id: UUID, *, since: float) -> None:
        """`since`: when it was asked whether the listener may."""
        self._rooms.setdefault(chat_id, {}).setdefault(listener, Seat(since)).since = since
        listener.chat_ids.add(chat_id)

    def leave(self, listener: Listener, chat_id: UUID) -> None:
        listener.chat_ids.discard(chat_id)
        room = self._rooms.get(chat_id, {})
        room.pop(listener, None)
        if not room:
            self._rooms.pop(chat_id, None)

    def leave_all(self, listener: Listener) -> None:
        for chat_id in tuple(listener.chat_ids):
            self.leave(listener, chat_id)

    def put_out(self, chat_id: UUID, user_ids: Collection[UUID] | None) -> None:
        """These users; None: everybody."""
        for listener in tuple(self._rooms.get(chat_id, ())):
            if user_ids is None or listener.audience.user_id in user_ids:
                self.leave(listener, chat_id)

    def keep(self, chat_id: UUID, user_ids: Collection[UUID] | None, *, asked_at: float) -> None:
        """None but these users, and who came after they were asked for; None: everybody."""
        if user_ids is None:
            return
        for listener, seat in tuple(self._rooms.get(chat_id, {}).items()):
            if listener.audience.user_id not in user_ids and seat.since < asked_at:
                self.leave(listener, chat_id)

    def tell_typing(self, listener: Listener, chat_id: UUID, name: str) -> None:
        """Let the others in the room know, whichever process they are at. Raises `NotFound` outside of the room."""
        seat = self._rooms.get(chat_id, {}).get(listener)
        if seat is None:
            raise NotFound(_("There is no such chat."))
        now = time.monotonic()
        if now - seat.typed_at < TYPING_EVERY:
            return
        seat.typed_at = now
        said = _encode(Typist(chat_id, listener.audience.user_id, name)).decode()
        bus.publish(f"{TYPING}{said}", now_or_never=True)

    def hear(self, message: str) -> None:
        """What the bus says of somebody who types."""
        try:
            typist = _typist(message.removeprefix(TYPING))
        except (msgspec.DecodeError, UnicodeError):
            return  # of a process of another version
        frame = {"type": "chat.typing", "chat_id": typist.chat_id, "user": {"id": typist.id, "name": typist.name}}
        text = _encode(frame).decode()
        for listener in self._rooms.get(typist.chat_id, ()):
            if listener.audience.user_id != typist.id and not listener.over.done():
                listener.mention(text)
