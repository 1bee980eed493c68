"""The gate before each of our routes: what staff has switched off is open to nobody."""

from fastapi import FastAPI, Request, WebSocketException
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

import auth
from services import endpoints
from services.core.errors import PermissionDenied
from services.core.i18n import _

SWITCHED_OFF = 4403
METHODS = {"HEAD": "GET"}  # one comes with the other


class Gate:
    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app = app
        self.path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope.get("method", "WEBSOCKET")
        if await endpoints.is_switched_off(METHODS.get(method, method), self.path):
            if scope["type"] == "websocket":
                raise WebSocketException(SWITCHED_OFF)
            auth.speak_to_stranger(Request(scope))
            raise PermissionDenied(_("This is switched off at the moment."), code="switched_off")
        await self.app(scope, receive, send)


def guard_routes(app: FastAPI) -> None:
    """Put a gate before each route but those that cannot be switched off: one, however many apps share the routes."""
    for route in app.routes:
        if not isinstance(route, Route | WebSocketRoute) or endpoints.is_protected(route.path, route.name):
            continue
        if not isinstance(route.app, Gate):
            route.app = Gate(route.app, route.path_format)
