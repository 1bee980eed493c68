"""People, as they are shown beside what they did."""

from uuid import UUID

from pydantic import Field

from services.schemas.types import Read


class Person(Read):
    id: UUID
    name: str
    avatar_url: str | None = Field(description="Their picture, small; signed, good for some hours.")
