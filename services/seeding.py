"""The words every household begins with: units and food categories, kept as CSV in `services/seeds/`.

The files are the truth for what they name: running this again brings changed values in, and removes nothing.
"""

import csv
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from db import take_turns
from models import Category, DateKind, Unit, UnitKind
from services.categories import keywords_of
from services.core.text import fold

LOCK = 0x1A4DE6
FOLDER = Path(__file__).parent / "seeds"
DAYS = ("pantry_days", "fridge_days", "freezer_days", "opened_days", "thawed_days", "soon_days")
YES_OR_NO = {"yes": True, "no": False, "": None}


async def seed_words(session: AsyncSession) -> dict[str, int]:
    """Answers how many rows are new or changed, by noun. Several processes that start at once take turns."""
    await take_turns(session, LOCK)
    return {"units": await _seed_units(session), "categories": await _seed_categories(session)}


async def _seed_units(session: AsyncSession) -> int:
    known = {unit.code: unit for unit in await session.scalars(select(Unit).where(col(Unit.household_id).is_(None)))}
    changed = 0
    for row in read_rows("units.csv"):
        values = {**row, "kind": UnitKind(row["kind"]), "factor": Decimal(row["factor"])}
        changed += _upsert(session, known.get(row["code"]), Unit, values)
    await session.flush()  # categories refer to them
    return changed


async def _seed_categories(session: AsyncSession) -> int:
    units = {unit.code: unit.id for unit in await session.scalars(select(Unit).where(col(Unit.household_id).is_(None)))}
    known = {
        category.code: category
        for category in await session.scalars(select(Category).where(col(Category.household_id).is_(None)))
    }
    rows = list(read_rows("categories.csv"))
    icons = {row["code"]: row["icon"] for row in rows}
    changed = 0
    for row in rows:
        group = known.get(row["group"])
        values: dict[str, Any] = {
            "code": row["code"],
            "parent_id": group.id if group else None,
            "name": row["name"],
            "name_key": fold(row["name"]),
            "keywords": keywords_of(row["name"], *row["keywords"].split("|")),
            "icon": row["icon"] or icons[row["group"]],
            "date_kind": DateKind(row["date_kind"]) if row["date_kind"] else None,
            "unit_id": units.get(row["unit"]),
            "may_freeze": YES_OR_NO[row["may_freeze"]],
            **{name: int(row[name]) if row[name] else None for name in DAYS},
        }
        category = known.get(row["code"]) or Category(**values)
        changed += _upsert(session, known.get(row["code"]), Category, values, category)
        known[row["code"]] = category
    await session.flush()
    return changed


def _upsert(session: AsyncSession, known: Any, table: type[Any], values: dict[str, Any], new: Any = None) -> bool:
    if known is None:
        session.add(new or table(**values))
        return True
    changed = {name: value for name, value in values.items() if getattr(known, name) != value}
    known.sqlmodel_update(changed)
    return bool(changed)


def read_rows(name: str) -> Iterator[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
