"""Redis publish and subscribe. Imported only where Redis is used: the client is large."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.core.bus.base import Handler
from services.core.bus.remote import PATIENCE

CHANNEL = "larder"


class RedisLink:
    def __init__(self, url: str) -> None:
        # The bus tries again by itself, and then catches up.
        self._client: Any = Redis.from_url(
            url,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=PATIENCE,
            socket_keepalive=True,
        )
        self._subscription: Any = self._client.pubsub(ignore_subscribe_messages=False)
        self._listening: asyncio.Task[None] | None = None

    async def open(self, hear: Handler, lost: Callable[[], None]) -> None:
        with _failing_as_os_error():
            await self._subscription.subscribe(CHANNEL)
            # Its confirmation: from here on nothing is missed.
            await self._subscription.get_message(timeout=PATIENCE)
        self._listening = asyncio.create_task(self._listen(hear, lost), name="redis bus")

    async def send(self, message: str) -> None:
        with _failing_as_os_error():
            async with asyncio.timeout(PATIENCE):
                await self._client.publish(CHANNEL, message)

    async def check(self) -> None:
        with _failing_as_os_error():
            async with asyncio.timeout(PATIENCE):
                await self._client.ping()

    async def close(self) -> None:
        if self._listening:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        for part in (self._subscription, self._client):
            await asyncio.gather(part.aclose(), return_exceptions=True)

    async def _listen(self, hear: Handler, lost: Callable[[], None]) -> None:
        try:
            async for said in self._subscription.listen():
                if said["type"] == "message":
                    hear(said["data"])
        except (RedisError, OSError):
            pass
        finally:
            lost()


@contextmanager
def _failing_as_os_error() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise ConnectionError from error
