"""Numbers: counted by the database as Python would count them."""

import math
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from models import MonitoredQuery, MonitoredRequest, MonitoredShape
from services import monitor
from services.core.pagination import PageRequest
from services.monitor.recorder import shape_of
from services.schemas.monitor import RequestFilters, Window
from tests.conftest import NOW


def request(ms: float, *, minutes: float = 1, route: str = "stock:list", **fields: Any) -> MonitoredRequest:
    values: dict[str, Any] = {"method": "GET", "path": "/stock", "status": 200, **fields}
    return MonitoredRequest(at=NOW - timedelta(minutes=minutes), route=route, ms=ms, **values)


async def test_percentiles_are_those_of_the_durations(session: AsyncSession) -> None:
    durations = [((n * 37) % 200) + 0.5 for n in range(200)]
    session.add_all(request(ms, status=500 if n % 50 == 0 else 200, query_count=3) for n, ms in enumerate(durations))
    await session.commit()

    totals = (await monitor.overview(session, Window.HOUR)).totals

    durations.sort()
    for found, share in ((totals.p50, 0.5), (totals.p95, 0.95), (totals.p99, 0.99)):
        assert found == durations[math.ceil(share * 200) - 1]
    assert (totals.count, totals.errors, totals.slowest, totals.queries) == (200, 4, 199.5, 3)
    assert totals.average == pytest.approx(100)
    assert totals.error_rate == 0.02


async def test_of_samples_they_are_those_of_all(session: AsyncSession) -> None:
    session.add_all([request(10, weight=98), request(500, weight=1), request(900, weight=1, status=500)])
    await session.commit()

    totals = (await monitor.overview(session, Window.DAY)).totals

    assert (totals.count, totals.p50, totals.p95, totals.p99, totals.errors) == (100, 10, 10, 500, 1)


@pytest.mark.parametrize(("window", "buckets"), [("1h", 60), ("24h", 48), ("7d", 56), ("30d", 60)])
async def test_the_trend_has_every_part_of_the_window(window: str, buckets: int, session: AsyncSession) -> None:
    session.add_all([request(5, minutes=1), request(7, minutes=2), request(9, minutes=60 * 24 * 45)])
    await session.commit()

    found = await monitor.overview(session, Window(window))

    assert len(found.trend) == buckets
    assert len({later.at - earlier.at for earlier, later in pairwise(found.trend)}) == 1
    assert sum(bucket.numbers.count for bucket in found.trend) == found.totals.count == 2
    assert found.trend[-1].at <= NOW
    assert found.trend[-1].numbers.count + found.trend[-2].numbers.count + found.trend[-3].numbers.count == 2


async def test_nothing_at_all_is_no_error(session: AsyncSession) -> None:
    found = await monitor.overview(session, Window.MONTH)

    assert (found.totals.count, found.totals.error_rate, found.per_second) == (0, 0, 0)
    assert not found.routes
    assert not found.slow_queries
    assert not found.repetitions


async def test_the_slowest_routes_and_statements_come_first(session: AsyncSession) -> None:
    rows = [request(n, route=f"route:{n}") for n in range(15)]
    session.add_all(rows)
    session.add_all(MonitoredShape(id=str(n), sql=f"SELECT {n}") for n in range(15))
    await session.flush()
    session.add_all(
        MonitoredQuery(request_id=row.id, at=row.at, shape_id=str(n), count=2, ms=2 * n, slowest_ms=1.5 * n)
        for n, row in enumerate(rows)
    )
    await session.commit()

    found = await monitor.overview(session, Window.HOUR)

    assert [row.route for row in found.routes[:3]] == ["route:14", "route:13", "route:12"]
    assert len(found.routes) == len(found.slow_queries) == 10
    slowest = found.slow_queries[0]
    assert (slowest.sql, slowest.times, slowest.average, slowest.slowest) == ("SELECT 14", 2, 14, 21)
    assert slowest.request_id == rows[14].id


async def test_requests_are_found_page_by_page(session: AsyncSession) -> None:
    session.add_all(
        request(n, status=200 + 100 * (n % 4), path=f"/stock/{'%' if n == 3 else n}", request_id=str(n))
        for n in range(12)
    )
    await session.commit()

    async def find(limit: int = 50, after: str | None = None, **filters: object) -> list[float]:
        chosen = RequestFilters.model_validate(filters)
        return [row.ms for row in (await monitor.list_requests(session, chosen, PageRequest(limit, after))).items]

    assert await find() == list(range(11, -1, -1))
    assert await find(status=5) == [11, 7, 3]
    assert await find(slower=10) == [11, 10]
    assert await find(path="k/%") == [3]
    assert await find(request="4") == [4]
    assert await find(route="stock:list", method="POST") == []
    page = await monitor.list_requests(session, RequestFilters(), PageRequest(limit=5))
    assert await find(5, page.next) == [6, 5, 4, 3, 2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t WHERE id IN (?, ?)", "SELECT a FROM t WHERE id IN (?, ?, ?, ?)"),
        ("SELECT a WHERE id IN ($2::UUID, $3::UUID) AND b = $4", "SELECT a WHERE id IN ($2::UUID) AND b = $3"),
        ("INSERT INTO t (a, b) VALUES (?, ?)", "INSERT INTO t (a, b) VALUES (?, ?), (?, ?), (?, ?)"),
    ],
)
def test_statements_that_differ_in_how_many_values_they_have_are_of_one_shape(one: str, other: str) -> None:
    assert shape_of(one) == shape_of(other)
    assert shape_of(one) != shape_of(one.replace("a", "c"))
