"""How it goes: what the recorders of all processes wrote down, added up by the database.

Where not every request is kept, each that is stands for `weight` of its kind, so that totals, rates and percentiles
are those of all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from db import epoch, like
from models import MonitoredQuery, MonitoredRequest, MonitoredShape, Problem, User
from services.core import clock
from services.core.errors import NotFound
from services.core.i18n import _
from services.core.pagination import Page, PageRequest, by_id, fetch_page
from services.schemas.monitor import RequestFilters, Window

MOST = 10
# So often in one request, a statement is likely to be one in a loop.
REPEATED = 5

_LENGTHS: Mapping[Window, tuple[timedelta, timedelta]] = {
    Window.HOUR: (timedelta(hours=1), timedelta(minutes=1)),
    Window.DAY: (timedelta(hours=24), timedelta(minutes=30)),
    Window.WEEK: (timedelta(days=7), timedelta(hours=3)),
    Window.MONTH: (timedelta(days=30), timedelta(hours=12)),
}


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of some requests; times are in milliseconds."""

    count: float = 0
    errors: float = 0
    average: float = 0
    p50: float = 0
    p95: float = 0
    p99: float = 0
    slowest: float = 0
    queries: float = 0
    query_ms: float = 0

    @property
    def error_rate(self) -> float:
        return self.errors / self.count if self.count else 0


@dataclass(frozen=True, slots=True)
class Bucket:
    """A part of the window."""

    at: datetime
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class RouteNumbers:
    route: str
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class SlowQuery:
    sql: str
    times: int
    average: float
    slowest: float
    request_id: UUID


@dataclass(frozen=True, slots=True)
class Repetition:
    """A statement that runs again and again in one request: an N+1, perhaps."""

    route: str
    sql: str
    most: int
    requests: int
    request_id: UUID


@dataclass(frozen=True, slots=True)
class Overview:
    window: Window
    since: datetime
    totals: Numbers
    per_second: float
    trend: Sequence[Bucket]
    routes: Sequence[RouteNumbers]
    slow_queries: Sequence[SlowQuery]
    repetitions: Sequence[Repetition]


@dataclass(frozen=True, slots=True)
class Query:
    sql: str
    count: int
    ms: float
    slowest_ms: float
    started_ms: float


@dataclass(frozen=True, slots=True)
class Detail:
    request: MonitoredRequest
    queries: Sequence[Query]
    user: str
    problem: Problem | None


