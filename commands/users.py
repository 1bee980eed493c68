"""createsuperuser, changepassword."""

import os
from typing import Annotated

import typer
from fastapi_users import InvalidPasswordException
from sqlalchemy.ext.asyncio import AsyncSession

import auth
from commands.asynchronous import fail, run
from db import session_scope
from models import User
from services import sessions
from services.core.errors import InvalidInput, NotFound
from services.schemas.accounts import Register
from services.schemas.messages import validate

PASSWORD_VARIABLE = "LARDER_SUPERUSER_PASSWORD"  # noqa: S105  (its name, not its value)


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
    run(_create(email, name or "Admin", password))
    typer.echo(f"{email} can sign in at /login and use /admin.")


async def _create(email: str, name: str, password: str) -> None:
    data: Register = validate(Register, {"email": email, "name": name, "password": password})
    async with session_scope() as session:
        await auth.create_user(
            session, email=data.email, password=password, name=data.name, is_superuser=True, is_verified=True
        )


def changepassword(
    email: Annotated[str, typer.Argument(help="Whose.")],
    noinput: Annotated[bool, typer.Option("--noinput", help=f"Ask nothing: take {PASSWORD_VARIABLE}.")] = False,
) -> None:
    """Set a new password, and sign the user out everywhere."""
    password = os.environ.get(PASSWORD_VARIABLE, "") if noinput else ""
    if noinput and not password:
        fail(f"With --noinput, set {PASSWORD_VARIABLE}.")
        raise typer.Exit(2)
    run(_change(email, password))
    typer.echo(f"The password of {email} is changed, and every session has ended.")


async def _change(email: str, password: str) -> None:
    async with session_scope(read_only=True) as session:
        await _find(session, email)
    password = password or typer.prompt("New password", hide_input=True, confirmation_prompt=True)
    async with session_scope() as session:
        user = await _find(session, email)
        try:
            await auth.UserManager(session).set_password(user, password)
        except InvalidPasswordException as error:
            raise InvalidInput({"password": str(error.reason)}) from error
        await sessions.end_all(session, user.id)


async def _find(session: AsyncSession, email: str) -> User:
    user = await auth.UserDatabase(session, User).get_by_email(email)
    if user is None:
        raise NotFound(f"There is no account with the e-mail {email}.")
    return user
