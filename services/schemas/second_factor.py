"""The second factor: an authenticator app, and recovery codes."""

from datetime import datetime

from pydantic import Field

from services.schemas.types import Code, Read, Schema


class CodeEntry(Schema):
    code: Code = Field(description="Six digits of the app, or a recovery code.")


class CodeAnswer(CodeEntry):
    """What a sign-in that answered `second_factor_required` waits for."""

    challenge: str = Field(max_length=100, description="As that answer gave it.")


class SecondFactorRead(Read):
    is_on: bool
    since: datetime | None
    recovery_codes_left: int


class SetUp(Read):
    """What an authenticator app needs to know, by hand or by camera."""

    secret: str = Field(description="Base32, for typing it in.")
    uri: str = Field(description="otpauth://…, what the picture says.")
    qr: str = Field(description="The picture, as a data: address.")


class RecoveryCodes(Read):
    recovery_codes: list[str] = Field(description="Shown this once. Each lets you in once.")
