"""What nobody needs any more is forgotten."""

from collections.abc import Mapping
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete

from db import session_scope
from models import Challenge, GuardBan, GuardCount, IdempotencyRecord, OneTimeLink, Outbox, SessionToken, UserSession
from services import audit_log, idempotency, live, monitor
from services.core import clock
from services.core.tasks import task
from services.guard import bans
from settings import get_settings

# A refresh token that comes back after its end is still known as one that was used.
AFTERLIFE = timedelta(days=1)


@task("prune", cron="23 * * * *")
async def prune() -> str:
    """Words of the outbox nobody can ask for again, sign-ins that ran out, answers too old to be repeated."""
    now = clock.now()
    forgotten = {
        "words": _old_words(),
        "counts": delete(GuardCount).where(col(GuardCount.expires_at) < now),
        "bans": delete(GuardBan).where(col(GuardBan.until) < now - bans.MEMORY),
        "answers": delete(IdempotencyRecord).where(col(IdempotencyRecord.created_at) < now - idempotency.MEMORY),
    }
    return f"{await _forget(forgotten)}, {await clear_sessions()}, {await monitor.prune()} requests"


async def clear_sessions() -> str:
    """Sign-ins that ran out, also those that were never finished, and links that did."""
    now = clock.now()
    return await _forget(
        {
            "sessions": delete(UserSession).where(col(UserSession.expires_at) < now),
            "tokens": delete(SessionToken).where(col(SessionToken.expires_at) < now - AFTERLIFE),
            "challenges": delete(Challenge).where(col(Challenge.expires_at) < now),
            "links": delete(OneTimeLink).where(col(OneTimeLink.expires_at) < now),
        }
    )


async def _forget(forgotten: Mapping[str, sa.Delete]) -> str:
    counts = []
    for what, statement in forgotten.items():
        async with session_scope() as session:
            counts.append(f"{await _count(session, statement)} {what}")
    return ", ".join(counts)


@task("prune_audit", cron="41 4 * * *")
async def prune_audit() -> str:
    """Entries of the audit log that are older than the operator wants to keep."""
    days = get_settings().audit_days
    if not days:
        return "kept for ever"
    return f"{await audit_log.prune(timedelta(days=days))} entries"


def _old_words() -> sa.Delete:
    """All but the last of them: whoever asks for what came before it is told that it is too long ago."""
    is_old = col(Outbox.created_at) < clock.now() - live.MEMORY
    last = sa.select(sa.func.max(col(Outbox.id))).where(is_old).scalar_subquery()
    return delete(Outbox).where(is_old, col(Outbox.id) < last)


async def _count(session: AsyncSession, statement: sa.Delete) -> int:
    result: sa.CursorResult[tuple[()]] = await session.execute(statement)  # type: ignore[assignment]
    return result.rowcount
