"""Limits that must hold exactly: counted in the database, which all processes share, each in a transaction of its own.

What they limit writes to the database anyway, so when that cannot be written, nobody gets past them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from db import is_postgresql, session_scope
from models import GuardCount, User, UserSession
from services.core import clock, origin, text
from services.guard import bans, keys, limits
from services.guard.limits import SIGN_IN, Limit
from settings import get_settings

_Before = aliased(GuardCount)


async def spend(limit: Limit, *, address: str = "", account: str = "") -> None:
    """Count once more, for the key of an address, the e-mail of an account, or both.

    Raises `LimitExceeded`. Opens a session of its own: not for within one that has written.
    """
    if not get_settings().guard_enabled:
        return
    pairs = [(address, limits.of_address(limit))] if address else []
    pairs += [(keys.of_account(account), limits.of_account(limit))] if account else []
    seconds = 0
    async with session_scope() as session:
        for key, allowed in pairs:
            seconds = max(seconds, await _count(session, limit, key, allowed))
    if seconds:
        raise limits.exceeded(seconds)


async def spend_within(session: AsyncSession, limit: Limit, key: str) -> None:
    """Count once more, in the transaction of what is limited: so what was refused, or failed, does not count.

    Whoever has the same key waits until that is over. Raises `LimitExceeded`.
    """
    if not get_settings().guard_enabled:
        return
    seconds = await _count(session, limit, key, limits.of_account(limit))
    if seconds:
        raise limits.exceeded(seconds)


@asynccontextmanager
async def attempt(limit: Limit, account: str) -> AsyncIterator[None]:
    """Try what may fail, such as a password for the e-mail `account`: what succeeds is not counted.

    It counts first and takes back afterwards, so that many at once are not more than one after the other. Raises
    `LimitExceeded`, for an e-mail nobody has as for any other. Whoever is where the account is signed in already has
    tries of their own: others' failures cannot lock them out.
    """
    if not get_settings().guard_enabled:
        yield
        return
    window = limits.window_at(limit)
    key, allowed = keys.of_account(account), limits.of_account(limit)
    async with session_scope() as session:
        seconds = await bans.seconds_left(session, key)
        if not seconds:
            seconds = await _count(session, limit, key, allowed)
            if seconds and limit is SIGN_IN and await _is_at_home(session, account):
                key = f"{key}@{keys.of_address(origin.current().ip_address)}"
                seconds = await _count(session, limit, key, allowed)
    if seconds:
        raise limits.exceeded(seconds)
    yield
    async with session_scope() as session:
        await session.execute(
            sa.update(GuardCount)
            .where(col(GuardCount.key) == _named(limit, key), col(GuardCount.window_at) == window)
            .values(hits=col(GuardCount.hits) - 1)
        )


async def add(
    session: AsyncSession, key: str, window: datetime, seconds: int, hits: int = 1, *, at_most: int | None = None
) -> tuple[int, int]:
    """Add to a count, in one statement; how often it was in this window, and in the one before."""
    dialect = postgresql if is_postgresql(session) else sqlite
    new = dialect.insert(GuardCount).values(
        key=key, window_at=window, hits=hits, expires_at=window + timedelta(seconds=2 * seconds)
    )
    more = col(GuardCount.hits) + hits
    before = (
        sa.select(col(_Before.hits))
        .where(col(_Before.key) == key, col(_Before.window_at) == window - timedelta(seconds=seconds))
        .scalar_subquery()
    )
    counted = await session.execute(
        new.on_conflict_do_update(
            index_elements=["key", "window_at"],
            # Whoever goes on while being refused is not kept out for longer than whoever waits.
            set_={
                "hits": more
                if at_most is None
                else sa.case((col(GuardCount.hits) >= at_most, col(GuardCount.hits)), else_=more)
            },
        ).returning(col(GuardCount.hits), sa.func.coalesce(before, 0))
    )
    hits_now, hits_before = counted.one()
    return hits_now, hits_before


async def forget(session: AsyncSession, key: str) -> None:
    await session.execute(sa.delete(GuardCount).where(col(GuardCount.key) == key))


async def _count(session: AsyncSession, limit: Limit, key: str, allowed: int) -> int:
    """Count once more; how many seconds that was too early."""
    now = clock.now()
    window = limits.window_at(limit)
    current, before = await add(session, _named(limit, key), window, limit.seconds, at_most=allowed + 1)
    share = (now - window).total_seconds() / limit.seconds
    if limits.weigh(current, before, share) <= allowed:
        return 0
    return limits.wait(limit, allowed, current, before)


def _named(limit: Limit, key: str) -> str:
    return f"{limit.name}:{key}"


async def _is_at_home(session: AsyncSession, email: str) -> bool:
    """Whether the account is signed in from where this request comes from."""
    here = keys.of_address(origin.current().ip_address)
    addresses = await session.scalars(
        sa.select(col(UserSession.ip_address))
        .join(User, col(User.id) == col(UserSession.user_id))
        .where(col(User.email) == text.fold_email(email), col(UserSession.impersonator_id).is_(None))
        .where(col(UserSession.expires_at) > clock.now(), col(UserSession.ip_address) != "")
        .distinct()
    )
    return any(keys.of_address(address) == here for address in addresses)
