"""What Prometheus reads: counted as it happens in each process, and asked of the database when it is read."""

import os
from collections.abc import Iterable
from datetime import timedelta

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import Delivery, DeliveryStatus, Household
from services.core import clock

REQUESTS = Counter("larder_http_requests_total", "Requests that were answered.", ("method", "route", "status"))
SECONDS = Histogram(
    "larder_http_request_seconds",
    "How long requests took.",
    ("method", "route"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SOCKETS = Gauge("larder_sockets", "Sockets that are open.", multiprocess_mode="livesum")

# A household whose hour came longer ago than this was not swept in time.
PUNCTUAL = timedelta(minutes=5)


class Found:
    """Numbers that were just asked for. Gauges would be kept beside those of other processes."""

    def __init__(self, *families: GaugeMetricFamily) -> None:
        self._families = families

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._families


async def read(session: AsyncSession) -> bytes:
    """All of it, in the text format."""
    deliveries = GaugeMetricFamily(
        "larder_deliveries", "Messages that are waiting or were given up.", labels=["status"]
    )
    late = GaugeMetricFamily("larder_households_late", "Households that should have been swept by now.")

    counted = await session.execute(
        sa.select(col(Delivery.status), sa.func.count())
        .where(col(Delivery.status).in_([DeliveryStatus.PENDING, DeliveryStatus.DEAD]))
        .group_by(col(Delivery.status))
    )
    found = dict(counted.tuples().all())
    for status in (DeliveryStatus.PENDING, DeliveryStatus.DEAD):
        deliveries.add_metric([status.value], found.get(status, 0))
    overdue = (
        select(sa.func.count()).select_from(Household).where(col(Household.next_sweep_at) < clock.now() - PUNCTUAL)
    )
    late.add_metric([], (await session.scalars(overdue)).one())

    registry = CollectorRegistry()
    registry.register(Found(deliveries, late))
    return _of_processes() + generate_latest(registry)


def _of_processes() -> bytes:
    """This process's counts, or those of all that share a folder (`runserver --workers`)."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
