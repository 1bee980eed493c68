"""The hub of a process: reads the outbox once for all its sockets, and hands each what it may hear.

A socket is served live from the moment it is there; what it missed before that, it asks for. So that nothing is missed
or said twice in between, the hub knows up to which row it has read and handed out, and each listener from where to
where it was served.
"""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db import Prepared, session_scope
from models import LiveKind, Outbox
from services import chats, outbox
from services.core import clock
from services.core.errors import NotFound, NotSignedIn
from services.core.i18n import _
from services.jobs.loops import STOP, Loop
from services.live import audience, frames
from services.live.audience import Audience
from services.live.frames import Word
from services.live.listener import Ending, Listener
from services.live.rooms import TYPING, Rooms
from services.metrics import SOCKETS

MEMORY = timedelta(hours=24)
BATCH = 500
# Seconds. The bus wakes us; reading now and then makes up for what it lost.
READ_EVERY = 3.0
CHECK_EVERY = 5.0
STALLED_AFTER = 30.0

_WORDS = sa.select(*(getattr(Outbox, name) for name in Word._fields)).order_by(col(Outbox.id))
_NEW = Prepared(_WORDS.where(col(Outbox.id) > bindparam("after", type_=sa.BigInteger)).limit(BATCH))
_ENDINGS = (LiveKind.SESSION_REVOKED, LiveKind.MEMBER_REMOVED)


