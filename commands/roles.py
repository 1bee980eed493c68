"""role …: what the staff may do."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncSession
from uvicorn.importer import import_from_string

from commands.asynchronous import run
from db import session_scope
from models import DataScope, GrantKind, StaffRole, User
from services import accounts, initial, staff_roles
from services.core.errors import InvalidInput, NotFound
from services.endpoints import Registry
from services.schemas.messages import validate
from services.schemas.staff_roles import RoleRow, StaffRoleCreate

role = typer.Typer(no_args_is_help=True, help="Look after staff roles, and who has which.")

Code = Annotated[str, typer.Argument(metavar="ROLE", help="The role's code.")]
Address = Annotated[str, typer.Argument(metavar="EMAIL", help="Whose.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Permissions, or patterns such as panel.unit:*.")]
Kind = Annotated[GrantKind, typer.Option(help="What the names are.")]


@role.command("list")
def list_roles() -> None:
    """List the roles: code, reach, how many have it, how much it grants, and its name."""
    for found in run(_list()):
        state = "" if found.is_enabled else " (disabled)"
        typer.echo(f"{found.code:<20} {found.data_scope:<11} {found.holders:>4} {found.grants:>5}  {found.name}{state}")


@role.command("create")
def create_role(
    code: Code,
    name: Annotated[str, typer.Option(help="As people read it; else the code.")] = "",
    scope: Annotated[DataScope, typer.Option(help="Which data it reaches.")] = DataScope.SELF,
    chosen: Annotated[
        str, typer.Option("--filter", help='Of a custom scope: {"all": [{"field": "locale", "is": "de-AT"}]}.')
    ] = "{}",
) -> None:
    """Make a role that grants nothing yet."""
    run(_create(code, name or code, scope, chosen))
    typer.echo(f"There is a role {code} now.")


@role.command("grant")
def grant(code: Code, names: Names, kind: Kind = GrantKind.PERMISSION) -> None:
    """Let a role grant some more."""
    run(_change_grants(code, kind, names, adds=True))
    typer.echo(f"{code} grants that.")


@role.command("revoke")
def revoke(code: Code, names: Names, kind: Kind = GrantKind.PERMISSION) -> None:
    """Let a role grant something no more."""
    run(_change_grants(code, kind, names, adds=False))
    typer.echo(f"{code} does not grant that any more.")


@role.command("show")
def show(code: Code) -> None:
    """List what a role grants, and who has it."""
    granted, holders = run(_show(code))
    for kind, names in granted.items():
        for name in sorted(names):
            typer.echo(f"{kind}\t{name}")
    for holder in holders:
        typer.echo(f"holder\t{holder.email}")


@role.command("assign")
def assign(email: Address, code: Code) -> None:
    """Give somebody a role."""
    run(_assign(email, code, gives=True))
    typer.echo(f"{email} has the role {code}.")


@role.command("withdraw")
def withdraw(email: Address, code: Code) -> None:
    """Take a role from somebody."""
    run(_assign(email, code, gives=False))
    typer.echo(f"{email} has not got the role {code}.")


@role.command("super")
def make_super(
    email: Address,
    off: Annotated[bool, typer.Option("--off", help="Take it from them.")] = False,
) -> None:
    """Make somebody a superuser, who may do everything. The last one stays one."""
    run(_set_superuser(email, is_superuser=not off))
    typer.echo(f"{email} is {'no ' if off else 'a '}superuser.")


def registry() -> Registry:
    """What there is to permit in the app."""
    create_app = import_from_string("main:create_app")
    found: Registry = create_app().state.registry
    return found


async def _list() -> Sequence[RoleRow]:
    async with session_scope(read_only=True) as session:
        return await staff_roles.list_roles(session)


async def _create(code: str, name: str, scope: DataScope, chosen: str) -> None:
    values = {"code": code, "name": name, "data_scope": scope, "filter": _parse(chosen)}
    data: StaffRoleCreate = validate(StaffRoleCreate, values)
    async with session_scope() as session:
        await staff_roles.create(session, None, data)


async def _change_grants(code: str, kind: GrantKind, patterns: list[str], *, adds: bool) -> None:
    known = registry().permissions
    async with session_scope() as session:
        found = await _find_role(session, code)
        granted = (await staff_roles.grants_of(session, found.id))[kind]
        there = (known if kind is GrantKind.PERMISSION else ()) if adds else granted
        names = {name for pattern in patterns for name in initial.matching(pattern, there)}
        change = {"add": names} if adds else {"remove": names}
        await staff_roles.change_grants(session, None, found.id, kind, known=known, **change)


async def _show(code: str) -> tuple[staff_roles.Grants, Sequence[User]]:
    async with session_scope(read_only=True) as session:
        found = await _find_role(session, code)
        return await staff_roles.grants_of(session, found.id), await staff_roles.holders_of(session, found.id)


async def _assign(email: str, code: str, *, gives: bool) -> None:
    change = staff_roles.assign if gives else staff_roles.withdraw
    async with session_scope() as session:
        found = await _find_role(session, code)
        await change(session, None, (await _find_user(session, email)).id, found.id)


async def _set_superuser(email: str, *, is_superuser: bool) -> None:
    async with session_scope() as session:
        await accounts.set_superuser(session, (await _find_user(session, email)).id, is_superuser, by=None)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput({"filter": "This is not JSON."}) from error


async def _find_role(session: AsyncSession, code: str) -> StaffRole:
    found = await staff_roles.find_role(session, code)
    if found is None:
        raise NotFound(f"There is no role {code}.")
    return found


async def _find_user(session: AsyncSession, email: str) -> User:
    found = await accounts.find_by_email(session, email)
    if found is None:
        raise NotFound(f"There is no account with the e-mail {email}.")
    return found
