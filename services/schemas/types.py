"""The field types every schema is made of, with their bounds."""

import re
from datetime import date
from decimal import Decimal
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Generic, TypeVar, get_args
from zoneinfo import available_timezones

import msgspec
from babel.numbers import list_currencies
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    StringConstraints,
    WithJsonSchema,
    create_model,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from services.core import text
from services.core.i18n import is_locale
from services.core.numbers import plain, plain_money
from services.dates import FIRST, LATEST

T = TypeVar("T")

MAX_QUANTITY = Decimal(1_000_000)
MAX_MONEY = Decimal(1_000_000)
MAX_DAYS = 36_500
MINUTES_A_DAY = 24 * 60
MAX_FOLDED_BYTES = 2500

# As the database driver hands them out, on their way into JSON or a page: text on SQLite. See `db.Raw`.
RawId = Annotated[Any, WithJsonSchema({"type": "string", "format": "uuid"})]
RawDate = Annotated[Any, WithJsonSchema({"type": "string", "format": "date"})]


ExactNumber = Annotated[Decimal, PlainSerializer(plain, return_type=str, when_used="json")]
ExactMoney = Annotated[Decimal, PlainSerializer(plain_money, return_type=str, when_used="json")]


class Schema(BaseModel):
    """What comes in from forms, JSON and commands."""

    model_config = ConfigDict(str_max_length=10_000, allow_inf_nan=False)


class Read(BaseModel):
    """What goes out; made from rows and entities alike."""

    model_config = ConfigDict(from_attributes=True)


def _clean_line(value: str) -> str:
    value = text.clean(value)
    if text.has_forbidden_characters(value):
        raise PydanticCustomError("forbidden_characters", "Control characters are not allowed.")
    return value


def _clean_text(value: str) -> str:
    value = text.clean(value)
    if text.has_forbidden_characters(value, multiline=True):
        raise PydanticCustomError("forbidden_characters", "Control characters are not allowed.")
    return value


def _not_blank(value: str) -> str:
    if text.is_blank(value):
        raise PydanticCustomError("missing", "This is needed.")
    return value


def _folds_into(length: int) -> AfterValidator:
    """Some letters fold to whole words, and what is kept for comparing has limits of its own."""

    def check(value: str) -> str:
        folded = text.fold(value)
        if len(folded) > length or len(folded.encode()) > MAX_FOLDED_BYTES:
            raise PydanticCustomError("too_long_folded", "Some of these characters stand for too many others.")
        return value

    return AfterValidator(check)


def _email(value: str) -> str:
    try:
        return text.normal_email(value)
    except ValueError as error:
        raise PydanticCustomError("email", "This is not an e-mail address.") from error


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("decimal_type", "Enter a number.")
    return value


def _iso_date(value: Any) -> Any:
    if isinstance(value, date) or (isinstance(value, str) and len(value) == 10):
        return value
    raise PydanticCustomError("date_parsing", "Write the date as YYYY-MM-DD.")


def _in_range(value: date) -> date:
    if not FIRST <= value <= LATEST:
        raise PydanticCustomError("date_range", "The year must lie between 1990 and 2199.")
    return value


def _known_time_zone(value: str) -> str:
    if value not in available_timezones():
        raise PydanticCustomError("time_zone", "This is not a time zone, such as Europe/Paris.")
    return value


def _known_currency(value: str) -> str:
    if value.upper() not in list_currencies():
        raise PydanticCustomError("currency", "This is not a currency, such as EUR.")
    return value.upper()


def _known_locale(value: str) -> str:
    if not is_locale(value):
        raise PydanticCustomError("locale", "This is not a language, such as en-GB.")
    return value


