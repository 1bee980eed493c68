"""Cross-origin protection: other sites cannot make a browser change something here.

An unsafe request passes when the browser says it comes from here (`Sec-Fetch-Site`), or, for browsers that do not say,
when its `Origin` is this host. Requests without either header do not come from a browser. A request that shows a bearer
token and no cookie carries no ambient rights. Nor does an action link, whose signature is all it needs: mail programs
post to it from pages of their own.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
ACTION_LINK = "/do/"


class CrossOriginProtection:
    def __init__(self, app: ASGIApp, *, refuse: Callable[[Request], Awaitable[Response]]) -> None:
        self.app = app
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_unsafe(scope) and not _is_own(scope):
            request = Request(scope, receive)
            await (await self.refuse(request))(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_unsafe(scope: Scope) -> bool:
    if scope["path"].startswith(ACTION_LINK):
        return False
    return scope["method"] not in SAFE


def _is_own(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    if "authorization" in headers and "cookie" not in headers:
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:
        # "none": by the user, not by a page.
        return site in {"same-origin", "none"}
    return "origin" not in headers or is_same_origin(headers)


def is_same_origin(headers: Headers) -> bool:
    """Whether the page that asks says it is one of ours."""
    try:
        parts = urlsplit(headers.get("origin", ""))
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc == headers.get("host", "")
