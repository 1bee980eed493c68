"""Web push: encrypted for the browser (RFC 8291) and handed to the push service it named.

What the service worker gets: `{"title", "body", "url", "tag", "actions": [{"action", "title", "url"}]}`.
"""

from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

import msgspec
from py_vapid import Vapid02, VapidException
from pywebpush import WebPusher

from services.action_links import LinkAction
from services.core import clock
from services.core.i18n import _, mark
from services.delivery import vapid
from services.delivery.content import Letter
from services.delivery.http import HttpSender, answered
from services.delivery.sender import Gone, Refused, Undelivered
from settings import get_settings

# Push services take 4096 bytes, of which the encryption needs 103 (RFC 8291, section 4).
MAX_BODY = 1500
DAY = 24 * 3600
HALF_A_DAY = DAY // 2
LABELS = {
    LinkAction.USED: mark("Used"),
    LinkAction.FROZEN: mark("Frozen"),
    LinkAction.BINNED: mark("Binned"),
    LinkAction.SNOOZE: mark("Later"),
}
GONE = {404, 410}
TRY_AGAIN = {408, 425, 429}


class WebPushSender(HttpSender):
    async def send(self, letter: Letter) -> None:
        subscription = msgspec.json.decode(letter.address)
        headers = {
            **_authorization(subscription["endpoint"]),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(DAY),
            "Urgency": "normal",
            # What is repeated replaces what still waits at the push service.
            "Topic": letter.id.hex,
        }
        try:
            content = WebPusher(subscription).encode(payload(letter))["body"]
        except ValueError as error:
            raise Gone(_("This device cannot be sent to.")) from error
        response = await self.post(subscription["endpoint"], content, headers)
        if response.status_code in GONE:
            raise Gone(_("This device is no longer subscribed."))
        if response.is_client_error and response.status_code not in TRY_AGAIN:
            raise Refused(str(answered(response)))
        if not response.is_success:
            raise answered(response)


def payload(letter: Letter) -> bytes:
    told: dict[str, Any] = {
        "title": letter.title,
        "body": letter.text[:MAX_BODY],
        "url": letter.url,
        "tag": letter.id,
        "actions": [],
    }
    if len(letter.items) == 1:
        links = letter.items[0].links
        told["actions"] = [
            {"action": action, "title": _(LABELS[action]), "url": url} for action, url in list(links.items())[:2]
        ]
    return msgspec.json.encode(told)


def _authorization(endpoint: str) -> dict[str, str]:
    key = vapid.find()
    if key is None:
        raise Undelivered(_("This instance has no key for push: its operator runs `oppman.py vapid`."))
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "sub": _contact(),
        "exp": int(clock.now().timestamp()) + HALF_A_DAY,
    }
    try:
        signed: dict[str, str] = Vapid02(key, conf={"no-strict": True}).sign(claims)
    except VapidException as error:
        raise Refused(_("This device cannot be sent to.")) from error
    return signed


def _contact() -> str:
    """Whom a push service can turn to."""
    settings = get_settings()
    return settings.home if settings.home.startswith("https://") else f"mailto:{parseaddr(settings.mail.sender)[1]}"
