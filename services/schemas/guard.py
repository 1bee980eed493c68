"""Whom staff keeps out."""

from typing import Annotated

from pydantic import Field, StringConstraints

from services.schemas.types import Line, Schema

Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=254)]


class BanCreate(Schema):
    who: Who = Field(description="An address, or the e-mail of an account.")
    minutes: int = Field(default=60, ge=1, le=525_600)
    reason: Line = ""


class Unban(Schema):
    who: Who
