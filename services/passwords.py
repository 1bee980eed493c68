"""Passwords: what is accepted, and hashing that neither blocks the loop nor eats the memory."""

from functools import lru_cache

import anyio.to_thread
from anyio import CapacityLimiter
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from services.core.errors import InvalidInput
from services.core.i18n import _
from settings import get_settings

MIN_LENGTH = 8
MAX_LENGTH = 128
# In place of a hash: no password is right.
UNUSABLE = "!"

# OWASP's argon2id minimum (19 MiB, 2 passes): a sixth of the library's default in time, a third in memory.
HASHER = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1),))


def check(password: str, *, email: str = "", field: str = "password") -> None:
    """Raises `InvalidInput` for a password that is too short, too long, too simple or well known."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        message = _("Use {minimum} to {maximum} characters.").format(minimum=MIN_LENGTH, maximum=MAX_LENGTH)
    elif not (any(c.isalpha() for c in password) and any(c.isdigit() for c in password)):
        message = _("Use at least one letter and one digit.")
    elif password.casefold() in _common_passwords() or password.casefold() == email.casefold():
        message = _("This password is among the first that anyone would try.")
    else:
        return
    raise InvalidInput({field: message})


async def hash_password(password: str) -> str:
    return await anyio.to_thread.run_sync(HASHER.hash, password, limiter=_slots())


async def verify(password: str, hashed: str | None) -> tuple[bool, str | None]:
    """Whether the password is right, and a new hash when the old one's parameters are out of date.

    Without a hash it takes as long and is never right, so that unknown and known e-mails answer alike. So it is for a
    password that is longer than any, of which only the beginning is looked at.
    """
    can_be_right = hashed not in {None, UNUSABLE} and len(password) <= MAX_LENGTH
    known = hashed if hashed not in {None, UNUSABLE} else await anyio.to_thread.run_sync(_decoy)
    shown = password[:MAX_LENGTH]
    right, renewed = await anyio.to_thread.run_sync(HASHER.verify_and_update, shown, known, limiter=_slots())
    return right and can_be_right, renewed if right and can_be_right else None


@lru_cache(maxsize=1)
def _slots() -> CapacityLimiter:
    return CapacityLimiter(get_settings().password_hash_slots)


@lru_cache(maxsize=1)
def _decoy() -> str:
    return HASHER.hash("a password nobody has 1")


@lru_cache(maxsize=1)
def _common_passwords() -> frozenset[str]:
    # A few megabytes that only registration needs.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])
