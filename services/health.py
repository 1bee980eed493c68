"""Whether this instance can do its work. Says nothing secret."""

import asyncio
import time
from dataclasses import dataclass
from functools import lru_cache

import asyncpg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from db import is_unavailable, session_scope
from services.core import bus, storage
from services.core.errors import Unavailable
from settings import ROOT

VERSIONS = ROOT / "migrations" / "versions"
# Probes come every few seconds, and a bucket is paid for by the request.
STORAGE_EVERY = 30.0
STORAGE_PATIENCE = 2.0


@lru_cache(maxsize=1)
def newest_revision() -> str:
    """Revisions are numbered, so the newest is the last by name."""
    return max(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py"))


async def check() -> dict[str, str]:
    """`ok` or what is wrong, by part."""
    others = {"bus": "ok" if bus.current().is_connected else "unreachable", "storage": await _check_storage()}
    try:
        async with session_scope(read_only=True) as session:
            revision = (await session.execute(sa.text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
    except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        # A failure with a statement is one of the question, not of the connection.
        is_reached = isinstance(error, DBAPIError) and error.statement is not None and not is_unavailable(error)
        return {"database": "ok" if is_reached else "unreachable", "migrations": "unknown", **others}
    return {"database": "ok", "migrations": "ok" if revision == newest_revision() else "pending", **others}


@dataclass
class _Looked:
    """What the storage was like when it was last looked at."""

    of: storage.Storage | None = None
    next_at: float = 0
    state: str = "ok"


_looked = _Looked()


async def _check_storage() -> str:
    """How it is, or was within half a minute. Who comes while another one looks is told what was."""
    global _looked
    try:
        current = storage.current()
    except Unavailable:
        return "unreachable"
    if _looked.of is not current:
        _looked = _Looked(current)
    looked = _looked
    if time.monotonic() < looked.next_at:
        return looked.state
    looked.next_at = time.monotonic() + STORAGE_EVERY
    try:
        await asyncio.wait_for(current.check(), STORAGE_PATIENCE)
        looked.state = "ok"
    except (Unavailable, TimeoutError):
        looked.state = "unreachable"
        looked.next_at = time.monotonic() + STORAGE_PATIENCE
    return looked.state
