"""Every table, in domain order. Pure properties only: queries live in services."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, Relationship, SQLModel

from db import NAMING_CONVENTION, ExactDecimal, Id, UTCDateTime, enum_type
from services.core import clock
from services.core.ids import new_id

SQLModel.metadata.naming_convention = NAMING_CONVENTION

QUANTITY = ExactDecimal(6)
MONEY = ExactDecimal(4)
FACTOR = ExactDecimal(12)
NUTRIENT = ExactDecimal(4)


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class Theme(StrEnum):
    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class TokenKind(StrEnum):
    COOKIE = "cookie"
    ACCESS = "access"
    REFRESH = "refresh"


class DateKind(StrEnum):
    USE_BY = "use_by"
    BEST_BEFORE = "best_before"
    ESTIMATED = "estimated"
    NONE = "none"


class ExpiryReason(StrEnum):
    PRINTED = "printed"
    OPENED = "opened"
    FROZEN = "frozen"
    THAWED = "thawed"
    ESTIMATED = "estimated"


class LocationKind(StrEnum):
    PANTRY = "pantry"
    FRIDGE = "fridge"
    FREEZER = "freezer"
    OTHER = "other"


class UnitKind(StrEnum):
    COUNT = "count"
    PACK = "pack"
    MASS = "mass"
    VOLUME = "volume"


class CatalogueSource(StrEnum):
    OFF = "off"
    STAFF = "staff"
    IMPORT = "import"
    USER = "user"


class EventKind(StrEnum):
    ADD = "add"
    CONSUME = "consume"
    DISCARD = "discard"
    OPEN = "open"
    FREEZE = "freeze"
    THAW = "thaw"
    MOVE = "move"
    CORRECT = "correct"
    EDIT = "edit"
    UNDO = "undo"


class DiscardReason(StrEnum):
    EXPIRED = "expired"
    SPOILED_EARLY = "spoiled_early"
    DISLIKED = "disliked"
    LEFTOVER = "leftover"
    FREEZER_BURN = "freezer_burn"
    OTHER = "other"


def _column(sa_type: Any, **options: Any) -> Any:
    return Field(sa_type=sa_type, **options)


def _id() -> Any:
    return _column(Id, default_factory=new_id, primary_key=True)


def _ref(target: str, *, ondelete: str | None = "CASCADE", index: bool = True) -> Any:
    return _column(Id, foreign_key=target, ondelete=ondelete, index=index)


def _optional_ref(target: str, *, ondelete: str | None = "SET NULL", index: bool = True) -> Any:
    return _column(Id, default=None, nullable=True, foreign_key=target, ondelete=ondelete, index=index)


def _moment() -> Any:
    return _column(UTCDateTime, default_factory=clock.now)


def _deadline() -> Any:
    return _column(UTCDateTime)


def _optional_moment() -> Any:
    return _column(UTCDateTime, default=None, nullable=True)


def _exact(sa_type: ExactDecimal) -> Any:
    return _column(sa_type)


def _optional_exact(sa_type: ExactDecimal) -> Any:
    return _column(sa_type, default=None, nullable=True)


def _enum(enum: type[StrEnum], **options: Any) -> Any:
    return _column(enum_type(enum), **options)


def _relationship(back_populates: str | None = None, **options: Any) -> Any:
    return Relationship(back_populates=back_populates, sa_relationship_kwargs={"lazy": "raise", **options})


def _unique_where(name: str, *columns: str, where: str) -> sa.Index:
    """A unique index over the rows for which `where` holds."""
    condition = sa.text(where)
    return sa.Index(name, *columns, unique=True, sqlite_where=condition, postgresql_where=condition)


# People


class User(SQLModel, table=True):
    """Someone who can sign in. E-mail addresses are kept in lower case."""

    id: UUID = _id()
    email: str = Field(max_length=254, unique=True)
    hashed_password: str = Field(max_length=255)
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = False
    name: str = Field(max_length=100)
    locale: str | None = Field(default=None, max_length=20)
    theme: Theme = _enum(Theme, default=Theme.SYSTEM)
    created_at: datetime = _moment()

    memberships: list["Membership"] = _relationship("user", cascade="all, delete-orphan", passive_deletes=True)

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


class UserSession(SQLModel, table=True):
    """One sign-in on one device. Its tokens die with it."""

    __tablename__ = "user_session"

    id: UUID = _id()
    user_id: UUID = _ref("user.id")
    household_id: UUID | None = _optional_ref("household.id")
    user_agent: str = Field(default="", max_length=400)
    created_at: datetime = _moment()
    last_used_at: datetime = _moment()
    expires_at: datetime = _deadline()


class SessionToken(SQLModel, table=True):
    """What a client shows to use its session; only the hash is kept. A refresh token works once."""

    __tablename__ = "session_token"

    token_hash: str = Field(primary_key=True, max_length=64)
    session_id: UUID = _ref("user_session.id")
    kind: TokenKind = _enum(TokenKind)
    expires_at: datetime = _deadline()
    used_at: datetime | None = _optional_moment()


class Household(SQLModel, table=True):
    """People who share their food."""

    id: UUID = _id()
    name: str = Field(max_length=100)
    time_zone: str = Field(default="UTC", max_length=60)
    currency: str = Field(default="EUR", max_length=3)
    locale: str = Field(default="en", max_length=20)
    soon_days: int = 5
    created_at: datetime = _moment()

    memberships: list["Membership"] = _relationship("household", cascade="all, delete-orphan", passive_deletes=True)

    def __str__(self) -> str:
        return self.name


class Membership(SQLModel, table=True):
    __table_args__ = (sa.UniqueConstraint("household_id", "user_id"),)

    id: UUID = _id()
    household_id: UUID = _ref("household.id", index=False)
    user_id: UUID = _ref("user.id")
    role: Role = _enum(Role)
    soon_days: int | None = None
    joined_at: datetime = _moment()

    household: Household = _relationship("memberships")
    user: User = _relationship("memberships")


class Invitation(SQLModel, table=True):
    """A link that lets one person join, with a role."""

    id: UUID = _id()
    household_id: UUID = _ref("household.id")
    role: Role = _enum(Role)
    email: str | None = Field(default=None, max_length=254)
    token_hash: str = Field(max_length=64, unique=True)
    invited_by_id: UUID | None = _optional_ref("user.id", index=False)
    created_at: datetime = _moment()
    expires_at: datetime = _deadline()
    accepted_at: datetime | None = _optional_moment()


# Words


class Unit(SQLModel, table=True):
    """A unit of measure. `factor`: how many grams, millilitres or pieces one is. Without a household: everybody's."""

    __table_args__ = (
        sa.UniqueConstraint("household_id", "code"),
        _unique_where("uq_unit_shared_code", "code", where="household_id IS NULL"),
    )

    id: UUID = _id()
    household_id: UUID | None = _optional_ref("household.id", ondelete="CASCADE", index=False)
    code: str = Field(max_length=20)
    name: str = Field(max_length=50)
    plural: str = Field(max_length=50)
    kind: UnitKind = _enum(UnitKind)
    factor: Decimal = _exact(FACTOR)

    def __str__(self) -> str:
        return self.name


