"""Problems: exceptions nobody expected, those of one shape together, until somebody says that they are mended."""

from datetime import timedelta
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import AuditEntry, MonitoredRequest, Problem, ProblemState
from services import monitor
from services.core import clock
from services.core.errors import Conflict, NotFound
from services.core.pagination import PageRequest
from services.monitor import Recorder
from services.permissions import Actor
from tests.conftest import NOW, ClientOf
from tests.monitor.conftest import add_doors


async def problems_of(session: AsyncSession, recorder: Recorder) -> list[Problem]:
    await recorder.flush()
    session.expire_all()
    return list((await session.scalars(select(Problem))).all())


async def test_problems_of_one_shape_are_one(session: AsyncSession, recorder: Recorder, as_: ClientOf) -> None:
    answers = [await as_().get(f"/boom/{number}") for number in range(3)]
    assert {answer.status_code for answer in answers} == {500}
    with clock.frozen(NOW + timedelta(hours=1)):
        await as_().get("/boom/9")
    await as_().get("/late")

    boom, late = sorted(await problems_of(session, recorder), key=lambda problem: -problem.count)
    assert (boom.kind, boom.count, boom.route, boom.state) == ("ValueError", 4, "boom", ProblemState.OPEN)
    assert (boom.first_seen_at, boom.last_seen_at) == (NOW, NOW + timedelta(hours=1))
    assert "conftest.py" in boom.traceback
    assert (late.kind, late.message) == ("RuntimeError", "too late")
    # Nothing of whom it happened to.
    assert boom.message == "secret 9 of •••"
    assert "alice" not in boom.traceback
    requests = (await session.scalars(select(MonitoredRequest).where(MonitoredRequest.route == "boom"))).all()
    assert {request.problem_id for request in requests} == {boom.id}


async def test_they_are_kept_also_while_the_monitor_is_off(app: FastAPI, session: AsyncSession) -> None:
    add_doors(app)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as client:
        assert (await client.get("/boom/1")).status_code == 500

    (problem,) = await problems_of(session, app.state.recorder)
    assert problem.kind == "ValueError"


async def test_a_problem_is_resolved_once_and_open_again_when_it_is_seen_again(
    session: AsyncSession, recorder: Recorder, as_: ClientOf, sam: Actor
) -> None:
    await as_().get("/boom/1")
    (problem,) = await problems_of(session, recorder)
    problem_id = problem.id

    await monitor.resolve(session, problem_id, by=sam)
    with pytest.raises(Conflict):
        await monitor.resolve(session, problem_id, by=sam)
    await session.commit()
    (problem,) = await problems_of(session, recorder)
    assert (problem.state, problem.resolved_by_id, problem.resolved_at) == (ProblemState.RESOLVED, sam.user_id, NOW)
    assert await monitor.count_open(session) == 0

    await as_().get("/boom/2")
    (problem,) = await problems_of(session, recorder)
    assert (problem.state, problem.resolved_by_id, problem.resolved_at) == (ProblemState.OPEN, None, None)
    assert problem.count == 2
    entries = (await session.scalars(select(AuditEntry.action).where(AuditEntry.subject_id == str(problem_id)))).all()
    assert list(entries) == ["monitor:resolve"]


async def test_what_is_not_there_cannot_be_resolved(session: AsyncSession, sam: Actor) -> None:
    for change in (monitor.resolve, monitor.reopen):
        with pytest.raises(NotFound):
            await change(session, uuid4(), by=sam)


async def test_the_latest_come_first_page_by_page(session: AsyncSession) -> None:
    session.add_all(
        Problem(fingerprint=str(n), kind="E", last_seen_at=NOW + timedelta(minutes=n % 3)) for n in range(7)
    )
    await session.commit()
    found: list[Problem] = []
    after = None
    while True:
        page = await monitor.list_problems(session, PageRequest(limit=2, after=after), ProblemState.OPEN)
        found += page.items
        after = page.next
        if after is None:
            break

    assert len({problem.id for problem in found}) == 7
    assert [problem.last_seen_at for problem in found] == sorted((p.last_seen_at for p in found), reverse=True)
