"""The ledger under random bookings: Hypothesis tells stories of adding, using, splitting, undoing and redoing.

The model knows nothing of how the ledger works. It sees a lot as a point in a tree of states: a booking leads to a new
point, taking it back leads to where it came from, and is possible only from where it led to.
`LARDER_TEST_SEQUENCES` says how many stories are told on each database.
"""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db import Database
from models import DiscardReason, Event, EventKind, LocationKind, Lot
from services import events, ledger, stock
from services.core import clock
from services.core.errors import Conflict, InvalidInput
from services.permissions import Actor
from services.schemas.stock import (
    LotConsume,
    LotCorrect,
    LotDiscard,
    LotFreeze,
    LotMove,
    LotOpen,
    LotSnooze,
    LotThaw,
    LotUpdate,
    ProductConsume,
)
from settings import Settings
from tests.conftest import NOW, TODAY, RolledBack, make_actor
from tests.factories import assert_ledger_holds, make_lot, place_of

SEQUENCES = int(os.environ.get("LARDER_TEST_SEQUENCES", "60"))
T = TypeVar("T")

Snapshot = tuple[Any, ...]
amounts = st.sampled_from([Decimal("0.5"), Decimal(1), Decimal("1.25"), Decimal(3)])
picks = st.integers(0, 10_000)
places = st.sampled_from([LocationKind.FRIDGE, LocationKind.PANTRY, LocationKind.FREEZER])
COMPARED = tuple(name for name in ledger.COLUMNS if name != "version")


@dataclass(frozen=True)
class Point:
    """A state a lot has been in; two are the same only if one is the other."""

    snapshot: Snapshot
    name: UUID


@dataclass(frozen=True)
class Booked:
    """An event, and the points of its lot before and after."""

    event_id: UUID
    lot_id: UUID
    group_id: UUID
    kind: EventKind
    before: Point
    after: Point


