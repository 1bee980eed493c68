"""Categories, units and storage locations."""

from decimal import Decimal
from uuid import UUID

from pydantic import Field

from models import DateKind, LocationKind, UnitKind
from services.schemas.types import Days, ExactNumber, Factor, Name, Read, Schema, SoonDays, UnitCode, UnitName


class UnitRead(Read):
    id: UUID
    code: str = Field(examples=["kg"])
    name: str = Field(examples=["kilogram"])
    plural: str = Field(examples=["kilograms"])
    kind: UnitKind
    factor: ExactNumber = Field(description="Grams, millilitres or pieces in one.", examples=["1000"])
    is_shared: bool = Field(description="One of ours, for every household; it cannot be changed.")


class UnitCreate(Schema):
    code: UnitCode = Field(examples=["jam_jar"])
    name: UnitName
    plural: UnitName | None = None
    kind: UnitKind = UnitKind.PACK
    factor: Factor = Decimal(1)


class UnitUpdate(Schema):
    name: UnitName | None = None
    plural: UnitName | None = None


class CategoryRead(Read):
    id: UUID
    parent_id: UUID | None
    name: str
    icon: str
    date_kind: DateKind | None
    unit: str | None = Field(description="Code of the unit it is usually kept in.")
    pantry_days: int | None
    fridge_days: int | None
    freezer_days: int | None
    opened_days: int | None
    thawed_days: int | None
    soon_days: int | None
    may_freeze: bool | None
    is_shared: bool = Field(description="One of ours, for every household; it cannot be changed.")


class CategoryFields(Schema):
    parent_id: UUID | None = Field(default=None, description="A group: a category that has no parent itself.")
    date_kind: DateKind | None = None
    unit: UnitCode | None = None
    pantry_days: Days | None = None
    fridge_days: Days | None = None
    freezer_days: Days | None = None
    opened_days: Days | None = None
    thawed_days: Days | None = None
    soon_days: SoonDays | None = None
    may_freeze: bool | None = None


class CategoryCreate(CategoryFields):
    name: Name


class CategoryUpdate(CategoryFields):
    name: Name | None = None


class LocationRead(Read):
    id: UUID
    parent_id: UUID | None
    name: str
    path: str = Field(description="The names from the top down.", examples=["Fridge / Top shelf"])
    kind: LocationKind
    position: int
    lots: int = Field(description="Lots that lie there now, not counting the places within it.")


class LocationCreate(Schema):
    name: Name
    kind: LocationKind | None = Field(default=None, description="Default: the kind of the place it lies in, or other.")
    parent_id: UUID | None = None
    position: int = Field(default=0, ge=0, le=10_000)


class LocationUpdate(Schema):
    name: Name | None = None
    kind: LocationKind | None = None
    parent_id: UUID | None = None
    position: int | None = Field(default=None, ge=0, le=10_000)
