"""Staff roles: what each grants and how far it reaches, and who of the staff has which.

Nobody gives away what they do not hold. Whoever makes, changes, removes, assigns or withdraws a role must hold all it
grants, before and after, and reach as far with it; only superusers are above that, and only they touch a superuser.
`by` is None on the command line, which may do anything.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from db import insert_new, like, unless_taken
from models import (
    DataScope,
    GrantKind,
    Household,
    MenuItem,
    MenuKind,
    StaffAssignment,
    StaffGrant,
    StaffHousehold,
    StaffRole,
    User,
)
from services import audit, reach, staff
from services.core.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from services.core.i18n import _
from services.schemas.staff_roles import RoleRow, StaffRoleCreate, StaffRoleUpdate
from services.staff import Staff

ASSIGN = "roles:assign"
ASSIGN_HOUSEHOLD = "roles:assign_household"

Grants = Mapping[GrantKind, frozenset[str]]


async def list_roles(session: AsyncSession) -> Sequence[RoleRow]:
    """All of them, by name."""
    role_id = col(StaffRole.id)
    holders = sa.select(sa.func.count()).where(col(StaffAssignment.role_id) == role_id).scalar_subquery()
    granted = sa.select(sa.func.count()).where(col(StaffGrant.role_id) == role_id).scalar_subquery()
    rows = await session.execute(sa.select(StaffRole, holders, granted).order_by(col(StaffRole.name)))
    return [
        RoleRow(role.id, role.code, role.name, role.description, role.data_scope, role.is_enabled, held, grants)
        for role, held, grants in rows
    ]


async def get_role(session: AsyncSession, role_id: UUID, *, lock: bool = False) -> StaffRole:
    """Raises `NotFound`."""
    statement = select(StaffRole).where(StaffRole.id == role_id)
    found = await session.scalars(statement.with_for_update() if lock else statement)
    role: StaffRole | None = found.one_or_none()
    if role is None:
        raise NotFound(_("There is no such role."))
    return role


async def find_role(session: AsyncSession, code: str) -> StaffRole | None:
    return (await session.scalars(select(StaffRole).where(StaffRole.code == code))).one_or_none()


async def list_grants(session: AsyncSession) -> Mapping[UUID, Grants]:
    """What each role grants, all at once."""
    found: dict[UUID, dict[GrantKind, set[str]]] = {}
    for grant in await session.scalars(select(StaffGrant)):
        found.setdefault(grant.role_id, {}).setdefault(grant.kind, set()).add(grant.name)
    return {role_id: {kind: frozenset(names.get(kind, ())) for kind in GrantKind} for role_id, names in found.items()}


async def grants_of(session: AsyncSession, role_id: UUID) -> Grants:
    granted: dict[GrantKind, set[str]] = {kind: set() for kind in GrantKind}
    for grant in await session.scalars(select(StaffGrant).where(StaffGrant.role_id == role_id)):
        granted[grant.kind].add(grant.name)
    return {kind: frozenset(names) for kind, names in granted.items()}


async def roles_of(session: AsyncSession, user_id: UUID) -> Sequence[StaffRole]:
    return (
        await session.scalars(
            select(StaffRole)
            .join(StaffAssignment, col(StaffAssignment.role_id) == col(StaffRole.id))
            .where(StaffAssignment.user_id == user_id)
            .order_by(col(StaffRole.name))
        )
    ).all()


async def holders_of(session: AsyncSession, role_id: UUID) -> Sequence[User]:
    return (
        await session.scalars(
            select(User)
            .join(StaffAssignment, col(StaffAssignment.user_id) == col(User.id))
            .where(StaffAssignment.role_id == role_id)
            .order_by(col(User.email))
        )
    ).all()


async def households_of(session: AsyncSession, user_id: UUID) -> Sequence[Household]:
    """Those that are assigned to one of the staff."""
    return (
        await session.scalars(
            select(Household)
            .join(StaffHousehold, col(StaffHousehold.household_id) == col(Household.id))
            .where(StaffHousehold.user_id == user_id)
            .order_by(col(Household.name))
        )
    ).all()


async def create(session: AsyncSession, by: Staff | None, data: StaffRoleCreate) -> StaffRole:
    """A role that grants nothing yet. Raises `InvalidInput` for a filter that says nothing, `Conflict` for a code."""
    role = StaffRole(**data.model_dump())
    role.filter = _checked_filter(role.data_scope, data.filter)
    async with unless_taken(session, Conflict(_("There is a role with this code already."), code="duplicate")):
        session.add(role)
    audit.record(session, "roles:create", by=by, subject=role, after=audit.snapshot(role))
    return role


async def edit(session: AsyncSession, by: Staff | None, role_id: UUID, data: StaffRoleUpdate) -> StaffRole:
    """Raises `PermissionDenied` when it grants more than `by` holds, with the reach it has or is to have."""
    role = await get_role(session, role_id, lock=True)
    await _require_holding_all(session, by, role)
    before = audit.snapshot(role)
    role.sqlmodel_update({name: value for name, value in data.model_dump().items() if value is not None})
    role.filter = _checked_filter(role.data_scope, role.filter)
    await _require_holding_all(session, by, role)
    audit.record(session, "roles:edit", by=by, subject=role, before=before, after=audit.snapshot(role))
    return role


async def remove(session: AsyncSession, by: Staff | None, role_id: UUID) -> None:
    """Whoever has it loses what it grants."""
    role = await get_role(session, role_id, lock=True)
    granted = await _require_holding_all(session, by, role)
    holders = [holder.email for holder in await holders_of(session, role_id)]
    before = {**audit.snapshot(role), **_listed(granted), "holders": holders}
    audit.record(session, "roles:delete", by=by, subject=role, before=before)
    await session.delete(role)


async def set_grants(
    session: AsyncSession,
    by: Staff | None,
    role_id: UUID,
    kind: GrantKind,
    names: Collection[str],
    *,
    known: Collection[str] = (),
) -> None:
    """Let a role grant exactly these of a kind. `known`: the permissions there are (`endpoints.Registry`).

    Raises `InvalidInput` for what there is not, `PermissionDenied` for what `by` does not hold.
    """
    role = await get_role(session, role_id, lock=True)
    granted = await _require_holding_all(session, by, role)
    wanted = frozenset(names)
    added, removed = wanted - granted[kind], granted[kind] - wanted
    if not (added or removed):
        return

    await _require_known(session, kind, added, known)
    _require_holding(by, role, {kind: added})
    await session.execute(
        delete(StaffGrant).where(
            col(StaffGrant.role_id) == role_id, col(StaffGrant.kind) == kind, col(StaffGrant.name).in_(removed)
        )
    )
    session.add_all(StaffGrant(role_id=role_id, kind=kind, name=name) for name in added)
    await session.flush()
    audit.record(
        session,
        "roles:grant",
        by=by,
        subject=role,
        before=_listed({kind: removed}),
        after=_listed({kind: added}),
    )


async def change_grants(
    session: AsyncSession,
    by: Staff | None,
    role_id: UUID,
    kind: GrantKind,
    *,
    add: Collection[str] = (),
    remove: Collection[str] = (),
    known: Collection[str] = (),
) -> None:
    """Let a role grant some more, and others no more. See `set_grants`."""
    await get_role(session, role_id, lock=True)
    granted = (await grants_of(session, role_id))[kind]
    await set_grants(session, by, role_id, kind, (granted | set(add)) - set(remove), known=known)


async def assign(session: AsyncSession, by: Staff | None, user_id: UUID, role_id: UUID) -> None:
    """Give somebody a role; again changes nothing."""
    role = await get_role(session, role_id, lock=True)
    user = await _get_user(session, by, user_id, ASSIGN)
    granted = await _require_holding_all(session, by, role)
    if role.data_scope is DataScope.HOUSEHOLDS:
        theirs = sa.select(col(StaffHousehold.household_id)).where(col(StaffHousehold.user_id) == user_id)
        await _require_reaching(session, by, granted[GrantKind.PERMISSION], col(Household.id).in_(theirs))
    made = await session.execute(
        insert_new(session, StaffAssignment)
        .values(user_id=user_id, role_id=role_id)
        .returning(col(StaffAssignment.role_id))
    )
    if made.first():
        audit.record(session, ASSIGN, by=by, subject=user, after={"role": role.code})


async def withdraw(session: AsyncSession, by: Staff | None, user_id: UUID, role_id: UUID) -> None:
    role = await get_role(session, role_id, lock=True)
    user = await _get_user(session, by, user_id, ASSIGN)
    await _require_holding_all(session, by, role)
    ended = await session.execute(
        delete(StaffAssignment)
        .where(col(StaffAssignment.user_id) == user_id, col(StaffAssignment.role_id) == role_id)
        .returning(col(StaffAssignment.role_id))
    )
    if ended.first():
        audit.record(session, "roles:withdraw", by=by, subject=user, before={"role": role.code})


async def set_roles(session: AsyncSession, by: Staff | None, user_id: UUID, role_ids: Collection[str]) -> None:
    """Let somebody have exactly these roles. Those they have already, or never had, need not be `by`'s to give."""
    wanted = {_id(role_id) for role_id in role_ids}
    held = {role.id for role in await roles_of(session, user_id)}
    for role_id in sorted(wanted - held):
        await assign(session, by, user_id, role_id)
    for role_id in sorted(held - wanted):
        await withdraw(session, by, user_id, role_id)


