"""Categories: what kinds of food there are and how long each keeps.

Ours come with the app and are everybody's; a household can add its own. Groups hold foods, and a food that does not
say how long it keeps takes its group's word.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select, update

from db import like, unless_taken
from models import Category, DateKind, LocationKind, Product, Unit
from services import audit, units
from services.core.errors import Conflict, InvalidInput, NotFound
from services.core.i18n import _
from services.core.pagination import Key, Page, PageRequest, by_id, fetch_page
from services.core.text import fold, has_forbidden_characters
from services.dates import ShelfLife
from services.permissions import Actor
from services.schemas.words import CategoryCreate, CategoryFields, CategoryRead, CategoryUpdate

# Words of a product name that are looked up among the names and keywords of foods.
MAX_WORDS = 8


async def list_categories(
    session: AsyncSession, actor: Actor, page: PageRequest, *, query: str = "", parent_id: UUID | None = None
) -> Page[CategoryRead]:
    """By name; `query` also finds keywords."""
    statement = _visible_to(actor)
    if query:
        statement = statement.where(col(Category.keywords).like(like(fold(query)), escape="\\"))
    if parent_id:
        statement = statement.where(col(Category.parent_id) == parent_id)
    found = await fetch_page(session, statement, page, Key(col(Category.name_key)), by_id(col(Category.id)))
    return replace(found, items=[_read(*row) for row in found.items])


async def list_groups(session: AsyncSession, actor: Actor) -> Sequence[tuple[UUID, str]]:
    statement = (
        select(Category.id, Category.name)
        .where(_visible(actor), col(Category.parent_id).is_(None))
        .order_by(col(Category.name_key))
    )
    return [(row[0], row[1]) for row in await session.execute(statement)]


async def list_own(session: AsyncSession, actor: Actor) -> Sequence[Category]:
    """The household's own categories."""
    statement = select(Category).where(Category.household_id == actor.household_id)
    return (await session.scalars(statement.order_by(col(Category.name_key)))).all()


async def list_names(session: AsyncSession, actor: Actor) -> Sequence[str]:
    """The names of all foods, for a list to choose from."""
    statement = select(Category.name).where(_visible(actor), col(Category.parent_id).is_not(None))
    return (await session.scalars(statement.order_by(col(Category.name_key)))).all()


async def find_id(session: AsyncSession, actor: Actor, name: str) -> UUID | None:
    """The category of that name; the household's own goes before ours."""
    if has_forbidden_characters(name):
        return None
    own_first = col(Category.household_id).is_(None)
    statement = select(Category.id).where(_visible(actor), Category.name_key == fold(name)).order_by(own_first)
    return (await session.scalars(statement)).first()


async def get_category(session: AsyncSession, actor: Actor, category_id: UUID, *, field: str | None = None) -> Category:
    """Raises `NotFound`, or `InvalidInput` when the id came in a field."""
    category = await find_category(session, actor, category_id)
    if category is None:
        message = _("There is no such category.")
        raise InvalidInput({field: message}) if field else NotFound(message)
    return category


async def find_category(session: AsyncSession, actor: Actor, category_id: UUID) -> Category | None:
    statement = select(Category).where(_visible(actor), Category.id == category_id)
    category: Category | None = (await session.scalars(statement)).one_or_none()
    return category


async def create_category(session: AsyncSession, actor: Actor, data: CategoryCreate) -> CategoryRead:
    category = Category(household_id=actor.household_id, name=data.name, name_key=fold(data.name))
    await _apply(session, actor, category, data)
    category.keywords = keywords_of(data.name)
    await _save(session, category)
    audit.record(session, "categories:create", by=actor, subject=category, after=_kept(category))
    return await _reread(session, actor, category.id)


async def edit_category(session: AsyncSession, actor: Actor, category_id: UUID, data: CategoryUpdate) -> CategoryRead:
    category = await _get_own(session, actor, category_id)
    before = _kept(category)
    await _apply(session, actor, category, data)
    if data.name:
        category.name, category.name_key, category.keywords = data.name, fold(data.name), keywords_of(data.name)
    await _save(session, category)
    audit.record(session, "categories:edit", by=actor, subject=category, before=before, after=_kept(category))
    return await _reread(session, actor, category.id)


async def delete_category(session: AsyncSession, actor: Actor, category_id: UUID) -> None:
    """Its products stay, without a category. Raises `Conflict` while other categories lie in it."""
    category = await _get_own(session, actor, category_id)
    children = sa.exists().where(col(Category.parent_id) == category.id)
    if (await session.scalars(select(children))).one():
        raise Conflict(_("Other categories lie in this one."))
    await session.execute(update(Product).where(col(Product.category_id) == category.id).values(category_id=None))
    await session.delete(category)
    audit.record(session, "categories:delete", by=actor, subject=category, before=_kept(category))


async def guess(session: AsyncSession, actor: Actor, product_name: str) -> Category | None:
    """The food a product name speaks of: the longest run of its words that we know, the last one of equals."""
    words = fold(product_name).split()[:MAX_WORDS]
    runs = [
        (length, start, " ".join(words[start : start + length]))
        for length in range(1, len(words) + 1)
        for start in range(len(words) - length + 1)
    ]
    if not runs:
        return None
    spellings = {spelling: (length, start) for length, start, run in runs for spelling in _spellings(run)}
    statement = select(Category).where(
        _visible(actor),
        col(Category.parent_id).is_not(None),
        sa.or_(*(col(Category.keywords).like(like(f"|{spelling}|"), escape="\\") for spelling in spellings)),
    )
    best: tuple[tuple[int, int], Category] | None = None
    for category in await session.scalars(statement):
        rank = max(rank for spelling, rank in spellings.items() if f"|{spelling}|" in category.keywords)
        if best is None or rank > best[0]:
            best = rank, category
    return best[1] if best else None


