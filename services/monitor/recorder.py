"""The recorder of a process: what was seen waits in its memory, and is written down in batches beside the requests."""

import asyncio
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import Statement, insert_new, session_scope
from models import MonitoredQuery, MonitoredRequest, MonitoredShape
from services.core.ids import new_id
from services.jobs.loops import DATABASE_AWAY, POLL, STOP, Loop
from services.monitor import problems, redaction
from services.monitor.problems import Incident

BATCH = 500
MOST_WAITING = 5_000
MOST_INCIDENTS = 200
MOST_SHAPES = 100
EVERY = 1.0

# Of the tables, not the entities: those cost as much again.
_REQUESTS = sa.insert(MonitoredRequest.__table__)  # type: ignore[attr-defined]
_QUERIES = sa.insert(MonitoredQuery.__table__)  # type: ignore[attr-defined]
_VALUE = r"(?:\?|:\w+|\$\d+)(?:::[\w ]+)?"
_LIST = re.compile(rf"\(\s*{_VALUE}(?:\s*,\s*{_VALUE})*\s*\)")
_LISTS = re.compile(r"\(…\)(?:\s*,\s*\(…\))+")
_NUMBERED = re.compile(r"\$\d+")


@dataclass(slots=True)
class Body:
    """The beginning of a body, as it went by."""

    kind: str = ""
    size: int = 0
    kept: bytearray = field(default_factory=bytearray)

    def feed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        room = redaction.LIMIT - len(self.kept)
        if room > 0:
            self.kept += chunk[:room]


@dataclass(slots=True)
class Sighting:
    """One request, as it was seen. What must not be kept is still in it, and left out when it is written."""

    at: datetime
    request_id: str
    method: str
    route: str
    path: str
    status: int
    ms: float
    began: float
    weight: float = 1
    user_id: UUID | None = None
    ip_address: str = ""
    statements: list[Statement] = field(default_factory=list)
    is_private: bool = False
    query: bytes = b""
    request_headers: Iterable[tuple[bytes, bytes]] = ()
    response_headers: Iterable[tuple[bytes, bytes]] = ()
    request_body: Body = field(default_factory=Body)
    response_body: Body = field(default_factory=Body)
    fingerprint: str = ""


class Recorder:
    def __init__(self) -> None:
        self.dropped = 0
        self._seen: deque[Sighting] = deque()
        self._incidents: dict[str, list[Incident]] = {}
        self._shapes: set[str] = set()
        self._stirred = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        loop = Loop(self._write_down, self._stirred)
        try:
            yield
        finally:
            await loop.end(within=STOP)
            await asyncio.wait_for(self._finish(), STOP)

    def see(self, sighting: Sighting) -> None:
        """Never waits: what does not fit is dropped, and counted."""
        if len(self._seen) >= MOST_WAITING:
            self.dropped += 1
            return
        if not self._seen:
            self._stirred.set()
        self._seen.append(sighting)

    def note(self, error: BaseException, *, route: str) -> str:
        """Remember what nobody expected; its fingerprint."""
        incident = problems.describe(error, route=route)
        waiting = self._incidents.setdefault(incident.fingerprint, [])
        if len(waiting) < MOST_INCIDENTS:
            waiting.append(incident)
        self._stirred.set()
        return incident.fingerprint

    async def flush(self) -> None:
        """Write down all that waits."""
        while self._seen or self._incidents:
            await self._write()
            await asyncio.sleep(0)

    async def _write_down(self) -> float:
        if not self._seen and not self._incidents:
            return 60 * POLL
        await asyncio.sleep(EVERY)
        await self.flush()
        return 0 if self._seen or self._incidents else 60 * POLL

    async def _finish(self) -> None:
        try:
            await self.flush()
        except DATABASE_AWAY:
            self.dropped += len(self._seen)

    async def _write(self) -> None:
        sightings = [self._seen.popleft() for _ in range(min(BATCH, len(self._seen)))]
        incidents, self._incidents = self._incidents, {}
        try:
            async with session_scope() as session:
                known = {
                    fingerprint: await problems.write(session, together)
                    for fingerprint, together in sorted(incidents.items())
                }
                await self._write_requests(session, sightings, known)
        except DATABASE_AWAY:
            self.dropped += len(sightings)
            raise

    async def _write_requests(self, session: AsyncSession, sightings: list[Sighting], known: dict[str, UUID]) -> None:
        requests: list[dict[str, Any]] = []
        queries: list[dict[str, Any]] = []
        shapes: dict[str, Shape] = {}
        for sighting in sightings:
            row = _request(sighting)
            row["problem_id"] = known.get(sighting.fingerprint)
            requests.append(row)
            found = _queries(sighting, row)
            queries += found.values()
            shapes |= {shape.id: shape for shape in found if shape.id not in self._shapes}
        if requests:
            await session.execute(_REQUESTS, requests)
        if shapes:
            rows = [{"id": shape.id, "sql": shape.sql} for _id, shape in sorted(shapes.items())]
            await session.execute(insert_new(session, MonitoredShape), rows)
        if queries:
            await session.execute(_QUERIES, queries)
        if len(self._shapes) > BATCH:
            self._shapes.clear()
        self._shapes |= shapes.keys()

    def forget_shapes(self) -> None:
        """For when they were deleted."""
        self._shapes.clear()


