"""The outbox: what open pages and sockets are to hear, written in the transaction of what happened.

Ids tell the order of commits: they are given last, under a lock that is held until the commit, so a reader who has seen
one has missed none before it. Once the commit is durable, the bus wakes everybody who reads (`services.live`).
Readers look at what is there: a word may be left over from a savepoint that was rolled back.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import after_commit, before_commit, is_postgresql
from models import LiveKind, Outbox
from services.core import bus, clock

TOPIC = "outbox"
LOCK = 0x1A4DE5


def tell(
    session: AsyncSession,
    kind: LiveKind,
    *,
    household_id: UUID | None = None,
    user_id: UUID | None = None,
    subject_id: UUID | None = None,
    more: Mapping[str, Any] | None = None,
    **data: Any,
) -> None:
    """Tell all members of a household, or one user alone; of one subject the last word in a transaction counts.

    `more` is data too, for names that mean something else here.
    """
    waiting: dict[Any, dict[str, Any]] = session.info.setdefault("outbox", {})
    key = (kind, household_id, user_id, subject_id or object())
    waiting.pop(key, None)
    waiting[key] = {
        "kind": kind,
        "household_id": household_id,
        "user_id": user_id,
        "subject_id": subject_id,
        "data": {**data, **(more or {})},
        "created_at": clock.now(),
    }
    before_commit(session, _write)
    after_commit(session, _wake)


async def _write(session: AsyncSession) -> None:
    waiting = list(session.info.pop("outbox", {}).values())
    if not waiting:
        return
    if is_postgresql(session):
        await session.execute(_LOCK_AND_INSERT, {"rows": msgspec.json.encode(waiting).decode()})
    else:
        # Whoever writes on SQLite holds its one lock already.
        await session.execute(sa.insert(Outbox.__table__), waiting)  # type: ignore[attr-defined]


# One statement, for it stands on the way of every booking. A row gets its id when it comes out of the join, so after
# the lock.
_LOCK_AND_INSERT = sa.text(f"""
    INSERT INTO outbox (kind, household_id, user_id, subject_id, data, created_at)
    SELECT kind, household_id, user_id, subject_id, data, created_at
    FROM (SELECT pg_advisory_xact_lock({LOCK})) AS held
    CROSS JOIN json_to_recordset(CAST(:rows AS json)) AS told (
        kind text, household_id uuid, user_id uuid, subject_id uuid, data json, created_at timestamptz
    )
""")


def _wake() -> None:
    bus.publish(TOPIC)
