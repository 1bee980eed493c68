"""The only clock. Tests freeze it, the demo lives through months with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

_frozen: ContextVar[datetime | None] = ContextVar("frozen", default=None)


def now() -> datetime:
    """The current moment, in UTC."""
    return _frozen.get() or datetime.now(UTC)


def local(time_zone: str) -> datetime:
    """The current moment on the clocks of an IANA time zone."""
    return now().astimezone(ZoneInfo(time_zone))


def today(time_zone: str) -> date:
    """The current day in an IANA time zone."""
    return local(time_zone).date()


def day_of(at: datetime, time_zone: str) -> date:
    return at.astimezone(ZoneInfo(time_zone)).date()


def start_of_day(day: date, time_zone: str) -> datetime:
    """The moment a day begins in an IANA time zone."""
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)


@contextmanager
def frozen(at: datetime) -> Iterator[None]:
    """Stand still at `at` (aware) for the length of the block."""
    token = _frozen.set(at.astimezone(UTC))
    try:
        yield
    finally:
        _frozen.reset(token)
