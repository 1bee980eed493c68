"""The dictionary: lists to choose from that staff keeps, such as the shops things are bought in.

Each process keeps what it has read, for a few minutes at most, and looks again when something was written: at once
where it was written, and elsewhere as soon as the bus tells.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

import db
from models import DictionaryEntry
from services.core import bus
from services.core.errors import NotFound
from services.core.i18n import _, mark
from services.permissions import Account

MAX_AGE = 300.0
TOPIC = "dictionary"


@dataclass(frozen=True, slots=True)
class Kind:
    """A list there is. `is_public`: for everybody who is signed in, not for staff alone."""

    label: str
    is_public: bool = False


KINDS: Mapping[str, Kind] = {
    "store": Kind(mark("Shops"), is_public=True),
    "ban_reason": Kind(mark("Reasons to keep somebody out")),
}


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str


async def list_options(session: AsyncSession, account: Account, kind: str) -> Sequence[Option]:
    """For whoever is signed in. Raises `NotFound` for a list that is not there, or not for them."""
    is_staff = account.is_staff and account.impersonator_id is None and account.scopes is None
    known = KINDS.get(kind)
    if known is None or not (known.is_public or is_staff):
        raise NotFound(_("There is no such list."))
    return await options(session, kind)


async def options(session: AsyncSession, kind: str) -> Sequence[Option]:
    """What there is to choose from, in order."""
    cached = _cache.get(kind)
    if cached and cached.database is db.get_database() and time.monotonic() - cached.read_at < MAX_AGE:
        return cached.options
    return await _read(session, kind)


def forget_after_commit(session: AsyncSession) -> None:
    """Something was written: look again, here and everywhere."""
    db.after_commit(session, changed)


def changed() -> None:
    forget()
    bus.publish(TOPIC)


def hear(message: str) -> None:
    """What the bus says; nothing, when it may have said something meanwhile."""
    if message in {"", TOPIC}:
        forget()


def forget() -> None:
    global _cache
    _cache = {}  # a new one: what is being read now goes into the old


@dataclass(frozen=True, slots=True)
class _Cached:
    database: db.Database
    options: tuple[Option, ...]
    read_at: float


_cache: dict[str, _Cached] = {}


async def _read(session: AsyncSession, kind: str) -> Sequence[Option]:
    began, cache = time.monotonic(), _cache
    rows = await session.execute(
        select(DictionaryEntry.value, DictionaryEntry.label)
        .where(DictionaryEntry.kind == kind, col(DictionaryEntry.is_enabled))
        .order_by(col(DictionaryEntry.position), col(DictionaryEntry.label))
    )
    found = tuple(Option(*row) for row in rows.tuples())
    cache[kind] = _Cached(db.get_database(), found, began)
    return found
