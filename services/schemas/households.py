"""Households, their members, and invitations."""

from datetime import datetime
from uuid import UUID

from pydantic import Field, field_validator

from models import Role
from services.schemas.types import Currency, Email, GuessedTimeZone, LocaleTag, Name, Read, Schema, SoonDays, TimeZone


class HouseholdRead(Read):
    id: UUID
    name: str
    time_zone: str = Field(examples=["Europe/Paris"])
    currency: str = Field(examples=["EUR"])
    locale: str = Field(examples=["en-GB"])
    soon_days: int = Field(description="From how many days before its date a lot is soon due.")
    role: Role | None = Field(description="Yours; null for staff.")


class HouseholdCreate(Schema):
    name: Name
    time_zone: TimeZone | None = None
    currency: Currency | None = None
    locale: LocaleTag | None = None
    soon_days: SoonDays | None = None


class HouseholdForm(HouseholdCreate):
    time_zone: GuessedTimeZone = None


class HouseholdUpdate(Schema):
    name: Name | None = None
    time_zone: TimeZone | None = None
    currency: Currency | None = None
    locale: LocaleTag | None = None
    soon_days: SoonDays | None = None


class MemberRead(Read):
    user_id: UUID
    name: str
    email: str
    role: Role
    joined_at: datetime
    avatar_url: str | None


class MemberUpdate(Schema):
    role: Role = Field(description="`owner` hands the household over: its owner becomes an admin.")


class InvitationCreate(Schema):
    role: Role = Role.MEMBER
    email: Email | None = Field(default=None, description="When given, only this address can accept.")

    @field_validator("role")
    @classmethod
    def _one_owner(cls, value: Role) -> Role:
        if value is Role.OWNER:
            raise ValueError("A household has one owner; hand it over instead.")
        return value


class InvitationRead(Read):
    id: UUID
    role: Role
    email: str | None
    invited_by: str | None
    created_at: datetime
    expires_at: datetime


class InvitationCreated(InvitationRead):
    token: str = Field(description="Shown this once.")
    url: str


class InvitationPreview(Read):
    """What someone who holds the link may know before accepting."""

    household_name: str
    role: Role
    invited_by: str | None
    email: str | None
    expires_at: datetime
