"""What both engines promise."""

import asyncio
from datetime import timedelta

import pytest
from sqlmodel import select, update

from db import session_scope
from models import Schedule
from services import jobs
from services.core import clock
from services.jobs import own_queue, procrastinate_queue, runs, schedules
from tests.jobs.conftest import SIZES, Embedded, Rig, effects, history, on
from tests.jobs.tasks import SECRET, is_noted

pytestmark = on(*SIZES)


async def test_a_job_is_done_once_and_its_run_is_remembered(rig: Rig) -> None:
    async with session_scope() as session:
        await jobs.defer(session, "write", name="milk")
        await jobs.defer(session, "write", name="eggs")

    await rig.do_what_is_due()
    await rig.do_what_is_due()

    assert await effects() == ["eggs", "milk"]
    assert sorted(await history()) == [("write", 1, "wrote eggs", ""), ("write", 1, "wrote milk", "")]
    assert await rig.waiting() == []


async def test_what_was_rolled_back_is_never_done(rig: Rig) -> None:
    async def ask_and_fail() -> None:
        async with session_scope() as session:
            await jobs.defer(session, "write", name="milk")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ask_and_fail()

    await rig.do_what_is_due()

    assert await effects() == []


async def test_a_job_waits_for_its_hour(rig: Rig) -> None:
    async with session_scope() as session:
        await jobs.defer(session, "write", run_at=clock.now() + timedelta(hours=1), name="milk")

    await rig.do_what_is_due()
    assert await effects() == []

    await rig.bring_forward()
    await rig.do_what_is_due()
    assert await effects() == ["milk"]


async def test_one_job_waits_under_a_key_for_the_earliest_hour(rig: Rig) -> None:
    for hours in (2, 1, 3):
        async with session_scope() as session:
            await jobs.defer(
                session, "write", run_at=clock.now() + timedelta(hours=hours), dedupe_key="milk", name=f"milk {hours}"
            )
    (waiting,) = await rig.waiting()
    assert timedelta(minutes=50) < waiting.wait <= timedelta(hours=1)

    async with session_scope() as session:
        await jobs.defer(session, "write", dedupe_key="milk", name="milk now")
    await rig.do_what_is_due()

    assert await effects() == ["milk 2"]
    assert await rig.waiting() == []


async def test_a_job_that_runs_makes_room_for_another_under_its_key(rig: Rig) -> None:
    async with session_scope() as session:
        await jobs.defer(session, "again", dedupe_key="key", key="key")

    await rig.do_what_is_due()

    assert await effects() == ["another"]


async def test_one_key_asked_for_by_many_at_once_is_one_job(rig: Rig) -> None:
    async def ask(number: int) -> None:
        async with session_scope() as session:
            await jobs.defer(session, "write", dedupe_key="milk", name=f"milk {number}")

    await asyncio.gather(*(ask(number) for number in range(10)))

    assert len(await rig.waiting()) == 1


async def test_what_fails_is_tried_again_later_and_later_and_then_left_for_somebody_to_look_at(rig: Rig) -> None:
    async with session_scope() as session:
        await jobs.defer(session, "break", dedupe_key="key")

    waits = []
    for attempt in (1, 2):
        await rig.do_what_is_due()
        (waiting,) = await rig.waiting()
        assert (waiting.task, waiting.attempts) == ("break", attempt)
        waits.append(waiting.wait)
        await rig.bring_forward()
    await rig.do_what_is_due()

    assert timedelta() < waits[0] < waits[1]
    assert await rig.waiting() == []
    assert len(await rig.dead()) == 1
    assert [(task, attempt) for task, attempt, _result, _error in await history()] == [
        ("break", 1),
        ("break", 2),
        ("break", 3),
    ]


async def test_the_history_tells_what_went_wrong_but_not_in_words_that_may_be_secret(rig: Rig) -> None:
    async with session_scope() as session:
        await jobs.defer(session, "break")

    await rig.do_what_is_due()

    ((_task, _attempt, _result, error),) = await history()
    assert error.startswith("ValueError at tasks.py:")
    assert error.endswith("in fail")
    assert SECRET not in error


