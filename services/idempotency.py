"""Answering a repeated request with its first answer.

The claim and the answer are written in the transaction of the request itself: what failed was never asked, and of two
that race, the second waits for the first and then repeats it.
"""

from datetime import timedelta
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

from db import insert_new
from models import IdempotencyRecord
from services.core import clock
from services.core.errors import Conflict, InvalidInput
from services.core.i18n import _
from services.permissions import Account

MAX_KEY_LENGTH = 200
MEMORY = timedelta(days=8)  # a day longer than an action link is good for, wherever on earth that began


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What tells one request from another that wrongly uses the same key."""
    return sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()


async def claim(session: AsyncSession, account: Account, key: str, request: str) -> IdempotencyRecord | None:
    """Take a key for this request, or get the answer that was given under it before.

    Raises `InvalidInput` for a key that cannot be one, and `Conflict` when it was used for another request.
    """
    if not (key.isprintable() and key.isascii() and 0 < len(key) <= MAX_KEY_LENGTH):
        raise InvalidInput({"Idempotency-Key": _("Use 1 to {count} plain characters.").format(count=MAX_KEY_LENGTH)})
    now = clock.now()
    await session.execute(
        delete(IdempotencyRecord).where(*_mine(account, key), col(IdempotencyRecord.created_at) < now - MEMORY)
    )
    taken = await session.execute(
        insert_new(session, IdempotencyRecord)
        .values(
            user_id=account.user_id, key=key, fingerprint=request, status_code=0, headers={}, body=b"", created_at=now
        )
        .returning(col(IdempotencyRecord.key))
    )
    if taken.first() is not None:
        return None
    record: IdempotencyRecord = (await session.scalars(select(IdempotencyRecord).where(*_mine(account, key)))).one()
    if record.fingerprint != request:
        raise Conflict(_("This Idempotency-Key was used for another request."), code="idempotency_key_reused")
    return record


async def remember(
    session: AsyncSession, account: Account, key: str, *, status_code: int, headers: dict[str, str], body: bytes
) -> None:
    """Keep the answer to a claimed request."""
    await session.execute(
        update(IdempotencyRecord)
        .where(*_mine(account, key))
        .values(status_code=status_code, headers=headers, body=body)
    )


async def release(session: AsyncSession, account: Account, key: str) -> None:
    """Give a key back: what it was claimed for did not happen."""
    await session.execute(delete(IdempotencyRecord).where(*_mine(account, key)))


def _mine(account: Account, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return col(IdempotencyRecord.user_id) == account.user_id, col(IdempotencyRecord.key) == key
