"""The two kinds of API router: for an account, and for a household it belongs to."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute

from routes.deps import household_in_path, show_security
from routes.errors import documented

PREFIX = "/api/v1"


def account_router(tag: str, *, errors: Sequence[int] = ()) -> APIRouter:
    return APIRouter(prefix=PREFIX, tags=[tag], dependencies=[Depends(show_security)], responses=documented(*errors))


def household_router(
    tag: str, *, route_class: type[APIRoute] = APIRoute, dependencies: Sequence[Any] = ()
) -> APIRouter:
    return APIRouter(
        prefix=f"{PREFIX}/households/{{household_id}}",
        tags=[tag],
        route_class=route_class,
        dependencies=[Depends(show_security), Depends(household_in_path), *dependencies],
        responses=documented(401, 403, 404, 409, 422),
    )