class Category(SQLModel, table=True):
    """A kind of food and how long it keeps, in days. Groups have no parent, foods a group. Seeds have a `code`."""

    __table_args__ = (
        sa.UniqueConstraint("household_id", "name_key"),
        _unique_where("uq_category_shared_name_key", "name_key", where="household_id IS NULL"),
    )

    id: UUID = _id()
    household_id: UUID | None = _optional_ref("household.id", ondelete="CASCADE", index=False)
    parent_id: UUID | None = _optional_ref("category.id", ondelete=None)
    code: str | None = Field(default=None, max_length=60, unique=True)
    name: str = Field(max_length=100)
    name_key: str = Field(max_length=100)
    keywords: str = Field(default="", max_length=500)
    icon: str = Field(default="", max_length=40)
    date_kind: DateKind | None = _enum(DateKind, default=None, nullable=True)
    unit_id: UUID | None = _optional_ref("unit.id", index=False)
    pantry_days: int | None = None
    fridge_days: int | None = None
    freezer_days: int | None = None
    opened_days: int | None = None
    thawed_days: int | None = None
    soon_days: int | None = None
    may_freeze: bool | None = None

    parent: "Category" = _relationship(remote_side="Category.id")
    unit: Unit = _relationship()

    def __str__(self) -> str:
        return self.name


