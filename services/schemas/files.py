"""Files as they are shown: where to get them, for a while."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from pydantic import Field, WithJsonSchema

from models import FileKind, StoredFile
from services.core import file_urls
from services.schemas.types import Read

SignedUrl = Annotated[
    str,
    WithJsonSchema({"type": "string", "examples": ["/files/0198…/small?expires=1790000000&signature=5f3a…"]}),
]


class FileRead(Read):
    """A file somebody sent. Its addresses are signed, and good for an hour at least."""

    id: UUID
    name: str = Field(description="What its sender called it, cleaned.")
    kind: FileKind
    media_type: str = Field(description="Of what is kept: a picture was drawn anew.")
    size: int = Field(description="Bytes, all sizes together.")
    width: int | None = Field(description="Of a picture, in pixels.")
    height: int | None
    url: SignedUrl
    small_url: SignedUrl | None = Field(description="Of a picture: at most 320 pixels wide and high.")

    @classmethod
    def of(cls, file: StoredFile) -> "FileRead":
        is_image = file.kind is FileKind.IMAGE
        return cls(
            id=file.id,
            name=file.name,
            kind=file.kind,
            media_type=file.media_type,
            size=file.size,
            width=file.width,
            height=file.height,
            url=file_urls.address(file.id, "large" if is_image else "file"),
            small_url=file_urls.address(file.id, "small") if is_image else None,
        )


class Picture(msgspec.Struct, frozen=True):
    """Where a picture is, in both sizes."""

    small_url: str
    large_url: str


class PictureRead(Read):
    """Where a picture is, in both sizes."""

    small_url: SignedUrl
    large_url: SignedUrl


def picture(file_id: Any) -> Picture | None:
    if file_id is None:
        return None
    return Picture(file_urls.address(file_id, "small"), file_urls.address(file_id, "large"))
