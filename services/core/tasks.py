"""Tasks: work outside requests, by name. An engine runs them: `services/jobs` has one embedded and one distributed."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Work = Callable[..., Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Task:
    """`work` takes the payload as keywords and answers in a few words what it did. It may run again at any time after
    it was cut off, so what it does it must do once by itself.

    `cron` has five fields, in UTC.
    """

    name: str
    work: Work
    cron: str | None = None
    max_attempts: int = 5


_tasks: dict[str, Task] = {}


def task(name: str, *, cron: str | None = None, max_attempts: int = 5) -> Callable[[Work], Work]:
    """Make a coroutine function a task."""

    def register(work: Work) -> Work:
        _tasks[name] = Task(name, work, cron, max_attempts)
        return work

    return register


def registered() -> Mapping[str, Task]:
    return _tasks
