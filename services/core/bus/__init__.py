"""The bus: short messages to every process of this instance, this one too.

It carries nothing that may not be lost: whoever it wakes reads the database, and again after each reconnection, and
that somebody types is forgotten anyway.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from services.core.bus.base import MAX_BYTES, Bus, Handler
from services.core.bus.memory import MemoryBus
from services.core.bus.postgresql import PostgreSQLLink
from services.core.bus.remote import RemoteBus

__all__ = ["MAX_BYTES", "Bus", "Handler", "MemoryBus", "current", "make_bus", "publish", "running", "use_bus"]

_bus: Bus = MemoryBus()


def publish(message: str, *, now_or_never: bool = False) -> None:
    _bus.publish(message, now_or_never=now_or_never)


def current() -> Bus:
    return _bus


def use_bus(bus: Bus) -> None:
    """Put another bus in its place."""
    global _bus
    _bus = bus


@asynccontextmanager
async def running(url: str, handler: Handler = lambda _message: None) -> AsyncIterator[Bus]:
    """The bus at `url` (`Settings.bus_url`), as the one of this process for the length of the block."""
    bus = make_bus(url)
    before = current()
    use_bus(bus)
    try:
        await bus.start(handler)
        yield bus
    finally:
        use_bus(before)
        await bus.stop()


def make_bus(url: str) -> Bus:
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return MemoryBus()
    if scheme.startswith("postgres"):
        return RemoteBus(lambda: PostgreSQLLink(url))

    from services.core.bus.redis import RedisLink

    return RemoteBus(lambda: RedisLink(url))
