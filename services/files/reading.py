"""Getting at a kept file with an address of ours."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import FileState, StoredFile
from services.core import file_urls
from services.core.errors import NotFound
from services.core.i18n import _
from services.files.keeping import objects_of


@dataclass(frozen=True, slots=True)
class Content:
    """One object of a file, and until when its address is good."""

    file: StoredFile
    size: str
    expires: int

    @property
    def key(self) -> str:
        return f"{self.file.key}/{self.size}"

    @property
    def etag(self) -> str:
        return f'"{self.file.digest[:32]}-{self.size}"'

    @property
    def is_over(self) -> bool:
        return file_urls.is_over(self.expires)


async def find_content(session: AsyncSession, file_id: str, size: str, *, expires: str, signature: str) -> Content:
    """What an address leads to; it may be over. Raises `NotFound`, alike whatever is wrong with it."""
    if not file_urls.is_signed(file_id, size, expires, signature):
        raise _missing()
    statement = select(StoredFile).where(StoredFile.id == UUID(file_id), StoredFile.state == FileState.READY)
    file = (await session.scalars(statement)).one_or_none()
    if file is None:
        raise _missing()
    content = Content(file, size, int(expires))
    if content.key not in objects_of(file):
        raise _missing()
    return content


def _missing() -> NotFound:
    return NotFound(_("There is no such file."))
