"""What all views of the panel have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import HTTPException, Request
from pydantic import BaseModel
from sqladmin import ModelView
from sqlalchemy.exc import IntegrityError
from wtforms import SelectField

from db import like, session_scope
from services.core.errors import InvalidInput
from services.core.numbers import plain
from services.schemas.messages import validate

# Longer patterns are too complex for SQLite.
MAX_SEARCH = 200


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

    def __init__(self) -> None:
        super().__init__()
        # As people write them, where a view says nothing else.
        names = {name: name.replace("_", " ").capitalize() for name in self._prop_names}
        self._column_labels = names | self._column_labels

    async def on_model_change(self, data: dict[str, Any], model: Any, is_created: bool, request: Request) -> None:
        if self.schema is None:
            return
        # By ==: not every number has a hash.
        given = {name: data[name] for name in self.schema.model_fields if data.get(name) not in (None, "")}
        try:
            checked = validate(self.schema, given)
        except InvalidInput as error:
            told = (f"{self._column_labels[field]}: {message}" for field, message in error.fields.items())
            raise ValueError("; ".join(told)) from error
        data.update({name: getattr(checked, name) for name in self.schema.model_fields if name in data})
        await self._check_references(data, model)

    async def _check_references(self, data: dict[str, Any], model: Any) -> None:
        """What is chosen must be everybody's, or of the same household."""
        async with session_scope(read_only=True) as session:
            for relation in self._mapper.relationships:
                chosen = data.get(relation.key)
                if not chosen:
                    continue
                referred = await session.get(relation.mapper.class_, UUID(chosen))
                if getattr(referred, "household_id", None) not in {None, getattr(model, "household_id", None)}:
                    raise ValueError(f"{self._column_labels[relation.key]}: This belongs to another household.")

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        with _conflicts_told():
            return await super().insert_model(request, data)

    async def update_model(self, request: Request, pk: str, data: dict[str, Any]) -> Any:
        with _conflicts_told():
            return await super().update_model(request, pk, data)

    async def delete_model(self, request: Request, pk: Any) -> None:
        with _conflicts_told("Others refer to it."):
            await super().delete_model(request, pk)

    def search_query(self, stmt: sa.Select[Any], term: str) -> sa.Select[Any]:
        # PostgreSQL keeps no null characters.
        pattern = like(term.replace("\0", "")[:MAX_SEARCH])
        columns = (getattr(self.model, name) for name in self._search_fields)
        return stmt.where(sa.or_(sa.false(), *(column.ilike(pattern, escape="\\") for column in columns)))

    def _stmt_by_identifier(self, identifier: str) -> sa.Select[Any]:
        try:
            return super()._stmt_by_identifier(identifier)
        except ValueError as error:
            raise HTTPException(404) from error

    async def get_object_filepath(self, identifier: str, column_name: str) -> Path:
        """No column of ours names a file."""
        raise HTTPException(404)


@contextmanager
def _conflicts_told(
    message: str = "There is one like that already, or something it refers to is missing.",
) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise ValueError(message) from error


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
