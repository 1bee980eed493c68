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
    TICKET = "ticket"


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


class LiveKind(StrEnum):
    """What a row of the outbox tells. The values are those of the live protocol, where that has them."""

    LOT_CHANGED = "lot.changed"
    NOTIFICATION_CREATED = "notification.created"
    NOTIFICATIONS_READ = "notification.read"
    SESSION_REVOKED = "session.revoked"
    MEMBER_REMOVED = "member.removed"
    CHAT_MESSAGE = "chat.message"
    CHAT_CHANGED = "chat.changed"
    CHAT_DELETED = "chat.deleted"
    CHAT_READ = "chat.read"


class NotificationKind(StrEnum):
    SOON = "soon"
    TODAY = "today"
    EXPIRED = "expired"
    LOW_STOCK = "low_stock"
    MENTION = "mention"


class ChannelKind(StrEnum):
    """Where people hear of things. In-app needs no channel of its own, and e-mail goes to the account's address."""

    IN_APP = "in_app"
    EMAIL = "email"
    WEB_PUSH = "web_push"
    WEBHOOK = "webhook"
    SERVICE = "service"


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"
    CANCELLED = "cancelled"


class JobStatus(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DEAD = "dead"


class LinkPurpose(StrEnum):
    """What a link in an e-mail does to an account."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105  (no password)
    CHANGE_EMAIL = "change_email"


class ChallengeKind(StrEnum):
    """What a half-finished sign-in or set-up waits for."""

    SECOND_FACTOR = "second_factor"
    PASSKEY_SIGN_IN = "passkey_sign_in"
    PASSKEY_SET_UP = "passkey_set_up"
    OPENID = "openid"


class DataScope(StrEnum):
    """Which rows a staff role reaches."""

    ALL = "all"
    HOUSEHOLDS = "households"
    CUSTOM = "custom"
    SELF = "self"


class GrantKind(StrEnum):
    PERMISSION = "permission"
    MENU = "menu"
    BUTTON = "button"


class MenuKind(StrEnum):
    AREA = "area"
    ENTRY = "entry"
    BUTTON = "button"


class ProblemState(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


class FilePurpose(StrEnum):
    """What a file was sent for: an avatar belongs to its uploader, the picture of a catalogue item to everybody."""

    AVATAR = "avatar"
    CATALOGUE = "catalogue"
    PRODUCT = "product"
    LOT = "lot"
    MESSAGE = "message"


class FileKind(StrEnum):
    IMAGE = "image"
    DOCUMENT = "document"


class FileState(StrEnum):
    """Whether its bytes are in the storage: not yet, all of them, or only until somebody tidies."""

    PENDING = "pending"
    READY = "ready"
    RELEASED = "released"


class MessageKind(StrEnum):
    TEXT = "text"
    SYSTEM = "system"


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
    """Someone who can sign in. E-mail addresses are kept in lower case.

    Sessions are good for the `auth_version` they were started with: raising it ends them all.
    """

    id: UUID = _id()
    email: str = Field(max_length=254, unique=True)
    hashed_password: str = Field(max_length=255)
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = False
    must_change_password: bool = False
    auth_version: int = 1
    name: str = Field(max_length=100)
    locale: str | None = Field(default=None, max_length=20)
    theme: Theme = _enum(Theme, default=Theme.SYSTEM)
    created_at: datetime = _moment()
    last_login_at: datetime | None = _optional_moment()

    memberships: list["Membership"] = _relationship("user", cascade="all, delete-orphan", passive_deletes=True)

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


class UserSession(SQLModel, table=True):
    """One sign-in on one device. Its tokens die with it.

    With an `impersonator_id` it is staff who acts as the user; it dies with the session `parent_id` it began in.
    `confirmed_at`: when its holder last proved to be the user.
    """

    __tablename__ = "user_session"

    id: UUID = _id()
    user_id: UUID = _ref("user.id")
    auth_version: int = 1
    household_id: UUID | None = _optional_ref("household.id")
    parent_id: UUID | None = _optional_ref("user_session.id", ondelete="CASCADE")
    impersonator_id: UUID | None = _optional_ref("user.id", ondelete="CASCADE", index=False)
    user_agent: str = Field(default="", max_length=400)
    ip_address: str = Field(default="", max_length=45)
    confirmed_at: datetime = _moment()
    created_at: datetime = _moment()
    last_used_at: datetime = _moment()
    expires_at: datetime = _deadline()

    user: User = _relationship(foreign_keys="UserSession.user_id")

    def __str__(self) -> str:
        return self.user_agent or str(self.id)


class SessionToken(SQLModel, table=True):
    """What a client shows to use its session; only the hash is kept. Refresh tokens and tickets work once."""

    __tablename__ = "session_token"

    token_hash: str = Field(primary_key=True, max_length=64)
    session_id: UUID = _ref("user_session.id")
    kind: TokenKind = _enum(TokenKind)
    expires_at: datetime = _deadline()
    used_at: datetime | None = _optional_moment()


class OneTimeLink(SQLModel, table=True):
    """A link in an e-mail that does one thing to an account, once. The link holds the id, signed."""

    __tablename__ = "one_time_link"

    id: UUID = _id()
    user_id: UUID = _ref("user.id")
    purpose: LinkPurpose = _enum(LinkPurpose)
    email: str = Field(max_length=254)
    created_at: datetime = _moment()
    expires_at: datetime = _column(UTCDateTime, index=True)
    used_at: datetime | None = _optional_moment()


class Challenge(SQLModel, table=True):
    """What was asked of somebody who signs in or sets something up; answered once, by whoever holds the token."""

    token_hash: str = Field(primary_key=True, max_length=64)
    kind: ChallengeKind = _enum(ChallengeKind)
    user_id: UUID | None = _optional_ref("user.id", ondelete="CASCADE")
    data: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    attempts: int = 0
    expires_at: datetime = _column(UTCDateTime, index=True)


class Totp(SQLModel, table=True):
    """A user's authenticator app. `secret` is encrypted; codes up to `last_step` were used."""

    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    secret: str = Field(max_length=300)
    last_step: int = 0
    created_at: datetime = _moment()
    confirmed_at: datetime | None = _optional_moment()


class RecoveryCode(SQLModel, table=True):
    """Lets somebody in once who lost the second factor; only the hash is kept."""

    __tablename__ = "recovery_code"

    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    code_hash: str = Field(primary_key=True, max_length=64)
    used_at: datetime | None = _optional_moment()


class Passkey(SQLModel, table=True):
    """A WebAuthn credential. `credential_id` is base64url."""

    id: UUID = _id()
    user_id: UUID = _ref("user.id")
    credential_id: str = Field(max_length=1400, unique=True)
    public_key: bytes = _column(sa.LargeBinary)
    sign_count: int = _column(sa.BigInteger, default=0)
    transports: list[str] = _column(sa.JSON, default_factory=list)
    name: str = Field(max_length=100)
    created_at: datetime = _moment()
    last_used_at: datetime | None = _optional_moment()

    user: User = _relationship()

    def __str__(self) -> str:
        return self.name


class ExternalIdentity(SQLModel, table=True):
    """Who a user is at an OpenID Connect provider."""

    __tablename__ = "external_identity"
    __table_args__ = (sa.UniqueConstraint("issuer", "subject"),)

    id: UUID = _id()
    user_id: UUID = _ref("user.id")
    issuer: str = Field(max_length=255)
    subject: str = Field(max_length=255)
    email: str = Field(default="", max_length=254)
    created_at: datetime = _moment()
    last_used_at: datetime | None = _optional_moment()


class ApiKey(SQLModel, table=True):
    """Lets a machine act as a user, within `scopes`; only the hash is kept. `prefix` tells keys apart."""

    __tablename__ = "api_key"

    id: UUID = _id()
    user_id: UUID = _ref("user.id")
    name: str = Field(max_length=100)
    prefix: str = Field(max_length=16)
    key_hash: str = Field(max_length=64, unique=True)
    scopes: list[str] = _column(sa.JSON, default_factory=list)
    created_at: datetime = _moment()
    expires_at: datetime | None = _optional_moment()
    last_used_at: datetime | None = _optional_moment()

    user: User = _relationship()

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Household(SQLModel, table=True):
    """People who share their food."""

    id: UUID = _id()
    name: str = Field(max_length=100)
    time_zone: str = Field(default="UTC", max_length=60)
    currency: str = Field(default="EUR", max_length=3)
    locale: str = Field(default="en", max_length=20)
    soon_days: int = 5
    next_sweep_at: datetime = _column(UTCDateTime, default_factory=clock.now, index=True)
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


# Files


class StoredFile(SQLModel, table=True):
    """Bytes in the storage, at `key` and below. What it belongs to refers to it; a file nobody refers to is tidied up.

    `size`: bytes of all its sizes together. `digest`: SHA-256 of a document, or of the large size of an image.
    """

    __tablename__ = "stored_file"

    id: UUID = _id()
    household_id: UUID | None = _optional_ref("household.id")
    uploader_id: UUID | None = _optional_ref("user.id")
    purpose: FilePurpose = _enum(FilePurpose)
    state: FileState = _enum(FileState, default=FileState.PENDING)
    kind: FileKind = _enum(FileKind)
    name: str = Field(default="", max_length=200)
    media_type: str = Field(max_length=100)
    size: int = _column(sa.BigInteger)
    width: int | None = None
    height: int | None = None
    key: str = Field(max_length=100, unique=True)
    digest: str = Field(max_length=64)
    created_at: datetime = _moment()

    def __str__(self) -> str:
        return self.name or str(self.id)


class Avatar(SQLModel, table=True):
    """A user's picture."""

    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    file_id: UUID = _column(Id, foreign_key="stored_file.id", ondelete="CASCADE", unique=True)


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
    picture_id: UUID | None = _optional_ref("stored_file.id")
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
    low_since: date | None = None
    usual_quantity: Decimal | None = _optional_exact(QUANTITY)
    unopened_days: int | None = None
    opened_days: int | None = None
    frozen_days: int | None = None
    thawed_days: int | None = None
    soon_days: int | None = None
    may_freeze: bool | None = None
    picture_id: UUID | None = _optional_ref("stored_file.id")
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


class LotPhoto(SQLModel, table=True):
    """A photo of a lot, as of its label."""

    __tablename__ = "lot_photo"

    lot_id: UUID = _column(Id, foreign_key="lot.id", ondelete="CASCADE", primary_key=True)
    file_id: UUID = _column(Id, foreign_key="stored_file.id", ondelete="CASCADE", primary_key=True, unique=True)


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


# Talk


class Chat(SQLModel, table=True):
    """Where a household talks. `is_for_all`: every member belongs to it; else those of `ChatMember` do.

    `last_seq` is the number of its newest message; numbers are given under a lock on this row, so their order is that
    of the commits. `tells_stock`: what happens to stock is said in it.
    """

    __table_args__ = (sa.UniqueConstraint("household_id", "title_key"),)

    id: UUID = _id()
    household_id: UUID = _ref("household.id", index=False)
    owner_id: UUID | None = _optional_ref("user.id")
    title: str = Field(max_length=255)
    title_key: str = Field(max_length=1000)
    is_for_all: bool = True
    tells_stock: bool = False
    last_seq: int = 0
    archived_at: datetime | None = _optional_moment()
    created_at: datetime = _moment()
    updated_at: datetime = _moment()

    household: Household = _relationship()

    def __str__(self) -> str:
        return self.title


class ChatMember(SQLModel, table=True):
    """Somebody who was chosen for a chat that is not for all."""

    __tablename__ = "chat_member"

    chat_id: UUID = _column(Id, foreign_key="chat.id", ondelete="CASCADE", primary_key=True)
    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True, index=True)
    joined_at: datetime = _moment()