class Location(SQLModel, table=True):
    """A place where food is kept; places lie within places."""

    __table_args__ = (
        _unique_where(
            "uq_location_top_name", "household_id", "name_key", where="parent_id IS NULL AND archived_at IS NULL"
        ),
        _unique_where("uq_location_name", "parent_id", "name_key", where="archived_at IS NULL"),
    )

    id: UUID = _id()
    household_id: UUID = _ref("household.id")
    parent_id: UUID | None = _optional_ref("location.id", ondelete=None, index=False)
    name: str = Field(max_length=100)
    name_key: str = Field(max_length=100)
    kind: LocationKind = _enum(LocationKind)
    position: int = 0
    archived_at: datetime | None = _optional_moment()

    def __str__(self) -> str:
        return self.name


class CatalogueItem(SQLModel, table=True):
    """What is behind a barcode, for everybody. Nutrients are per 100 g or ml; energy in kcal, the rest in grams."""

    __tablename__ = "catalogue_item"

    id: UUID = _id()
    gtin: str = Field(max_length=14, unique=True)
    name: str = Field(max_length=200)
    name_key: str = Field(max_length=200, index=True)
    brand: str = Field(default="", max_length=100)
    category_id: UUID | None = _optional_ref("category.id")
    package_quantity: Decimal | None = _optional_exact(QUANTITY)
    package_unit_id: UUID | None = _optional_ref("unit.id", index=False)
    energy_kcal: Decimal | None = _optional_exact(NUTRIENT)
    carbohydrate: Decimal | None = _optional_exact(NUTRIENT)
    total_sugars: Decimal | None = _optional_exact(NUTRIENT)
    fiber: Decimal | None = _optional_exact(NUTRIENT)
    protein: Decimal | None = _optional_exact(NUTRIENT)
    saturated_fat: Decimal | None = _optional_exact(NUTRIENT)
    vitamin_a: Decimal | None = _optional_exact(NUTRIENT)
    vitamin_c: Decimal | None = _optional_exact(NUTRIENT)
    potassium: Decimal | None = _optional_exact(NUTRIENT)
    iron: Decimal | None = _optional_exact(NUTRIENT)
    calcium: Decimal | None = _optional_exact(NUTRIENT)
    sodium: Decimal | None = _optional_exact(NUTRIENT)
    cholesterol: Decimal | None = _optional_exact(NUTRIENT)
    allergens: str = Field(default="", max_length=500)
    image_url: str | None = Field(default=None, max_length=500)
    source: CatalogueSource = _enum(CatalogueSource)
    source_licence: str = Field(default="", max_length=100)
    fetched_at: datetime | None = _optional_moment()
    created_at: datetime = _moment()

    category: Category = _relationship()
    package_unit: Unit = _relationship()

    def __str__(self) -> str:
        return f"{self.name} ({self.gtin})"


class Product(SQLModel, table=True):
    """Something a household keeps. Quantities of its lots are in `unit`; empty days come from the category."""

    __table_args__ = (_unique_where("uq_product_name", "household_id", "name_key", where="archived_at IS NULL"),)

    id: UUID = _id()
    household_id: UUID = _ref("household.id")
    name: str = Field(max_length=100)
    name_key: str = Field(max_length=100)
    catalogue_item_id: UUID | None = _optional_ref("catalogue_item.id")
    category_id: UUID | None = _optional_ref("category.id")
    unit_id: UUID = _ref("unit.id", ondelete=None, index=False)
    default_location_id: UUID | None = _optional_ref("location.id", index=False)
    min_quantity: Decimal | None = _optional_exact(QUANTITY)
    usual_quantity: Decimal | None = _optional_exact(QUANTITY)
    unopened_days: int | None = None
    opened_days: int | None = None
    frozen_days: int | None = None
    thawed_days: int | None = None
    soon_days: int | None = None
    may_freeze: bool | None = None
    note: str = Field(default="", max_length=2000)
    archived_at: datetime | None = _optional_moment()
    created_at: datetime = _moment()
    version: int = 1

    household: Household = _relationship()
    category: Category = _relationship()
    unit: Unit = _relationship()
    catalogue_item: CatalogueItem = _relationship()

    def __str__(self) -> str:
        return self.name


class ProductBarcode(SQLModel, table=True):
    """A code on a product's package. A GTIN is kept with 14 digits; `quantity` is how much one package holds."""

    __tablename__ = "product_barcode"
    __table_args__ = (sa.UniqueConstraint("household_id", "code"),)

    id: UUID = _id()
    household_id: UUID = _ref("household.id", index=False)
    product_id: UUID = _ref("product.id")
    code: str = Field(max_length=64)
    quantity: Decimal | None = _optional_exact(QUANTITY)


