"""createsuperuser, changepassword, user …, apikey …, clearsessions."""

import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from commands.asynchronous import fail, run
from db import session_scope
from models import ApiKey, User
from services import accounts, api_keys, pruning, second_factor
from services.core import clock
from services.core.errors import NotFound
from services.schemas.accounts import ApiKeyCreate, ApiKeyCreated, NewAccount
from services.schemas.messages import validate

PASSWORD_VARIABLE = "LARDER_SUPERUSER_PASSWORD"  # noqa: S105  (its name, not its value)

user = typer.Typer(no_args_is_help=True, help="Look after accounts.")
apikey = typer.Typer(no_args_is_help=True, help="Look after API keys.")

Address = Annotated[str, typer.Argument(metavar="EMAIL", help="Whose.")]


def createsuperuser(
    email: Annotated[str, typer.Option(help="Asked for when not given.")] = "",
    name: Annotated[str, typer.Option(help="Asked for when not given.")] = "",
    noinput: Annotated[bool, typer.Option("--noinput", help=f"Ask nothing: take {PASSWORD_VARIABLE}.")] = False,
) -> None:
    """Make an account that may use the admin panel. There is no default password."""
    if noinput:
        password = os.environ.get(PASSWORD_VARIABLE, "")
        if not (email and password):
            fail(f"With --noinput, give --email and set {PASSWORD_VARIABLE}.")
            raise typer.Exit(2)
    else:
        email = email or typer.prompt("E-mail")
        name = name or typer.prompt("Name", default="Admin")
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    run(_create(email, name or "Admin", password, is_superuser=True))
    typer.echo(f"{email} can sign in at /login and use /admin.")


def changepassword(
    email: Annotated[str, typer.Argument(help="Whose.")],
    noinput: Annotated[bool, typer.Option("--noinput", help=f"Ask nothing: take {PASSWORD_VARIABLE}.")] = False,
) -> None:
    """Set a new password, and sign the user out everywhere."""
    password = os.environ.get(PASSWORD_VARIABLE, "") if noinput else ""
    if noinput and not password:
        fail(f"With --noinput, set {PASSWORD_VARIABLE}.")
        raise typer.Exit(2)
    run(_change_password(email, password))
    typer.echo(f"The password of {email} is changed, and every session has ended.")


@user.command("list")
def list_users(
    search: Annotated[str, typer.Argument(help="Part of an e-mail address or a name.")] = "",
) -> None:
    """List accounts: e-mail, name, what is special about them, and when they last signed in."""
    for found in run(_list_users(search)):
        flags = [
            word
            for word, is_so in (
                ("superuser", found.is_superuser),
                ("disabled", not found.is_active),
                ("unverified", not found.is_verified),
                ("must change password", found.must_change_password),
            )
            if is_so
        ]
        seen = f"{found.last_login_at:%Y-%m-%d %H:%M}" if found.last_login_at else "never"
        typer.echo(f"{found.email}\t{found.name}\t{', '.join(flags) or '-'}\t{seen}")


@user.command("create")
def create_user(
    email: Address,
    name: Annotated[str, typer.Option(help="Asked for when not given.")] = "",
    invite: Annotated[
        bool, typer.Option("--invite", help="Ask for no password: mail them a link to choose one.")
    ] = False,
    must_change: Annotated[
        bool, typer.Option("--must-change-password", help="They choose another one when they sign in.")
    ] = False,
) -> None:
    """Make an account without a household. Its password is asked for, or chosen by a link in an e-mail."""
    name = name or typer.prompt("Name")
    password = None if invite else typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    run(_create(email, name, password, must_change_password=must_change))
    typer.echo(f"{email} has an account." + (" A link is on its way." if invite else ""))


@user.command("disable")
def disable_user(email: Address) -> None:
    """Keep somebody out, at once and everywhere."""
    run(_manage(accounts.disable, email))
    typer.echo(f"{email} is disabled, and every session has ended.")


@user.command("enable")
def enable_user(email: Address) -> None:
    """Let somebody sign in again."""
    run(_manage(accounts.enable, email))
    typer.echo(f"{email} can sign in.")


