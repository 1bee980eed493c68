"""Watches how requests go: route, status, time, statements, and the beginnings of bodies, as they go by."""

import random
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db import Statement, statements
from routes.middleware.request_id import loggable
from services.core import clock
from services.monitor import Body, Recorder, Sighting, redaction
from services.permissions import Account

UNWATCHED = re.compile(r"^/(static/|sw\.js$|healthz$|readyz$|metrics$)")
# Of these, only how they went is kept: what is sent there opens doors. By the first part of a route's name.
PRIVATE = frozenset(
    {
        "account", "acting", "api_keys", "auth", "channels", "feeds", "identities", "invitations", "links", "live",
        "passkeys", "second_factor", "sessions",
    }
)  # fmt: skip
PRIVATE_PATH = re.compile(r"/(auth|login|register|invitations|feeds|do|settings|users)(/|$)")
# The client went away before there was an answer.
GONE = 499


class Monitor:
    def __init__(self, app: ASGIApp, *, recorder: Recorder, sample: float, slow_ms: float) -> None:
        self.app = app
        self.recorder = recorder
        self.sample = sample
        self.slow_ms = slow_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or UNWATCHED.match(scope["path"]):
            await self.app(scope, receive, send)
            return

        # Errors and slow ones are always kept, and stand for themselves.
        is_sampled = self.sample >= 1 or random.random() < self.sample  # noqa: S311  (nobody gains by guessing)
        recorded: list[Statement] = []
        status, headers = GONE, []
        sent, answered = _body(scope["headers"] if is_sampled else ()), Body()

        async def receive_and_see() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                sent.feed(message.get("body", b""))
            return message

        async def send_and_see(message: Message) -> None:
            nonlocal status, headers, answered
            if message["type"] == "http.response.start":
                status, headers = message["status"], message.get("headers", [])
                answered = _body(headers if is_sampled else ())
            elif answered.kind and message["type"] == "http.response.body":
                answered.feed(message.get("body", b""))
            await send(message)

        at, began = clock.now(), time.perf_counter()
        token = statements.set(recorded)
        try:
            await self.app(scope, receive_and_see if sent.kind else receive, send_and_see)
        finally:
            statements.reset(token)
            ms = (time.perf_counter() - began) * 1000
            is_notable = status >= 500 or ms >= self.slow_ms
            if is_sampled or is_notable:
                state, route = scope.get("state", {}), _route_of(scope)
                account = state.get("account")
                client = scope.get("client")
                self.recorder.see(
                    Sighting(
                        at=at,
                        request_id=state.get("request_id", ""),
                        method=scope["method"],
                        route=route,
                        path=loggable(scope["path"]),
                        status=status,
                        ms=ms,
                        began=began,
                        weight=1 if is_notable or not self.sample else 1 / self.sample,
                        user_id=account.user_id if isinstance(account, Account) else None,
                        ip_address=client[0] if client else "",
                        statements=recorded,
                        is_private=_is_private(route, scope["path"]),
                        query=scope.get("query_string", b""),
                        request_headers=scope["headers"],
                        response_headers=headers,
                        request_body=sent,
                        response_body=answered,
                        fingerprint=state.get("problem", ""),
                    )
                )


def _body(headers: object) -> Body:
    """For what of a body is kept; with no kind, nothing is."""
    for name, value in headers:  # type: ignore[attr-defined]
        if name == b"content-type":
            kind = value.decode("latin-1").lower()
            return Body(kind if redaction.is_kept(kind) else "")
    return Body()


def _route_of(scope: Scope) -> str:
    name: str = getattr(scope.get("route"), "name", "")
    if name:
        return name
    identity = scope.get("path_params", {}).get("identity", "")
    endpoint = getattr(scope.get("endpoint"), "__name__", "")
    return f"panel.{identity}:{endpoint}" if scope["path"].startswith("/admin") and endpoint else ""


def _is_private(route: str, path: str) -> bool:
    return route.partition(":")[0] in PRIVATE or PRIVATE_PATH.search(path) is not None
