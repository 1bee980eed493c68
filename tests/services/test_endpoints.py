"""The registry of what there is to permit, and endpoints that are switched off."""

import asyncio

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select, update
from starlette.routing import Route as StarletteRoute
from starlette.routing import WebSocketRoute

import db
from models import AuditEntry, Endpoint, StaffGrant
from routes.gate import Gate
from services import endpoints
from services.core.errors import Conflict, NotFound
from services.endpoints import Registry
from services.permissions import ROLE_PERMISSIONS, Actor
from tests.conftest import ClientOf
from tests.factories import load_staff, make_role


@pytest.fixture
def registry(app: FastAPI) -> Registry:
    found: Registry = app.state.registry
    return found


async def switch(session: AsyncSession, registry: Registry, method: str, path: str, *, on: bool = False) -> None:
    await endpoints.sync(session, registry)
    await endpoints.switch(session, None, method, path, on=on)
    await db.run_before_commit(session)
    await session.commit()
    db.run_after_commit(session)


# The registry


async def test_the_table_becomes_what_the_app_is_and_a_second_time_nothing_changes(
    session: AsyncSession, registry: Registry
) -> None:
    session.add(Endpoint(method="GET", path="/gone", permission="gone:list"))
    await session.flush()

    planned = await endpoints.sync(session, registry, dry_run=True)
    assert len(planned.added) == len(registry.routes)
    assert (await session.scalars(select(Endpoint.path))).all() == ["/gone"]

    done = await endpoints.sync(session, registry)
    assert (done.added, [route.path for route in done.removed]) == (planned.added, ["/gone"])
    assert not await endpoints.sync(session, registry)
    assert {(row.method, row.path) for row in await endpoints.list_endpoints(session)} == {
        route.key for route in registry.routes
    }


async def test_sync_keeps_switches_and_grants_and_tells_of_unknown_names(
    session: AsyncSession, registry: Registry
) -> None:
    """soy 3.15: reconciling cleared and added there, so that rights went for a moment."""
    role = await make_role(session, code="old", permissions=["panel.unit:edit", "moon:land"])
    await switch(session, registry, "GET", "/history")
    row = update(Endpoint).where(col(Endpoint.path) == "/history")
    await session.execute(row.values(summary="old", permission="old:name"))

    changes = await endpoints.sync(session, registry)

    assert [(route.path, route.permission) for route in changes.changed] == [("/history", "events:list")]
    assert changes.unknown == [("old", "moon:land")]
    found = (await session.scalars(select(Endpoint).where(Endpoint.path == "/history"))).one()
    await session.refresh(found)
    assert (found.is_enabled, found.permission) == (False, "events:list")
    granted = await session.scalars(select(StaffGrant.name).where(StaffGrant.role_id == role.id))
    assert set(granted) == {"panel.unit:edit", "moon:land"}


def test_every_method_of_a_path_is_an_endpoint(registry: Registry) -> None:
    """soy 3.5: of a route with several methods one was registered there, and which one was chance."""
    household = {
        route.method: route.permission for route in registry.routes if route.path == "/api/v1/households/{household_id}"
    }

    assert household == {"GET": "households:detail", "PATCH": "households:edit", "DELETE": "households:delete"}
    assert all(route.method and route.permission for route in registry.routes)
    assert {route.path for route in registry.routes if route.method == "WEBSOCKET"} == {"/ws"}


def test_what_can_be_granted_has_a_name_people_can_read(registry: Registry) -> None:
    known = registry.permissions
    assert set().union(*ROLE_PERMISSIONS.values()) <= known.keys()
    assert known["panel.category:edit"].label == "Change"
    assert known["panel.category:edit"].area == "Categories"
    assert known["stock:consume"].label == "Take some of one lot, or all of it"
    assert "panel.lot:edit" not in known, "a view that edits nothing has nothing to permit"
    assert not {"account:profile", "auth:login"} & known.keys(), "what everybody may do is nothing to grant"
    assert [found.name for found in known.values() if not (found.label and found.area)] == []


# Switched off


async def test_what_is_switched_off_refuses_everybody_on_pages_fragments_and_api(
    session: AsyncSession, registry: Registry, client_of: ClientOf, browser_of: ClientOf, alice: Actor, sam: Actor
) -> None:
    await switch(session, registry, "GET", "/history")
    await switch(session, registry, "GET", "/api/v1/households")

    for who in (alice, sam, None):
        page = await browser_of(who).get("/history")
        assert page.status_code == 403
        assert "This is switched off at the moment." in page.text
        fragment = await browser_of(who, htmx=True).get("/history")
        assert (fragment.status_code, "switched off" in fragment.headers["HX-Trigger"]) == (403, True)
        answer = await client_of(who).get("/households")
        assert (answer.status_code, answer.json()["code"]) == (403, "switched_off")

    assert (await client_of(alice).post("/households", json={"name": "Cabin"})).status_code == 201
    assert (await browser_of(alice).get("/")).status_code == 200


