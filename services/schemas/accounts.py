"""Accounts: registering, signing in, one's own profile."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from models import Theme
from services.schemas.types import Email, EmailEntry, GuessedTimeZone, LocaleTag, Name, Read, Schema, TimeZone


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
    user_agent: str = Field(description="What the device called itself.")
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime = Field(description="Unless it is used before then.")
    is_current: bool = Field(description="The one that asks.")


class UserUpdate(Schema):
    name: Name | None = None
    locale: LocaleTag | None = Field(default=None, description="null: the household's.")
    theme: Theme | None = None


class PasswordChange(Schema):
    current_password: str
    new_password: str
