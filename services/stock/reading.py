"""Lots as they are read: lists, one lot, what the home page counts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import like
from models import (
    UnitKind,
)
from services import dates
from services.core import clock
from services.core.errors import NotFound
from services.core.i18n import _
from services.core.ids import first_id
from services.core.numbers import plain
from services.core.pagination import Page, PageRequest, decode_cursor, encode_cursor
from services.core.text import fold
from services.permissions import Actor
from services.schemas.stock import (
    LotFilters,
    LotRead,
)
from services.stock import queries


async def list_lots(session: AsyncSession, actor: Actor, page: PageRequest, filters: LotFilters) -> Page[LotRead]:
    """What is in stock; lots without a date come last when sorted by date."""
    today = clock.today(actor.time_zone)
    shape = queries.Shape(
        sort=filters.sort,
        descending=filters.descending,
        urgency=filters.urgency,
        q=bool(filters.q),
        location=filters.location is not None,
        product=filters.product is not None,
        category=filters.category is not None,
        after=page.after is not None,
    )
    parameters = {
        "household_id": actor.household_id,
        "today": today,
        "soon_days": actor.soon_days,
        "q": like(fold(filters.q)) if filters.q else None,
        "location_id": filters.location,
        "product_id": filters.product,
        "category_id": filters.category,
        "limit": page.limit + 1,
    }
    if page.after is not None:
        parameters["after"], parameters["after_id"] = decode_cursor(page.after, (queries.CURSORS[filters.sort], UUID))

    rows = await queries.list_statement(shape).fetch(session, **parameters)
    shown = rows[: page.limit]
    total = None
    if page.total:
        (total,) = await queries.count_statement(replace(shape, after=False)).fetch_one(session, **parameters) or (0,)
    return Page(
        items=[queries.read_row(row, today) for row in shown],
        next=encode_cursor((shown[-1][-1], shown[-1][0])) if len(rows) > page.limit else None,
        total=total,
    )


async def get_lot(session: AsyncSession, actor: Actor, lot_id: UUID) -> LotRead:
    """One lot, used up or not."""
    row = await queries.ONE_LOT.fetch_one(
        session, household_id=actor.household_id, lot_id=lot_id, soon_days=actor.soon_days
    )
    if row is None:
        raise NotFound(_("There is no such lot."))
    return queries.read_row(row, clock.today(actor.time_zone))


async def find_lots(session: AsyncSession, actor: Actor, lot_ids: Sequence[UUID]) -> dict[UUID, LotRead]:
    """Those of these lots that there are, used up or not."""
    today = clock.today(actor.time_zone)
    parameters = {"household_id": actor.household_id, "lot_ids": lot_ids, "soon_days": actor.soon_days}
    rows = await (await session.connection()).execute(queries.SOME_LOTS, parameters)
    return {UUID(str(row[0])): queries.read_row(row, today) for row in rows.all()}


@dataclass(frozen=True, slots=True)
class SharedLot:
    """A lot that was read once for many readers."""

    row: tuple[Any, ...]

    def seen_by(self, *, time_zone: str, soon_days: int) -> LotRead:
        *columns, window, _id = self.row
        return queries.read_row([*columns, soon_days if window is None else window], clock.today(time_zone))


async def find_shared(session: AsyncSession, lot_ids: Collection[UUID]) -> dict[UUID, SharedLot]:
    """Those of these lots that there are, of any household: for those who know already who may see them."""
    connection = await session.connection()
    rows = await connection.execute(queries.SHARED_LOTS, {"lot_ids": list(lot_ids)})
    return {row[-1]: SharedLot(tuple(row)) for row in rows}


@dataclass(frozen=True, slots=True)
class Row:
    """Lots that look alike, shown as one: the first of them, and how much there is of all."""

    lot: LotRead
    quantity: str
    count: int = 1

    @property
    def opening(self) -> str:
        """How much one opens at a time: one of what is counted, all of what is not."""
        is_counted = self.lot.product.unit_kind in {UnitKind.COUNT, UnitKind.PACK}
        return self.lot.usual_quantity if is_counted else self.lot.quantity


def merged(lots: Sequence[LotRead]) -> list[Row]:
    """Merge equal lots for display, keeping the order. Each stays a lot of its own."""
    rows: dict[tuple[Any, ...], Row] = {}
    for lot in lots:
        looks = (
            lot.product.id,
            lot.location.id,
            lot.date_kind,
            lot.expires_on,
            lot.expiry_reason,
            lot.opened_on,
            lot.frozen_on,
            lot.urgency,
        )
        known = rows.get(looks)
        if known is None:
            rows[looks] = Row(lot, lot.quantity)
        else:
            total = Decimal(known.quantity) + Decimal(lot.quantity)
            rows[looks] = Row(known.lot, plain(total), known.count + 1)
    return list(rows.values())


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the home page counts."""

    lots: int
    use_now: int
    this_week: int
    undated: int
    binned: int
    binned_value: Decimal | None


async def count(session: AsyncSession, actor: Actor) -> Numbers:
    """How much is due, and what was thrown away since the first of the household's month."""
    today = clock.today(actor.time_zone)
    row = await queries.NUMBERS.fetch_one(
        session,
        household_id=actor.household_id,
        today=today,
        week=dates.add_days(today, 7),
        since=first_id(clock.start_of_day(today.replace(day=1), actor.time_zone)),
    )
    assert row is not None
    return Numbers(*row)
