"""The bus: short messages to every process of this instance, this one too.

It wakes and carries nothing that may not be lost: whoever reads it also reads the database, and again after each
reconnection.
"""

from collections.abc import Callable
from typing import Protocol

Handler = Callable[[str], None]


class Bus(Protocol):
    """`handler` gets each message, and "" after a connection was lost and is there again."""

    async def start(self, handler: Handler) -> None: ...

    def publish(self, message: str) -> None:
        """Never waits and never raises."""

    async def stop(self) -> None: ...


class MemoryBus:
    """Within one process."""

    def __init__(self) -> None:
        self._handler: Handler | None = None

    async def start(self, handler: Handler) -> None:
        self._handler = handler

    def publish(self, message: str) -> None:
        if self._handler:
            self._handler(message)

    async def stop(self) -> None:
        self._handler = None


_bus: Bus = MemoryBus()


def publish(message: str) -> None:
    _bus.publish(message)


def use_bus(bus: Bus) -> None:
    """Put another bus in its place."""
    global _bus
    _bus = bus
