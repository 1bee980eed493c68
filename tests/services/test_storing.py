"""Files and the storage together, on each store there is."""

from datetime import timedelta
from pathlib import Path

import pytest
from httpx import AsyncClient
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
from tests.s3 import S3Server


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


async def test_what_is_moved_is_called_and_kept_as_what_is_sent(
    session: AsyncSession, alice: Actor, s3: S3Server, tmp_path: Path
) -> None:
    folder, bucket = (storage.open_storage(url) for url in ((tmp_path / "files").as_uri(), s3.url()))
    account = make_account(alice)
    letter = files.Received(tmp_path / "letter", "Grüße.txt", (tmp_path / "letter").write_bytes(samples.PDF))
    picture = received(tmp_path / "picture", "me.jpg")
    kept: dict[str, list[str]] = {"Grüße.txt": [], "me.jpg": []}
    for first in (folder, bucket):
        storage.use(first)
        for one in (letter, picture):
            file = await files.keep(account, one, purpose=FilePurpose.MESSAGE, household_id=alice.household_id)
            kept[one.name] += files.objects_of(file)

    moved = [found.state async for found in storing.move(folder, bucket)]

    assert sorted(moved) == [State.MOVED, State.MOVED, State.RIGHT, State.RIGHT]
    for name, shown, media_type in (
        ("Grüße.txt", "attachment; filename*=UTF-8''Gr%C3%BC%C3%9Fe.txt.pdf", "application/pdf"),
        ("me.jpg", "inline", "image/webp"),
    ):
        for key in kept[name]:
            link = await bucket.presign(key, expires_in=timedelta(minutes=5))
            async with AsyncClient() as browser:
                answer = await browser.get(str(link))
            assert answer.headers["content-disposition"] == shown
            assert answer.headers["content-type"] == media_type
            assert answer.headers["cache-control"] == storage.CACHE_CONTROL


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
