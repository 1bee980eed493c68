"""HTML forms: what was typed, what it means, and what is wrong with it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, TypeVar, get_args

from fastapi import Request
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from routes.rendering import is_htmx
from services.core.errors import BadRequest, Conflict, InvalidInput, PermissionDenied
from services.core.i18n import _
from services.schemas.messages import field_errors

S = TypeVar("S", bound=BaseModel)
T = TypeVar("T")
MAX_FIELDS = 100
MAX_BOXES = 5000


@dataclass
class Form(Generic[S]):
    """A form as it goes back to the reader: `values` as typed, one message a field, `""` for the whole of it."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    parsed: S | None = None

    @property
    def data(self) -> S:
        assert self.parsed is not None
        return self.parsed

    def checked(self) -> S:
        """The data. Raises `InvalidInput` when something is wrong with it."""
        if self.errors:
            raise InvalidInput(self.errors)
        return self.data

    @property
    def is_valid(self) -> bool:
        return not self.errors

    def value(self, name: str, default: Any = "") -> Any:
        return self.values.get(name, default)

    async def act(self, request: Request, session: AsyncSession, act: Callable[[S], Awaitable[T]]) -> T | None:
        """Like `attempt`, for forms that HTMX leaves on the screen: it is told in a toast what is wrong."""
        if is_htmx(request):
            return await act(self.checked())
        return await self.attempt(session, act)

    async def attempt(self, session: AsyncSession, act: Callable[[S], Awaitable[T]]) -> T | None:
        """What comes of the data. When that refuses, nothing is left behind, and the form says why."""
        if self.is_valid:
            try:
                async with session.begin_nested():
                    return await act(self.data)
            except InvalidInput as error:
                self.errors.update(error.fields)
            except (Conflict, PermissionDenied) as error:
                if error.code == "confirm":  # a question, not a refusal
                    raise
                self.errors[""] = str(error)
        return None


async def bind(request: Request, schema: type[S]) -> Form[S]:
    """Read a form into a schema. An empty field is one that was not given."""
    return parse(schema, await read(request))


def bind_filters(request: Request, schema: type[S]) -> S:
    """Read the address into a schema. A field left empty, or one that makes no sense, does not filter."""
    given = {name: value for name, value in request.query_params.items() if value}
    while True:
        try:
            return schema.model_validate(given)
        except ValidationError as error:
            for wrong in error.errors():
                given.pop(str(wrong["loc"][0]), None)


def parse(schema: type[S], values: dict[str, str]) -> Form[S]:
    form: Form[S] = Form(values=values)
    given = {name: _typed(schema, name, value) for name, value in form.values.items() if value != ""}
    try:
        form.parsed = schema.model_validate(given)
    except ValidationError as error:
        form.errors = dict(reversed(field_errors(error.errors())))
    return form


async def bind_edit(request: Request, schema: type[S], *, required: frozenset[str] = frozenset()) -> Form[S]:
    """Read a form that shows all there is: an empty field clears what may be cleared."""
    form: Form[S] = Form(values=await read(request))
    form.errors = {name: _("This is needed.") for name in required if not form.values.get(name)}
    given = {
        name: _typed(schema, name, value) if value != "" else _cleared(schema, name)
        for name, value in form.values.items()
        if name in schema.model_fields and name not in form.errors
    }
    try:
        form.parsed = schema.model_validate(given)
    except ValidationError as error:
        form.errors |= dict(reversed(field_errors(error.errors())))
    return form


async def read(request: Request) -> dict[str, str]:
    """The text fields of a form."""
    try:
        submitted = await request.form(max_fields=MAX_FIELDS, max_files=0)
        values = {name: value for name, value in submitted.items() if isinstance(value, str)}
        "".join(values.values()).encode()  # some charsets yield what cannot be shown again
    except UnicodeError as error:
        raise BadRequest(_("This request cannot be read.")) from error
    return values


async def read_many(request: Request) -> dict[str, list[str]]:
    """The fields of a form of boxes, each with all that is ticked."""
    try:
        submitted = await request.form(max_fields=MAX_BOXES, max_files=0)
        values = [(name, value) for name, value in submitted.multi_items() if isinstance(value, str)]
        "".join(value for _name, value in values).encode()
    except UnicodeError as error:
        raise BadRequest(_("This request cannot be read.")) from error
    found: dict[str, list[str]] = {}
    for name, value in values:
        found.setdefault(name, []).append(value)
    return found


def _typed(schema: type[BaseModel], name: str, value: str) -> str:
    """Numbers may have a decimal comma."""
    known = schema.model_fields.get(name)
    is_number = known is not None and (
        known.annotation is Decimal or Decimal in get_args(known.annotation) or "Decimal" in str(known.annotation)
    )
    return value.replace(",", ".") if is_number and "." not in value else value


def _cleared(schema: type[BaseModel], name: str) -> Any:
    """What an emptied field means: nothing, or for text that is never null the empty text."""
    return "" if schema.model_fields[name].default == "" else None
