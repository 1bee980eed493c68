"""The audit log in the panel: found, within reach, and taken elsewhere."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from models import DataScope, Household, Membership, Role, StaffHousehold, UserSession
from services import audit
from services.core import clock, origin
from services.core.origin import Origin, Source
from services.permissions import Actor
from tests.conftest import HOUSEHOLD, NEXT_DOOR, NOW, ClientOf, make_actor
from tests.test_acting import make_role


async def note(session: AsyncSession, name: str, subject_name: str, **more: Any) -> None:
    """Something that one of the cast did."""
    values = {"action": "products:edit", "household_id": make_actor(name).household_id, **more}
    audit.record(
        session, values.pop("action"), by=make_actor(name), subject_type="product", subject_name=subject_name, **values
    )
    await session.commit()


@pytest_asyncio.fixture
async def happened(session: AsyncSession) -> None:
    """A few things, in two households."""
    origin.set_origin(Origin(Source.API, "203.0.113.7", "feedbeef00000001"))
    await note(session, "alice", "Peas", before={"name": "Pea"}, after={"name": "Peas"}, subject_id="p-1")
    await note(session, "bob", "Rice 100% <b>", action="products:create")
    origin.set_origin(Origin(Source.PAGE, "198.51.100.9", "feedbeef00000002"))
    await note(session, "charlie", "Ham")
    for_alice = replace(make_actor("alice"), impersonator_id=make_actor("sam").user_id, impersonator_name="Sam")
    cellar: dict[str, Any] = {"subject_type": "location", "subject_name": "Cellar", "household_id": HOUSEHOLD}
    audit.record(session, "locations:create", by=for_alice, **cellar)
    await session.commit()


@pytest.fixture
def panel(browser_of: ClientOf, sam: Actor) -> AsyncClient:
    return browser_of(sam)


NAMES = ("Peas", "Rice 100%", "Ham", "Cellar")


async def shown(client: AsyncClient, **filters: str) -> list[str]:
    page = await client.get("/admin/audit", params=filters)
    assert page.status_code == 200, page.text
    return [name for name in NAMES if f"<bdi>{name}" in page.text]


@pytest.mark.usefixtures("happened")
async def test_it_shows_what_was_done_and_what_changed(panel: AsyncClient) -> None:
    page = (await panel.get("/admin/audit")).text

    assert "Sam for Alice" in page
    assert "<del><bdi>Pea</bdi></del>" in page
    assert "<ins><bdi>Peas</bdi></ins>" in page
    assert "Rice 100% &lt;b&gt;" in page
    order = [page.index(f"<bdi>{name}") for name in reversed(NAMES)]
    assert order == sorted(order)


@pytest.mark.usefixtures("happened")
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"who": "ali"}, ["Peas"]),
        ({"who": "BOB@example.com"}, ["Rice 100%"]),
        ({"who": str(make_actor("charlie").user_id)}, ["Ham"]),
        ({"who": "%"}, []),
        ({"for": "alice"}, ["Cellar"]),
        ({"for": str(make_actor("alice").user_id)}, ["Cellar"]),
        ({"action": "products:"}, ["Peas", "Rice 100%", "Ham"]),
        ({"action": "products:create"}, ["Rice 100%"]),
        ({"subject": "100%"}, ["Rice 100%"]),
        ({"subject": "p-1"}, ["Peas"]),
        ({"subject": "product"}, ["Peas", "Rice 100%", "Ham"]),
        ({"household": "next"}, ["Ham"]),
        ({"household": str(HOUSEHOLD)}, ["Peas", "Rice 100%", "Cellar"]),
        ({"address": "203.0.113.7"}, ["Peas", "Rice 100%"]),
        ({"request": "feedbeef00000002"}, ["Ham", "Cellar"]),
        ({"who": "alice", "address": "198.51.100.9"}, []),
        ({"from": "2026-11-22", "to": "2026-11-22"}, list(NAMES)),
        ({"from": "2026-11-23"}, []),
        ({"to": "2026-11-21"}, []),
        ({"from": "last week", "to": "9999-12-31", "who": "x" * 300, "action": "\x00"}, list(NAMES)),
    ],
    ids=str,
)
async def test_it_is_searched(filters: dict[str, str], found: list[str], panel: AsyncClient) -> None:
    assert await shown(panel, **filters) == found
    lines = (await panel.get("/admin/audit/export", params={**filters, "format": "jsonl"})).text.splitlines()
    assert [name for name in NAMES if any(name in line for line in lines)] == found


async def test_days_are_those_of_the_household_the_device_shows(
    session: AsyncSession, panel: AsyncClient, sam: Actor
) -> None:
    with clock.frozen(datetime(2026, 11, 21, 23, 30, tzinfo=UTC)):
        await note(session, "alice", "Peas")
    assert "Times and days are those of UTC." in (await panel.get("/admin/audit")).text
    assert await shown(panel, **{"from": "2026-11-22"}) == []

    session.add(Membership(user_id=sam.user_id, household_id=HOUSEHOLD, role=Role.VIEWER))
    (await session.get_one(UserSession, sam.session_id)).household_id = HOUSEHOLD
    await session.commit()
    page = (await panel.get("/admin/audit")).text
    assert "Times and days are those of Europe/Berlin." in page
    assert "00:30" in page
    assert await shown(panel, **{"from": "2026-11-22"}) == ["Peas"]


@pytest.mark.usefixtures("happened")
async def test_it_reaches_as_far_as_the_role(session: AsyncSession, browser_of: ClientOf, charlie: Actor) -> None:
    await make_role(session, charlie, "audit:list", "audit:export", scope=DataScope.HOUSEHOLDS)
    session.add(StaffHousehold(user_id=charlie.user_id, household_id=HOUSEHOLD))
    await session.commit()
    browser = browser_of(charlie)

    # What one did oneself is always within reach.
    assert await shown(browser) == list(NAMES)
    assert await shown(browser, household=str(NEXT_DOOR)) == ["Ham"]
    await note(session, "charlie", "Jam")
    other = (await browser.get("/admin/audit/export", params={"format": "jsonl", "household": "next"})).text
    assert {json.loads(line)["actor_name"] for line in other.splitlines()} == {"Charlie"}


@pytest.mark.usefixtures("happened")
async def test_a_role_that_is_bound_to_nothing_shows_only_ones_own(
    session: AsyncSession, browser_of: ClientOf, bob: Actor
) -> None:
    await make_role(session, bob, "audit:list", "audit:export", scope=DataScope.HOUSEHOLDS)

    assert await shown(browser_of(bob)) == ["Rice 100%"]
    lines = (await browser_of(bob).get("/admin/audit/export", params={"format": "jsonl"})).text.splitlines()
    assert [json.loads(line)["subject_name"] for line in lines] == ["Rice 100% <b>"]


@pytest.mark.usefixtures("happened")
async def test_to_look_is_not_to_take_away(session: AsyncSession, browser_of: ClientOf, charlie: Actor) -> None:
    await make_role(session, charlie, "audit:list")
    browser = browser_of(charlie)

    assert (await browser.get("/admin/audit/export")).status_code == 403
    assert "/admin/audit/export" not in (await browser.get("/admin/audit")).text


@pytest.mark.parametrize("path", ["/admin/audit", "/admin/audit/export"])
async def test_it_is_for_staff_with_that_permission(
    path: str, session: AsyncSession, browser_of: ClientOf, charlie: Actor
) -> None:
    assert (await browser_of(None).get(path)).status_code == 303
    assert (await browser_of(charlie).get(path)).status_code == 403
    await make_role(session, charlie, "acting:start")
    assert (await browser_of(charlie).get(path)).status_code == 403


@pytest.mark.usefixtures("happened")
async def test_the_export_is_a_file_that_runs_nothing(session: AsyncSession, panel: AsyncClient) -> None:
    await note(session, "alice", "=HYPERLINK(1)")

    table = await panel.get("/admin/audit/export", params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))

    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-disposition"] == f'attachment; filename="audit-{NOW:%Y-%m-%d}.csv"'
    assert table.headers["cache-control"] == "no-store"
    assert rows[-1]["subject_name"] == "'=HYPERLINK(1)"
    assert json.loads(rows[0]["after"]) == {"name": "Peas"}
    assert (await panel.get("/admin/audit/export", params={"format": "xlsx"})).status_code == 422


async def test_it_is_read_page_by_page(
    session: AsyncSession, panel: AsyncClient, browser_of: ClientOf, sam: Actor, alice: Actor
) -> None:
    household = await session.get_one(Household, HOUSEHOLD)
    for number in range(120):
        audit.record(session, "products:edit", by=alice, subject=household, subject_name=f"Number {number:03}")
    await session.commit()
    seen: list[str] = []
    address = "/admin/audit?action=products%3Aedit"

    while address:
        page = (await browser_of(sam, htmx=bool(seen)).get(address)).text
        assert ("<html" in page) is not bool(seen)
        seen += [part[:3] for part in page.split("<bdi>Number ")[1:] if part[3:].startswith("</bdi></span>")]
        address = page.partition('id="more"><a class="button wide" href="')[2].partition('"')[0].replace("&amp;", "&")

    assert seen == [f"{number:03}" for number in range(119, -1, -1)]


@pytest.mark.usefixtures("happened")
async def test_its_subject_is_a_page_away_for_who_may_see_it(
    session: AsyncSession, panel: AsyncClient, browser_of: ClientOf, charlie: Actor
) -> None:
    assert "/admin/product/details/p-1" in (await panel.get("/admin/audit")).text
    await make_role(session, charlie, "audit:list")

    page = (await browser_of(charlie).get("/admin/audit")).text
    assert "/admin/product/details/" not in page
    assert "/admin/audit?subject=p-1" in page


async def test_a_cursor_of_elsewhere_is_refused(panel: AsyncClient) -> None:
    assert (await panel.get("/admin/audit", params={"after": "nonsense"})).status_code == 422
