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

    def publish(self, message: str) -> None:
        """Never waits and never raises. A message that waits already is said once."""
        if len(message.encode()) > MAX_BYTES:
            logger.error("message_too_long", begins=message[:40])
            return
        self._publish(message)

    @abstractmethod
    def _publish(self, message: str) -> None: ...
