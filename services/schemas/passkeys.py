"""Passkeys: what browsers ask for and answer with (WebAuthn, as JSON)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from services.schemas.types import Name, Read, Schema

Credential = dict[str, Any]


class PasskeyOptions(Read):
    challenge: str = Field(description="To be sent back with the answer.")
    options: dict[str, Any] = Field(description="For `navigator.credentials`, binary values as base64url.")


class PasskeyAnswer(Schema):
    challenge: str = Field(max_length=100, description="As it came with the options.")
    credential: Credential = Field(description="What `navigator.credentials.get` gave, binary values as base64url.")


class PasskeyAdd(Schema):
    challenge: str = Field(max_length=100, description="As it came with the options.")
    credential: Credential = Field(description="What `navigator.credentials.create` gave.")
    name: Name = Field(description="To tell it from others.")


class PasskeyRename(Schema):
    name: Name


class PasskeyRead(Read):
    id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None
