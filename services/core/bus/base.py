"""What every bus can do."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import structlog

logger = structlog.get_logger("larder.bus")

Handler = Callable[[str], None]

MAX_BYTES = 7_999  # what PostgreSQL's NOTIFY carries


class Bus(ABC):
    """`handler` gets each message, and "" whenever a connection is there (again): what was said before that was not
    heard."""

    @property
    @abstractmethod
    def is_connected(self) -> bool: ...

    @abstractmethod
    async def start(self, handler: Handler) -> None: ...

    @abstractmethod
    async def stop(self) -> None: ...

    def publish(self, message: str, *, now_or_never: bool = False) -> None:
        """Never waits and never raises. A message that waits already is said once; `now_or_never` is not said at all
        when that would be late."""
        if len(message.encode()) > MAX_BYTES:
            logger.error("message_too_long", begins=message[:40])
            return
        if now_or_never and self._is_late:
            return
        self._publish(message)

    @property
    def _is_late(self) -> bool:
        """Whether what is said now is heard later."""
        return not self.is_connected

    @abstractmethod
    def _publish(self, message: str) -> None: ...