class Hub:
    def __init__(self) -> None:
        self._of_user: defaultdict[UUID, set[Listener]] = defaultdict(set)
        self._of_household: defaultdict[UUID, set[Listener]] = defaultdict(set)
        self.rooms = Rooms()
        self._stirred = asyncio.Event()
        self._begun = asyncio.Event()
        self._read_until = self._handed_out_until = 0
        self._handed_out_at = 0.0
        self._loops: list[Loop] = []

    @property
    def has_stalled(self) -> bool:
        """Whether nobody here hears anything any more."""
        return bool(self._loops) and time.monotonic() - self._handed_out_at > STALLED_AFTER

    def listeners_of(self, user_id: UUID) -> tuple[Listener, ...]:
        return tuple(self._of_user.get(user_id, ()))

    def __len__(self) -> int:
        return sum(map(len, self._of_user.values()))

    def hear(self, message: str) -> None:
        """What the bus says."""
        if message in {"", outbox.TOPIC}:
            self._stirred.set()
        elif message.startswith(TYPING):
            self.rooms.hear(message)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._handed_out_at = time.monotonic()
        self._loops = [Loop(self._hand_out, self._stirred), Loop(self._check_now_and_then)]
        try:
            yield
        finally:
            await asyncio.gather(*(loop.end(within=STOP) for loop in self._loops))

    @asynccontextmanager
    async def listening(self, session_id: UUID) -> AsyncIterator[Listener]:
        """Raises `NotSignedIn` when the session is over."""
        await self._begun.wait()
        async with session_scope(read_only=True) as session:
            found = await audience.load(session, [session_id])
            newest = await _newest(session)
        if session_id not in found:
            raise NotSignedIn(_("Please sign in."))
        # What is there already happened before, though it may not have been handed out yet.
        listener = Listener(found[session_id], max(newest, self._read_until))
        self._add(listener)
        try:
            with SOCKETS.track_inprogress():
                yield listener
        finally:
            self.rooms.leave_all(listener)
            self._remove(listener)

    async def subscribe(self, listener: Listener, chat_id: UUID) -> None:
        """Look at a chat. Raises `NotFound`, and `LimitExceeded` for one too many."""
        self.rooms.check_space(listener, chat_id)
        asked_at = time.monotonic()
        async with session_scope(read_only=True) as session:
            sees_it = await audience.sees_chat(session, listener.audience, chat_id)
        if not sees_it:
            raise NotFound(_("There is no such chat."))
        self.rooms.enter(listener, chat_id, since=asked_at)

    async def resume(self, listener: Listener, last_id: int) -> bool:
        """Say again what this listener missed after `last_id`; False when that is longer ago than we remember."""
        missed_until = listener.served_since
        served_until = max(listener.served_until, self._handed_out_until)
        if last_id < missed_until and await _is_forgotten(last_id, missed_until):
            return False
        listener.served_until = sys.maxsize  # nothing new comes in between
        await self._say_again(listener, last_id, missed_until)
        while served_until < self._read_until:
            until = self._read_until
            await self._say_again(listener, served_until, until)
            served_until = until
        listener.served_since, listener.served_until = min(last_id, missed_until), served_until
        return True

    async def _say_again(self, listener: Listener, after: int, until: int) -> None:
        session_id = listener.audience.session_id
        while after < until:
            async with session_scope(read_only=True) as session:
                # Looked up anew: of somebody who was removed just now, that may not have been handed out yet.
                now = (await audience.load(session, [session_id])).get(session_id)
                if now is None:
                    listener.end(Ending.SIGNED_OUT)
                    return
                rows = await _missed(session, now, after, until)
                told = await frames.read(session, rows)
            for each in told:
                if each.is_for(now):
                    await listener.say(each.text_for(now))
            after = rows[-1].id if len(rows) == BATCH else until

    async def _hand_out(self) -> float:
        while True:
            async with session_scope(read_only=True) as session:
                if not self._begun.is_set():
                    self._read_until = self._handed_out_until = await _newest(session)
                    self._begun.set()
                asked_at = time.monotonic()
                rows = [Word(*row) for row in await _NEW.fetch(session, after=self._handed_out_until)]
                self._read_until = max(self._read_until, rows[-1].id if rows else 0)
                told = await frames.read(session, [row for row in rows if self._listeners_to(row)])
            for each in told:
                self._hand(each)
                self._clear_room(each, asked_at)
                self._handed_out_until = each.id
                await asyncio.sleep(0)
            self._handed_out_until = self._read_until
            self._handed_out_at = time.monotonic()
            if len(rows) < BATCH:
                return READ_EVERY

    def _hand(self, told: frames.Told) -> None:
        for listener in tuple(self._listeners_to(told)):
            if told.kind is LiveKind.MEMBER_REMOVED:
                if told.subject_id in listener.audience.households:
                    listener.end(Ending.NOT_A_MEMBER)
                continue
            if told.kind is LiveKind.SESSION_REVOKED:
                if told.subject_id == listener.audience.session_id:
                    listener.offer(told.text_for(listener.audience))
                    listener.end(Ending.SIGNED_OUT)
                continue
            if told.id > listener.served_until and told.is_for(listener.audience) and not listener.over.done():
                listener.offer(told.text_for(listener.audience))

    def _clear_room(self, told: frames.Told, asked_at: float) -> None:
        """Who may not hear of a chat any more does not look at it any more."""
        if told.chat_id is None:
            return
        if told.kind is LiveKind.CHAT_DELETED:
            self.rooms.put_out(told.chat_id, told.hearers)
        else:
            self.rooms.keep(told.chat_id, told.hearers, asked_at=asked_at)

    def _listeners_to(self, told: Word | frames.Told) -> Iterable[Listener]:
        if told.user_id is not None:
            return self._of_user.get(told.user_id, ())
        return self._of_household.get(told.household_id, ())

    async def _check_now_and_then(self) -> float:
        await self.check()
        return CHECK_EVERY

    async def check(self) -> None:
        """What the outbox does not tell: sessions that ran out, users who were disabled, households one joined."""
        listeners = [listener for of_user in self._of_user.values() for listener in of_user]
        if listeners:
            async with session_scope(read_only=True) as session:
                found = await audience.load(session, {listener.audience.session_id for listener in listeners})
            for listener in listeners:
                before, now = listener.audience, found.get(listener.audience.session_id)
                if now is None:
                    listener.end(Ending.SIGNED_OUT)
                elif before.households.keys() - now.households.keys():
                    listener.end(Ending.NOT_A_MEMBER)
                elif now != before and listener in self._of_user[now.user_id]:
                    self._remove(listener)
                    listener.audience = now
                    self._add(listener)
        await self._check_rooms()

    async def _check_rooms(self) -> None:
        if self.rooms:
            chat_ids, asked_at = self.rooms.chat_ids, time.monotonic()
            async with session_scope(read_only=True) as session:
                hearers = await chats.find_hearers(session, chat_ids)
            for chat_id in chat_ids:
                self.rooms.keep(chat_id, hearers.get(chat_id, frames.NOBODY), asked_at=asked_at)

    def _add(self, listener: Listener) -> None:
        self._of_user[listener.audience.user_id].add(listener)
        for household_id in listener.audience.households:
            self._of_household[household_id].add(listener)

    def _remove(self, listener: Listener) -> None:
        _discard(self._of_user, listener.audience.user_id, listener)
        for household_id in listener.audience.households:
            _discard(self._of_household, household_id, listener)


def _discard(index: dict[UUID, set[Listener]], key: UUID, listener: Listener) -> None:
    index[key].discard(listener)
    if not index[key]:
        del index[key]


async def _newest(session: AsyncSession) -> int:
    return (await session.execute(sa.select(sa.func.max(col(Outbox.id))))).scalar_one() or 0


async def _missed(session: AsyncSession, audience: Audience, after: int, until: int) -> list[Word]:
    """The next rows that an audience may hear again."""
    mine = col(Outbox.user_id) == audience.user_id
    of_households = sa.and_(col(Outbox.user_id).is_(None), col(Outbox.household_id).in_(list(audience.households)))
    rows = await session.execute(
        _WORDS.where(col(Outbox.id) > after, col(Outbox.id) <= until)
        .where(sa.or_(mine, of_households), col(Outbox.kind).not_in(_ENDINGS))
        .limit(BATCH)
    )
    return [Word(*row) for row in rows]


async def _is_forgotten(last_id: int, until: int) -> bool:
    old = sa.select(col(Outbox.id)).where(col(Outbox.created_at) < clock.now() - MEMORY)
    async with session_scope(read_only=True) as session:
        found = await session.execute(old.where(col(Outbox.id) > last_id, col(Outbox.id) <= until).limit(1))
        return found.first() is not None
