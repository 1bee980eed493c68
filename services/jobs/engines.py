"""Which engine does the jobs of this instance. Each is loaded where it works, and nowhere else."""

from contextlib import AbstractAsyncContextManager, nullcontext

from settings import Settings


def beside_web(settings: Settings) -> AbstractAsyncContextManager[None]:
    """For the life of a web process: the embedded engine, unless workers do the jobs."""
    if settings.has_task_workers:
        return nullcontext()
    from services.jobs.embedded import EmbeddedEngine

    return EmbeddedEngine(settings).at_work()


def in_worker(settings: Settings, *, concurrency: int | None = None) -> AbstractAsyncContextManager[None]:
    from services.jobs.distributed import DistributedEngine

    return DistributedEngine(settings, concurrency=concurrency).at_work()
