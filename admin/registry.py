"""What there is to permit, read from the app itself: its routes, the panel’s tables and what is done with them."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from sqladmin import ModelView
from sqladmin.authorization import Action

from admin.access import permission
from models import Role
from routes.table import RouteEntry, list_routes
from services.core.i18n import mark
from services.endpoints import PANEL, Permission, Registry, Route
from services.permissions import ROLE_PERMISSIONS

# Under which heading what a household does stands.
HOUSEHOLDS = mark("Inside a household")
PANEL_PAGES = mark("Panel")
_ACTIONS = {
    Action.LIST: mark("See the list"),
    Action.DETAILS: mark("See one"),
    Action.CREATE: mark("Add"),
    Action.EDIT: mark("Change"),
    Action.DELETE: mark("Delete"),
    Action.EXPORT: mark("Export"),
    Action.IMPORT: mark("Import"),
}


def read_registry(app: FastAPI, views: Sequence[Any]) -> Registry:
    entries = [entry for entry in list_routes(app) if "*" not in entry.methods and entry.name]
    routes = {
        (method, entry.path_format): Route(method, entry.path_format, entry.name, entry.summary[:200])
        for entry in entries
        for method in entry.methods - {"HEAD"}
    }
    found = [*_of_tables(views), *_of_routes(entries)]
    return Registry(list(routes.values()), {each.name: each for each in found})


def _of_tables(views: Sequence[Any]) -> Iterator[Permission]:
    for view in views:
        if not isinstance(view, ModelView):
            continue
        labels = {**view._custom_actions_in_list, **view._custom_actions_in_detail}  # noqa: SLF001  (no public way)
        for action in view._authorization_actions():  # noqa: SLF001
            label = _ACTIONS.get(action) or labels[action.removeprefix("action:")]  # type: ignore[call-overload]
            yield Permission(permission(view.identity, str(action)), label, str(view.name_plural))


def _of_routes(entries: Sequence[RouteEntry]) -> Iterator[Permission]:
    """The panel's own pages, and what can be done in a household."""
    in_households = ROLE_PERMISSIONS[Role.OWNER]
    summaries: dict[str, str] = {}
    for entry in entries:
        summaries[entry.name] = summaries.get(entry.name) or entry.summary
        if entry.path.startswith(f"{PANEL}/"):
            yield Permission(entry.name, summaries[entry.name] or _in_words(entry.name), PANEL_PAGES)
    for name in sorted(in_households):
        yield Permission(name, summaries.get(name) or _in_words(name), HOUSEHOLDS)


def _in_words(name: str) -> str:
    noun, _colon, verb = name.partition(":")
    return f"{verb} ({noun})".replace("_", " ").capitalize()
