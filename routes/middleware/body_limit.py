"""A limit on request bodies, told or counted. Starlette's own answers in plain text, ours as every other error."""

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """`largest`: what a request may have by its route, where that is more; 0 where it is not."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_size: int,
        largest: Callable[[Scope], int],
        refuse: Callable[[Request], Awaitable[Response]],
    ) -> None:
        self.app = app
        self.max_body_size = max_body_size
        self.largest = largest
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"}:
            await self.app(scope, receive, send)
            return

        told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if told.isdigit() and int(told) > self.max_body_size and int(told) > self.largest(scope):
            request = Request(scope, receive)
            await (await self.refuse(request))(scope, receive, send)
            return

        counted, limit = 0, self.max_body_size

        async def count() -> Message:
            nonlocal counted, limit
            message = await receive()
            counted += len(message.get("body", b""))
            if counted > limit:
                limit = max(limit, self.largest(scope))
                if counted > limit:
                    raise HTTPException(413)
            return message

        await self.app(scope, count, send)
