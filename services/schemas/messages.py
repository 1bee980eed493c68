"""What is wrong with a field, in the reader's words: the same sentence in a form, in JSON and on the command line."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from services.core.errors import InvalidInput
from services.core.i18n import _, mark

MESSAGES: Mapping[str, str] = {
    "missing": mark("This is needed."),
    "string_type": mark("Write some text."),
    "string_too_short": mark("At least {min_length} characters, please."),
    "string_too_long": mark("At most {max_length} characters, please."),
    "string_unicode": mark("This text cannot be read."),
    "forbidden_characters": mark("Control characters are not allowed."),
    "int_type": mark("Enter a whole number."),
    "int_parsing": mark("Enter a whole number."),
    "int_parsing_size": mark("This number is too large."),
    "int_from_float": mark("Enter a whole number."),
    "decimal_type": mark("Enter a number."),
    "decimal_parsing": mark("Enter a number."),
    "decimal_max_places": mark("At most {decimal_places} decimals, please."),
    "decimal_max_digits": mark("This number is too large."),
    "decimal_whole_digits": mark("This number is too large."),
    "finite_number": mark("Enter a number."),
    "greater_than": mark("Enter more than {gt}."),
    "greater_than_equal": mark("Enter at least {ge}."),
    "less_than_equal": mark("Enter at most {le}."),
    "bool_type": mark("Choose yes or no."),
    "bool_parsing": mark("Choose yes or no."),
    "enum": mark("Choose one of {expected}."),
    "uuid_type": mark("This is not an id."),
    "uuid_parsing": mark("This is not an id."),
    "date_type": mark("Write the date as YYYY-MM-DD."),
    "date_parsing": mark("Write the date as YYYY-MM-DD."),
    "date_from_datetime_parsing": mark("Write the date as YYYY-MM-DD."),
    "date_from_datetime_inexact": mark("Write the date as YYYY-MM-DD."),
    "date_range": mark("The year must lie between 1990 and 2199."),
    "too_short": mark("At least {min_length}, please."),
    "too_long_folded": mark("Some of these characters stand for too many others."),
    "too_long": mark("At most {max_length} at once, please."),
    "list_type": mark("Give a list."),
    "dict_type": mark("Give an object."),
    "model_type": mark("Give an object."),
    "model_attributes_type": mark("Give an object."),
    "json_invalid": mark("This is not JSON."),
    "time_of_day": mark("Write the time as HH:MM, such as 08:00."),
    "time_zone": mark("This is not a time zone, such as Europe/Paris."),
    "currency": mark("This is not a currency, such as EUR."),
    "locale": mark("This is not a language, such as en-GB."),
    "no_scope": mark("Choose at least one thing it is for."),
    "key_lifetime": mark("Choose a moment within the next ten years."),
    "email": mark("This is not an e-mail address."),
}


def field_errors(errors: Iterable[Mapping[str, Any]], *, skip: int = 0) -> list[tuple[str, str]]:
    """`(field, message)` of each pydantic error; `skip` leading parts of where it is, such as "body"."""
    return [(".".join(str(part) for part in error["loc"][skip:]), _message(error)) for error in errors]


def validate(schema: type[BaseModel], values: Any) -> Any:
    """An instance of `schema`. Raises `InvalidInput` with a message a field."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise InvalidInput(dict(reversed(field_errors(error.errors())))) from error


def _message(error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx") or {}
    if kind in {"too_short", "too_long"} and isinstance(error["input"], str):
        # What a length beyond a validator's is called, whatever it is the length of.
        kind = f"string_{kind}"
    if kind in MESSAGES:
        return _(MESSAGES[kind]).format(**context)
    if kind == "value_error":
        return _(str(context.get("error", error["msg"])))
    return str(error["msg"])