Name = Annotated[
    str, AfterValidator(_clean_line), AfterValidator(_not_blank), StringConstraints(max_length=100), _folds_into(100)
]
CatalogueName = Annotated[
    str, AfterValidator(_clean_line), AfterValidator(_not_blank), StringConstraints(max_length=200), _folds_into(200)
]
Title = Annotated[
    str,
    AfterValidator(_clean_line),
    AfterValidator(_not_blank),
    StringConstraints(max_length=255),
    _folds_into(1000),
]
UnitName = Annotated[str, AfterValidator(_clean_line), AfterValidator(_not_blank), StringConstraints(max_length=50)]
UnitCode = Annotated[str, AfterValidator(_clean_line), AfterValidator(_not_blank), StringConstraints(max_length=20)]
Line = Annotated[str, AfterValidator(_clean_line), StringConstraints(max_length=100)]
LotCode = Annotated[str, AfterValidator(_clean_line), StringConstraints(max_length=50)]
Code = Annotated[str, AfterValidator(_clean_line), AfterValidator(_not_blank), StringConstraints(max_length=64)]
Note = Annotated[str, AfterValidator(_clean_text), StringConstraints(max_length=2000)]
# Counted when it is clean. Whether it may be empty depends on what comes with it.
MessageText = Annotated[str, AfterValidator(_clean_text), StringConstraints(max_length=4096)]
Email = Annotated[
    str,
    StringConstraints(max_length=254),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
EmailEntry = Annotated[str, AfterValidator(_clean_line), StringConstraints(max_length=254)]
TimeZone = Annotated[str, StringConstraints(max_length=60), AfterValidator(_known_time_zone)]
# A browser that knows zones we do not must not keep anybody out.
GuessedTimeZone = Annotated[
    TimeZone | None, BeforeValidator(lambda value: value if value in available_timezones() else None)
]
Currency = Annotated[str, StringConstraints(min_length=3, max_length=3), AfterValidator(_known_currency)]
LocaleTag = Annotated[str, StringConstraints(max_length=20), AfterValidator(_known_locale)]

# Bounds come first: those of a validated value would tell their limit as Python writes it.
Quantity = Annotated[
    Decimal,
    Field(gt=0, le=MAX_QUANTITY, decimal_places=6, examples=["2", "0.5"], description="In the product's unit."),
    BeforeValidator(_no_boolean),
]
QuantityOrZero = Annotated[
    Decimal, Field(ge=0, le=MAX_QUANTITY, decimal_places=6, examples=["1.5"]), BeforeValidator(_no_boolean)
]
Money = Annotated[Decimal, Field(ge=0, le=MAX_MONEY, decimal_places=4, examples=["2.49"]), BeforeValidator(_no_boolean)]
Factor = Annotated[Decimal, Field(gt=0, le=MAX_QUANTITY, decimal_places=12), BeforeValidator(_no_boolean)]
Days = Annotated[int, BeforeValidator(_no_boolean), Field(ge=0, le=MAX_DAYS)]
SoonDays = Annotated[int, BeforeValidator(_no_boolean), Field(ge=0, le=365)]
Version = Annotated[int, BeforeValidator(_no_boolean), Field(ge=0, le=2_000_000_000)]
Day = Annotated[date, BeforeValidator(_iso_date), AfterValidator(_in_range), Field(examples=["2026-12-24"])]


def _minutes(value: Any) -> Any:
    if isinstance(value, str) and (match := re.fullmatch(r"(\d\d):(\d\d)", value)):
        hours, minutes = int(match[1]), int(match[2])
        if hours < 24 and minutes < 60:
            return hours * 60 + minutes
    if type(value) is int and 0 <= value < MINUTES_A_DAY:
        return value
    raise PydanticCustomError("time_of_day", "Write the time as HH:MM, such as 08:00.")


def _clock_time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


# Minutes after midnight, written as people read them on a clock.
TimeOfDay = Annotated[
    int,
    BeforeValidator(_minutes, json_schema_input_type=str),
    PlainSerializer(_clock_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^\\d\\d:\\d\\d$", "examples": ["08:00"]}),
]


class PageOf(Read, Generic[T]):
    """A page of a list. `next` goes into `?after=`; `total` is there when `?total=true` asked for it."""

    items: list[T]
    next: str | None = None
    total: int | None = None

    @model_serializer(mode="wrap")
    def _total_when_asked(self, serialize: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        # Without a return type, so that the documentation shows the fields.
        shown = serialize(self)
        return shown if self.total is not None else {name: shown[name] for name in ("items", "next")}


def documented(struct: type[msgspec.Struct]) -> type[BaseModel]:
    """The OpenAPI model of a struct that is serialised by msgspec."""
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        fields[field.name] = (_documented(struct.__annotations__[field.name]), ...)
    return create_model(struct.__name__, __doc__=struct.__doc__, **fields)


def _documented(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return documented(annotation)
    if isinstance(annotation, UnionType):
        return reduce(or_, (_documented(each) for each in get_args(annotation)))
    return annotation
