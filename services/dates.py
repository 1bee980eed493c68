"""The date rules: pure functions over calendar days. "Today" is the household's, and always given.

A lot is past its date only when that day is over, so a date that is today is not yet past.
"""

import calendar
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from statistics import median

from models import DateKind, ExpiryReason, LocationKind

MIN_HISTORY = 3
FIRST = date(1990, 1, 1)
LATEST = date(2199, 12, 31)


class Urgency(StrEnum):
    EXPIRED = "expired"
    PAST_BEST = "past_best"
    TODAY = "today"
    SOON = "soon"
    FINE = "fine"
    UNDATED = "undated"


@dataclass(frozen=True, slots=True)
class LotDates:
    """Everything about a lot that its dates depend on."""

    date_kind: DateKind = DateKind.NONE
    printed_on: date | None = None
    expires_on: date | None = None
    expiry_reason: ExpiryReason | None = None
    opened_on: date | None = None
    frozen_on: date | None = None
    thawed_on: date | None = None
    days_left_at_freeze: int | None = None
    snoozed_until: date | None = None


@dataclass(frozen=True, slots=True)
class ShelfLife:
    """How many days a product keeps, as far as it is known. `own_*`: the household's word on this very product."""

    date_kind: DateKind = DateKind.BEST_BEFORE
    own_unopened: int | None = None
    own_frozen: int | None = None
    by_storage: Mapping[LocationKind, int | None] = field(default_factory=dict)
    opened: int | None = None
    thawed: int | None = None

    @property
    def frozen(self) -> int | None:
        return self.by_storage.get(LocationKind.FREEZER) if self.own_frozen is None else self.own_frozen


class Source(StrEnum):
    """Why a date was suggested."""

    HISTORY = "history"
    PRODUCT = "product"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True)
class Suggestion:
    expires_on: date
    source: Source
    days: int
    lots: int = 0


def urgency(
    *,
    today: date,
    date_kind: DateKind | str,
    expires_on: date | None,
    expiry_reason: ExpiryReason | str | None,
    soon_days: int,
    snoozed_until: date | None = None,
) -> Urgency:
    """How pressing a lot is.

    Only a passed use-by is a matter of safety. What was frozen in time is past its best at worst.
    """
    if expires_on is None:
        return Urgency.UNDATED
    days = (expires_on - today).days
    if days < 0:
        is_unsafe = date_kind == DateKind.USE_BY and expiry_reason != ExpiryReason.FROZEN
        return Urgency.EXPIRED if is_unsafe else Urgency.PAST_BEST
    if days == 0:
        return Urgency.TODAY
    if days <= soon_days and (snoozed_until is None or snoozed_until <= today):
        return Urgency.SOON
    return Urgency.FINE


def opened(dates: LotDates, *, today: date, days: int | None) -> LotDates:
    """Opened today, good for `days` from now on. Opening never extends a date."""
    after = replace(dates, opened_on=dates.opened_on or today)
    # Freezing stops the clock that opening starts; it runs again from the day of thawing.
    if days is None or dates.frozen_on is not None:
        return after
    limit = add_days(today, days)
    if dates.expires_on is not None and dates.expires_on <= limit:
        return after
    return replace(after, expires_on=limit, expiry_reason=ExpiryReason.OPENED, date_kind=_dated(dates.date_kind))


def frozen(dates: LotDates, *, today: date, days: int | None) -> LotDates:
    """Frozen today, good for `days` or with no date. What is past its use-by stays past it."""
    is_past_use_by = (
        dates.date_kind is DateKind.USE_BY
        and dates.expiry_reason is not ExpiryReason.FROZEN
        and dates.expires_on is not None
        and dates.expires_on < today
    )
    days_left = None if dates.expires_on is None else (dates.expires_on - today).days
    after = replace(dates, frozen_on=today, thawed_on=None, days_left_at_freeze=days_left, snoozed_until=None)
    if is_past_use_by:
        return after
    return replace(
        after,
        expires_on=None if days is None else add_days(today, days),
        expiry_reason=ExpiryReason.FROZEN,
        date_kind=dates.date_kind if days is None else _dated(dates.date_kind),
    )


def thawed(dates: LotDates, *, today: date, days: int | None) -> LotDates:
    """Thawed today: what was left when it was frozen, but no longer than `days`. Thawing never extends a date."""
    after = replace(dates, frozen_on=None, thawed_on=today, days_left_at_freeze=None, snoozed_until=None)
    known = [limit for limit in (dates.days_left_at_freeze, days) if limit is not None]
    if known:
        limit = add_days(today, min(known))
    elif dates.expiry_reason is ExpiryReason.FROZEN:
        return replace(after, expires_on=None, expiry_reason=ExpiryReason.THAWED)
    else:
        return after
    # Bought frozen: its own date was never replaced, and still bounds it.
    if dates.expiry_reason is not ExpiryReason.FROZEN and dates.expires_on is not None and dates.expires_on <= limit:
        return after
    return replace(after, expires_on=limit, expiry_reason=ExpiryReason.THAWED, date_kind=_dated(dates.date_kind))


