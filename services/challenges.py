"""What was asked of somebody who signs in or sets something up, and waits for its answer."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

from models import Challenge, ChallengeKind
from services.core import clock
from services.core.ids import hash_token, new_token

LIFETIME = timedelta(minutes=10)
MAX_ATTEMPTS = 5


async def ask(session: AsyncSession, kind: ChallengeKind, *, user_id: UUID | None = None, **data: Any) -> str:
    """Remember what was asked; the token to answer it with."""
    token = new_token()
    session.add(
        Challenge(
            token_hash=hash_token(token), kind=kind, user_id=user_id, data=data, expires_at=clock.now() + LIFETIME
        )
    )
    await session.flush()
    return token


async def find(session: AsyncSession, kind: ChallengeKind, token: str) -> Challenge | None:
    """What was asked and is not over."""
    is_open = select(Challenge).where(
        Challenge.token_hash == hash_token(token), Challenge.kind == kind, col(Challenge.expires_at) > clock.now()
    )
    return (await session.scalars(is_open)).one_or_none()


async def attempt(session: AsyncSession, kind: ChallengeKind, token: str) -> Challenge | None:
    """Count one try at answering, before it is looked at: commit that, whatever comes of the try.

    None when it is over: answered, too old, or tried too often.
    """
    counted = await session.execute(
        update(Challenge)
        .where(col(Challenge.token_hash) == hash_token(token), col(Challenge.kind) == kind)
        .where(col(Challenge.expires_at) > clock.now(), col(Challenge.attempts) < MAX_ATTEMPTS)
        .values(attempts=col(Challenge.attempts) + 1)
        .returning(Challenge)
    )
    return counted.scalar_one_or_none()


async def take(session: AsyncSession, kind: ChallengeKind, token: str) -> Challenge | None:
    """Answer it: of all who do, the first. None for the others, and when it is over."""
    taken = await session.execute(
        delete(Challenge)
        .where(col(Challenge.token_hash) == hash_token(token), col(Challenge.kind) == kind)
        .where(col(Challenge.expires_at) > clock.now())
        .returning(Challenge)
    )
    return taken.scalar_one_or_none()
