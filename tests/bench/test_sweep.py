"""What the sweep is measured on is still what the tables take."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bench import sweep
from db import is_postgresql
from models import Household, Lot


async def test_households_are_furnished_with_lots(session: AsyncSession) -> None:
    if not is_postgresql(session):
        pytest.skip("needs PostgreSQL")

    for statement in sweep.furnishings(10):
        await session.execute(sa.text(statement))

    elm_street = sa.select(col(Household.id)).where(col(Household.name).like("Elm Street %"))
    lots = sa.select(sa.func.count()).where(col(Lot.household_id).in_(elm_street))
    assert (await session.execute(lots)).scalar_one() == 10 * sweep.LOTS_EACH
