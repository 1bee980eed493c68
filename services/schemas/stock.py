"""Lots and the ledger."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from pydantic import Field, WithJsonSchema, create_model, model_validator

from models import DateKind, DiscardReason, EventKind, ExpiryReason, LocationKind, UnitKind
from services.dates import Urgency
from services.schemas.files import FileRead, Picture
from services.schemas.products import ItemErrors, ProductCreate
from services.schemas.types import (
    Code,
    Day,
    ExactMoney,
    ExactNumber,
    Line,
    LotCode,
    Money,
    Name,
    Note,
    Quantity,
    QuantityOrZero,
    RawDate,
    RawId,
    Read,
    Schema,
    UnitCode,
    Version,
    documented,
)

RawQuantity = Annotated[str, WithJsonSchema({"type": "string", "examples": ["2", "0.5"]})]
RawMoney = Annotated[str, WithJsonSchema({"type": "string", "examples": ["2.49"]})]


class LotProduct(msgspec.Struct, frozen=True):
    """The product of a lot."""

    id: RawId
    name: str
    unit: str
    unit_name: str
    unit_plural: str
    unit_kind: UnitKind
    icon: str
    picture: Picture | None = None


class LotLocation(msgspec.Struct, frozen=True):
    """Where a lot lies."""

    id: RawId
    name: str
    kind: LocationKind


class LotRead(msgspec.Struct, frozen=True):
    """A lot: bought together, kept together, expiring together. Quantities are in the product's unit."""

    id: RawId
    product: LotProduct
    location: LotLocation
    quantity: RawQuantity
    usual_quantity: RawQuantity
    date_kind: DateKind
    printed_on: RawDate | None
    expires_on: RawDate | None
    expiry_reason: ExpiryReason | None
    urgency: Urgency
    days_left: int | None
    opened_on: RawDate | None
    frozen_on: RawDate | None
    thawed_on: RawDate | None
    snoozed_until: RawDate | None
    purchased_on: RawDate
    purchased_quantity: RawQuantity
    price: RawMoney | None
    store: str
    lot_code: str
    owner_id: RawId | None
    note: str
    version: int


LotModel = documented(LotRead)
LotDetailModel = create_model(
    "LotDetail", __base__=LotModel, photos=(list[FileRead], Field(description="As of its label, oldest first."))
)


class LotPageModel(Read):
    """A page of lots. `next` goes into `?after=`; `total` is there when `?total=true` asked for it."""

    items: list[LotModel]  # type: ignore[valid-type]
    next: str | None = None
    total: int | None = None


class LotSort(StrEnum):
    EXPIRES_ON = "expires_on"
    NAME = "name"
    ADDED = "added"
    PURCHASED_ON = "purchased_on"


class LotFilters(Schema):
    q: Name | None = Field(default=None, description="Part of the product's name.")
    urgency: Urgency | None = None
    location: UUID | None = Field(default=None, description="A place, with the places within it.")
    product: UUID | None = None
    category: UUID | None = Field(default=None, description="A category, or a group with all that lies in it.")
    sort: LotSort = LotSort.EXPIRES_ON
    descending: bool = False

    @model_validator(mode="before")
    @classmethod
    def _minus_means_descending(cls, values: Any) -> Any:
        if isinstance(values, dict) and str(values.get("sort", "")).startswith("-"):
            return {**values, "sort": str(values["sort"])[1:], "descending": True}
        return values


class LotFields(Schema):
    date_kind: DateKind | None = Field(default=None, description="Default: the category's. `none`: it has no date.")
    expires_on: Day | None = Field(default=None, description="The printed date; without one it is estimated.")
    purchased_on: Day | None = None
    price: Money | None = Field(default=None, description="Paid for all of it.")
    store: Line = ""
    lot_code: LotCode = ""
    note: Note = ""
    owner_id: UUID | None = Field(default=None, description="The member whose it is; else everybody's.")


