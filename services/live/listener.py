"""One socket, as the hub sees it."""

import asyncio
from enum import Enum, auto
from uuid import UUID

from services.live.audience import Audience

QUEUE = 256


class Ending(Enum):
    """Why a socket is closed from our side."""

    SIGNED_OUT = auto()
    NOT_A_MEMBER = auto()
    TOO_SLOW = auto()


class Listener:
    """One socket: what waits to be sent on it, from where to where it was served, and which chats it looks at."""

    def __init__(self, audience: Audience, position: int) -> None:
        self.audience = audience
        self.waiting: asyncio.Queue[str] = asyncio.Queue(QUEUE)
        self.over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.served_since = self.served_until = position
        self.chat_ids: set[UUID] = set()

    def offer(self, text: str) -> None:
        """Never waits: whoever is too slow is dropped."""
        try:
            self.waiting.put_nowait(text)
        except asyncio.QueueFull:
            self.end(Ending.TOO_SLOW)

    def mention(self, text: str) -> None:
        """Never waits either: for what nobody misses who is slow."""
        if self.waiting.qsize() < QUEUE // 2:
            self.waiting.put_nowait(text)

    async def say(self, text: str) -> None:
        """Waits until there is room: for what a client asked for itself."""
        await self.waiting.put(text)

    def end(self, ending: Ending) -> None:
        if not self.over.done():
            self.over.set_result(ending)
