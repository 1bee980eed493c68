"""Units of measure and exact conversion between them."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from db import unless_taken
from models import Product, Unit, UnitConversion, UnitKind
from services import audit
from services.core.errors import Conflict, InvalidInput, NotFound
from services.core.i18n import _
from services.core.pagination import Key, Page, PageRequest, by_id, fetch_page
from services.permissions import Actor
from services.schemas.types import MAX_QUANTITY
from services.schemas.words import UnitCreate, UnitRead, UnitUpdate

SMALLEST = Decimal("0.000001")
DEFAULT_UNIT = "piece"
_SAID = ("code", "name", "plural", "kind", "factor")


async def list_units(session: AsyncSession, actor: Actor, page: PageRequest) -> Page[UnitRead]:
    """The household's units and ours, small ones of a kind before large ones."""
    keys = (Key(col(Unit.kind)), Key(col(Unit.factor), Decimal), by_id(col(Unit.id)))
    found = await fetch_page(session, _visible_to(actor), page, *keys)
    return replace(found, items=[_read(unit) for unit in found.items])


async def list_own(session: AsyncSession, actor: Actor) -> Sequence[Unit]:
    """The household's own units."""
    statement = select(Unit).where(Unit.household_id == actor.household_id).order_by(col(Unit.code))
    return (await session.scalars(statement)).all()


async def list_choices(session: AsyncSession, actor: Actor, convertible_to: str | None = None) -> list[tuple[str, str]]:
    """`(code, name)` of units for a select: all of them, or those that convert into one of them by themselves."""
    found = (await session.scalars(_visible_to(actor).order_by(col(Unit.kind), col(Unit.factor), col(Unit.code)))).all()
    target = next((unit for unit in found if unit.code == convertible_to), None)
    return [(unit.code, _(unit.plural)) for unit in found if target is None or _ratio(unit, target) is not None]


async def get_unit(session: AsyncSession, actor: Actor, code: str, *, field: str = "unit") -> Unit:
    """The household's unit of that code, or ours. Raises `InvalidInput` at `field`."""
    # A household's own unit hides ours of the same code.
    own_first = col(Unit.household_id).is_(None)
    statement = _visible_to(actor).where(Unit.code == code).order_by(own_first)
    unit: Unit | None = (await session.scalars(statement)).first()
    if unit is None:
        raise InvalidInput({field: _("There is no unit “{code}”.").format(code=code)})
    return unit


async def create_unit(session: AsyncSession, actor: Actor, data: UnitCreate) -> UnitRead:
    unit = Unit(household_id=actor.household_id, **data.model_dump(exclude={"plural"}), plural=data.plural or data.name)
    taken = _("You already have a unit “{code}”.").format(code=data.code)
    async with unless_taken(session, Conflict(taken, code="duplicate")):
        session.add(unit)
    audit.record(session, "units:create", by=actor, subject=unit, after=audit.snapshot(unit, _SAID))
    return _read(unit)


async def edit_unit(session: AsyncSession, actor: Actor, unit_id: UUID, data: UnitUpdate) -> UnitRead:
    unit = await _get_own(session, actor, unit_id)
    before = audit.snapshot(unit, _SAID)
    unit.sqlmodel_update(data.model_dump(exclude_unset=True, exclude_none=True))
    audit.record(session, "units:edit", by=actor, subject=unit, before=before, after=audit.snapshot(unit, _SAID))
    return _read(unit)


async def delete_unit(session: AsyncSession, actor: Actor, unit_id: UUID) -> None:
    """Raises `Conflict` while a product is kept in it."""
    unit = await _get_own(session, actor, unit_id)
    used = sa.or_(
        sa.exists().where(col(Product.unit_id) == unit.id), sa.exists().where(col(UnitConversion.unit_id) == unit.id)
    )
    if (await session.scalars(select(used))).one():
        raise Conflict(_("Some products use this unit."))
    await session.delete(unit)
    audit.record(session, "units:delete", by=actor, subject=unit, before=audit.snapshot(unit, _SAID))


async def to_stock_unit(
    session: AsyncSession, actor: Actor, product: Product, quantity: Decimal, unit_code: str | None
) -> Decimal:
    """`quantity` in the unit the product is kept in. Raises `InvalidInput` when one cannot become the other."""
    if unit_code is None:
        return quantity
    unit = await get_unit(session, actor, unit_code)
    if unit.id == product.unit_id:
        return quantity

    stock_unit = await session.get_one(Unit, product.unit_id)
    conversions = await session.execute(
        select(UnitConversion, Unit)
        .join(Unit, col(Unit.id) == col(UnitConversion.unit_id))
        .where(UnitConversion.product_id == product.id)
    )
    converted = convert(quantity, unit, stock_unit, [(via, conversion.factor) for conversion, via in conversions])
    if converted is None:
        message = _("{unit} cannot be turned into {stock_unit} for this product.")
        raise InvalidInput({"unit": message.format(unit=unit.plural, stock_unit=stock_unit.plural)})
    if not 0 < converted <= MAX_QUANTITY:
        raise InvalidInput({"quantity": _("This is too much, or next to nothing.")})
    return converted


def convert(
    quantity: Decimal, unit: Unit, stock_unit: Unit, conversions: list[tuple[Unit, Decimal]] | None = None
) -> Decimal | None:
    """`quantity` of `unit` in `stock_unit`; None when they have nothing in common.

    `conversions`: how much of the stock unit one of some other unit is. Calculated in fractions, rounded once to
    the millionth that quantities are kept with.
    """
    direct = _ratio(unit, stock_unit)
    if direct is None:
        for via, factor in conversions or []:
            if (to_via := _ratio(unit, via)) is not None:
                direct = to_via * Fraction(factor)
                break
    if direct is None:
        return None
    exact = Fraction(quantity) * direct
    with localcontext(prec=60):
        return (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(SMALLEST)


def _ratio(unit: Unit, other: Unit) -> Fraction | None:
    if unit.id == other.id:
        return Fraction(1)
    if unit.kind != other.kind or unit.kind == UnitKind.PACK:
        return None
    return Fraction(unit.factor) / Fraction(other.factor)


def _visible_to(actor: Actor) -> SelectOfScalar[Unit]:
    return select(Unit).where(sa.or_(col(Unit.household_id).is_(None), col(Unit.household_id) == actor.household_id))


async def _get_own(session: AsyncSession, actor: Actor, unit_id: UUID) -> Unit:
    unit: Unit | None = (await session.scalars(_visible_to(actor).where(Unit.id == unit_id))).one_or_none()
    if unit is None:
        raise NotFound(_("There is no such unit."))
    if unit.household_id is None:
        raise Conflict(_("This unit belongs to everybody and cannot be changed."))
    return unit


def _read(unit: Unit) -> UnitRead:
    return UnitRead(**unit.model_dump(), is_shared=unit.household_id is None)
