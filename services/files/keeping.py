"""Keeping what was sent: looked at, drawn anew when it is a picture, put into the storage, and only then there.

A row is written before its objects and removed after them, so nothing lies in the storage that no row knows of; what
was cut off in between is tidied up. Of the ancestors' defects: no file is in memory as a whole, its type and its key
are ours and not its sender's, and what was put down for nothing does not stay (chat D21, D22).
"""

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

from db import session_scope
from models import (
    Attachment,
    Avatar,
    CatalogueItem,
    FileKind,
    FilePurpose,
    FileState,
    Household,
    LotPhoto,
    Product,
    StoredFile,
)
from services import audit
from services.core import clock, scratch, storage
from services.core.errors import Conflict, InvalidInput, NotFound, Unavailable, UnsupportedType
from services.core.i18n import _
from services.files import drawing, kinds, names
from services.permissions import Account, Actor
from settings import get_settings

IMAGE_TYPE = "image/webp"
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """A body on disk. `name` is what its sender called it, and `size` its bytes."""

    path: Path
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class _Object:
    size: str
    path: Path


def objects_of(file: StoredFile) -> list[str]:
    """The keys of all that is kept of a file."""
    sizes = (drawing.LARGE, drawing.SMALL) if file.kind is FileKind.IMAGE else ("file",)
    return [f"{file.key}/{size}" for size in sizes]


async def keep(account: Account, received: Received, *, purpose: FilePurpose, household_id: UUID | None) -> StoredFile:
    """Keep what was sent. Opens sessions of its own, none while it draws or puts: call it outside of any.

    Raises `UnsupportedType`, `InvalidInput` for what cannot be read, `Conflict` when the household has no room left,
    and `Unavailable` when the storage or the machine's own disk fails; then nothing of it stays.
    """
    if not received.size:
        raise InvalidInput({"file": _("This file is empty.")})
    found = await asyncio.to_thread(kinds.find, received.path)
    if found.kind is not FileKind.IMAGE and purpose is not FilePurpose.MESSAGE:
        raise UnsupportedType(_("Send a picture: JPEG, PNG, WebP, GIF or HEIC."))

    with scratch.folder("drawn") as folder:
        file, objects = await _prepare(account, received, found, folder, purpose)
        file.household_id = household_id
        async with session_scope() as session:
            await _reserve(session, file)
        try:
            for each in objects:
                key = f"{file.key}/{each.size}"
                await storage.current().put(
                    key, each.path, media_type=file.media_type, download_as=names.download_as(file)
                )
            async with session_scope() as session:
                await _finish(session, file)
        finally:
            if file.state is not FileState.READY:
                # Also when who sent it went away meanwhile, and this is cancelled.
                await asyncio.shield(discard(file))
    return file


def note_upload(session: AsyncSession, actor: Actor, file: StoredFile) -> None:
    """Write down who sent a file ahead of its message."""
    _record(session, "files:upload", file, by=actor, after=audit.snapshot(file, ("media_type", "size")))


async def discard(file: StoredFile) -> None:
    """Leave nothing of a file, unless it is in its place by now; what the storage keeps is tidied up later."""
    async with session_scope() as session:
        discarded = await session.execute(
            update(StoredFile)
            .where(col(StoredFile.id) == file.id, ~is_used())
            .values(state=FileState.RELEASED)
            .returning(col(StoredFile.id))
        )
        is_over = discarded.first() is not None
    if is_over:
        with suppress(Unavailable):
            await destroy([file])


def is_used() -> sa.ColumnElement[bool]:
    """Whether anything refers to a file."""
    return sa.or_(
        *(
            sa.exists().where(reference == col(StoredFile.id))
            for reference in (
                col(Attachment.file_id),
                col(Avatar.file_id),
                col(CatalogueItem.picture_id),
                col(LotPhoto.file_id),
                col(Product.picture_id),
            )
        )
    )


async def destroy(files: Sequence[StoredFile]) -> None:
    """The objects of files that were released, and then their rows."""
    await storage.current().delete(key for file in files for key in objects_of(file))
    async with session_scope() as session:
        ids = [file.id for file in files]
        await session.execute(
            delete(StoredFile).where(col(StoredFile.id).in_(ids), col(StoredFile.state) == FileState.RELEASED)
        )


