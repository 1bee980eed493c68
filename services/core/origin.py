"""Where what is done comes from: set once at the door, read by whoever writes it down."""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    PAGE = "page"
    API = "api"
    PANEL = "panel"
    SOCKET = "socket"
    COMMAND = "command"
    TASK = "task"


@dataclass(frozen=True, slots=True)
class Origin:
    """`program`: of a command or a task, where nobody is signed in."""

    source: Source | None = None
    ip_address: str = ""
    request_id: str = ""
    user_agent: str = ""
    program: str = ""


NOWHERE = Origin()
_origin: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)


def set_origin(origin: Origin) -> None:
    """For the rest of the current task."""
    _origin.set(origin)


def current() -> Origin:
    return _origin.get()
