"""One's own account. Making accounts and checking passwords is in `auth`, with fastapi-users."""

from sqlalchemy.ext.asyncio import AsyncSession

from models import User
from services.permissions import Account
from services.schemas.accounts import UserRead, UserUpdate


async def get_user(session: AsyncSession, account: Account) -> User:
    return await session.get_one(User, account.user_id)


async def edit_profile(session: AsyncSession, account: Account, data: UserUpdate) -> UserRead:
    user = await get_user(session, account)
    given = data.model_dump(exclude_unset=True)
    user.sqlmodel_update({name: value for name, value in given.items() if value is not None or name == "locale"})
    return UserRead.model_validate(user)
