"""Files nobody refers to any more, and what a process that died left behind. Objects go first, then their rows."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import col, select, update

from db import session_scope
from models import FilePurpose, FileState, StoredFile
from services.core import clock, storage
from services.core.tasks import task
from services.files.keeping import destroy, is_used

# How long an upload may take, and how long what was sent may wait to be put somewhere.
UNDERWAY = timedelta(hours=1)
WAITING = timedelta(days=1)
AT_ONCE = 200


@task("files.tidy", cron="37 * * * *")
async def tidy() -> str:
    files = objects = 0
    while gone := await _release_some():
        await destroy(gone)
        files += len(gone)
    async for keys in _strays():
        await storage.current().delete(keys)
        objects += len(keys)
    objects += await storage.current().remove_torn(before=clock.now() - WAITING)
    return f"{files} files, {objects} stray objects"


async def _release_some() -> Sequence[StoredFile]:
    """Take some that nobody refers to: from here on, nobody can."""
    async with session_scope() as session:
        candidates = select(StoredFile.id).where(_is_over()).limit(AT_ONCE).with_for_update(skip_locked=True)
        ids = list(await session.scalars(candidates))
        # Who had one locked may have put it somewhere meanwhile: this statement sees that.
        released = await session.scalars(
            update(StoredFile)
            .where(col(StoredFile.id).in_(ids), _is_over())
            .values(state=FileState.RELEASED)
            .returning(StoredFile)
        )
        gone: Sequence[StoredFile] = released.all()
        return gone


def _is_over() -> sa.ColumnElement[bool]:
    now = clock.now()
    made, state = col(StoredFile.created_at), col(StoredFile.state)
    return sa.or_(
        state == FileState.RELEASED,
        sa.and_(state == FileState.PENDING, made < now - UNDERWAY),
        sa.and_(state == FileState.READY, made < now - WAITING, ~is_used()),
    )


async def _strays() -> AsyncIterator[list[str]]:
    """Objects of no row, in batches: what is younger may be about to get one in another process."""
    before = clock.now() - WAITING
    for purpose in FilePurpose:
        async for page in storage.current().list_pages(purpose):
            keys = [entry.key for entry in page if entry.modified_at < before and entry.key.count("/") == 3]
            known = {key.rpartition("/")[0] for key in keys}
            async with session_scope(read_only=True) as session:
                kept = set(await session.scalars(select(StoredFile.key).where(col(StoredFile.key).in_(known))))
            if strays := [key for key in keys if key.rpartition("/")[0] not in kept]:
                yield strays
