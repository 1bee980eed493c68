"""What the app is made of, as far as staff may change it: endpoints, the panel's menu, the dictionary."""

from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError
from sqladmin.filters import BooleanFilter, StaticValuesFilter
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from admin.forms import Options
from admin.views import ReadOnlyView, Values, View, act
from models import DictionaryEntry, Endpoint, MenuItem, MenuKind
from services import dictionary, endpoints
from services.core.errors import InvalidInput
from services.core.i18n import _
from services.schemas.types import Line, Name, Note, Schema
from services.staff import Staff

Position = Annotated[int, Field(ge=0, le=100_000)]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class EndpointAdmin(ReadOnlyView, model=Endpoint):
    """The app's routes, as `oppman.py permissions sync` found them. All one changes is whether they answer."""

    icon = "toggle-left"
    column_labels: ClassVar = {"is_enabled": "On"}
    column_list: ClassVar = ["path", "method", "permission", "summary", "is_enabled"]
    column_searchable_list: ClassVar = ["path", "permission", "summary"]
    column_sortable_list: ClassVar = ["path", "permission"]
    column_default_sort = "path"
    column_filters: ClassVar = [
        BooleanFilter("is_enabled", "On"),
        StaticValuesFilter("method", [(method, method) for method in METHODS], "Method"),
    ]

    @act("enable", "Switch on", icon="toggle-right")
    async def enable(self, session: AsyncSession, by: Staff, rows: list[Endpoint], _data: Any) -> str:
        for row in rows:
            await endpoints.switch(session, by, row.method, row.path, on=True)
        return _("Switched on.")

    @act("disable", "Switch off", icon="toggle-left", question="Nobody gets an answer there then.", is_danger=True)
    async def disable(self, session: AsyncSession, by: Staff, rows: list[Endpoint], _data: Any) -> str:
        for row in rows:
            await endpoints.switch(session, by, row.method, row.path, on=False)
        return _("Switched off.")


def _own_path(value: str) -> str:
    if value and (not value.startswith("/") or value.startswith(("//", "/\\"))):
        raise PydanticCustomError("path", "An address in this app begins with one slash.")
    return value


class MenuItemForm(Schema):
    label: Annotated[Name, StringConstraints(max_length=60)]
    parent_id: UUID | None = None
    path: Annotated[Line, AfterValidator(_own_path)] = Field(default="", description="Of an entry.")
    icon: Annotated[Line, StringConstraints(max_length=40)] = Field(default="", description="As lucide names it.")
    position: Position = 0
    is_enabled: bool = False


class MenuItemAdmin(View, model=MenuItem):
    """Areas, entries and buttons. What is declared comes from `services/seeds/panel.py`; these may differ from it."""

    schema = MenuItemForm
    icon = "panel-left"
    can_create = False
    can_delete = False
    column_labels: ClassVar = {"is_enabled": "Shown"}
    column_list: ClassVar = ["label", "code", "kind", "path", "position", "is_enabled"]
    column_searchable_list: ClassVar = ["code", "label", "path"]
    column_sortable_list: ClassVar = ["position", "code", "label"]
    column_default_sort = "position"
    column_filters: ClassVar = [StaticValuesFilter("kind", [(kind.value, kind.value) for kind in MenuKind], "Kind")]

    def _choosable(self, request: Request, target: type[SQLModel], row: Any) -> sa.ColumnElement[bool]:
        """Entries lie in areas, buttons in entries."""
        holder = MenuKind.ENTRY if getattr(row, "kind", None) is MenuKind.BUTTON else MenuKind.AREA
        return col(MenuItem.kind) == holder

    async def prepare(self, session: AsyncSession, row: MenuItem, values: Values) -> None:
        if row.kind is MenuKind.AREA and values["parent_id"]:
            raise InvalidInput({"parent_id": _("An area lies in nothing.")})
        if row.kind is MenuKind.BUTTON and not values["parent_id"]:
            raise InvalidInput({"parent_id": _("A button belongs to an entry.")})


class DictionaryForm(Schema):
    kind: Annotated[Line, StringConstraints(max_length=50)]
    value: Annotated[Name, StringConstraints(max_length=100)]
    label: Name
    position: Position = 0
    is_enabled: bool = False
    note: Annotated[Note, StringConstraints(max_length=500)] = ""


class DictionaryEntryAdmin(View, model=DictionaryEntry):
    schema = DictionaryForm
    name = "Choice"
    name_plural = "Dictionary"
    icon = "book-a"
    column_labels: ClassVar = {"is_enabled": "In use", "kind": "List"}
    column_list: ClassVar = ["label", "kind", "value", "position", "is_enabled"]
    column_searchable_list: ClassVar = ["value", "label"]
    column_sortable_list: ClassVar = ["kind", "label", "position"]
    column_default_sort: ClassVar = [("kind", False), ("position", False)]
    column_filters: ClassVar = [
        StaticValuesFilter("kind", [(kind, known.label) for kind, known in dictionary.KINDS.items()], "List"),
        BooleanFilter("is_enabled", "In use"),
    ]

    def suggested(self, request: Request) -> dict[str, str]:
        return {"is_enabled": "true", "position": "0"}

    def choices(self) -> dict[str, Options]:
        return {"kind": [(kind, _(known.label)) for kind, known in dictionary.KINDS.items()]}

    async def prepare(self, session: AsyncSession, row: DictionaryEntry, values: Values) -> None:
        if values["kind"] not in dictionary.KINDS:
            raise InvalidInput({"kind": _("There is no such list.")})
        dictionary.forget_after_commit(session)

    async def remove(self, session: AsyncSession, staff: Staff, row: DictionaryEntry) -> None:
        await super().remove(session, staff, row)
        dictionary.forget_after_commit(session)
