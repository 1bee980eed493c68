"""Storage locations: a tree of places, each a pantry, a fridge, a freezer or something else."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from db import unless_taken
from models import Location, LocationKind, Lot, Product
from services import audit
from services.core import clock
from services.core.errors import Conflict, InvalidInput, NotFound
from services.core.i18n import _
from services.core.pagination import Page, PageRequest, decode_cursor, encode_cursor
from services.core.text import fold
from services.permissions import Actor
from services.schemas.words import LocationCreate, LocationRead, LocationUpdate

MAX_LOCATIONS = 500
MAX_DEPTH = 6
_SAID = ("name", "kind", "parent_id", "position")


def first_locations(household_id: UUID) -> list[Location]:
    """What a new household begins with."""
    return [
        Location(household_id=household_id, name=name, name_key=fold(name), kind=kind, position=position)
        for position, (name, kind) in enumerate(
            [
                (_("Pantry"), LocationKind.PANTRY),
                (_("Fridge"), LocationKind.FRIDGE),
                (_("Freezer"), LocationKind.FREEZER),
            ]
        )
    ]


async def list_locations(session: AsyncSession, actor: Actor, page: PageRequest) -> Page[LocationRead]:
    """In the order of the tree: each place before the places within it."""
    tree = await read_tree(session, actor)
    start = 0
    if page.after is not None:
        (last,) = decode_cursor(page.after, [UUID])
        start = next((index for index, location in enumerate(tree, 1) if location.id == last), len(tree))
    shown = tree[start : start + page.limit]
    more = start + page.limit < len(tree)
    return Page(shown, encode_cursor([shown[-1].id]) if more else None, len(tree) if page.total else None)


async def read_tree(session: AsyncSession, actor: Actor) -> list[LocationRead]:
    """Every place of the household; there are never more than `MAX_LOCATIONS`."""
    lots = (
        sa.select(sa.func.count())
        .where(col(Lot.location_id) == col(Location.id), col(Lot.quantity) > 0)
        .scalar_subquery()
    )
    statement = (
        sa.select(Location, lots).where(*_visible_to(actor)).order_by(col(Location.position), col(Location.name_key))
    )
    rows = (await session.execute(statement)).all()
    children: dict[UUID | None, list[tuple[Location, int]]] = {}
    for location, count in rows:
        children.setdefault(location.parent_id, []).append((location, count))

    tree: list[LocationRead] = []

    def walk(parent_id: UUID | None, path: str) -> None:
        for location, count in children.get(parent_id, []):
            own_path = f"{path} / {location.name}" if path else location.name
            tree.append(LocationRead(**location.model_dump(), path=own_path, lots=count))
            walk(location.id, own_path)

    walk(None, "")
    return tree


async def get_location(session: AsyncSession, actor: Actor, location_id: UUID, *, field: str | None = None) -> Location:
    """Raises `NotFound`, or `InvalidInput` when the id came in a field."""
    location = await find_location(session, actor, location_id)
    if location is None:
        message = _("There is no such place.")
        raise InvalidInput({field: message}) if field else NotFound(message)
    return location


async def find_location(session: AsyncSession, actor: Actor, location_id: UUID) -> Location | None:
    return (
        await session.scalars(select(Location).where(*_visible_to(actor), Location.id == location_id))
    ).one_or_none()


async def find_first(session: AsyncSession, actor: Actor, *kinds: LocationKind) -> Location | None:
    """The household's first place of these kinds, in that order, or else its first place."""
    statement = select(Location).where(*_visible_to(actor)).order_by(col(Location.position), col(Location.name_key))
    places = (await session.scalars(statement)).all()
    wanted = [place for kind in kinds for place in places if place.kind == kind]
    return next(iter(wanted or places), None)


async def create_location(session: AsyncSession, actor: Actor, data: LocationCreate) -> LocationRead:
    count = (await session.scalars(select(sa.func.count()).select_from(Location).where(*_visible_to(actor)))).one()
    if count >= MAX_LOCATIONS:
        raise Conflict(_("A household can have {count} places.").format(count=MAX_LOCATIONS))
    parent = await get_location(session, actor, data.parent_id, field="parent_id") if data.parent_id else None
    location = Location(
        household_id=actor.household_id,
        name=data.name,
        name_key=fold(data.name),
        kind=data.kind or (parent.kind if parent else LocationKind.OTHER),
        position=data.position,
    )
    if parent:
        await _put_within(session, actor, location, parent)
    read = await _save(session, actor, location)
    audit.record(session, "locations:create", by=actor, subject=location, after=audit.snapshot(location, _SAID))
    return read


async def edit_location(session: AsyncSession, actor: Actor, location_id: UUID, data: LocationUpdate) -> LocationRead:
    location = await get_location(session, actor, location_id)
    before = audit.snapshot(location, _SAID)
    if "parent_id" in data.model_fields_set:
        if data.parent_id is None:
            location.parent_id = None
        else:
            await _put_within(
                session, actor, location, await get_location(session, actor, data.parent_id, field="parent_id")
            )
    if data.name:
        location.name, location.name_key = data.name, fold(data.name)
    if data.position is not None:
        location.position = data.position
    if data.kind:
        location.kind = data.kind
    read = await _save(session, actor, location)
    after = audit.snapshot(location, _SAID)
    audit.record(session, "locations:edit", by=actor, subject=location, before=before, after=after)
    return read


async def archive_location(session: AsyncSession, actor: Actor, location_id: UUID) -> None:
    """Put a place out of use. Raises `Conflict` while something lies there, or places lie within it."""
    location = await get_location(session, actor, location_id)
    occupied = sa.or_(
        sa.exists().where(col(Lot.location_id) == location.id, col(Lot.quantity) > 0),
        sa.exists().where(col(Location.parent_id) == location.id, col(Location.archived_at).is_(None)),
    )
    if (await session.scalars(select(occupied))).one():
        raise Conflict(_("Something is still in {place}. Move it first.").format(place=location.name))
    location.archived_at = clock.now()
    await session.execute(
        sa.update(Product).where(col(Product.default_location_id) == location.id).values(default_location_id=None)
    )
    audit.record(session, "locations:archive", by=actor, subject=location)


def _visible_to(actor: Actor) -> Sequence[sa.ColumnElement[bool]]:
    return col(Location.household_id) == actor.household_id, col(Location.archived_at).is_(None)


async def _put_within(session: AsyncSession, actor: Actor, location: Location, parent: Location) -> None:
    """Raises `InvalidInput` when that would close a circle or go too deep."""
    depth, above = 1, parent
    while above.parent_id is not None and above.id != location.id and depth < MAX_DEPTH:
        above, depth = await get_location(session, actor, above.parent_id), depth + 1
    if above.id == location.id:
        raise InvalidInput({"parent_id": _("A place cannot lie within itself.")})
    if depth >= MAX_DEPTH:
        raise InvalidInput({"parent_id": _("Places can lie {depth} deep.").format(depth=MAX_DEPTH)})
    location.parent_id = parent.id


async def _save(session: AsyncSession, actor: Actor, location: Location) -> LocationRead:
    taken = _("There is already a “{name}” here.").format(name=location.name)
    async with unless_taken(session, Conflict(taken, code="duplicate")):
        session.add(location)
    return next(read for read in await read_tree(session, actor) if read.id == location.id)
