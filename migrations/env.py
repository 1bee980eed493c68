"""How Alembic reaches the database: one history for SQLite and PostgreSQL, one transaction a run."""

import asyncio
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

import models  # noqa: F401  (fills the metadata)
from db import ExactDecimal, Id, UTCDateTime

ADVISORY_LOCK = 0x1A4DE4


def render_item(kind: str, item: Any, autogen_context: AutogenContext) -> str | Literal[False]:
    """Write plain types into migrations, and ours by the name they have in `db`."""
    if kind != "type":
        return False
    if isinstance(item, Id | UTCDateTime):
        autogen_context.imports.add("import db")
        return f"db.{type(item).__name__}()"
    if isinstance(item, ExactDecimal):
        return "sa.BigInteger()"
    if isinstance(item, AutoString | sa.Enum):
        return f"sa.String(length={item.length})"
    return False


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """Look at our tables only, not at the queue that procrastinate brings."""
    return not (kind == "table" and name and name.startswith("procrastinate_"))


OPTIONS: dict[str, Any] = {
    "target_metadata": SQLModel.metadata,
    "include_name": include_name,
    "render_as_batch": True,
    "render_item": render_item,
    "compare_server_default": True,
}


def run(connection: sa.Connection) -> None:
    context.configure(connection=connection, **OPTIONS)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Two deployments that migrate at once: the second waits, and then finds nothing to do.
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        context.run_migrations()


async def run_online(url: str) -> None:
    is_sqlite = url.startswith("sqlite")
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"isolation_level": None} if is_sqlite else {})
    if is_sqlite:
        # DDL is transactional on SQLite too, once the driver keeps its hands off.
        event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


config = context.config
if context.is_offline_mode():
    context.configure(url=config.get_main_option("sqlalchemy.url"), literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
elif (given := config.attributes.get("connection")) is not None:
    run(given)
else:
    asyncio.run(run_online(config.get_main_option("sqlalchemy.url") or ""))
