"""storage check, storage move."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from db import session_scope
from models import FileKind, FilePurpose, FileState, StoredFile
from services import files
from services.core import storage
from services.core.storage import Storage
from tests.commands.conftest import Oppman
from tests.processes import until
from tests.s3 import S3Server

PDF = "application/pdf"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def oppman(seeded: Oppman, folder: Path) -> Iterator[Oppman]:
    """With files in a folder of the test's own."""
    yield Oppman(seeded.url, folder.as_uri())
    seeded.run(_forget())


async def _forget() -> None:
    async with session_scope() as session:
        await session.execute(sa.delete(StoredFile))


async def make_file(
    store: Storage, *, kind: FileKind = FileKind.IMAGE, state: FileState = FileState.READY, name: str = ""
) -> StoredFile:
    """A file with its objects, each of other bytes."""
    file = StoredFile(
        purpose=FilePurpose.MESSAGE,
        state=state,
        kind=kind,
        name=name,
        media_type="image/webp" if kind is FileKind.IMAGE else PDF,
        size=0,
        key=f"message/2026/{uuid4().hex}",
        digest="",
    )
    for key in files.objects_of(file):
        body = f"what is at {key}".encode()
        await store.put(key, body, media_type=file.media_type)
        file.size += len(body)
        file.digest = file.digest or sha256(body).hexdigest()
    async with session_scope() as session:
        session.add(file)
    return file


def make_files(oppman: Oppman, count: int) -> list[StoredFile]:
    store = storage.open_storage(oppman.storage_url)

    async def make() -> list[StoredFile]:
        return [await make_file(store, kind=[FileKind.IMAGE, FileKind.DOCUMENT][n % 2]) for n in range(count)]

    return oppman.run(make())


def keys_of(kept: Sequence[StoredFile]) -> list[str]:
    return sorted(key for file in kept for key in files.objects_of(file))


def keys_in(url: str) -> list[str]:
    async def keys() -> list[str]:
        return sorted([entry.key async for entry in storage.open_storage(url).list()])

    return asyncio.run(keys())


def read(url: str, key: str) -> bytes:
    return asyncio.run(storage.open_storage(url).read(key))


# check


def test_files_that_are_there_are_in_order(oppman: Oppman) -> None:
    make_files(oppman, 3)

    checked = oppman("storage", "check")

    assert (checked.exit_code, checked.stderr) == (0, "")
    assert "3 files are as they should be." in checked.stdout


def test_what_is_missing_changed_or_left_over_is_named(oppman: Oppman, folder: Path) -> None:
    fine, gone, cut, other = make_files(oppman, 4)
    (folder / gone.key / "file").unlink()
    (folder / cut.key / "small").write_bytes(b"cut")
    body = (folder / other.key / "file").read_bytes()
    (folder / other.key / "file").write_bytes(body[::-1])
    (folder / "message" / "old").mkdir()
    (folder / "message" / "old" / "large").write_bytes(b"left")
    (folder / fine.key / "stray").write_bytes(b"left")

    checked = oppman("storage", "check")

    assert checked.exit_code == 1
    assert sorted(checked.stderr.splitlines()) == sorted(
        [
            f"missing: {gone.key}/file",
            f"changed: {cut.key}/large",
            f"changed: {cut.key}/small",
            f"changed: {other.key}/file",
            "left over: message/old/large",
            f"left over: {fine.key}/stray",
        ]
    )


def test_a_file_that_comes_or_goes_at_the_moment_is_no_fault(oppman: Oppman, folder: Path) -> None:
    store = storage.open_storage(oppman.storage_url)
    oppman.run(make_file(store, state=FileState.PENDING))
    going = oppman.run(make_file(store, state=FileState.RELEASED))
    (folder / going.key / "large").unlink()

    checked = oppman("storage", "check")

    assert (checked.exit_code, checked.stderr) == (0, "")
    assert "0 files are as they should be." in checked.stdout


def test_a_storage_that_does_not_answer_is_told(oppman: Oppman, s3: S3Server) -> None:
    make_files(oppman, 1)

    checked = oppman("storage", "check", LARDER_STORAGE_URL=s3.url(secret="s3cret-word"))

    assert checked.exit_code == 1
    assert "The files cannot be reached" in checked.stderr
    assert "s3cret-word" not in checked.output


# move


