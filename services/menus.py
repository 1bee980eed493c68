"""The panel's menu: areas hold entries, entries hold buttons, and each of the staff sees what their roles grant.

To see an entry gives no right to what it leads to: that is asked at the door.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import MenuItem, MenuKind
from services.staff import Staff


@dataclass(frozen=True, slots=True)
class Button:
    code: str
    label: str
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    code: str
    label: str
    path: str
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """Entries that belong together; those that lie in no area have one without a label, before all others."""

    code: str
    label: str
    icon: str
    entries: tuple[Entry, ...]


async def visible(session: AsyncSession, staff: Staff) -> list[Area]:
    """What one of the staff sees. Whoever sees an entry sees its area too; what is disabled, with all in it, nobody."""
    items = (await session.scalars(_ENABLED)).all()
    areas = {item.id: item for item in items if item.kind is MenuKind.AREA}
    entries: dict[UUID | None, list[Entry]] = {}
    for item in items:
        if item.kind is MenuKind.ENTRY and staff.sees(item.code):
            entries.setdefault(item.parent_id, []).append(Entry(item.code, item.label, item.path, item.icon))
    shown = [
        Area(area.code, area.label, area.icon, tuple(entries[area.id])) for area in areas.values() if area.id in entries
    ]
    if None in entries:
        shown.insert(0, Area("", "", "", tuple(entries[None])))
    return shown


async def buttons(session: AsyncSession, staff: Staff, entry: str) -> Sequence[Button]:
    """What one of the staff finds on the page of an entry."""
    items = (await session.scalars(_ENABLED)).all()
    of_entry = {item.id for item in items if item.code == entry and item.kind is MenuKind.ENTRY}
    return [
        Button(item.code, item.label, item.icon)
        for item in items
        if item.kind is MenuKind.BUTTON and item.parent_id in of_entry and staff.has_button(item.code)
    ]


async def list_items(session: AsyncSession) -> Sequence[MenuItem]:
    """All there are, disabled ones too, in the order they are shown in."""
    return (await session.scalars(_ALL)).all()


_ALL = select(MenuItem).order_by(col(MenuItem.position), col(MenuItem.code))
_ENABLED = _ALL.where(col(MenuItem.is_enabled))