class ReadMarker(SQLModel, table=True):
    """Up to which message somebody has read a chat."""

    __tablename__ = "read_marker"

    chat_id: UUID = _column(Id, foreign_key="chat.id", ondelete="CASCADE", primary_key=True)
    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True, index=True)
    seq: int = 0
    read_at: datetime = _moment()


class Message(SQLModel, table=True):
    """Something said in a chat: `seq` numbers them. Without an author it is of a former member, or the system's own.

    One that was deleted keeps its place and loses its words. A system message says what `event_id` did to stock.
    """

    __table_args__ = (sa.UniqueConstraint("chat_id", "seq"),)

    id: UUID = _id()
    chat_id: UUID = _ref("chat.id", index=False)
    seq: int
    kind: MessageKind = _enum(MessageKind, default=MessageKind.TEXT)
    author_id: UUID | None = _optional_ref("user.id")
    content: str = _column(sa.Text, default="")
    content_key: str = _column(sa.Text, default="")
    reply_to_id: UUID | None = _optional_ref("message.id")
    product_id: UUID | None = _optional_ref("product.id")
    lot_id: UUID | None = _optional_ref("lot.id")
    event_id: UUID | None = _optional_ref("event.id")
    created_at: datetime = _moment()
    edited_at: datetime | None = _optional_moment()
    deleted_at: datetime | None = _optional_moment()

    chat: Chat = _relationship()

    def __str__(self) -> str:
        return f"message {self.seq}"


