"""What all views of the panel have in common."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqladmin import ModelView
from sqladmin.authorization import Action
from sqladmin.helpers import get_object_identifier, secure_filename
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import class_mapper, selectinload
from sqlmodel import SQLModel
from starlette.datastructures import URL

from admin import forms
from admin.access import permission, staff_of
from admin.forms import Control, Options
from db import like, session_scope, unless_taken
from routes.forms import Form
from services import audit
from services.core import tables
from services.core.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from services.core.i18n import _
from services.core.numbers import plain
from services.reach import Reach
from services.staff import Staff

# Longer patterns are too complex for SQLite.
MAX_SEARCH = 200
Values = dict[str, Any]
Deed = Callable[..., Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Act:
    """Something one can do with chosen rows. `schema` is what it asks for besides being sure."""

    code: str
    label: str
    icon: str = ""
    question: str = ""
    schema: type[BaseModel] | None = None
    is_danger: bool = False
    do: Deed | None = None


def act(
    code: str,
    label: str,
    *,
    icon: str = "",
    question: str = "",
    schema: type[BaseModel] | None = None,
    is_danger: bool = False,
) -> Callable[[Deed], Deed]:
    """An action of a view: `method(session, staff, rows, data)`, all in one transaction; what it returns is told."""

    def mark(method: Deed) -> Deed:
        method.act = Act(code, label, icon, question, schema, is_danger)  # type: ignore[attr-defined]
        return method

    return mark


class View(ModelView):
    """A table of the panel: of its rows, each of the staff sees and changes what their roles reach.

    What is typed goes through `schema`, as SQLModel tables do not check their values. Each change and its audit entry
    are one transaction.
    """

    schema: ClassVar[type[BaseModel] | None] = None
    create_schema: ClassVar[type[BaseModel] | None] = None
    column_type_formatters: ClassVar = {
        type(None): lambda _value: "",
        bool: lambda value: _("yes") if value else _("no"),
        StrEnum: forms.said,
        Decimal: plain,
        datetime: lambda moment: f"{moment:%Y-%m-%d %H:%M}",
        list: lambda values: ", ".join(str(value) for value in values),
    }
    # A template above what is known of a row, if there is more to see or do.
    above_details: ClassVar[str] = ""
    page_size = 50
    page_size_options: ClassVar[list[int]] = [25, 50, 100, 200]
    export_max_rows = 100_000
    acts: Mapping[str, Act]

    def __init__(self) -> None:
        super().__init__()
        # As people write them, where a view says nothing else.
        names = {name: name.removesuffix("_id").replace("_", " ").capitalize() for name in self._prop_names}
        self._column_labels = names | self._column_labels
        self.acts = self._find_acts()
        self._custom_actions_in_list = {code: found.label for code, found in self.acts.items() if code != Action.DELETE}
        self._custom_actions_in_detail = self._custom_actions_in_list

    def _find_acts(self) -> dict[str, Act]:
        found = {}
        for name in dir(type(self)):
            method = getattr(self, name)
            if (marked := getattr(method, "act", None)) and isinstance(marked, Act):
                found[marked.code] = replace(marked, do=method)
        if self.can_delete:
            question = "What is deleted is gone for good."
            found["delete"] = Act("delete", "Delete", "trash-2", question, is_danger=True, do=self._delete_rows)
        return found

    # Who may

    def allows(self, request: Request, action: str) -> bool:
        """Whether the view has this action at all, and some role of theirs grants it."""
        is_on = getattr(self, f"can_{action}", True)
        return bool(is_on) and self.has_permission(request, action)

    def require(self, request: Request, action: str) -> None:
        if not self.allows(request, action):
            raise PermissionDenied(_("Your staff roles do not allow that."))

    def reach(self, request: Request, action: str) -> Reach:
        return staff_of(request).reach(permission(self.identity, action))

    def _reached(self, request: Request, action: str) -> sa.ColumnElement[bool]:
        """The rows that this may be done to, as a condition."""
        return self.reach(request, action).rows(self.model)

    async def reaches(self, request: Request, action: str, row: Any) -> bool:
        """Whether it may be done to this row, whose details they see."""
        if self.reach(request, action) == self.reach(request, Action.DETAILS):
            return True
        async with session_scope(read_only=True) as session:
            found = await session.scalar(sa.select(sa.exists().where(*self._key(row), self._reached(request, action))))
        return bool(found)

    @property
    def path(self) -> str:
        """Of the list."""
        return f"/admin/{self.identity}/list"

    def visible_acts(self, request: Request) -> list[Act]:
        hidden = request.state.hidden_buttons
        return [
            found
            for found in self.acts.values()
            if self.allows(request, found.code) and permission(self.identity, found.code) not in hidden
        ]

    def buttons(self, request: Request) -> list[tuple[str, str, str]]:
        """Pages that lead on from the list: address, label, icon."""
        return []

    def row_links(self, request: Request, row: Any) -> list[tuple[str, str, str]]:
        """Pages that lead on from a row."""
        return []

    def act_url(self, request: Request, act: Act, row: Any = None) -> str:
        if act.code == Action.DELETE:
            return str(request.url_for("admin:delete", identity=self.identity).path)
        address = request.url_for("admin:act", identity=self.identity, slug=act.code)
        if row is not None and self.allows(request, Action.DETAILS):
            address = address.include_query_params(next=URL(self.url(request, "details", row)).path)
        return f"{address.path}?{address.query}" if address.query else address.path

    # What is there

    def list_query(self, request: Request) -> sa.Select[Any]:
        return super().list_query(request).where(self._reached(request, Action.LIST))

    async def get_model_objects(self, request: Request, limit: int | None = 0) -> list[Any]:
        statement = super().list_query(request).where(self._reached(request, Action.EXPORT)).limit(limit or None)
        for name in set(self._export_prop_names) & set(self._relation_names):
            statement = statement.options(selectinload(getattr(self.model, name)))
        rows: list[Any] = await self._run_query(statement)
        return rows

    async def find(self, request: Request, action: str) -> Any:
        """The row in the address. Raises `PermissionDenied` and, for what is beyond reach, `NotFound`."""
        self.require(request, action)
        key = request.path_params["pk"]
        statement = self._stmt_by_identifier(key).where(self._reached(request, action))
        for relation in self._details_relations:
            statement = statement.options(selectinload(relation))
        row = await self._get_object_by_pk(statement)
        if row is None:
            raise NotFound(_("There is nothing at this address."))
        return row

    async def chosen(
        self, session: AsyncSession, request: Request, action: str, keys: Sequence[str], *, lock: bool = False
    ) -> list[Any]:
        """The rows with these keys, all of them. Raises `NotFound` when one is not there, or beyond reach."""
        rows = []
        for key in dict.fromkeys(keys):
            statement = self._stmt_by_identifier(key).where(self._reached(request, action))
            row = (await session.scalars(statement.with_for_update() if lock else statement)).one_or_none()
            if row is None:
                raise NotFound(_("Some of these are not there any more. Please look again."))
            rows.append(row)
        return rows

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

    def url(self, request: Request, page: str, row: Any) -> str:
        return str(request.url_for(f"admin:{page}", identity=self.identity, pk=get_object_identifier(row)))

    @staticmethod
    def is_list(value: object) -> bool:
        return isinstance(value, list | set)

    @staticmethod
    def is_moment(value: object) -> bool:
        return isinstance(value, datetime)

    def title(self, row: Any) -> str:
        """What a row is called, of this table or of another."""
        return audit.name_of(row) or f"{type(row).__name__} {get_object_identifier(row)}"

    def link(self, request: Request, row: Any) -> str:
        """Where another row is shown, if it is shown to them; else nothing."""
        for view in self._admin_ref.views:
            if isinstance(view, View) and isinstance(row, view.model) and view.allows(request, Action.DETAILS):
                return view.url(request, "details", row)
        return ""

    # Forms

    def filled(self, row: Any) -> Form[Any]:
        assert self.schema is not None
        return forms.filled(self.schema, row)

    def suggested(self, request: Request) -> dict[str, str]:
        """What a new one begins with."""
        return {}

    def choices(self) -> dict[str, Options]:
        """Of fields that refer to no rows and yet take only some values."""
        return {}

    async def controls(
        self, session: AsyncSession, request: Request, schema: type[BaseModel] | None, row: Any
    ) -> list[Control]:
        choices = dict(self.choices())
        for name in (schema or BaseModel).model_fields:
            if (target := self._referred(name)) is not None:
                choices[name] = await self._choices(session, request, target, row)
        return forms.controls(schema or BaseModel, self._column_labels, choices)

    async def _choices(self, session: AsyncSession, request: Request, target: type[SQLModel], row: Any) -> Options:
        rows = await session.scalars(sa.select(target).where(self._choosable(request, target, row)).limit(1000))
        options = [(str(found.id), audit.name_of(found)) for found in rows]  # type: ignore[attr-defined]
        return sorted(options, key=lambda option: option[1].casefold())

    def _choosable(self, request: Request, target: type[SQLModel], row: Any) -> sa.ColumnElement[bool]:
        """What a row may refer to: what is everybody's or of its own household; else what they reach themselves."""
        columns = class_mapper(target).columns
        if "household_id" not in columns:
            return self.reach(request, Action.EDIT).rows(target)
        own = getattr(row, "household_id", None)
        return sa.or_(columns["household_id"].is_(None), columns["household_id"] == own if own else sa.false())

    def _referred(self, name: str) -> type[SQLModel] | None:
        """The table that a column refers to, if it does."""
        column = self._mapper.columns.get(name)
        if column is None or not column.foreign_keys:
            return None
        (key,) = column.foreign_keys
        mappers = self._mapper.registry.mappers
        target: type[SQLModel] = next(found.class_ for found in mappers if found.local_table is key.column.table)
        return target

    # Changes

    async def insert(self, request: Request, data: BaseModel) -> Any:
        async with session_scope() as session:
            row = await self.make(session, staff_of(request), data, request)
            await self._require_reached(session, request, Action.CREATE, row)
        return row

    async def update(self, request: Request, key: str, data: BaseModel) -> Any:
        async with session_scope() as session:
            (row,) = await self.chosen(session, request, Action.EDIT, [key], lock=True)
            await self.change(session, staff_of(request), row, data, request)
            await self._require_reached(session, request, Action.EDIT, row)
        return row

    async def perform(self, request: Request, act: Act, keys: Sequence[str], data: BaseModel | None) -> str:
        assert act.do is not None
        async with session_scope() as session:
            rows = await self.chosen(session, request, act.code, keys, lock=True)
            return await act.do(session, staff_of(request), rows, data)

    async def make(self, session: AsyncSession, staff: Staff, data: BaseModel, request: Request) -> Any:
        row = self.model()
        await self._write(session, request, row, data.model_dump(), is_new=True)
        audit.record(session, self._named(Action.CREATE), by=staff, subject=row, after=audit.snapshot(row))
        return row

    async def change(self, session: AsyncSession, staff: Staff, row: Any, data: BaseModel, request: Request) -> None:
        before = audit.snapshot(row)
        await self._write(session, request, row, data.model_dump(), is_new=False)
        audit.record(session, self._named(Action.EDIT), by=staff, subject=row, before=before, after=audit.snapshot(row))

    async def remove(self, session: AsyncSession, staff: Staff, row: Any) -> None:
        audit.record(session, self._named(Action.DELETE), by=staff, subject=row, before=audit.snapshot(row))
        async with unless_taken(session, Conflict(_("Others refer to it."))):
            await session.delete(row)

    async def prepare(self, session: AsyncSession, row: Any, values: Values) -> None:
        """Adds to the values what follows from them. Raises `InvalidInput` for what the schema cannot know."""

    async def _write(self, session: AsyncSession, request: Request, row: Any, values: Values, *, is_new: bool) -> None:
        await self._check_references(session, request, row, values)
        with session.no_autoflush:
            await self.prepare(session, row, values)
        taken = Conflict(_("There is one like that already, or something it refers to is missing."))
        async with unless_taken(session, taken):
            for name, value in values.items():
                setattr(row, name, value)
            if is_new:
                session.add(row)

    async def _check_references(self, session: AsyncSession, request: Request, row: Any, values: Values) -> None:
        for name, value in values.items():
            if not isinstance(value, UUID) or (target := self._referred(name)) is None:
                continue
            key = class_mapper(target).primary_key[0] == value
            if not await session.scalar(sa.select(sa.exists().where(key, self._choosable(request, target, row)))):
                raise InvalidInput({name: _("Choose one from the list.")})

    async def _require_reached(self, session: AsyncSession, request: Request, action: str, row: Any) -> None:
        """Nobody makes what is beyond their reach, nor moves anything there."""
        if not await session.scalar(sa.select(sa.exists().where(*self._key(row), self._reached(request, action)))):
            raise PermissionDenied(_("That would lie beyond what your roles reach."), code="beyond_reach")

    async def _delete_rows(self, session: AsyncSession, staff: Staff, rows: list[Any], _data: Any) -> str:
        for row in rows:
            await self.remove(session, staff, row)
        return _("Deleted.")

    def _named(self, action: str) -> str:
        return permission(self.identity, action)

    def _key(self, row: Any) -> list[sa.ColumnElement[bool]]:
        keys = self._mapper.primary_key_from_instance(row)
        return [column == value for column, value in zip(self.pk_columns, keys, strict=True)]

    # Exports

    async def export_data(
        self, data: list[Any], export_type: str = "csv", request: Request | None = None
    ) -> StreamingResponse:
        if export_type != "csv":
            return await super().export_data(data, export_type, request)
        rows = [[await self.get_prop_value(row, name) for name in self._export_prop_names] for row in data]
        text = tables.write_csv(self._export_prop_names, rows)
        name = secure_filename(self.get_export_name("csv"))
        return StreamingResponse(
            iter([text]),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f"attachment; filename={name}"},
        )


class ReadOnlyView(View):
    can_create = False
    can_edit = False
    can_delete = False