class LedgerStory(RuleBasedStateMachine):
    """One household's day with its stock."""

    runner: asyncio.Runner
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.actor: Actor = make_actor("alice")
        self.now = NOW
        self.points: dict[UUID, Point] = {}
        self.booked: list[Booked] = []
        self.reversed: set[UUID] = set()

    @initialize()
    def begin(self) -> None:
        async def connect() -> None:
            self.connection = await self.database.writer.connect()
            self.transaction = await self.connection.begin()
            self.rolled_back = RolledBack(self.connection, self.database.url)

        self.runner.run(connect())
        self.run(self._find_places())

    def teardown(self) -> None:
        async def disconnect() -> None:
            await self.transaction.rollback()
            await self.connection.close()

        self.runner.run(disconnect())

    async def _find_places(self) -> None:
        async with self.rolled_back.session_scope() as session:
            self.places = {kind: await place_of(session, self.actor, kind) for kind in LocationKind}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        with clock.frozen(self.now):
            return self.runner.run(work)

    # What happened, told to the model

    async def _lots(self, session: AsyncSession) -> dict[UUID, Snapshot]:
        columns = [getattr(Lot, name) for name in COMPARED]
        rows = await session.execute(sa.select(*columns).where(col(Lot.household_id) == self.actor.household_id))
        return {row[COMPARED.index("id")]: tuple(row) for row in rows}

    async def _learn(self, session: AsyncSession) -> None:
        """Read the new events, each of which leads its lot to a new point, or back to one it has been at."""
        news = sa.select(*(getattr(Event, name) for name in ("id", "lot_id", "group_id", "kind", "reverses_id")))
        if self.booked:
            news = news.where(col(Event.id) > self.booked[-1].event_id)
        mine = news.where(col(Event.household_id) == self.actor.household_id).order_by(col(Event.id))
        lots = await self._lots(session)
        by_id = {booked.event_id: booked for booked in self.booked}
        for event in await session.execute(mine):
            before = self.points.get(event.lot_id) or Point((), uuid4())
            if event.reverses_id:
                back = by_id[event.reverses_id]
                assert before == back.after
                assert lots[event.lot_id] == back.before.snapshot or back.before.snapshot == ()
                after = back.before
                self.reversed.add(back.event_id)
            else:
                after = Point(lots[event.lot_id], uuid4())
            booked = Booked(event.id, event.lot_id, event.group_id, event.kind, before, after)
            self.booked.append(booked)
            by_id[event.id] = booked
            self.points[event.lot_id] = after

    def book(self, act: Any) -> bool:
        """Do something in a transaction; refused, it must leave no trace."""

        async def attempt() -> bool:
            try:
                async with self.rolled_back.session_scope() as session:
                    await act(session)
            except (Conflict, InvalidInput):
                return False
            async with self.rolled_back.session_scope() as session:
                await self._learn(session)
                await assert_ledger_holds(session)
            return True

        return self.run(attempt())

    def some_lot(self, pick: int) -> UUID:
        return list(self.points)[pick % len(self.points)]

    # What people do

    @rule(quantity=amounts, place=places, name=st.sampled_from(["Milk", "Salt"]), days=st.none() | st.integers(-3, 30))
    def add(self, quantity: Decimal, place: LocationKind, name: str, days: int | None) -> None:
        on = None if days is None else TODAY + timedelta(days=days)
        assert self.book(
            lambda session: make_lot(session, self.actor, product=name, quantity=quantity, place=place, expires_on=on)
        )

    @precondition(lambda self: self.points)
    @rule(pick=picks, quantity=st.none() | amounts)
    def consume(self, pick: int, quantity: Decimal | None) -> None:
        lot_id = self.some_lot(pick)
        left = self._left(lot_id)
        done = self.book(lambda session: stock.consume(session, self.actor, lot_id, LotConsume(quantity=quantity)))
        assert done is (left > 0 and (quantity or left) <= left)

    @precondition(lambda self: self.points)
    @rule(pick=picks, quantity=st.none() | amounts)
    def discard(self, pick: int, quantity: Decimal | None) -> None:
        data = LotDiscard(quantity=quantity, reason=DiscardReason.OTHER)
        self.book(lambda session: stock.discard(session, self.actor, self.some_lot(pick), data))

    @precondition(lambda self: self.points)
    @rule(pick=picks, quantity=st.none() | amounts)
    def open(self, pick: int, quantity: Decimal | None) -> None:
        self.book(lambda session: stock.open_lot(session, self.actor, self.some_lot(pick), LotOpen(quantity=quantity)))

    @precondition(lambda self: self.points)
    @rule(pick=picks, quantity=st.none() | amounts)
    def freeze(self, pick: int, quantity: Decimal | None) -> None:
        data = LotFreeze(quantity=quantity, confirm=True)
        self.book(lambda session: stock.freeze(session, self.actor, self.some_lot(pick), data))

    @precondition(lambda self: self.points)
    @rule(pick=picks, quantity=st.none() | amounts)
    def thaw(self, pick: int, quantity: Decimal | None) -> None:
        self.book(lambda session: stock.thaw(session, self.actor, self.some_lot(pick), LotThaw(quantity=quantity)))

    @precondition(lambda self: self.points)
    @rule(pick=picks, quantity=st.none() | amounts, place=places)
    def move(self, pick: int, quantity: Decimal | None, place: LocationKind) -> None:
        data = LotMove(location_id=self.places[place], quantity=quantity, confirm=True)
        self.book(lambda session: stock.move(session, self.actor, self.some_lot(pick), data))

    @precondition(lambda self: self.points)
    @rule(pick=picks, quantity=st.just(Decimal(0)) | amounts)
    def correct(self, pick: int, quantity: Decimal) -> None:
        lot_id = self.some_lot(pick)
        assert self.book(lambda session: stock.correct(session, self.actor, lot_id, LotCorrect(quantity=quantity)))
        assert self._left(lot_id) == quantity

    @precondition(lambda self: self.points)
    @rule(pick=picks, days=st.integers(1, 9))
    def snooze(self, pick: int, days: int) -> None:
        data = LotSnooze(until=TODAY + timedelta(days=days))
        assert self.book(lambda session: stock.snooze(session, self.actor, self.some_lot(pick), data))

    @precondition(lambda self: self.points)
    @rule(pick=picks, days=st.none() | st.integers(-5, 60), note=st.sampled_from(["", "for Sunday"]))
    def edit(self, pick: int, days: int | None, note: str) -> None:
        on = None if days is None else TODAY + timedelta(days=days)
        data = LotUpdate(expires_on=on, note=note)
        assert self.book(lambda session: stock.edit(session, self.actor, self.some_lot(pick), data))

    @precondition(lambda self: self.points)
    @rule(quantity=amounts, place=st.none() | places)
    def consume_product(self, quantity: Decimal, place: LocationKind | None) -> None:
        """Opened first, then what expires first, then what was bought first; all or nothing."""
        column = COMPARED.index
        first = next(iter(self.points.values())).snapshot
        product_id = first[column("product_id")] if first else None
        if product_id is None:
            return
        location_id = self.places[place] if place else None
        lots = {
            lot_id: dict(zip(COMPARED, point.snapshot, strict=True))
            for lot_id, point in self.points.items()
            if point.snapshot
        }
        usable = {
            lot_id: lot
            for lot_id, lot in lots.items()
            if lot["product_id"] == product_id and location_id in {None, lot["location_id"]}
        }
        order = sorted(
            usable,
            key=lambda lot_id: (
                usable[lot_id]["opened_on"] is None,
                usable[lot_id]["expires_on"] is None,
                usable[lot_id]["expires_on"] or TODAY,
                usable[lot_id]["purchased_on"],
                lot_id,
            ),
        )
        expected, needed = {}, quantity
        for lot_id in order:
            taken = min(needed, usable[lot_id]["quantity"])
            if taken:
                expected[lot_id] = usable[lot_id]["quantity"] - taken
                needed -= taken
        data = ProductConsume(quantity=quantity, location_id=location_id)

        done = self.book(lambda session: stock.consume_product(session, self.actor, product_id, data))

        assert done is (needed == 0)
        if done:
            assert {lot_id: self._left(lot_id) for lot_id in expected} == expected

    @precondition(lambda self: self.booked)
    @rule(pick=picks, whole_group=st.booleans())
    def undo(self, pick: int, whole_group: bool) -> None:
        """Undo any booking, also an undo. The model says whether it may work, and where it must lead."""
        event = self.booked[-1 - pick % len(self.booked)]
        together = whole_group or self._about(event) in ledger.SPLITTING
        targets = [other for other in self.booked if other.group_id == event.group_id] if together else [event]
        possible = all(
            self.points[target.lot_id] == target.after and target.event_id not in self.reversed for target in targets
        )

        done = self.book(lambda session: events.undo(session, self.actor, event.event_id, whole_group=whole_group))

        assert done is possible
        if done:
            assert all(self.points[target.lot_id] == target.before for target in targets)

    @rule(days=st.integers(1, 4))
    def sleep(self, days: int) -> None:
        self.now += timedelta(days=days)

    def _left(self, lot_id: UUID) -> Decimal:
        snapshot = self.points[lot_id].snapshot
        return snapshot[COMPARED.index("quantity")] if snapshot else Decimal(0)

    def _about(self, event: Booked) -> EventKind:
        """What a booking is about; of an undo, what it took back."""
        if event.kind is not EventKind.UNDO:
            return event.kind
        return next(other.kind for other in self.booked if (other.before, other.after) == (event.after, event.before))


@pytest.fixture
def _story_database(database: Database, config: Settings) -> Iterator[None]:
    """Its own loop and connections: Hypothesis is not asynchronous. `database` has the schema and the cast in it."""
    with asyncio.Runner() as runner:
        LedgerStory.runner = runner
        LedgerStory.database = Database(config)
        yield
        runner.run(LedgerStory.database.dispose())


@pytest.mark.usefixtures("_story_database")
def test_no_story_breaks_the_ledger() -> None:
    run_state_machine_as_test(
        LedgerStory,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