async def set_households(
    session: AsyncSession, by: Staff | None, user_id: UUID, *, add: Collection[str], keep: Collection[str]
) -> None:
    """Assign households to somebody, and of those they have keep only these."""
    held = {household.id for household in await households_of(session, user_id)}
    added = {_id(household_id) for household_id in add}
    for household_id in sorted(added - held):
        await assign_household(session, by, user_id, household_id)
    for household_id in sorted(held - added - {_id(household_id) for household_id in keep}):
        await withdraw_household(session, by, user_id, household_id)


async def get_holder(session: AsyncSession, by: Staff, user_id: UUID) -> User:
    """Somebody whose roles they may see. Raises `NotFound`."""
    statement = select(User).where(User.id == user_id, by.reach("roles:holder").rows(User))
    user: User | None = (await session.scalars(statement)).one_or_none()
    if user is None:
        raise NotFound(_("There is no such user."))
    return user


async def find_households(session: AsyncSession, by: Staff, user_id: UUID, query: str) -> Sequence[Household]:
    """Some that could be assigned to somebody, by name."""
    theirs = sa.exists().where(
        col(StaffHousehold.user_id) == user_id, col(StaffHousehold.household_id) == col(Household.id)
    )
    statement = select(Household).where(by.reach(ASSIGN_HOUSEHOLD).rows(Household), ~theirs)
    named = statement.where(col(Household.name).ilike(like(query), escape="\\"))
    return (await session.scalars(named.order_by(col(Household.name)).limit(20))).all()


