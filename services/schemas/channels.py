"""Where one can be reached outside the app, and what became of what was sent there."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from models import ChannelKind, DeliveryStatus
from services.schemas.types import Line, Read, Schema


class PushKeys(Schema):
    p256dh: str = Field(max_length=200)
    auth: str = Field(max_length=100)


class PushSubscription(Schema):
    """What the browser's `PushManager.subscribe()` gives."""

    endpoint: str = Field(max_length=2000)
    keys: PushKeys


class ChannelCreate(Schema):
    """E-mail needs no channel: it goes to the account's address."""

    kind: Literal[ChannelKind.WEB_PUSH, ChannelKind.WEBHOOK, ChannelKind.SERVICE]
    label: Line = ""
    address: str | None = Field(
        default=None,
        max_length=2000,
        description="Of a webhook or a service.",
        examples=["https://example.com/larder", "ntfy://ntfy.example.com/topic"],
    )
    subscription: PushSubscription | None = Field(default=None, description="Of web push.")


class ChannelUpdate(Schema):
    label: Line


class ChannelRead(Read):
    id: UUID
    kind: ChannelKind
    label: str
    address: str = Field(description="Only enough of it to know it by: the rest is a secret.")
    created_at: datetime
    last_sent_at: datetime | None
    last_error: str = Field(description="Why the last attempt failed; empty when it did not.")


class ChannelCreated(ChannelRead):
    secret: str | None = Field(description="Of a webhook: what its messages are signed with. Shown this once.")


class DeliveryRead(Read):
    """One message on its way."""

    id: UUID
    channel: ChannelKind
    channel_id: UUID | None
    template: str
    status: DeliveryStatus
    attempts: int
    last_error: str
    created_at: datetime
    sent_at: datetime | None


class PushKey(Read):
    key: str = Field(description="For `applicationServerKey`.")
