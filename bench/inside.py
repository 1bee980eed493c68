"""What only shows from within the app: statements per request, and what its layers cost.

`python -m bench.inside` reads the household's JSON from its input and prints JSON.
"""

import asyncio
import json
import statistics
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any
from uuid import UUID

from httpx import ASGITransport, AsyncClient

from auth import COOKIE
from db import Statement, get_database, session_scope, statements
from main import create_app
from routes import rendering
from services.core import clock
from services.stock import queries

REPEATS = 60


async def look(world: dict[str, Any]) -> dict[str, Any]:
    async with AsyncClient(transport=ASGITransport(create_app()), base_url="http://127.0.0.1") as client:
        found = {
            "version": await version(),
            "statements": await count_statements(client, world),
            "rows": await time_rows(world),
            "page": await time_page(client, world),
        }
    await get_database().dispose()
    return found


async def version() -> str:
    async with session_scope(read_only=True) as session:
        connection = await session.connection()
        return ".".join(str(part) for part in connection.dialect.server_version_info or ())


async def count_statements(client: AsyncClient, world: dict[str, Any]) -> dict[str, int]:
    """How many statements each hot path sends; BEGIN and COMMIT are not counted."""
    household = f"/api/v1/households/{world['household']}"
    lot = f"{household}/lots/{world['lots'][0]}"
    bearer = {"Authorization": f"Bearer {world['access']}"}
    cookie = {"Cookie": f"{COOKIE}={world['cookie']}"}
    paths: dict[str, tuple[str, str, dict[str, str], dict[str, str] | None]] = {
        "List of 100 lots, JSON": ("GET", f"{household}/lots?limit=100", bearer, None),
        "Eat-first page": ("GET", "/", cookie, None),
        "One lot, JSON": ("GET", lot, bearer, None),
        "One consume": ("POST", f"{lot}/consume", bearer, {"quantity": "0.001"}),
        "Health": ("GET", "/healthz", {}, None),
    }
    counts = {}
    for title, (method, path, headers, body) in paths.items():
        recorded: list[Statement] = []
        statements.set(recorded)
        response = await client.request(method, path, headers=headers, json=body)
        response.raise_for_status()
        counts[title] = len(recorded)
    statements.set(None)
    return counts


async def time_page(client: AsyncClient, world: dict[str, Any]) -> dict[str, float]:
    """Medians for the home page, in microseconds: with its lines drawn before, and with none of them."""
    headers = {"Cookie": f"{COOKIE}={world['cookie']}", "Accept-Encoding": "identity"}

    async def known() -> None:
        await client.get("/", headers=headers)

    async def new() -> None:
        rendering._drawn_lot_line.cache_clear()  # noqa: SLF001
        await client.get("/", headers=headers)

    return await _medians({"all lines new": new, "all lines as before": known})


async def time_rows(world: dict[str, Any]) -> dict[str, float]:
    """Medians for fetching the rows of the list, in microseconds: by the driver, `db.Prepared`, and SQLAlchemy."""
    prepared = queries.list_statement(queries.Shape())
    statement = prepared._statement  # noqa: SLF001  (the same one, taken the long way)
    async with session_scope(read_only=True) as session:
        household_id = UUID(world["household"])
        parameters = {"household_id": household_id, "today": clock.today("UTC"), "soon_days": 5, "limit": 100}
        connection = await session.connection()
        await prepared.fetch(session, **parameters)
        compiled = prepared._compiled[connection.dialect.name]  # noqa: SLF001
        arguments = compiled.arguments(parameters)
        driver: Any = (await connection.get_raw_connection()).driver_connection

        async def by_driver() -> Any:
            if connection.dialect.name == "sqlite":
                return await driver.execute_fetchall(compiled.sql, arguments)
            return await driver.fetch(compiled.sql, *arguments)

        async def by_sqlalchemy() -> Any:
            return (await connection.execute(statement, parameters)).all()

        return await _medians(
            {
                "the driver": by_driver,
                "`db.Prepared`": lambda: prepared.fetch(session, **parameters),
                "SQLAlchemy": by_sqlalchemy,
            }
        )


async def _medians(ways: dict[str, Callable[[], Awaitable[Any]]]) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, way in ways.items():
            begun = perf_counter()
            await way()
            taken[name].append((perf_counter() - begun) * 1e6)
    return {name: statistics.median(times) for name, times in taken.items()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(look(json.load(sys.stdin)))))
