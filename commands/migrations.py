"""migrate, makemigrations, showmigrations, sqlmigrate: Alembic, configured in code."""

import contextlib
import io
from pathlib import Path
from typing import Annotated

import typer
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from commands.asynchronous import fail, run
from db import get_database
from settings import ROOT, get_settings

MIGRATIONS = ROOT / "migrations"
SQLITE = "sqlite+aiosqlite:///"


def alembic_config(database_url: str | None = None) -> Config:
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    url = database_url or get_settings().database_url
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    if url.startswith(SQLITE):
        # The driver makes the file, but not its folder.
        Path(url.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    return config


def migrate(
    revision: Annotated[str, typer.Argument(help="Where to, such as 0001; `zero` takes everything back.")] = "head",
) -> None:
    """Bring the database to a revision: the newest, unless another is named."""
    config = alembic_config()
    before = run(_current())
    script = ScriptDirectory.from_config(config)
    target = "base" if revision == "zero" else revision
    known = {s.revision for s in script.walk_revisions()}
    if target not in {"head", "base"} and target not in known:
        raise CommandError(f"There is no revision {revision}.")
    is_back = target == "base" or (target in known and before is not None and target < before)
    with contextlib.redirect_stdout(io.StringIO()):
        (command.downgrade if is_back else command.upgrade)(config, target)
    after = run(_current())
    if before == after:
        typer.echo(f"Nothing to do: the database is at {after or 'zero'}.")
    else:
        typer.echo(f"Migrated from {before or 'zero'} to {after or 'zero'}.")


def makemigrations(
    message: Annotated[str, typer.Option("--message", "-m", help="What changes, in a few words.")] = "changes",
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when something is missing.")] = False,
    empty: Annotated[bool, typer.Option("--empty", help="Write one without changes, to fill by hand.")] = False,
) -> None:
    """Write a migration from what the models say and the database does not."""
    config = alembic_config()
    differs = _differs(config)
    if not differs and not empty:
        typer.echo("The models and the migrations agree.")
        return
    if check:
        fail("The models say more than the migrations do. Run `python oppman.py makemigrations`.")
        raise typer.Exit(1)
    with contextlib.redirect_stdout(io.StringIO()):
        made = command.revision(config, message, autogenerate=not empty, rev_id=_next_revision_id(config))
    assert isinstance(made, Script)
    typer.echo(f"Wrote {Path(made.path).relative_to(ROOT)}. Read it before you run it.")


def _differs(config: Config) -> bool:
    """Whether the models differ from the database. It must be at the newest revision to tell."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            command.check(config)
    except CommandError as error:
        if "New upgrade operations" in str(error):
            return True
        raise CommandError(f"{error} Run `python oppman.py migrate` first.") from error
    return False


def showmigrations() -> None:
    """List the migrations; [X] marks those the database has."""
    script = ScriptDirectory.from_config(alembic_config())
    current = run(_current())
    for revision in reversed(list(script.walk_revisions())):
        mark = "X" if current is not None and revision.revision <= current else " "
        typer.echo(f"[{mark}] {revision.revision} {revision.doc}")


def sqlmigrate(
    revision: Annotated[str, typer.Argument(help="Such as 0001.")],
    backwards: Annotated[bool, typer.Option("--backwards", help="The way back.")] = False,
) -> None:
    """Print the SQL of one migration."""
    config = alembic_config()
    script = ScriptDirectory.from_config(config)
    # `base` names none, and is no error to Alembic.
    found: Script | None = script.get_revision(revision)
    if found is None:
        raise CommandError(f"There is no revision {revision}.")
    below = found.down_revision or "base"
    out = io.StringIO()
    config.output_buffer = out
    if backwards:
        command.downgrade(config, f"{found.revision}:{below}", sql=True)
    else:
        command.upgrade(config, f"{below}:{found.revision}", sql=True)
    typer.echo(out.getvalue().strip())


async def _current() -> str | None:
    def read(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    async with get_database().reader.connect() as connection:
        return await connection.run_sync(read)


def _next_revision_id(config: Config) -> str:
    """Revisions are numbered: 0001, 0002, ... so that files sort and names are easy to say."""
    numbers = [int(script.revision) for script in ScriptDirectory.from_config(config).walk_revisions()]
    return f"{max(numbers, default=0) + 1:04d}"
