"""Bodies with files: who sends them is known before one byte is read, and no session is open while they come in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Generic, NamedTuple, TypeVar
from uuid import UUID

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

import auth
from db import session_scope
from models import FilePurpose, StoredFile
from routes import idempotent
from routes.idempotent import KeyHeader
from services import files
from services.core import scratch
from services.core.errors import BadRequest, InvalidInput, TooLarge, UnsupportedType
from services.core.i18n import _, ngettext
from services.permissions import Account, Actor
from services.staff import Staff
from settings import Settings, get_settings

MEGABYTE = 1024 * 1024
# What boundaries, headers and other fields take besides the files.
AROUND = 128 * 1024
FIELD = "file"
MAX_PARTS = 50
MAX_FIELD = 64 * 1024
# There are programs that send whole paths as names, and people who write them in letters of four bytes.
MAX_HEADER = 32 * 1024
WRITE_AT = MEGABYTE

Who = TypeVar("Who", bound=Account)
LookUp = Callable[[Request, AsyncSession], Awaitable[Who]]


async def _account(request: Request) -> Account:
    return await _look_up(request, auth.current_account)


async def _actor(request: Request) -> Actor:
    return await _look_up(request, auth.current_actor)


async def _staff(request: Request) -> Staff:
    return await _look_up(request, auth.current_staff)


async def _look_up(request: Request, look_up: LookUp[Who]) -> Who:
    async with session_scope() as session:
        request.state.account = who = await look_up(request, session)
    request.state.look_up = look_up
    return who


# As `AccountDep`, `ActorDep` and `StaffDep`, but what they looked it up with is closed again.
UploadingAccountDep = Annotated[Account, Depends(_account)]
UploadingActorDep = Annotated[Actor, Depends(_actor)]
UploadingStaffDep = Annotated[Staff, Depends(_staff)]


class Placed(NamedTuple, Generic[Who]):
    """A file that is kept, and what to put it where it belongs with: a transaction, and who may still do so."""

    session: AsyncSession
    sender: Who
    file: StoredFile


@dataclass(frozen=True, slots=True)
class Form:
    """What came in: fields by name, the last of each, and the files in the fields called `file`."""

    fields: dict[str, str]
    files: list[files.Received]


@asynccontextmanager
async def receive(request: Request) -> AsyncIterator[files.Received]:
    """The one file of a form, on disk for as long as the block lasts.

    Raises `UnsupportedType` for another body than a form with files, `BadRequest` for half of one, `TooLarge`, and
    `InvalidInput` without a file.
    """
    async with receive_form(request) as form:
        if not form.files:
            raise InvalidInput({"file": _("Choose a file.")})
        yield form.files[0]


@asynccontextmanager
async def receive_form(
    request: Request, *, max_files: int = 1, fields: dict[str, str] | None = None
) -> AsyncIterator[Form]:
    """A form with any number of files up to `max_files`. Raises what `receive` does.

    `fields`: where its fields go, for who wants those that came before what was refused.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedType(_("Send the file as multipart/form-data, in a field called “file”."))
    with scratch.folder("upload") as folder:
        form = Form({} if fields is None else fields, [])
        reader = _Reader(folder, form, max_files, limit_of(get_settings()))
        try:
            with scratch.writing():
                await reader.read(request, options[b"boundary"])
            yield form
        finally:
            reader.close()


def kept_for(purpose: FilePurpose) -> Any:
    """A dependency of a route of class `IdempotentRoute`: the one file that comes, as `Placed[Actor]`.

    A key is claimed with the answer, so two at once both send and draw, and one of the files goes again.
    """

    async def keep(request: Request, sender: UploadingActorDep, key: KeyHeader = None) -> AsyncIterator[Placed[Actor]]:
        async with receive(request) as received:
            digest = b"" if key is None else await _digest(received)
            if key is not None:
                await idempotent.stop_if_answered(request, sender, key, digest)
            async with placing(request, sender, received, purpose) as placed:
                if key is not None:
                    await idempotent.claim(request, placed.session, placed.sender, key, digest)
                yield placed

    return Depends(keep, scope="function")


@asynccontextmanager
async def keeping(request: Request, sender: Who, purpose: FilePurpose) -> AsyncIterator[Placed[Who]]:
    """Keep the one file that comes, and put it where it belongs in the block; as `placing`."""
    async with receive(request) as received, placing(request, sender, received, purpose) as placed:
        yield placed


@asynccontextmanager
async def placing(
    request: Request, sender: Who, received: files.Received, purpose: FilePurpose
) -> AsyncIterator[Placed[Who]]:
    """Keep a file that came, and put it where it belongs in the block: in one transaction, as somebody who may
    still do so. If that fails, the file goes again."""
    # An account may well be an actor, and its avatar belongs to no household all the same.
    is_of_household = purpose not in {FilePurpose.AVATAR, FilePurpose.CATALOGUE}
    household_id: UUID | None = sender.household_id if is_of_household and isinstance(sender, Actor) else None
    file = await files.keep(sender, received, purpose=purpose, household_id=household_id)
    is_placed = False
    try:
        async with session_scope() as session:
            yield Placed(session, await request.state.look_up(request, session), file)
        is_placed = True
    finally:
        if not is_placed:
            await asyncio.shield(files.discard(file))


