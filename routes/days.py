"""Lists with a heading for each day."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import TypeVar

from services.core import clock

T = TypeVar("T")


def by_day(rows: Iterable[T], time_zone: str, at: Callable[[T], datetime]) -> list[tuple[date, list[T]]]:
    """The rows of each day, in their order."""
    days: dict[date, list[T]] = {}
    for row in rows:
        days.setdefault(clock.day_of(at(row), time_zone), []).append(row)
    return list(days.items())
