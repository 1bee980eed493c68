"""Webhooks: versioned JSON, posted once and signed.

Larder-Delivery: the id; a repetition has the same
Larder-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>" with the channel's secret>
"""

import hmac
from hashlib import sha256
from typing import Any

import msgspec

from services.core import clock
from services.delivery.content import Item, Letter
from services.delivery.http import HttpSender, answered

VERSION = 1


class WebhookSender(HttpSender):
    async def send(self, letter: Letter) -> None:
        content = body(letter)
        headers = {
            "Content-Type": "application/json",
            "Larder-Delivery": str(letter.id),
            "Larder-Signature": signature(letter.secret, content, int(clock.now().timestamp())),
        }
        response = await self.post(letter.address, content, headers)
        if not response.is_success:
            raise answered(response)


def signature(secret: str, content: bytes, timestamp: int) -> str:
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + content, sha256)
    return f"t={timestamp},v1={signed.hexdigest()}"


def body(letter: Letter) -> bytes:
    actor = letter.actor
    return msgspec.json.encode(
        {
            "version": VERSION,
            "id": letter.id,
            "type": letter.template,
            "at": letter.at,
            "household": {"id": actor.household_id, "name": actor.household_name} if actor else None,
            "data": {
                "title": letter.title,
                "text": letter.text,
                "url": letter.url,
                **({"day": letter.day, "items": [_item(item) for item in letter.items]} if letter.day else {}),
                **({"message": letter.message.model_dump(mode="json")} if letter.message else {}),
            },
        }
    )


def _item(item: Item) -> dict[str, Any]:
    return {
        "notification_id": item.notification_id,
        "kind": item.kind,
        "product": {"id": item.product_id, "name": item.name},
        "lot": item.lot,
        "text": item.line,
    }