def given(dates: LotDates, kind: DateKind | None, on: date) -> LotDates:
    """With the date somebody gave: as printed on it, unless they call it an estimate.

    Without a kind it is taken for the one `dates` have, or else for the harmless one.
    """
    known = dates.date_kind if dates.date_kind in {DateKind.USE_BY, DateKind.BEST_BEFORE} else DateKind.BEST_BEFORE
    is_estimate = kind is DateKind.ESTIMATED
    return replace(
        dates,
        date_kind=kind or known,
        printed_on=None if is_estimate else on,
        expires_on=on,
        expiry_reason=ExpiryReason.ESTIMATED if is_estimate else ExpiryReason.PRINTED,
        snoozed_until=None,
    )


def without_date(dates: LotDates) -> LotDates:
    return replace(
        dates, date_kind=DateKind.NONE, printed_on=None, expires_on=None, expiry_reason=None, snoozed_until=None
    )


def suggest(
    shelf_life: ShelfLife, *, purchased_on: date, storage: LocationKind, history: Sequence[int] = ()
) -> Suggestion | None:
    """When something bought then and kept there is likely to be past its best.

    `history`: days from purchase to the printed date of the household's own lots of that product, kept likewise.
    """
    own = shelf_life.own_frozen if storage is LocationKind.FREEZER else shelf_life.own_unopened
    by_category = shelf_life.by_storage.get(storage)
    if len(history) >= MIN_HISTORY:
        source, days = Source.HISTORY, int(median(history))
    elif own is not None:
        source, days = Source.PRODUCT, own
    elif by_category is not None and shelf_life.date_kind is not DateKind.NONE:
        source, days = Source.CATEGORY, by_category
    else:
        return None
    return Suggestion(add_days(purchased_on, days), source, days, len(history))


def parse_entry(entry: str, *, today: date, day_first: bool = True) -> date | None:
    """The day somebody means who types quickly; None for "it has no date".

    `x` none · `+10d +2w +1m +1y` · `e` end of this month · `2026-05 05/2026 202605e` end of that month ·
    `12.5. 12.5.26 12/5 0512 (month, day) 120526 20260512 2026-05-12`. Without a year: the next one, or one of the
    last 30 days. `day_first`: how the reader writes days with slashes. Raises `ValueError` for anything else.
    """
    text = entry.strip().lower()
    if text in {"x", "-"}:
        return None
    if text in {"e", "eom"}:
        return end_of_month(today.year, today.month)
    if match := re.fullmatch(r"\+?(\d{1,4}) ?([dwmy])", text):
        return _later(today, int(match[1]), match[2])
    if match := re.fullmatch(r"(\d{4})(?:-(\d\d)|(\d\d)e)", text):
        return end_of_month(int(match[1]), int(match[2] or match[3]))
    if match := re.fullmatch(r"(\d{1,2})[./-](\d{4})", text):
        return end_of_month(int(match[2]), int(match[1]))
    if match := re.fullmatch(r"(\d{4})-?(\d\d)-?(\d\d)", text):
        return date(int(match[1]), int(match[2]), int(match[3]))
    if match := re.fullmatch(r"(\d\d)(\d\d)(\d\d)?", text):
        first, second, year = int(match[1]), int(match[2]), match[3]
        if year is None:
            # MMDD, unless only the other way round makes a date.
            month, day = (first, second) if first <= 12 else (second, first)
            return _nearest(today, month, day)
        day, month = (first, second) if day_first else (second, first)
        return date(2000 + int(year), month, day)
    if match := re.fullmatch(r"(\d{1,2})([./-])(\d{1,2})(?:\2(\d{2}|\d{4})?)?", text):
        first, second, year = int(match[1]), int(match[3]), match[4]
        day, month = (first, second) if day_first or match[2] == "." else (second, first)
        if year is None:
            return _nearest(today, month, day)
        return date(int(year) + (2000 if len(year) == 2 else 0), month, day)
    raise ValueError(entry)


def end_of_month(year: int, month: int) -> date:
    """What a date without a day means: the last day of that month."""
    return date(year, month, calendar.monthrange(year, month)[1])


def add_days(day: date, days: int) -> date:
    """So many days later, but not beyond the last day we keep."""
    return min(day + timedelta(days=days), LATEST)


def _later(today: date, count: int, unit: str) -> date:
    if unit in "dw":
        return add_days(today, count * (7 if unit == "w" else 1))
    months = today.year * 12 + today.month - 1 + count * (12 if unit == "y" else 1)
    last = end_of_month(months // 12, months % 12 + 1)
    return min(last.replace(day=min(today.day, last.day)), LATEST)


def _nearest(today: date, month: int, day: int) -> date:
    for year in range(today.year - 1, today.year + 9):
        try:
            candidate = date(year, month, day)
        except ValueError:
            continue  # 29 February
        if candidate >= today - timedelta(days=30):
            return candidate
    raise ValueError(f"{month}-{day}")


def _dated(kind: DateKind) -> DateKind:
    return DateKind.ESTIMATED if kind is DateKind.NONE else kind
