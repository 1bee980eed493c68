"""JSON answers that are serialised once, straight from structs."""

from typing import Any

import msgspec
from fastapi import Response

_encode = msgspec.json.Encoder(decimal_format="string").encode


def json(value: Any, status_code: int = 200) -> Response:
    return Response(_encode(value), status_code, media_type="application/json")
