"""`Idempotency-Key`: a repeated POST gets its first answer and does nothing again."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession

from db import session_scope
from models import IdempotencyRecord
from routes.deps import ActorDep, SessionDep
from services import idempotency
from services.permissions import Account

KeyHeader = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="Repeat a POST under the same key to get its first answer again."),
]
# The only cookie such an answer sets is the flash: what was done, and its undo.
KEPT_HEADERS = ("content-type", "hx-trigger", "hx-redirect", "location", "set-cookie", "vary")


class Replay(Exception):
    """Stops a request that was answered before."""

    def __init__(self, record: IdempotencyRecord) -> None:
        super().__init__()
        self.response = replayed(record)


def replayed(record: IdempotencyRecord) -> Response:
    return Response(record.body, record.status_code, {**record.headers, "Idempotent-Replayed": "true"})


async def once(
    request: Request, session: AsyncSession, account: Account, key: str, act: Callable[[], Awaitable[Response]]
) -> Response:
    """Answer a form that is sent twice, as by a double click, with its first answer. `key` came with the form."""
    if not key:
        return await act()
    fingerprint = idempotency.fingerprint(request.method, request.url.path, b"")
    record = await idempotency.claim(session, account, key, fingerprint)
    if record is not None:
        return replayed(record)
    response = await act()
    if response.status_code < 400:
        await keep(session, account, key, response)
    else:
        await idempotency.release(session, account, key)
    return response


async def keep(session: AsyncSession, account: Account, key: str, response: Response) -> None:
    """Keep the answer to a claimed request, in its transaction."""
    headers = {name: value for name, value in response.headers.items() if name in KEPT_HEADERS}
    await idempotency.remember(
        session, account, key, status_code=response.status_code, headers=headers, body=bytes(response.body)
    )


async def replay(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Replay)
    return error.response


async def claim_key(request: Request, session: SessionDep, actor: ActorDep, key: KeyHeader = None) -> None:
    """Router dependency: take the key, or stop with the answer that was given under it."""
    if key is not None and request.method == "POST":
        await claim(request, session, actor, key, await request.body())


async def claim(request: Request, session: AsyncSession, account: Account, key: str, body: bytes) -> None:
    """Take the key for a route of class `IdempotentRoute`, or stop. `body`: or whatever tells it from another one."""
    address = f"{request.url.path}?{request.url.query}"
    fingerprint = idempotency.fingerprint(request.method, address, body)
    record = await idempotency.claim(session, account, key, fingerprint)
    if record is not None:
        raise Replay(record)
    request.state.session, request.state.idempotency_key = session, key


async def stop_if_answered(request: Request, account: Account, key: str, body: bytes) -> None:
    """Nothing is held afterwards: for what takes long before it can `claim`."""
    async with session_scope() as session:
        await claim(request, session, account, key, body)
        await idempotency.release(session, account, key)


class IdempotentRoute(APIRoute):
    """Keeps the answers to claimed requests."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def remembering(request: Request) -> Response:
            response = await handle(request)
            key = getattr(request.state, "idempotency_key", None)
            if key is not None and response.status_code < 400:
                await keep(request.state.session, request.state.account, key, response)
            return response

        return remembering


Claimed = Depends(claim_key)
