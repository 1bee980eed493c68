"""Categories, units and the catalogue: the words every household shares."""

from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request
from pydantic import BaseModel, Field, StringConstraints
from sqladmin.filters import StaticValuesFilter
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from admin import forms
from admin.forms import Control
from admin.views import Values, View, act
from models import CatalogueItem, CatalogueSource, Category, DateKind, Unit, UnitKind
from services import catalogue
from services.categories import keywords_of
from services.core.errors import InvalidInput
from services.core.i18n import _
from services.core.text import fold
from services.schemas.catalogue import NUTRIENTS, CatalogueItemEdit, ItemsEdit, Survivor
from services.schemas.types import Days, Factor, Line, Name, Note, Schema, SoonDays, UnitCode, UnitName
from services.staff import Staff

DAYS = ("pantry_days", "fridge_days", "freezer_days", "opened_days", "thawed_days")
MERGE = "What refers to the others refers to the one that stays, and the others are gone. Which one stays?"


class WordView(View):
    """Words of which several may be one."""

    async def controls(
        self, session: AsyncSession, request: Request, schema: type[BaseModel] | None, rows: Any
    ) -> list[Control]:
        found = await super().controls(session, request, schema, rows)
        if schema is not Survivor:
            return found
        options = {"survivor_id": [(str(row.id), str(row)) for row in rows]}
        return forms.controls(Survivor, {"survivor_id": "The one that stays"}, options)


class CategoryForm(Schema):
    name: Name
    parent_id: UUID | None = Field(default=None, description="The group it lies in; groups lie in none.")
    icon: Line = ""
    keywords: Annotated[Note, StringConstraints(max_length=400)] = Field(
        default="", description="What else people call it, with | between."
    )
    date_kind: DateKind | None = None
    unit_id: UUID | None = None
    pantry_days: Days | None = None
    fridge_days: Days | None = None
    freezer_days: Days | None = None
    opened_days: Days | None = None
    thawed_days: Days | None = None
    soon_days: SoonDays | None = None
    may_freeze: bool | None = None


class CategoryAdmin(WordView, model=Category):
    schema = CategoryForm
    name_plural = "Categories"
    icon = "carrot"
    column_list: ClassVar = ["name", "parent", "date_kind", *DAYS]
    column_searchable_list: ClassVar = ["name", "keywords"]
    column_sortable_list: ClassVar = ["name"]
    column_default_sort = "name_key"
    column_details_list: ClassVar = [
        "name",
        "parent",
        "code",
        "keywords",
        "icon",
        "date_kind",
        "unit",
        *DAYS,
        "soon_days",
        "may_freeze",
        "household_id",
        "id",
    ]

    def _choosable(self, request: Request, target: type[SQLModel], row: Any) -> sa.ColumnElement[bool]:
        found = super()._choosable(request, target, row)
        return sa.and_(found, col(Category.parent_id).is_(None)) if target is Category else found

    async def prepare(self, session: AsyncSession, row: Category, values: Values) -> None:
        await _check_parent(session, values["parent_id"], row)
        words = [word for word in values["keywords"].split("|") if word.strip()]
        values["name_key"] = fold(values["name"])
        values["keywords"] = keywords_of(values["name"], *words)

    @act("merge", "Merge", icon="merge", question=MERGE, schema=Survivor)
    async def merge(self, session: AsyncSession, by: Staff, rows: list[Category], data: Survivor) -> str:
        survivor = await catalogue.merge_categories(session, by, rows, data.survivor_id)
        return _("Merged into {name}.").format(name=survivor)


async def _check_parent(session: AsyncSession, parent_id: UUID | None, category: Category) -> None:
    """Groups hold foods, and nothing lies deeper."""
    if parent_id is None:
        return
    has_children = await session.scalar(sa.select(sa.exists().where(col(Category.parent_id) == category.id)))
    if parent_id == category.id or has_children:
        raise InvalidInput({"parent_id": _("A group lies in no other.")})


class UnitForm(Schema):
    code: UnitCode
    name: UnitName
    plural: UnitName
    kind: UnitKind
    factor: Factor = Field(description="How many grams, millilitres or pieces one is.")


class UnitAdmin(WordView, model=Unit):
    schema = UnitForm
    icon = "scale"
    column_list: ClassVar = ["code", "name", "plural", "kind", "factor"]
    column_searchable_list: ClassVar = ["code", "name"]
    column_sortable_list: ClassVar = ["code", "name"]
    column_default_sort = "code"
    column_filters: ClassVar = [StaticValuesFilter("kind", [(kind.value, kind.value) for kind in UnitKind], "Kind")]

    @act("merge", "Merge", icon="merge", question=MERGE, schema=Survivor)
    async def merge(self, session: AsyncSession, by: Staff, rows: list[Unit], data: Survivor) -> str:
        survivor = await catalogue.merge_units(session, by, rows, data.survivor_id)
        return _("Merged into {name}.").format(name=survivor)


class CatalogueItemAdmin(WordView, model=CatalogueItem):
    schema = CatalogueItemEdit
    name = "Catalogue item"
    icon = "barcode"
    can_import = True
    above_details = "panel/picture_part.html"
    column_labels: ClassVar = {"gtin": "GTIN", "energy_kcal": "Energy, kcal", "image_url": "Picture elsewhere"}
    column_list: ClassVar = ["gtin", "name", "brand", "category", "source"]
    column_searchable_list: ClassVar = ["gtin", "name", "brand"]
    column_sortable_list: ClassVar = ["gtin", "name", "brand", "created_at"]
    column_default_sort = "name_key"
    column_filters: ClassVar = [
        StaticValuesFilter("source", [(source.value, source.value) for source in CatalogueSource], "Source")
    ]
    column_details_exclude_list: ClassVar = ["name_key", "category_id", "package_unit_id", "picture_id"]
    column_export_list: ClassVar = [
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

    def buttons(self, request: Request) -> list[tuple[str, str, str]]:
        return [("/admin/catalogue-item/import", "Read in a file", "upload")] if self.allows(request, "import") else []

    async def prepare(self, session: AsyncSession, row: CatalogueItem, values: Values) -> None:
        values["name_key"] = fold(values["name"])

    @act("merge", "Merge", icon="merge", question=MERGE, schema=Survivor)
    async def merge(self, session: AsyncSession, by: Staff, rows: list[CatalogueItem], data: Survivor) -> str:
        survivor = await catalogue.merge_items(session, by, rows, data.survivor_id)
        return _("Merged into {name}.").format(name=survivor)

    @act("change", "Change together", icon="pencil", question="What is left empty stays as it is.", schema=ItemsEdit)
    async def change_together(
        self, session: AsyncSession, by: Staff, rows: list[CatalogueItem], data: ItemsEdit
    ) -> str:
        count = await catalogue.edit_items(session, by, rows, data)
        return _("{count} changed.").format(count=count)