async def _digest(received: files.Received) -> bytes:
    """What is the same when a file is sent again: what is around it in the body is not."""
    return f"{await asyncio.to_thread(files.digest, received.path)} {received.name}".encode()


def limit_of(settings: Settings) -> int:
    """The largest file, in bytes."""
    return settings.upload_limit_mb * MEGABYTE


def takes_files(route: BaseRoute) -> bool:
    return isinstance(route, APIRoute) and asks_for_files(route.dependant)


def asks_for_files(dependant: Dependant) -> bool:
    return dependant.call in (_account, _actor, _staff) or any(map(asks_for_files, dependant.dependencies))


def largest_body(scope: Scope) -> int:
    """How large the body of a request may be, by its route; 0 for routes that take no files, and for other bodies."""
    if not any(name == b"content-type" and value.lower().startswith(b"multipart/") for name, value in scope["headers"]):
        return 0
    if any(route.matches(scope)[0] is Match.FULL for route in scope["app"].state.upload_routes):
        return limit_of(scope["app"].state.settings) + AROUND
    return 0


@dataclass(slots=True)
class _Part:
    """One part of the body while it comes in."""

    disposition: bytes = b""
    name: str = ""
    value: bytearray = field(default_factory=bytearray)
    file: BinaryIO | None = None
    filename: str = ""
    size: int = 0


class _Reader:
    """Writes the files of a multipart body to disk. The parser calls back in the middle of its work, so what it finds
    is noted, and written between two pieces of the body, in a thread."""

    def __init__(self, folder: Path, form: Form, max_files: int, limit: int) -> None:
        self._folder = folder
        self._form = form
        self._max_files = max_files
        self._limit = limit
        self._part = _Part()
        self._header, self._value = b"", b""
        self._parts = 0
        self._open: list[BinaryIO] = []
        self._unwritten: list[tuple[BinaryIO, bytes]] = []
        self._waiting = 0
        self._is_complete = False

    async def read(self, request: Request, boundary: bytes) -> None:
        try:
            parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._name_header,
                    "on_header_value": self._fill_header,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._start,
                    "on_part_data": self._take,
                    "on_part_end": self._end,
                    "on_end": self._finish,
                },
                max_header_size=MAX_HEADER,
            )
            async for piece in request.stream():
                parser.write(piece)
                if self._waiting >= WRITE_AT:
                    await asyncio.to_thread(self._write)
        except (FormParserError, ClientDisconnect) as error:
            raise _incomplete() from error
        if not self._is_complete:
            raise _incomplete()
        if len(self._form.files) > self._max_files:
            most = ngettext("Send {n} file at most.", "Send {n} files at most.", self._max_files)
            raise InvalidInput({FIELD: most.format(n=self._max_files)})
        await asyncio.to_thread(self._write)

    def close(self) -> None:
        for file in self._open:
            with suppress(OSError):  # what did not get onto the disk, nobody reads either
                file.close()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BadRequest(_("This form has too many fields."))
        self._part = _Part()

    def _name_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _fill_header(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._part.disposition = self._value
        self._header, self._value = b"", b""

    def _start(self) -> None:
        part = self._part
        _kind, options = parse_options_header(part.disposition)
        part.name = _decode(options.get(b"name", b""))
        part.filename = _decode(options.get(b"filename", b""))
        if b"filename" in options and part.name == FIELD:
            part.file = (self._folder / str(self._parts)).open("wb")
            self._open.append(part.file)

    def _take(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        part.size += end - start
        if part.file is not None:
            if part.size > self._limit:
                raise _too_large(self._limit)
            self._unwritten.append((part.file, data[start:end]))
            self._waiting += end - start
        elif part.size > MAX_FIELD:
            raise TooLarge(_("That is too large."))
        else:
            part.value += data[start:end]

    def _end(self) -> None:
        part = self._part
        if part.file is None:
            self._form.fields[part.name] = _decode(bytes(part.value))
        elif part.filename or part.size:  # browsers send an empty part for a field nothing was chosen in
            self._form.files.append(files.Received(Path(part.file.name), part.filename, part.size))

    def _finish(self) -> None:
        self._is_complete = True

    def _write(self) -> None:
        for file, data in self._unwritten:
            file.write(data)
        for file in self._open:
            file.flush()
        self._unwritten.clear()
        self._waiting = 0


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _incomplete() -> BadRequest:
    return BadRequest(_("This upload is not complete. Please try again."))


def _too_large(limit: int) -> TooLarge:
    return TooLarge(_("This file is too large: {count} MB are the most.").format(count=limit // MEGABYTE))
