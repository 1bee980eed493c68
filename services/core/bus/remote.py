"""A bus over a server: stays connected, says what waits, and hears what others say."""

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

from services.core.bus.base import Bus, Handler, logger

CHECK_EVERY = 10.0
PATIENCE = 5.0
START_PATIENCE = 2.0
SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
MAX_WAITING = 1_000
# More than that take a noticeable while.
MANY_WAITING = 50


class Link(Protocol):
    """One connection to the server. Every failure is an `OSError`."""

    async def open(self, hear: Handler, lost: Callable[[], None]) -> None:
        """Connect and listen; `lost` is called when the server hangs up."""

    async def send(self, message: str) -> None: ...

    async def check(self) -> None:
        """Raises when the server does not answer."""

    async def close(self) -> None:
        """Never raises."""


class RemoteBus(Bus):
    def __init__(self, make_link: Callable[[], Link]) -> None:
        self._make_link = make_link
        self._waiting: dict[str, None] = {}
        self._stirred = asyncio.Event()
        self._connected = asyncio.Event()
        self._is_lost = self._is_stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        return self._connected.is_set()

    async def start(self, handler: Handler) -> None:
        """Waits a moment for the server; without one it goes on trying."""
        self._task = asyncio.create_task(self._stay_connected(handler), name="bus")
        connecting = asyncio.create_task(self._connected.wait())
        await asyncio.wait({self._task, connecting}, timeout=START_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        connecting.cancel()

    async def stop(self) -> None:
        if self._task is None:
            return
        self._is_stopping = True
        self._stirred.set()
        await asyncio.wait({self._task}, timeout=1)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def _is_late(self) -> bool:
        return not self.is_connected or len(self._waiting) >= MANY_WAITING

    def _publish(self, message: str) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting[message] = None
        self._stirred.set()

    async def _stay_connected(self, handler: Handler) -> None:
        pause = SHORTEST_PAUSE
        while not self._is_stopping:
            link = self._make_link()
            self._is_lost = False
            try:
                await link.open(handler, self._lose)
                pause = SHORTEST_PAUSE
                self._connected.set()
                handler("")
                await self._say_what_waits(link)
            except OSError as error:
                logger.warning("bus_unreachable", error=type(error.__cause__ or error).__name__)
            finally:
                self._connected.clear()
                await link.close()
            if not self._is_stopping:
                # Not all processes at the same moment.
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
                pause = min(pause * 2, LONGEST_PAUSE)

    def _lose(self) -> None:
        self._is_lost = True
        self._stirred.set()

    async def _say_what_waits(self, link: Link) -> None:
        while not self._is_lost:
            while self._waiting:
                message = next(iter(self._waiting))
                # Taken first: what is published from now on may be about something newer.
                del self._waiting[message]
                try:
                    await link.send(message)
                except OSError:
                    self._waiting[message] = None
                    raise
            if self._is_stopping:
                return
            self._stirred.clear()
            try:
                async with asyncio.timeout(CHECK_EVERY):
                    await self._stirred.wait()
            except TimeoutError:
                await link.check()
