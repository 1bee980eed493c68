"""Products, and lots and events to look at: quantities are the ledger's alone."""

from typing import Any, ClassVar

from fastapi import Request

from admin.views import ReadOnlyView, View
from models import Event, Lot, Product
from services.core.text import fold
from services.schemas.types import Name, Note, Schema


class ProductForm(Schema):
    name: Name
    note: Note = ""


class ProductAdmin(View, model=Product):
    schema = ProductForm
    icon = "fa-solid fa-tag"
    category = "Stock"
    can_create = False
    can_delete = False
    column_list: ClassVar = ["name", "household", "category", "unit", "archived_at"]
    column_searchable_list: ClassVar = ["name"]
    column_sortable_list: ClassVar = ["name", "created_at"]
    form_columns: ClassVar = ["name", "category", "note"]

    async def on_model_change(self, data: dict[str, Any], model: Any, is_created: bool, request: Request) -> None:
        await super().on_model_change(data, model, is_created, request)
        data["name_key"] = fold(data["name"])
        data["version"] = model.version + 1


class LotAdmin(ReadOnlyView, model=Lot):
    icon = "fa-solid fa-box"
    category = "Stock"
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
    column_default_sort: ClassVar = ("created_at", True)


class EventAdmin(ReadOnlyView, model=Event):
    icon = "fa-solid fa-book"
    category = "Stock"
    column_list: ClassVar = [
        "occurred_at",
        "kind",
        "product",
        "quantity_delta",
        "quantity_after",
        "actor_id",
    ]
    column_sortable_list: ClassVar = ["occurred_at"]
    column_default_sort: ClassVar = ("occurred_at", True)