class MessageRevision(SQLModel, table=True):
    """What a message said before it was edited or deleted."""

    __tablename__ = "message_revision"

    id: UUID = _id()
    message_id: UUID = _ref("message.id")
    content: str = _column(sa.Text)
    replaced_at: datetime = _moment()


class Mention(SQLModel, table=True):
    """Somebody a message names."""

    message_id: UUID = _column(Id, foreign_key="message.id", ondelete="CASCADE", primary_key=True)
    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True, index=True)


class Reaction(SQLModel, table=True):
    """One emoji of one member under a message."""

    message_id: UUID = _column(Id, foreign_key="message.id", ondelete="CASCADE", primary_key=True)
    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True, index=True)
    emoji: str = Field(primary_key=True, max_length=32)
    created_at: datetime = _moment()


class Attachment(SQLModel, table=True):
    """A file that came with a message."""

    message_id: UUID = _column(Id, foreign_key="message.id", ondelete="CASCADE", primary_key=True)
    file_id: UUID = _column(Id, foreign_key="stored_file.id", ondelete="CASCADE", primary_key=True, unique=True)
    position: int = 0


# What is told, and to whom


class Outbox(SQLModel, table=True):
    """What open pages and sockets are to hear, written with what happened.

    For all members of `household_id`, or for `user_id` alone. Ids are given under a lock just before the commit, so
    whoever has read up to one has missed nothing before it. Kept for `services.live.MEMORY`: also when the household
    or user is gone by then, for a word that went with them would leave its id to the next.
    """

    id: int | None = _column(sa.BigInteger().with_variant(sa.Integer(), "sqlite"), default=None, primary_key=True)
    kind: LiveKind = _enum(LiveKind)
    household_id: UUID | None = _column(Id, default=None, nullable=True, index=True)
    user_id: UUID | None = _column(Id, default=None, nullable=True, index=True)
    subject_id: UUID | None = _column(Id, default=None, nullable=True)
    data: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    created_at: datetime = _column(UTCDateTime, default_factory=clock.now, index=True)


