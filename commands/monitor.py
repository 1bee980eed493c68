"""monitor prune."""

from typing import Annotated

import typer

from commands.asynchronous import run
from services import monitor as monitoring

monitor = typer.Typer(name="monitor", help="What the monitor remembers.", no_args_is_help=True)


@monitor.callback()
def _group() -> None:
    """What the monitor remembers."""


@monitor.command()
def prune(
    days: Annotated[int | None, typer.Option(min=0, help="Older than so many; else LARDER_MONITOR_DAYS.")] = None,
    rows: Annotated[int | None, typer.Option(min=0, help="Keep so many at most; else LARDER_MONITOR_ROWS.")] = None,
) -> None:
    """Forget old requests now. The task `prune` does it every hour."""
    forgotten = run(monitoring.prune(days=days, rows=rows))
    typer.echo(f"{forgotten} requests forgotten.")
