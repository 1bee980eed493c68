"""Getting at a kept file with an address of ours."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import FileKind, FileState, StoredFile
from services.core import file_urls
from services.core.errors import NotFound
from services.core.i18n import _
from services.files import drawing, names


@dataclass(frozen=True, slots=True)
class Content:
    """One object of a file. `download_as`: what to save it as, for what is not shown; None for a picture."""

    key: str
    media_type: str
    etag: str
    made_at: datetime
    expires: int
    download_as: str | None


async def find_content(session: AsyncSession, file_id: str, size: str, *, expires: str, signature: str) -> Content:
    """What an address leads to. Raises `NotFound`, alike whatever is wrong with it: it says nothing about the file."""
    if not file_urls.is_signed(file_id, size, expires, signature):
        raise _missing()
    statement = select(StoredFile).where(StoredFile.id == UUID(file_id), StoredFile.state == FileState.READY)
    file = (await session.scalars(statement)).one_or_none()
    if file is None:
        raise _missing()
    if size not in ((drawing.LARGE, drawing.SMALL) if file.kind is FileKind.IMAGE else ("file",)):
        raise _missing()
    return Content(
        key=f"{file.key}/{size}",
        media_type=file.media_type,
        etag=f'"{file.digest[:32]}-{size}"',
        made_at=file.created_at,
        expires=int(expires),
        download_as=names.download_as(file),
    )


def _missing() -> NotFound:
    return NotFound(_("There is no such file."))
