"""Dates, amounts and money in the reader's words. Pages use it now; mails and pushes will."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import format_currency, format_decimal

from models import (
    ChannelKind,
    DateKind,
    DiscardReason,
    EventKind,
    ExpiryReason,
    LocationKind,
    NotificationKind,
    Role,
    Theme,
    UnitKind,
)
from services.core import clock
from services.core.i18n import _, current_locale, mark, ngettext, parse_locale
from services.dates import Source, Suggestion, Urgency
from services.schemas.stock import EventGroup, EventRead

# Of a message, in characters.
EXCERPT = 200

# By enum: members of different enums can have the same value, and are then equal.
LABELS: dict[type[StrEnum], dict[Any, str]] = {
    Urgency: {
        Urgency.EXPIRED: mark("Past its use-by"),
        Urgency.PAST_BEST: mark("Past its best"),
        Urgency.TODAY: mark("Today"),
        Urgency.SOON: mark("Soon"),
        Urgency.FINE: mark("Fine"),
        Urgency.UNDATED: mark("No date"),
    },
    DateKind: {
        DateKind.USE_BY: mark("Use by"),
        DateKind.BEST_BEFORE: mark("Best before"),
        DateKind.ESTIMATED: mark("Estimated"),
        DateKind.NONE: mark("No date"),
    },
    LocationKind: {
        LocationKind.PANTRY: mark("Pantry"),
        LocationKind.FRIDGE: mark("Fridge"),
        LocationKind.FREEZER: mark("Freezer"),
        LocationKind.OTHER: mark("Somewhere else"),
    },
    Role: {
        Role.OWNER: mark("Owner"),
        Role.ADMIN: mark("Admin"),
        Role.MEMBER: mark("Member"),
        Role.VIEWER: mark("Viewer"),
    },
    DiscardReason: {
        DiscardReason.EXPIRED: mark("Past its date"),
        DiscardReason.SPOILED_EARLY: mark("Went bad early"),
        DiscardReason.DISLIKED: mark("Nobody liked it"),
        DiscardReason.LEFTOVER: mark("Left over"),
        DiscardReason.FREEZER_BURN: mark("Freezer burn"),
        DiscardReason.OTHER: mark("Something else"),
    },
    Theme: {
        Theme.SYSTEM: mark("As the device"),
        Theme.LIGHT: mark("Light"),
        Theme.DARK: mark("Dark"),
    },
    NotificationKind: {
        NotificationKind.SOON: mark("Due soon"),
        NotificationKind.TODAY: mark("Due today"),
        NotificationKind.EXPIRED: mark("Past its date"),
        NotificationKind.LOW_STOCK: mark("Running low"),
        NotificationKind.MENTION: mark("Mentions"),
    },
    ChannelKind: {
        ChannelKind.IN_APP: mark("In the app"),
        ChannelKind.EMAIL: mark("E-mail"),
        ChannelKind.WEB_PUSH: mark("Push"),
        ChannelKind.WEBHOOK: mark("Webhook"),
        ChannelKind.SERVICE: mark("Service"),
    },
    UnitKind: {
        UnitKind.COUNT: mark("Pieces"),
        UnitKind.PACK: mark("Packages"),
        UnitKind.MASS: mark("Weight"),
        UnitKind.VOLUME: mark("Volume"),
    },
}


def label(member: StrEnum) -> str:
    return _(LABELS[type(member)][member])


def choices(enum: type[StrEnum]) -> list[tuple[str, str]]:
    """`(value, label)` of every member, for a select."""
    return [(member.value, _(text)) for member, text in LABELS[enum].items()]


def due(
    urgency: Urgency,
    date_kind: DateKind | str,
    expires_on: date | None,
    expiry_reason: str | None,
    days_left: int | None,
) -> tuple[str, str]:
    """How long something keeps, and what to do about it when that is over."""
    return _due(current_locale(), urgency, date_kind, expires_on, expiry_reason, days_left)


@lru_cache(maxsize=4096)
def _due(
    locale: str,
    urgency: Urgency,
    date_kind: str,
    expires_on: date | None,
    expiry_reason: str | None,
    days_left: int | None,
) -> tuple[str, str]:
    if expires_on is None or days_left is None:
        return (_("Frozen") if expiry_reason == ExpiryReason.FROZEN else _("No date")), ""
    is_frozen = expiry_reason == ExpiryReason.FROZEN
    if days_left < 0:
        when = _past_day(expires_on, -days_left)
        if urgency is Urgency.EXPIRED:
            return _("Use by was {when}").format(when=when), _("Do not eat it any more")
        advice = _("Look, smell, taste")
        if is_frozen:
            return _("Frozen, was best until {when}").format(when=month(expires_on)), advice
        if date_kind == DateKind.BEST_BEFORE:
            return _("Best before was {when}").format(when=when), advice
        return _("Was good until {when}").format(when=when), advice
    if days_left == 0:
        if date_kind == DateKind.USE_BY:
            return _("Use by today"), ""
        return (_("Best before today") if date_kind == DateKind.BEST_BEFORE else _("Use today")), ""
    if is_frozen and days_left > 14:
        return _("Frozen, good until {when}").format(when=month(expires_on)), ""
    if days_left <= 14:
        return ngettext("{n} day left", "{n} days left", days_left).format(n=days_left), ""
    when = _skeleton(locale, "MMMd", expires_on) if days_left <= 300 else month(expires_on)
    return _("until {when}").format(when=when), ""


def dated(date_kind: DateKind | str | None, expiry_reason: str | None, on: date, *, is_past: bool = False) -> str:
    """What a date means, for texts that are read on some other day than they were written."""
    when = day(on, year=True)
    if expiry_reason == ExpiryReason.FROZEN:
        return _("Frozen, good until {when}").format(when=when)
    if date_kind == DateKind.USE_BY:
        return (_("Use by was {when}") if is_past else _("Use by {when}")).format(when=when)
    if date_kind == DateKind.BEST_BEFORE:
        return (_("Best before was {when}") if is_past else _("Best before {when}")).format(when=when)
    return _("Probably good until {when}").format(when=when)


def told(
    kind: NotificationKind,
    product: str,
    *,
    due_on: date,
    date_kind: DateKind | str | None,
    expiry_reason: str | None,
    minimum: str,
) -> tuple[str, str]:
    """The title and the text of a notification."""
    if kind is NotificationKind.LOW_STOCK:
        text = _("Less than {amount} left").format(amount=minimum) if minimum else _("Less left than you want")
        return _("{name}: running low").format(name=product), text
    is_past = kind is NotificationKind.EXPIRED
    text = dated(date_kind, expiry_reason, due_on, is_past=is_past)
    if not is_past:
        title = _("Use {name} today") if kind is NotificationKind.TODAY else _("Use {name} soon")
        return title.format(name=product), text
    if date_kind == DateKind.USE_BY and expiry_reason != ExpiryReason.FROZEN:
        return _("{name}: past its use-by").format(name=product), f"{text}. {_('Do not eat it any more')}"
    return _("{name}: past its best").format(name=product), f"{text}. {_('Look, smell, taste')}"


def mentioned(author: str | None, chat: str, content: str) -> tuple[str, str]:
    """The title and the text of a notification that somebody was mentioned."""
    title = _("{name} mentioned you in {chat}").format(name=author or _("A former member"), chat=chat)
    return title, excerpt(content)


def excerpt(content: str) -> str:
    """The beginning of a message, in one line."""
    line = " ".join(content.split())
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1].rstrip()}…"


def _past_day(on: date, days: int) -> str:
    if days == 1:
        return _("yesterday")
    return weekday(on) if days < 7 else _skeleton(current_locale(), "MMMd", on)


def doer(booking: EventRead) -> str:
    """Who booked it, and for whom."""
    if booking.actor is None:
        return _("A former member")
    return both(booking.actor.name, booking.on_behalf_of.name if booking.on_behalf_of else "")


def both(name: str, on_behalf_of: str) -> str:
    """Two names, when one acted for the other."""
    return _("{staff} for {name}").format(staff=name, name=on_behalf_of) if on_behalf_of else name


def suggested(suggestion: Suggestion) -> str:
    """Why a date was suggested, in a few words."""
    if suggestion.source is Source.HISTORY:
        return ngettext("your last {n}", "your last {n}", suggestion.lots).format(n=suggestion.lots)
    if suggestion.source is Source.PRODUCT:
        return ngettext("you said {n} day", "you said {n} days", suggestion.days).format(n=suggestion.days)
    return ngettext("usually {n} day", "usually {n} days", suggestion.days).format(n=suggestion.days)


def booked(event: EventRead) -> str:
    """What a booking did, in one line without who did it."""
    what = {"amount": amount(abs(event.quantity_delta), event.unit, event.unit_name, event.unit_plural)}
    what["name"] = event.product_name
    match event.kind:
        case EventKind.ADD:
            return _("{amount} of {name} added").format(**what)
        case EventKind.CONSUME:
            return _("{amount} of {name} used").format(**what)
        case EventKind.DISCARD:
            return _("{amount} of {name} binned").format(**what)
        case EventKind.CORRECT:
            counted = amount(event.quantity_after, event.unit, event.unit_name, event.unit_plural)
            return _("{name} counted: {amount}").format(name=event.product_name, amount=counted)
        case EventKind.UNDO:
            return _("{name}: a booking taken back").format(**what)
    sentences = {
        EventKind.OPEN: _("{name} opened"),
        EventKind.FREEZE: _("{name} frozen"),
        EventKind.THAW: _("{name} thawed"),
        EventKind.MOVE: _("{name} moved"),
        EventKind.EDIT: _("{name} edited"),
    }
    return sentences[event.kind].format(**what)


def booked_together(group: EventGroup) -> str:
    """Who did what, in one line, however many bookings that were."""
    event = group.event
    what = booked(event) if group.products == 1 else _of_many(event.kind, group.count)
    return _("{name}: {what}").format(name=doer(event), what=what)


def _of_many(kind: EventKind, n: int) -> str:
    match kind:
        case EventKind.ADD:
            return ngettext("{n} thing added", "{n} things added", n).format(n=n)
        case EventKind.CONSUME:
            return ngettext("{n} thing used", "{n} things used", n).format(n=n)
        case EventKind.DISCARD:
            return ngettext("{n} thing binned", "{n} things binned", n).format(n=n)
        case EventKind.UNDO:
            return ngettext("{n} booking taken back", "{n} bookings taken back", n).format(n=n)
    return ngettext("{n} booking", "{n} bookings", n).format(n=n)


def amount(quantity: str | Decimal, unit: str, name: str, plural: str) -> str:
    """`2 bottles`, `500 g`: short units by their code, the others by their name."""
    shown = number(quantity)
    if len(unit) <= 2:
        return f"{shown}\N{NO-BREAK SPACE}{unit}"
    return f"{shown}\N{NO-BREAK SPACE}{_(name) if Decimal(quantity) == 1 else _(plural)}"


def number(value: str | Decimal) -> str:
    return _number(current_locale(), str(value))


@lru_cache(maxsize=4096)
def _number(locale: str, value: str) -> str:
    return format_decimal(Decimal(value), format="#,##0.######", locale=parse_locale(locale))


def entry(value: str | Decimal | None) -> str:
    """A number as it stands in a field: with the reader's decimal mark, without one between the thousands."""
    if value is None:
        return ""
    return format_decimal(Decimal(value), format="0.######", locale=parse_locale(current_locale()))


