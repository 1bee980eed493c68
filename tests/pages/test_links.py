"""Action links: they ask, act once as the member they were sent to, and work from wherever they are opened."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from itsdangerous import URLSafeSerializer
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import delete, select
from structlog.testing import CapturingLogger

from models import Event, EventKind, Location, LocationKind, Membership, Product, Role, User
from routes.middleware import request_id
from services import action_links, stock
from services.action_links import LinkAction
from services.core import clock
from services.permissions import Actor
from services.schemas.stock import LotRead, LotUpdate
from settings import get_settings
from tests.conftest import NOW, TODAY, ClientOf, make_actor
from tests.factories import make_lot

CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://mail.example.com"}
ALL = list(LinkAction)


@pytest.fixture
def stranger(browser_of: ClientOf) -> AsyncClient:
    """A browser in which nobody is signed in, coming from a mail program's page."""
    browser = browser_of(None)
    browser.headers.update(CROSS_SITE)
    return browser


async def due(session: AsyncSession, actor: Actor, **fields: Any) -> LotRead:
    lot = await make_lot(session, actor, product="Milk", expires_on=TODAY + timedelta(days=1), **fields)
    await session.commit()
    return lot


def link(actor: Actor, lot: LotRead, action: LinkAction = LinkAction.USED, *, days_ago: int = 0) -> str:
    made = action_links.make(actor, lot, action, day=TODAY - timedelta(days=days_ago))
    assert made.startswith("http://localhost:8000/do/")
    return made.removeprefix("http://localhost:8000")


async def events_of(session: AsyncSession, lot: LotRead) -> list[Event]:
    session.expire_all()
    statement = select(Event).where(Event.lot_id == lot.id, Event.kind != EventKind.ADD)
    return list((await session.scalars(statement)).all())


@pytest.mark.parametrize("action", ALL)
async def test_get_asks_and_changes_nothing(
    session: AsyncSession, stranger: AsyncClient, bob: Actor, action: LinkAction
) -> None:
    lot = await due(session, bob)

    await stranger.get(link(bob, lot, action))
    page = await stranger.get(link(bob, lot, action))
    assert page.status_code == 200
    assert page.text.count("<form") == page.text.count("<button") == 1
    assert "Milk" in page.text
    assert "Yes, " in page.text
    assert "no-store" in page.headers["cache-control"]
    assert page.headers.get_list("referrer-policy") == ["no-referrer"]
    assert await events_of(session, lot) == []


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (LinkAction.USED, EventKind.CONSUME),
        (LinkAction.BINNED, EventKind.DISCARD),
        (LinkAction.FROZEN, EventKind.FREEZE),
        (LinkAction.SNOOZE, EventKind.EDIT),
    ],
)
async def test_post_acts_as_the_member_once(
    session: AsyncSession, stranger: AsyncClient, bob: Actor, action: LinkAction, kind: EventKind
) -> None:
    lot = await due(session, bob)
    address = link(bob, lot, action)

    done = await stranger.post(address, data={"version": lot.version})
    again = await stranger.post(address, data={"version": lot.version})
    asked = await stranger.get(address)

    assert (done.status_code, again.status_code, asked.status_code) == (200, 200, 200), done.text
    assert "already" not in done.text
    for page in (again, asked):
        assert "That was done already. Nothing was booked twice." in page.text
        assert "<form" not in page.text
    (event,) = await events_of(session, lot)
    assert (event.kind, event.actor_id) == (kind, bob.user_id)
    assert "set-cookie" not in done.headers


async def test_used_takes_what_one_use_takes_and_binned_all(
    session: AsyncSession, stranger: AsyncClient, bob: Actor
) -> None:
    lot = await due(session, bob, quantity=6)

    await stranger.post(link(bob, lot))
    assert (await stock.get_lot(session, bob, lot.id)).quantity == "5"
    await stranger.post(link(bob, lot, LinkAction.BINNED))
    assert (await stock.get_lot(session, bob, lot.id)).quantity == "0"
    binned = (await events_of(session, lot))[-1]
    assert (binned.quantity_delta, binned.reason) == (Decimal(-5), "other")


async def test_the_links_of_the_next_day_act_anew(session: AsyncSession, stranger: AsyncClient, bob: Actor) -> None:
    lot = await due(session, bob)

    await stranger.post(link(bob, lot, days_ago=1))
    await stranger.post(link(bob, lot))

    assert len(await events_of(session, lot)) == 2


