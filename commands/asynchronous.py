"""Running a coroutine from a command: one event loop, one database, closed at the end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer
from sqlalchemy.exc import DBAPIError

from db import get_database, use_database
from services.core.errors import AppError, InvalidInput

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result. An expected failure is printed, and the command exits with 1."""

    async def and_close() -> T:
        try:
            return await work
        finally:
            await get_database().dispose()
            use_database(None)

    try:
        return asyncio.run(and_close())
    except InvalidInput as error:
        for field, message in error.fields.items():
            fail(f"{field}: {message}")
    except AppError as error:
        fail(str(error))
    except (DBAPIError, OSError) as error:
        # The first line says what; the rest is SQL, which may hold what people wrote.
        fail(f"The database: {str(error).splitlines()[0]}")
        fail("Is it running, is LARDER_DATABASE_URL right, and is it migrated (python oppman.py migrate)?")
    raise typer.Exit(1)


def fail(message: str) -> None:
    typer.secho(message, err=True, fg="red")
