"""Chats, and how far one has read them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from models import MessageKind
from services.schemas.names import Person
from services.schemas.types import Read, Schema, Title

MAX_MEMBERS = 1000

MemberIds = Annotated[list[UUID], Field(max_length=MAX_MEMBERS)]


class ChatCreate(Schema):
    title: Title
    is_for_all: bool | None = Field(
        default=None, description="Every member of the household belongs to it. True unless `member_ids` are given."
    )
    member_ids: MemberIds | None = Field(default=None, description="Who belongs to it, when it is not for all.")
    tells_stock: bool = Field(default=False, description="Say in it what happens to stock.")


class ChatUpdate(Schema):
    """What is left out stays as it is."""

    title: Title | None = None
    is_for_all: bool | None = None
    member_ids: MemberIds | None = Field(
        default=None, description="All who belong to it from now on; then it is theirs."
    )
    tells_stock: bool | None = None
    is_archived: bool | None = Field(default=None, description="An archived chat takes no new messages.")


class LastMessage(Read):
    id: UUID
    seq: int
    kind: MessageKind
    author: Person | None = Field(description="Null for a former member, and for what the system says.")
    content: str = Field(description="Of a system message: what happened.")
    attachments: int = Field(description="How many files came with it.")
    created_at: datetime


class SharedChat(Read):
    """A chat as everybody sees it who belongs to it."""

    id: UUID
    title: str
    is_for_all: bool
    owner: Person | None
    members: list[Person] = Field(description="Who was chosen; empty when it is for all.")
    tells_stock: bool
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ChatRead(SharedChat):
    unread: int = Field(description="Messages of others that you have not read.")
    last_message: LastMessage | None
    read_seq: int = Field(description="The number of the message up to which you have read it.")


class MarkRead(Schema):
    message_id: UUID
