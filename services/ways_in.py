"""How somebody can sign in: nobody may lose the last way."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import ExternalIdentity, Passkey, User
from services import passwords
from services.core.errors import Conflict
from services.core.i18n import _
from services.permissions import Account


async def lock(session: AsyncSession, account: Account) -> User:
    """The user, whose ways in nobody else changes until this transaction ends: two at once could close them all."""
    return await session.get_one(User, account.user_id, populate_existing=True, with_for_update=True)


async def has_password(session: AsyncSession, account: Account) -> bool:
    return (await session.get_one(User, account.user_id)).hashed_password != passwords.UNUSABLE


async def require_one(session: AsyncSession, user: User) -> None:
    """Raises `Conflict` when there is no way in (any more)."""
    if user.hashed_password != passwords.UNUSABLE:
        return
    ways = [sa.exists().where(col(table.user_id) == user.id) for table in (Passkey, ExternalIdentity)]
    if not await session.scalar(sa.select(sa.or_(*ways))):
        raise Conflict(
            _("This is the only way you can sign in. Set a password, or add another one first."), code="last_way_in"
        )
