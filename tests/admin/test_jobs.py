"""The jobs page of the panel, for the queue of either engine."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from httpx import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from auth import COOKIE
from main import create_app
from models import Job, JobRun, JobStatus, TokenKind
from services.jobs.procrastinate_queue import QueuedJob
from services.permissions import Actor
from settings import Settings, TaskEngine
from tests.admin.conftest import act
from tests.conftest import RolledBack, token_of


@pytest.fixture(params=[TaskEngine.EMBEDDED, TaskEngine.DISTRIBUTED], ids=str)
def engine(request: pytest.FixtureRequest, config: Settings) -> TaskEngine:
    engine: TaskEngine = request.param
    if engine is TaskEngine.DISTRIBUTED and config.is_sqlite:
        pytest.skip("needs PostgreSQL")
    return engine


@pytest.fixture
def address(engine: TaskEngine) -> str:
    return "/admin/job"


@pytest_asyncio.fixture
async def browser_of(
    engine: TaskEngine, rolled_back: RolledBack, config: Settings
) -> AsyncIterator[Callable[[Actor], AsyncClient]]:
    app = create_app(config.model_copy(update={"tasks": engine}))
    async with AsyncClient(
        transport=ASGITransport(app), base_url="http://localhost", headers={"Sec-Fetch-Site": "same-origin"}
    ) as client:

        def make(actor: Actor) -> AsyncClient:
            client.cookies.set(COOKIE, token_of(actor, TokenKind.COOKIE))
            return client

        yield make


@pytest_asyncio.fixture
async def dead(engine: TaskEngine, session: AsyncSession) -> Any:
    """A job that was given up."""
    job: Any = (
        QueuedJob(queue_name="larder", task_name="deliver", args={}, status="failed", attempts=5)
        if engine is TaskEngine.DISTRIBUTED
        else Job(task="deliver", status=JobStatus.DEAD, attempts=5)
    )
    session.add(job)
    await session.commit()
    return job


async def test_staff_see_what_was_given_up_and_try_it_again(
    browser_of: Callable[[Actor], AsyncClient], sam: Actor, address: str, dead: Any, session: AsyncSession
) -> None:
    browser = browser_of(sam)

    shown = await browser.get(f"{address}/list")
    details = await browser.get(f"{address}/details/{dead.id}")
    answer = await act(browser, "job", "retry", str(dead.id))

    assert "deliver" in shown.text
    assert "deliver" in details.text
    assert answer.status_code == 303
    await session.refresh(dead)
    assert dead.status in {JobStatus.WAITING, "todo"}
    assert dead.attempts == 0


async def test_another_site_cannot_make_staff_try_it_again(
    browser_of: Callable[[Actor], AsyncClient], sam: Actor, address: str, dead: Any, session: AsyncSession
) -> None:
    answer = await browser_of(sam).post(
        f"{address}/action/retry",
        data={"pks": str(dead.id), "sure": "yes"},
        headers={"Sec-Fetch-Site": "cross-site"},
    )

    assert answer.status_code == 403
    await session.refresh(dead)
    assert dead.status in {JobStatus.DEAD, "failed"}


async def test_nobody_else_may_look_or_try(
    browser_of: Callable[[Actor], AsyncClient], alice: Actor, address: str, dead: Any, session: AsyncSession
) -> None:
    for path in ("list", f"details/{dead.id}"):
        assert (await browser_of(alice).get(f"{address}/{path}")).status_code == 403
    assert (await act(browser_of(alice), "job", "retry", str(dead.id))).status_code == 403

    await session.refresh(dead)
    assert dead.status in {JobStatus.DEAD, "failed"}


@pytest.mark.parametrize("keys", ["nonsense", "", "99999999999999999999999"])
async def test_keys_of_nothing_change_nothing(
    browser_of: Callable[[Actor], AsyncClient], sam: Actor, address: str, dead: Any, session: AsyncSession, keys: str
) -> None:
    browser = browser_of(sam)

    answer = await act(browser, "job", "retry", *([keys] if keys else []))
    details = await browser.get(f"{address}/details/{keys or '0'}")

    assert answer.status_code == (404 if keys else 303)
    assert details.status_code == 404
    await session.refresh(dead)
    assert dead.status in {JobStatus.DEAD, "failed"}


async def test_jobs_and_runs_are_for_looking(
    browser_of: Callable[[Actor], AsyncClient], sam: Actor, address: str, session: AsyncSession
) -> None:
    session.add(JobRun(task="sweep", worker="here:1", result="10 households"))
    await session.commit()
    browser = browser_of(sam)

    assert "10 households" in (await browser.get("/admin/job-run/list")).text
    for view in (address, "/admin/job-run"):
        assert (await browser.post(f"{view}/create", data={})).status_code == 403
