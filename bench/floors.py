"""The floors under the app: the same answers with nothing between the driver and the socket that could be left out.

`uvicorn bench.floors:app` serves them on the database of BENCH_DATABASE_URL: no sign-in, no permissions, no tenancy
beyond the WHERE, no rules. `python -m bench.floors SECONDS THREADS` prints how many passwords a second this CPU
verifies.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import aiosqlite
import asyncpg
import msgspec
from fastapi import FastAPI, Request, Response

URL = os.environ.get("BENCH_DATABASE_URL", "")
IS_SQLITE = URL.startswith("sqlite")
POOL_SIZE = 10
THOUSANDTH = 1000  # of a unit, in the millionths that quantities are kept in

LIST = """
SELECT lot.id, product.id, product.name, unit.code, unit.name, unit.plural, unit.kind, coalesce(category.icon, ''),
       location.id, location.name, location.kind, lot.quantity, product.usual_quantity, lot.date_kind, lot.printed_on,
       lot.expires_on, lot.expiry_reason, lot.opened_on, lot.frozen_on, lot.thawed_on, lot.snoozed_until,
       lot.purchased_on, lot.purchased_quantity, lot.price, lot.store, lot.lot_code, lot.owner_id, lot.note,
       lot.version, coalesce(product.soon_days, category.soon_days, parent.soon_days, 5)
FROM lot
JOIN product ON product.id = lot.product_id
JOIN unit ON unit.id = product.unit_id
JOIN location ON location.id = lot.location_id
LEFT JOIN category ON category.id = product.category_id
LEFT JOIN category AS parent ON parent.id = category.parent_id
WHERE lot.household_id = $1 AND lot.quantity > 0
ORDER BY coalesce(lot.expires_on, '9999-12-31'), lot.id
LIMIT $2
"""
UPDATE = """
UPDATE lot SET quantity = quantity - $1, version = version + 1 WHERE id = $2
RETURNING household_id, product_id, version, quantity
"""
INSERT = """
INSERT INTO event (id, household_id, lot_id, product_id, lot_version, kind, quantity_delta, quantity_after, reason,
                   value, before, after, actor_id, on_behalf_of_id, occurred_at, group_id, reverses_id)
VALUES ($1, $2, $3, $4, $5, 'consume', $6, $7, NULL, 0, '{}', '{}', NULL, NULL, $8, $1, NULL)
"""


class Product(msgspec.Struct):
    id: Any
    name: str
    unit: str
    unit_name: str
    unit_plural: str
    unit_kind: str
    icon: str


class Location(msgspec.Struct):
    id: Any
    name: str
    kind: str


class Lot(msgspec.Struct):
    """As the app shows it, but with numbers as they are stored and without the rules for `urgency` and the like."""

    id: Any
    product: Product
    location: Location
    quantity: str
    usual_quantity: str
    date_kind: str
    printed_on: Any
    expires_on: Any
    expiry_reason: str | None
    opened_on: Any
    frozen_on: Any
    thawed_on: Any
    snoozed_until: Any
    purchased_on: Any
    purchased_quantity: str
    price: str | None
    store: str
    lot_code: str
    owner_id: Any
    note: str
    version: int
    days_left: int
    urgency: str = "fine"


class PostgreSQL:
    async def open(self) -> None:
        self.pool = await asyncpg.create_pool(URL, min_size=POOL_SIZE, max_size=POOL_SIZE)

    async def close(self) -> None:
        await self.pool.close()

    async def lots(self, household_id: str) -> Any:
        async with self.pool.acquire() as connection:
            return await connection.fetch(LIST, UUID(household_id), 100)

    async def consume(self, lot_id: str) -> Any:
        async with self.pool.acquire() as connection, connection.transaction():
            lot = await connection.fetchrow(UPDATE, THOUSANDTH, UUID(lot_id))
            at = datetime.now(UTC)
            await connection.execute(INSERT, uuid4(), lot[0], UUID(lot_id), lot[1], lot[2], -THOUSANDTH, lot[3], at)
        return lot


class SQLite:
    """One reader and one writer, set up as the app's are; more readers are slower on one CPU."""

    async def open(self) -> None:
        self.reader, self.writer = await self._connect(), await self._connect()
        self.is_writing = asyncio.Lock()

    async def close(self) -> None:
        await self.reader.close()
        await self.writer.close()

    async def lots(self, household_id: str) -> Any:
        return await self.reader.execute_fetchall(_numbered(LIST), (household_id, 100))

    async def consume(self, lot_id: str) -> Any:
        async with self.is_writing:
            await self.writer.execute("BEGIN IMMEDIATE")
            (lot,) = await self.writer.execute_fetchall(_numbered(UPDATE), (THOUSANDTH, lot_id))
            at = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
            row = (str(uuid4()), lot[0], lot_id, lot[1], lot[2], -THOUSANDTH, lot[3], at)
            await self.writer.execute_insert(_numbered(INSERT), row)
            await self.writer.execute("COMMIT")
        return lot

    async def _connect(self) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(URL.removeprefix("sqlite:///"), isolation_level=None)
        for pragma in ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            await connection.execute(f"PRAGMA {pragma}")
        return connection


def _numbered(sql: str) -> str:
    return sql.replace("$", "?")


driver: Any = SQLite() if IS_SQLITE else PostgreSQL()
encode = msgspec.json.Encoder().encode


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    await driver.open()
    yield
    await driver.close()


app = FastAPI(lifespan=lifespan, openapi_url=None)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/lots")
async def lots(household: str) -> Response:
    items = [_lot(row) for row in await driver.lots(household)]
    return Response(encode({"items": items, "next": None, "total": None}), media_type="application/json")


@app.post("/lots/{lot_id}/consume")
async def consume(lot_id: str, request: Request) -> Response:
    await request.body()
    lot = await driver.consume(lot_id)
    return Response(encode({"id": lot_id, "version": lot[2], "quantity": str(lot[3])}), media_type="application/json")


def _lot(row: Any) -> Lot:
    first = (row[0], Product(*row[1:8]), Location(*row[8:11]), str(row[11]), str(row[12] or row[11]))
    values: tuple[Any, ...] = (*first, *row[13:22], str(row[22]), str(row[23]), *row[24:])
    return Lot(*values)


def verified_per_second(seconds: float, threads: int) -> float:
    """Passwords verified with the app's parameters, as fast as so many threads can."""
    from pwdlib.hashers.argon2 import Argon2Hasher

    hasher = Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1)
    known = hasher.hash("a password 1")
    begun = time.perf_counter()

    def verify() -> int:
        count = 0
        while time.perf_counter() - begun < seconds:
            assert hasher.verify("a password 1", known)
            count += 1
        return count

    with ThreadPoolExecutor(threads) as pool:
        count = sum(pool.map(lambda _: verify(), range(threads)))
    return count / (time.perf_counter() - begun)


if __name__ == "__main__":
    print(verified_per_second(float(sys.argv[1]), int(sys.argv[2])))
