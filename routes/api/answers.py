"""JSON answers that are serialised once, straight from structs."""

from typing import Any

import msgspec
from fastapi import Response

from services.core.pagination import Page

_encode = msgspec.json.Encoder(decimal_format="string").encode


def json(value: Any, status_code: int = 200) -> Response:
    return Response(_encode(value), status_code, media_type="application/json")


def page(found: Page[Any]) -> Response:
    shown = {"items": found.items, "next": found.next}
    return json(shown if found.total is None else {**shown, "total": found.total})
