"""Many members of a household, each with a device, and a chat for all of them.

`python -m bench.members HOUSEHOLD COUNT` lets them move in and prints how they get in, as JSON.
"""

import asyncio
import json
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import update

from db import get_database, session_scope
from models import Chat, Membership, Role, SessionToken, User
from services import sessions
from services.core import clock


async def move_in(household_id: UUID, count: int) -> dict[str, Any]:
    async with session_scope() as session:
        chat = Chat(household_id=household_id, title="The yoghurt", title_key="the yoghurt")
        session.add(chat)
        accesses = [await _add(session, household_id, number) for number in range(count)]
        # They outlive the contest.
        await session.execute(update(SessionToken).values(expires_at=clock.now() + timedelta(days=1)))
    await get_database().dispose()
    return {"chat": str(chat.id), "accesses": accesses}


async def _add(session: AsyncSession, household_id: UUID, number: int) -> str:
    user = User(email=f"m{number}@bench.example", name=f"Member {number}", hashed_password="")
    session.add(user)
    await session.flush()  # what is theirs refers to them
    session.add(Membership(household_id=household_id, user_id=user.id, role=Role.MEMBER))
    return (await sessions.start(session, user)).access


if __name__ == "__main__":
    print(json.dumps(asyncio.run(move_in(UUID(sys.argv[1]), int(sys.argv[2])))))
