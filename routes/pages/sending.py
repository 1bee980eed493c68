"""Pictures that come in by a form of a page: kept and put in their place, or refused beside the field."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from models import FilePurpose, StoredFile
from routes.errors import status_of
from routes.forms import Form, parse, read
from routes.uploads import keeping, placing, receive_form
from services import files
from services.core.errors import AppError, BadRequest, Conflict, InvalidInput, TooLarge, UnsupportedType
from services.core.i18n import _
from services.permissions import Account, Actor

A = TypeVar("A", bound=Account)
S = TypeVar("S", bound=BaseModel)
Put = Callable[[AsyncSession, A, StoredFile], Awaitable[object]]

REFUSALS = (BadRequest, Conflict, InvalidInput, TooLarge, UnsupportedType)
URLENCODED = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it: the file in its place, or a form that says why not."""

    file: StoredFile | None = None
    form: Form[Any] = field(default_factory=Form)
    status_code: int = 200


async def send(request: Request, sender: A, purpose: FilePurpose, put: Put[A]) -> Sent:
    """Keep the picture of a form, and `put` it where it belongs. What is wrong with it is said at its field."""
    try:
        async with keeping(request, sender, purpose) as (session, again, file):
            await put(session, again, file)
    except REFUSALS as error:
        return _refused(error, str(error))
    return Sent(file)


async def send_each(request: Request, sender: A, purpose: FilePurpose, put: Put[A], *, max_files: int) -> Sent:
    """Keep the pictures of a form, each for itself. Of several, each that is wrong is called by its name."""
    refused: list[tuple[AppError, str]] = []
    file: StoredFile | None = None
    try:
        async with receive_form(request, max_files=max_files) as sent:
            if not sent.files:
                raise InvalidInput({"file": _("Choose a file.")})
            for received in sent.files:
                try:
                    async with placing(request, sender, received, purpose) as (session, again, file):
                        await put(session, again, file)
                except REFUSALS as error:
                    refused.append((error, f"{received.name}: {error}" if len(sent.files) > 1 else str(error)))
    except REFUSALS as error:
        return _refused(error, str(error))
    return _refused(refused[0][0], "\n".join(said for _error, said in refused)) if refused else Sent(file)


def _refused(error: AppError, said: str) -> Sent:
    return Sent(form=Form(errors={"file": said}), status_code=status_of(error))


@dataclass
class Along(Generic[S]):
    """A form, and the picture that came along with it. `refusal`: why that was not taken."""

    form: Form[S]
    file: StoredFile | None = None
    refusal: AppError | None = None
    is_placed: bool = False

    @property
    def status_code(self) -> int:
        """Of the form that says what is wrong."""
        return status_of(self.refusal) if self.refusal else 422


@asynccontextmanager
async def along(request: Request, sender: Actor, purpose: FilePurpose, schema: type[S]) -> AsyncIterator[Along[S]]:
    """A form that may have a picture, kept for as long as the block lasts, and longer once it is placed.

    Nothing is drawn for a form that is wrong anyway.
    """
    if request.headers.get("content-type", "").lower().startswith(URLENCODED):
        yield Along(parse(schema, await read(request)))
        return
    fields: dict[str, str] = {}
    came = Along[S](Form())
    try:
        try:
            async with receive_form(request, fields=fields) as sent:
                came.form = parse(schema, fields)
                if sent.files and came.form.is_valid:
                    (received,) = sent.files
                    came.file = await files.keep(sender, received, purpose=purpose, household_id=sender.household_id)
                elif sent.files:
                    came.form.errors["file"] = _("Choose the picture again.")
        except REFUSALS as error:
            came.refusal = error
            came.form = parse(schema, fields)
            came.form.errors["file"] = str(error)
        yield came
    finally:
        if came.file and not came.is_placed:
            await asyncio.shield(files.discard(came.file))
