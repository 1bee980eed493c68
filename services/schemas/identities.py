"""Who people are at the OpenID provider."""

from datetime import datetime
from uuid import UUID

from services.schemas.types import Email, GuessedTimeZone, Name, Read, Schema


class OpenIdStart(Schema):
    """What goes with somebody to the provider and back. The time zone is that of a household that may be made."""

    next: str = ""
    time_zone: GuessedTimeZone = None


class Newcomer(Schema):
    email: Email
    name: Name


class IdentityRead(Read):
    id: UUID
    issuer: str
    email: str
    created_at: datetime
    last_used_at: datetime | None
