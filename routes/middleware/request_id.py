"""A request id on every response and every log line, and one log line a request."""

import time
from secrets import token_hex

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core.origin import Origin, Source, set_origin

logger = structlog.get_logger("larder.access")

HEADER = "X-Request-ID"
PROBES = frozenset({"/healthz", "/readyz"})


class RequestId:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                set_origin(_origin_of(scope, ""))
            await self.app(scope, receive, send)
            return

        request_id = token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        is_probe = scope["path"] in PROBES
        started = 0.0 if is_probe else time.perf_counter()
        set_origin(_origin_of(scope, request_id))
        status = 500
        if not is_probe:
            structlog.contextvars.bind_contextvars(request_id=request_id)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            if not is_probe:
                logger.info(
                    "request",
                    method=scope["method"],
                    path=loggable(scope["path"]),
                    status=status,
                    ms=round((time.perf_counter() - started) * 1000, 1),
                )
                structlog.contextvars.clear_contextvars()


def _origin_of(scope: Scope, request_id: str) -> Origin:
    client = scope.get("client")
    user_agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
    return Origin(_source_of(scope), client[0] if client else "", request_id, user_agent.decode("latin-1")[:400])


def _source_of(scope: Scope) -> Source:
    if scope["type"] == "websocket":
        return Source.SOCKET
    path = scope["path"]
    return Source.API if path.startswith("/api/") else Source.PANEL if path.startswith("/admin") else Source.PAGE


def loggable(path: str) -> str:
    """The path without the secrets that some links carry."""
    for prefix in ("/invitations/", "/api/v1/invitations/", "/do/", "/feeds/", "/reset/", "/verify/"):
        if path.startswith(prefix):
            return f"{prefix}…"
    return path
