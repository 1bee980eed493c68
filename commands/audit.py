"""audit export, audit prune."""

import re
import sys
from datetime import date, timedelta
from typing import Annotated

import typer

from commands.asynchronous import fail, run
from services import audit_log
from services.audit_log import Format

audit = typer.Typer(name="audit", help="The audit log.", no_args_is_help=True)

DAYS = re.compile(r"(\d{1,5})d")


@audit.command()
def export(
    since: Annotated[str, typer.Option("--from", help="The first day, as YYYY-MM-DD.")] = "",
    until: Annotated[str, typer.Option("--to", help="The last day.")] = "",
    form: Annotated[Format, typer.Option("--format", help="A JSON object a line, or a table.")] = Format.JSONL,
) -> None:
    """Print the audit log, oldest entries first. Days are those of UTC."""
    run(_export(_day("--from", since), _day("--to", until), form))


async def _export(since: date | None, until: date | None, form: Format) -> None:
    async for piece in audit_log.export(audit_log.within(since, until, time_zone="UTC"), form):
        sys.stdout.write(piece)


@audit.command()
def prune(
    older_than: Annotated[str, typer.Option(help="Their age in days, such as 365d; 30d at least.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget old entries, for good. `audit export` first, if they are to be kept elsewhere."""
    days = DAYS.fullmatch(older_than)
    if days is None:
        fail("--older-than is a number of days, such as 365d.")
        raise typer.Exit(2)
    if not yes:
        typer.confirm(f"Forget every entry that is older than {days[1]} days?", abort=True)
    forgotten = run(audit_log.prune(timedelta(days=int(days[1]))))
    typer.echo(f"{forgotten} entries forgotten.")


def _day(option: str, value: str) -> date | None:
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        fail(f"{option} is a day, as YYYY-MM-DD.")
        raise typer.Exit(2) from error
