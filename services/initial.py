"""What an instance begins with, as declared in `services/seeds/panel.py`, beside what staff made of it.

Each declared row is compared three ways: as it is declared, as it was when it was last applied, and as it is. What
staff changed since is theirs and stays, field by field and grant by grant, unless it is asked to be undone.
"""

import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from db import take_turns
from models import (
    DataScope,
    DictionaryEntry,
    GrantKind,
    MenuItem,
    MenuKind,
    SeedRecord,
    StaffGrant,
    StaffRole,
)
from services import audit, dictionary, endpoints
from services.core import clock
from services.endpoints import Registry
from services.seeds import panel

LOCK = 0x1A4DE9
STEP = 10  # between the positions of neighbours, for what staff puts in between

Values = dict[str, Any]


class What(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    GONE = "no longer declared"
    BY_HAND = "changed by hand"
    REMOVED = "removed by hand"
    UNKNOWN = "unknown"


DRIFT = frozenset({What.BY_HAND, What.REMOVED, What.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Difference:
    """Between what is declared and what is. `before` and `after`: what would be, or was, written."""

    kind: str
    code: str
    what: What
    before: Values
    after: Values

    @property
    def is_drift(self) -> bool:
        """What is left alone."""
        return self.what in DRIFT


async def plan(session: AsyncSession, registry: Registry, *, force: bool = False) -> list[Difference]:
    """What `apply` would do, and what it would leave as it is."""
    return await _reconcile(session, registry, force=force, writes=False)


async def apply(session: AsyncSession, registry: Registry, *, force: bool = False) -> list[Difference]:
    """Bring in what is declared; `force` also undoes what was changed by hand. Makes no accounts.

    Several processes that start at once take turns.
    """
    await take_turns(session, LOCK)
    return await _reconcile(session, registry, force=force, writes=True)


async def _reconcile(session: AsyncSession, registry: Registry, *, force: bool, writes: bool) -> list[Difference]:
    found = _of_endpoints(await endpoints.sync(session, registry, dry_run=not writes))
    records = {(record.kind, record.code): record for record in await session.scalars(select(SeedRecord))}
    for table in _TABLES:
        declared = dict(table.declared(registry.permissions))
        current = await table.read(session)
        recorded = {code: record for (kind, code), record in records.items() if kind == table.kind}
        for code in [*declared, *(recorded.keys() - declared.keys())]:
            record = recorded.get(code)
            wanted = _compare(table, code, declared.get(code), record, current.get(code), force=force)
            found.extend(wanted.differences)
            if writes:
                await _write(session, table, code, wanted, declared.get(code), record)
    if writes:
        await session.flush()
        dictionary.forget_after_commit(session)
    return found


@dataclass(frozen=True, slots=True)
class _Wanted:
    """`row`: what the row is to be, None when there is to be none."""

    row: Values | None
    differences: list[Difference]
    is_written: bool


def _compare(
    table: "_Table",
    code: str,
    declared: Values | None,
    record: SeedRecord | None,
    current: Values | None,
    *,
    force: bool,
) -> _Wanted:
    def difference(what: What, before: Values | None, after: Values | None) -> Difference:
        return Difference(table.kind, code, what, before or {}, after or {})

    if declared is None:
        goes = current is not None and table.drops and record is not None and record.applied == current
        gone = [difference(What.GONE, current, {})] if goes else []
        return _Wanted(None if goes else current, gone, goes)
    if current is None:
        if record is None or force:
            return _Wanted(declared, [difference(What.NEW, {}, declared)], True)
        return _Wanted(None, [difference(What.REMOVED, declared, {})], False)

    wanted = declared if force else _merge(declared, record.applied if record else declared, current)
    differences = []
    if wanted != current:
        differences.append(difference(What.CHANGED, *_changed(current, wanted)))
    if wanted != declared:
        differences.append(difference(What.BY_HAND, *_changed(declared, wanted)))
    return _Wanted(wanted, differences, wanted != current)


def _merge(declared: Values, applied: Values, current: Values) -> Values:
    """The declared values, but what is not as it was applied stays as it is."""
    merged: Values = {}
    for name, value in declared.items():
        is_now = current[name]
        was: Any = applied.get(name, is_now)
        if isinstance(value, list):
            merged[name] = sorted((set(is_now) | (set(value) - set(was))) - (set(was) - set(value)))
        else:
            merged[name] = value if is_now == was else is_now
    return merged


def _changed(before: Values, after: Values) -> tuple[Values, Values]:
    """The fields that differ; of lists, what one has and the other has not."""
    left: Values = {}
    right: Values = {}
    for name, value in after.items():
        if before.get(name) == value:
            continue
        if isinstance(value, list):
            was = set(before[name])
            left[name], right[name] = sorted(was - set(value)), sorted(set(value) - was)
        else:
            left[name], right[name] = before.get(name), value
    return left, right


async def _write(
    session: AsyncSession,
    table: "_Table",
    code: str,
    wanted: _Wanted,
    declared: Values | None,
    record: SeedRecord | None,
) -> None:
    if wanted.is_written:
        await table.write(session, code, wanted.row)
        (done,) = (each for each in wanted.differences if not each.is_drift)
        audit.record(
            session,
            f"init:{table.kind}",
            by=None,
            subject_type=table.kind,
            subject_id=code,
            subject_name=code,
            before=done.before,
            after=done.after,
        )
    if declared is None:
        await session.delete(record)
    elif record is None:
        session.add(SeedRecord(kind=table.kind, code=code, applied=declared))
    elif record.applied != declared:
        record.applied, record.applied_at = declared, clock.now()


def _of_endpoints(changes: endpoints.Changes) -> list[Difference]:
    kinds = ((What.NEW, changes.added), (What.CHANGED, changes.changed), (What.GONE, changes.removed))
    return [
        *(
            Difference("endpoint", f"{route.method} {route.path}", what, {}, {"permission": route.permission})
            for what, routes in kinds
            for route in routes
        ),
        *(Difference("role", role, What.UNKNOWN, {}, {"permissions": [name]}) for role, name in changes.unknown),
    ]


# The tables


@dataclass(frozen=True, slots=True)
class _Table:
    """`drops`: whether rows that nobody touched go when they are not declared any more."""

    kind: str
    drops: bool
    declared: Callable[[Collection[str]], Iterator[tuple[str, Values]]]
    read: Callable[[AsyncSession], Awaitable[Mapping[str, Values]]]
    write: Callable[[AsyncSession, str, Values | None], Awaitable[None]]


def _declared_menu(_permissions: Collection[str]) -> Iterator[tuple[str, Values]]:
    for place, area in enumerate(panel.MENU):
        yield area.code, _item(MenuKind.AREA, area, place)
        for position, entry in enumerate(area.entries):
            yield entry.code, _item(MenuKind.ENTRY, entry, position, parent=area.code, path=entry.path)
            for number, button in enumerate(entry.buttons):
                yield button.code, _item(MenuKind.BUTTON, button, number, parent=entry.code)


def _item(
    kind: MenuKind, item: panel.Area | panel.Entry | panel.Button, position: int, *, parent: str = "", path: str = ""
) -> Values:
    return {
        "kind": kind.value,
        "parent": parent,
        "label": item.label,
        "path": path,
        "icon": item.icon,
        "position": position * STEP,
        "is_enabled": True,
    }


async def _read_menu(session: AsyncSession) -> Mapping[str, Values]:
    items = (await session.scalars(select(MenuItem))).all()
    codes: dict[UUID | None, str] = {item.id: item.code for item in items}
    return {
        item.code: {
            "kind": item.kind.value,
            "parent": codes.get(item.parent_id, ""),
            "label": item.label,
            "path": item.path,
            "icon": item.icon,
            "position": item.position,
            "is_enabled": item.is_enabled,
        }
        for item in items
    }


async def _write_menu(session: AsyncSession, code: str, values: Values | None) -> None:
    item = (await session.scalars(select(MenuItem).where(MenuItem.code == code))).one_or_none()
    if values is None:
        if item:
            await session.delete(item)
        return
    parent_id = await session.scalar(select(MenuItem.id).where(MenuItem.code == values["parent"]))
    plain = {name: value for name, value in values.items() if name != "parent"}
    item = item or MenuItem(code=code, **{**plain, "kind": MenuKind(values["kind"])})
    item.sqlmodel_update({**plain, "kind": MenuKind(values["kind"]), "parent_id": parent_id})
    session.add(item)
    await session.flush()  # what lies in it refers to it


_GRANTS = {GrantKind.PERMISSION: "permissions", GrantKind.MENU: "menus", GrantKind.BUTTON: "buttons"}


def _declared_roles(permissions: Collection[str]) -> Iterator[tuple[str, Values]]:
    for role in panel.ROLES:
        entries = [entry for area in panel.MENU for entry in area.entries if {area.code, entry.code} & set(role.menus)]
        yield (
            role.code,
            {
                "name": role.name,
                "description": role.description,
                "data_scope": role.data_scope.value,
                "filter": {},
                "is_enabled": True,
                "permissions": sorted({name for each in role.permissions for name in matching(each, permissions)}),
                "menus": sorted(entry.code for entry in entries),
                "buttons": sorted(button.code for entry in entries for button in entry.buttons),
            },
        )


def matching(pattern: str, permissions: Collection[str]) -> list[str]:
    """The permissions a pattern stands for; the name itself where nothing is called that, so that it is told."""
    return [name for name in permissions if fnmatchcase(name, pattern)] or [pattern]


async def _read_roles(session: AsyncSession) -> Mapping[str, Values]:
    granted: dict[UUID, dict[str, list[str]]] = {}
    for grant in await session.scalars(select(StaffGrant).order_by(col(StaffGrant.name))):
        granted.setdefault(grant.role_id, {}).setdefault(_GRANTS[grant.kind], []).append(grant.name)
    return {
        role.code: {
            "name": role.name,
            "description": role.description,
            "data_scope": role.data_scope.value,
            "filter": role.filter,
            "is_enabled": role.is_enabled,
            **{name: sorted(granted.get(role.id, {}).get(name, ())) for name in _GRANTS.values()},
        }
        for role in await session.scalars(select(StaffRole))
    }


async def _write_role(session: AsyncSession, code: str, values: Values | None) -> None:
    assert values is not None  # roles are never dropped: somebody may have them
    plain = {name: value for name, value in values.items() if name not in _GRANTS.values()}
    plain["data_scope"] = DataScope(plain["data_scope"])
    role = (await session.scalars(select(StaffRole).where(StaffRole.code == code))).one_or_none()
    role = role or StaffRole(code=code, name=values["name"])
    role.sqlmodel_update(plain)
    session.add(role)
    await session.flush()  # grants refer to it
    for kind, name in _GRANTS.items():
        of_kind = (col(StaffGrant.role_id) == role.id, col(StaffGrant.kind) == kind)
        granted = set(await session.scalars(select(StaffGrant.name).where(*of_kind)))
        gone = granted - set(values[name])
        await session.execute(delete(StaffGrant).where(*of_kind, col(StaffGrant.name).in_(gone)))
        session.add_all(StaffGrant(role_id=role.id, kind=kind, name=each) for each in set(values[name]) - granted)


def _declared_choices(_permissions: Collection[str]) -> Iterator[tuple[str, Values]]:
    positions: defaultdict[str, Iterator[int]] = defaultdict(lambda: itertools.count(0, STEP))
    for choice in panel.DICTIONARY:
        values = {**asdict(choice), "position": next(positions[choice.kind]), "is_enabled": True}
        yield f"{values.pop('kind')}/{values.pop('value')}", values


async def _read_choices(session: AsyncSession) -> Mapping[str, Values]:
    return {
        f"{entry.kind}/{entry.value}": {
            "label": entry.label,
            "note": entry.note,
            "position": entry.position,
            "is_enabled": entry.is_enabled,
        }
        for entry in await session.scalars(select(DictionaryEntry))
    }


async def _write_choice(session: AsyncSession, code: str, values: Values | None) -> None:
    kind, _slash, value = code.partition("/")
    this = (DictionaryEntry.kind == kind, DictionaryEntry.value == value)
    entry = (await session.scalars(select(DictionaryEntry).where(*this))).one_or_none()
    if values is None:
        if entry:
            await session.delete(entry)
        return
    entry = entry or DictionaryEntry(kind=kind, value=value, label=values["label"])
    entry.sqlmodel_update(values)
    session.add(entry)


_TABLES = (
    _Table("menu", True, _declared_menu, _read_menu, _write_menu),
    _Table("role", False, _declared_roles, _read_roles, _write_role),
    _Table("dictionary", True, _declared_choices, _read_choices, _write_choice),
)