async def overview(session: AsyncSession, window: Window) -> Overview:
    length, step = _LENGTHS[window]
    seconds = int(step.total_seconds())
    # Buckets are whole, so that the first is no smaller than the others.
    start = int((clock.now() - length).timestamp()) // seconds * seconds + seconds
    since = datetime.fromtimestamp(start, UTC)
    number = (epoch(col(MonitoredRequest.at)) - start) // seconds
    found = {int(key): numbers for key, numbers in await _numbers(session, since, number)}
    buckets = [
        Bucket(since + index * step, found.get(index, Numbers()))
        for index in range(int(length.total_seconds()) // seconds)
    ]
    totals = [numbers for _key, numbers in await _numbers(session, since, sa.literal(0))]
    by_route = [
        RouteNumbers(str(key), n)
        for key, n in await _numbers(session, since, sa.type_coerce(col(MonitoredRequest.route), sa.String))
    ]
    return Overview(
        window=window,
        since=since,
        totals=totals[0] if totals else Numbers(),
        per_second=totals[0].count / (clock.now() - since).total_seconds() if totals else 0,
        trend=buckets,
        routes=sorted(by_route, key=lambda row: row.numbers.p95, reverse=True)[:MOST],
        slow_queries=await _slow_queries(session, since),
        repetitions=await _repetitions(session, since),
    )


async def list_requests(session: AsyncSession, filters: RequestFilters, page: PageRequest) -> Page[MonitoredRequest]:
    """Newest first."""
    statement = select(MonitoredRequest)
    row = MonitoredRequest
    if filters.method:
        statement = statement.where(row.method == filters.method)
    if filters.route:
        statement = statement.where(row.route == filters.route)
    if filters.path:
        statement = statement.where(col(row.path).like(like(filters.path), escape="\\"))
    if filters.status:
        statement = statement.where(col(row.status).between(filters.status * 100, filters.status * 100 + 99))
    if filters.slower is not None:
        statement = statement.where(col(row.ms) >= filters.slower)
    if filters.request:
        statement = statement.where(row.request_id == filters.request)
    return await fetch_page(session, statement, page, by_id(col(row.id)), descending=True)


async def get_request(session: AsyncSession, request_id: UUID) -> Detail:
    """One request and its statements, in the order they began. Raises `NotFound`."""
    request = await session.get(MonitoredRequest, request_id)
    if request is None:
        raise NotFound(_("The monitor does not remember this request."))
    rows = await session.execute(
        sa.select(
            sa.func.coalesce(col(MonitoredShape.sql), ""),
            col(MonitoredQuery.count),
            col(MonitoredQuery.ms),
            col(MonitoredQuery.slowest_ms),
            col(MonitoredQuery.started_ms),
        )
        .outerjoin(MonitoredShape, col(MonitoredShape.id) == col(MonitoredQuery.shape_id))
        .where(col(MonitoredQuery.request_id) == request_id)
        .order_by(col(MonitoredQuery.started_ms), col(MonitoredQuery.shape_id))
    )
    user = await session.get(User, request.user_id) if request.user_id else None
    problem = await session.get(Problem, request.problem_id) if request.problem_id else None
    return Detail(request, [Query(*row) for row in rows.tuples()], user.name if user else "", problem)


async def _numbers(session: AsyncSession, since: datetime, group: sa.ColumnElement[Any]) -> list[tuple[Any, Numbers]]:
    """The numbers of each group. Percentiles are read off where the weights have added up so far."""
    row = MonitoredRequest
    ordered = {"partition_by": group, "order_by": (col(row.ms), col(row.id)), "rows": (None, 0)}
    ranked = (
        sa.select(
            group.label("part"),
            col(row.ms).label("ms"),
            col(row.weight).label("weight"),
            col(row.status).label("status"),
            col(row.query_count).label("query_count"),
            col(row.query_ms).label("query_ms"),
            sa.func.sum(col(row.weight)).over(**ordered).label("reached"),  # type: ignore[arg-type]
            sa.func.sum(col(row.weight)).over(partition_by=group).label("total"),
        )
        .where(col(row.at) >= since)
        .subquery()
    )
    c = ranked.c

    def percentile(share: float) -> sa.ColumnElement[float]:
        # Sums of weights are not exact.
        return sa.func.min(c.ms).filter(c.reached >= c.total * share - 1e-6)

    count = sa.func.sum(c.weight)
    rows = await session.execute(
        sa.select(
            c.part,
            count,
            sa.func.coalesce(sa.func.sum(c.weight).filter(c.status >= 500), 0),
            sa.func.sum(c.ms * c.weight) / count,
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            sa.func.max(c.ms),
            sa.func.sum(c.query_count * c.weight) / count,
            sa.func.sum(c.query_ms * c.weight) / count,
        ).group_by(c.part)
    )
    return [(part, Numbers(*map(float, values))) for part, *values in rows.tuples()]


async def _slow_queries(session: AsyncSession, since: datetime) -> list[SlowQuery]:
    slowest = sa.func.max(col(MonitoredQuery.slowest_ms))
    by_shape = (
        sa.select(
            col(MonitoredQuery.shape_id).label("shape_id"),
            sa.func.sum(col(MonitoredQuery.count)).label("times"),
            (sa.func.sum(col(MonitoredQuery.ms)) / sa.func.sum(col(MonitoredQuery.count))).label("average"),
            slowest.label("slowest"),
        )
        .where(col(MonitoredQuery.at) >= since)
        .group_by(col(MonitoredQuery.shape_id))
        .order_by(slowest.desc())
        .limit(MOST)
        .subquery()
    )
    example = (
        sa.select(col(MonitoredQuery.request_id))
        .where(col(MonitoredQuery.shape_id) == by_shape.c.shape_id, col(MonitoredQuery.at) >= since)
        .order_by(col(MonitoredQuery.slowest_ms).desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await session.execute(
        sa.select(col(MonitoredShape.sql), by_shape.c.times, by_shape.c.average, by_shape.c.slowest, example)
        .join(by_shape, by_shape.c.shape_id == col(MonitoredShape.id))
        .order_by(by_shape.c.slowest.desc())
    )
    return [SlowQuery(*row) for row in rows.tuples()]


async def _repetitions(session: AsyncSession, since: datetime) -> list[Repetition]:
    most = sa.func.max(col(MonitoredQuery.count))
    rows = await session.execute(
        sa.select(
            col(MonitoredRequest.route),
            col(MonitoredShape.sql),
            most,
            sa.func.count(),
            # The newest.
            sa.func.max(sa.cast(col(MonitoredQuery.request_id), sa.String)),
        )
        .select_from(MonitoredQuery)
        .join(MonitoredRequest, col(MonitoredRequest.id) == col(MonitoredQuery.request_id))
        .join(MonitoredShape, col(MonitoredShape.id) == col(MonitoredQuery.shape_id))
        .where(col(MonitoredQuery.at) >= since, col(MonitoredQuery.count) >= REPEATED)
        .group_by(col(MonitoredRequest.route), col(MonitoredShape.sql))
        .order_by(most.desc())
        .limit(MOST)
    )
    return [
        Repetition(route, sql, times, requests, UUID(request_id))
        for route, sql, times, requests, request_id in rows.tuples()
    ]
