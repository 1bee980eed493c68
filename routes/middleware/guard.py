"""The guard at the door: refuses who comes too often, and who is banned, before anything else is done for them.

What is limited is named like the routes it leads to. Static files and probes are free. A ban of an address, which may
be a whole site's, refuses what needs no signing in; it never keeps people from reading who are signed in.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

import auth
from models import TokenKind
from routes.table import list_routes
from services import guard
from services.core.errors import AppError, LimitExceeded, Unavailable
from services.core.i18n import _
from services.guard import Doorkeeper, Known, Limit, keys
from services.jobs.loops import DATABASE_AWAY
from services.permissions import Account

logger = structlog.get_logger("larder.guard")

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FREE = re.compile(r"^/(static/|sw\.js$|healthz$|readyz$)")

# By the names of routes: what is limited when it changes something, and what is when it only looks.
LIMITS: Mapping[str, Limit] = {
    "account:change_email": guard.MAIL,
    "account:confirm": guard.CONFIRM,
    "account:confirm_passkey": guard.CONFIRM,
    "account:delete": guard.CONFIRM,
    "account:password": guard.CONFIRM,
    "account:verify_email": guard.MAIL,
    "auth:forgot": guard.MAIL,
    "auth:login": guard.SIGN_IN,
    "auth:login_code": guard.CODE,
    "auth:login_openid": guard.CODE,
    "auth:login_passkey": guard.CODE,
    "auth:login_passkey_options": guard.CODE,
    "auth:refresh": guard.REFRESH,
    "auth:register": guard.REGISTER,
    "auth:reset": guard.CODE,
    "auth:verify": guard.CODE,
    "invitations:accept": guard.JOIN,
    "invitations:create": guard.INVITE,
    "second_factor:confirm": guard.CONFIRM,
}
LOOKING: Mapping[str, Limit] = {"auth:register": guard.JOIN, "invitations:preview": guard.JOIN}
# Whoever shows a refresh token is signed in.
NOT_FOR_STRANGERS = frozenset({guard.REFRESH})


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: the key of their address, and the token they show."""

    address: str
    is_exempt: bool
    token: tuple[str, TokenKind] | None


class Guard:
    def __init__(
        self, app: ASGIApp, *, keeper: Doorkeeper, refuse: Callable[[Request, AppError], Awaitable[Response]]
    ) -> None:
        self.app = app
        self.keeper = keeper
        self.refuse = refuse
        self._paths: list[tuple[re.Pattern[str], bool, Limit]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or FREE.match(scope["path"]):
            await self.app(scope, receive, send)
            return

        visitor = self._visitor(scope)
        try:
            known = await self._admit(scope, visitor)
        except AppError as error:
            await self._refuse(error, scope, receive, send)
            return
        await self.app(scope, receive, send)
        account = scope.get("state", {}).get("account")
        if known is None and visitor.token and isinstance(account, Account) and not visitor.is_exempt:
            self.keeper.learn(visitor.token[0], account)

    async def _admit(self, scope: Scope, visitor: Visitor) -> Known | None:
        """Who that is, as far as it was asked.

        Raises `LimitExceeded`, and `Unavailable` where a limit cannot be counted that must hold.
        """
        limit = self._limit_of(scope)
        if visitor.is_exempt and limit is None:
            return None
        known = self.keeper.known(visitor.token[0]) if visitor.token else None
        if not visitor.is_exempt:
            known = await self._count(visitor, known)
            known = await self._refuse_banned(scope, visitor, limit, known)
        if limit is not None:
            await self._spend(limit, visitor, known)
        return known

    async def _count(self, visitor: Visitor, known: Known | None) -> Known | None:
        seconds = self.keeper.count(known.key if known else visitor.address)
        if seconds and known is None:
            known = await self._recognise(visitor)
            if known is None:
                self.keeper.strike(visitor.address)
            else:
                seconds = self.keeper.count(known.key)
        if seconds:
            raise guard.exceeded(seconds)
        return known

    async def _refuse_banned(
        self, scope: Scope, visitor: Visitor, limit: Limit | None, known: Known | None
    ) -> Known | None:
        seconds = self.keeper.seconds_banned(visitor.address)
        is_reading = scope.get("method", "GET") in SAFE
        if not seconds or limit in NOT_FOR_STRANGERS or (limit is None and is_reading):
            return known
        if limit is None or not limit.is_entrance:
            known = known or await self._recognise(visitor)
            if known is not None:
                return known
        raise guard.exceeded(seconds)

    async def _spend(self, limit: Limit, visitor: Visitor, known: Known | None) -> None:
        known = known or await self._recognise(visitor)
        try:
            await guard.spend(
                limit,
                address="" if visitor.is_exempt else visitor.address,
                account=known.email if known and limit.of_account and not limit.is_of_failures else "",
            )
        except LimitExceeded:
            if not visitor.is_exempt:
                self.keeper.strike(visitor.address)
            raise
        except DATABASE_AWAY as error:
            logger.warning("cannot count", limit=limit.name, error=type(error).__name__)
            raise Unavailable(_("We are busy. Please try again in a moment.")) from error

    async def _recognise(self, visitor: Visitor) -> Known | None:
        if visitor.token is None:
            return None
        try:
            return await self.keeper.recognise(*visitor.token)
        except DATABASE_AWAY as error:
            logger.warning("cannot look up", error=type(error).__name__)
            return None

    def _visitor(self, scope: Scope) -> Visitor:
        client = scope.get("client")
        address = keys.of_address(client[0] if client else "")
        connection = HTTPConnection(scope)
        return Visitor(
            address, self.keeper.is_exempt(address), auth.shown_token(connection.headers, connection.cookies)
        )

    def _limit_of(self, scope: Scope) -> Limit | None:
        if scope["type"] != "http":
            return None
        is_looking = scope["method"] in SAFE
        for path, looks, limit in self._guarded(scope["app"]):
            if looks is is_looking and path.match(scope["path"]):
                return limit
        return guard.UPLOAD if not is_looking and _is_upload(scope) else None

    def _guarded(self, app: Any) -> list[tuple[re.Pattern[str], bool, Limit]]:
        """Where the limited routes are; the app has all of its routes by the time it is asked something."""
        if self._paths is None:
            self._paths = [
                (compile_path(route.path)[0], looks, limits[route.name])
                for route in list_routes(app)
                for looks, limits in ((False, LIMITS), (True, LOOKING))
                if route.name in limits and (route.methods <= SAFE) is looks
            ]
        return self._paths

    async def _refuse(self, error: AppError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1013, "reason": "try again later"})
            return
        response = await self.refuse(Request(scope, receive), error)
        await response(scope, receive, send)


def _is_upload(scope: Scope) -> bool:
    kind: bytes = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return kind.lower().startswith(b"multipart/form-data")
