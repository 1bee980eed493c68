"""Who people are, by their ids: a name and a picture."""

from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Avatar, User
from services.core import file_urls
from services.schemas.names import Person

__all__ = ["Person", "find_people", "person"]


async def find_people(session: AsyncSession, ids: Iterable[UUID | None]) -> dict[UUID, Person]:
    """Those that there are, whoever asks: for ids that were read from what one may see.

    Look up with `get`: a former member, whose account is gone, is None.
    """
    wanted = {each for each in ids if each is not None}
    rows = await session.execute(
        sa.select(col(User.id), col(User.name), col(Avatar.file_id))
        .outerjoin(Avatar, col(Avatar.user_id) == col(User.id))
        .where(col(User.id).in_(wanted))
    )
    return {user_id: person(user_id, name, file_id) for user_id, name, file_id in rows}


def person(user_id: UUID, name: str, picture_id: UUID | None) -> Person:
    return Person(id=user_id, name=name, avatar_url=file_urls.address(picture_id, "small") if picture_id else None)
