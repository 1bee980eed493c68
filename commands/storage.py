"""storage check, storage move."""

from collections import Counter
from typing import Annotated

import typer

from commands.asynchronous import fail, run
from services import storing
from services.core import logs
from services.core import storage as stores
from services.core.storage import Storage
from services.storing import Found, State
from settings import StorageAddress, get_settings

storage = typer.Typer(name="storage", help="Where files are kept.", no_args_is_help=True)

WRONG = (State.MISSING, State.CHANGED, State.LEFT_OVER)


@storage.command()
def check() -> None:
    """Read every file again: what is missing, changed or left over is named. Exits with 1 when something is."""
    logs.configure(get_settings())
    found = run(_check(stores.current()))
    if any(found[state] for state in WRONG):
        raise typer.Exit(1)
    typer.echo(f"{found[State.RIGHT]} files are as they should be.")


@storage.command()
def move(
    to: Annotated[str, typer.Argument(help="Where to, as in LARDER_STORAGE_URL.", show_default=False)],
    source: Annotated[str, typer.Option("--from", help="Where from; else LARDER_STORAGE_URL.")] = "",
    delete: Annotated[bool, typer.Option("--delete", help="Remove them from where they were.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Copy every file to another storage, and check that it arrived. Go on after a stop by running it again."""
    logs.configure(get_settings())
    old = _open(source) if source else stores.current()
    new = _open(to)
    if old.address.is_same_place(new.address):
        fail("That is where they are.")
        raise typer.Exit(2)
    moved, keys = run(_move(old, new))
    typer.echo(f"{moved[State.MOVED]} files moved, {moved[State.RIGHT]} were there.")
    if any(moved[state] for state in WRONG):
        fail("Not every file could be moved. Nothing was removed.")
        raise typer.Exit(1)
    if not delete:
        typer.echo(f"Now set LARDER_STORAGE_URL to {new} for every process, restart them, and run this once more:")
        typer.echo("it takes what was sent meanwhile. Name the old storage with --from then.")
        return
    if not yes:
        typer.confirm(f"Does every process use {new} by now? Remove {len(keys)} objects from {old}?", abort=True)
    run(old.delete(keys))
    typer.echo(f"{len(keys)} objects removed from {old}.")


async def _check(store: Storage) -> Counter[State]:
    seen: Counter[State] = Counter()
    with typer.progressbar(length=await storing.count(), label="Reading") as bar:
        async for found in storing.check(store):
            seen[found.state] += 1
            if found.state is not State.LEFT_OVER:
                bar.update(1)
            _tell(found)
    return seen


async def _move(old: Storage, new: Storage) -> tuple[Counter[State], list[str]]:
    seen: Counter[State] = Counter()
    keys: list[str] = []
    with typer.progressbar(length=await storing.count(), label="Moving") as bar:
        async for found in storing.move(old, new):
            seen[found.state] += 1
            keys += found.keys
            bar.update(1)
            _tell(found)
    return seen, keys


def _tell(found: Found) -> None:
    if found.state in WRONG:
        for key in found.keys:
            fail(f"{found.state}: {key}{f' ({found.name})' if found.name else ''}")


def _open(url: str) -> Storage:
    try:
        address = StorageAddress.parse(url)
    except ValueError as error:
        fail(str(error).capitalize())
        raise typer.Exit(2) from error
    if address.scheme == "memory":
        fail("memory:// keeps nothing.")
        raise typer.Exit(2)
    return stores.open_storage(url)
