"""The staff: who they are, what their roles let them do and see, and of whose data.

Read anew at each request, so that what is taken away is gone at once. Nothing is allowed that no role grants; the
superusers, who need no role, are above that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import DataScope, GrantKind, Household, StaffAssignment, StaffGrant, StaffRole, User
from services import reach
from services.core.errors import PermissionDenied
from services.core.i18n import _
from services.permissions import Account, Actor
from services.reach import Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff(Account):
    """Someone of the staff who is signed in. `time_zone`: of the household their device shows."""

    time_zone: str = "UTC"
    reaches: Mapping[str, Reach] = field(default_factory=dict)
    menus: frozenset[str] = frozenset()
    buttons: frozenset[str] = frozenset()

    def can(self, permission: str) -> bool:
        return self.is_superuser or permission in self.reaches

    def sees(self, menu: str) -> bool:
        return self.is_superuser or menu in self.menus

    def has_button(self, code: str) -> bool:
        return self.is_superuser or code in self.buttons

    def reach(self, permission: str) -> Reach:
        """Which rows the permission is good for."""
        if self.is_superuser:
            return reach.everything(self.user_id)
        return self.reaches.get(permission) or reach.nothing(self.user_id)


def require(staff: Staff, permission: str) -> None:
    """Raises `PermissionDenied` when no role of theirs grants it."""
    if not staff.can(permission):
        raise PermissionDenied(_("Your staff roles do not allow that."))


def require_above(staff: Staff | None, user: User) -> None:
    """Before anything is done to somebody's account: nobody touches a superuser but a superuser.

    `staff` is None on the command line. Raises `PermissionDenied`.
    """
    if user.is_superuser and staff is not None and not staff.is_superuser:
        raise PermissionDenied(_("Only superusers do that to a superuser."))


async def load(session: AsyncSession, account: Account) -> Staff | None:
    """The account as staff; None for somebody who has no role. Nobody is staff while they act as somebody else."""
    if not account.is_staff or account.impersonator_id is not None or account.scopes is not None:
        return None
    granted = await _granted(session, account)
    return Staff(
        **_who(account),
        time_zone=account.time_zone if isinstance(account, Actor) else "UTC",
        reaches=granted[GrantKind.PERMISSION],
        menus=frozenset(granted[GrantKind.MENU]),
        buttons=frozenset(granted[GrantKind.BUTTON]),
    )


async def find_actor(session: AsyncSession, account: Account, household_id: UUID, permission: str) -> Actor | None:
    """One of the staff in a household they do not belong to; None unless a role grants the permission, and reaches it.

    To be a superuser is not enough: who looks into a kitchen does so by a role that says so, or as a member of it.
    """
    staff = await load(session, account)
    if staff is None or permission not in staff.reaches:
        return None
    mine = staff.reaches[permission]
    reached = mine.rows(Household)
    household = (await session.scalars(select(Household).where(Household.id == household_id, reached))).one_or_none()
    if household is None:
        return None
    return Actor(
        **_who(account),
        household_id=household.id,
        household_name=household.name,
        role=None,
        # Those that reach as far: what is asked for on the way has not been looked up by itself.
        staff_permissions=frozenset(name for name, other in staff.reaches.items() if other == mine),
        time_zone=household.time_zone,
        currency=household.currency,
        soon_days=household.soon_days,
    )


def _who(account: Account) -> dict[str, Any]:
    return {name: getattr(account, name) for name in Account.__dataclass_fields__}


async def _granted(session: AsyncSession, account: Account) -> dict[GrantKind, dict[str, Reach]]:
    """What the enabled roles grant, and how far each reaches."""
    rows = await session.execute(
        sa.select(col(StaffGrant.kind), col(StaffGrant.name), col(StaffRole.data_scope), col(StaffRole.filter))
        .join(StaffRole, col(StaffRole.id) == col(StaffGrant.role_id))
        .join(StaffAssignment, col(StaffAssignment.role_id) == col(StaffRole.id))
        .where(col(StaffAssignment.user_id) == account.user_id, col(StaffRole.is_enabled))
    )
    scopes: dict[GrantKind, dict[str, list[tuple[DataScope, Mapping[str, Any]]]]] = {kind: {} for kind in GrantKind}
    for kind, name, scope, chosen in rows.tuples():
        scopes[kind].setdefault(name, []).append((scope, chosen))
    return {
        kind: {name: reach.combine(account.user_id, found) for name, found in names.items()}
        for kind, names in scopes.items()
    }