@dataclass(frozen=True, slots=True)
class Shape:
    id: str
    sql: str


@lru_cache(maxsize=4096)
def shape_of(sql: str) -> Shape:
    """The text of a statement, the same for lists of any length."""
    text = _NUMBERED.sub("?", _LISTS.sub("(…)", _LIST.sub("(…)", sql[:20_000])))[:5000]
    return Shape(sha256(text.encode()).hexdigest()[:32], text)


def _request(sighting: Sighting) -> dict[str, Any]:
    is_open = not sighting.is_private
    sent, answered = sighting.request_body, sighting.response_body
    counts = Counter(shape_of(statement).id for statement in sighting.statements)
    return {
        "id": new_id(),
        "at": sighting.at,
        "request_id": sighting.request_id,
        "method": redaction.text(sighting.method)[:10],
        "route": sighting.route[:100],
        "path": redaction.path(sighting.path),
        "query": redaction.query(sighting.query) if is_open else "",
        "status": sighting.status,
        "ms": sighting.ms,
        "weight": sighting.weight,
        "user_id": sighting.user_id,
        "ip_address": sighting.ip_address[:45],
        "query_count": len(sighting.statements),
        "query_ms": sum(statement.seconds for statement in sighting.statements) * 1000,
        "repeated": max(counts.values(), default=0),
        "request_headers": redaction.headers(sighting.request_headers) if is_open else {},
        "response_headers": redaction.headers(sighting.response_headers) if is_open else {},
        "request_body": redaction.body(sent.kind, bytes(sent.kept), sent.size) if is_open else "",
        "response_body": redaction.body(answered.kind, bytes(answered.kept), answered.size) if is_open else "",
    }


def _queries(sighting: Sighting, row: dict[str, Any]) -> dict[Shape, dict[str, Any]]:
    found: dict[Shape, dict[str, Any]] = {}
    for statement in sighting.statements:
        shape = shape_of(statement)
        ms = statement.seconds * 1000
        known = found.get(shape)
        if known is not None:
            known["count"] += 1
            known["ms"] += ms
            known["slowest_ms"] = max(known["slowest_ms"], ms)
        elif len(found) < MOST_SHAPES:
            found[shape] = {
                "request_id": row["id"],
                "at": row["at"],
                "shape_id": shape.id,
                "count": 1,
                "ms": ms,
                "slowest_ms": ms,
                "started_ms": max((statement.sent - sighting.began) * 1000, 0),
            }
    return found