async def suggest(session: AsyncSession, actor: Actor, query: str, *, limit: int = 6) -> Sequence[Category]:
    """Foods whose name or keyword has a word that begins with what was typed; short names first."""
    start = fold(query)
    keywords = col(Category.keywords)
    statement = (
        select(Category)
        .where(_visible(actor), col(Category.parent_id).is_not(None))
        .where(sa.or_(keywords.like(like(f"|{start}"), escape="\\"), keywords.like(like(f" {start}"), escape="\\")))
        .order_by(
            col(Category.name_key).like(like(start)[1:], escape="\\").desc(),
            col(Category.name_key).like(like(f" {start}"), escape="\\").desc(),
            sa.func.length(col(Category.name)),
            col(Category.name_key),
        )
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


async def shelf_life(session: AsyncSession, product: Product) -> ShelfLife:
    """How long a product keeps: its own days first, then its category's, then the group's."""
    chain: list[Category] = []
    if product.category_id:
        group = aliased(Category)
        statement = (
            select(Category, group)
            .outerjoin(group, col(Category.parent_id) == group.id)
            .where(Category.id == product.category_id)
        )
        food, parent = (await session.execute(statement)).one()
        # The outer join's entity is typed as if it were always there.
        chain = [link for link in (food, cast("Category | None", parent)) if link is not None]

    def first(*values: Any) -> Any:
        return next((value for value in values if value is not None), None)

    return ShelfLife(
        date_kind=first(*(link.date_kind for link in chain)) or DateKind.BEST_BEFORE,
        own_unopened=product.unopened_days,
        own_frozen=product.frozen_days,
        by_storage={
            LocationKind.PANTRY: first(*(link.pantry_days for link in chain)),
            LocationKind.FRIDGE: first(*(link.fridge_days for link in chain)),
            LocationKind.FREEZER: first(*(link.freezer_days for link in chain)),
        },
        opened=first(product.opened_days, *(link.opened_days for link in chain)),
        thawed=first(product.thawed_days, *(link.thawed_days for link in chain)),
    )


def keywords_of(*names: str) -> str:
    """Names in the form that is searched: `|whole milk|milk|`."""
    return f"|{'|'.join(dict.fromkeys(fold(name) for name in names if name))}|"


def _spellings(run: str) -> set[str]:
    """The run itself, and its singular and plural as English mostly forms them."""
    spellings = {run, f"{run}s", f"{run}es"}
    if run.endswith("s"):
        spellings.add(run[:-1])
    if run.endswith("es"):
        spellings.add(run[:-2])
    if run.endswith("ies"):
        spellings.add(f"{run[:-3]}y")
    if run.endswith("y"):
        spellings.add(f"{run[:-1]}ies")
    return spellings


def _kept(category: Category) -> dict[str, Any]:
    return audit.snapshot(category, category.model_dump(exclude={"id", "household_id", "name_key", "keywords"}))


def _visible(actor: Actor) -> sa.ColumnElement[bool]:
    return sa.or_(col(Category.household_id).is_(None), col(Category.household_id) == actor.household_id)


def _visible_to(actor: Actor) -> sa.Select[tuple[Category, str]]:
    return (
        sa.select(Category, col(Unit.code))
        .outerjoin(Unit, col(Unit.id) == col(Category.unit_id))
        .where(_visible(actor))
    )


async def _get_own(session: AsyncSession, actor: Actor, category_id: UUID) -> Category:
    category = await get_category(session, actor, category_id)
    if category.household_id is None:
        raise Conflict(_("This category belongs to everybody and cannot be changed."))
    return category


async def _apply(session: AsyncSession, actor: Actor, category: Category, data: CategoryFields) -> None:
    given = data.model_dump(exclude_unset=True, exclude={"name", "unit", "parent_id"})
    category.sqlmodel_update(given)
    if "unit" in data.model_fields_set:
        category.unit_id = (await units.get_unit(session, actor, data.unit)).id if data.unit else None
    if "parent_id" not in data.model_fields_set:
        return
    category.parent_id = data.parent_id
    if data.parent_id:
        parent = await get_category(session, actor, data.parent_id, field="parent_id")
        has_children = sa.exists().where(col(Category.parent_id) == category.id)
        if parent.parent_id or parent.id == category.id or (await session.scalars(select(has_children))).one():
            raise InvalidInput({"parent_id": _("Choose a group: a category that lies in no other.")})


async def _save(session: AsyncSession, category: Category) -> None:
    taken = _("You already have a category “{name}”.").format(name=category.name)
    async with unless_taken(session, Conflict(taken, code="duplicate")):
        session.add(category)


async def _reread(session: AsyncSession, actor: Actor, category_id: UUID) -> CategoryRead:
    row = (await session.execute(_visible_to(actor).where(col(Category.id) == category_id))).one()
    return _read(*row)


def _read(category: Category, unit_code: str | None) -> CategoryRead:
    return CategoryRead(**category.model_dump(), unit=unit_code, is_shared=category.household_id is None)
