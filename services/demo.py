"""A lively household to look around in: five months of shopping, eating, freezing, binning and changing one's mind.

Everything is booked through the services, at the moments it would have happened, so the ledger is a real one. The
same seed tells the same story every time, up to today.
"""

import csv
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import (
    CatalogueItem,
    CatalogueSource,
    Category,
    DateKind,
    DiscardReason,
    Household,
    Location,
    LocationKind,
    Lot,
    Membership,
    Role,
    Theme,
    User,
)
from services import demo_talk, events, households, locations, products, stock
from services.core import clock, gtin
from services.core.errors import Conflict
from services.core.ids import new_id
from services.core.text import fold
from services.permissions import Actor
from services.schemas.households import HouseholdCreate
from services.schemas.products import BarcodeCreate, ProductCreate, ProductUpdate
from services.schemas.stock import LotConsume, LotCreate, LotDiscard, LotFreeze, LotOpen, LotThaw
from services.schemas.words import LocationCreate
from services.seeding import FOLDER

DAYS = 150
TIME_ZONE = "Europe/Berlin"
SHOPPING_DAYS = frozenset({1, 4, 5})
STORES = ("Green Grocer", "Corner Market", "Discount")
MakeUser = Callable[[str, str], Awaitable[User]]


@dataclass(frozen=True, slots=True)
class Staple:
    """Something the household buys again and again: a row of `seeds/demo.csv`."""

    name: str
    unit: str
    quantity: Decimal
    eaten: Decimal
    every: int
    price: Decimal
    days: int | None
    place: str
    kind: DateKind | None
    barcode: str


async def make_household(session: AsyncSession, make_user: MakeUser, *, owner_email: str) -> Actor:
    """The household, its two people, its story and what they say; the one of them who can show a picture of it.

    Words must be seeded.
    """
    now = clock.now()
    start = now - timedelta(days=DAYS)
    with clock.frozen(start):
        owner = await make_user(owner_email, "Robin Baker")
        partner = await make_user(f"partner.{owner_email}", "Sam Oduya")
        made = await households.create_household(
            session, owner, HouseholdCreate(name="Elm Street 12", time_zone=TIME_ZONE, locale="en-GB")
        )
        session.add(Membership(household_id=made.id, user_id=partner.id, role=Role.MEMBER))
        await session.flush()
        household = await session.get_one(Household, made.id)
        robin, sam = _actor(household, owner, Role.OWNER), _actor(household, partner, Role.MEMBER)
        places = await _make_places(session, robin)
        staples = _read_staples()
        await _make_catalogue(session, staples)
        ids = await _make_products(session, robin, staples, places)
    story = _Story(session, Random(12), [robin, sam, sam], places, ids)  # noqa: S311  (the same story every time)
    day = start.astimezone(ZoneInfo(TIME_ZONE)).date()
    today = now.astimezone(ZoneInfo(TIME_ZONE)).date()
    while day <= today:
        latest = now if day == today else None
        await story.live(day, staples, latest=latest)
        day += timedelta(days=1)
    await demo_talk.talk(session, (robin, sam), ids)
    return sam