@user.command("logout")
def log_out_user(email: Address) -> None:
    """End every session of somebody."""
    run(_manage(accounts.force_logout, email))
    typer.echo(f"{email} is signed out everywhere.")


@user.command("reset-second-factor")
def reset_second_factor(email: Address) -> None:
    """Let somebody in by password alone who lost their authenticator app."""
    was_on = run(_reset_second_factor(email))
    typer.echo(f"{email} signs in without a code now." if was_on else f"{email} had no second factor.")


user.command("passwd")(changepassword)


@apikey.command("list")
def list_keys(email: Address) -> None:
    """List somebody's API keys: id, name, scopes, and until when each is good."""
    for key in run(_list_keys(email)):
        until = f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "for ever"
        typer.echo(f"{key.id}\t{key}\t{' '.join(key.scopes)}\t{until}")


@apikey.command("create")
def create_key(
    email: Address,
    name: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[list[str], typer.Option(help="What it opens, such as stock:read. Give it once for each.")],
    days: Annotated[int, typer.Option(help="How long it is good for; 0 for ever.", min=0, max=3650)] = 365,
) -> None:
    """Make an API key for somebody, and print its secret: it is not shown again."""
    made = run(_create_key(email, name, scope, days))
    typer.echo(f"{made.name}, id {made.id}. This is its secret, shown this once:", err=True)
    typer.echo(made.key)


@apikey.command("revoke")
def revoke_key(key_id: Annotated[UUID, typer.Argument(metavar="ID", help="As `apikey list` has it.")]) -> None:
    """End an API key at once."""
    run(_revoke_key(key_id))
    typer.echo("The API key is over.")


def clearsessions() -> None:
    """Forget sign-ins, links and challenges that ran out. A task does so every hour; this does it now."""
    typer.echo(f"{run(pruning.clear_sessions())} removed.")


async def _create(email: str, name: str, password: str | None, **flags: bool) -> None:
    """Without a password, its owner chooses one by a link, which also shows that the address is theirs."""
    data: NewAccount = validate(NewAccount, {"email": email, "name": name})
    async with session_scope() as session:
        is_verified = password is not None
        made = await accounts.create(
            session, by=None, email=data.email, name=data.name, password=password, is_verified=is_verified, **flags
        )
        if password is None:
            await accounts.send_reset(session, made.id, by=None)


async def _change_password(email: str, password: str) -> None:
    async with session_scope(read_only=True) as session:
        await _find(session, email)
    password = password or typer.prompt("New password", hide_input=True, confirmation_prompt=True)
    async with session_scope() as session:
        await accounts.replace_password(session, (await _find(session, email)).id, password, by=None)


async def _manage(act: Callable[..., Awaitable[User]], email: str) -> None:
    async with session_scope() as session:
        await act(session, (await _find(session, email)).id, by=None)


async def _reset_second_factor(email: str) -> bool:
    async with session_scope() as session:
        return await second_factor.reset(session, await _find(session, email), by=None)


async def _list_users(search: str) -> list[User]:
    async with session_scope(read_only=True) as session:
        return await accounts.list_users(session, search)


async def _list_keys(email: str) -> list[ApiKey]:
    async with session_scope(read_only=True) as session:
        owner = await _find(session, email)
        return list(await session.scalars(select(ApiKey).where(ApiKey.user_id == owner.id).order_by(col(ApiKey.id))))


async def _create_key(email: str, name: str, scopes: list[str], days: int) -> ApiKeyCreated:
    expires_at = clock.now() + timedelta(days=days) if days else None
    data: ApiKeyCreate = validate(ApiKeyCreate, {"name": name, "scopes": scopes, "expires_at": expires_at})
    async with session_scope() as session:
        return await api_keys.issue(session, (await _find(session, email)).id, data, by=None)


async def _revoke_key(key_id: UUID) -> None:
    async with session_scope() as session:
        await api_keys.revoke_any(session, key_id, by=None)


async def _find(session: AsyncSession, email: str) -> User:
    found = await accounts.find_by_email(session, email)
    if found is None:
        raise NotFound(f"There is no account with the e-mail {email}.")
    return found
