"""The hot reads: what a list of lots selects, filtered in every way it can be, and rows into lots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import aliased
from sqlmodel import col

from db import Id, Prepared, Raw, days_after
from models import (
    MONEY,
    Category,
    DateKind,
    Event,
    EventKind,
    ExpiryReason,
    Location,
    Lot,
    Product,
    Unit,
    UnitKind,
)
from services import dates, ledger, products
from services.core.numbers import plain, plain_money
from services.dates import Urgency
from services.schemas.files import picture
from services.schemas.stock import (
    LotLocation,
    LotProduct,
    LotRead,
    LotSort,
)

UNDATED = date(9999, 12, 31)
MILLION = 10**6
FACTOR_ONE = 10**12
# Up to this many grams or millilitres, one use takes all of it; of more, a quarter.
SMALL_AMOUNT = 500 * MILLION


@dataclass(frozen=True, slots=True)
class Shape:
    """Which filters a list has: everything its SQL depends on, so that each is compiled once."""

    sort: LotSort = LotSort.EXPIRES_ON
    descending: bool = False
    urgency: Urgency | None = None
    q: bool = False
    location: bool = False
    product: bool = False
    category: bool = False
    after: bool = False


CURSORS: dict[LotSort, Callable[[str], Any]] = {
    LotSort.EXPIRES_ON: date.fromisoformat,
    LotSort.NAME: str,
    LotSort.ADDED: str,
    LotSort.PURCHASED_ON: date.fromisoformat,
}
_KEYS: dict[LotSort, Any] = {
    LotSort.EXPIRES_ON: sa.func.coalesce(col(Lot.expires_on), sa.literal(UNDATED, sa.Date)),
    LotSort.NAME: col(Product.name_key),
    LotSort.ADDED: sa.literal("", sa.String),
    LotSort.PURCHASED_ON: col(Lot.purchased_on),
}

_group = aliased(Category)


def _first_known(*columns: Any) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(*columns)


def window(*otherwise: Any) -> sa.ColumnElement[Any]:
    """From how many days before its date a lot is soon due; `otherwise` where neither product nor category say so."""
    return _first_known(col(Product.soon_days), col(Category.soon_days), col(_group.soon_days), *otherwise)


TODAY = bindparam("today", type_=sa.Date)
_soon_days = window(bindparam("soon_days", type_=sa.Integer))

# Ids and most dates only pass through into JSON or a page.
_ROW = (
    sa.type_coerce(col(Lot.id), Raw),
    sa.type_coerce(col(Product.id), Raw),
    col(Product.name),
    _first_known(col(Category.icon), sa.literal("")),
    sa.type_coerce(col(Product.usual_quantity), sa.BigInteger),
    col(Unit.code),
    col(Unit.name),
    col(Unit.plural),
    sa.type_coerce(col(Unit.kind), sa.String),
    sa.type_coerce(col(Unit.factor), sa.BigInteger),
    sa.type_coerce(col(Location.id), Raw),
    col(Location.name),
    sa.type_coerce(col(Location.kind), sa.String),
    sa.type_coerce(col(Lot.quantity), sa.BigInteger),
    sa.type_coerce(col(Lot.date_kind), sa.String),
    sa.type_coerce(col(Lot.printed_on), Raw),
    col(Lot.expires_on),
    sa.type_coerce(col(Lot.expiry_reason), sa.String),
    sa.type_coerce(col(Lot.opened_on), Raw),
    sa.type_coerce(col(Lot.frozen_on), Raw),
    sa.type_coerce(col(Lot.thawed_on), Raw),
    col(Lot.snoozed_until),
    sa.type_coerce(col(Lot.purchased_on), Raw),
    sa.type_coerce(col(Lot.purchased_quantity), sa.BigInteger),
    sa.type_coerce(col(Lot.price), sa.BigInteger),
    col(Lot.store),
    col(Lot.lot_code),
    sa.type_coerce(col(Lot.owner_id), Raw),
    col(Lot.note),
    col(Lot.version),
    sa.type_coerce(products.PICTURE, Raw),
)


def lots_with_products(statement: sa.Select[Any]) -> sa.Select[Any]:
    return (
        statement.select_from(Lot)
        .join(Product, col(Product.id) == col(Lot.product_id))
        .outerjoin(Category, col(Category.id) == col(Product.category_id))
        .outerjoin(_group, col(_group.id) == col(Category.parent_id))
    )


def _joined(statement: sa.Select[Any]) -> sa.Select[Any]:
    return (
        lots_with_products(statement)
        .join(Unit, col(Unit.id) == col(Product.unit_id))
        .join(Location, col(Location.id) == col(Lot.location_id))
    )


def _visible_to_household(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.where(col(Lot.household_id) == bindparam("household_id", type_=Id))


def _filtered(statement: sa.Select[Any], shape: Shape) -> sa.Select[Any]:
    statement = _visible_to_household(_joined(statement)).where(col(Lot.quantity) > 0)
    if shape.urgency:
        statement = statement.where(is_urgent(shape.urgency))
    if shape.q:
        statement = statement.where(col(Product.name_key).like(bindparam("q", type_=sa.String), escape="\\"))
    if shape.location:
        statement = statement.where(col(Lot.location_id).in_(within()))
    if shape.product:
        statement = statement.where(col(Lot.product_id) == bindparam("product_id", type_=Id))
    if shape.category:
        category_id = bindparam("category_id", type_=Id)
        statement = statement.where(
            sa.or_(col(Product.category_id) == category_id, col(Category.parent_id) == category_id)
        )
    return statement


def within() -> sa.Select[tuple[UUID]]:
    """The place `:location_id` and all that lie within it."""
    within = sa.select(bindparam("location_id", type_=Id).label("id")).cte("within", recursive=True)
    inner = aliased(Location)
    within = within.union_all(sa.select(col(inner.id)).where(col(inner.parent_id) == within.c.id))
    return sa.select(within.c.id)


def is_urgent(urgency: Urgency, *, today: Any = TODAY, soon_days: Any = _soon_days) -> sa.ColumnElement[bool]:
    """The rule of `dates.urgency`, for the database to filter by; a test holds them together."""
    expires_on = col(Lot.expires_on)
    unsafe = sa.and_(
        col(Lot.date_kind) == DateKind.USE_BY,
        _first_known(sa.type_coerce(col(Lot.expiry_reason), sa.String), sa.literal("")) != ExpiryReason.FROZEN.value,
    )
    awake = sa.or_(col(Lot.snoozed_until).is_(None), col(Lot.snoozed_until) <= today)
    near = sa.and_(expires_on <= days_after(today, soon_days), awake)
    conditions: dict[Urgency, sa.ColumnElement[bool]] = {
        Urgency.EXPIRED: sa.and_(expires_on < today, unsafe),
        Urgency.PAST_BEST: sa.and_(expires_on < today, sa.not_(unsafe)),
        Urgency.TODAY: expires_on == today,
        Urgency.SOON: sa.and_(expires_on > today, near),
        Urgency.FINE: sa.and_(expires_on > today, sa.not_(near)),
        Urgency.UNDATED: expires_on.is_(None),
    }
    return conditions[urgency]


@lru_cache(maxsize=512)
def list_statement(shape: Shape) -> Prepared:
    key = _KEYS[shape.sort]
    order = [key, col(Lot.id)]
    statement = _filtered(sa.select(*_ROW, _soon_days, key.label("position")), shape)
    if shape.after:
        after = sa.tuple_(bindparam("after", type_=key.type), bindparam("after_id", type_=Id))
        statement = statement.where(sa.tuple_(*order) < after if shape.descending else sa.tuple_(*order) > after)
    ordering = [column.desc() if shape.descending else column for column in order]
    return Prepared(statement.order_by(*ordering).limit(bindparam("limit", type_=sa.Integer)))


@lru_cache(maxsize=512)
def count_statement(shape: Shape) -> Prepared:
    return Prepared(_filtered(sa.select(sa.func.count()), shape))


ONE_LOT = Prepared(
    _visible_to_household(_joined(sa.select(*_ROW, _soon_days))).where(col(Lot.id) == bindparam("lot_id", type_=Id))
)

SOME_LOTS = _visible_to_household(_joined(sa.select(*_ROW, _soon_days))).where(
    col(Lot.id).in_(bindparam("lot_ids", type_=Id, expanding=True))
)

# For readers whose windows differ: the last but one column is empty where their own word counts.
SHARED_LOTS = _joined(sa.select(*_ROW, window(), col(Lot.id))).where(
    col(Lot.id).in_(bindparam("lot_ids", type_=Id, expanding=True))
)

HELD_LOT = Prepared(
    _visible_to_household(
        _joined(
            sa.select(
                *(getattr(Lot, name) for name in ledger.COLUMNS),
                col(Product.name),
                _first_known(col(Category.icon), sa.literal("")),
                sa.type_coerce(col(Product.usual_quantity), sa.BigInteger),
                col(Unit.code),
                col(Unit.name),
                col(Unit.plural),
                sa.type_coerce(col(Unit.kind), sa.String),
                sa.type_coerce(col(Unit.factor), sa.BigInteger),
                col(Location.name),
                sa.type_coerce(col(Location.kind), sa.String),
                _soon_days,
                _first_known(col(Product.opened_days), col(Category.opened_days), col(_group.opened_days)),
                _first_known(col(Product.frozen_days), col(Category.freezer_days), col(_group.freezer_days)),
                _first_known(col(Product.thawed_days), col(Category.thawed_days), col(_group.thawed_days)),
                _first_known(col(Product.may_freeze), col(Category.may_freeze), col(_group.may_freeze)),
                products.PICTURE,
            )
        )
    )
    .where(col(Lot.id) == bindparam("lot_id", type_=Id))
    .with_for_update(of=Lot)
)

_due = col(Lot.expires_on)
_in_stock = _visible_to_household(
    sa.select(
        sa.func.count().label("lots"),
        sa.func.count().filter(_due <= TODAY, sa.not_(is_urgent(Urgency.EXPIRED))).label("use_now"),
        sa.func.count().filter(_due > TODAY, _due <= bindparam("week", type_=sa.Date)).label("this_week"),
        sa.func.count().filter(_due.is_(None)).label("undated"),
    ).where(col(Lot.quantity) > 0)
).subquery()
_reversal = aliased(Event)
_discarded = (
    sa.select(sa.func.count().label("binned"), sa.func.sum(col(Event.value)).label("value"))
    .where(col(Event.household_id) == bindparam("household_id", type_=Id))
    .where(col(Event.id) >= bindparam("since", type_=Id), col(Event.kind) == EventKind.DISCARD)
    .where(~sa.exists().where(col(_reversal.reverses_id) == col(Event.id)))
    .subquery()
)
NUMBERS = Prepared(
    sa.select(
        _in_stock.c.lots,
        _in_stock.c.use_now,
        _in_stock.c.this_week,
        _in_stock.c.undated,
        _discarded.c.binned,
        sa.type_coerce(_discarded.c.value, MONEY),
    ).select_from(_in_stock.join(_discarded, sa.true()))
)


def read_row(row: Sequence[Any], today: date) -> LotRead:
    """From the columns of `_ROW` and the lot's window."""
    return LotRead(
        id=row[0],
        product=LotProduct(row[1], row[2], row[5], row[6], row[7], row[8], row[3], picture(row[30])),
        location=LotLocation(row[10], row[11], row[12]),
        quantity=_plain_quantity(row[13]),
        usual_quantity=usual_quantity(row[13], row[4], row[8], row[9]),
        date_kind=row[14],
        printed_on=row[15],
        expires_on=row[16],
        expiry_reason=row[17],
        opened_on=row[18],
        frozen_on=row[19],
        thawed_on=row[20],
        snoozed_until=row[21],
        purchased_on=row[22],
        purchased_quantity=_plain_quantity(row[23]),
        price=None if row[24] is None else _plain_price(row[24]),
        store=row[25],
        lot_code=row[26],
        owner_id=row[27],
        note=row[28],
        version=row[29],
        **pressing(today, row[14], row[16], row[17], row[31], row[21]),
    )