class Notification(SQLModel, table=True):
    """One thing one member is told, once ever for each (member, kind, lot or product, date), or (member, message).

    `in_app`: whether it shows in the app; the others wait for a digest. `digest_on`: the day of the digest it was in.
    """

    __table_args__ = (
        _unique_where("uq_notification_lot", "user_id", "lot_id", "kind", "due_on", where="lot_id IS NOT NULL"),
        _unique_where("uq_notification_product", "user_id", "product_id", "kind", "due_on", where="lot_id IS NULL"),
        _unique_where("uq_notification_message", "user_id", "message_id", where="message_id IS NOT NULL"),
        sa.Index("ix_notification_list", "user_id", "id"),
        sa.Index(
            "ix_notification_unread",
            "user_id",
            sqlite_where=sa.text("read_at IS NULL"),
            postgresql_where=sa.text("read_at IS NULL"),
        ),
    )

    id: UUID = _id()
    user_id: UUID = _ref("user.id", index=False)
    household_id: UUID = _ref("household.id")
    kind: NotificationKind = _enum(NotificationKind)
    product_id: UUID | None = _optional_ref("product.id", ondelete="CASCADE")
    lot_id: UUID | None = _optional_ref("lot.id", ondelete="CASCADE")
    message_id: UUID | None = _optional_ref("message.id", ondelete="CASCADE")
    due_on: date
    in_app: bool = True
    created_at: datetime = _moment()
    read_at: datetime | None = _optional_moment()
    digest_on: date | None = None


class Preference(SQLModel, table=True):
    """How one member wants to hear of one household. `wanted` names the channels of each kind; without a row, the
    defaults of `services.preferences` hold. Times are minutes after local midnight."""

    __table_args__ = (sa.UniqueConstraint("user_id", "household_id"),)

    id: UUID = _id()
    user_id: UUID = _ref("user.id", index=False)
    household_id: UUID = _ref("household.id")
    wanted: dict[str, list[str]] = _column(sa.JSON, default_factory=dict)
    digest_at: int = 8 * 60
    quiet_from: int | None = None
    quiet_until: int | None = None