def test_files_go_to_a_bucket_and_come_back(oppman: Oppman, folder: Path, s3: S3Server, tmp_path: Path) -> None:
    kept = make_files(oppman, 5)
    bucket, back = s3.url(), (tmp_path / "back").as_uri()

    there = oppman("storage", "move", bucket)
    again = oppman("storage", "move", bucket)
    home = oppman("storage", "move", back, "--from", bucket)

    assert [result.exit_code for result in (there, again, home)] == [0, 0, 0]
    assert "5 files moved, 0 were there." in there.stdout
    assert "Now set LARDER_STORAGE_URL to s3://larder/" in there.stdout
    assert s3.url().partition("@")[0] not in there.output
    assert "0 files moved, 5 were there." in again.stdout
    assert "5 files moved, 0 were there." in home.stdout
    assert keys_in(bucket) == keys_in(back) == keys_in(oppman.storage_url) == keys_of(kept)
    for key in keys_of(kept):
        assert read(bucket, key) == read(back, key) == f"what is at {key}".encode()
    assert oppman("storage", "check", LARDER_STORAGE_URL=bucket).exit_code == 0


def test_what_was_moved_is_removed_when_that_is_wanted(oppman: Oppman, tmp_path: Path) -> None:
    kept = make_files(oppman, 2)
    asyncio.run(storage.open_storage(oppman.storage_url).put("message/stray", b"left", media_type=PDF))
    new = (tmp_path / "new").as_uri()

    refused = oppman("storage", "move", new, "--delete", typed="n\n")
    assert refused.exit_code == 1
    assert "Remove 3 objects from file://" in refused.stdout
    assert len(keys_in(oppman.storage_url)) == 4

    done = oppman("storage", "move", new, "--delete", "--yes")
    assert done.exit_code == 0
    assert "3 objects removed" in done.stdout
    assert keys_in(oppman.storage_url) == ["message/stray"]
    assert keys_in(new) == keys_of(kept)

    once_more = oppman("storage", "move", new, "--delete", "--yes")
    assert once_more.exit_code == 0


def test_nothing_is_removed_while_a_file_could_not_be_moved(oppman: Oppman, folder: Path, tmp_path: Path) -> None:
    gone, changed, fine = make_files(oppman, 3)
    (folder / gone.key / "small").unlink()
    (folder / changed.key / "file").write_bytes(b"other")
    new = (tmp_path / "new").as_uri()

    moved = oppman("storage", "move", new, "--delete", "--yes")

    assert moved.exit_code == 1
    assert f"missing: {gone.key}/small" in moved.stderr
    assert f"changed: {changed.key}/file" in moved.stderr
    assert "Nothing was removed." in moved.stderr
    assert keys_in(new) == keys_of([fine])
    assert (folder / fine.key / "large").exists()


def test_what_is_there_but_wrong_is_moved_again(oppman: Oppman, tmp_path: Path) -> None:
    (kept,) = make_files(oppman, 1)
    new = (tmp_path / "new").as_uri()
    oppman("storage", "move", new)
    large = tmp_path / "new" / kept.key / "large"
    large.write_bytes(large.read_bytes()[::-1])

    moved = oppman("storage", "move", new)

    assert "1 files moved, 0 were there." in moved.stdout
    assert large.read_bytes() == f"what is at {kept.key}/large".encode()


@pytest.mark.parametrize("way", ["to a bucket", "to a folder"])
def test_a_move_that_was_killed_goes_on_where_it_was(way: str, oppman: Oppman, s3: S3Server, tmp_path: Path) -> None:
    kept = make_files(oppman, 120)
    target = s3.url() if way == "to a bucket" else (tmp_path / "new").as_uri()

    moving = oppman.start("storage", "move", target)
    until(lambda: moving.poll() is not None or any(key.endswith("/file") for key in keys_in(target)))
    moving.send_signal(signal.SIGKILL)
    moving.communicate()
    assert moving.returncode == -signal.SIGKILL, "it had ended before it was killed"

    gone_on = oppman("storage", "move", target)

    assert gone_on.exit_code == 0
    moved, were_there = _told(gone_on.stdout)
    assert moved + were_there == 120
    assert moved > 0
    assert were_there > 0
    assert keys_in(target) == keys_of(kept)
    assert oppman("storage", "check", LARDER_STORAGE_URL=target).exit_code == 0


def _told(output: str) -> tuple[int, int]:
    line = next(line for line in output.splitlines() if "files moved" in line)
    words = line.split()
    return int(words[0]), int(words[3])


@pytest.mark.parametrize(
    ("target", "code", "told"),
    [
        ("{own}", 2, "That is where they are."),
        ("memory://", 2, "memory:// keeps nothing."),
        ("ftp://elsewhere", 2, "Use file:///path"),
        ("s3://key:s3cret-word@larder?endpoint=http://127.0.0.1:1", 1, "The files cannot be reached"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(target: str, code: int, told: str, oppman: Oppman) -> None:
    make_files(oppman, 1)

    refused = oppman("storage", "move", target.format(own=oppman.storage_url))

    assert refused.exit_code == code
    assert told in refused.stderr
    assert "s3cret-word" not in refused.output
