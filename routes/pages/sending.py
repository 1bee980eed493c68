"""Pictures that come in by a form of a page: kept and put in their place, or refused beside the field."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from models import FilePurpose, StoredFile
from routes.errors import status_of
from routes.forms import Form
from routes.uploads import keeping
from services.core.errors import BadRequest, Conflict, InvalidInput, TooLarge, UnsupportedType
from services.permissions import Account

A = TypeVar("A", bound=Account)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it: the file in its place, or a form that says why not."""

    file: StoredFile | None = None
    form: Form[Any] = field(default_factory=Form)
    status_code: int = 200


async def send(
    request: Request,
    sender: A,
    purpose: FilePurpose,
    put: Callable[[AsyncSession, A, StoredFile], Awaitable[object]],
) -> Sent:
    """Keep the picture of a form, and `put` it where it belongs. What is wrong with it is said at its field."""
    try:
        async with keeping(request, sender, purpose) as (session, again, file):
            await put(session, again, file)
    except (BadRequest, Conflict, InvalidInput, TooLarge, UnsupportedType) as error:
        return Sent(form=Form(errors={"file": str(error)}), status_code=status_of(error))
    return Sent(file)
