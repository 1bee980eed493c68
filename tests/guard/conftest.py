"""People from somewhere: the cast of the other tests is on this machine, which no limit of addresses is for."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from services.guard import Doorkeeper
from services.permissions import Actor
from tests.conftest import ClientOf, client_as

SOMEWHERE = "198.51.100.7"
ELSEWHERE = "203.0.113.9"


@pytest.fixture
def keeper(app: FastAPI) -> Doorkeeper:
    found: Doorkeeper = app.state.keeper
    return found


@pytest.fixture
def client_from(app: FastAPI) -> ClientOf:
    """A client at an address, as one of the cast or as nobody; `is_browser=True` comes with a cookie."""

    def client_from(address: str = SOMEWHERE, actor: Actor | None = None, **options: Any) -> AsyncClient:
        return client_as(app, actor, client=(address, 5000), **options)

    return client_from
