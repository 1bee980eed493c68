"""Keeping the shared words in order: duplicates become one, many rows are changed at once, files are read in.

For staff: what may be touched is asked before (`admin`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import class_mapper
from sqlmodel import SQLModel, col, delete, select

from models import CatalogueItem, CatalogueSource, Category, StoredFile, Unit, UnitConversion
from services import audit, files
from services.categories import keywords_of
from services.core import tables
from services.core.errors import Conflict, InvalidInput, NotFound
from services.core.i18n import _
from services.core.text import fold
from services.permissions import Account
from services.schemas.catalogue import NUTRIENTS, CatalogueItemLine, ItemsEdit
from services.schemas.messages import field_errors

MAX_FILE = 500_000
MAX_ROWS = 2000
COLUMNS = tuple(CatalogueItemLine.model_fields)
# Exports have it; what is read in comes from the import.
IGNORED = {"source"}
FILLED_IN = (
    "category_id",
    "package_quantity",
    "package_unit_id",
    "brand",
    "allergens",
    "image_url",
    "picture_id",
    *NUTRIENTS,
)

R = TypeVar("R", bound=SQLModel)


# Duplicates


async def merge_items(
    session: AsyncSession, by: Account | None, items: Sequence[CatalogueItem], survivor_id: UUID
) -> CatalogueItem:
    """One item of several; it takes from the others what it lacks, and the products that point at them."""
    survivor, others = _parted(items, survivor_id)
    before = audit.snapshot(survivor)
    for other in others:
        for name in FILLED_IN:
            if getattr(survivor, name) in (None, ""):
                setattr(survivor, name, getattr(other, name))
    return await _merge(session, "panel.catalogue-item:merge", by, survivor, others, before)


async def merge_categories(
    session: AsyncSession, by: Account | None, categories: Sequence[Category], survivor_id: UUID
) -> Category:
    """One category of several: all groups, or all foods, and everybody's or of one household.

    Raises `Conflict` for those that cannot be one.
    """
    survivor, others = _parted(categories, survivor_id)
    if len({category.household_id for category in categories}) > 1:
        raise Conflict(_("These belong to different households."))
    if len({category.parent_id is None for category in categories}) > 1:
        raise Conflict(_("A group and a food cannot be one."))
    codes = [category.code for category in categories if category.code]
    if any(other.code for other in others) and len(codes) > 1:
        raise Conflict(_("Of those that came with Larder, only one can be among these: the others would come back."))
    before = audit.snapshot(survivor)
    code = codes[0] if codes else None
    for other in others:
        other.code = None
    await session.flush()
    survivor.code = code
    words = [word for each in categories for word in (each.name, *each.keywords.split("|")) if word.strip()]
    survivor.keywords = keywords_of(survivor.name, *words)[:500]
    return await _merge(session, "panel.category:merge", by, survivor, others, before)


async def merge_units(session: AsyncSession, by: Account | None, units: Sequence[Unit], survivor_id: UUID) -> Unit:
    """One unit of several that measure the same. Raises `Conflict` where quantities would mean something else."""
    survivor, others = _parted(units, survivor_id)
    if len({unit.household_id for unit in units}) > 1:
        raise Conflict(_("These belong to different households."))
    if len({(unit.kind, unit.factor) for unit in units}) > 1:
        raise Conflict(_("These units are not the same size."))
    await _keep_one_conversion(session, [survivor.id, *(other.id for other in others)])
    return await _merge(session, "panel.unit:merge", by, survivor, others, audit.snapshot(survivor))


async def _keep_one_conversion(session: AsyncSession, unit_ids: Sequence[UUID]) -> None:
    """A product that converts several of these units keeps the first of them."""
    rank = sa.case({unit_id: place for place, unit_id in enumerate(unit_ids)}, value=col(UnitConversion.unit_id))
    place = sa.func.row_number().over(partition_by=col(UnitConversion.product_id), order_by=rank)
    ranked = (
        sa.select(col(UnitConversion.id), place.label("place")).where(col(UnitConversion.unit_id).in_(unit_ids))
    ).subquery()
    second = sa.select(ranked.c.id).where(ranked.c.place > 1)
    await session.execute(delete(UnitConversion).where(col(UnitConversion.id).in_(second)))


def _parted(rows: Sequence[R], survivor_id: UUID) -> tuple[R, list[R]]:
    survivor = next((row for row in rows if row.id == survivor_id), None)  # type: ignore[attr-defined]
    if survivor is None:
        raise InvalidInput({"survivor_id": _("Choose one of these.")})
    others = [row for row in rows if row is not survivor]
    if not others:
        raise Conflict(_("Choose two or more to merge."))
    return survivor, others


async def _merge(
    session: AsyncSession, action: str, by: Account | None, survivor: R, others: Sequence[R], before: Mapping[str, Any]
) -> R:
    """Let all that refers to the others refer to the survivor, and delete them."""
    table = type(survivor)
    ids = [other.id for other in others]  # type: ignore[attr-defined]
    await session.flush()
    for column in _references(table):
        await session.execute(
            sa.update(column.table).where(column.in_(ids)).values({column: survivor.id})  # type: ignore[attr-defined]
        )
    merged = [str(other) for other in others]
    for other in others:
        audit.record(session, action, by=by, subject=other, before=audit.snapshot(other))
    await session.execute(delete(table).where(col(table.id).in_(ids)))  # type: ignore[attr-defined]
    after = {**audit.snapshot(survivor), "merged": merged}
    audit.record(session, action, by=by, subject=survivor, before=before, after=after)
    return survivor


def _references(table: type[SQLModel]) -> list[sa.Column[Any]]:
    """Every column of every table that refers to this one: a new one is never forgotten."""
    target = class_mapper(table).local_table
    return [
        key.parent
        for other in SQLModel.metadata.sorted_tables
        for key in sorted(other.foreign_keys, key=lambda key: key.parent.name)
        if key.column.table is target
    ]


# Many at once


async def edit_items(session: AsyncSession, by: Account | None, items: Sequence[CatalogueItem], data: ItemsEdit) -> int:
    """Give items a category, or a brand; how many differ now. Raises `InvalidInput` when there is nothing to give."""
    given = {name: value for name, value in data.model_dump().items() if value not in (None, "")}
    if not given:
        raise InvalidInput({"": _("Choose what to change.")})
    changed = 0
    for item in items:
        before = audit.snapshot(item, given)
        if before != given:
            item.sqlmodel_update(given)
            audit.record(session, "panel.catalogue-item:change", by=by, subject=item, before=before, after=given)
            changed += 1
    return changed


# Pictures


async def get_item(session: AsyncSession, item_id: UUID, *, lock: bool = False) -> CatalogueItem:
    item: CatalogueItem | None = await session.get(
        CatalogueItem, item_id, with_for_update=lock or None, populate_existing=lock
    )
    if item is None:
        raise NotFound(_("There is no such item."))
    return item


async def set_picture(session: AsyncSession, by: Account, item_id: UUID, file: StoredFile) -> None:
    await _change_picture(session, by, item_id, action="panel.catalogue-item:picture", picture_id=file.id)


async def remove_picture(session: AsyncSession, by: Account, item_id: UUID) -> None:
    """It is fine when there is none."""
    await _change_picture(session, by, item_id, action="panel.catalogue-item:remove-picture", picture_id=None)


async def _change_picture(
    session: AsyncSession, by: Account, item_id: UUID, *, action: str, picture_id: UUID | None
) -> None:
    item = await get_item(session, item_id, lock=True)
    before, after = {"picture": item.picture_id}, {"picture": picture_id}
    await files.release(session, [item.picture_id])
    item.picture_id = picture_id
    audit.record(session, action, by=by, subject=item, before=before, after=after)


# Files


@dataclass(slots=True)
class Line:
    """A row of a file: what it says, what is wrong with it, and whether its item is new."""

    number: int
    values: Mapping[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    item: dict[str, Any] = field(default_factory=dict)
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class File:
    columns: Sequence[str]
    lines: Sequence[Line]

    @property
    def wrong(self) -> Sequence[Line]:
        return [line for line in self.lines if line.errors]

    @property
    def right(self) -> Sequence[Line]:
        return [line for line in self.lines if not line.errors]


async def read_items(session: AsyncSession, content: bytes) -> File:
    """A file of catalogue items, row by row. Raises `InvalidInput` for one that cannot be read at all."""
    if len(content) > MAX_FILE:
        raise InvalidInput({"file": _("A file may have {size} kB.").format(size=MAX_FILE // 1000)})
    try:
        columns, rows = tables.read_csv(content, max_rows=MAX_ROWS)
    except tables.NoTable as error:
        raise InvalidInput({"file": _(str(error))}) from error
    missing = [name for name in ("gtin", "name") if name not in columns]
    unknown = [name for name in columns if name not in {*COLUMNS, *IGNORED}]
    if missing or unknown:
        told = _("Columns that are missing: {missing}.") if missing else _("Columns that are not known: {unknown}.")
        raise InvalidInput({"file": told.format(missing=", ".join(missing), unknown=", ".join(unknown[:5]))})
    lines = [_line(number, row) for number, row in enumerate(rows, 2)]
    _find_twins(lines)
    await _look_up(session, lines)
    return File(columns, lines)


async def import_items(
    session: AsyncSession, by: Account | None, content: bytes, *, only_right: bool = False
) -> tuple[int, int]:
    """Read a file into the catalogue: how many items are new, and how many changed.

    Raises `InvalidInput`, and changes nothing, when a row is wrong and not `only_right` are asked for.
    """
    file = await read_items(session, content)
    if file.wrong and not only_right:
        raise InvalidInput({"file": _("{count} rows are wrong.").format(count=len(file.wrong))})
    gtins = [line.item["gtin"] for line in file.right]
    found = await session.scalars(select(CatalogueItem).where(col(CatalogueItem.gtin).in_(gtins)).with_for_update())
    known = {item.gtin: item for item in found}
    made, changed = 0, 0
    for line in file.right:
        item = known.get(line.item["gtin"])
        before = audit.snapshot(item, line.item) if item else {}
        if before == line.item:
            continue
        if item is None:
            made += 1
            item = CatalogueItem(**line.item, source=CatalogueSource.IMPORT)
        else:
            changed += 1
            item.sqlmodel_update(line.item)
        session.add(item)
        audit.record(session, "panel.catalogue-item:import", by=by, subject=item, before=before, after=line.item)
    await session.flush()
    return made, changed


def _line(number: int, row: Mapping[str, str]) -> Line:
    line = Line(number, row)
    given = {name: value for name, value in row.items() if value != "" and name not in IGNORED}
    try:
        checked = CatalogueItemLine.model_validate(given)
    except ValidationError as error:
        line.errors = dict(reversed(field_errors(error.errors())))
        return line
    values = checked.model_dump()
    # A column the file has not stays as it is; one it leaves empty is emptied.
    line.item = {name: values[name] for name in COLUMNS if name in row}
    line.item["name_key"] = fold(checked.name)
    return line


def _find_twins(lines: Sequence[Line]) -> None:
    first: dict[str, int] = {}
    for line in lines:
        if line.errors:
            continue
        number = first.setdefault(line.item["gtin"], line.number)
        if number != line.number:
            line.errors["gtin"] = _("Row {number} has this barcode too.").format(number=number)


async def _look_up(session: AsyncSession, lines: Sequence[Line]) -> None:
    """What the rows refer to, and which items are there already."""
    categories = await _by_key(session, Category, Category.name_key)
    by_code = await _by_key(session, Unit, Unit.code)
    units = {**await _by_key(session, Unit, Unit.name), **by_code}
    gtins = [line.item["gtin"] for line in lines if not line.errors]
    known = set(await session.scalars(select(CatalogueItem.gtin).where(col(CatalogueItem.gtin).in_(gtins))))
    for line in lines:
        if line.errors:
            continue
        line.is_new = line.item["gtin"] not in known
        for name, found in (("category", categories), ("package_unit", units)):
            if name not in line.item:
                continue
            said = line.item.pop(name)
            if said and fold(said) not in found:
                line.errors[name] = _("There is nothing called {name}.").format(name=said)
            else:
                line.item[f"{name}_id"] = found.get(fold(said)) if said else None


async def _by_key(session: AsyncSession, table: type[SQLModel], key: Any) -> dict[str, UUID]:
    """Of everybody's rows, the id by what they are called."""
    rows = await session.execute(sa.select(key, col(table.id)).where(col(table.household_id).is_(None)))  # type: ignore[attr-defined]
    return {fold(name): row_id for name, row_id in rows.tuples()}
