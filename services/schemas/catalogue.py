"""Catalogue items: what is behind a barcode, for everybody."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from models import CatalogueSource
from services.core import gtin
from services.schemas.types import CatalogueName, Line, Note, QuantityOrZero, Schema

NUTRIENTS = (
    "energy_kcal",
    "carbohydrate",
    "total_sugars",
    "fiber",
    "protein",
    "saturated_fat",
    "vitamin_a",
    "vitamin_c",
    "potassium",
    "iron",
    "calcium",
    "sodium",
    "cholesterol",
)


class _Contents(Schema):
    energy_kcal: QuantityOrZero | None = None
    carbohydrate: QuantityOrZero | None = None
    total_sugars: QuantityOrZero | None = None
    fiber: QuantityOrZero | None = None
    protein: QuantityOrZero | None = None
    saturated_fat: QuantityOrZero | None = None
    vitamin_a: QuantityOrZero | None = None
    vitamin_c: QuantityOrZero | None = None
    potassium: QuantityOrZero | None = None
    iron: QuantityOrZero | None = None
    calcium: QuantityOrZero | None = None
    sodium: QuantityOrZero | None = None
    cholesterol: QuantityOrZero | None = None
    allergens: Annotated[Note, StringConstraints(max_length=500)] = ""
    source_licence: Line = ""

    @field_validator(*NUTRIENTS, check_fields=False)
    @classmethod
    def _round(cls, value: Decimal | None) -> Decimal | None:
        return None if value is None else round(value, 4)


class _Named(Schema):
    gtin: str = Field(max_length=20)
    name: CatalogueName
    brand: Line = ""

    @field_validator("gtin")
    @classmethod
    def _has_check_digit(cls, value: str) -> str:
        try:
            code = gtin.normalise(value.strip())
        except gtin.WrongCheckDigit as error:
            message = "A digit of this barcode is wrong: its check digit does not fit."
            raise PydanticCustomError("check_digit", message) from error
        if not (len(code) == 14 and code.isascii() and code.isdecimal()):
            raise PydanticCustomError("gtin", "This is not a GTIN of 8, 12, 13 or 14 digits.")
        return code


class CatalogueItemEdit(_Contents, _Named):
    category_id: UUID | None = None
    package_quantity: QuantityOrZero | None = None
    package_unit_id: UUID | None = None
    source: CatalogueSource = CatalogueSource.STAFF


class CatalogueItemLine(_Contents, _Named):
    """A row of a file: categories and units are named, not referred to."""

    category: Line = ""
    package_quantity: QuantityOrZero | None = None
    package_unit: Line = ""


class ItemsEdit(Schema):
    """What many items get at once; what is left empty stays as it is with each."""

    category_id: UUID | None = None
    brand: Line = ""


class Survivor(Schema):
    survivor_id: UUID = Field(description="This one stays, and takes over what refers to the others.")
