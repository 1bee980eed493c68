"""Running a coroutine from a command, and telling what went wrong."""

import asyncio
import getpass
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncpg
import typer
from alembic.util import CommandError
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from db import get_database, use_database
from services.core.errors import AppError, InvalidInput
from services.core.origin import Origin, Source, set_origin

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result: one event loop, one database, closed at the end."""

    async def and_close() -> T:
        set_origin(Origin(Source.COMMAND, program=_operator()))
        try:
            return await work
        finally:
            await get_database().dispose()
            use_database(None)

    return asyncio.run(and_close())


def _operator() -> str:
    """Who is at the command line, as the operating system has it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, its user may have no name
        return f"uid {os.getuid()}"


@contextmanager
def telling() -> Iterator[None]:
    """Print an expected failure, and exit with 1."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever reads our output has had enough, which Typer knows
    except InvalidInput as error:
        for field, message in error.fields.items():
            fail(f"{field}: {message}")
    except (AppError, CommandError) as error:
        fail(str(error))
    except ValidationError as error:
        # Only the settings are checked by pydantic itself; everything else raises InvalidInput.
        for found in error.errors():
            name = "".join(f"LARDER_{part}: ".upper() for part in found["loc"])
            fail(f"{name}{found['msg'].removeprefix('Value error, ')}")
    except (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        if isinstance(error, OSError) and error.filename:
            fail(str(error))
        else:
            # The first line says what; the rest is SQL, which may hold what people wrote.
            fail(f"The database: {(str(error) or type(error).__name__).splitlines()[0]}")
            fail("Is it running, is LARDER_DATABASE_URL right, and is it migrated (python oppman.py migrate)?")
    else:
        return
    raise typer.Exit(1)


def fail(message: str) -> None:
    typer.secho(message, err=True, fg="red")