class LotCreate(LotFields):
    """Says what it is in one of three ways: `product_id`, `product` (found by its name, else made), or `barcode`."""

    product_id: UUID | None = None
    product: ProductCreate | None = None
    barcode: Code | None = None
    quantity: Quantity | None = Field(default=None, description="Default: one, or what the barcode's package holds.")
    unit: UnitCode | None = Field(default=None, description="Of `quantity`, when it is not the product's own.")
    location_id: UUID | None = Field(default=None, description="Default: the product's usual place.")

    @model_validator(mode="after")
    def _say_what_it_is(self) -> "LotCreate":
        if sum(way is not None for way in (self.product_id, self.product, self.barcode)) != 1:
            raise ValueError("Give one of product_id, product and barcode.")
        return self


class LotBulkCreate(Schema):
    # Checked one by one, so that a wrong item does not spoil the others.
    items: list[Any] = Field(min_length=1, max_length=500)


class LotBulkResult(Read):
    created: list[LotModel]  # type: ignore[valid-type]
    failed: list[ItemErrors]
    group_id: UUID | None = Field(description="To take all of it back at once.")


class LotUpdate(LotFields):
    version: Version | None = Field(default=None, description="When given, the edit is refused if it is out of date.")


class Versioned(Schema):
    version: Version | None = Field(default=None, description="When given, refused if the lot has changed since.")


class LotConsume(Versioned):
    quantity: Quantity | None = Field(default=None, description="Default: all of it.")
    unit: UnitCode | None = None


class LotDiscard(LotConsume):
    reason: DiscardReason


class LotOpen(Versioned):
    quantity: Quantity | None = Field(default=None, description="Default: all of it.")


class LotFreeze(LotOpen):
    location_id: UUID | None = Field(default=None, description="Default: the first freezer.")
    confirm: bool = Field(default=False, description="Freeze although it was thawed before, or should not be frozen.")


class LotThaw(LotOpen):
    location_id: UUID | None = Field(default=None, description="Default: the first fridge.")


class LotMove(LotOpen):
    location_id: UUID
    confirm: bool = Field(default=False, description="See freeze: moving into a freezer freezes.")


class LotCorrect(Versioned):
    quantity: QuantityOrZero = Field(description="What is really there.")


class LotSnooze(Versioned):
    until: Day | None = Field(description="Not soon due until that day; null ends it.")


class ProductConsume(Schema):
    quantity: Quantity
    unit: UnitCode | None = None
    location_id: UUID | None = Field(default=None, description="Only what lies there, or in the places within it.")


class EventActor(Read):
    id: UUID
    name: str


class EventRead(Read):
    """A booking in the ledger."""

    id: UUID
    kind: EventKind
    lot_id: UUID
    product_id: UUID
    product_name: str
    unit: str
    unit_name: str
    unit_plural: str
    quantity_delta: ExactNumber
    quantity_after: ExactNumber
    reason: DiscardReason | None
    value: ExactMoney | None = Field(description="The share of the lot's price.")
    before: dict[str, Any] = Field(description="The lot's columns it changed, as they were.")
    after: dict[str, Any]
    actor: EventActor | None = Field(description="Null for a former member.")
    on_behalf_of: EventActor | None = Field(default=None, description="The member in whose name staff acted.")
    occurred_at: datetime
    group_id: UUID = Field(description="Bookings made together.")
    reverses_id: UUID | None = Field(description="What it took back.")
    undone: bool = Field(description="Whether it was taken back.")


class EventGroup(Read):
    """Bookings that were made together: the first of them, with the amount of all where they are alike."""

    event: EventRead
    count: int
    products: int
    undone: bool


class EventFilters(Schema):
    lot: UUID | None = None
    product: UUID | None = None
    kind: EventKind | None = None


class Consumed(Read):
    """What taking some of a product did."""

    quantity: ExactNumber
    group_id: UUID
    events: list[EventRead]
    lots: list[LotModel]  # type: ignore[valid-type]
