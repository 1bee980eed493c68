"""Accounts: registering, signing in, one's own profile."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from models import Theme
from services.core import clock
from services.schemas.types import Email, EmailEntry, GuessedTimeZone, LocaleTag, Name, Read, Schema, TimeZone

LONGEST_KEY = timedelta(days=3653)


class Scope(StrEnum):
    """What an API key may be for; `services.api_keys` says what each opens."""

    HOUSEHOLD_READ = "household:read"
    HOUSEHOLD_WRITE = "household:write"
    PRODUCTS_READ = "products:read"
    PRODUCTS_WRITE = "products:write"
    STOCK_READ = "stock:read"
    STOCK_WRITE = "stock:write"
    EVENTS_READ = "events:read"
    CHATS_READ = "chats:read"
    CHATS_WRITE = "chats:write"
    NOTIFICATIONS_READ = "notifications:read"
    NOTIFICATIONS_WRITE = "notifications:write"
    LIVE_LISTEN = "live:listen"


def _some(scopes: frozenset[Scope]) -> frozenset[Scope]:
    if not scopes:
        raise PydanticCustomError("no_scope", "Choose at least one thing it is for.")
    return scopes


Scopes = Annotated[frozenset[Scope], AfterValidator(_some)]


class Register(Schema):
    """Makes an account with a household of its own, or in the one an invitation leads to."""

    email: Email
    password: str = Field(description="8 to 128 characters, at least one letter and one digit.")
    name: Name
    time_zone: TimeZone | None = Field(default=None, description="Of the household that is made.")
    locale: LocaleTag | None = None
    invitation: str | None = Field(default=None, max_length=200, description="The token of an invitation.")


class RegisterForm(Register):
    time_zone: GuessedTimeZone = None


class NewAccount(Schema):
    """One that somebody else makes."""

    email: Email
    name: Name


class Login(Schema):
    email: EmailEntry
    password: str


class Refresh(Schema):
    refresh_token: str | None = Field(default=None, max_length=200, description="Or the cookie of that name.")


class TokensRead(Read):
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  (RFC 6750)
    expires_in: int = Field(description="Seconds the access token is good for.")


class TicketRead(Read):
    ticket: str = Field(description="For `/ws?ticket=…`, once.")
    expires_in: int = Field(description="Seconds it is good for.")


class UserRead(Read):
    id: UUID
    email: str
    name: str
    locale: str | None
    theme: Theme
    is_verified: bool
    avatar_url: str | None = None
    created_at: datetime


class SessionRead(Read):
    """One of your sign-ins: a device."""

    id: UUID
    device: str = Field(description="What kind of device it is, as far as it says.")
    user_agent: str = Field(description="What the device called itself.")
    ip_address: str = Field(description="Where it signed in from.")
    is_acting: bool = Field(description="Staff, acting in your name.")
    acting_name: str = Field(description="Which staff.")
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime = Field(description="Unless it is used before then.")
    is_current: bool = Field(description="The one that asks.")


class EmailOnly(Schema):
    email: Email


class EmailChange(Schema):
    email: Email = Field(description="The new one: a link that is sent there makes it yours.")
    password: str = Field(description="Yours, as it is.")


class LinkToken(Schema):
    token: str = Field(max_length=200, description="The last part of the link in the e-mail.")


class NewPassword(Schema):
    password: str = Field(description="8 to 128 characters, at least one letter and one digit.")


class PasswordReset(LinkToken, NewPassword):
    pass


class Confirm(Schema):
    password: str


class AccountDelete(Schema):
    email: EmailEntry = Field(description="One's own once more.")


class ApiKeyCreate(Schema):
    name: Name
    scopes: Scopes = Field(description="What it is for.")
    expires_at: datetime | None = Field(default=None, description="In the future; null: never.")

    @field_validator("expires_at")
    @classmethod
    def _in_the_future(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        if value is not None and not clock.now() < value <= clock.now() + LONGEST_KEY:
            raise PydanticCustomError("key_lifetime", "Choose a moment within the next ten years.")
        return value


class ApiKeyForm(Schema):
    """As people fill it in: days instead of a moment, and a box for each scope, named after it."""

    name: Name
    days: int = Field(ge=0, le=3650)
    scopes: Scopes

    @model_validator(mode="before")
    @classmethod
    def _gather_boxes(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "scopes": [scope for scope in Scope if scope in given]}

    @property
    def wanted(self) -> ApiKeyCreate:
        expires_at = clock.now() + timedelta(days=self.days) if self.days else None
        return ApiKeyCreate(name=self.name, scopes=self.scopes, expires_at=expires_at)


class ApiKeyRead(Read):
    """An API key, without its secret."""

    id: UUID
    name: str
    prefix: str = Field(description="How its secret begins.")
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the hour.")
    is_over: bool


class ApiKeyCreated(ApiKeyRead):
    key: str = Field(description="Its secret, shown this once: the bearer token.")


class UserUpdate(Schema):
    name: Name | None = None
    locale: LocaleTag | None = Field(default=None, description="null: the household's.")
    theme: Theme | None = None


class PasswordChange(Schema):
    current_password: str
    new_password: str
