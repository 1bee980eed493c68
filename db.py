"""The database: engines, sessions, column types, and the only commit.

SQLite has one writing connection and many reading ones (WAL); PostgreSQL has one pool. A reading session runs
without a transaction of its own and, on SQLite, cannot write at all.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from fastapi.requests import HTTPConnection
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

from services.core.errors import AppError
from settings import VAR, Settings, get_settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
POOL_TIMEOUT = 10
BUSY_TIMEOUT_MS = 10_000

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Statement(str):
    """A statement as it was sent: when, by `time.perf_counter`, and how many seconds its answer took."""

    __slots__ = ("seconds", "sent")

    sent: float
    seconds: float

    def __new__(cls, text: str) -> Self:
        statement = super().__new__(cls, text)
        statement.sent, statement.seconds = time.perf_counter(), 0.0
        return statement


# Each statement of the current task is appended here while a list is set: for tests, bench and monitor.
statements: ContextVar[list[Statement] | None] = ContextVar("statements", default=None)


class Id(TypeDecorator[UUID]):
    """A UUID: native on PostgreSQL, its usual text on SQLite, where it can go into JSON as it is."""

    impl = sa.Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.String(36) if dialect.name == "sqlite" else sa.Uuid())

    def process_bind_param(self, value: UUID | str | None, dialect: sa.Dialect) -> Any:
        if value is None:
            return None
        return str(value) if dialect.name == "sqlite" else UUID(str(value))

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> UUID | None:
        return UUID(value) if isinstance(value, str) else value


class UTCDateTime(TypeDecorator[datetime]):
    """An aware moment, kept in UTC. SQLite forgets the zone, so it is attached again on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime: use services.core.clock")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class ExactDecimal(TypeDecorator[Decimal]):
    """An exact number as a 64-bit integer of `scale` decimals, the same on every database."""

    impl = sa.BigInteger
    cache_ok = True

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def process_bind_param(self, value: Decimal | int | None, dialect: sa.Dialect) -> int | None:
        if value is None:
            return None
        scaled = Decimal(value).scaleb(self.scale)
        if scaled != scaled.to_integral_value():
            raise ValueError(f"more than {self.scale} decimals: {value}")
        return int(scaled)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-self.scale)


def enum_type(enum: type[StrEnum]) -> sa.Enum:
    """Text with the members' values. Not a native enum: a new member then needs no migration."""
    return sa.Enum(enum, native_enum=False, length=30, values_callable=lambda members: [m.value for m in members])


class Database:
    """The engines of one process, and the sessions on them."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.url
        if settings.is_sqlite:
            if self.url.database and self.url.database.startswith(str(VAR)):
                VAR.mkdir(exist_ok=True)
            self.writer = _sqlite_engine(settings, pool_size=1)
            self.reader = _sqlite_engine(settings, pool_size=settings.pool_size, read_only=True)
        else:
            self.writer = _postgresql_engine(settings)
            self.reader = self.writer.execution_options(isolation_level="AUTOCOMMIT")
        self._sessions = {
            read_only: async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
            for read_only, engine in ((True, self.reader), (False, self.writer))
        }

    @property
    def writing_sessions(self) -> async_sessionmaker[AsyncSession]:
        """For SQLAdmin, which opens and commits sessions itself."""
        return self._sessions[False]

    @asynccontextmanager
    async def session_scope(self, *, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        """Open one session: commit when the block succeeds, roll back when it raises.

        Never open a writing session inside another one: on SQLite there is one writing connection.
        """
        async with self._sessions[read_only]() as session:
            yield session
            if not read_only:
                await run_before_commit(session)
                await session.commit()
                run_after_commit(session)

    async def dispose(self) -> None:
        await self.writer.dispose()
        await self.reader.dispose()


BeforeCommit = Callable[[AsyncSession], Awaitable[None]]


def before_commit(session: AsyncSession, work: BeforeCommit) -> None:
    """Do this as the last thing in the session's transaction; asked for twice, it is done once, when asked for last."""
    works = session.info.setdefault("before_commit", {})
    works.pop(work, None)
    works[work] = None


def after_commit(session: AsyncSession, work: Callable[[], None]) -> None:
    """Do this once the transaction is durable. Not for what must not be lost: the process may die in between."""
    session.info.setdefault("after_commit", {})[work] = None


async def run_before_commit(session: AsyncSession) -> None:
    works = session.info.get("before_commit", {})
    while works:
        work = next(iter(works))
        del works[work]
        await work(session)


def run_after_commit(session: AsyncSession) -> None:
    for work in session.info.pop("after_commit", ()):
        work()