async def test_it_needs_nothing_but_the_link(session: AsyncSession, browser_of: ClientOf, bob: Actor) -> None:
    """Also where another member is signed in: it is booked as whose the link is."""
    lot = await due(session, bob)
    alice = browser_of(make_actor("alice"))

    await alice.post(link(bob, lot), headers={"Origin": "null", "Sec-Fetch-Site": "same-origin"})

    (event,) = await events_of(session, lot)
    assert event.actor_id == bob.user_id


async def test_other_addresses_stay_closed_to_other_sites(stranger: AsyncClient) -> None:
    for address in ("/stock/add", "/do", "/donate", "/login"):
        assert (await stranger.post(address)).status_code == 403, address


class TestRefused:
    async def assert_refused(
        self, session: AsyncSession, stranger: AsyncClient, address: str, lot: LotRead, status: int, text: str
    ) -> None:
        for page in (await stranger.get(address), await stranger.post(address)):
            assert page.status_code == status, page.text
            assert text in page.text
            assert page.headers.get_list("referrer-policy") == ["no-referrer"]
            assert "no-store" in page.headers["cache-control"]
        assert [event for event in await events_of(session, lot) if event.actor_id is not None and event.reason] == []

    @pytest.mark.parametrize("forge", ["cut", "longer", "other lot", "unsigned", "garbage", "null", "flash"])
    async def test_a_forged_link(
        self, session: AsyncSession, stranger: AsyncClient, bob: Actor, forge: str, alice: Actor
    ) -> None:
        lot = await due(session, bob)
        other = await due(session, bob)
        address = link(bob, lot, LinkAction.BINNED)
        body, _dot, signature = address.rpartition(".")
        forged = {
            "cut": address[:-1],
            "longer": address + "A",
            "other lot": f"{link(bob, other, LinkAction.BINNED).rpartition('.')[0]}.{signature}",
            "unsigned": body,
            "garbage": "/do/garbage",
            "null": "/do/%00%ff",
            "flash": f"/do/{other_purpose()}",
        }[forge]
        await self.assert_refused(session, stranger, forged, lot, 404, "This link leads nowhere. Was it copied whole?")

    async def test_one_that_is_over(self, session: AsyncSession, stranger: AsyncClient, bob: Actor) -> None:
        lot = await due(session, bob)
        address = link(bob, lot, LinkAction.BINNED, days_ago=7)
        await self.assert_refused(session, stranger, address, lot, 410, "This link is over.")

    async def test_a_week_is_all_it_gets(self, session: AsyncSession, stranger: AsyncClient, bob: Actor) -> None:
        lot = await due(session, bob)
        with clock.frozen(NOW + timedelta(days=6)):
            assert (await stranger.get(link(bob, lot))).status_code == 200
        with clock.frozen(NOW + timedelta(days=7)):
            assert (await stranger.get(link(bob, lot))).status_code == 410

    async def test_of_someone_who_left(self, session: AsyncSession, stranger: AsyncClient, bob: Actor) -> None:
        lot = await due(session, bob)
        await session.execute(delete(Membership).where(Membership.user_id == bob.user_id))  # type: ignore[arg-type]
        await session.commit()
        address = link(bob, lot, LinkAction.BINNED)
        await self.assert_refused(session, stranger, address, lot, 404, "This link leads nowhere any more.")

    async def test_of_someone_who_is_disabled(self, session: AsyncSession, stranger: AsyncClient, bob: Actor) -> None:
        lot = await due(session, bob)
        (await session.get_one(User, bob.user_id)).is_active = False
        await session.commit()
        address = link(bob, lot, LinkAction.BINNED)
        await self.assert_refused(session, stranger, address, lot, 404, "This link leads nowhere any more.")

    async def test_of_someone_who_may_only_look_now(
        self, session: AsyncSession, stranger: AsyncClient, bob: Actor
    ) -> None:
        lot = await due(session, bob)
        statement = select(Membership).where(Membership.user_id == bob.user_id)
        (await session.scalars(statement)).one().role = Role.VIEWER
        await session.commit()
        address = link(bob, lot, LinkAction.BINNED)
        await self.assert_refused(session, stranger, address, lot, 403, "Your role in this household")

    async def test_when_the_date_has_changed(self, session: AsyncSession, stranger: AsyncClient, bob: Actor) -> None:
        lot = await due(session, bob)
        await stock.edit(session, bob, lot.id, LotUpdate(expires_on=TODAY + timedelta(days=9)))
        await session.commit()
        address = link(bob, lot, LinkAction.BINNED)
        await self.assert_refused(session, stranger, address, lot, 409, "Its date has changed since this was sent.")

    async def test_when_nothing_is_left(self, session: AsyncSession, stranger: AsyncClient, bob: Actor) -> None:
        lot = await due(session, bob, quantity=1)
        await stranger.post(link(bob, lot))
        address = link(bob, lot, LinkAction.BINNED)
        await self.assert_refused(session, stranger, address, lot, 409, "Nothing is left of it.")

    async def test_of_the_household_next_door(
        self, session: AsyncSession, stranger: AsyncClient, bob: Actor, charlie: Actor
    ) -> None:
        """A member's own link, should it ever name a lot of others."""
        lot = await due(session, charlie)
        await self.assert_refused(
            session, stranger, link(bob, lot, LinkAction.BINNED), lot, 404, "There is no such lot."
        )


