"""Problems: exceptions nobody expected, those of one shape together."""

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from db import is_postgresql
from models import Problem, ProblemState
from services import audit
from services.core import clock
from services.core.ids import new_id
from services.core.pagination import Page, PageRequest, by_id, by_moment, fetch_page
from services.core.states import move
from services.monitor import redaction
from services.permissions import Account
from settings import ROOT

_ALLOWED = {ProblemState.OPEN: {ProblemState.RESOLVED}, ProblemState.RESOLVED: {ProblemState.OPEN}}


@dataclass(frozen=True, slots=True)
class Incident:
    """One time that it happened."""

    fingerprint: str
    kind: str
    message: str
    route: str
    traceback: str
    at: datetime


def describe(error: BaseException, *, route: str) -> Incident:
    """An exception without the values it came about: where it was raised, not with what."""
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")[:200]
    places = [(frame.filename, frame.name) for frame in traceback.extract_tb(error.__traceback__)]
    ours = [place for place in places if _is_ours(place[0])]
    # Not the lines: they move with each release.
    shape = repr((kind, ours[-3:], places[-1:]))
    return Incident(
        fingerprint=sha256(shape.encode()).hexdigest(),
        kind=kind,
        message=_message(error),
        route=route[:100],
        traceback="\n".join(_told(error))[-20_000:],
        at=clock.now(),
    )


async def write(session: AsyncSession, incidents: Sequence[Incident]) -> UUID:
    """Write down that it happened so many times more, in this order. What was resolved is open again."""
    incident, times = incidents[-1], len(incidents)
    dialect = postgresql if is_postgresql(session) else sqlite
    new = dialect.insert(Problem).values(
        id=new_id(),
        fingerprint=incident.fingerprint,
        kind=incident.kind,
        message=incident.message,
        route=incident.route,
        traceback=incident.traceback,
        count=times,
        first_seen_at=incidents[0].at,
        last_seen_at=incident.at,
        state=ProblemState.OPEN,
    )
    written = await session.execute(
        new.on_conflict_do_update(
            index_elements=["fingerprint"],
            set_={
                "count": col(Problem.count) + times,
                "last_seen_at": incident.at,
                "message": incident.message,
                "route": incident.route,
                "traceback": incident.traceback,
                "state": ProblemState.OPEN,
                "resolved_at": None,
                "resolved_by_id": None,
            },
        ).returning(col(Problem.id))
    )
    problem_id: UUID = written.scalar_one()
    return problem_id


async def list_problems(session: AsyncSession, page: PageRequest, state: ProblemState | None) -> Page[Problem]:
    """Those that happened last come first."""
    statement = select(Problem)
    if state is not None:
        statement = statement.where(Problem.state == state)
    return await fetch_page(
        session, statement, page, by_moment(col(Problem.last_seen_at)), by_id(col(Problem.id)), descending=True
    )


async def resolve(session: AsyncSession, problem_id: UUID, *, by: Account) -> None:
    """Say that it is mended. Raises `NotFound`, and `Conflict` where somebody did so before."""
    await move(
        session,
        Problem,
        problem_id,
        "state",
        ProblemState.RESOLVED,
        allowed=_ALLOWED,
        resolved_at=clock.now(),
        resolved_by_id=by.user_id,
    )
    _record(session, "monitor:resolve", problem_id, by)


async def reopen(session: AsyncSession, problem_id: UUID, *, by: Account) -> None:
    """Say that it is not. Raises `NotFound` and `Conflict`."""
    await move(
        session,
        Problem,
        problem_id,
        "state",
        ProblemState.OPEN,
        allowed=_ALLOWED,
        resolved_at=None,
        resolved_by_id=None,
    )
    _record(session, "monitor:reopen", problem_id, by)


async def count_open(session: AsyncSession) -> int:
    is_open = sa.select(sa.func.count()).select_from(Problem).where(col(Problem.state) == ProblemState.OPEN)
    return (await session.execute(is_open)).scalar_one()


def _record(session: AsyncSession, action: str, problem_id: UUID, by: Account) -> None:
    audit.record(session, action, by=by, subject_type="problem", subject_id=problem_id)


def _is_ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(ROOT) and "site-packages" not in path.parts


def _message(error: BaseException) -> str:
    # What SQLAlchemy says goes on with the statement's parameters.
    said = str(error.orig if isinstance(error, DBAPIError) else error)
    return redaction.text(said.strip().split("\n", 1)[0])[:1000]


def _told(error: BaseException | None, *, deep: int = 5) -> Iterator[str]:
    """As Python tells it, causes first."""
    if error is None or not deep:
        return
    yield from _told(error.__cause__ or (None if error.__suppress_context__ else error.__context__), deep=deep - 1)
    yield from (line.rstrip() for line in traceback.format_tb(error.__traceback__, limit=-40))
    yield f"{type(error).__qualname__}: {_message(error)}"
