"""worker, run-task, tasks."""

import pytest

from tests import processes
from tests.commands.conftest import Oppman

DISTRIBUTED = {"LARDER_TASKS": "distributed"}


def test_a_task_is_run_at_once_and_its_answer_printed(seeded: Oppman) -> None:
    done = seeded("run-task", "prune_jobs")

    assert done.exit_code == 0
    assert "runs forgotten" in done.stdout


def test_a_task_nobody_knows_is_refused_with_those_there_are(oppman: Oppman) -> None:
    refused = oppman("run-task", "nonsense")

    assert refused.exit_code == 1
    assert "no task nonsense" in refused.stderr
    assert "prune_jobs" in refused.stderr


@pytest.mark.parametrize("payload", ["nonsense", "[]", "1", '{"a":'])
def test_a_payload_that_is_no_object_is_refused(oppman: Oppman, payload: str) -> None:
    refused = oppman("run-task", "prune_jobs", "--payload", payload)

    assert refused.exit_code == 2
    assert "not a JSON object" in refused.stderr


def test_a_task_that_fails_says_so(seeded: Oppman) -> None:
    failed = seeded("run-task", "prune_jobs", "--payload", '{"surprise": 1}')

    assert failed.exit_code == 1
    assert "TypeError" in failed.stderr


def test_tasks_are_listed_with_their_schedules(oppman: Oppman) -> None:
    listed = oppman("tasks").stdout

    assert "prune_jobs" in listed
    assert "17 3 * * *" in listed


def test_there_are_no_workers_where_the_web_process_does_the_tasks(oppman: Oppman) -> None:
    refused = oppman("worker")

    assert refused.exit_code == 1
    assert "web process" in refused.stderr


def test_workers_need_postgresql(oppman: Oppman) -> None:
    for command in ("worker", "check"):
        refused = oppman(command, **DISTRIBUTED)

        assert refused.exit_code == 1
        assert "needs PostgreSQL" in refused.stderr


def test_a_worker_wants_a_migrated_database(empty: Oppman) -> None:
    if empty.url.startswith("sqlite"):
        pytest.skip("needs PostgreSQL")

    refused = empty("worker", **DISTRIBUTED)

    assert refused.exit_code == 1
    assert "migrate" in refused.stderr


def test_a_worker_is_missed_until_it_is_there_and_leaves_when_it_is_told_to(seeded: Oppman) -> None:
    if seeded.url.startswith("sqlite"):
        pytest.skip("needs PostgreSQL")

    def is_missed() -> bool:
        return "No worker" in seeded("check", "--deploy", **DISTRIBUTED).stderr

    assert is_missed()
    with processes.running("worker", env=seeded.environment(DISTRIBUTED)) as worker:
        processes.until(lambda: worker.poll() is not None or not is_missed())

    assert worker.returncode == 0
    assert is_missed()
