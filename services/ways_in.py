"""How somebody can sign in: nobody may lose the last way."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import ExternalIdentity, Passkey, User
from services import passwords
from services.core.errors import Conflict
from services.core.i18n import _
from services.permissions import Account


async def lock(session: AsyncSession, account: Account) -> User:
    """The user, whose ways in nobody else changes until this transaction ends: two at once could close them all."""
    statement = select(User).where(User.id == account.user_id).with_for_update()
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


async def has_password(session: AsyncSession, account: Account) -> bool:
    kept = select(User.hashed_password).where(User.id == account.user_id)
    return (await session.scalars(kept)).one() != passwords.UNUSABLE


async def require_one(session: AsyncSession, user: User) -> None:
    """Raises `Conflict` when there is no way in (any more)."""
    if user.hashed_password != passwords.UNUSABLE:
        return
    ways = [sa.exists().where(col(table.user_id) == user.id) for table in (Passkey, ExternalIdentity)]
    if not await session.scalar(sa.select(sa.or_(*ways))):
        raise Conflict(
            _("This is the only way you can sign in. Set a password, or add another one first."), code="last_way_in"
        )
