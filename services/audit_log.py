"""Reading the audit log, taking it elsewhere, and forgetting what is too old. It is written by `services.audit`."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete

from db import like, session_scope
from models import AuditEntry, Category, Household, Location, Unit, User
from services import audit
from services.core import clock, tables
from services.core.errors import InvalidInput
from services.core.i18n import _
from services.core.ids import first_id
from services.core.pagination import Page, PageRequest, by_id, fetch_page
from services.permissions import Actor
from services.schemas.audit import ActRead, AuditChange, AuditFilters, AuditPerson, AuditRead, AuditSubject
from services.staff import Staff

# What a trigger holds fast; a little more, for the database's clock may be behind ours.
KEPT = timedelta(days=30)
_MARGIN = timedelta(hours=1)
BATCH = 500
# How others want to hear of things is nobody's business.
_PERSONAL = ("preferences:edit", "products:mute", "products:unmute")

Condition = sa.ColumnElement[bool]


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


async def list_entries(
    session: AsyncSession, staff: Staff, page: PageRequest, filters: AuditFilters
) -> Page[AuditRead]:
    """What one of the staff may see of it, newest first."""
    conditions = found_by(filters, time_zone=staff.time_zone)
    statement = _ENTRIES.where(staff.reach("audit:list").rows(AuditEntry), *conditions)
    found = await fetch_page(session, statement, page, by_id(col(AuditEntry.id)), descending=True)
    names = await _names(session, [entry for entry, _household in found.items])
    return Page([_read(entry, household, names) for entry, household in found.items], found.next, found.total)


async def list_acts(session: AsyncSession, actor: Actor, page: PageRequest) -> Page[ActRead]:
    """What happened in a household, newest first; not from where, and nothing that others keep to themselves."""
    own = sa.or_(col(AuditEntry.actor_id) == actor.user_id, col(AuditEntry.on_behalf_of_id) == actor.user_id)
    statement = sa.select(AuditEntry).where(
        col(AuditEntry.household_id) == actor.household_id, sa.or_(col(AuditEntry.action).not_in(_PERSONAL), own)
    )
    found = await fetch_page(session, statement, page, by_id(col(AuditEntry.id)), descending=True)
    names = await _names(session, found.items)
    return Page([ActRead(**_act(entry, names)) for entry in found.items], found.next, found.total)


def found_by(filters: AuditFilters, *, time_zone: str) -> list[Condition]:
    conditions = [
        *_person(col(AuditEntry.actor_id), col(AuditEntry.actor_name), filters.who),
        *_person(col(AuditEntry.on_behalf_of_id), col(AuditEntry.on_behalf_of_name), filters.on_behalf_of),
        *_subject(filters.subject),
        *_household(filters.household),
        *within(filters.since, filters.until, time_zone=time_zone),
    ]
    if filters.action:
        conditions.append(_contains(col(AuditEntry.action), filters.action))
    if filters.address:
        conditions.append(col(AuditEntry.ip_address) == filters.address)
    if filters.request:
        conditions.append(col(AuditEntry.request_id) == filters.request)
    return conditions


def within(since: date | None, until: date | None, *, time_zone: str) -> list[Condition]:
    """From the beginning of a day to the end of another: ids tell when they were made, and are what is sorted by."""
    conditions = []
    if since:
        conditions.append(col(AuditEntry.id) >= first_id(clock.start_of_day(since, time_zone)))
    if until:
        conditions.append(col(AuditEntry.id) < first_id(clock.start_of_day(until + timedelta(days=1), time_zone)))
    return conditions


async def export(conditions: Sequence[Condition], form: Format) -> AsyncIterator[str]:
    """All that the conditions let through, oldest first, in pieces. Holds no connection while a piece is sent."""
    if form is Format.CSV:
        yield tables.write_rows([_COLUMNS])
    after = UUID(int=0)
    while True:
        statement = sa.select(AuditEntry).where(col(AuditEntry.id) > after, *conditions)
        async with session_scope(read_only=True) as session:
            entries = (await session.scalars(statement.order_by(col(AuditEntry.id)).limit(BATCH))).all()
        if entries:
            yield _written(entries, form)
        if len(entries) < BATCH:
            return
        after = entries[-1].id


async def prune(older_than: timedelta) -> int:
    """Forget entries of that age; how many. A word of it is kept. Raises `InvalidInput` for less than `KEPT`."""
    if older_than < KEPT:
        raise InvalidInput({"older_than": _("Everything is kept for {days} days.").format(days=KEPT.days)})
    before = clock.now() - max(older_than, KEPT + _MARGIN)
    forgotten = 0
    while pruned := await _prune_some(before):
        forgotten += pruned
    if forgotten:
        async with session_scope() as session:
            audit.record(session, "audit:prune", by=None, after={"before": before, "entries": forgotten})
    return forgotten


async def _prune_some(before: Any) -> int:
    """A batch at a time, so that nobody waits long for the lock."""
    some = sa.select(col(AuditEntry.id)).where(col(AuditEntry.at) < before).limit(BATCH)
    async with session_scope() as session:
        pruned = await session.execute(delete(AuditEntry).where(col(AuditEntry.id).in_(some)))
        return int(pruned.rowcount)


_ENTRIES = sa.select(AuditEntry, col(Household.name)).outerjoin(
    Household, col(Household.id) == col(AuditEntry.household_id)
)
_REFERRED: Mapping[str, Any] = {
    "category_id": Category,
    "default_location_id": Location,
    "unit_id": Unit,
    "category.parent_id": Category,
    "location.parent_id": Location,
}
_COLUMNS = tuple(AuditEntry.model_fields)


def _person(id_column: Any, name_column: Any, text: str) -> list[Condition]:
    if not text:
        return []
    if (person_id := _id(text)) is not None:
        return [id_column == person_id]
    if "@" in text:
        return [id_column.in_(sa.select(col(User.id)).where(col(User.email) == text.lower()))]
    return [_contains(name_column, text)]


def _subject(text: str) -> list[Condition]:
    if not text:
        return []
    is_it = sa.or_(col(AuditEntry.subject_id) == text, col(AuditEntry.subject_type) == text)
    return [sa.or_(is_it, _contains(col(AuditEntry.subject_name), text))]


def _household(text: str) -> list[Condition]:
    if not text:
        return []
    household_id = _id(text)
    if household_id is not None:
        return [col(AuditEntry.household_id) == household_id]
    named = sa.select(col(Household.id)).where(_contains(col(Household.name), text))
    return [col(AuditEntry.household_id).in_(named)]


def _contains(column: Any, text: str) -> Condition:
    condition: Condition = column.ilike(like(text), escape="\\")
    return condition


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def _names(session: AsyncSession, entries: Sequence[AuditEntry]) -> dict[str, str]:
    """What is called what by now, of all that these entries refer to: one query a table, however many they are."""
    ids: dict[Any, set[UUID]] = {}
    for entry in entries:
        for values in (entry.before, entry.after):
            for name, value in values.items():
                table = _REFERRED.get(name) or _REFERRED.get(f"{entry.subject_type}.{name}")
                if table is not None and isinstance(value, str) and (referred := _id(value)) is not None:
                    ids.setdefault(table, set()).add(referred)
    names: dict[str, str] = {}
    for table, wanted in ids.items():
        rows = await session.execute(sa.select(col(table.id), col(table.name)).where(col(table.id).in_(wanted)))
        names |= {str(row_id): name for row_id, name in rows}
    return names


def _read(entry: AuditEntry, household_name: str | None, names: Mapping[str, str]) -> AuditRead:
    household = None
    if entry.household_id is not None:
        household = AuditSubject(type="household", id=str(entry.household_id), name=household_name or "")
    return AuditRead(
        **_act(entry, names),
        program="" if entry.actor_id else entry.actor_name,
        household=household,
        source=entry.source,
        ip_address=entry.ip_address,
        request_id=entry.request_id,
    )


def _act(entry: AuditEntry, names: Mapping[str, str]) -> dict[str, Any]:
    subject = None
    if entry.subject_type:
        subject = AuditSubject(type=entry.subject_type, id=entry.subject_id, name=entry.subject_name)
    return {
        "id": entry.id,
        "at": entry.at,
        "action": entry.action,
        "actor": _named(entry.actor_id, entry.actor_name),
        "on_behalf_of": _named(entry.on_behalf_of_id, entry.on_behalf_of_name),
        "subject": subject,
        "changes": _changes(entry.before, entry.after, names),
    }


def _named(person_id: UUID | None, name: str) -> AuditPerson | None:
    return None if person_id is None else AuditPerson(id=person_id, name=name)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]) -> list[AuditChange]:
    """With names for ids. What was nothing and is nothing is no change, though both were said."""
    both = {name: (before.get(name), after.get(name)) for name in [*before, *after]}
    nothing: tuple[Any, ...] = (None, "", [], {})
    return [
        AuditChange(field=name, before=_named_value(was, names), after=_named_value(is_now, names))
        for name, (was, is_now) in both.items()
        if was not in nothing or is_now not in nothing
    ]


def _named_value(value: Any, names: Mapping[str, str]) -> Any:
    return names.get(value, value) if isinstance(value, str) else value


def _written(entries: Sequence[AuditEntry], form: Format) -> str:
    rows = [entry.model_dump(mode="json") for entry in entries]
    if form is Format.JSONL:
        return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    return tables.write_rows([_cell(row[name]) for name in _COLUMNS] for row in rows)


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
