"""Files and the storage together, on each store there is."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import Avatar, FilePurpose, FileState, StoredFile
from services import files, storing
from services.core import storage
from services.core.storage import Storage
from services.permissions import Actor
from services.storing import State
from tests import samples
from tests.factories import make_account


@pytest.fixture(params=["folder", "memory", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "bucket":
        url = request.getfixturevalue("s3").url()
    else:
        url = (tmp_path / "files").as_uri() if request.param == "folder" else "memory://"
    store = storage.open_storage(url)
    storage.use(store)
    return store


def received(path: Path, name: str) -> files.Received:
    return files.Received(path, name, path.write_bytes(samples.picture()))


async def send_avatar(session: AsyncSession, alice: Actor, path: Path, name: str) -> StoredFile:
    account = make_account(alice)
    file = await files.keep(account, received(path, name), purpose=FilePurpose.AVATAR, household_id=None)
    await files.set_avatar(session, account, file)
    await session.commit()
    return file


async def test_a_picture_that_is_replaced_goes_from_the_store(
    store: Storage, session: AsyncSession, alice: Actor, tmp_path: Path
) -> None:
    """FastOpp D16 and D17: there, old photos stayed for ever, and in a bucket nothing was ever deleted."""
    await send_avatar(session, alice, tmp_path / "sent", "first.jpg")
    second = await send_avatar(session, alice, tmp_path / "sent", "second.jpg")
    await files.tidy()

    assert sorted([entry.key async for entry in store.list()]) == sorted(files.objects_of(second))

    await files.remove_avatar(session, make_account(alice))
    await session.commit()
    await files.tidy()

    assert [entry.key async for entry in store.list()] == []
    assert (await session.scalars(select(Avatar.user_id).where(col(Avatar.user_id) == alice.user_id))).all() == []


@pytest.mark.parametrize("name", ["evil.html", "evil.svg", "../../main.py", "a.jpg\x00.php", "uploads/../x", ""])
async def test_nothing_of_what_a_sender_says_names_an_object(
    name: str, store: Storage, session: AsyncSession, alice: Actor, tmp_path: Path
) -> None:
    """FastOpp D16: there, what was sent as evil.html was served as evil.html."""
    file = await send_avatar(session, alice, tmp_path / "sent", name)

    kept = [entry.key async for entry in store.list()]
    assert sorted(kept) == sorted([f"{file.key}/large", f"{file.key}/small"])
    assert "evil" not in file.key
    for key in kept:
        assert samples.opened(await store.read(key)).format == "WEBP"
    assert [found.state async for found in storing.check(store)] == [State.RIGHT]
    assert file.state is FileState.READY
