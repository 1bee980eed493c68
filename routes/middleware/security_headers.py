"""Security headers on every response, with a strict Content-Security-Policy."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:{images}; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

_COMMON = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), geolocation=(), microphone=(), payment=(), usb=()"),
]
# Their addresses are secrets: they must not travel on in a Referer, nor stay in a cache.
_SECRET_PATHS = ("/do/", "/reset/", "/verify/")
_SECRET_LINK = {b"referrer-policy": b"no-referrer", b"cache-control": b"no-store"}
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class SecurityHeaders:
    """`images_from`: the one other origin that pictures come from, where they do."""

    def __init__(self, app: ASGIApp, *, hsts: bool = False, images_from: str | None = None) -> None:
        self.app = app
        common = [*_COMMON, _HSTS] if hsts else _COMMON
        policy = CSP.format(images=f" {images_from}" if images_from else "")
        self.headers = [*common, (b"content-security-policy", policy.encode())]
        self.link_headers = list({**dict(self.headers), **_SECRET_LINK}.items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        path = scope["path"]
        headers = self.headers
        if path.startswith(_SECRET_PATHS):
            headers = self.link_headers

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self.app(scope, receive, send_with_headers)
