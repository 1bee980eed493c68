"""The panel's menu: areas hold entries, entries hold buttons, and each of the staff sees what their roles grant.

To see an entry gives no right to what it leads to: that is asked at the door. A button is called after what it does,
such as `panel.user:logout`; what has no button in the menu is shown to all who may do it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import MenuItem, MenuKind
from services.staff import Staff


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


@dataclass(frozen=True, slots=True)
class Menu:
    """`hidden`: codes of the buttons that somebody does not find on the pages they may open."""

    areas: list[Area]
    hidden: frozenset[str]


async def read(session: AsyncSession, staff: Staff) -> Menu:
    """What one of the staff sees. Whoever sees an entry sees its area too; what is disabled, with all in it, nobody."""
    everything = await list_items(session)
    buttons = (item for item in everything if item.kind is MenuKind.BUTTON)
    hidden = frozenset(item.code for item in buttons if not (item.is_enabled and staff.has_button(item.code)))
    return Menu(_areas([item for item in everything if item.is_enabled], staff), hidden)


async def visible(session: AsyncSession, staff: Staff) -> list[Area]:
    return (await read(session, staff)).areas


def _areas(items: Sequence[MenuItem], staff: Staff) -> list[Area]:
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


async def list_items(session: AsyncSession) -> Sequence[MenuItem]:
    """All there are, disabled ones too, in the order they are shown in."""
    return (await session.scalars(select(MenuItem).order_by(col(MenuItem.position), col(MenuItem.code)))).all()
