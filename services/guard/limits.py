"""How often something may be done by one address, and for one account.

Counted in fixed windows. The window before counts too, for less the longer it is over: so there is no moment at which
twice the limit fits.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from services.core import clock
from services.core.errors import LimitExceeded
from services.core.i18n import _
from settings import Settings, get_settings


@dataclass(frozen=True, slots=True)
class Limit:
    """`seconds` is the window's length; of 0, there is no limit. An entrance is closed to addresses that are banned,
    whoever knocks. `is_of_failures`: an account counts only what failed, see `counts.attempt`."""

    name: str
    seconds: int
    of_address: int = 0
    of_account: int = 0
    is_entrance: bool = False
    is_of_failures: bool = False


MINUTE = 60
HOUR = 60 * MINUTE

# An address counts whatever comes of it: it may have many people.
SIGN_IN = Limit("sign-in", 5 * MINUTE, of_address=30, of_account=10, is_entrance=True, is_of_failures=True)
CODE = Limit("code", 5 * MINUTE, of_address=60, of_account=10, is_entrance=True, is_of_failures=True)
# Who is signed in and shows the password again: it may be a thief who has the session only.
CONFIRM = Limit("confirm", 5 * MINUTE, of_account=20)
REFRESH = Limit("refresh", MINUTE, of_address=60)
REGISTER = Limit("register", HOUR, of_address=20, is_entrance=True)
# Mails that are asked for: resets, confirmations.
MAIL = Limit("mail", HOUR, of_address=20, of_account=5, is_entrance=True)
INVITE = Limit("invite", HOUR, of_address=200, of_account=60)
# Looking at an invitation is guessing one; accepting it, too.
JOIN = Limit("join", 10 * MINUTE, of_address=60, of_account=30, is_entrance=True)
UPLOAD = Limit("upload", 10 * MINUTE, of_address=300, of_account=120)
# Of one member in one household: what they say, change and put under messages.
TALK = Limit("talk", MINUTE, of_account=120)
GENERAL = Limit("general", MINUTE, of_address=1200, of_account=1200)
# How often an address was refused before it is banned.
STRIKES = Limit("strikes", HOUR, of_address=20)

BY_NAME: Mapping[str, Limit] = {
    limit.name: limit
    for limit in (SIGN_IN, CODE, CONFIRM, REFRESH, REGISTER, MAIL, INVITE, JOIN, UPLOAD, TALK, GENERAL, STRIKES)
}


def of_account(limit: Limit, settings: Settings | None = None) -> int:
    settings = settings or get_settings()
    if limit is SIGN_IN:
        return settings.guard_sign_ins
    return settings.guard_general if limit is GENERAL else limit.of_account


def of_address(limit: Limit, settings: Settings | None = None) -> int:
    settings = settings or get_settings()
    if limit is SIGN_IN:
        return 3 * settings.guard_sign_ins
    return settings.guard_general if limit is GENERAL else limit.of_address


def window_at(limit: Limit) -> datetime:
    """When the window that is now began; every process says the same."""
    return datetime.fromtimestamp(clock.now().timestamp() // limit.seconds * limit.seconds, UTC)


def weigh(current: float, before: float, share: float) -> float:
    """How often it was done; `share` is how much of the current window is over, from 0 to 1."""
    return current + before * (1 - share)


def wait(limit: Limit, allowed: int, current: float, before: float) -> int:
    """In how many seconds once more fits."""
    seconds = limit.seconds
    passed = clock.now().timestamp() % seconds
    room = allowed - 1 - current
    if room >= 0 and before > 0:
        until = seconds * (1 - room / before) - passed
        if until < seconds - passed:
            return max(math.ceil(until), 1)
    rest = seconds * (1 - (allowed - 1) / current) if current >= allowed else 0
    return max(math.ceil(seconds - passed + rest), 1)


def exceeded(seconds: int) -> LimitExceeded:
    return LimitExceeded(_("That was too often. Please wait a little, and try again."), retry_after=seconds)
