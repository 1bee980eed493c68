"""Every route of the app, flattened: for `oppman.py routes`, the permission table and the tests."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Mount


@dataclass(frozen=True, slots=True)
class RouteEntry:
    name: str
    path: str
    methods: frozenset[str]
    endpoint: Any
    dependant: Any


def list_routes(app: FastAPI | APIRouter) -> list[RouteEntry]:
    return sorted(_walk(app.routes), key=lambda entry: (entry.path, sorted(entry.methods)))


def _walk(routes: Iterable[BaseRoute]) -> Iterator[RouteEntry]:
    for route in routes:
        included: Any = getattr(route, "effective_route_contexts", None)
        for candidate in included() if included else [route]:
            found: Any = getattr(candidate, "starlette_route", None) or candidate
            if isinstance(found, Mount):
                yield RouteEntry(found.name or "", f"{found.path}/*", frozenset({"*"}), found.app, None)
                continue
            yield RouteEntry(
                name=getattr(found, "name", ""),
                path=getattr(found, "path", ""),
                methods=frozenset(getattr(found, "methods", None) or {"WEBSOCKET"}),
                endpoint=getattr(found, "endpoint", None),
                dependant=getattr(found, "dependant", None),
            )
