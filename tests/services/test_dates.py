"""The date rules, as tables and as properties."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import DateKind, ExpiryReason, LocationKind
from services import dates
from services.dates import LotDates, ShelfLife, Source, Urgency
from tests.conftest import TODAY

days = st.integers(-400, 400)
kinds = st.sampled_from([DateKind.USE_BY, DateKind.BEST_BEFORE, DateKind.ESTIMATED])


def in_days(count: int) -> date:
    return TODAY + timedelta(days=count)


def dated(count: int, kind: DateKind = DateKind.USE_BY, **more: object) -> LotDates:
    known = {"expiry_reason": ExpiryReason.PRINTED, **more}
    return LotDates(date_kind=kind, printed_on=in_days(count), expires_on=in_days(count), **known)  # type: ignore[arg-type]


def urgency(lot: LotDates, *, soon_days: int = 5) -> Urgency:
    return dates.urgency(
        today=TODAY,
        date_kind=lot.date_kind,
        expires_on=lot.expires_on,
        expiry_reason=lot.expiry_reason,
        soon_days=soon_days,
        snoozed_until=lot.snoozed_until,
    )


@pytest.mark.parametrize(
    ("lot", "expected"),
    [
        (dated(-1), Urgency.EXPIRED),
        (dated(-1, DateKind.BEST_BEFORE), Urgency.PAST_BEST),
        (dated(-1, DateKind.ESTIMATED), Urgency.PAST_BEST),
        (dated(0), Urgency.TODAY),
        (dated(0, DateKind.BEST_BEFORE), Urgency.TODAY),
        (dated(1), Urgency.SOON),
        (dated(5), Urgency.SOON),
        (dated(6), Urgency.FINE),
        (LotDates(), Urgency.UNDATED),
    ],
)
def test_a_lot_is_past_its_date_only_when_that_day_is_over(lot: LotDates, expected: Urgency) -> None:
    assert urgency(lot) is expected


def test_what_was_frozen_in_time_is_past_its_best_at_worst() -> None:
    assert urgency(dated(-9, expiry_reason=ExpiryReason.FROZEN)) is Urgency.PAST_BEST


def test_a_snooze_keeps_soon_quiet_until_its_day_and_never_what_is_due() -> None:
    assert urgency(dated(3, snoozed_until=in_days(1))) is Urgency.FINE
    assert urgency(dated(3, snoozed_until=TODAY)) is Urgency.SOON
    assert urgency(dated(0, snoozed_until=in_days(3))) is Urgency.TODAY
    assert urgency(dated(-1, snoozed_until=in_days(3))) is Urgency.EXPIRED


@given(days, days.filter(lambda count: count >= 0), kinds)
def test_opening_never_extends_a_date(left: int, opened_days: int, kind: DateKind) -> None:
    before = dated(left, kind)

    after = dates.opened(before, today=TODAY, days=opened_days)

    assert after.expires_on == min(in_days(left), in_days(opened_days))
    assert after.opened_on == TODAY
    assert after.printed_on == before.printed_on


def test_opening_something_undated_dates_it_only_when_its_days_are_known() -> None:
    assert dates.opened(LotDates(), today=TODAY, days=None).expires_on is None

    opened = dates.opened(LotDates(), today=TODAY, days=4)

    assert (opened.expires_on, opened.date_kind) == (in_days(4), DateKind.ESTIMATED)


def test_opening_what_is_frozen_waits_for_the_thaw() -> None:
    frozen = dates.frozen(dated(3), today=TODAY, days=90)

    assert dates.opened(frozen, today=TODAY, days=2).expires_on == in_days(90)


@given(days, st.integers(0, 400) | st.none(), kinds)
def test_freezing_remembers_the_days_left(left: int, frozen_days: int | None, kind: DateKind) -> None:
    after = dates.frozen(dated(left, kind), today=TODAY, days=frozen_days)

    assert after.days_left_at_freeze == left
    assert after.frozen_on == TODAY
    if kind is DateKind.USE_BY and left < 0:
        assert after.expires_on == in_days(left)
        assert urgency(after) is Urgency.EXPIRED
    else:
        assert after.expires_on == (None if frozen_days is None else in_days(frozen_days))
        assert after.expiry_reason is ExpiryReason.FROZEN


@given(days, st.integers(0, 400) | st.none(), st.integers(0, 60) | st.none(), st.integers(0, 300))
def test_thawing_gives_back_at_most_what_was_left(
    left: int, frozen_days: int | None, thawed_days: int | None, later: int
) -> None:
    frozen = dates.frozen(dated(left, DateKind.BEST_BEFORE), today=TODAY, days=frozen_days)
    then = TODAY + timedelta(days=later)

    thawed = dates.thawed(frozen, today=then, days=thawed_days)

    limit = left if thawed_days is None else min(left, thawed_days)
    assert thawed.expires_on == then + timedelta(days=limit)
    assert (thawed.frozen_on, thawed.thawed_on, thawed.days_left_at_freeze) == (None, then, None)


@given(st.integers(-90, -1), st.integers(0, 400), st.integers(0, 60), st.integers(0, 300))
def test_freezing_and_thawing_do_not_rescue_what_is_past_its_use_by(
    left: int, frozen_days: int, thawed_days: int, later: int
) -> None:
    frozen = dates.frozen(dated(left), today=TODAY, days=frozen_days)

    thawed = dates.thawed(frozen, today=TODAY + timedelta(days=later), days=thawed_days)

    assert thawed.expires_on == in_days(left)


def test_what_was_bought_frozen_thaws_to_its_days_but_never_beyond_its_own_date() -> None:
    bought = dated(300, DateKind.BEST_BEFORE, frozen_on=TODAY)

    assert dates.thawed(bought, today=TODAY, days=3).expires_on == in_days(3)
    assert dates.thawed(bought, today=TODAY, days=None).expires_on == in_days(300)
    assert dates.thawed(bought, today=in_days(299), days=3).expires_on == in_days(300)


FRIDGE = {LocationKind.FRIDGE: 7, LocationKind.FREEZER: 90}


@pytest.mark.parametrize(
    ("shelf_life", "storage", "history", "expected"),
    [
        (ShelfLife(own_unopened=9, by_storage=FRIDGE), LocationKind.FRIDGE, [4, 6, 11], (Source.HISTORY, 6)),
        (ShelfLife(own_unopened=9, by_storage=FRIDGE), LocationKind.FRIDGE, [4, 6], (Source.PRODUCT, 9)),
        (ShelfLife(by_storage=FRIDGE), LocationKind.FRIDGE, [], (Source.CATEGORY, 7)),
        (ShelfLife(by_storage=FRIDGE), LocationKind.FREEZER, [], (Source.CATEGORY, 90)),
        (ShelfLife(own_unopened=9, by_storage=FRIDGE), LocationKind.FREEZER, [], (Source.CATEGORY, 90)),
        (ShelfLife(own_frozen=30, by_storage=FRIDGE), LocationKind.FREEZER, [], (Source.PRODUCT, 30)),
        (ShelfLife(by_storage=FRIDGE), LocationKind.PANTRY, [], None),
        (ShelfLife(date_kind=DateKind.NONE, by_storage=FRIDGE), LocationKind.FRIDGE, [], None),
        (ShelfLife(date_kind=DateKind.NONE, own_unopened=2), LocationKind.FRIDGE, [], (Source.PRODUCT, 2)),
    ],
)
def test_a_date_is_suggested_by_the_first_that_knows(
    shelf_life: ShelfLife, storage: LocationKind, history: list[int], expected: tuple[Source, int] | None
) -> None:
    suggestion = dates.suggest(shelf_life, purchased_on=in_days(-2), storage=storage, history=history)

    if expected is None:
        assert suggestion is None
    else:
        assert suggestion is not None
        assert (suggestion.source, suggestion.days) == expected
        assert suggestion.expires_on == in_days(-2 + expected[1])


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("x", None),
        ("X", None),
        ("-", None),
        ("+3d", date(2026, 11, 25)),
        ("10d", date(2026, 12, 2)),
        ("+1w", date(2026, 11, 29)),
        ("+1m", date(2026, 12, 22)),
        ("+3m", date(2027, 2, 22)),
        ("+1y", date(2027, 11, 22)),
        ("e", date(2026, 11, 30)),
        ("2026-05", date(2026, 5, 31)),
        ("2028-02", date(2028, 2, 29)),
        ("02/2027", date(2027, 2, 28)),
        ("5.2027", date(2027, 5, 31)),
        ("202705e", date(2027, 5, 31)),
        ("12.5.", date(2027, 5, 12)),
        ("12.5", date(2027, 5, 12)),
        ("12.5.26", date(2026, 5, 12)),
        ("12.05.2026", date(2026, 5, 12)),
        ("12/5", date(2027, 5, 12)),
        ("0512", date(2027, 5, 12)),
        ("3105", date(2027, 5, 31)),
        ("2011", date(2026, 11, 20)),
        ("24.12.", date(2026, 12, 24)),
        ("24.10.", date(2026, 10, 24)),
        ("20.10.", date(2027, 10, 20)),
        ("29.2.", date(2028, 2, 29)),
        ("120527", date(2027, 5, 12)),
        ("20270512", date(2027, 5, 12)),
        ("2027-05-12", date(2027, 5, 12)),
    ],
)
def test_dates_are_read_as_people_type_them(entry: str, expected: date | None) -> None:
    assert dates.parse_entry(entry, today=TODAY) == expected


def test_who_writes_the_month_first_is_read_so_but_dots_are_always_day_first() -> None:
    assert dates.parse_entry("12/5", today=TODAY, day_first=False) == date(2026, 12, 5)
    assert dates.parse_entry("120527", today=TODAY, day_first=False) == date(2027, 12, 5)
    assert dates.parse_entry("12.5.", today=TODAY, day_first=False) == date(2027, 5, 12)


@pytest.mark.parametrize("entry", ["", "soon", "9999", "31.2.", "32.1.", "13/2027", "2026-13", "+1", "+9999y", "0.0."])
def test_what_is_no_date_is_refused(entry: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        dates.parse_entry(entry, today=TODAY)


@given(st.text(max_size=20))
def test_no_entry_does_worse_than_be_refused(entry: str) -> None:
    try:
        found = dates.parse_entry(entry, today=TODAY)
    except (ValueError, OverflowError):
        return
    assert found is None or isinstance(found, date)


@given(st.dates(date(1990, 1, 1), date(2199, 12, 31)), st.integers(0, 9999), st.sampled_from("dwmy"))
def test_counting_on_stays_within_the_days_we_keep(today: date, count: int, unit: str) -> None:
    try:
        found = dates.parse_entry(f"+{count}{unit}", today=today)
    except (ValueError, OverflowError):
        return
    assert found is not None
    assert today <= found <= dates.LATEST
