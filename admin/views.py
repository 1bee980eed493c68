"""What all views of the panel have in common."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from fastapi import Request
from pydantic import BaseModel
from sqladmin import ModelView
from sqlalchemy.exc import IntegrityError
from wtforms import SelectField

from services.core.errors import InvalidInput
from services.core.numbers import plain
from services.schemas.messages import validate


class View(ModelView):
    """A table of the panel.

    What is typed goes through `schema`: SQLModel tables do not check their values, and SQLAdmin's forms little.
    """

    schema: ClassVar[type[BaseModel] | None] = None
    column_type_formatters: ClassVar = {
        **ModelView.column_type_formatters,
        Decimal: plain,
        datetime: lambda moment: f"{moment:%Y-%m-%d %H:%M}",
    }
    page_size = 50
    page_size_options: ClassVar[list[int]] = [25, 50, 100, 200]

    async def on_model_change(self, data: dict[str, Any], model: Any, is_created: bool, request: Request) -> None:
        if self.schema is None:
            return
        given = {name: data[name] for name in self.schema.model_fields if data.get(name) not in {None, ""}}
        try:
            checked = validate(self.schema, given)
        except InvalidInput as error:
            raise ValueError("; ".join(f"{field}: {message}" for field, message in error.fields.items())) from error
        data.update({name: getattr(checked, name) for name in self.schema.model_fields if name in data})

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        try:
            return await super().insert_model(request, data)
        except IntegrityError as error:
            raise ValueError("There is one like that already, or something it refers to is missing.") from error

    async def update_model(self, request: Request, pk: str, data: dict[str, Any]) -> Any:
        try:
            return await super().update_model(request, pk, data)
        except IntegrityError as error:
            raise ValueError("There is one like that already, or something it refers to is missing.") from error


class ReadOnlyView(View):
    can_create = False
    can_edit = False
    can_delete = False


class EnumField(SelectField):
    """A choice of an enum's members by their values."""

    def __init__(
        self, label: str | None = None, *, enum: type[StrEnum], optional: bool = False, **options: Any
    ) -> None:
        blank = [("", "")] if optional else []
        # What SQLAdmin adds for its own choice field.
        for name in ("allow_blank", "filters"):
            options.pop(name, None)
        super().__init__(
            label,
            choices=[*blank, *((member.value, member.value) for member in enum)],
            coerce=lambda value: getattr(value, "value", value) or "",
            filters=[lambda value: value or None],
            **options,
        )