class _Story:
    def __init__(
        self,
        session: AsyncSession,
        chance: Random,
        people: list[Actor],
        places: dict[str, UUID],
        product_ids: dict[str, UUID],
    ) -> None:
        self.session = session
        self.chance = chance
        self.people = people
        self.places = places
        self.product_ids = product_ids
        self.bought_on: dict[str, date] = {}

    async def live(self, day: date, staples: list[Staple], *, latest: datetime | None) -> None:
        """One day: what is past goes into the bin, then shopping, then meals."""
        for hour, act in ((8, self._tidy), (11, self._shop), (19, self._eat)):
            at = datetime.combine(day, time(hour, self.chance.randrange(60)), ZoneInfo(TIME_ZONE))
            if latest is not None and at > latest:
                return
            with clock.frozen(at):
                await act(day, staples)

    async def _tidy(self, day: date, _staples: list[Staple]) -> None:
        for lot in await self._lots():
            if lot.expires_on is None or lot.frozen_on is not None:
                continue
            days = (day - lot.expires_on).days
            # Meat goes at once, the rest when somebody notices; some goes early.
            is_due = days >= 1 if lot.date_kind is DateKind.USE_BY else days > self.chance.randrange(3, 9)
            if is_due:
                reason = DiscardReason.EXPIRED if self.chance.random() < 0.7 else DiscardReason.LEFTOVER
                await stock.discard(self.session, self._someone(), lot.id, LotDiscard(reason=reason))
            elif days == 0 and lot.date_kind is DateKind.USE_BY and self.chance.random() < 0.25:
                await stock.freeze(self.session, self._someone(), lot.id, LotFreeze(confirm=True))
            elif self.chance.random() < 0.004:
                early = LotDiscard(reason=DiscardReason.SPOILED_EARLY)
                await stock.discard(self.session, self._someone(), lot.id, early)

    async def _shop(self, day: date, staples: list[Staple]) -> None:
        if self.bought_on and day.weekday() not in SHOPPING_DAYS:
            return
        store, group_id, actor = self.chance.choice(STORES), new_id(), self._someone()
        for staple in staples:
            last = self.bought_on.get(staple.name)
            if last is not None and (day - last).days < staple.every + self.chance.randrange(-1, 3):
                continue
            self.bought_on[staple.name] = day
            await stock.add(self.session, actor, self._purchase(day, staple, store), group_id=group_id)

    def _purchase(self, day: date, staple: Staple, store: str) -> LotCreate:
        printed = None
        if staple.days is not None:
            spread = max(staple.days // 6, 1)
            printed = day + timedelta(days=staple.days + self.chance.randrange(-spread, spread + 1))
        price = (staple.price * Decimal(self.chance.randrange(90, 116)) / 100).quantize(Decimal("0.01"))
        return LotCreate(
            product_id=self.product_ids[staple.name],
            quantity=staple.quantity,
            location_id=self.places[staple.place],
            expires_on=printed,
            date_kind=staple.kind if printed or staple.kind is DateKind.NONE else None,
            price=price,
            store=store,
        )

    async def _eat(self, day: date, staples: list[Staple]) -> None:
        eaten = {self.product_ids[staple.name]: staple for staple in staples}
        seen: set[UUID] = set()
        lots = await self._lots()
        for lot in sorted(lots, key=lambda lot: (lot.opened_on is None, lot.expires_on or date.max, lot.id)):
            staple = eaten[lot.product_id]
            portion = min(staple.eaten, lot.quantity)
            if lot.product_id in seen or self.chance.random() > _appetite(staple):
                continue
            seen.add(lot.product_id)
            actor = self._someone()
            if lot.frozen_on is not None:
                if self.chance.random() < 0.3:
                    await stock.thaw(self.session, actor, lot.id, LotThaw())
                continue
            if staple.unit in {"g", "ml"} and lot.opened_on is None:
                await stock.open_lot(self.session, actor, lot.id, LotOpen())
            booked = await stock.consume(self.session, actor, lot.id, LotConsume(quantity=portion))
            if self.chance.random() < 0.02:
                await self._take_back(actor, booked.event_id)
        _ = day

    async def _take_back(self, actor: Actor, event_id: UUID) -> None:
        try:
            await events.undo(self.session, actor, event_id)
        except Conflict:
            return

    async def _lots(self) -> list[Lot]:
        household_id = self.people[0].household_id
        statement = select(Lot).where(Lot.household_id == household_id, col(Lot.quantity) > 0).order_by(col(Lot.id))
        return list(await self.session.scalars(statement.execution_options(populate_existing=True)))

    def _someone(self) -> Actor:
        return self.chance.choice(self.people)


def _appetite(staple: Staple) -> float:
    """How likely some of it is eaten on a day, so that it lasts about as long as until it is bought again."""
    portions = max(staple.quantity / staple.eaten, Decimal(1))
    return min(float(portions) / staple.every * 0.92, 0.97)


def _actor(household: Household, user: User, role: Role) -> Actor:
    return Actor(
        user_id=user.id,
        session_id=uuid5(user.id, "demo"),
        name=user.name,
        email=user.email,
        locale=household.locale,
        theme=Theme.SYSTEM,
        is_superuser=False,
        household_id=household.id,
        household_name=household.name,
        role=role,
        time_zone=household.time_zone,
        currency=household.currency,
        soon_days=household.soon_days,
    )


async def _make_places(session: AsyncSession, actor: Actor) -> dict[str, UUID]:
    first = await session.scalars(select(Location).where(Location.household_id == actor.household_id))
    places = {location.kind.value: location.id for location in first}
    within = [
        ("door", LocationCreate(name="Door", parent_id=places[LocationKind.FRIDGE])),
        ("crisper", LocationCreate(name="Crisper", parent_id=places[LocationKind.FRIDGE])),
        ("bowl", LocationCreate(name="Fruit bowl", kind=LocationKind.PANTRY)),
    ]
    for key, data in within:
        places[key] = (await locations.create_location(session, actor, data)).id
    return places


def _read_staples() -> list[Staple]:
    with (FOLDER / "demo.csv").open(encoding="utf-8", newline="") as file:
        return [
            Staple(
                name=row["name"],
                unit=row["unit"],
                quantity=Decimal(row["quantity"]),
                eaten=Decimal(row["eaten"]),
                every=int(row["every"]),
                price=Decimal(row["price"]),
                days=int(row["days"]) if row["days"] else None,
                place=row["place"],
                kind=DateKind(row["kind"]) if row["kind"] else None,
                barcode=row["barcode"],
            )
            for row in csv.DictReader(file)
        ]


async def _make_catalogue(session: AsyncSession, staples: list[Staple]) -> None:
    """A few barcodes everybody knows, from the range GS1 keeps for use within a shop."""
    known = set(await session.scalars(select(CatalogueItem.gtin)))
    for staple in staples:
        code = gtin.normalise(staple.barcode) if staple.barcode else ""
        if not code or code in known:
            continue
        category = await session.scalars(select(Category.id).where(Category.name_key == fold(staple.name)))
        session.add(
            CatalogueItem(
                gtin=code,
                name=staple.name,
                name_key=fold(staple.name),
                brand="Elm Farm",
                category_id=category.first(),
                source=CatalogueSource.STAFF,
                source_licence="made up for the demo",
            )
        )
    await session.flush()


async def _make_products(
    session: AsyncSession, actor: Actor, staples: list[Staple], places: dict[str, UUID]
) -> dict[str, UUID]:
    ids: dict[str, UUID] = {}
    for staple in staples:
        product = await products.create_product(session, actor, ProductCreate(name=staple.name, unit=staple.unit))
        usual = ProductUpdate(usual_quantity=staple.eaten, default_location_id=places[staple.place])
        await products.edit_product(session, actor, product.id, usual)
        if staple.barcode:
            code = BarcodeCreate(code=staple.barcode, quantity=staple.quantity)
            await products.add_barcode(session, actor, product.id, code)
        ids[staple.name] = product.id
    return ids
