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
from sqladmin.authorization import Action
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload
from wtforms import SelectField

from admin.access import permission, staff_of
from db import like, session_scope
from services.core.errors import InvalidInput
from services.core.numbers import plain
from services.reach import Reach, everything
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

    def is_visible(self, request: Request) -> bool:
        return self.is_accessible(request)

    def is_accessible(self, request: Request) -> bool:
        return self.has_permission(request, Action.LIST)

    def list_query(self, request: Request) -> sa.Select[Any]:
        return super().list_query(request).where(self._reached(request, Action.LIST))

    def form_details_query(self, request: Request) -> sa.Select[Any]:
        return super().form_details_query(request).where(self._reached(request, Action.LIST))

    def form_edit_query(self, request: Request) -> sa.Select[Any]:
        return super().form_edit_query(request).where(self._reached(request, Action.EDIT))

    async def get_model_objects(self, request: Request, limit: int | None = 0) -> list[Any]:
        statement = self.list_query(request).where(self._reached(request, Action.EXPORT)).limit(limit or None)
        for relation in self._list_relations:
            statement = statement.options(selectinload(relation))
        rows: list[Any] = await self._run_query(statement)
        return rows

    async def check_can_view_details(self, request: Request, model: Any) -> bool:
        return await self._reaches(request, Action.DETAILS, model) and await super().check_can_view_details(
            request, model
        )

    async def check_can_edit(self, request: Request, model: Any) -> bool:
        return await self._reaches(request, Action.EDIT, model) and await super().check_can_edit(request, model)

    async def check_can_delete(self, request: Request, model: Any) -> bool:
        return await self._reaches(request, Action.DELETE, model) and await super().check_can_delete(request, model)

    def _reach(self, request: Request, action: str) -> Reach:
        return staff_of(request).reach(permission(self.identity, action))

    def _reached(self, request: Request, action: str) -> sa.ColumnElement[bool]:
        """The rows this action may be done to, as a condition."""
        return self._reach(request, action).rows(self.model)

    async def _reaches(self, request: Request, action: str, model: Any) -> bool:
        """Whether it may be done to this row. What the panel shows is reached by the right to list it already."""
        if model is None:
            raise HTTPException(404)
        if self._reach(request, action) in {self._reach(request, Action.LIST), everything(staff_of(request).user_id)}:
            return True
        key = [column == value for column, value in zip(self.pk_columns, inspect(model).identity, strict=True)]
        async with session_scope(read_only=True) as session:
            found = await session.scalar(sa.select(sa.exists().where(*key, self._reached(request, action))))
        return bool(found)

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
