"""Products, their barcodes and unit conversions, and the catalogue behind them."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from services.schemas.files import PictureRead
from services.schemas.types import (
    Code,
    Days,
    ExactNumber,
    Factor,
    Name,
    Note,
    Quantity,
    QuantityOrZero,
    Read,
    Schema,
    SoonDays,
    UnitCode,
    Version,
)


class BarcodeRead(Read):
    code: str = Field(examples=["4006381333931"])
    quantity: ExactNumber | None = Field(description="How much one package holds, in the product's unit.")


class ConversionRead(Read):
    unit: str = Field(examples=["cup"])
    factor: ExactNumber = Field(description="How much of the product's unit one of it is.", examples=["120"])


class CategoryRef(Read):
    id: UUID
    name: str
    icon: str


class CatalogueItemRead(Read):
    """What is known about a barcode, for everybody. Nutrients per 100 g or ml; energy in kcal, the rest in grams."""

    id: UUID
    gtin: str
    name: str
    brand: str
    energy_kcal: ExactNumber | None
    carbohydrate: ExactNumber | None
    total_sugars: ExactNumber | None
    fiber: ExactNumber | None
    protein: ExactNumber | None
    saturated_fat: ExactNumber | None
    vitamin_a: ExactNumber | None
    vitamin_c: ExactNumber | None
    potassium: ExactNumber | None
    iron: ExactNumber | None
    calcium: ExactNumber | None
    sodium: ExactNumber | None
    cholesterol: ExactNumber | None
    allergens: str
    image_url: str | None
    source: str
    source_licence: str
    picture: PictureRead | None


class ProductSummary(Read):
    """A product in a list."""

    id: UUID
    name: str
    unit: str = Field(description="Code of the unit its lots are counted in.", examples=["piece"])
    unit_name: str
    unit_plural: str
    category: CategoryRef | None
    min_quantity: ExactNumber | None
    archived_at: datetime | None
    quantity: ExactNumber = Field(description="In stock now, over all lots.")
    lots: int = Field(description="Lots in stock now.")
    next_expires_on: date | None = Field(description="The earliest date among them.")
    picture: PictureRead | None = Field(description="The household's own, or else that of the catalogue.")
    has_own_picture: bool
    version: int


class ProductRead(ProductSummary):
    default_location_id: UUID | None
    usual_quantity: ExactNumber | None = Field(description="How much is taken at a time.")
    unopened_days: int | None
    opened_days: int | None
    frozen_days: int | None
    thawed_days: int | None
    soon_days: int | None
    may_freeze: bool | None
    note: str
    barcodes: list[BarcodeRead]
    conversions: list[ConversionRead]
    catalogue_item: CatalogueItemRead | None


class ProductFields(Schema):
    category_id: UUID | None = None
    default_location_id: UUID | None = None
    min_quantity: QuantityOrZero | None = None
    usual_quantity: Quantity | None = None
    unopened_days: Days | None = None
    opened_days: Days | None = None
    frozen_days: Days | None = None
    thawed_days: Days | None = None
    soon_days: SoonDays | None = None
    may_freeze: bool | None = None
    note: Note = ""


class ProductCreate(ProductFields):
    """Only `name` is needed. Without `category_id` the category is guessed from the name."""

    name: Name
    unit: UnitCode = "piece"
    catalogue_item_id: UUID | None = None
    barcode: Code | None = None


class ProductUpdate(ProductFields):
    name: Name | None = None
    unit: UnitCode | None = Field(default=None, description="Only while nothing was booked on the product yet.")
    version: Version | None = Field(default=None, description="When given, the edit is refused if it is out of date.")


class BarcodeCreate(Schema):
    code: Code
    quantity: Quantity | None = Field(default=None, description="How much one package holds, in the product's unit.")


class ConversionCreate(Schema):
    unit: UnitCode
    factor: Factor = Field(description="How much of the product's unit one of it is.")


class ProductFilters(Schema):
    q: Name | None = Field(default=None, description="Part of the name.")
    category: UUID | None = Field(default=None, description="A category, or a group with all that lies in it.")
    barcode: Code | None = None
    archived: bool = Field(default=False, description="The archived ones instead.")


class ProductBulkCreate(Schema):
    # Checked one by one, so that a wrong item does not spoil the others.
    items: list[Any] = Field(min_length=1, max_length=500)


class ItemErrors(Read):
    index: int
    errors: list["FieldError"]


class FieldError(Read):
    field: str
    message: str


class ProductBulkResult(Read):
    created: list[ProductRead]
    failed: list[ItemErrors]
