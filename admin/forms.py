"""The forms of the panel: what a schema asks for, as the controls one fills it in with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from routes.forms import Form
from services import wording
from services.core.i18n import _
from services.core.numbers import plain

LONG_TEXT = 300
NUMBERS = {int, Decimal}
Options = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Control:
    """`kind`: line, text, check, choice, several, number, email or password."""

    name: str
    label: str
    kind: str
    hint: str
    is_required: bool
    max_length: int | None
    options: Options


def controls(
    schema: type[BaseModel], labels: Mapping[str, str], choices: Mapping[str, Options] | None = None
) -> list[Control]:
    """One a field. `choices` are those of fields that refer to rows."""
    return [_control(name, field, labels, choices or {}) for name, field in schema.model_fields.items()]


def filled(schema: type[BaseModel], row: object) -> Form[Any]:
    """A form with what a row has."""
    return Form(values={name: _typed(getattr(row, name, "")) for name in schema.model_fields})


def said(member: StrEnum) -> str:
    """A member of an enum as people say it."""
    return _(wording.LABELS[type(member)][member]) if type(member) in wording.LABELS else _spaced(member.value)


def _spaced(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _typed(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value) if isinstance(value, Decimal) else str(value)


def _control(name: str, field: FieldInfo, labels: Mapping[str, str], choices: Mapping[str, Options]) -> Control:
    types = set(_types(field.annotation))
    longest = _max_length(field)
    kind = "choice" if name in choices else _kind(name, types, longest)
    options = choices[name] if name in choices else _options(types)
    if kind == "choice" and type(None) in types:
        options = [("", "–"), *options]
    return Control(
        name=name,
        label=labels.get(name) or _spaced(name.removesuffix("_id")),
        kind=kind,
        hint=field.description or "",
        is_required=field.is_required() and kind != "check",
        max_length=longest,
        options=options,
    )


def _kind(name: str, types: set[Any], longest: int | None) -> str:
    if _enum(types) is not None or {bool, type(None)} <= types:
        return "choice"
    if bool in types:
        return "check"
    if types & NUMBERS:
        return "number"
    if longest and longest > LONG_TEXT:
        return "text"
    return name if name in {"email", "password"} else "line"


def _options(types: set[Any]) -> Options:
    if bool in types:
        return [("true", _("yes")), ("false", _("no"))]
    return [(member.value, said(member)) for member in _enum(types) or ()]


def _enum(types: set[Any]) -> type[StrEnum] | None:
    return next((found for found in types if isinstance(found, type) and issubclass(found, StrEnum)), None)


def _types(annotation: Any) -> Iterator[Any]:
    """What a field takes: `Annotated[int, ...] | None` takes an int or None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _types(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for each in get_args(annotation):
            yield from _types(each)
    else:
        yield annotation


def _max_length(field: FieldInfo) -> int | None:
    found = [*field.metadata, *_metadata(field.annotation)]
    lengths = [longest for each in found if isinstance(longest := getattr(each, "max_length", None), int)]
    return min(lengths, default=None)


def _metadata(annotation: Any) -> Iterator[Any]:
    for each in get_args(annotation):
        if get_origin(each) is Annotated:
            yield from get_args(each)[1:]