def pressing(
    today: date,
    date_kind: str,
    expires_on: date | None,
    expiry_reason: str | None,
    soon_days: int,
    snoozed: date | None,
) -> dict[str, Any]:
    urgency = dates.urgency(
        today=today,
        date_kind=date_kind,
        expires_on=expires_on,
        expiry_reason=expiry_reason,
        soon_days=soon_days,
        snoozed_until=snoozed,
    )
    return {"urgency": urgency, "days_left": None if expires_on is None else (expires_on - today).days}


@lru_cache(maxsize=4096)
def _plain_quantity(millionths: int) -> str:
    return plain(Decimal(millionths).scaleb(-6))


@lru_cache(maxsize=4096)
def _plain_price(ten_thousandths: int) -> str:
    return plain_money(Decimal(ten_thousandths).scaleb(-4))


@lru_cache(maxsize=4096)
def usual_quantity(quantity: int, usual: int | None, unit_kind: str, unit_factor: int) -> str:
    """What one use takes: what the household said, or all of something small, or one, or a quarter.

    Integers as their columns hold them: millionths of the unit, and its factor times 10^12.
    """
    if usual is None:
        if unit_kind in {UnitKind.COUNT, UnitKind.PACK}:
            usual = MILLION
        else:
            usual = quantity if quantity * unit_factor // FACTOR_ONE <= SMALL_AMOUNT else quantity // 4
    return _plain_quantity(min(usual, quantity))
