"""Categories, units and the catalogue: the words every household shares."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request
from pydantic import Field, StringConstraints, field_validator
from sqlmodel import col
from wtforms import DecimalField
from wtforms.validators import Optional

from admin.views import EnumField, View
from db import session_scope
from models import CatalogueItem, CatalogueSource, Category, DateKind, Unit, UnitKind
from services.categories import keywords_of
from services.core import gtin
from services.core.text import fold
from services.schemas.types import (
    CatalogueName,
    Days,
    Factor,
    Line,
    Name,
    Note,
    QuantityOrZero,
    Schema,
    SoonDays,
    UnitCode,
    UnitName,
)

NUTRIENTS = (
    "energy_kcal",
    "carbohydrate",
    "total_sugars",
    "fiber",
    "protein",
    "saturated_fat",
    "vitamin_a",
    "vitamin_c",
    "potassium",
    "iron",
    "calcium",
    "sodium",
    "cholesterol",
)
DAYS = ("pantry_days", "fridge_days", "freezer_days", "opened_days", "thawed_days")


class CategoryForm(Schema):
    name: Name
    icon: Line = ""
    keywords: Annotated[Note, StringConstraints(max_length=400)] = ""
    date_kind: DateKind | None = None
    pantry_days: Days | None = None
    fridge_days: Days | None = None
    freezer_days: Days | None = None
    opened_days: Days | None = None
    thawed_days: Days | None = None
    soon_days: SoonDays | None = None


class CategoryAdmin(View, model=Category):
    schema = CategoryForm
    name_plural = "Categories"
    icon = "fa-solid fa-carrot"
    category = "Words"
    column_list: ClassVar = ["name", "parent", "date_kind", *DAYS]
    column_searchable_list: ClassVar = ["name", "keywords"]
    column_sortable_list: ClassVar = ["name"]
    column_default_sort = "name_key"
    form_columns: ClassVar = [
        "name",
        "parent",
        "icon",
        "keywords",
        "date_kind",
        "unit",
        *DAYS,
        "soon_days",
        "may_freeze",
    ]
    form_overrides: ClassVar = {"date_kind": EnumField}
    form_args: ClassVar = {
        "date_kind": {"enum": DateKind, "optional": True},
        "keywords": {"description": "What else people call it, with | between."},
    }

    async def on_model_change(self, data: dict[str, Any], model: Any, is_created: bool, request: Request) -> None:
        await super().on_model_change(data, model, is_created, request)
        await _check_parent(data.get("parent"), model)
        words = [word for word in data["keywords"].split("|") if word.strip()]
        data["name_key"] = fold(data["name"])
        data["keywords"] = keywords_of(data["name"], *words)


async def _check_parent(parent_id: str | None, category: Category) -> None:
    """Groups hold foods, and nothing lies deeper."""
    if not parent_id:
        return
    async with session_scope(read_only=True) as session:
        parent = await session.get_one(Category, UUID(parent_id))
        has_children = await session.scalar(sa.select(sa.exists().where(col(Category.parent_id) == category.id)))
    if parent.parent_id or parent.id == category.id or has_children:
        raise ValueError("Parent: Choose a group: a category that lies in no other.")


class UnitForm(Schema):
    code: UnitCode
    name: UnitName
    plural: UnitName
    kind: UnitKind
    factor: Factor


class UnitAdmin(View, model=Unit):
    schema = UnitForm
    icon = "fa-solid fa-scale-balanced"
    category = "Words"
    column_list: ClassVar = ["code", "name", "plural", "kind", "factor"]
    column_searchable_list: ClassVar = ["code", "name"]
    column_sortable_list: ClassVar = ["code", "name"]
    form_columns: ClassVar = ["code", "name", "plural", "kind", "factor"]
    form_overrides: ClassVar = {"kind": EnumField, "factor": DecimalField}
    form_args: ClassVar = {"kind": {"enum": UnitKind}, "factor": {"places": None}}


class CatalogueItemForm(Schema):
    gtin: str = Field(max_length=20)
    name: CatalogueName
    brand: Line = ""
    allergens: Annotated[Note, StringConstraints(max_length=500)] = ""
    source: CatalogueSource = CatalogueSource.STAFF
    source_licence: Line = ""
    package_quantity: QuantityOrZero | None = None
    energy_kcal: QuantityOrZero | None = None
    carbohydrate: QuantityOrZero | None = None
    total_sugars: QuantityOrZero | None = None
    fiber: QuantityOrZero | None = None
    protein: QuantityOrZero | None = None
    saturated_fat: QuantityOrZero | None = None
    vitamin_a: QuantityOrZero | None = None
    vitamin_c: QuantityOrZero | None = None
    potassium: QuantityOrZero | None = None
    iron: QuantityOrZero | None = None
    calcium: QuantityOrZero | None = None
    sodium: QuantityOrZero | None = None
    cholesterol: QuantityOrZero | None = None

    @field_validator("gtin")
    @classmethod
    def _has_check_digit(cls, value: str) -> str:
        try:
            code = gtin.normalise(value.strip())
        except gtin.WrongCheckDigit as error:
            raise ValueError("A digit of this barcode is wrong: its check digit does not fit.") from error
        if not (len(code) == 14 and code.isascii() and code.isdecimal()):
            raise ValueError("This is not a GTIN of 8, 12, 13 or 14 digits.")
        return code

    @field_validator(*NUTRIENTS)
    @classmethod
    def _round(cls, value: Decimal | None) -> Decimal | None:
        return None if value is None else round(value, 4)


class CatalogueItemAdmin(View, model=CatalogueItem):
    schema = CatalogueItemForm
    name = "Catalogue item"
    icon = "fa-solid fa-barcode"
    category = "Words"
    column_labels: ClassVar = {"gtin": "GTIN"}
    column_list: ClassVar = ["gtin", "name", "brand", "source"]
    column_searchable_list: ClassVar = ["gtin", "name", "brand"]
    column_sortable_list: ClassVar = ["gtin", "name"]
    form_columns: ClassVar = [
        "gtin",
        "name",
        "brand",
        "category",
        "package_quantity",
        "package_unit",
        *NUTRIENTS,
        "allergens",
        "source",
        "source_licence",
    ]
    form_overrides: ClassVar = {
        "source": EnumField,
        "package_quantity": DecimalField,
        **dict.fromkeys(NUTRIENTS, DecimalField),
    }
    form_args: ClassVar = {
        "source": {"enum": CatalogueSource},
        **{name: {"places": None, "validators": [Optional()]} for name in ("package_quantity", *NUTRIENTS)},
    }

    async def on_model_change(self, data: dict[str, Any], model: Any, is_created: bool, request: Request) -> None:
        await super().on_model_change(data, model, is_created, request)
        data["name_key"] = fold(data["name"])