async def find_attachable(session: AsyncSession, actor: Actor, ids: Sequence[UUID]) -> list[StoredFile]:
    """Files the actor sent for a message and put under none yet, locked, in this order.

    Raises `InvalidInput` when one of them is not such a file.
    """
    if not ids:
        return []
    statement = (
        select(StoredFile)
        .where(*_unsent(actor), col(StoredFile.id).in_(ids))
        .order_by(col(StoredFile.id))
        .with_for_update()
    )
    found = {file.id: file for file in await session.scalars(statement)}
    # Who had them locked before may have put them under a message: a statement of its own sees that.
    taken = set(await session.scalars(select(Attachment.file_id).where(col(Attachment.file_id).in_(ids))))
    if len(set(ids)) != len(ids) or any(file_id not in found or file_id in taken for file_id in ids):
        raise InvalidInput({"attachment_ids": _("This file cannot be sent. Choose it again.")})
    return [found[file_id] for file_id in ids]


async def remove(session: AsyncSession, actor: Actor, file_id: UUID) -> None:
    """Take back a file that was not sent with a message yet."""
    statement = select(StoredFile).where(*_unsent(actor), col(StoredFile.id) == file_id).with_for_update()
    file = (await session.scalars(statement)).one_or_none()
    sent = select(Attachment.file_id).where(Attachment.file_id == file_id)
    if file is None or (await session.scalars(sent)).one_or_none():
        raise NotFound(_("There is no such file."))
    await release(session, [file.id])
    _record(session, "files:remove", file, by=actor)


async def release(session: AsyncSession, ids: Iterable[UUID | None]) -> None:
    """Nobody refers to these any more: their objects go, and then their rows. See `tidying`."""
    gone = [file_id for file_id in ids if file_id is not None]
    if gone:
        await session.execute(update(StoredFile).where(col(StoredFile.id).in_(gone)).values(state=FileState.RELEASED))


async def used(session: AsyncSession, household_id: UUID) -> int:
    """Bytes of a household's files."""
    statement = select(sa.func.coalesce(sa.func.sum(col(StoredFile.size)), 0)).where(
        StoredFile.household_id == household_id, StoredFile.state != FileState.RELEASED
    )
    return int((await session.scalars(statement)).one())


async def _prepare(
    account: Account, received: Received, found: kinds.Found, folder: Path, purpose: FilePurpose
) -> tuple[StoredFile, list[_Object]]:
    file = StoredFile(
        uploader_id=account.user_id,
        purpose=purpose,
        kind=found.kind,
        name=names.clean(received.name),
        media_type=found.media_type,
        size=received.size,
        key=f"{purpose}/{clock.now():%Y}/{secrets.token_hex(16)}",
        digest="",
    )
    objects = [_Object("file", received.path)]
    if found.kind is FileKind.IMAGE:
        is_square = purpose is FilePurpose.AVATAR
        drawn = await drawing.draw(received.path, found.format, folder, is_square=is_square)
        objects = [_Object(drawing.LARGE, drawn.large), _Object(drawing.SMALL, drawn.small)]
        file.media_type, file.width, file.height = IMAGE_TYPE, drawn.width, drawn.height
        file.size = sum(each.path.stat().st_size for each in objects)
    file.digest = await asyncio.to_thread(digest, objects[0].path)
    return file, objects


def digest(path: Path) -> str:
    """SHA-256 of a file. Blocks."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


async def _reserve(session: AsyncSession, file: StoredFile) -> None:
    """Write the row: from here on its bytes count. One at a time in a household, so that no two see the same room."""
    if file.household_id is not None:
        household = select(Household.id).where(Household.id == file.household_id).with_for_update(key_share=True)
        if (await session.scalars(household)).one_or_none() is None:
            raise NotFound(_("There is no such household."))
        quota = get_settings().household_quota_mb * MEGABYTE
        if await used(session, file.household_id) + file.size > quota:
            raise Conflict(
                _("Your household’s files take up all the room there is. Remove some first."), code="quota_exceeded"
            )
    session.add(file)


async def _finish(session: AsyncSession, file: StoredFile) -> None:
    done = await session.execute(
        update(StoredFile)
        .where(col(StoredFile.id) == file.id, col(StoredFile.state) == FileState.PENDING)
        .values(state=FileState.READY)
        .returning(col(StoredFile.id))
    )
    if done.scalar_one_or_none() is None:  # it took so long that somebody tidied it up
        raise Conflict(_("That took too long. Please send it again."))
    file.state = FileState.READY


def _record(
    session: AsyncSession, action: str, file: StoredFile, *, by: Account, after: dict[str, Any] | None = None
) -> None:
    """Admins read in the log that there is one, not what it is called: it may be for a chat they are not in."""
    audit.record(
        session,
        action,
        by=by,
        subject_type="stored_file",
        subject_id=file.id,
        household_id=file.household_id,
        after=after,
    )


def _unsent(actor: Actor) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        col(StoredFile.household_id) == actor.household_id,
        col(StoredFile.uploader_id) == actor.user_id,
        col(StoredFile.purpose) == FilePurpose.MESSAGE,
        col(StoredFile.state) == FileState.READY,
    )