class UnitConversion(SQLModel, table=True):
    """For one product: one `unit` is `factor` of its stock unit, such as a cup of flour 120 g."""

    __tablename__ = "unit_conversion"
    __table_args__ = (sa.UniqueConstraint("product_id", "unit_id"),)

    id: UUID = _id()
    product_id: UUID = _ref("product.id", index=False)
    unit_id: UUID = _ref("unit.id", ondelete=None, index=False)
    factor: Decimal = _exact(FACTOR)


# Stock


class Lot(SQLModel, table=True):
    """Bought together, kept together, expiring together. Changed by `services/ledger.py` only.

    `price` was paid for `purchased_quantity`, of which this lot may be a part.
    """

    __table_args__ = (
        sa.CheckConstraint("quantity >= 0", name="quantity_not_negative"),
        sa.Index(
            "ix_lot_in_stock",
            "household_id",
            "expires_on",
            sqlite_where=sa.text("quantity > 0"),
            postgresql_where=sa.text("quantity > 0"),
        ),
    )

    id: UUID = _id()
    household_id: UUID = _ref("household.id", index=False)
    product_id: UUID = _ref("product.id", ondelete=None)
    location_id: UUID = _ref("location.id", ondelete=None)
    quantity: Decimal = _exact(QUANTITY)
    date_kind: DateKind = _enum(DateKind)
    printed_on: date | None = None
    expires_on: date | None = None
    expiry_reason: ExpiryReason | None = _enum(ExpiryReason, default=None, nullable=True)
    opened_on: date | None = None
    frozen_on: date | None = None
    thawed_on: date | None = None
    days_left_at_freeze: int | None = None
    snoozed_until: date | None = None
    purchased_on: date
    purchased_quantity: Decimal = _exact(QUANTITY)
    price: Decimal | None = _optional_exact(MONEY)
    store: str = Field(default="", max_length=100)
    lot_code: str = Field(default="", max_length=50)
    owner_id: UUID | None = _optional_ref("user.id", index=False)
    note: str = Field(default="", max_length=2000)
    version: int = 0
    created_at: datetime = _moment()

    household: Household = _relationship()
    product: Product = _relationship()
    location: Location = _relationship()

    def __str__(self) -> str:
        return f"lot {self.id}"


class Event(SQLModel, table=True):
    """One booking in the ledger: appended, never changed.

    `lot_version` is the lot's version after it, so it numbers the bookings of a lot. `before` and `after` hold the
    lot's columns that it changed. `value` is the share of the lot's price that `quantity_delta` stands for.
    """

    __table_args__ = (
        sa.UniqueConstraint("lot_id", "lot_version"),
        sa.Index("ix_event_journal", "household_id", "id"),
    )

    id: UUID = _id()
    household_id: UUID = _ref("household.id", index=False)
    lot_id: UUID = _ref("lot.id", ondelete=None, index=False)
    product_id: UUID = _ref("product.id", ondelete=None)
    lot_version: int
    kind: EventKind = _enum(EventKind)
    quantity_delta: Decimal = _exact(QUANTITY)
    quantity_after: Decimal = _exact(QUANTITY)
    reason: DiscardReason | None = _enum(DiscardReason, default=None, nullable=True)
    value: Decimal | None = _optional_exact(MONEY)
    before: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    after: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    actor_id: UUID | None = _optional_ref("user.id", index=False)
    on_behalf_of_id: UUID | None = _optional_ref("user.id", index=False)
    occurred_at: datetime = _moment()
    group_id: UUID = _column(Id, index=True)
    reverses_id: UUID | None = _column(Id, default=None, nullable=True, foreign_key="event.id", unique=True)

    product: Product = _relationship()
    lot: Lot = _relationship()

    def __str__(self) -> str:
        return f"{self.kind} {self.quantity_delta:+f}"


class IdempotencyRecord(SQLModel, table=True):
    """The first answer to a request that was sent with an Idempotency-Key."""

    __tablename__ = "idempotency_record"

    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    key: str = Field(primary_key=True, max_length=200)
    fingerprint: str = Field(max_length=64)
    status_code: int
    headers: dict[str, str] = _column(sa.JSON, default_factory=dict)
    body: bytes = _column(sa.LargeBinary)
    created_at: datetime = _moment()
