"""Lists to choose from."""

from pydantic import Field

from services.schemas.types import Read


class OptionRead(Read):
    value: str = Field(examples=["farmers_market"])
    label: str = Field(examples=["Farmers’ market"])


class OptionsRead(Read):
    items: list[OptionRead]
