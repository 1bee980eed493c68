"""What is said in chats."""

from datetime import date, datetime
from uuid import UUID

from pydantic import Field

from models import DateKind, ExpiryReason, MessageKind
from services.dates import Urgency
from services.schemas.files import FileRead, PictureRead
from services.schemas.names import Person
from services.schemas.stock import EventGroup
from services.schemas.types import MessageText, Name, Read, Schema

MAX_ATTACHMENTS = 10


class MessageCreate(Schema):
    """Words, or files, or both. `@Name` mentions a member."""

    content: MessageText = ""
    reply_to_id: UUID | None = Field(default=None, description="A message of the same chat.")
    product_id: UUID | None = Field(default=None, description="A product of the household, shown beside the words.")
    lot_id: UUID | None = Field(default=None, description="A lot of the household, shown beside the words.")
    attachment_ids: list[UUID] = Field(
        default_factory=list, max_length=MAX_ATTACHMENTS, description="Files that were sent before."
    )


class MessageUpdate(Schema):
    content: MessageText


class MessageSearch(Schema):
    q: Name | None = Field(default=None, description="Words that it contains.")


class MessageFilters(MessageSearch):
    around: UUID | None = Field(default=None, description="The page that has this message in its middle.")


class RepliedTo(Read):
    """What a message answers, in short."""

    id: UUID
    seq: int
    kind: MessageKind
    author: Person | None
    content: str = Field(description="Its beginning, in one line.")
    deleted_at: datetime | None
    # As of a message.
    booking: EventGroup | None = Field(default=None, exclude=True)


class MessageProduct(Read):
    """A product as it is now."""

    id: UUID
    name: str
    icon: str
    picture: PictureRead | None
    quantity: str = Field(description="In stock, of all its lots.", examples=["2", "0.5"])
    unit: str
    unit_name: str
    unit_plural: str
    is_used_up: bool
    is_archived: bool


class MessageLot(Read):
    """A lot as it is now; urgent by the household's own window."""

    id: UUID
    product_id: UUID
    name: str
    icon: str
    picture: PictureRead | None
    location: str
    quantity: str = Field(examples=["2", "0.5"])
    unit: str
    unit_name: str
    unit_plural: str
    date_kind: DateKind
    expires_on: date | None
    expiry_reason: ExpiryReason | None
    urgency: Urgency
    days_left: int | None
    is_used_up: bool


class MessageReaction(Read):
    emoji: str
    user_ids: list[UUID] = Field(description="In the order they came.")


class MessageEvent(Read):
    """The booking a system message tells of."""

    id: UUID
    group_id: UUID
    count: int = Field(description="How many bookings were made together.")
    undone: bool = Field(description="Whether all of them were taken back.")


class MessageRead(Read):
    """A message as everybody in the chat sees it."""

    id: UUID
    chat_id: UUID
    seq: int = Field(description="Numbers the messages of a chat, in the order they were said.")
    kind: MessageKind
    author: Person | None = Field(description="Null for a former member, and for what the system says.")
    content: str = Field(description="Plain text. Empty once it is deleted. What the system says is in your language.")
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    reply_to: RepliedTo | None
    product: MessageProduct | None
    lot: MessageLot | None
    mentions: list[Person]
    reactions: list[MessageReaction]
    attachments: list[FileRead]
    event: MessageEvent | None
    # What a system message is made of; see `messages.in_words`.
    booking: EventGroup | None = Field(default=None, exclude=True)


class MessageChat(Read):
    id: UUID
    title: str


class FoundMessage(MessageRead):
    """One that was searched for, and where it was said."""

    chat: MessageChat


class MessagePage(Read):
    """Newest first. `next` leads to older ones and `previous` to newer ones: both go into `?after=`."""

    items: list[MessageRead]
    next: str | None = None
    previous: str | None = None
    total: int | None = Field(default=None, exclude_if=lambda value: value is None)


class ExportedMessage(Read):
    """One's own message, to take along."""

    id: UUID
    household_id: UUID
    household: str | None = Field(description="Null where one is no member any more.")
    chat_id: UUID
    chat: str | None = Field(description="Null where one does not see it any more.")
    content: str
    created_at: datetime
    edited_at: datetime | None
    attachments: list[str] = Field(description="The names of its files.")
