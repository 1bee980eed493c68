"""Whether the storage holds what the database says, and taking all of it to another one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from sqlmodel import col, select

from db import session_scope
from models import FileState, StoredFile
from services import files
from services.core.errors import NotFound, Unavailable
from services.core.storage import Storage

PAGE = 200
AT_ONCE = 8


class State(StrEnum):
    """`moved`: taken to the other storage now; `right`: it was there already, or is where it should be."""

    RIGHT = "right"
    MOVED = "moved"
    MISSING = "missing"
    CHANGED = "changed"
    LEFT_OVER = "left over"


@dataclass(frozen=True, slots=True)
class Found:
    """How the objects of one file are; of what is left over, there is no file."""

    state: State
    keys: Sequence[str]
    name: str = ""


async def count() -> int:
    """How many files there are to look at."""
    async with session_scope(read_only=True) as session:
        ready = sa.select(sa.func.count()).select_from(StoredFile).where(_is_ready())
        return int(await session.scalar(ready) or 0)


async def check(storage: Storage) -> AsyncIterator[Found]:
    """Every file as it is in the storage, and then what is left over there. Reads all of it, and changes nothing."""
    async for file, found in _each(lambda file: _look_at(storage, file)):
        # Who looks for so long sees files that were removed meanwhile.
        if found.state is State.RIGHT or await _is_still_there(file):
            yield found
    async for key in _left_over(storage):
        yield Found(State.LEFT_OVER, [key])


async def move(source: Storage, target: Storage) -> AsyncIterator[Found]:
    """Copy every file to another storage, and read it there again. Whole ones that are there already are left alone.

    Raises `Unavailable` when one of them fails; what was done by then need not be done again.
    """
    with TemporaryDirectory(prefix="larder-moving-") as folder:
        async for file, found in _each(lambda file: _move(source, target, file, Path(folder))):
            if found.state in {State.RIGHT, State.MOVED} or await _is_still_there(file):
                yield found


async def _each(work: Callable[[StoredFile], Awaitable[Found]]) -> AsyncIterator[tuple[StoredFile, Found]]:
    """Work on every file, some at once; no session is open meanwhile."""
    statement = select(StoredFile).where(_is_ready()).order_by(col(StoredFile.id)).limit(PAGE)
    page: Sequence[StoredFile] = ()
    while True:
        after = [col(StoredFile.id) > page[-1].id] if page else []
        async with session_scope(read_only=True) as session:
            page = (await session.scalars(statement.where(*after))).all()
        if not page:
            return
        for start in range(0, len(page), AT_ONCE):
            some = page[start : start + AT_ONCE]
            for file, found in zip(some, await asyncio.gather(*map(work, some)), strict=True):
                yield file, found


async def _look_at(storage: Storage, file: StoredFile) -> Found:
    keys = files.objects_of(file)
    sizes = {key: await storage.size(key) for key in keys}
    if missing := [key for key, size in sizes.items() if size is None]:
        return Found(State.MISSING, missing, file.name)
    if sum(size or 0 for size in sizes.values()) != file.size or await _digest(storage, keys[0]) != file.digest:
        return Found(State.CHANGED, keys, file.name)
    return Found(State.RIGHT, keys, file.name)


async def _move(source: Storage, target: Storage, file: StoredFile, folder: Path) -> Found:
    there = await _look_at(target, file)
    if there.state is State.RIGHT:
        return there
    here = await _look_at(source, file)
    if here.state is not State.RIGHT:
        return here
    for number, key in enumerate(here.keys):
        path = folder / f"{file.id}-{number}"
        digest = sha256()
        with path.open("wb") as copy:
            async for chunk in source.stream(key):
                digest.update(chunk)
                copy.write(chunk)
        await target.put(key, path, media_type=file.media_type, download_as=files.download_as(file))
        path.unlink()
        if await _digest(target, key) != digest.hexdigest():
            raise Unavailable(f"{target} gives {key} back other than it was put.")
    return Found(State.MOVED, here.keys, file.name)


async def _digest(storage: Storage, key: str) -> str:
    digest = sha256()
    try:
        async for chunk in storage.stream(key):
            digest.update(chunk)
    except NotFound:
        return ""
    return digest.hexdigest()


async def _left_over(storage: Storage) -> AsyncIterator[str]:
    async for page in storage.list_pages():
        for key in await _unknown(storage, [entry.key for entry in page]):
            yield key


async def _unknown(storage: Storage, keys: Sequence[str]) -> list[str]:
    """Those of no file. A row is written before its objects and removed after them."""
    of = {key.rpartition("/")[0] for key in keys}
    async with session_scope(read_only=True) as session:
        found = (await session.scalars(select(StoredFile).where(col(StoredFile.key).in_(of)))).all()
    known = {key for file in found for key in files.objects_of(file)}
    return [key for key in keys if key not in known and await storage.size(key) is not None]


async def _is_still_there(file: StoredFile) -> bool:
    async with session_scope(read_only=True) as session:
        ready = select(StoredFile.id).where(_is_ready(), StoredFile.id == file.id)
        return (await session.scalars(ready)).one_or_none() is not None


def _is_ready() -> sa.ColumnElement[bool]:
    return col(StoredFile.state) == FileState.READY
