"""Everything together, on PostgreSQL: web processes, workers that are killed, a real SMTP server, and nothing lost or
told twice."""

import asyncio
import random
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email import message_from_bytes
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest_asyncio
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from alembic import command
from sqlalchemy.engine import make_url
from sqlmodel import select

from commands.migrations import alembic_config
from db import Database
from models import (
    DateKind,
    Household,
    Location,
    LocationKind,
    Lot,
    Membership,
    NotificationKind,
    Preference,
    Product,
    Role,
    Unit,
    User,
)
from services import seeding
from tests import processes
from tests.servers import create_database, drop_database, postgresql_server, settings_for

HOUSEHOLDS = 500
LOTS = 10
KILLS = 12
HTTP_PROCESSES = 2
WORKERS = 3


class Postbox:
    """An SMTP server that keeps what it accepts."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str]] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        message = message_from_bytes(envelope.original_content or b"")
        self.mails += [(recipient, str(message["Message-ID"])) for recipient in envelope.rcpt_tos]
        return "250 OK"


async def furnish(database: Database) -> None:
    """Households with one member each, who wants the digest at midnight, and lots that are due today."""
    # The processes live by the machine's clock.
    today = datetime.now(UTC).date()
    async with database.session_scope() as session:
        await seeding.seed_words(session)
        piece = (await session.scalars(select(Unit.id).where(Unit.code == "piece"))).one()
        users = [User(email=f"member{n}@example.com", hashed_password="-", name="Member") for n in range(HOUSEHOLDS)]
        homes = [Household(name="Home", next_sweep_at=datetime.now(UTC) - timedelta(days=1)) for _ in users]
        session.add_all([*users, *homes])
        await session.flush()
        fridges = [
            Location(household_id=home.id, name="Fridge", name_key="fridge", kind=LocationKind.FRIDGE) for home in homes
        ]
        products = [Product(household_id=home.id, name="Milk", name_key="milk", unit_id=piece) for home in homes]
        session.add_all([*fridges, *products])
        for user, home in zip(users, homes, strict=True):
            session.add(Membership(household_id=home.id, user_id=user.id, role=Role.OWNER))
            session.add(Preference(household_id=home.id, user_id=user.id, digest_at=0, wanted=WANTED))
        await session.flush()
        session.add_all(
            Lot(
                household_id=product.household_id,
                product_id=product.id,
                location_id=fridge.id,
                quantity=Decimal(1),
                purchased_quantity=Decimal(1),
                date_kind=DateKind.BEST_BEFORE,
                expires_on=today,
                purchased_on=today,
                version=1,
            )
            for product, fridge in zip(products, fridges, strict=True)
            for _ in range(LOTS)
        )


WANTED = {kind.value: ["in_app", "email"] for kind in NotificationKind}


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    with TemporaryDirectory(prefix="larder-") as folder, postgresql_server(Path(folder)) as server:
        url = await create_database(server)
        config = settings_for(url)
        await asyncio.to_thread(command.upgrade, alembic_config(config.database_url), "head")
        database = Database(config)
        await furnish(database)
        await database.dispose()
        yield url
        await drop_database(server, url)


def kill_all(workers: list[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        processes.kill(worker)


async def test_workers_that_are_killed_tell_everything_once(url: str) -> None:
    postbox = Postbox()
    smtp = Controller(postbox, hostname="127.0.0.1", port=processes.free_port())
    smtp.start()
    env = {
        "LARDER_DATABASE_URL": url,
        "LARDER_TASKS": "distributed",
        "LARDER_TASK_LEASE": "5",
        "LARDER_POOL_SIZE": "4",
        "LARDER_LOG_LEVEL": "ERROR",
        "LARDER_MAIL_URL": f"smtp://127.0.0.1:{smtp.port}?from=larder@example.com",
    }
    connection = await asyncpg.connect(make_url(url).render_as_string(hide_password=False))
    dice = random.Random(7)

    async def count(what: str) -> int:
        return int(await connection.fetchval(f"SELECT count(*) FROM {what}"))

    async def is_done() -> bool:
        return await count("notification") >= HOUSEHOLDS * LOTS and not await count("delivery WHERE status = 'pending'")

    try:
        with ExitStack() as stack:
            for _ in range(HTTP_PROCESSES):
                stack.enter_context(processes.serving(env=env))
            workers = [processes.start("worker", env=env) for _ in range(WORKERS)]
            stack.callback(kill_all, workers)
            kills = 0
            async with asyncio.timeout(180):
                while not await is_done():
                    await asyncio.sleep(dice.uniform(0.2, 1.5))
                    if kills < KILLS:
                        victim = dice.randrange(WORKERS)
                        processes.kill(workers[victim])
                        workers[victim] = processes.start("worker", env=env)
                        kills += 1

        told = await connection.fetch("SELECT user_id, lot_id, kind FROM notification")
        assert Counter(row["kind"] for row in told) == {"today": HOUSEHOLDS * LOTS}
        assert len({(row["user_id"], row["lot_id"]) for row in told}) == len(told)
        assert Counter(recipient for recipient, _id in postbox.mails) == {
            f"member{number}@example.com": 1 for number in range(HOUSEHOLDS)
        }
        assert await count("delivery WHERE status = 'sent'") == HOUSEHOLDS
        assert kills > 0
    finally:
        await connection.close()
        smtp.stop()
