"""Tasks that tests watch. They write what they do into a table of their own, each thing once."""

import asyncio

import sqlalchemy as sa

from db import session_scope
from services import jobs
from services.core.tasks import task
from services.jobs.runs import WORKER

metadata = sa.MetaData()
effect = sa.Table(
    "effect", metadata, sa.Column("name", sa.String(100), primary_key=True), sa.Column("worker", sa.String(100))
)

OURS = ("write", "break", "again", "hold", "yearly", "prune_jobs")
SECRET = "hunter2"


@task("write")
async def write(name: str) -> str:
    """Write it once; a second time fails."""
    await note(name)
    return f"wrote {name}"


@task("break", max_attempts=3)
async def fail() -> str:
    raise ValueError(f"the password is {SECRET}")


@task("again")
async def again(key: str) -> str:
    """Ask for another one like this, under the same key, while this one runs."""
    async with session_scope() as session:
        await jobs.defer(session, "write", dedupe_key=key, name="another")
    return "asked"


@task("hold")
async def hold(name: str) -> str:
    """Begin, wait to be let go, and end."""
    if not await is_noted(f"{name} began"):
        await note(f"{name} began")
    while not await is_noted(f"{name} may end"):  # noqa: ASYNC110  (another process says so)
        await asyncio.sleep(0.05)
    await note(f"{name} ended")
    return f"held {name}"


# New Year's Eve is seldom the day of a test.
@task("yearly", cron="59 23 31 12 *")
async def yearly() -> str:
    return "another year"


async def note(name: str) -> None:
    async with session_scope() as session:
        await session.execute(sa.insert(effect).values(name=name, worker=WORKER))


async def is_noted(name: str) -> bool:
    async with session_scope(read_only=True) as session:
        return (await session.scalars(sa.select(effect.c.name).where(effect.c.name == name))).first() is not None
