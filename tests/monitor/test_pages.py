"""The monitor's pages: with much to show, and with nothing."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import MonitoredQuery, MonitoredRequest, MonitoredShape, Problem, ProblemState
from services.permissions import Actor
from tests.conftest import NOW, ClientOf

PAGES = ("/admin/monitor", "/admin/monitor/requests", "/admin/monitor/problems")


async def fill(session: AsyncSession) -> MonitoredRequest:
    session.add(MonitoredShape(id="shape", sql="SELECT <b>bold</b> FROM lot"))
    problem = Problem(fingerprint="one", kind="ValueError", message="<script>alert(1)</script>", traceback="here")
    session.add(problem)
    await session.flush()
    rows = [
        MonitoredRequest(
            at=NOW - timedelta(minutes=n / 4),
            method="GET",
            route="stock:list",
            path="/stock/<i>",
            status=500 if n == 7 else 200,
            ms=n,
            query_count=9,
            repeated=9,
            request_headers={"accept": "<u>"},
            request_body="<s>",
            problem_id=problem.id if n == 7 else None,
        )
        for n in range(120)
    ]
    session.add_all(rows)
    await session.flush()
    session.add_all(
        MonitoredQuery(request_id=row.id, at=row.at, shape_id="shape", count=9, ms=3, slowest_ms=1) for row in rows
    )
    await session.commit()
    return rows[7]


@pytest.mark.parametrize("path", PAGES)
async def test_there_may_be_nothing_yet(path: str, browser_of: ClientOf, sam: Actor) -> None:
    assert (await browser_of(sam).get(path)).status_code == 200


@pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d", "nonsense"])
async def test_the_overview_tells_how_it_goes(
    window: str, session: AsyncSession, browser_of: ClientOf, sam: Actor
) -> None:
    await fill(session)

    page = await browser_of(sam).get(f"/admin/monitor?window={window}")

    assert page.status_code == 200
    assert "120, of which 1 failed" in page.text
    assert page.text.count("<svg viewBox") == 2
    assert "stock:list" in page.text
    # Whatever is shown is text.
    assert "<b>bold" not in page.text
    assert "SELECT &lt;b&gt;" in page.text
    assert "style=" not in page.text


async def test_requests_are_found_and_looked_at(session: AsyncSession, browser_of: ClientOf, sam: Actor) -> None:
    failed = await fill(session)
    browser = browser_of(sam)

    found = await browser.get("/admin/monitor/requests?status=5")
    assert found.text.count('<p class="what">') == 1
    assert f"/admin/monitor/requests/{failed.id}" in found.text
    everything = await browser.get("/admin/monitor/requests?status=&slower=nonsense&method=<")
    assert everything.text.count('<p class="what">') == 50
    more = everything.text.split('class="button wide" href="')[1].split('"')[0].replace("&amp;", "&")
    assert (await browser.get(more)).text.count('<p class="what">') == 50

    page = await browser.get(f"/admin/monitor/requests/{failed.id}")
    assert "×9" in page.text
    assert "<script>alert" not in page.text
    for tag in ("<i>", "<u>", "<s>"):
        assert tag not in page.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/monitor/requests?after=nonsense", 422),
        ("/admin/monitor/problems?after=WyIxIiwgIjIiXQ", 422),
        ("/admin/monitor/requests/00000000-0000-4000-8000-000000000000", 404),
        ("/admin/monitor/requests/nonsense", 404),
        ("/admin/monitor/requests?path=%00", 200),
        ("/admin/monitor/requests?status=99999999999999999999", 200),
        ("/admin/monitor/problems?state=nonsense", 200),
    ],
)
async def test_what_makes_no_sense_is_no_error_of_ours(
    path: str, status: int, browser_of: ClientOf, sam: Actor
) -> None:
    assert (await browser_of(sam).get(path)).status_code == status


async def test_a_problem_is_resolved_and_opened_again(
    session: AsyncSession, browser_of: ClientOf, sam: Actor, alice: Actor
) -> None:
    await fill(session)
    problem_id = (await session.scalars(select(Problem.id))).one()
    browser, path = browser_of(sam), f"/admin/monitor/problems/{problem_id}"
    assert (await browser_of(alice).post(f"{path}/resolve")).status_code == 403

    assert "&lt;script&gt;" in (await browser.get("/admin/monitor/problems")).text
    assert (await browser.post(f"{path}/resolve")).status_code == 303
    assert (await browser.post(f"{path}/resolve")).status_code == 409
    assert "ValueError" not in (await browser.get("/admin/monitor/problems")).text
    assert "ValueError" in (await browser.get("/admin/monitor/problems?state=resolved")).text
    assert (await browser.post(f"{path}/reopen", headers={"HX-Request": "true"})).status_code == 204
    session.expire_all()
    assert (await session.get_one(Problem, problem_id)).state is ProblemState.OPEN
