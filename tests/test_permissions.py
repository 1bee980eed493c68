"""Every route, asked as everybody: who is let in, and who is not.

Found from the app itself, so that a route nobody thought of fails here. Each request is undone, so that one that may
delete a household does not spoil the next.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
import sqlalchemy as sa
from fastapi import FastAPI
from httpx import AsyncClient, Cookies, Response
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlmodel import col, update

from admin import VIEWS
from admin.jobs import JobAdmin
from auth import COOKIE
from db import session_scope
from models import DataScope, Endpoint, User
from routes import deps
from routes.table import list_routes
from services import api_keys, endpoints, initial, menus, sessions, staff_roles
from services.endpoints import Registry
from services.permissions import NEVER_AS_STAFF, NEVER_WHILE_ACTING, Actor
from services.schemas.accounts import ApiKeyCreate, Scope
from services.seeds import panel
from tests.admin.conftest import rows  # noqa: F401  (a fixture)
from tests.conftest import HOUSEHOLD, NEXT_DOOR, ClientOf, RolledBack
from tests.doors import DOORS, OTHER_DOORS, STAFF_DOORS, Door, Ids, calls_of, make_one_of_each, make_staff_things
from tests.factories import load_staff, make_account, make_role

# Asked again by the service, about whom it is done to.
FINER = {
    "chats:delete": "chats:edit_others",
    "chats:detail": "messages:list",
    "chats:edit": "chats:edit_others",
    "members:remove": "members:remove_others",
    "messages:delete": "messages:delete_others",
}
# What nobody does to what is somebody else's.
OWN_ALONE = {"messages:edit"}
# Whoever gets through is signed out.
SIGN_OUT = {"auth:logout", "auth:logout_all", "sessions:end"}


class Asking:
    """Requests to one app that leave no trace."""

    def __init__(self, app: FastAPI, connection: AsyncConnection, client_of: ClientOf, browser_of: ClientOf) -> None:
        self.app = app
        self.registry: Registry = app.state.registry
        self.client_of = client_of
        self.browser_of = browser_of
        self._connection = connection
        self._clients: dict[tuple[str, bool], AsyncClient] = {}
        self.wrong: list[str] = []
        self.depends_on: dict[tuple[str, str], set[Any]] = {
            (method, entry.path): set(calls_of(entry.dependant))
            for entry in list_routes(app)
            for method in entry.methods
        }

    def doors(self, dependency: Any) -> list[Door]:
        """Those that ask for it: an actor, an account, one of the staff; for None those that ask nobody."""
        asked = {deps._actor, deps._account, deps._staff}
        return [
            door
            for door in (*DOORS, *STAFF_DOORS)
            if self.depends_on[door.method, door.path] & asked == ({dependency} if dependency else set())
        ]

    @asynccontextmanager
    async def undone(self) -> AsyncIterator[None]:
        nested = await self._connection.begin_nested()
        try:
            yield
        finally:
            await nested.rollback()

    async def knock(self, door: Door, who: Actor | AsyncClient | None, ids: Ids) -> Response:
        if isinstance(who, AsyncClient):
            client = who
        else:
            key = (who.name if who else "", door.is_api)
            make = self.client_of if door.is_api else self.browser_of
            client = self._clients.get(key) or self._clients.setdefault(key, make(who))
        before = Cookies(client.cookies)
        async with self.undone():
            response = await door.knock(client, ids)
        client.cookies = before
        return response

    def expect(self, what: str, door: object, response: Response, *, admitted: bool) -> None:
        if is_admitted(response) is not admitted:
            to = response.headers.get("location", "")
            self.wrong.append(f"{what}: {door} -> {response.status_code} {to} {response.text[:120]}")


def is_admitted(response: Response) -> bool:
    """Whatever comes of it: whoever asks may."""
    if response.status_code == 303:
        return not response.headers["location"].startswith(("/login", "/settings/password"))
    if response.status_code == 403:
        return "confirm" in response.text  # one's password once more, and then on
    if response.status_code == 404:
        return "There is no such household." not in response.text
    return response.status_code != 401


@pytest.fixture
def asking(app: FastAPI, rolled_back: RolledBack, client_of: ClientOf, browser_of: ClientOf) -> Asking:
    return Asking(app, rolled_back.writing_sessions.kw["bind"], client_of, browser_of)


@pytest_asyncio.fixture
async def ids(session: AsyncSession, alice: Actor) -> dict[str, str]:
    found = {**await make_one_of_each(session, alice), **await make_staff_things(session)}
    await session.commit()
    return found


class InHousehold(Door):
    """A door that names the household where its path does not."""

    def address(self, ids: Ids) -> str:
        address = super().address(ids)
        return address if "{household_id}" in self.path else f"{address}?household={ids['household_id']}"


def inside(asking: Asking) -> list[InHousehold]:
    return [InHousehold(door.name, door.method, door.path) for door in asking.doors(deps._actor)]


async def give(session: AsyncSession, tess: Actor, permissions: Iterable[str], **fields: Any) -> None:
    await make_role(session, holder=tess, permissions=permissions, **fields)
    await session.commit()


def siblings(registry: Registry, permission: str) -> set[str]:
    """All else that is done with the same noun."""
    noun = permission.partition(":")[0]
    return {name for name in registry.permissions if name.partition(":")[0] == noun} - {permission}


def test_no_route_is_without_a_request(asking: Asking) -> None:
    known = {(door.method, door.path) for door in (*DOORS, *STAFF_DOORS)}
    forgotten = [
        f"{method} {entry.path}"
        for entry in list_routes(asking.app)
        for method in entry.methods - {"HEAD", "*"}
        if (method, entry.path) not in known and entry.name not in OTHER_DOORS
    ]

    assert forgotten == [], "Put a request into tests/doors.py."


# Inside a household


async def test_doors_of_a_household(
    asking: Asking,
    session: AsyncSession,
    ids: dict[str, str],
    alice: Actor,
    bob: Actor,
    vera: Actor,
    charlie: Actor,
    sam: Actor,
    tess: Actor,
    dora: Actor,
) -> None:
    doors = inside(asking)
    assert len(doors) > 50

    for door in doors:
        asking.expect("nobody", door, await asking.knock(door, None, ids), admitted=False)
        for member in (alice, dora, bob, vera):
            may = member.can(door.name) and member.can(FINER.get(door.name, door.name))
            may = may and (member is alice or door.name not in OWN_ALONE)
            asking.expect(member.name, door, await asking.knock(door, member, ids), admitted=may)
        for stranger in (charlie, sam, tess):
            asking.expect(f"stranger {stranger.name}", door, await asking.knock(door, stranger, ids), admitted=False)
    assert not asking.wrong, "\n".join(asking.wrong)


async def test_doors_of_a_household_for_staff(
    asking: Asking, session: AsyncSession, ids: dict[str, str], tess: Actor
) -> None:
    near: dict[str, Any] = {"data_scope": DataScope.HOUSEHOLDS, "households": [HOUSEHOLD]}
    for door in inside(asking):
        for what, permissions, scope in (
            ("without a grant", [], near),
            ("with all but that", siblings(asking.registry, door.name), near),
            ("granted elsewhere", [door.name], {"data_scope": DataScope.HOUSEHOLDS, "households": [NEXT_DOOR]}),
            ("with a scope bound to nothing", [door.name], {"data_scope": DataScope.CUSTOM}),
            ("granted", [door.name, FINER.get(door.name, "")], near),
        ):
            async with asking.undone(), session_scope() as own:
                await give(own, tess, permissions, **scope)
                response = await asking.knock(door, tess, ids)
            admitted = what == "granted" and door.name not in NEVER_AS_STAFF
            asking.expect(what, door, response, admitted=admitted)
    assert not asking.wrong, "\n".join(asking.wrong)


# Signed in


async def test_doors_of_an_account(asking: Asking, ids: dict[str, str], alice: Actor, tess: Actor, sam: Actor) -> None:
    doors = asking.doors(deps._account)
    assert len(doors) > 30

    for door in doors:
        asking.expect("nobody", door, await asking.knock(door, None, ids), admitted=_greets(asking, door))
        for who in (alice, tess, sam):
            response = await asking.knock(door, who, ids)
            if door.name not in SIGN_OUT and not (door.name == "households:switch" and who is not alice):
                asking.expect(who.name, door, response, admitted=True)
    assert not asking.wrong, "\n".join(asking.wrong)


def _greets(asking: Asking, door: Door) -> bool:
    return deps._visitor in asking.depends_on[door.method, door.path]


async def test_public_doors(asking: Asking, ids: dict[str, str], alice: Actor) -> None:
    for door in asking.doors(None):
        response = await asking.knock(door, None, ids)
        is_sign_in = door.name.startswith("auth:")
        if not is_sign_in:
            asking.expect("nobody", door, response, admitted=True)
        assert response.status_code < 500, door
    assert not asking.wrong, "\n".join(asking.wrong)


# Staff


async def test_doors_of_the_staff(
    asking: Asking, session: AsyncSession, ids: dict[str, str], alice: Actor, bob: Actor, tess: Actor, sam: Actor
) -> None:
    doors = asking.doors(deps._staff)
    assert doors
    of_bob = {**ids, "user_id": str(bob.user_id)}

    for door in doors:
        assert door.name in asking.registry.permissions, door
        for who in (None, alice, tess):
            asking.expect(who.name if who else "nobody", door, await asking.knock(door, who, of_bob), admitted=False)
        asking.expect("superuser", door, await asking.knock(door, sam, of_bob), admitted=True)
        for what, permissions in (
            ("without a grant", []),
            ("with all but that", asking.registry.permissions.keys() - {door.name}),
            ("granted", [door.name]),
        ):
            async with asking.undone(), session_scope() as own:
                await give(own, tess, permissions)
                asking.expect(what, door, await asking.knock(door, tess, of_bob), admitted=what == "granted")
    assert not asking.wrong, "\n".join(asking.wrong)


class Table(Door):
    """What is done with a table of the panel."""

    @classmethod
    def of(cls, permission: str) -> "Table":
        identity, action = permission.removeprefix("panel.").split(":")
        pattern = {
            "list": ("GET", "list"),
            "details": ("GET", "details/{pk}"),
            "create": ("GET", "create"),
            "edit": ("GET", "edit/{pk}"),
            "delete": ("POST", "delete"),
            "export": ("GET", "export/csv"),
            "import": ("GET", "import"),
        }
        method, path = pattern.get(action, ("POST", f"action/{action}"))
        return cls(permission, method, f"/admin/{identity}/{path}")

    async def knock(self, client: AsyncClient, ids: Ids) -> Response:
        chosen = {"pks": ids["pk"]} if self.method == "POST" else None
        return await client.request(self.method, self.address(ids), data=chosen)


async def test_tables_of_the_panel(
    asking: Asking,
    session: AsyncSession,
    rows: dict[str, str],  # noqa: F811
    alice: Actor,
    tess: Actor,
    sam: Actor,
) -> None:
    """FastOpp D4: what a view forbade in a method was allowed there, a method being true."""
    await endpoints.sync(session, asking.registry)
    await session.commit()
    routes = {door.name for door in STAFF_DOORS}
    names = [name for name in asking.registry.permissions if name.startswith("panel.") and name not in routes]
    assert len(names) > 70
    models = {view.identity: view.model for view in (*VIEWS, JobAdmin)}

    for name in names:
        door = Table.of(name)
        identity = name.removeprefix("panel.").partition(":")[0]
        ids = {"pk": rows.get(identity) or await _some_row(session, models[identity])}
        for who in (None, alice, tess):
            asking.expect(who.name if who else "nobody", door, await asking.knock(door, who, ids), admitted=False)
        response = await asking.knock(door, sam, ids)
        asking.expect("superuser", door, response, admitted=True)
        assert response.status_code < 400, f"{door}: {response.status_code}"
        for what, permissions in (
            ("without a grant", []),
            ("with all but that", asking.registry.permissions.keys() - {name}),
            ("granted", [name]),
        ):
            async with asking.undone(), session_scope() as own:
                await give(own, tess, permissions)
                asking.expect(what, door, await asking.knock(door, tess, ids), admitted=what == "granted")
    assert not asking.wrong, "\n".join(asking.wrong)


async def _some_row(session: AsyncSession, model: Any) -> str:
    keys = sa.inspect(model).primary_key
    row = (await session.execute(sa.select(*keys).limit(1))).first()
    return ";".join(map(str, row)) if row else str(UUID(int=1))


async def test_whoever_sees_an_entry_of_the_menu_can_open_it(
    asking: Asking, session: AsyncSession, tess: Actor, sam: Actor
) -> None:
    """And what is declared leads somewhere."""
    await initial.apply(session, asking.registry)
    await session.commit()
    for code in ("", *(role.code for role in panel.ROLES)):
        who = tess if code else sam
        async with asking.undone(), session_scope() as own:
            if role := await staff_roles.find_role(own, code):
                await staff_roles.assign(own, None, tess.user_id, role.id)
                await own.commit()
            areas = await menus.visible(own, await load_staff(own, who))
            assert areas
            for entry in (entry for area in areas for entry in area.entries):
                response = await asking.knock(Door(entry.code, "GET", entry.path), who, {})
                assert response.status_code == 200, f"{code or 'superuser'}: {entry} -> {response.status_code}"


# Not quite themselves


async def test_doors_for_staff_who_acts_as_a_user(
    asking: Asking, session: AsyncSession, ids: dict[str, str], alice: Actor, sam: Actor
) -> None:
    token = await sessions.start_acting(session, make_account(sam), await session.get_one(User, alice.user_id))
    await session.commit()
    acting = asking.browser_of(None)
    acting.cookies.set(COOKIE, token)

    for door in (*inside(asking), *asking.doors(deps._account)):
        response = await asking.knock(door, acting, ids)
        if door.name not in SIGN_OUT - NEVER_WHILE_ACTING:
            asking.expect("acting", door, response, admitted=door.name not in NEVER_WHILE_ACTING)
    for door in (*asking.doors(deps._staff), Table.of("panel.user:list")):
        asking.expect("acting", door, await asking.knock(door, acting, ids), admitted=False)
    assert not asking.wrong, "\n".join(asking.wrong)


async def test_doors_for_an_api_key(
    asking: Asking, session: AsyncSession, ids: dict[str, str], alice: Actor, sam: Actor
) -> None:
    wanted = ApiKeyCreate(name="Script", scopes=frozenset({Scope.HOUSEHOLD_READ}))
    opens = api_keys.SCOPES[Scope.HOUSEHOLD_READ]
    for who, doors in (
        (alice, (*inside(asking), *asking.doors(deps._account), *asking.doors(deps._staff))),
        (sam, asking.doors(deps._staff)),
    ):
        key = (await api_keys.issue(session, who.user_id, wanted, by=None)).key
        await session.commit()
        client = asking.client_of(None)
        client.headers["Authorization"] = f"Bearer {key}"
        for door in doors:
            response = await asking.knock(door, client, ids)
            asking.expect(f"key of {who.name}", door, response, admitted=door.name in opens)
        response = await asking.knock(Table.of("panel.user:list"), client, ids)
        asking.expect(f"key of {who.name}", "panel", response, admitted=False)
    assert not asking.wrong, "\n".join(asking.wrong)


async def test_doors_that_are_switched_off(
    asking: Asking, session: AsyncSession, ids: dict[str, str], alice: Actor, sam: Actor
) -> None:
    await endpoints.sync(session, asking.registry)
    await session.execute(update(Endpoint).where(col(Endpoint.is_enabled)).values(is_enabled=False))
    await session.commit()
    endpoints.forget()
    off = [door for door in DOORS if not endpoints.is_protected(door.path, door.name)]
    assert len(off) > 100

    for door in (*DOORS, *STAFF_DOORS):
        for who in (None, alice, sam):
            response = await asking.knock(door, who, ids)
            says_so = response.status_code == 403 and "switched" in response.text
            if says_so is not (door in off):
                asking.wrong.append(f"{who}: {door} -> {response.status_code} {response.text[:120]}")
    assert not asking.wrong, "\n".join(asking.wrong)