async def test_a_failing_job_and_another_under_its_key_do_not_collide(rig: Rig) -> None:
    async with session_scope() as session:
        await jobs.defer(session, "break", dedupe_key="key")
    await rig.do_what_is_due()
    async with session_scope() as session:
        await jobs.defer(session, "break", dedupe_key="key")
    await rig.do_what_is_due()

    assert [waiting.attempts for waiting in await rig.waiting()] == [1, 1]


async def test_a_dead_job_that_is_retried_has_all_its_attempts_again(rig: Rig) -> None:
    async with session_scope() as session:
        await jobs.defer(session, "nonsense")
    await rig.do_what_is_due()
    (dead,) = await rig.dead()

    async with session_scope() as session:
        await (own_queue if isinstance(rig, Embedded) else procrastinate_queue).retry(session, dead)

    assert [(waiting.task, waiting.attempts) for waiting in await rig.waiting()] == [("nonsense", 0)]
    assert await rig.dead() == []


async def test_a_job_that_kills_its_workers_is_given_up(rig: Rig) -> None:
    async with session_scope() as session:
        await jobs.defer(session, "write", name="milk")
    await rig.use_up_attempts()

    await rig.do_what_is_due()

    assert await effects() == []
    assert len(await rig.dead()) == 1
    assert [error for *_run, error in await history()] == ["Its worker died each time."]


async def test_the_history_tells_what_was_cut_off(rig: Rig) -> None:
    run = asyncio.create_task(runs.perform("hold", {"name": "milk"}))
    while not await is_noted("milk began"):  # noqa: ASYNC110  (only the database tells)
        await asyncio.sleep(0)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)

    assert await history() == [("hold", 1, "", "It was cut off: its worker had to stop.")]


async def test_a_slot_is_one_job_however_many_tick(rig: Rig) -> None:
    await asyncio.gather(*(schedules.tick() for _ in range(10)))

    assert sorted(waiting.task for waiting in await rig.waiting()) == ["prune_jobs", "yearly"]

    await rig.do_what_is_due()
    await schedules.tick()
    assert await rig.waiting() == []


async def test_slots_that_were_missed_are_caught_up_by_one_job(rig: Rig) -> None:
    await schedules.tick()
    await rig.do_what_is_due()
    async with session_scope() as session:
        await session.execute(update(Schedule).values(slot_at=clock.now() - timedelta(days=5 * 365)))

    await schedules.tick()
    await schedules.tick()
    await rig.do_what_is_due()

    assert [task for task, *_run in await history() if task == "yearly"] == ["yearly"] * 2


async def test_a_slot_begins_at_its_minute_and_not_before(rig: Rig) -> None:
    eve = clock.now().replace(month=12, day=31, hour=23, minute=59, second=0, microsecond=0)
    with clock.frozen(eve - timedelta(seconds=20)):
        away = await schedules.tick()
    await rig.bring_forward()
    await rig.do_what_is_due()
    with clock.frozen(eve):
        await schedules.tick()
        await schedules.tick()
    await rig.bring_forward()
    await rig.do_what_is_due()

    assert away == pytest.approx(20)
    assert [task for task, *_run in await history() if task == "yearly"] == ["yearly"] * 2


async def test_a_clock_that_was_far_ahead_does_not_silence_a_schedule(rig: Rig) -> None:
    with clock.frozen(clock.now() + timedelta(days=5 * 365)):
        await schedules.tick()
    await rig.bring_forward()
    await rig.do_what_is_due()

    await schedules.tick()

    assert "yearly" in [waiting.task for waiting in await rig.waiting()]
    async with session_scope(read_only=True) as session:
        assert all(slot < clock.now() for slot in await session.scalars(select(Schedule.slot_at)))


async def test_old_runs_and_dead_jobs_are_forgotten(rig: Rig) -> None:
    async with session_scope() as session:
        await jobs.defer(session, "nonsense")
        await jobs.defer(session, "write", name="milk")
    await rig.do_what_is_due()

    await runs.prune()
    assert len(await rig.dead()) == len(await history()) == 1
    with clock.frozen(clock.now() + timedelta(days=31)):
        await runs.prune()

    assert await rig.dead() == []
    assert await history() == []
