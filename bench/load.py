"""The load generator: keep-alive connections, each sending its next request as soon as its answer is complete."""

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter
from typing import cast

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
WARM_UP = 0.2
PATIENCE = 30


class LoadError(Exception):
    """Something other than a complete 2xx was answered, so the figures are worth nothing."""


@dataclass(slots=True)
class Sample:
    """What came back under load, from the end of the warm-up to the last answer. Times in seconds."""

    seconds: float = 0.0
    answers: int = 0  # those of the warm-up too
    latencies: list[float] = field(default_factory=list)
    longest_gap: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def rps(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def request(method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """The bytes of an HTTP/1.1 request. Without Accept-Encoding: nobody compresses."""
    lines = {"Host": "127.0.0.1", **(headers or {})}
    if body:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def answer(port: int, asked: bytes) -> bytes:
    """The body of one answer. Raises `LoadError` when it is not a 200."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection,
        connection.makefile("rb") as file,
    ):
        connection.sendall(asked)
        head = b"".join(iter(file.readline, b"\r\n"))
        length = CONTENT_LENGTH.search(head)
        if head[9:12] != b"200" or length is None:
            raise LoadError(f"port {port}: {head.decode()}")
        return file.read(int(length[1]))


async def drive(
    port: int, requests: Sequence[bytes], *, seconds: float, clients: int, pause: float = 0, strict: bool = True
) -> Sample:
    """Load a server with these requests in turn, and raise `LoadError` unless every answer is a 2xx.

    With `pause`, each client waits so long before it asks again. Not `strict`: failures are only counted.
    """
    run = _Run(requests, seconds, pause)
    loop = asyncio.get_running_loop()
    connections = [(await loop.create_connection(lambda: _Client(run), "127.0.0.1", port))[1] for _ in range(clients)]
    run.begin()
    for client in connections:
        client.ask()
    try:
        await asyncio.wait_for(asyncio.gather(*(client.done for client in connections)), seconds + PATIENCE)
    except TimeoutError:
        run.sample.failures[f"no answer for {PATIENCE} s"] += 1
    finally:
        for client in connections:
            client.transport.close()
    if run.sample.failures and (strict or not run.sample.latencies):
        raise LoadError(f"port {port}, {requests[0][:80]!r}: {dict(run.sample.failures)}")
    return run.sample


class _Run:
    """What the clients of one measurement share."""

    def __init__(self, requests: Sequence[bytes], seconds: float, pause: float) -> None:
        self.requests: Iterator[bytes] = cycle(requests)
        self.seconds = seconds
        self.pause = pause
        self.sample = Sample()
        self.begun = self.last = 0.0

    def begin(self) -> None:
        self.begun = self.last = perf_counter() + WARM_UP

    def is_over(self, now: float) -> bool:
        return now >= self.begun + self.seconds

    def answered(self, asked_at: float, now: float) -> None:
        self.sample.answers += 1
        if now >= self.begun:
            self.sample.latencies.append(now - asked_at)
            self.sample.longest_gap = max(self.sample.longest_gap, now - self.last)
            self.sample.seconds = now - self.begun
            self.last = now


class _Client(asyncio.Protocol):
    """One connection. Reads of an answer only its status and its length."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.head = b""
        self.missing = 0
        self.asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def ask(self) -> None:
        if self.done.done():
            return
        self.asked_at = perf_counter()
        self.transport.write(next(self.run.requests))

    def data_received(self, data: bytes) -> None:
        if self.missing:
            self.missing -= len(data)
        elif not self._read_head(data):
            return
        if self.missing > 0:
            return
        now = perf_counter()
        self.run.answered(self.asked_at, now)
        if self.missing < 0 or self.run.is_over(now):
            self._finish("more than was announced" if self.missing < 0 else "")
        elif self.run.pause:
            asyncio.get_running_loop().call_later(self.run.pause, self.ask)
        else:
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish("connection closed")

    def _read_head(self, data: bytes) -> bool:
        """Whether the head is complete; then `missing` is what of the body is still to come."""
        self.head += data
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return False
        head, self.head = self.head, b""
        length = CONTENT_LENGTH.search(head, 0, end)
        if head[9:10] != b"2" or length is None:
            self._finish(f"{head.splitlines()[0].decode()} {head[end + 4 : end + 200]!r}")
            return False
        self.missing = int(length[1]) - (len(head) - end - 4)
        return True

    def _finish(self, failure: str) -> None:
        if self.done.done():
            return
        if failure:
            self.run.sample.failures[failure] += 1
        self.done.set_result(None)
        self.transport.close()
