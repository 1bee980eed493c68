"""State machines: which states a row may go to, and moving it there without overtaking anybody."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import class_mapper
from sqlmodel import SQLModel

from services.core.errors import Conflict, NotFound
from services.core.i18n import _

State = TypeVar("State", bound=StrEnum)


async def move(
    session: AsyncSession,
    model: type[SQLModel],
    row_id: Any,
    field: str,
    to: State,
    *,
    allowed: Mapping[State, Collection[State]],
    **values: Any,
) -> State:
    """Move a row from its state to another one, and set other `values` with it; the state it was in.

    `allowed` says where each state leads to. Of several who move a row at once, one does. Raises `NotFound`, and
    `Conflict` where no way leads, or somebody else was quicker.
    """
    (key,) = class_mapper(model).primary_key
    column = class_mapper(model).columns[field]
    before: State | None = await session.scalar(sa.select(column).where(key == row_id))
    if before is None:
        raise NotFound(_("There is nothing like that."))
    if to not in allowed.get(before, ()):
        raise Conflict(_("That cannot be done to it as it is now."), code="wrong_state")

    moved = await session.execute(
        sa.update(model).where(key == row_id, column == before).values({field: to, **values}).returning(key)
    )
    if moved.first() is None:
        raise Conflict(_("Somebody changed this at the same moment. Please look again."), code="overtaken")
    return before
