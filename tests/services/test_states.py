"""The state machine."""

from collections.abc import Mapping

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, update

from models import Problem, ProblemState
from services.core import clock, ids, states
from services.core.errors import Conflict, NotFound

WAYS: Mapping[ProblemState, set[ProblemState]] = {
    ProblemState.OPEN: {ProblemState.RESOLVED},
    ProblemState.RESOLVED: {ProblemState.OPEN},
}


@pytest_asyncio.fixture
async def problem(session: AsyncSession) -> Problem:
    problem = Problem(fingerprint="f", kind="ValueError")
    session.add(problem)
    await session.flush()
    return problem


async def test_a_row_goes_where_a_way_leads_and_takes_values_along(session: AsyncSession, problem: Problem) -> None:
    before = await states.move(
        session, Problem, problem.id, "state", ProblemState.RESOLVED, allowed=WAYS, resolved_at=clock.now()
    )

    await session.refresh(problem)
    assert (before, problem.state, problem.resolved_at) == (ProblemState.OPEN, ProblemState.RESOLVED, clock.now())


async def test_where_no_way_leads_nothing_goes(session: AsyncSession, problem: Problem) -> None:
    with pytest.raises(Conflict) as refused:
        await states.move(session, Problem, problem.id, "state", ProblemState.OPEN, allowed=WAYS)
    assert refused.value.code == "wrong_state"

    with pytest.raises(Conflict):
        await states.move(session, Problem, problem.id, "state", ProblemState.RESOLVED, allowed={})
    with pytest.raises(NotFound):
        await states.move(session, Problem, ids.new_id(), "state", ProblemState.RESOLVED, allowed=WAYS)


async def test_of_two_who_move_it_at_once_one_does(
    session: AsyncSession, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """soy 3.12: read, check and write let the slower one win there."""
    read = session.scalar

    async def read_then_be_overtaken(statement: object) -> object:
        found = await read(statement)  # type: ignore[call-overload]
        overtaking = update(Problem).where(col(Problem.id) == problem.id).values(state=ProblemState.RESOLVED)
        await session.execute(overtaking)
        return found

    monkeypatch.setattr(session, "scalar", read_then_be_overtaken)
    with pytest.raises(Conflict) as refused:
        await states.move(session, Problem, problem.id, "state", ProblemState.RESOLVED, allowed=WAYS)

    assert refused.value.code == "overtaken"