def money(value: str | Decimal, currency: str) -> str:
    return _money(current_locale(), str(value), currency)


@lru_cache(maxsize=4096)
def _money(locale: str, value: str, currency: str) -> str:
    return format_currency(Decimal(value), currency, locale=parse_locale(locale))


def day(on: date | str, *, year: bool = False) -> str:
    """`Sat 28 Nov`, with the year when asked."""
    on = date.fromisoformat(on) if isinstance(on, str) else on
    return _skeleton(current_locale(), "yMMMd" if year else "MMMEd", on)


def month(on: date) -> str:
    return _skeleton(current_locale(), "yMMM", on)


def weekday(on: date) -> str:
    return _skeleton(current_locale(), "EEEE", on)


@lru_cache(maxsize=4096)
def _skeleton(locale: str, skeleton: str, on: date) -> str:
    if skeleton == "EEEE":
        return format_date(on, "EEEE", locale=parse_locale(locale))
    return format_skeleton(skeleton, datetime.combine(on, time()), locale=parse_locale(locale))


def long_day(on: date) -> str:
    """`Saturday, 28 November`."""
    return _skeleton(current_locale(), "MMMMEEEEd", on)


def relative_day(on: date, today: date) -> str:
    """The heading of a day in the journal."""
    if on == today:
        return _("Today")
    return _("Yesterday") if on == today - timedelta(days=1) else long_day(on)


def moment(at: datetime, time_zone: str) -> str:
    """`Sat 28 Nov, 14:05`."""
    on = at.astimezone(ZoneInfo(time_zone)).date()
    return f"{day(on)}, {clock_time(at, time_zone)}"


def short_moment(at: datetime, time_zone: str) -> str:
    """The hour of what was today, the day of what was before."""
    on = clock.day_of(at, time_zone)
    return clock_time(at, time_zone) if on == clock.today(time_zone) else day(on)


def file_size(size: int) -> str:
    """`320 kB`, `1.4 MB`."""
    if size < 1_000_000:
        return f"{number(Decimal(max(1, round(size / 1000))))} kB"
    return f"{number(round(Decimal(size) / 1_000_000, 1))} MB"


def clock_time(at: datetime, time_zone: str) -> str:
    return format_time(at, "short", tzinfo=ZoneInfo(time_zone), locale=parse_locale(current_locale()))


def is_day_first() -> bool:
    """Whether the reader writes 12/5 for the twelfth of May."""
    pattern: str = parse_locale(current_locale()).date_formats["short"].pattern
    return not pattern.lower().startswith("m")
