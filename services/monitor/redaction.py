"""What the monitor keeps of requests: nothing that opens a door, names a person, or has no end.

What is not known to be harmless is not kept. It is left out before it is written, not when it is shown.
"""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

HIDDEN = "•••"
LIMIT = 8 * 1024
MOST_HEADERS = 40
MOST_CHARACTERS = 300

_HARMLESS_HEADERS = frozenset(
    {
        "accept", "accept-encoding", "accept-language", "allow", "cache-control", "connection", "content-encoding",
        "content-language", "content-length", "content-type", "etag", "host", "hx-boosted", "hx-request", "hx-reswap",
        "hx-target", "if-none-match", "origin", "retry-after", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site",
        "user-agent", "vary", "x-request-id",
    }
)  # fmt: skip
_HARMLESS_QUERY = frozenset({"atomic", "limit", "sort", "total", "unread", "urgency", "window"})
_SECRET_WORDS = re.compile(
    r"pass|secret|token|ticket|code|key|auth|cookie|credential|session|otp|pin$|hash|signature|e-?mail|^url$|address|phone|invit",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[^\s@\"'<>(),;:]{1,64}@[^\s@\"'<>(),;:]{1,255}")
# Long runs without a space that are no UUID: tokens, keys, signed links.
_TOKEN = re.compile(r"(?<![\w.-])(?![0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-]))[\w.~+=-]{20,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# What nothing has to be left out of has none of these.
_SUSPECT = re.compile(r"[@\x00\ud800-\udfff]|[\w.~+=-]{20}|\b(?:bearer|basic)\s", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer|basic)\s+\S+", re.IGNORECASE)
_ROUTE_WORD = re.compile(r"[a-z][a-z_-]{0,39}(\.[a-z]{1,5})?")
_JSON = re.compile(r"^application/(?:[\w.-]+\+)?json\b")
_FORM = "application/x-www-form-urlencoded"
_TEXT = ("text/plain", "text/csv")


def headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in raw:
        if len(kept) >= MOST_HEADERS:
            break
        key = _header_name(name)
        kept[key] = _harmless(value) if key in _HARMLESS_HEADERS else HIDDEN
    return kept


def path(given: str) -> str:
    """The words and ids of an address, without what looks like a secret."""
    return "/".join(_segment(segment) for segment in given[:1000].split("/"))[:300]


def query(raw: bytes) -> str:
    """Which parameters there were; the values only of those that hold no text of people."""
    pairs = parse_qsl(raw[:4000].decode("latin-1"), keep_blank_values=True)[:50]
    return "&".join(
        f"{text(key)[:40]}={text(value)[:40] if key in _HARMLESS_QUERY else HIDDEN}" for key, value in pairs
    )[:1000]


def is_kept(content_type: str) -> bool:
    """Whether anything of such a body is kept: of JSON, forms and plain text, not of files, pages and uploads."""
    return bool(_JSON.match(content_type)) or content_type.startswith((_FORM, *_TEXT))


def body(content_type: str, kept: bytes, size: int) -> str:
    """A body as it is written down. One that was cut is not: nobody can tell what its halves are."""
    if not size or not is_kept(content_type):
        return ""
    if size > len(kept):
        return f"({size} bytes)"
    shown = kept.decode(errors="replace").replace("\x00", "\ufffd")
    if _JSON.match(content_type):
        try:
            return json.dumps(_plain("", json.loads(shown)), ensure_ascii=False)[:LIMIT]
        except (ValueError, RecursionError):
            return f"({size} bytes that are not JSON)"
    if content_type.startswith(_FORM):
        pairs = parse_qsl(shown, keep_blank_values=True)
        return "&".join(f"{text(key)}={_plain(key, value)}" for key, value in pairs)[:LIMIT]
    return text(shown)[:LIMIT]


def text(given: str) -> str:
    """Text without what looks like a token or an e-mail address, or cannot be kept."""
    if not _SUSPECT.search(given) or _UUID.fullmatch(given):
        return given
    given = _BEARER.sub(HIDDEN, given.replace("\x00", "\ufffd"))
    given = given.encode(errors="replace").decode()
    return _TOKEN.sub(HIDDEN, _EMAIL.sub(HIDDEN, given))


def _plain(key: str, value: Any) -> Any:
    if value not in (None, "", [], {}) and _is_secret(key):
        return HIDDEN
    if isinstance(value, dict):
        return {text(name): _plain(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain("", inner) for inner in value]
    return text(value) if isinstance(value, str) else value


@lru_cache(maxsize=4096)
def _is_secret(key: str) -> bool:
    return _SECRET_WORDS.search(key) is not None


@lru_cache(maxsize=1024)
def _header_name(name: bytes) -> str:
    return text(name.decode("latin-1").lower()[:60])


@lru_cache(maxsize=1024)
def _harmless(value: bytes) -> str:
    return text(value.decode("latin-1")[:MOST_CHARACTERS])


def _segment(segment: str) -> str:
    if _ROUTE_WORD.fullmatch(segment):
        return segment
    return text(segment.replace("…", HIDDEN))