async def test_it_is_open_again_at_once_where_it_is_switched_on(
    session: AsyncSession, registry: Registry, browser_of: ClientOf, alice: Actor
) -> None:
    browser = browser_of(alice)
    await switch(session, registry, "GET", "/history")
    assert (await browser.get("/history")).status_code == 403

    await switch(session, registry, "GET", "/history", on=True)
    assert (await browser.get("/history")).status_code == 200


async def test_other_processes_know_within_a_second(
    session: AsyncSession, registry: Registry, browser_of: ClientOf, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = browser_of(alice)
    await endpoints.sync(session, registry)
    await session.commit()
    now = 100.0
    monkeypatch.setattr("services.endpoints.time.monotonic", lambda: now)
    assert (await browser.get("/history")).status_code == 200

    elsewhere = update(Endpoint).where(col(Endpoint.path) == "/history").values(is_enabled=False)
    await session.execute(elsewhere)
    await session.commit()
    assert (await browser.get("/history")).status_code == 200
    now += endpoints.MAX_AGE + 0.01
    assert (await browser.get("/history")).status_code == 403


async def test_looking_costs_one_statement_for_all_who_ask_and_none_for_a_second(
    rolled_back: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    database = db.get_database()
    scope = type(database).session_scope

    def counted(self: db.Database, *, read_only: bool = False) -> object:
        nonlocal reads
        reads += 1
        return scope(self, read_only=read_only)

    monkeypatch.setattr(type(database), "session_scope", counted)
    endpoints.forget()
    await asyncio.gather(*(endpoints.is_switched_off("GET", "/history") for _ in range(20)))
    await endpoints.is_switched_off("GET", "/")

    assert reads == 1


async def test_without_the_database_nothing_is_let_through(
    app: FastAPI, browser_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_options: object) -> object:
        raise ConnectionError

    monkeypatch.setattr(type(db.get_database()), "session_scope", broken)
    endpoints.forget()
    browser = browser_of(None)

    assert (await browser.get("/register")).status_code == 503
    assert (await browser.get("/healthz")).status_code == 200


async def test_a_socket_is_not_let_in(session: AsyncSession, app: FastAPI, registry: Registry) -> None:
    await switch(session, registry, "WEBSOCKET", "/ws")

    assert await answer_of_socket(app) == {"type": "websocket.close", "code": 4403, "reason": ""}


async def answer_of_socket(app: FastAPI) -> dict[str, object]:
    """What the app says first in the handshake."""
    said: list[dict[str, object]] = []
    scope = {
        "type": "websocket",
        "path": "/ws",
        "raw_path": b"/ws",
        "root_path": "",
        "scheme": "ws",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "subprotocols": [],
        "state": {},
    }

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, object]) -> None:
        said.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type]
    return said[0]


async def test_some_doors_cannot_be_closed(session: AsyncSession, app: FastAPI, registry: Registry) -> None:
    await endpoints.sync(session, registry)
    must_stay = {"/login", "/logout", "/api/v1/auth/login", "/api/v1/auth/refresh", "/healthz", "/readyz", "/sw.js"}
    protected = {route.path for route in registry.routes if route.is_protected}
    assert must_stay <= protected
    assert "/register" not in protected
    assert all(route.is_protected for route in registry.routes if route.path.startswith("/admin/"))

    with pytest.raises(Conflict) as refused:
        await endpoints.switch(session, None, "POST", "/login", on=False)
    assert refused.value.code == "protected"
    with pytest.raises(NotFound):
        await endpoints.switch(session, None, "POST", "/nowhere", on=False)


async def test_a_protected_one_stays_open_whatever_the_table_says(
    session: AsyncSession, registry: Registry, browser_of: ClientOf
) -> None:
    await endpoints.sync(session, registry)
    await session.execute(update(Endpoint).values(is_enabled=False))
    await session.commit()
    endpoints.forget()

    assert (await browser_of(None).get("/login")).status_code == 200
    assert (await browser_of(None).get("/healthz")).status_code == 200
    assert (await browser_of(None).get("/register")).status_code == 403


def test_no_route_of_ours_is_without_its_gate(app: FastAPI) -> None:
    open_ones = {
        route.path
        for route in app.routes
        if isinstance(route, StarletteRoute | WebSocketRoute) and not isinstance(route.app, Gate)
    }

    assert open_ones == {route.path for route in app.state.registry.routes if route.is_protected}


async def test_switching_is_written_down(session: AsyncSession, registry: Registry, sam: Actor) -> None:
    await endpoints.sync(session, registry)
    by = await load_staff(session, sam)
    await endpoints.switch(session, by, "get", "/history", on=False)
    await endpoints.switch(session, by, "GET", "/history", on=False)
    await session.flush()

    (entry,) = (await session.scalars(select(AuditEntry))).all()
    assert (entry.action, entry.subject_name, entry.before, entry.after) == (
        "endpoints:switch",
        "GET /history",
        {"is_enabled": True},
        {"is_enabled": False},
    )
    assert entry.actor_id == sam.user_id
