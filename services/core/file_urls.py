"""Addresses of kept files: signed, good for a while, and the same for an hour, so that browsers keep what they got."""

import hmac
from functools import lru_cache

from services.core import clock
from services.core.sealing import keyed_hash

WINDOW = 3600
MAX_DIGITS = 12


def address(file_id: object, size: str = "large") -> str:
    """Good for one to two windows. `size`: `large` and `small` of an image, `file` of a document."""
    return _address(str(file_id), size, str(_expiry()))


def is_signed(file_id: str, size: str, expires: str, signature: str) -> bool:
    """Whether these are parts of an address of ours. It may be over."""
    if not (expires.isascii() and expires.isdecimal() and len(expires) <= MAX_DIGITS):
        return False
    right = _signature(file_id, size, expires)
    return hmac.compare_digest(right.encode(), signature.encode())


def is_over(expires: int) -> bool:
    return clock.now().timestamp() >= expires


def _expiry() -> int:
    return (int(clock.now().timestamp()) // WINDOW + 2) * WINDOW


@lru_cache(maxsize=8192)
def _address(file_id: str, size: str, expires: str) -> str:
    return f"/files/{file_id}/{size}?expires={expires}&signature={_signature(file_id, size, expires)}"


def _signature(file_id: str, size: str, expires: str) -> str:
    return keyed_hash(f"{file_id}/{size}/{expires}", purpose="file addresses")[:32]
