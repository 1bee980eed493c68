"""Keyset pages: a cursor is where the last row stood, so a page costs the same however deep it is."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.core.errors import InvalidInput
from services.core.i18n import _
from services.core.text import has_forbidden_characters

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which rows of a list are wanted."""

    limit: int = DEFAULT_LIMIT
    after: str | None = None
    total: bool = False


@dataclass(slots=True)
class Page(Generic[T]):
    """One page of a list; `next` is the cursor of the page behind it."""

    items: Sequence[T] = field(default_factory=list)
    next: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A column that a list is ordered by. The last key of a list must be unique; none may be null."""

    column: Any
    parse: Callable[[str], Any] = str


def by_id(column: Any) -> Key:
    return Key(column, UUID)


def by_moment(column: Any) -> Key:
    return Key(column, _moment)


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(value)
    return moment.astimezone(UTC)  # the first and the last hours of all have none


def encode_cursor(position: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([str(value) for value in position]).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, parsers: Sequence[Callable[[str], Any]]) -> list[Any]:
    """The values a cursor holds. Raises `InvalidInput` for one that is not of this list."""
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(position, list) or not all(isinstance(value, str) for value in position):
            raise ValueError(cursor)
        if any(has_forbidden_characters(value) for value in position):
            raise ValueError(cursor)
        return [parse(value) for parse, value in zip(parsers, position, strict=True)]
    except (binascii.Error, ValueError, ArithmeticError, RecursionError) as error:
        raise InvalidInput({"after": _("This is not a cursor of this list.")}) from error


async def fetch_page(
    session: AsyncSession,
    statement: sa.Select[Any],
    page: PageRequest,
    *keys: Key,
    descending: bool = False,
) -> Page[Any]:
    """Run a select page by page. Rows of one column come out as that column."""
    total = None
    if page.total:
        count = sa.select(sa.func.count()).select_from(statement.order_by(None).subquery())
        total = (await session.execute(count)).scalar_one()

    order = sa.tuple_(*(key.column for key in keys))
    if page.after is not None:
        position = decode_cursor(page.after, [key.parse for key in keys])
        bound = sa.tuple_(*(sa.bindparam(None, v, type_=k.column.type) for k, v in zip(keys, position, strict=True)))
        statement = statement.where(order < bound if descending else order > bound)
    ordering = [key.column.desc() if descending else key.column for key in keys]
    ordered = statement.add_columns(*(key.column for key in keys)).order_by(*ordering).limit(page.limit + 1)
    rows = (await session.execute(ordered)).all()

    shown = rows[: page.limit]
    own = len(rows[0]) - len(keys) if rows else 0
    return Page(
        items=[row[0] if own == 1 else row[:own] for row in shown],
        next=encode_cursor(shown[-1][own:]) if len(rows) > page.limit else None,
        total=total,
    )