def other_purpose() -> str:
    """Something else that we signed with the same secret."""
    return str(URLSafeSerializer(get_settings().secret_key.get_secret_value(), salt="flash").dumps([]))


async def test_what_changed_since_it_was_asked_is_looked_at_again(
    session: AsyncSession, stranger: AsyncClient, bob: Actor
) -> None:
    lot = await due(session, bob, quantity=6)
    await stranger.post(link(bob, lot))

    late = await stranger.post(link(bob, lot, LinkAction.BINNED), data={"version": lot.version})

    assert late.status_code == 409
    assert "Somebody changed this meanwhile." in late.text
    assert (await stock.get_lot(session, bob, lot.id)).quantity == "5"


async def test_what_does_not_freeze_well_is_asked_about_twice(
    session: AsyncSession, stranger: AsyncClient, bob: Actor
) -> None:
    lot = await due(session, bob)
    (await session.get_one(Product, UUID(str(lot.product.id)))).may_freeze = False
    await session.commit()
    address = link(bob, lot, LinkAction.FROZEN)

    warned = await stranger.post(address)
    assert warned.status_code == 409
    assert "This does not freeze well." in warned.text
    assert 'name="confirm" value="true"' in warned.text
    frozen = await stranger.post(address, data={"confirm": "true"})
    assert frozen.status_code == 200
    assert len(await events_of(session, lot)) == 1


async def test_without_a_freezer_it_says_so(session: AsyncSession, stranger: AsyncClient, bob: Actor) -> None:
    lot = await due(session, bob)
    freezer = select(Location).where(Location.household_id == bob.household_id, Location.kind == LocationKind.FREEZER)
    (await session.scalars(freezer)).one().kind = LocationKind.OTHER
    await session.commit()

    assert (await stranger.post(link(bob, lot, LinkAction.FROZEN))).status_code == 422


async def test_it_speaks_the_member_s_language(session: AsyncSession, stranger: AsyncClient, bob: Actor) -> None:
    lot = await due(session, bob)
    (await session.get_one(User, bob.user_id)).locale = "ar"
    await session.commit()

    assert '<html lang="ar" dir="rtl"' in (await stranger.get(link(bob, lot))).text


async def test_the_log_does_not_hold_the_link(
    session: AsyncSession, stranger: AsyncClient, bob: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lot = await due(session, bob)
    address = link(bob, lot)

    log = CapturingLogger()
    monkeypatch.setattr(request_id, "logger", log)

    await stranger.get(address)
    await stranger.post(address)
    await stranger.get(address[:-3])

    assert [call.kwargs["path"] for call in log.calls] == ["/do/…"] * 3
    assert address[4:30] not in str(log.calls)


async def test_only_what_the_member_may_do_is_offered(bob: Actor, vera: Actor, session: AsyncSession) -> None:
    lot = await due(session, bob)

    assert action_links.actions_for(bob, lot) == [
        LinkAction.USED,
        LinkAction.FROZEN,
        LinkAction.BINNED,
        LinkAction.SNOOZE,
    ]
    assert action_links.actions_for(vera, lot) == []