async def assign_household(session: AsyncSession, by: Staff | None, user_id: UUID, household_id: UUID) -> None:
    """Let the scope `households` of somebody's roles reach one more, which `by` must reach with all they grant."""
    user = await _get_user(session, by, user_id, ASSIGN_HOUSEHOLD)
    household = await _get_household(session, by, household_id)
    gained = await session.scalars(
        sa.select(col(StaffGrant.name))
        .join(StaffRole, col(StaffRole.id) == col(StaffGrant.role_id))
        .join(StaffAssignment, col(StaffAssignment.role_id) == col(StaffRole.id))
        .where(col(StaffAssignment.user_id) == user_id, col(StaffRole.data_scope) == DataScope.HOUSEHOLDS)
        .where(col(StaffGrant.kind) == GrantKind.PERMISSION)
    )
    await _require_reaching(session, by, gained.all(), col(Household.id) == household_id)
    made = await session.execute(
        insert_new(session, StaffHousehold)
        .values(user_id=user_id, household_id=household_id)
        .returning(col(StaffHousehold.household_id))
    )
    if made.first():
        audit.record(session, ASSIGN_HOUSEHOLD, by=by, subject=user, after={"household": household.name})


async def withdraw_household(session: AsyncSession, by: Staff | None, user_id: UUID, household_id: UUID) -> None:
    user = await _get_user(session, by, user_id, ASSIGN_HOUSEHOLD)
    household = await _get_household(session, by, household_id)
    ended = await session.execute(
        delete(StaffHousehold)
        .where(col(StaffHousehold.user_id) == user_id, col(StaffHousehold.household_id) == household_id)
        .returning(col(StaffHousehold.household_id))
    )
    if ended.first():
        audit.record(session, "roles:withdraw_household", by=by, subject=user, before={"household": household.name})


