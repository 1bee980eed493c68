"""Kept files, for whoever has a signed address of one: while it is good it is the right, and nobody is asked for."""

import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Send

from auth import COOKIE
from db import session_scope
from models import TokenKind
from services import file_renewal, files, sessions
from services.core import clock, storage
from services.core.errors import NotFound
from services.core.i18n import _

router = APIRouter(include_in_schema=False)

# A bucket's own address is good for longer than a browser may remember it, also when it ends with the keys of a role.
PRESIGNED = timedelta(minutes=15)
REMEMBERED = timedelta(minutes=4)


@router.api_route("/files/{file_id}/{size}", methods=["GET", "HEAD"], name="files:content", response_model=None)
async def get_content(file_id: str, size: str, request: Request, expires: str = "", signature: str = "") -> Response:
    """One size of a picture, or a document as a download. From a bucket it comes by itself."""
    async with session_scope(read_only=True) as session:
        content = await files.find_content(session, file_id, size, expires=expires, signature=signature)
        if content.is_over:
            return RedirectResponse(await _renewed(request, session, content), 307, {"Cache-Control": "no-store"})
    headers = _headers(content)
    if content.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if request.method == "GET" and (link := await storage.current().presign(content.key, expires_in=PRESIGNED)):
        return RedirectResponse(link, 307, {"Cache-Control": f"private, max-age={REMEMBERED.seconds}"})
    length = await storage.current().size(content.key)
    if length is None:
        raise NotFound(_("There is no such file."))
    return StoredResponse(content, length, headers)


async def _renewed(request: Request, session: AsyncSession, content: files.Content) -> str:
    """For pages that are open for longer than their addresses are good: their browsers say who it is."""
    token, household_id = request.cookies.get(COOKIE, ""), content.file.household_id
    found = await sessions.find(session, token, TokenKind.COOKIE, household_id=household_id)
    if found is None or found.actor is None:
        raise NotFound(_("There is no such file."))
    return await file_renewal.renew(session, found.actor, content)


def _headers(content: files.Content) -> dict[str, str]:
    left = max(int(content.expires - clock.now().timestamp()), 0)
    return {
        "Cache-Control": f"private, max-age={left}, immutable",
        "ETag": content.etag,
        "Last-Modified": format_datetime(content.file.created_at, usegmt=True),
        # Of what a browser gets shown by whatever mistake, nothing runs.
        "Content-Disposition": "inline",
    }


class StoredResponse(FileResponse):
    """What Starlette does for files on its disk (ranges, conditions, HEAD), for objects of a storage."""

    def __init__(self, content: files.Content, length: int, headers: dict[str, str]) -> None:
        self.key = content.key
        download_as = files.download_as(content.file)
        if download_as:
            headers.pop("Content-Disposition")
        super().__init__(
            content.key,
            headers=headers,
            media_type=content.file.media_type,
            filename=download_as,
            stat_result=os.stat_result((stat.S_IFREG, 0, 0, 0, 0, 0, length, 0, 0, 0)),
        )

    async def _handle_simple(self, send: Send, send_header_only: bool, send_pathsend: bool) -> None:
        # Whatever the server can send by itself, it cannot send what is no path.
        await super()._handle_simple(send, send_header_only, False)

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[Any]:
        yield _Object(self.key)


class _Object:
    """Reads an object as a file is read."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._pieces = storage.current().stream(key)
        self._rest = b""

    async def seek(self, start: int) -> None:
        self._pieces = storage.current().stream(self._key, start=start)
        self._rest = b""

    async def read(self, length: int) -> bytes:
        """As many bytes as that, fewer only at the end."""
        while len(self._rest) < length and (piece := await anext(self._pieces, b"")):
            self._rest += piece
        taken, self._rest = self._rest[:length], self._rest[length:]
        return taken
