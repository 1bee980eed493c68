"""The leaf tools."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.dialects import postgresql, sqlite

from db import ExactDecimal, UTCDateTime, is_unavailable, like
from services import passwords
from services.core import clock, ids, text
from services.core.errors import InvalidInput
from services.core.numbers import plain, plain_money
from services.schemas import types
from services.schemas.messages import MESSAGES
from tests.conftest import NOW


def test_ids_made_later_sort_later_also_within_a_millisecond() -> None:
    made = [ids.new_id() for _ in range(6000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {each.version for each in made} == {7}


def test_the_first_id_of_a_moment_sorts_before_all_of_it_and_after_all_before() -> None:
    with clock.frozen(NOW - timedelta(milliseconds=1)):
        before = ids.new_id()
    after = ids.new_id()

    assert before < ids.first_id(NOW) <= after


def test_tokens_are_long_and_kept_as_hashes() -> None:
    token = ids.new_token()

    assert len(token) >= 43
    assert token not in ids.hash_token(token)
    assert ids.hash_token(token) == ids.hash_token(token)


@pytest.mark.parametrize(
    ("spelling", "other"), [("Müsli", " MÜSLI "), ("straße", "STRASSE"), ("ﬁg", "FIG"), ("a  b", "A B"), ("❤️", "❤")]
)
def test_spellings_that_people_take_for_the_same_fold_together(spelling: str, other: str) -> None:
    assert text.fold(spelling) == text.fold(other)


@pytest.mark.parametrize(
    ("content", "q", "found"),
    [
        ("Rye bread, RYE", "rye", ["Rye", "RYE"]),
        ("Die Straße", "STRASSE", ["Straße"]),
        ("Ein Müsli", "müsli", ["Müsli"]),
        ("bring\n  milk", "bring milk", ["bring\n  milk"]),
        ("ﬁgs", "i", ["ﬁ"]),
        ("br­ead", "bread", ["br­ead"]),
        ("100 % sure", "%", ["%"]),
        ("aaa", "aa", ["aa"]),
        ("nothing", "x", []),
        ("nothing", " ", []),
        ("", "x", []),
    ],
)
def test_what_was_searched_for_is_found_as_it_was_written(content: str, q: str, found: list[str]) -> None:
    places = text.find_folded(content, q)

    assert [content[start:until] for start, until in places] == found


@given(content=st.text(), q=st.text(max_size=3))
def test_whatever_is_searched_for_is_found_where_it_is(content: str, q: str) -> None:
    places = text.find_folded(content, q)

    for start, until in places:
        assert text.fold(q) in text.fold(content[start:until])
    assert places == sorted(places)


@pytest.mark.parametrize("bad", ["a\x00b", "a\nb", "a\x1bb", "\ud800", "a\u202eb", "\x7f", "\u0378"])
def test_characters_that_nobody_types_are_refused(bad: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(types.Name).validate_python(bad)


@pytest.mark.parametrize(
    "blank", ["", "  ", "\u200b", "\u2060\ufeff", "\u3164", "\xa0", "\ufe0f", "\u034f \u180b", "\U000e0100"]
)
def test_what_cannot_be_seen_is_no_name(blank: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(types.Name).validate_python(blank)


@pytest.mark.parametrize("name", ["Müsli", "👩‍👩‍👧 cake", "شوربة", "お茶", "crème brûlée", "M&M's <b>"])
def test_names_of_all_people_are_names(name: str) -> None:
    assert TypeAdapter(types.Name).validate_python(f" {name} ") == name


@given(st.text(max_size=200))
def test_no_text_does_worse_than_be_refused(value: str) -> None:
    for kind in (types.Name, types.Note, types.Code, types.Email, types.TimeZone, types.LocaleTag, types.Currency):
        with suppress(ValidationError):
            TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-1", "0", "1e400", "0.0000001", "1000001", "x", "", True, None, [], "١٢x", "1,5"]
)
def test_quantities_are_more_than_nothing_and_bounded(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(types.Quantity).validate_python(value)


@pytest.mark.parametrize("value", ["1", "0.000001", "1000000", 2, 0.5, Decimal("1.25"), "1e3"])
def test_quantities_are_exact(value: Any) -> None:
    assert TypeAdapter(types.Quantity).validate_python(value) == Decimal(str(value))


@pytest.mark.parametrize("value", ["2026-02-30", "0001-01-01", "2200-01-01", "20261122", 0, 1.5, "2026-11-22T00:00:00"])
def test_days_are_iso_dates_within_reason(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(types.Day).validate_python(value)


@pytest.mark.parametrize(
    ("value", "shown"), [("2", "2"), ("2.500000", "2.5"), ("1E+3", "1000"), ("0.000001", "0.000001"), ("0.000", "0")]
)
def test_numbers_are_plain(value: str, shown: str) -> None:
    assert plain(Decimal(value)) == shown


@pytest.mark.parametrize(("value", "shown"), [("2", "2.00"), ("2.5", "2.50"), ("0.125", "0.125"), ("1E+2", "100.00")])
def test_money_has_two_decimals_at_least(value: str, shown: str) -> None:
    assert plain_money(Decimal(value)) == shown


dialects = [sqlite.dialect(), postgresql.dialect()]  # type: ignore[no-untyped-call]


@given(st.decimals(-9_000_000, 9_000_000, places=6, allow_nan=False))
def test_exact_numbers_come_back_as_they_went(value: Decimal) -> None:
    kind = ExactDecimal(6)
    for dialect in dialects:
        assert kind.process_result_value(kind.process_bind_param(value, dialect), dialect) == value


def test_more_decimals_than_are_kept_are_an_error_and_not_rounded_away() -> None:
    with pytest.raises(ValueError, match="decimals"):
        ExactDecimal(4).process_bind_param(Decimal("0.00001"), dialects[0])


def test_moments_are_aware_and_in_utc() -> None:
    kind = UTCDateTime()

    with pytest.raises(ValueError, match="naive"):
        kind.process_bind_param(datetime(2026, 1, 1), dialects[0])
    assert kind.process_result_value(datetime(2026, 1, 1), dialects[0]) == datetime(2026, 1, 1, tzinfo=UTC)


def test_days_begin_at_the_households_midnight_also_when_clocks_change() -> None:
    start = clock.start_of_day(NOW.date().replace(month=10, day=25), "Europe/Berlin")

    assert start == datetime(2026, 10, 24, 22, tzinfo=UTC)
    with clock.frozen(datetime(2026, 10, 25, 22, 59, tzinfo=UTC)):
        assert clock.today("Europe/Berlin").day == 25
    with clock.frozen(datetime(2026, 10, 25, 23, 0, tzinfo=UTC)):
        assert clock.today("Europe/Berlin").day == 26


def test_patterns_take_what_was_typed_literally() -> None:
    assert like("50%_\\") == "%50\\%\\_\\\\%"


@pytest.mark.parametrize(
    "password", ["short1a", "x" * 128 + "1", "onlyletters", "1234567890", "password1", "Qwerty123"]
)
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(InvalidInput):
        passwords.check(password)


def test_ones_own_address_is_no_password() -> None:
    with pytest.raises(InvalidInput):
        passwords.check("Alice99@example.com", email="alice99@example.com")


@pytest.mark.parametrize("password", ["kitchen42x", "пароль 12345 б", "x" * 127 + "1"])
def test_other_passwords_are_fine(password: str) -> None:
    passwords.check(password)


async def test_an_unknown_account_costs_as_much_hashing_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    original = passwords.HASHER.verify_and_update

    def watched(password: str, hashed: str) -> tuple[bool, str | None]:
        verified.append(hashed)
        return original(password, hashed)

    hasher = SimpleNamespace(hash=passwords.HASHER.hash, verify_and_update=watched)
    monkeypatch.setattr(passwords, "HASHER", hasher)

    right, _renewed = await passwords.verify("anything", None)

    assert not right
    assert verified[0].split("$")[:4] == (await passwords.hash_password("x")).split("$")[:4]


def test_busy_and_broken_databases_are_told_apart() -> None:
    state = type("Lost", (Exception,), {"sqlstate": "08006"})
    wrong = type("Wrong", (Exception,), {"sqlstate": "42601"})

    assert is_unavailable(ConnectionRefusedError())
    assert is_unavailable(sa.exc.TimeoutError())
    assert is_unavailable(sa.exc.DBAPIError("", {}, state()))
    assert not is_unavailable(sa.exc.DBAPIError("", {}, wrong()))
    assert not is_unavailable(KeyError())


def test_messages_name_only_what_pydantic_tells() -> None:
    for kind, message in MESSAGES.items():
        assert message.endswith("."), kind