class ProductMute(SQLModel, table=True):
    """A product one member wants to hear nothing about."""

    __tablename__ = "product_mute"

    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    product_id: UUID = _column(Id, foreign_key="product.id", ondelete="CASCADE", primary_key=True)


class Channel(SQLModel, table=True):
    """A way to reach a user outside the app. `address`: a webhook or service address, or a push subscription as JSON.

    `secret` signs webhooks. Neither is ever shown again.
    """

    __table_args__ = (sa.UniqueConstraint("user_id", "kind", "address_hash"),)

    id: UUID = _id()
    user_id: UUID = _ref("user.id", index=False)
    kind: ChannelKind = _enum(ChannelKind)
    label: str = Field(default="", max_length=100)
    address: str = Field(default="", max_length=4000)
    address_hash: str = Field(max_length=64)
    secret: str = Field(default="", max_length=100)
    created_at: datetime = _moment()
    last_sent_at: datetime | None = _optional_moment()
    last_error: str = Field(default="", max_length=500)

    user: User = _relationship()


class Digest(SQLModel, table=True):
    """That a member's digest of a local day was made: the claim that makes it once, however many workers run."""

    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    household_id: UUID = _column(Id, foreign_key="household.id", ondelete="CASCADE", primary_key=True)
    day: date = Field(primary_key=True)
    created_at: datetime = _moment()


class Delivery(SQLModel, table=True):
    """One message on its way through one channel; written with what it tells, sent by a task.

    `claimed_until` is the lease of the worker that sends it; once it is over, another may.
    """

    __table_args__ = (
        sa.Index(
            "ix_delivery_pending",
            "next_attempt_at",
            sqlite_where=sa.text("status = 'pending'"),
            postgresql_where=sa.text("status = 'pending'"),
        ),
    )

    id: UUID = _id()
    user_id: UUID = _ref("user.id")
    household_id: UUID | None = _optional_ref("household.id", ondelete="CASCADE")
    channel_id: UUID | None = _optional_ref("channel.id", ondelete="CASCADE")
    channel: ChannelKind = _enum(ChannelKind)
    template: str = Field(max_length=30)
    data: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    status: DeliveryStatus = _enum(DeliveryStatus, default=DeliveryStatus.PENDING)
    attempts: int = 0
    next_attempt_at: datetime = _moment()
    claimed_until: datetime | None = _optional_moment()
    last_error: str = Field(default="", max_length=500)
    created_at: datetime = _moment()
    sent_at: datetime | None = _optional_moment()

    user: User = _relationship()


class Job(SQLModel, table=True):
    """Work of the embedded task engine, until it is done: then the row goes, and `JobRun` tells of it.

    `dedupe_key` is given up when a worker takes the job, so that it is one among those that wait. `claimed_until` is
    the lease of that worker; `attempts` tells its claim from later ones.
    """

    __table_args__ = (
        sa.Index(
            "ix_job_waiting",
            "run_at",
            sqlite_where=sa.text("status IN ('waiting', 'running')"),
            postgresql_where=sa.text("status IN ('waiting', 'running')"),
        ),
    )

    id: UUID = _id()
    task: str = Field(max_length=60)
    payload: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    dedupe_key: str | None = Field(default=None, max_length=200, unique=True)
    status: JobStatus = _enum(JobStatus, default=JobStatus.WAITING)
    run_at: datetime = _moment()
    attempts: int = 0
    claimed_until: datetime | None = _optional_moment()
    last_error: str = Field(default="", max_length=2000)
    created_at: datetime = _moment()
    finished_at: datetime | None = _optional_moment()


class JobRun(SQLModel, table=True):
    """One run of a task by either engine, for the panel."""

    __tablename__ = "job_run"

    id: UUID = _id()
    task: str = Field(max_length=60, index=True)
    job: str = Field(default="", max_length=60)
    attempt: int = 1
    worker: str = Field(default="", max_length=100)
    started_at: datetime = _column(UTCDateTime, default_factory=clock.now, index=True)
    finished_at: datetime | None = _optional_moment()
    result: str = Field(default="", max_length=200)
    error: str = Field(default="", max_length=2000)


class Schedule(SQLModel, table=True):
    """The last slot of a task's schedule that became a job: the claim that makes it one, however many tick."""

    task: str = Field(primary_key=True, max_length=60)
    slot_at: datetime = _deadline()


