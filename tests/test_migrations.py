"""One history for both engines: up, down and up again, and as the models say."""

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from commands.migrations import alembic_config
from services import health
from tests.servers import ENGINES, empty_database

T = TypeVar("T")

ALEMBIC = "alembic_version"
LEFT = {
    "sqlite": "SELECT name FROM sqlite_master WHERE tbl_name != :alembic",
    "postgresql": """
        SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE :alembic || '%'
        UNION ALL
        SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typname NOT LIKE '%' || :alembic
        UNION ALL
        SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """,
}


@pytest.fixture(scope="module", params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with empty_database(request, tmp_path_factory.mktemp("migrations")) as url:
        yield url


@pytest.fixture
def config(url: str) -> Config:
    """Of a database at the newest revision."""
    config = alembic_config(url)
    command.upgrade(config, "head")
    return config


def ask(url: str, question: Callable[[sa.Connection], T]) -> T:
    async def answer() -> T:
        async with create_async_engine(url, poolclass=NullPool).connect() as connection:
            return await connection.run_sync(question)

    return asyncio.run(answer())


def our_tables(connection: sa.Connection) -> set[str]:
    """Without the queue that procrastinate brings."""
    return {name for name in sa.inspect(connection).get_table_names() if not name.startswith("procrastinate_")}


def names_in(connection: sa.Connection) -> set[tuple[str, str | None, str]]:
    """Table, name and expected beginning of each constraint and index; foreign and primary keys in full."""
    inspector = sa.inspect(connection)
    names: set[tuple[str, str | None, str]] = set()
    for table in our_tables(connection) - {ALEMBIC}:
        names.add((table, inspector.get_pk_constraint(table)["name"], f"pk_{table}"))
        for key in inspector.get_foreign_keys(table):
            columns = "_".join(key["constrained_columns"])
            names.add((table, key["name"], f"fk_{table}_{columns}_{key['referred_table']}"))
        names |= {(table, check["name"], f"ck_{table}_") for check in inspector.get_check_constraints(table)}
        names |= {(table, unique["name"], f"uq_{table}_") for unique in inspector.get_unique_constraints(table)}
        for index in inspector.get_indexes(table):
            kind = "uq" if index["unique"] else "ix"
            names.add((table, index["name"], f"{kind}_{table}_"))
    return names


def test_the_way_back_leaves_nothing_behind_and_the_way_up_is_the_same_again(url: str, config: Config) -> None:
    before = ask(url, names_in)

    command.downgrade(config, "base")
    dialect = url.partition("+")[0].partition(":")[0]
    left = ask(url, lambda connection: connection.execute(sa.text(LEFT[dialect]), {"alembic": ALEMBIC}).all())
    command.upgrade(config, "head")

    assert left == []
    assert ask(url, names_in) == before


def test_the_models_and_the_migrations_agree(config: Config) -> None:
    command.check(config)


def test_the_tables_are_those_of_the_models(url: str, config: Config) -> None:
    tables = ask(url, our_tables)

    assert tables == {*SQLModel.metadata.tables, ALEMBIC}


def test_every_constraint_and_index_is_named_by_the_convention(url: str, config: Config) -> None:
    names = ask(url, names_in)

    wrong = {name for name in names if not (name[1] or "").startswith(name[2])}
    assert wrong == set()
    assert all(name == wanted for _table, name, wanted in names if wanted[:2] in {"pk", "fk"})


def test_the_models_leave_no_constraint_unnamed() -> None:
    unnamed = [
        (table.name, type(item).__name__)
        for table in SQLModel.metadata.tables.values()
        for item in (*table.constraints, *table.indexes)
        if not isinstance(getattr(item, "name", None), str)
    ]
    assert unnamed == []


def test_the_revisions_are_one_line_and_the_app_knows_their_end() -> None:
    script = ScriptDirectory.from_config(alembic_config("sqlite+aiosqlite://"))
    revisions = [revision.revision for revision in script.walk_revisions()]

    assert health.newest_revision() == script.get_current_head()
    assert revisions == sorted(revisions, reverse=True)
    assert all(revision.isdecimal() and len(revision) == 4 for revision in revisions)
