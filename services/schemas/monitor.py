"""Which requests staff looks at."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from models import ProblemState
from services.schemas.types import Line, Schema


class Window(StrEnum):
    """How far one looks back."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"


class WindowFilter(Schema):
    window: Window = Window.HOUR


class RequestFilters(Schema):
    method: Annotated[str, StringConstraints(pattern="^[A-Z]{3,7}$")] | None = None
    route: Line | None = None
    path: Line | None = Field(default=None, description="Part of it.")
    status: int | None = Field(default=None, ge=1, le=5, description="Its first digit.")
    slower: int | None = Field(default=None, ge=0, le=3_600_000, description="In milliseconds.")
    request: Line | None = Field(default=None, description="A request id.")


class ProblemFilters(Schema):
    state: ProblemState | None = ProblemState.OPEN
