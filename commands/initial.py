"""permissions …, init, init-plan: what there is to permit, and what an instance begins with."""

from collections.abc import Sequence
from typing import Annotated

import typer

from commands.asynchronous import fail, run
from commands.roles import registry
from db import session_scope
from models import Endpoint
from services import endpoints, initial
from services.endpoints import Changes, Registry
from services.initial import Difference

permissions = typer.Typer(no_args_is_help=True, help="What there is to permit, and endpoints that are switched off.")

Method = Annotated[str, typer.Argument(metavar="METHOD", help="Such as GET.")]
Path = Annotated[str, typer.Argument(metavar="PATH", help="As `oppman.py permissions endpoints` lists it.")]


@permissions.command("sync")
def sync(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Bring the table of endpoints up to date with the app. Grants and switches stay as they are."""
    changes = run(_sync(registry(), dry_run=dry_run))
    for sign, routes in (("+", changes.added), ("~", changes.changed), ("-", changes.removed)):
        for route in routes:
            typer.echo(f"{sign} {route.method:<9} {route.path}  {route.permission}")
    for role, name in changes.unknown:
        fail(f"The role {role} grants {name}, which nothing is called.")
    counts = f"{len(changes.added)} new, {len(changes.changed)} changed, {len(changes.removed)} gone"
    typer.echo(f"{counts}{' (nothing was written)' if dry_run else ''}.")


@permissions.command("list")
def list_permissions() -> None:
    """List every permission that a staff role can grant."""
    for found in registry().permissions.values():
        typer.echo(f"{found.name:<40} {found.area}: {found.label}")


@permissions.command("endpoints")
def list_endpoints(
    off: Annotated[bool, typer.Option("--off", help="Only those that are switched off.")] = False,
) -> None:
    """List the endpoints as the table has them, and whether each is on."""
    for found in run(_list_endpoints()):
        if not (off and found.is_enabled):
            state = "on" if found.is_enabled else "off"
            typer.echo(f"{state:<4} {found.method:<9} {found.path:<64} {found.permission}")


@permissions.command("disable")
def disable(method: Method, path: Path) -> None:
    """Switch an endpoint off, for everybody; running processes know within a second."""
    run(_switch(method, path, on=False))
    typer.echo(f"{method.upper()} {path} is off.")


@permissions.command("enable")
def enable(method: Method, path: Path) -> None:
    """Switch an endpoint on again."""
    run(_switch(method, path, on=True))
    typer.echo(f"{method.upper()} {path} is on.")


def init(
    force: Annotated[bool, typer.Option("--force", help="Also undo what staff changed by hand.")] = False,
) -> None:
    """Bring in the panel's menu, staff roles, lists and endpoints as declared. Makes no accounts."""
    _print(run(apply(registry(), force=force)))


def init_plan(
    force: Annotated[bool, typer.Option("--force", help="What `init --force` would do.")] = False,
) -> None:
    """Say what `init` would change and what differs by hand. Exits with 1 when anything does."""
    differences = run(_plan(registry(), force=force))
    _print(differences)
    if differences:
        raise typer.Exit(1)


def _print(differences: Sequence[Difference]) -> None:
    for found in differences:
        typer.echo(f"{'!' if found.is_drift else '*'} {found.kind} {found.code}: {found.what}")
        if found.is_drift or found.what is initial.What.CHANGED:
            for name in {**found.before, **found.after}:
                typer.echo(f"    {name}: {found.before.get(name, '')!r} -> {found.after.get(name, '')!r}")
    if not differences:
        typer.echo("Everything is as declared.")


async def apply(found: Registry, *, force: bool = False) -> list[Difference]:
    async with session_scope() as session:
        return await initial.apply(session, found, force=force)


async def _plan(found: Registry, *, force: bool) -> list[Difference]:
    async with session_scope(read_only=True) as session:
        return await initial.plan(session, found, force=force)


async def _sync(found: Registry, *, dry_run: bool) -> Changes:
    async with session_scope(read_only=dry_run) as session:
        return await endpoints.sync(session, found, dry_run=dry_run)


async def _list_endpoints() -> Sequence[Endpoint]:
    async with session_scope(read_only=True) as session:
        return await endpoints.list_endpoints(session)


async def _switch(method: str, path: str, *, on: bool) -> None:
    async with session_scope() as session:
        await endpoints.switch(session, None, method, path, on=on)