class FeedToken(SQLModel, table=True):
    """The secret of one member's calendar feed of one household; only the hash is kept, and making a new one ends the
    old."""

    __tablename__ = "feed_token"

    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    household_id: UUID = _column(Id, foreign_key="household.id", ondelete="CASCADE", primary_key=True)
    token_hash: str = Field(max_length=64, unique=True)
    created_at: datetime = _moment()


# Staff


class StaffRole(SQLModel, table=True):
    """What some of the staff may do, and of whose data. `filter` is that of a custom scope: see `services.reach`."""

    __tablename__ = "staff_role"

    id: UUID = _id()
    code: str = Field(max_length=50, unique=True)
    name: str = Field(max_length=100)
    description: str = Field(default="", max_length=500)
    data_scope: DataScope = _enum(DataScope, default=DataScope.SELF)
    filter: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    is_enabled: bool = True
    created_at: datetime = _moment()

    def __str__(self) -> str:
        return self.name


class StaffGrant(SQLModel, table=True):
    """One thing a role may do or see: a permission, an entry of the panel's menu, or a button."""

    __tablename__ = "staff_grant"

    role_id: UUID = _column(Id, foreign_key="staff_role.id", ondelete="CASCADE", primary_key=True)
    kind: GrantKind = _enum(GrantKind, primary_key=True)
    name: str = Field(primary_key=True, max_length=100)


class StaffAssignment(SQLModel, table=True):
    """That a user has a staff role."""

    __tablename__ = "staff_assignment"

    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    role_id: UUID = _column(Id, foreign_key="staff_role.id", ondelete="CASCADE", primary_key=True, index=True)
    assigned_at: datetime = _moment()


class StaffHousehold(SQLModel, table=True):
    """A household that is assigned to one of the staff: what the scope `households` reaches."""

    __tablename__ = "staff_household"

    user_id: UUID = _column(Id, foreign_key="user.id", ondelete="CASCADE", primary_key=True)
    household_id: UUID = _column(Id, foreign_key="household.id", ondelete="CASCADE", primary_key=True, index=True)


class MenuItem(SQLModel, table=True):
    """Something in the panel's menu: areas hold entries, entries hold buttons."""

    __tablename__ = "menu_item"

    id: UUID = _id()
    code: str = Field(max_length=60, unique=True)
    parent_id: UUID | None = _optional_ref("menu_item.id", ondelete="CASCADE")
    kind: MenuKind = _enum(MenuKind)
    label: str = Field(max_length=60)
    path: str = Field(default="", max_length=200)
    icon: str = Field(default="", max_length=40)
    position: int = 0
    is_enabled: bool = True

    def __str__(self) -> str:
        return self.label


class Endpoint(SQLModel, table=True):
    """A route of the app, kept as the app has it by `oppman.py permissions sync`; staff can switch it off."""

    __table_args__ = (sa.UniqueConstraint("method", "path"),)

    id: UUID = _id()
    method: str = Field(max_length=10)
    path: str = Field(max_length=200)
    permission: str = Field(max_length=100, index=True)
    summary: str = Field(default="", max_length=200)
    is_enabled: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class DictionaryEntry(SQLModel, table=True):
    """One choice of a list that staff keeps."""

    __tablename__ = "dictionary_entry"
    __table_args__ = (sa.UniqueConstraint("kind", "value"),)

    id: UUID = _id()
    kind: str = Field(max_length=50)
    value: str = Field(max_length=100)
    label: str = Field(max_length=100)
    position: int = 0
    is_enabled: bool = True
    note: str = Field(default="", max_length=500)

    def __str__(self) -> str:
        return self.label


class SeedRecord(SQLModel, table=True):
    """A declared seed as it was last applied: where the row differs from it, staff changed it by hand."""

    __tablename__ = "seed_record"

    kind: str = Field(primary_key=True, max_length=30)
    code: str = Field(primary_key=True, max_length=120)
    applied: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    applied_at: datetime = _moment()


# What was done, how it goes, and who is kept out


