"""The guard: how often something may be done, and who is kept out for a time."""

from services.guard.bans import ban, list_bans, list_counts, unban
from services.guard.counts import attempt, spend, spend_within
from services.guard.doorkeeper import Doorkeeper, Known
from services.guard.limits import (
    BY_NAME,
    CODE,
    CONFIRM,
    GENERAL,
    INVITE,
    JOIN,
    MAIL,
    REFRESH,
    REGISTER,
    SIGN_IN,
    TALK,
    UPLOAD,
    Limit,
    exceeded,
)

__all__ = [
    "BY_NAME",
    "CODE",
    "CONFIRM",
    "GENERAL",
    "INVITE",
    "JOIN",
    "MAIL",
    "REFRESH",
    "REGISTER",
    "SIGN_IN",
    "TALK",
    "UPLOAD",
    "Doorkeeper",
    "Known",
    "Limit",
    "attempt",
    "ban",
    "exceeded",
    "list_bans",
    "list_counts",
    "spend",
    "spend_within",
    "unban",
]
