"""seed, dbshell."""

import os
import secrets
import shutil
import subprocess
from collections import Counter
from typing import Annotated

import typer

from commands import initial
from commands.asynchronous import fail, run
from commands.roles import registry
from db import session_scope
from services import accounts, demo, demo_talk, seeding
from settings import get_settings

NOUNS = {"endpoint": "endpoints", "menu": "menu items", "role": "staff roles", "dictionary": "choices"}
DEMO_EMAIL = "demo@larder.example"


def seed(
    demo: Annotated[bool, typer.Option("--demo", help="Also make a lively household to look around in.")] = False,
) -> None:
    """Fill in units, food categories, and what `init` does. Safe to run again: what staff changed stays."""
    if demo and get_settings().is_production:
        fail("No demo household in production.")
        raise typer.Exit(1)
    changed = run(_seed_words())
    written = Counter(NOUNS[found.kind] for found in run(initial.apply(registry())) if not found.is_drift)
    for counts in (changed, {noun: written[noun] for noun in NOUNS.values()}):
        typer.echo(", ".join(f"{count} {noun}" for noun, count in counts.items()) + " new or changed.")
    if demo:
        _seed_demo()


async def _seed_words() -> dict[str, int]:
    async with session_scope() as session:
        return await seeding.seed_words(session)


def _seed_demo() -> None:
    password = f"{secrets.token_urlsafe(9)}7a"
    if not run(_make_demo(password)):
        typer.echo(f"The demo household of {DEMO_EMAIL} is there already.")
        return
    typer.echo(f"Sign in as {DEMO_EMAIL} with the password {password} (shown this once).")


async def _make_demo(password: str) -> bool:
    async with session_scope() as session:
        if await accounts.find_by_email(session, DEMO_EMAIL):
            return False
        somebody = await demo.make_household(
            session,
            lambda email, name: accounts.make(session, email=email, password=password, name=name),
            owner_email=DEMO_EMAIL,
        )
    await demo_talk.show_fridge(somebody)
    return True


def dbshell() -> None:
    """Open the database's own shell: sqlite3 or psql."""
    settings = get_settings()
    url = settings.url
    if settings.is_sqlite:
        command = ["sqlite3", url.database or ""]
        environment = dict(os.environ)
    else:
        options = {"--host": url.host or url.query.get("host"), "--port": url.port, "--username": url.username}
        command = ["psql", *(f"{name}={value}" for name, value in options.items() if value), str(url.database)]
        # Never on the command line, where other users of the machine can read it.
        variables = {"PGPASSWORD": url.password, "PGSSLMODE": url.query.get("ssl")}
        environment = {**os.environ, **{name: str(value) for name, value in variables.items() if value}}
    program = shutil.which(command[0])
    if program is None:
        fail(f"{command[0]} is not installed.")
        raise typer.Exit(1)
    raise typer.Exit(subprocess.run([program, *command[1:]], env=environment, check=False).returncode)
