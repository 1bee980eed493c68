"""The audit log: who did what for whom, on what, from where; written in the transaction of the act."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import object_mapper
from sqlmodel import SQLModel

from models import AuditEntry, User
from services.core import origin
from services.permissions import Account

REDACTED = "•••"
_SECRET_WORDS = ("password", "secret", "token", "hash", "public_key")
_SECRET_NAMES = {"address"}  # of a channel: whoever knows it can write to it


def record(
    session: AsyncSession,
    action: str,
    *,
    by: Account | User | None,
    subject: SQLModel | None = None,
    subject_type: str = "",
    subject_id: object = "",
    subject_name: str = "",
    household_id: UUID | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down an act. `action` is the permission it needed, such as `members:edit`.

    `by` is None for what nobody signed in did: a command, a task, a failed sign-in; then the program is named. When
    staff acts as a user, both are. Only what differs between `before` and `after` is kept.
    """
    if subject is not None:
        subject_type = subject_type or str(subject.__tablename__)
        subject_id = subject_id or "/".join(
            str(key) for key in object_mapper(subject).primary_key_from_instance(subject)
        )
        subject_name = subject_name or name_of(subject)
        household_id = household_id or getattr(subject, "household_id", None)
    before, after = _changes(before or {}, after or {})
    actor_id, actor_name, on_behalf_of = _who(by)
    where = origin.current()
    session.add(
        AuditEntry(
            action=action,
            actor_id=actor_id,
            actor_name=actor_name,
            on_behalf_of_id=on_behalf_of[0],
            on_behalf_of_name=on_behalf_of[1],
            household_id=household_id,
            subject_type=subject_type[:40],
            subject_id=str(subject_id)[:200],
            subject_name=subject_name[:200],
            before=before,
            after=after,
            source=where.source or "",
            ip_address=where.ip_address,
            request_id=where.request_id,
        )
    )


def id_of(who: Account | User) -> UUID:
    return who.id if isinstance(who, User) else who.user_id


def name_of(row: object) -> str:
    """What it calls itself. SQLModel's own words would be all its columns, secrets too."""
    return "" if type(row).__str__ in {SQLModel.__str__, object.__str__} else str(row)


def snapshot(row: SQLModel, names: Iterable[str] | None = None) -> dict[str, Any]:
    """A row's columns as they are now: for `before` and `after`."""
    return {name: getattr(row, name) for name in names or object_mapper(row).column_attrs.keys()}


def _who(by: Account | User | None) -> tuple[UUID | None, str, tuple[UUID | None, str]]:
    if by is None:
        return None, origin.current().program[:100], (None, "")
    if isinstance(by, User):
        return by.id, by.name, (None, "")
    if by.impersonator_id is not None:
        return by.impersonator_id, by.impersonator_name, (by.user_id, by.name)
    return by.user_id, by.name, (None, "")


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    same = {name for name in before if name in after and before[name] == after[name]}
    kept = [
        {name: _plain(name, value) for name, value in values.items() if name not in same} for values in (before, after)
    ]
    return kept[0], kept[1]


def _is_secret(name: str) -> bool:
    return name in _SECRET_NAMES or any(word in name for word in _SECRET_WORDS)


def _plain(name: str, value: Any) -> Any:
    """As JSON keeps it, and without what must not be known."""
    if value is not None and value != "" and not isinstance(value, bool) and _is_secret(name):
        return REDACTED
    if isinstance(value, bytes):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(key): _plain(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain("", inner) for inner in value]
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return value
