"""The app's own endpoints, kept in a table as the app has them, and switched off by staff.

An endpoint that is switched off refuses everybody. Each process looks at most a second ago; where something was
switched, at once. Without the database nothing is let through, but what it cannot close: the panel, signing in and
out, choosing a password, and health.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

import db
from models import Endpoint, GrantKind, StaffGrant, StaffRole
from services import audit
from services.core.errors import Conflict, NotFound
from services.core.i18n import _
from services.staff import Staff

MAX_AGE = 1.0
LOCK = 0x1A4DE8
PANEL = "/admin"
PROTECTED_AREAS = ("auth:", "health:", "static:")
PROTECTED = frozenset({"account:password"})
# Of those areas, what an instance can do without.
NOT_PROTECTED = frozenset({"auth:register"})

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Permission:
    """Something a staff role can grant: `area` is what it belongs to, such as a table of the panel."""

    name: str
    label: str
    area: str


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path of the app."""

    method: str
    path: str
    permission: str
    summary: str = ""

    @property
    def key(self) -> Key:
        return self.method, self.path

    @property
    def is_protected(self) -> bool:
        return is_protected(self.path, self.permission)


@dataclass(frozen=True, slots=True)
class Registry:
    """What there is: read from the app when it is made, at `app.state.registry`."""

    routes: Sequence[Route]
    permissions: Mapping[str, Permission]


@dataclass(frozen=True, slots=True)
class Changes:
    """What `sync` did, or would do; `unknown` are names that roles grant and nothing has."""

    added: list[Route] = field(default_factory=list)
    changed: list[Route] = field(default_factory=list)
    removed: list[Route] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def is_protected(path: str, permission: str) -> bool:
    """Whether it can never be switched off."""
    if path == PANEL or path.startswith(f"{PANEL}/"):
        return True
    return permission in PROTECTED or (permission.startswith(PROTECTED_AREAS) and permission not in NOT_PROTECTED)


async def sync(session: AsyncSession, registry: Registry, *, dry_run: bool = False) -> Changes:
    """Make the table what the app is. What staff switched off stays so, and no grant is touched."""
    await db.take_turns(session, LOCK)
    known = {(row.method, row.path): row for row in await session.scalars(select(Endpoint))}
    found = {route.key: route for route in registry.routes}
    changes = Changes(unknown=await unknown_grants(session, registry.permissions))
    for key, route in found.items():
        row = known.get(key)
        if row is None:
            changes.added.append(route)
        elif (row.permission, row.summary) != (route.permission, route.summary):
            changes.changed.append(route)
            if not dry_run:
                row.permission, row.summary = route.permission, route.summary
    changes.removed.extend(
        Route(row.method, row.path, row.permission, row.summary) for key, row in known.items() if key not in found
    )
    if not dry_run:
        session.add_all(
            Endpoint(method=route.method, path=route.path, permission=route.permission, summary=route.summary)
            for route in changes.added
        )
        gone = [row.id for key, row in known.items() if key not in found]
        await session.execute(delete(Endpoint).where(col(Endpoint.id).in_(gone)))
        await session.flush()
    return changes


async def unknown_grants(session: AsyncSession, permissions: Collection[str]) -> list[tuple[str, str]]:
    """Permissions that roles grant and nothing in the app asks for, with the code of the role."""
    granted = await session.execute(
        select(StaffRole.code, StaffGrant.name)
        .join(StaffGrant, col(StaffGrant.role_id) == col(StaffRole.id))
        .where(StaffGrant.kind == GrantKind.PERMISSION)
        .order_by(StaffRole.code, StaffGrant.name)
    )
    return [(role, name) for role, name in granted.tuples() if name not in permissions]


async def list_endpoints(session: AsyncSession) -> Sequence[Endpoint]:
    return (await session.scalars(select(Endpoint).order_by(Endpoint.path, Endpoint.method))).all()


async def switch(session: AsyncSession, by: Staff | None, method: str, path: str, *, on: bool) -> Endpoint:
    """Switch an endpoint off, or on again. Raises `NotFound`, `Conflict` for one that must stay."""
    statement = select(Endpoint).where(Endpoint.method == method.upper(), Endpoint.path == path).with_for_update()
    endpoint: Endpoint | None = (await session.scalars(statement)).one_or_none()
    if endpoint is None:
        raise NotFound(_("There is no such endpoint."))
    if not on and is_protected(endpoint.path, endpoint.permission):
        raise Conflict(_("This one cannot be switched off."), code="protected")
    if endpoint.is_enabled is not on:
        endpoint.is_enabled = on
        before, after = {"is_enabled": not on}, {"is_enabled": on}
        audit.record(session, "endpoints:switch", by=by, subject=endpoint, before=before, after=after)
        db.after_commit(session, forget)
    return endpoint


class _Switches:
    """What is switched off, as one database has it."""

    def __init__(self, database: db.Database) -> None:
        self.database = database
        self.off: frozenset[Key] = frozenset()
        self.read_at = float("-inf")
        self.reading: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """Once for all who wait for it, and in a context of its own: it belongs to no request."""
        if self.reading is None:
            self.reading = asyncio.create_task(self._read(), context=Context())
        await asyncio.shield(self.reading)

    async def _read(self) -> None:
        began = time.monotonic()
        try:
            async with self.database.session_scope(read_only=True) as session:
                rows = await session.execute(
                    select(Endpoint.method, Endpoint.path).where(col(Endpoint.is_enabled).is_(False))
                )
                self.off = frozenset(rows.tuples().all())
            self.read_at = began
        finally:
            self.reading = None


_switches: _Switches | None = None


async def is_switched_off(method: str, path: str) -> bool:
    global _switches
    database = db.get_database()
    switches = _switches
    if switches is None or switches.database is not database:
        switches = _switches = _Switches(database)
    if time.monotonic() - switches.read_at > MAX_AGE:
        await switches.read()
    return (method, path) in switches.off


def forget() -> None:
    """Look again at the next request: something was switched."""
    global _switches
    _switches = None
