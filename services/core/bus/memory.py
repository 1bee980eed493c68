"""A bus within one process."""

from services.core.bus.base import Bus, Handler


class MemoryBus(Bus):
    def __init__(self) -> None:
        self._handler: Handler | None = None

    @property
    def is_connected(self) -> bool:
        return True

    async def start(self, handler: Handler) -> None:
        self._handler = handler
        handler("")

    async def stop(self) -> None:
        self._handler = None

    def _publish(self, message: str) -> None:
        if self._handler:
            self._handler(message)
