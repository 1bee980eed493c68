"""Deleting one's own account, for good. What one said and booked in the households of others stays, without a name."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from models import Avatar, Household, Membership, Role
from services import accounts, audit, files, households, sessions
from services.core.errors import Conflict, InvalidInput
from services.core.i18n import _
from services.core.text import fold_email
from services.permissions import Account


@dataclass(frozen=True, slots=True)
class Homes:
    """`to_hand_over` are those one owns with others in them; `to_delete` those one is alone in; `to_leave` the rest."""

    to_hand_over: Sequence[Household]
    to_delete: Sequence[Household]
    to_leave: Sequence[Household]


async def list_homes(session: AsyncSession, account: Account) -> Homes:
    """One's households, by what has to become of them first, or becomes of them."""
    other = aliased(Membership)
    others = sa.exists().where(col(other.household_id) == col(Household.id), col(other.user_id) != account.user_id)
    rows = await session.execute(
        sa.select(Household, col(Membership.role), others)
        .join(Membership)
        .where(col(Membership.user_id) == account.user_id)
        .order_by(col(Household.name), col(Household.id))
    )
    found = rows.tuples().all()
    return Homes(
        to_hand_over=[home for home, role, is_shared in found if is_shared and role is Role.OWNER],
        to_delete=[home for home, _role, is_shared in found if not is_shared],
        to_leave=[home for home, role, is_shared in found if is_shared and role is not Role.OWNER],
    )


async def delete_by_password(session: AsyncSession, account: Account, password: str) -> None:
    """Raises `InvalidInput` for a wrong password, and what `_delete` does."""
    await accounts.require_password(session, account, password)
    await _delete(session, account)


async def delete_by_email(session: AsyncSession, account: Account, email: str) -> None:
    """For somebody who has just shown who they are. `email` must repeat their address."""
    await sessions.require_confirmed(session, account)
    if fold_email(email) != account.email:
        raise InvalidInput({"email": _("Type your e-mail address to delete your account.")})
    await _delete(session, account)


async def _delete(session: AsyncSession, account: Account) -> None:
    """Raises `Conflict` while one owns a household with others in it, and for the last superuser."""
    await _lock_homes(session, account)
    homes = await list_homes(session, account)
    if homes.to_hand_over:
        names = ", ".join(home.name for home in homes.to_hand_over)
        raise Conflict(_("Hand these over to somebody first: {names}.").format(names=names), code="owns_households")

    for home in homes.to_leave:
        await _leave(session, account, home)
    for home in homes.to_delete:
        await households.erase(session, home, by=account)
    pictures = await session.scalars(select(Avatar.file_id).where(Avatar.user_id == account.user_id))
    await files.release(session, pictures.all())
    await accounts.delete_own(session, account)


async def _leave(session: AsyncSession, account: Account, home: Household) -> None:
    mine = select(Membership).where(Membership.user_id == account.user_id, Membership.household_id == home.id)
    membership = (await session.scalars(mine)).one()
    before = {"role": membership.role}
    audit.record(session, "members:remove", by=account, subject=membership, subject_name=account.name, before=before)
    await households.end_membership(session, membership)


async def _lock_homes(session: AsyncSession, account: Account) -> None:
    """Nobody joins, leaves or becomes the owner of one meanwhile."""
    mine = select(Membership.household_id).where(Membership.user_id == account.user_id)
    await session.scalars(
        select(Household.id).where(col(Household.id).in_(mine)).order_by(col(Household.id)).with_for_update()
    )
