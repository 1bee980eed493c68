"""Acting for somebody."""

from typing import Annotated

from pydantic import Field, StringConstraints

from services.schemas.types import Line, Schema


class ActingStart(Schema):
    reason: Annotated[Line, StringConstraints(min_length=1)] = Field(description="Why; the household can read it.")
