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
from models import AuditEntry, Household, User
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
    return Page([_read(*row) for row in found.items], found.next, found.total)


async def list_acts(session: AsyncSession, actor: Actor, page: PageRequest) -> Page[ActRead]:
    """What happened in a household, newest first; not from where, and nothing that others keep to themselves."""
    own = sa.or_(col(AuditEntry.actor_id) == actor.user_id, col(AuditEntry.on_behalf_of_id) == actor.user_id)
    statement = sa.select(AuditEntry).where(
        col(AuditEntry.household_id) == actor.household_id, sa.or_(col(AuditEntry.action).not_in(_PERSONAL), own)
    )
    found = await fetch_page(session, statement, page, by_id(col(AuditEntry.id)), descending=True)
    return Page([ActRead(**_act(entry)) for entry in found.items], found.next, found.total)


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


def _read(entry: AuditEntry, household_name: str | None) -> AuditRead:
    household = None
    if entry.household_id is not None:
        household = AuditSubject(type="household", id=str(entry.household_id), name=household_name or "")
    return AuditRead(
        **_act(entry),
        program="" if entry.actor_id else entry.actor_name,
        household=household,
        source=entry.source,
        ip_address=entry.ip_address,
        request_id=entry.request_id,
    )


def _act(entry: AuditEntry) -> dict[str, Any]:
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
        "changes": _changes(entry.before, entry.after),
    }


def _named(person_id: UUID | None, name: str) -> AuditPerson | None:
    return None if person_id is None else AuditPerson(id=person_id, name=name)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[AuditChange]:
    """What was nothing and is nothing is no change, though both were said."""
    both = {name: (before.get(name), after.get(name)) for name in [*before, *after]}
    nothing = (None, "", [], {})
    return [
        AuditChange(field=name, before=was, after=is_now)
        for name, (was, is_now) in both.items()
        if was not in nothing or is_now not in nothing
    ]


def _written(entries: Sequence[AuditEntry], form: Format) -> str:
    rows = [entry.model_dump(mode="json") for entry in entries]
    if form is Format.JSONL:
        return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    return tables.write_rows([_cell(row[name]) for name in _COLUMNS] for row in rows)


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
