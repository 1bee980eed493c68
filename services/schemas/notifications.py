"""What one is told, and how one wants to hear of it."""

from datetime import date, datetime
from uuid import UUID

from pydantic import Field, ValidationInfo, field_validator

from models import ChannelKind, NotificationKind
from services.schemas.names import Person
from services.schemas.types import Read, Schema, SoonDays, TimeOfDay

DIGEST_AT = 8 * 60


class NotificationHousehold(Read):
    id: UUID
    name: str


class NotificationProduct(Read):
    id: UUID
    name: str


class NotificationMessage(Read):
    id: UUID
    chat_id: UUID
    chat_title: str
    author: Person | None = Field(description="Null for a former member.")
    content: str


class NotificationRead(Read):
    """One thing one is told, in one's own language."""

    id: UUID
    kind: NotificationKind
    household: NotificationHousehold
    product: NotificationProduct | None = Field(description="Null for a mention.")
    lot_id: UUID | None = Field(description="Null when it is about the product as a whole, or a mention.")
    message: NotificationMessage | None = Field(description="What mentions one; null for all else.")
    due_on: date = Field(
        description="The lot's date, the day the product fell below its minimum, or that of the message."
    )
    title: str
    text: str
    created_at: datetime
    read_at: datetime | None


class NotificationFilters(Schema):
    unread: bool = Field(default=False, description="Only those that are not read yet.")
    kind: NotificationKind | None = None


class UnreadCount(Read):
    count: int


class MutedProduct(Read):
    id: UUID
    name: str


class PreferencesRead(Read):
    """How one wants to hear of one household."""

    household_id: UUID
    wanted: dict[NotificationKind, list[ChannelKind]] = Field(description="Where to hear of each kind.")
    soon_days: int | None = Field(description="One's own window; null: the household's.")
    digest_at: TimeOfDay = Field(description="When the digest of a day is sent, on the household's clocks.")
    quiet_from: TimeOfDay | None
    quiet_until: TimeOfDay | None
    muted: list[MutedProduct] = Field(description="Products one wants to hear nothing about.")


class PreferencesUpdate(Schema):
    """All of it anew; what is left out gets its default."""

    wanted: dict[NotificationKind, list[ChannelKind]] = Field(
        default_factory=dict, description="Where to hear of each kind; an empty list: nowhere."
    )
    soon_days: SoonDays | None = Field(default=None, description="Null: the household's.")
    digest_at: TimeOfDay = DIGEST_AT
    quiet_from: TimeOfDay | None = Field(default=None, description="Nothing is sent from then on")
    quiet_until: TimeOfDay | None = Field(
        default=None, validate_default=True, description="until then; what was due waits."
    )

    @field_validator("quiet_until")
    @classmethod
    def _two_ends(cls, value: int | None, info: ValidationInfo) -> int | None:
        begin = info.data.get("quiet_from")
        if (value is None) is not (begin is None):
            raise ValueError("Give both ends of the quiet hours, or none.")
        if value is not None and value == begin:
            raise ValueError("Quiet hours need two different ends.")
        return value


class FeedRead(Read):
    url: str = Field(description="Shown this once. Whoever knows it can read the feed.")
