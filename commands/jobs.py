"""worker, run-task, tasks."""

import asyncio
import json
import signal
from typing import Annotated, Any

import typer

from commands.asynchronous import fail, run
from services import health
from services.core import bus, logs
from services.core.errors import Unavailable
from services.core.tasks import registered
from services.jobs import engines, registry, runs  # noqa: F401  (registry: its tasks)
from settings import Settings, get_settings


def worker(
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=100, help="Tasks at once; else LARDER_TASK_CONCURRENCY.")
    ] = None,
) -> None:
    """Do the tasks of this instance until it is stopped. Start as many as you like, on as many machines."""
    settings = get_settings()
    if not settings.has_task_workers:
        fail("The web process does the tasks here. Workers need PostgreSQL and LARDER_TASKS=distributed.")
        raise typer.Exit(1)
    logs.configure(settings)
    run(_work(settings, concurrency))


async def _work(settings: Settings, concurrency: int | None) -> None:
    parts = await health.check()
    if parts["database"] != "ok":
        raise Unavailable("The database does not answer.")
    if parts["migrations"] != "ok":
        raise Unavailable("The database is not at the newest migration: run `python oppman.py migrate`.")
    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    async with bus.running(settings.bus_url), engines.in_worker(settings, concurrency=concurrency):
        typer.echo(f"Worker {runs.WORKER} is at work (Ctrl+C stops it)")
        await stop.wait()


def run_task(
    name: Annotated[str, typer.Argument(help="Which; `tasks` lists them.")],
    payload: Annotated[str, typer.Option(help="What it is given, as a JSON object.")] = "{}",
) -> None:
    """Run one task now, in this process, and print what it answers."""
    if name not in registered():
        fail(f"There is no task {name}. There are: {', '.join(sorted(registered()))}.")
        raise typer.Exit(1)
    outcome = run(runs.perform(name, _parse(payload)))
    if outcome.error:
        fail(outcome.error)
        raise typer.Exit(1)
    typer.echo(outcome.result)


def _parse(payload: str) -> dict[str, Any]:
    try:
        parsed = json.loads(payload)
    except json.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        fail("--payload is not a JSON object.")
        raise typer.Exit(2)
    return parsed


def tasks() -> None:
    """List every task, and when it runs by itself (in UTC)."""
    for name, task in sorted(registered().items()):
        typer.echo(f"{name:<24} {task.cron or 'when asked'}")
