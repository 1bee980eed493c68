"""Identifiers and secret tokens."""

import secrets
from datetime import datetime
from hashlib import sha256
from threading import Lock
from uuid import UUID

from services.core import clock

_lock = Lock()
_millisecond = 0
_made = 0


def new_id() -> UUID:
    """A version 7 UUID (RFC 9562): an id made later in this process sorts later, within one millisecond too."""
    global _millisecond, _made
    millisecond = int(clock.now().timestamp() * 1000)
    with _lock:
        _made = _made + 1 if millisecond == _millisecond else 0
        _millisecond = millisecond
        # 12 bits count within the millisecond; more than that runs over into the next one.
        stamp = (millisecond << 12) + _made
    return UUID(int=stamp >> 12 << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | secrets.randbits(62))


def first_id(at: datetime) -> UUID:
    """The smallest id that can be made at a moment: for finding rows by when they were made."""
    return UUID(int=int(at.timestamp() * 1000) << 80 | 0x7 << 76 | 0b10 << 62)


def prefix(at: datetime) -> str:
    """How the ids made at a moment begin, up to where they are random: for the database to make many of them."""
    return str(first_id(at))[:15]


def new_token() -> str:
    """256 random bits for a URL or a header."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """How a token is kept: it is random, so one plain SHA-256 is enough and can be looked up."""
    return sha256(token.encode()).hexdigest()
