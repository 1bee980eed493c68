"""Whether this instance can do its work. Says nothing secret."""

from functools import lru_cache

import asyncpg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from db import is_unavailable, session_scope
from services.core import bus
from settings import ROOT

VERSIONS = ROOT / "migrations" / "versions"


@lru_cache(maxsize=1)
def newest_revision() -> str:
    """Revisions are numbered, so the newest is the last by name."""
    return max(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py"))


async def check() -> dict[str, str]:
    """`ok` or what is wrong, by part."""
    hears = {"bus": "ok" if bus.current().is_connected else "unreachable"}
    try:
        async with session_scope(read_only=True) as session:
            revision = (await session.execute(sa.text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
    except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        # A failure with a statement is one of the question, not of the connection.
        is_reached = isinstance(error, DBAPIError) and error.statement is not None and not is_unavailable(error)
        return {"database": "ok" if is_reached else "unreachable", "migrations": "unknown", **hears}
    return {"database": "ok", "migrations": "ok" if revision == newest_revision() else "pending", **hears}
