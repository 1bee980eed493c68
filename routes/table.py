"""Every route of the app, flattened: for `oppman.py routes`, the permission table and the tests."""

import inspect
import re
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

    @property
    def path_format(self) -> str:
        """The path without what a parameter may look like: `{code}` for `{code:path}`."""
        return re.sub(r":\w+}", "}", self.path)

    @property
    def summary(self) -> str:
        """The first sentence of what the route says of itself."""
        text = " ".join((inspect.getdoc(self.endpoint) or "").partition("\n\n")[0].split())
        return re.split(r"(?<=[.:]) ", text, maxsplit=1)[0].rstrip(".:")


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