async def _get_user(session: AsyncSession, by: Staff | None, user_id: UUID, permission: str) -> User:
    """Somebody whose roles `by` may change. Raises `NotFound` and `PermissionDenied`."""
    statement = select(User).where(User.id == user_id).with_for_update()
    if by is not None:
        statement = statement.where(by.reach(permission).rows(User))
    user: User | None = (await session.scalars(statement.execution_options(populate_existing=True))).one_or_none()
    if user is None:
        raise NotFound(_("There is no such user."))
    staff.require_above(by, user)
    return user


async def _get_household(session: AsyncSession, by: Staff | None, household_id: UUID) -> Household:
    statement = select(Household).where(Household.id == household_id)
    if by is not None:
        statement = statement.where(by.reach(ASSIGN_HOUSEHOLD).rows(Household))
    household: Household | None = (await session.scalars(statement)).one_or_none()
    if household is None:
        raise NotFound(_("There is no such household."))
    return household


async def _require_reaching(
    session: AsyncSession, by: Staff | None, permissions: Iterable[str], households: sa.ColumnElement[bool]
) -> None:
    """Whoever lets somebody reach these households with these permissions must do so too."""
    if by is None or by.is_superuser:
        return
    for mine in {by.reach(name) for name in permissions}:
        beyond = sa.exists().where(households, sa.not_(mine.rows(Household)))
        if await session.scalar(sa.select(beyond)):
            raise PermissionDenied(_("This would reach households that you do not reach."), code="escalation")


async def require_holding_theirs(session: AsyncSession, by: Staff, user_id: UUID) -> None:
    """Before acting for somebody of the staff: they may do nothing that `by` may not. Raises `PermissionDenied`."""
    for role in await roles_of(session, user_id):
        await _require_holding_all(session, by, role)


async def _require_holding_all(session: AsyncSession, by: Staff | None, role: StaffRole) -> Grants:
    granted = await grants_of(session, role.id)
    _require_holding(by, role, granted)
    return granted


def holds(by: Staff | None, role: StaffRole, kind: GrantKind, name: str) -> bool:
    """Whether they hold this themselves, as far as the role reaches: whether they may let the role grant it."""
    if by is None or by.is_superuser:
        return True
    if kind is GrantKind.PERMISSION:
        return reach.covers(by.reach(name), role.data_scope, role.filter)
    return by.sees(name) if kind is GrantKind.MENU else by.has_button(name)


def _require_holding(by: Staff | None, role: StaffRole, granted: Grants) -> None:
    lacking = sorted(name for kind, names in granted.items() for name in names if not holds(by, role, kind, name))
    if lacking:
        message = _("You cannot give or take what you do not hold, or not as far: {names}.")
        raise PermissionDenied(message.format(names=", ".join(lacking[:5])), code="escalation")


async def _require_known(
    session: AsyncSession, kind: GrantKind, names: Collection[str], known: Collection[str]
) -> None:
    if kind is not GrantKind.PERMISSION:
        wanted = MenuKind.BUTTON if kind is GrantKind.BUTTON else MenuKind.ENTRY
        known = (await session.scalars(select(MenuItem.code).where(MenuItem.kind == wanted))).all()
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise InvalidInput({"names": _("There is nothing called {names}.").format(names=", ".join(unknown[:5]))})


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(_("There is nothing with this id.")) from error


def _checked_filter(scope: DataScope, chosen: Mapping[str, Any]) -> dict[str, Any]:
    if scope is not DataScope.CUSTOM:
        return {}
    reach.parse_filter(chosen)
    return dict(chosen)


def _listed(granted: Mapping[GrantKind, Iterable[str]]) -> dict[str, list[str]]:
    return {f"{kind}s": sorted(names) for kind, names in granted.items() if names}
