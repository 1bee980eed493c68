"""What one process knows of whom it lets in.

It counts all requests in its memory. Once a second it adds what is worth adding up through the database, which all
processes share, and reads who is banned; a request waits for neither.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlmodel import col, select

from db import session_scope
from models import GuardBan, TokenKind
from services import sessions
from services.core import clock
from services.core.i18n import _
from services.core.ids import hash_token
from services.guard import allowing, bans, counts, keys, limits
from services.guard.limits import GENERAL, STRIKES
from services.jobs.loops import STOP, Loop
from services.permissions import Account
from settings import Settings

logger = structlog.get_logger("larder.guard")

EVERY = 1.0
# Who came less often than this share of the limit is counted by each process alone.
WORTH_SHARING = 20
MOST_KEYS = 100_000
MOST_TOKENS = 20_000
# Seconds. For so long, a token that was good is not looked up again.
TOKEN_MEMORY = 60.0


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who is signed in, at least a moment ago: `key` is what they are counted by."""

    key: str
    email: str
    until: float


class Doorkeeper:
    def __init__(self, settings: Settings) -> None:
        self.allowed = limits.of_address(GENERAL, settings)
        self._worth = max(self.allowed // WORTH_SHARING, 1)
        self._window = 0
        self._mine: Counter[str] = Counter()
        self._shared: Counter[str] = Counter()
        self._others: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._strikes: Counter[str] = Counter()
        self._known: dict[str, Known] = {}
        self._exempt: dict[str, bool] = {}
        self._banned: dict[str, datetime] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        loop = Loop(self._tend)
        try:
            yield
        finally:
            await loop.end(within=STOP)

    # Addresses

    def is_exempt(self, key: str) -> bool:
        found = self._exempt.get(key)
        if found is None:
            if len(self._exempt) >= MOST_KEYS:
                self._exempt.clear()
            found = self._exempt[key] = allowing.is_allowed(key)
        return found

    def seconds_banned(self, key: str) -> int:
        until = self._banned.get(key)
        return max(int((until - clock.now()).total_seconds()) + 1, 0) if until else 0

    def strike(self, key: str) -> None:
        """An address was refused: when that happens again and again, it is banned."""
        if key in self._strikes or len(self._strikes) < MOST_KEYS:
            self._strikes[key] += 1

    # The general limit

    def count(self, key: str) -> int:
        """One more request; how many seconds that was too early."""
        now = clock.now().timestamp()
        window = int(now // GENERAL.seconds)
        if window != self._window:
            self._turn(window)
        mine = self._mine.get(key, 0)
        if mine or len(self._mine) < MOST_KEYS:
            self._mine[key] = mine = mine + 1
        before = self._before.get(key, 0)
        current = mine + self._others.get(key, 0)
        share = now % GENERAL.seconds / GENERAL.seconds
        if current <= self.allowed and limits.weigh(current, before, share) <= self.allowed:
            return 0
        # Refused is not counted: whoever waits as long as they are told gets in.
        if key in self._mine:
            self._mine[key] = mine - 1
        return limits.wait(GENERAL, self.allowed, current, before)

    def _turn(self, window: int) -> None:
        is_next = window == self._window + 1
        self._before = {key: self._mine[key] + self._others.get(key, 0) for key in self._mine} if is_next else {}
        self._window, self._mine, self._others, self._shared = window, Counter(), {}, Counter()

    # People who are signed in

    def known(self, token: str) -> Known | None:
        found = self._known.get(hash_token(token))
        return found if found and found.until > clock.now().timestamp() else None

    def learn(self, token: str, account: Account) -> Known:
        """Somebody showed a token that was good."""
        hashed = hash_token(token)
        if len(self._known) >= MOST_TOKENS:
            self._known.clear()
        who = hashed[:32] if account.session_id == UUID(int=0) else str(account.session_id)
        known = Known(f"session:{who}", account.email, clock.now().timestamp() + TOKEN_MEMORY)
        self._known[hashed] = known
        return known

    async def recognise(self, token: str, kind: TokenKind) -> Known | None:
        """Look a token up that nobody here has seen yet."""
        if found := self.known(token):
            return found
        async with session_scope(read_only=True) as session:
            signed_in = await sessions.find(session, token, kind)
        return self.learn(token, signed_in.account) if signed_in else None

    # What all processes share

    async def tend(self) -> None:
        """Add up what was counted, ban who was refused too often, and read who is banned."""
        if self._mine:
            await self._share()
        if self._strikes:
            await self._ban()
        async with session_scope(read_only=True) as session:
            rows = await session.execute(
                select(GuardBan.key, GuardBan.until).where(
                    col(GuardBan.until) > clock.now(), col(GuardBan.key).startswith(keys.ADDRESS)
                )
            )
            self._banned = dict(rows.tuples().all())

    async def _tend(self) -> float:
        await self.tend()
        return EVERY

    async def _share(self) -> None:
        window, at = self._window, limits.window_at(GENERAL)
        if window != int(at.timestamp() // GENERAL.seconds):
            return
        # In one order, so that two processes do not wait for each other.
        news = sorted(
            (key, hits - self._shared[key])
            for key, hits in self._mine.items()
            if hits >= self._worth and hits > self._shared[key]
        )
        if not news:
            return
        totals = {}
        async with session_scope() as session:
            for key, hits in news:
                totals[key], _before = await counts.add(session, f"{GENERAL.name}:{key}", at, GENERAL.seconds, hits)
        if window == self._window:
            for key, hits in news:
                self._shared[key] += hits
                self._others[key] = max(totals[key] - self._shared[key], 0)

    async def _ban(self) -> None:
        strikes, self._strikes = self._strikes, Counter()
        at = limits.window_at(STRIKES)
        async with session_scope() as session:
            for key, hits in sorted(strikes.items()):
                named = f"{STRIKES.name}:{key}"
                total, _before = await counts.add(session, named, at, STRIKES.seconds, hits)
                if total < STRIKES.of_address:
                    continue
                until = await bans.ban_again(
                    session, key, _("Refused {count} times within an hour.").format(count=total)
                )
                if until:
                    logger.warning("banned", key=key, until=until.isoformat())
                    await counts.forget(session, named)