class AuditEntry(SQLModel, table=True):
    """One act, written in its transaction and never changed: a trigger refuses it.

    Names are those of the moment, and ids no foreign keys, so that it outlives what it is about. `before` and `after`
    hold what changed, without secrets.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        sa.Index("ix_audit_entry_household", "household_id", "id"),
        sa.Index("ix_audit_entry_actor", "actor_id", "id"),
        sa.Index("ix_audit_entry_subject", "subject_type", "subject_id"),
    )

    id: UUID = _id()
    at: datetime = _column(UTCDateTime, default_factory=clock.now, index=True)
    action: str = Field(max_length=100, index=True)
    actor_id: UUID | None = _column(Id, default=None, nullable=True)
    actor_name: str = Field(default="", max_length=100)
    on_behalf_of_id: UUID | None = _column(Id, default=None, nullable=True, index=True)
    on_behalf_of_name: str = Field(default="", max_length=100)
    household_id: UUID | None = _column(Id, default=None, nullable=True)
    subject_type: str = Field(default="", max_length=40)
    subject_id: str = Field(default="", max_length=200)
    subject_name: str = Field(default="", max_length=200)
    before: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    after: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    source: str = Field(default="", max_length=20)
    ip_address: str = Field(default="", max_length=45)
    request_id: str = Field(default="", max_length=32)


class Problem(SQLModel, table=True):
    """Exceptions nobody expected, of one shape."""

    id: UUID = _id()
    fingerprint: str = Field(max_length=64, unique=True)
    kind: str = Field(max_length=200)
    message: str = Field(default="", max_length=1000)
    route: str = Field(default="", max_length=100)
    traceback: str = Field(default="", max_length=20000)
    count: int = 1
    first_seen_at: datetime = _moment()
    last_seen_at: datetime = _column(UTCDateTime, default_factory=clock.now, index=True)
    state: ProblemState = _enum(ProblemState, default=ProblemState.OPEN)
    resolved_by_id: UUID | None = _optional_ref("user.id", index=False)
    resolved_at: datetime | None = _optional_moment()

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"[:200]


class MonitoredRequest(SQLModel, table=True):
    """How one request went. Times are in milliseconds; `repeated` is how often its most frequent statement ran.

    `weight`: for how many requests like it this one stands, where not all are kept.
    """

    __tablename__ = "monitored_request"
    __table_args__ = (sa.Index("ix_monitored_request_route", "route", "at"),)

    id: UUID = _id()
    at: datetime = _column(UTCDateTime, default_factory=clock.now, index=True)
    request_id: str = Field(default="", max_length=32, index=True)
    method: str = Field(max_length=10)
    route: str = Field(default="", max_length=100)
    path: str = Field(default="", max_length=300)
    query: str = Field(default="", max_length=1000)
    status: int
    ms: float
    weight: float = 1
    user_id: UUID | None = _column(Id, default=None, nullable=True)
    ip_address: str = Field(default="", max_length=45)
    query_count: int = 0
    query_ms: float = 0
    repeated: int = 0
    request_headers: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    response_headers: dict[str, Any] = _column(sa.JSON, default_factory=dict)
    request_body: str = Field(default="", sa_type=sa.Text)
    response_body: str = Field(default="", sa_type=sa.Text)
    problem_id: UUID | None = _optional_ref("problem.id", index=False)


class MonitoredShape(SQLModel, table=True):
    """The text of statements that differ in their values only."""

    __tablename__ = "monitored_shape"

    id: str = Field(primary_key=True, max_length=32)
    sql: str = Field(sa_type=sa.Text)


class MonitoredQuery(SQLModel, table=True):
    """One shape of statement in one request: how often it ran, and how long in all, in milliseconds."""

    __tablename__ = "monitored_query"

    request_id: UUID = _column(Id, foreign_key="monitored_request.id", ondelete="CASCADE", primary_key=True)
    shape_id: str = Field(primary_key=True, max_length=32, index=True)
    at: datetime = _column(UTCDateTime, default_factory=clock.now, index=True)
    count: int = 1
    ms: float = 0
    slowest_ms: float = 0
    started_ms: float = 0


class GuardCount(SQLModel, table=True):
    """How often somebody tried something within one window of time."""

    __tablename__ = "guard_count"

    key: str = Field(primary_key=True, max_length=120)
    window_at: datetime = _column(UTCDateTime, primary_key=True)
    hits: int = 0
    expires_at: datetime = _column(UTCDateTime, index=True)


class GuardBan(SQLModel, table=True):
    """An address or an account that is kept out for a time."""

    __tablename__ = "guard_ban"

    key: str = Field(primary_key=True, max_length=120)
    until: datetime = _column(UTCDateTime, index=True)
    reason: str = Field(default="", max_length=200)
    created_at: datetime = _moment()
    created_by_id: UUID | None = _optional_ref("user.id", index=False)
