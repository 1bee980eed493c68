"""migrate, makemigrations, showmigrations, sqlmigrate."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from commands import migrations
from db import session_scope
from services.health import newest_revision
from settings import ROOT
from tests.commands.conftest import Oppman


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations, so that new ones do not stay."""
    copy = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrations, "MIGRATIONS", copy)
    monkeypatch.setattr(migrations, "ROOT", tmp_path)
    return copy / "versions"


@pytest.fixture
def _shelves() -> Iterator[None]:
    """A table that the models have and no migration makes."""
    table = sa.Table("shelf", SQLModel.metadata, sa.Column("id", sa.Integer, primary_key=True))
    yield
    SQLModel.metadata.remove(table)


NEWEST = newest_revision()
NEXT = f"{int(NEWEST) + 1:04}"


def listed(mark: str) -> str:
    """What `showmigrations` prints when the database has all of them, or none."""
    paths = sorted((ROOT / "migrations" / "versions").glob("[0-9]*.py"))
    titles = (path.read_text().removeprefix('"""').partition("\n")[0] for path in paths)
    return "".join(f"[{mark}] {path.name[:4]} {title}\n" for path, title in zip(paths, titles, strict=True))


async def set_revision(revision: str) -> None:
    async with session_scope() as session:
        await session.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_the_way_up_and_back_is_told_and_done_once(empty: Oppman) -> None:
    assert empty("showmigrations").stdout == listed(" ")
    assert empty("migrate").stdout == f"Migrated from zero to {NEWEST}.\n"
    assert empty("showmigrations").stdout == listed("X")
    assert empty("migrate").stdout == f"Nothing to do: the database is at {NEWEST}.\n"
    assert empty("migrate", NEWEST).stdout == f"Nothing to do: the database is at {NEWEST}.\n"
    assert empty("makemigrations").stdout == "The models and the migrations agree.\n"
    assert empty("migrate", "zero").stdout == f"Migrated from {NEWEST} to zero.\n"
    assert empty("migrate", "zero").stdout == "Nothing to do: the database is at zero.\n"
    assert empty("showmigrations").stdout == listed(" ")
    assert empty("migrate", "0001").stdout == "Migrated from zero to 0001.\n"


@pytest.mark.parametrize("revision", ["9999", "base+1", "", "0001:head", "; DROP TABLE user"])
def test_an_unknown_revision_is_refused(revision: str, oppman: Oppman) -> None:
    result = oppman("migrate", revision)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"There is no revision {revision}.\n"
    assert oppman("showmigrations").stdout == listed(" ")


def test_a_database_from_a_newer_version_is_left_alone(empty: Oppman) -> None:
    empty("migrate")
    empty.run(set_revision("9999"))

    result = empty("migrate")

    assert result.exit_code == 1
    assert "9999" in result.stderr
    assert empty("check").exit_code == 1


def test_the_folder_of_a_new_sqlite_file_is_made(tmp_path: Path) -> None:
    result = Oppman(f"sqlite:///{tmp_path / 'a' / 'b' / 'larder.db'}")("migrate")

    assert result.exit_code == 0
    assert (tmp_path / "a" / "b" / "larder.db").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = Oppman(f"sqlite:///{tmp_path / 'file' / 'larder.db'}")("migrate")

    assert result.exit_code == 1
    assert str(tmp_path / "file") in result.stderr


@pytest.mark.usefixtures("_shelves")
def test_a_migration_is_written_from_the_models(empty: Oppman, versions: Path) -> None:
    empty("migrate")

    missing = empty("makemigrations", "--check")
    assert missing.exit_code == 1
    assert "The models say more than the migrations do." in missing.stderr
    assert list(versions.glob(f"{NEXT}*")) == []

    written = empty("makemigrations", "-m", "add shelves")
    assert written.stdout == f"Wrote migrations/versions/{NEXT}_add_shelves.py. Read it before you run it.\n"
    assert (versions / f"{NEXT}_add_shelves.py").exists()
    assert empty("showmigrations").stdout == f"{listed('X')}[ ] {NEXT} add shelves\n"

    again = empty("makemigrations")
    assert again.exit_code == 1
    assert "Run `python oppman.py migrate` first." in again.stderr

    assert "CREATE TABLE shelf" in empty("sqlmigrate", NEXT).stdout
    assert "DROP TABLE shelf" in empty("sqlmigrate", NEXT, "--backwards").stdout
    assert empty("migrate").stdout == f"Migrated from {NEWEST} to {NEXT}.\n"
    assert empty("makemigrations", "--check").exit_code == 0
    assert empty("migrate", NEWEST).stdout == f"Migrated from {NEXT} to {NEWEST}.\n"


def test_an_empty_migration_can_be_asked_for(oppman: Oppman, versions: Path) -> None:
    oppman("migrate")

    result = oppman("makemigrations", "--empty", "-m", "../../fill by hand")

    assert result.exit_code == 0
    (path,) = versions.glob(f"{NEXT}*")
    assert path.name in result.stdout
    assert "op.create" not in path.read_text()
    assert oppman("migrate").stdout == f"Migrated from {NEWEST} to {NEXT}.\n"


def test_a_database_behind_the_migrations_cannot_be_compared(empty: Oppman) -> None:
    result = empty("makemigrations")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "Run `python oppman.py migrate` first." in result.stderr


def test_the_sql_of_a_migration_needs_no_database() -> None:
    result = Oppman("postgresql://larder:s3cret-word@127.0.0.1:1/larder")("sqlmigrate", "0001")

    assert result.exit_code == 0
    assert "CREATE TABLE household" in result.stdout
    assert "UUID" in result.stdout
    assert "s3cret-word" not in result.output


def test_the_sql_is_that_of_the_database(oppman: Oppman) -> None:
    there, back = oppman("sqlmigrate", "0001").stdout, oppman("sqlmigrate", "0001", "--backwards").stdout

    assert "VARCHAR(36)" in there
    assert "DROP TABLE household" in back
    assert "DROP TABLE" not in there
    assert oppman("showmigrations").stdout == listed(" ")


@pytest.mark.parametrize("revision", ["9999", "base", "nonsense"])
def test_the_sql_of_an_unknown_migration_is_refused(revision: str, oppman: Oppman) -> None:
    result = oppman("sqlmigrate", revision)

    assert (result.exit_code, result.stdout) == (1, "")
    assert revision in result.stderr
