"""What the probes are told of the storage."""

import asyncio
from pathlib import Path

import pytest

from db import Database
from services import health
from services.core import storage
from services.core.errors import Unavailable
from services.core.storage import MemoryStorage
from settings import StorageAddress


class Watched(MemoryStorage):
    """One that counts how often it is looked at, and fails or hangs when a test wants it to."""

    def __init__(self) -> None:
        super().__init__(StorageAddress("memory"))
        self.looks = 0
        self.is_looked_at = asyncio.Event()
        self.is_down = False
        self.hangs = asyncio.Event()
        self.hangs.set()

    async def check(self) -> None:
        self.looks += 1
        self.is_looked_at.set()
        await self.hangs.wait()
        if self.is_down:
            raise Unavailable("down")


@pytest.fixture
def watched(rolled_back: Database) -> Watched:
    watched = Watched()
    storage.use(watched)
    return watched


async def test_a_storage_that_works_is_looked_at_once_in_a_while(watched: Watched) -> None:
    for _probe in range(20):
        assert (await health.check())["storage"] == "ok"

    assert watched.looks == 1


async def test_a_storage_that_does_not_answer_is_told_and_looked_at_again_soon(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STORAGE_PATIENCE", 0)
    watched.is_down = True
    assert (await health.check())["storage"] == "unreachable"

    watched.is_down = False
    monkeypatch.setattr(health, "STORAGE_PATIENCE", 2)
    assert (await health.check())["storage"] == "ok"


async def test_a_storage_that_hangs_holds_no_other_probe_up(watched: Watched) -> None:
    watched.hangs.clear()
    first = asyncio.create_task(health.check())
    await watched.is_looked_at.wait()

    assert (await health.check())["storage"] == "ok"  # as far as anybody knows
    assert watched.looks == 1

    watched.hangs.set()
    assert (await first)["storage"] == "ok"


async def test_a_storage_that_hangs_is_unreachable(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STORAGE_PATIENCE", 0.01)
    watched.hangs.clear()

    assert (await health.check())["storage"] == "unreachable"


async def test_a_folder_that_cannot_be_made_is_told(
    rolled_back: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def current() -> storage.Storage:
        return storage.open_storage((tmp_path / "file").as_uri())

    (tmp_path / "file").touch()
    monkeypatch.setattr(storage, "current", current)

    assert (await health.check())["storage"] == "unreachable"