def is_postgresql(session: AsyncSession) -> bool:
    return session.get_bind().dialect.name == "postgresql"


async def take_turns(session: AsyncSession, lock: int) -> None:
    """Of all transactions that ask for the same `lock`, one at a time goes on from here to its end."""
    if is_postgresql(session):  # SQLite has one writer anyway
        await session.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))


def _sqlite_engine(settings: Settings, *, pool_size: int, read_only: bool = False) -> AsyncEngine:
    engine = create_async_engine(
        settings.url,
        # The driver must not open transactions by itself: BEGIN IMMEDIATE is ours (see `_begin`).
        connect_args={"isolation_level": None},
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT,
        pool_reset_on_return=None if read_only else "rollback",
        # There is no transaction to roll back, and asking for it costs a way to the driver's thread.
        skip_autocommit_rollback=read_only,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    if not read_only:

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            # Take the write lock at once: SQLite cannot upgrade a read transaction that others overtook.
            async def begin(driver: Any) -> None:
                await driver.execute("BEGIN IMMEDIATE")

            connection.connection.dbapi_connection.run_async(begin)  # type: ignore[union-attr]

    _record_statements(engine)
    return engine


def _postgresql_engine(settings: Settings) -> AsyncEngine:
    engine = create_async_engine(
        settings.url,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT,
        connect_args={
            "timeout": 5,
            "server_settings": {
                "application_name": "larder",
                "statement_timeout": "30000",
                "lock_timeout": "10000",
                "idle_in_transaction_session_timeout": "60000",
            },
        },
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def _replace_if_closed(connection: Any, _record: Any, _proxy: Any) -> None:
        # asyncpg knows by itself that the server hung up, so this costs no round trip.
        if connection.driver_connection.is_closed():
            raise DisconnectionError("the server closed this connection")

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # SQLAlchemy begins with its own first statement; a `Prepared` one may come before that.
        adapted: Any = connection.connection.dbapi_connection
        try:
            adapted.await_(adapted._start_transaction())  # noqa: SLF001  (there is no public way)
        except asyncio.CancelledError:
            # The server may have begun. Whoever had this connection next would write in vain: their commit would only
            # end a savepoint of this transaction.
            connection.invalidate()
            raise

    _record_statements(engine)
    return engine


def _record_statements(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def _record(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if (recorded := statements.get()) is not None:
            recorded.append(Statement(statement))

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def _time(*_: Any) -> None:
        if recorded := statements.get():
            # One task has one statement under way.
            recorded[-1].seconds = time.perf_counter() - recorded[-1].sent


class days_after(sa.sql.functions.GenericFunction[Any]):  # noqa: N801  (a SQL function)
    """`days_after(day, days)`: the date so many days later. The databases disagree on how to say it."""

    type = sa.Date()
    inherit_cache = True


@compiles(days_after, "postgresql")
def _days_after_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    day, days = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({day} + {days})"


@compiles(days_after, "sqlite")
def _days_after_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    day, days = (compiler.process(clause, **options) for clause in element.clauses)
    return f"date({day}, {days} || ' days')"


class epoch(sa.sql.functions.GenericFunction[Any]):  # noqa: N801  (a SQL function)
    """`epoch(at)`: the seconds since 1970 of a moment."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(epoch, "postgresql")
def _epoch_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    (at,) = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST(FLOOR(EXTRACT(EPOCH FROM {at})) AS bigint)"


@compiles(epoch, "sqlite")
def _epoch_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    (at,) = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST(strftime('%s', {at}) AS INTEGER)"


class json_lists(sa.sql.functions.GenericFunction[Any]):  # noqa: N801  (a SQL function)
    """`json_lists(document, key, item)`: whether the list under a key of a JSON object holds this text."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(json_lists, "postgresql")
def _json_lists_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    document, key, item = (compiler.process(clause, **options) for clause in element.clauses)
    return f"jsonb_exists(CAST({document} AS jsonb) -> {key}, {item})"


@compiles(json_lists, "sqlite")
def _json_lists_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    document, key, item = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({document}, '$.' || {key}) WHERE value = {item})"


class id_like(sa.sql.functions.GenericFunction[Any]):  # noqa: N801  (a SQL function)
    """`id_like(prefix)`: for each row another version 7 UUID of one moment; see `ids.prefix`."""

    type = Id()
    inherit_cache = True


@compiles(id_like, "postgresql")
def _id_like_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    (prefix,) = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST({prefix} || substr(CAST(gen_random_uuid() AS text), 16) AS uuid)"


@compiles(id_like, "sqlite")
def _id_like_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    (prefix,) = (compiler.process(clause, **options) for clause in element.clauses)
    variant = "substr('89ab', 1 + (random() & 3), 1)"
    three = "substr(hex(randomblob(2)), 2)"
    return f"{prefix} || lower({three} || '-' || {variant} || {three} || '-' || hex(randomblob(6)))"


class Raw(sa.types.NullType):
    """For `type_coerce`: hand this column out as the driver gives it (ids and dates: text on SQLite)."""

    cache_ok = True


class Prepared:
    """A Core statement compiled once and run on the driver itself, in the session's transaction.

    For hot paths only: SQLAlchemy's execution and result layers cost several times what the query does
    (`docs/performance.md`). Parameters are the statement's `bindparam` names; expanding ones are not supported.
    """

    def __init__(self, statement: sa.Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    async def fetch(self, session: AsyncSession, **parameters: Any) -> Sequence[Sequence[Any]]:
        """All rows, columns converted by their types."""
        return await self._run(session, parameters)

    async def fetch_one(self, session: AsyncSession, **parameters: Any) -> Sequence[Any] | None:
        rows = await self._run(session, parameters)
        return rows[0] if rows else None

    async def execute(self, session: AsyncSession, **parameters: Any) -> None:
        await self._run(session, parameters)

    async def _run(self, session: AsyncSession, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        connection = await session.connection()
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled(self._statement, dialect)
        recorded = statements.get()
        statement = None if recorded is None else Statement(compiled.sql)
        driver: Any = (await connection.get_raw_connection()).driver_connection
        arguments = compiled.arguments(parameters)
        if dialect.name == "sqlite":
            rows = list(await driver.execute_fetchall(compiled.sql, arguments))
        else:
            rows = await driver.fetch(compiled.sql, *arguments)
        if recorded is not None and statement is not None:
            statement.seconds = time.perf_counter() - statement.sent
            recorded.append(statement)
        return compiled.convert(rows)


class _Compiled:
    def __init__(self, statement: sa.Executable, dialect: sa.Dialect) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)
        self.sql = compiled.string
        self._constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self._parameters = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ]
        self._processors: list[tuple[int, Callable[[Any], Any]]] = []
        for index, column in enumerate(getattr(statement, "exported_columns", ())):
            processor = column.type.dialect_impl(dialect).result_processor(dialect, None)
            if processor is not None:
                self._processors.append((index, processor))

    def arguments(self, parameters: dict[str, Any]) -> list[Any]:
        values = []
        for name, processor in self._parameters:
            value = parameters[name] if name in parameters else self._constants[name]
            values.append(processor(value) if processor else value)
        return values

    def convert(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        if not self._processors:
            return rows
        converted = []
        for row in rows:
            values = list(row)
            for index, processor in self._processors:
                values[index] = processor(values[index])
            converted.append(values)
        return converted


def is_unavailable(error: BaseException) -> bool:
    """Whether the database is down or too busy, so that trying again later may work."""
    if isinstance(error, PoolTimeoutError | ConnectionError | asyncpg.InterfaceError):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.OperationalError):
        return cause.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
    state = getattr(cause, "sqlstate", None) or ""
    # 08 connection, 40 rollback (deadlock), 53 resources, 55P03 lock timeout, 57 shutdown or cancelled
    return state.startswith(("08", "40", "53", "57")) or state == "55P03"


def like(text: str) -> str:
    """A LIKE pattern (escape character `\\`) for rows that contain `text`."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


_database: Database | None = None


def get_database() -> Database:
    """The database of this process, opened on first use."""
    global _database
    if _database is None:
        _database = Database(get_settings())
    return _database


def use_database(database: Database | None) -> None:
    """Put another database in its place, or none."""
    global _database
    _database = database


def session_scope(*, read_only: bool = False) -> Any:
    return get_database().session_scope(read_only=read_only)


def insert_new(session: AsyncSession, table: type[SQLModel]) -> Any:
    """An INSERT that leaves out what a unique constraint refuses."""
    dialect = postgresql if is_postgresql(session) else sqlite
    return dialect.insert(table.__table__).on_conflict_do_nothing()  # type: ignore[attr-defined]


@asynccontextmanager
async def unless_taken(session: AsyncSession, taken: AppError) -> AsyncIterator[None]:
    """Write what was changed before and in this block. What a unique constraint refuses raises `taken`."""
    try:
        async with session.begin_nested():
            yield
    except IntegrityError as error:
        raise taken from error


async def get_session(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
    """The session of one request: GET and HEAD read, everything else is one transaction."""
    read_only = connection.scope.get("method", "GET") in SAFE_METHODS
    async with get_database().session_scope(read_only=read_only) as session:
        yield session
