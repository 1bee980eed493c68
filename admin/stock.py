"""Products, and lots and events to look at: quantities are the ledger's alone."""

from typing import ClassVar
from uuid import UUID

from sqladmin.filters import StaticValuesFilter
from sqlalchemy.ext.asyncio import AsyncSession

from admin.views import ReadOnlyView, Values, View
from models import DateKind, Event, EventKind, Lot, Product
from services import households
from services.core.text import fold
from services.schemas.types import Name, Note, Schema


class ProductForm(Schema):
    name: Name
    category_id: UUID | None = None
    note: Note = ""


class ProductAdmin(View, model=Product):
    schema = ProductForm
    icon = "tag"
    can_create = False
    can_delete = False
    column_list: ClassVar = ["name", "household", "category", "unit", "archived_at"]
    column_searchable_list: ClassVar = ["name"]
    column_sortable_list: ClassVar = ["name", "created_at"]
    column_default_sort: ClassVar = ("created_at", True)
    column_details_exclude_list: ClassVar = [
        "name_key",
        "household_id",
        "category_id",
        "unit_id",
        "catalogue_item_id",
    ]

    async def prepare(self, session: AsyncSession, row: Product, values: Values) -> None:
        await households.look_again(session, row.household_id)
        values["name_key"] = fold(values["name"])
        values["version"] = row.version + 1


class LotAdmin(ReadOnlyView, model=Lot):
    icon = "package"
    column_list: ClassVar = [
        "product",
        "household",
        "location",
        "quantity",
        "date_kind",
        "expires_on",
        "created_at",
    ]
    column_sortable_list: ClassVar = ["expires_on", "created_at"]
    column_filters: ClassVar = [
        StaticValuesFilter("date_kind", [(kind.value, kind.value) for kind in DateKind], "Kind of date")
    ]
    column_default_sort: ClassVar = ("created_at", True)


class EventAdmin(ReadOnlyView, model=Event):
    icon = "history"
    column_list: ClassVar = [
        "occurred_at",
        "kind",
        "product",
        "quantity_delta",
        "quantity_after",
        "actor_id",
    ]
    column_sortable_list: ClassVar = ["occurred_at"]
    column_filters: ClassVar = [StaticValuesFilter("kind", [(kind.value, kind.value) for kind in EventKind], "Kind")]
    column_default_sort: ClassVar = ("occurred_at", True)
