"""What every kind of channel can do, and how it says that it could not."""

from datetime import timedelta
from typing import Protocol

from services.delivery.content import Letter


class Undelivered(Exception):
    """Not this time. The reason is shown to people: it names no address, token or password."""

    def __init__(self, reason: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Refused(Undelivered):
    """Never: trying again would change nothing."""


class Gone(Refused):
    """The channel itself is no more."""


class Sender(Protocol):
    """Sends one letter after another, and may keep a connection meanwhile."""

    async def send(self, letter: Letter) -> None:
        """Returns once the peer has taken it. Raises `Undelivered`."""

    async def close(self) -> None: ...
