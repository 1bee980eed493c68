"""Lists to choose from, kept for a while by each process."""

import time

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, update

import db
from models import DictionaryEntry
from services import dictionary
from services.core import bus
from services.core.bus import MemoryBus
from services.permissions import Actor
from tests.conftest import ClientOf
from tests.factories import make_lot


@pytest.fixture(autouse=True)
def _nothing_read() -> None:
    dictionary.forget()


async def add(session: AsyncSession, kind: str, *labels: str) -> None:
    session.add_all(
        DictionaryEntry(kind=kind, value=label.lower(), label=label, position=position)
        for position, label in enumerate(labels)
    )
    await session.commit()


async def labels(session: AsyncSession, kind: str = "store") -> list[str]:
    return [option.label for option in await dictionary.options(session, kind)]


async def test_options_come_in_order_without_what_is_disabled(session: AsyncSession) -> None:
    await add(session, "store", "Market", "Bakery", "Closed shop")
    await session.execute(
        update(DictionaryEntry).where(col(DictionaryEntry.label) == "Closed shop").values(is_enabled=False)
    )

    assert await labels(session) == ["Market", "Bakery"]


async def test_they_are_read_once_until_something_is_written(session: AsyncSession) -> None:
    await add(session, "store", "Market")
    assert await labels(session) == ["Market"]

    await add(session, "store", "Bakery")
    assert await labels(session) == ["Market"]

    dictionary.forget_after_commit(session)
    db.run_after_commit(session)
    assert await labels(session) == ["Bakery", "Market"]


async def test_they_are_read_again_after_a_while(session: AsyncSession, monkeypatch: pytest.MonkeyPatch) -> None:
    await add(session, "store", "Market")
    assert await labels(session) == ["Market"]
    await add(session, "store", "Bakery")

    later = time.monotonic() + dictionary.MAX_AGE
    monkeypatch.setattr("services.dictionary.time.monotonic", lambda: later)
    assert await labels(session) == ["Bakery", "Market"]


@pytest.mark.parametrize("message", ["dictionary", ""])
async def test_another_process_says_when_something_was_written(session: AsyncSession, message: str) -> None:
    await add(session, "store", "Market")
    assert await labels(session) == ["Market"]
    await add(session, "store", "Bakery")

    dictionary.hear("outbox")
    assert await labels(session) == ["Market"]
    dictionary.hear(message)
    assert await labels(session) == ["Bakery", "Market"]


async def test_whoever_writes_tells_the_others(session: AsyncSession) -> None:
    heard: list[str] = []
    listening = MemoryBus()
    await listening.start(heard.append)
    before = bus.current()
    bus.use_bus(listening)
    try:
        heard.clear()  # that it may have missed something
        dictionary.forget_after_commit(session)
        db.run_after_commit(session)
    finally:
        bus.use_bus(before)
        await listening.stop()

    assert heard == ["dictionary"]


async def test_everybody_reads_shops_and_staff_alone_the_reasons_of_bans(
    session: AsyncSession, client_of: ClientOf, vera: Actor, sam: Actor
) -> None:
    await add(session, "store", "Market")
    await add(session, "ban_reason", "Abuse")

    answer = await client_of(vera).get("/dictionary/store")
    assert (answer.status_code, answer.json()) == (200, {"items": [{"value": "market", "label": "Market"}]})
    assert (await client_of(vera).get("/dictionary/ban_reason")).status_code == 404
    assert (await client_of(vera).get("/dictionary/nothing")).status_code == 404
    assert (await client_of(vera).get(f"/dictionary/{'x' * 51}")).status_code == 422
    assert (await client_of(sam).get("/dictionary/ban_reason")).status_code == 200
    assert (await client_of(None).get("/dictionary/store")).status_code == 401


async def test_forms_propose_the_shops(session: AsyncSession, browser_of: ClientOf, alice: Actor) -> None:
    await add(session, "store", "Farmers’ <market>")
    lot = await make_lot(session, alice)
    await session.commit()
    browser = browser_of(alice)

    for path in ("/stock/add", f"/stock/lots/{lot.id}/edit"):
        page = (await browser.get(path)).text
        assert 'list="stores"' in page
        assert '<option value="Farmers’ &lt;market&gt;">' in page
