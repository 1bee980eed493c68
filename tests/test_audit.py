"""Whatever changes something is written down, in its transaction: at every unsafe route, found from the app itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from models import (
    AuditEntry,
    Event,
    LocationKind,
    Membership,
    Problem,
    ProblemState,
    Role,
    StaffAssignment,
    TokenKind,
    UserSession,
)
from routes.table import list_routes
from services import action_links, households, stock
from services.action_links import LinkAction
from services.core import clock
from services.core.errors import Unavailable
from services.core.ids import hash_token
from services.guard import bans
from services.permissions import Actor
from services.schemas.guard import BanCreate
from services.schemas.households import InvitationCreate
from services.schemas.stock import LotFreeze
from settings import ROOT
from tests import conftest
from tests.conftest import NOW, PASSWORD, ClientOf, token_of
from tests.doors import DOORS, STAFF_DOORS, Door, Ids, make_one_of_each, make_staff_things
from tests.factories import make_lot, make_product

SAFE = {"GET", "HEAD", "OPTIONS"}

# What needs no entry, and why.
NEEDS_NONE = {
    "account:confirm": "only the moment at which somebody was here is noted, in their session",
    "account:verify_email": "a mail that does nothing until its link is used",
    "auth:forgot": "a mail that does nothing until its link is used",
    "auth:login_passkey_options": "a question",
    "auth:refresh": "the same session goes on",
    "channels:test": "a message to oneself, which is a row of its own",
    "channels:test_email": "a message to oneself, which is a row of its own",
    "chats:read": "having read something",
    "households:switch": "which household a device shows",
    "live:ticket": "the same session, on a socket",
    "messages:create": "the message says who said what, and when",
    "messages:edit": "what it said before is kept with the message",
    "messages:react": "a row that says whose it is",
    "messages:unreact": "a row of one's own",
    "notifications:read": "having read something",
    "notifications:read_all": "having read something",
    "passkeys:begin": "a question",
    "second_factor:start": "nothing is in force before it is confirmed",
}
# What only a whole conversation can do right. That they write something down is tried where that is held.
CONVERSATIONS = {
    "account:confirm_openid",
    "account:confirm_passkey",
    "acting:end",
    "auth:login_code",
    "auth:login_openid",
    "auth:login_passkey",
    "auth:reset",
    "auth:verify",
    "identities:link",
    "passkeys:add",
    "second_factor:confirm",
    "second_factor:end",
    "second_factor:renew_codes",
}
# What fills in the panel's own forms.
STAFF_FORMS: dict[str, dict[str, str]] = {
    "acting:start": {"reason": "They asked for help"},
    "guard:ban": {"who": "192.0.2.7", "minutes": "60"},
    "guard:unban": {"who": "192.0.2.8"},
    "roles:assign": {"role": "{role_id}"},
    "roles:assign_household": {"add": "{household_id}"},
    "roles:create": {"code": "keeper", "name": "Keeper", "data_scope": "all"},
    "roles:edit": {"name": "Watchers", "data_scope": "all", "is_enabled": "true"},
    "roles:grant": {"permission": "audit:list"},
}
CHANGING = [
    door
    for door in (*DOORS, *STAFF_DOORS)
    if door.method not in SAFE and door.name not in NEEDS_NONE and door.name not in CONVERSATIONS
]


def test_every_unsafe_route_is_tried(app: FastAPI) -> None:
    known = {door.name for door in (*DOORS, *STAFF_DOORS)} | NEEDS_NONE.keys()
    unsafe = {entry.name for entry in list_routes(app) if entry.methods - SAFE - {"WEBSOCKET", "*"}}

    assert unsafe - known == set(), "Add a right request to tests/doors.py, or a reason to NEEDS_NONE."


def test_no_reason_is_given_for_what_is_not_there(app: FastAPI) -> None:
    named = {entry.name for entry in list_routes(app)}

    assert NEEDS_NONE.keys() - named == set()
    assert CONVERSATIONS - named == set()


async def written(session: AsyncSession) -> tuple[list[AuditEntry], list[Event]]:
    """Everything there is by now."""
    session.expire_all()
    audited = await session.scalars(select(AuditEntry).order_by(col(AuditEntry.id)))
    booked = await session.scalars(select(Event).order_by(col(Event.id)))
    return list(audited), list(booked)


@pytest_asyncio.fixture
async def ids(session: AsyncSession, charlie: Actor, alice: Actor, bob: Actor) -> Ids:
    """What is needed for a right request to each door; some need something special."""
    made = {**await make_one_of_each(session, charlie), **await make_staff_things(session)}
    session.add(Membership(household_id=charlie.household_id, user_id=bob.user_id, role=Role.MEMBER))
    (await session.get_one(UserSession, charlie.session_id)).confirmed_at = NOW
    await session.commit()
    return made


async def prepare(door: Door, session: AsyncSession, ids: Ids, charlie: Actor, alice: Actor, bob: Actor) -> Ids:
    """The ids that this door needs."""
    special: dict[str, str] = {}
    match door.name:
        case "members:edit" | "members:remove":
            special["user_id"] = str(bob.user_id)
        case "account:delete":
            await session.execute(delete(Membership).where(col(Membership.user_id) == bob.user_id))
        case "products:archive":
            special["product_id"] = str((await make_product(session, charlie, name="Nothing of it")).id)
        case "guard:unban":
            await bans.ban(session, BanCreate(who="192.0.2.8"), by=None)
        case "monitor:reopen":
            (await session.get_one(Problem, UUID(ids["problem_id"]))).state = ProblemState.RESOLVED
        case "roles:logout":
            session.add(StaffAssignment(user_id=alice.user_id, role_id=UUID(ids["role_id"])))
        case "acting:start" | "roles:assign" | "roles:assign_household":
            special["user_id"] = str(bob.user_id)
        case "stock:thaw":
            lot = await make_lot(session, charlie, product="Frozen peas", place=LocationKind.FREEZER)
            if lot.frozen_on is None:
                await stock.freeze(session, charlie, lot.id, LotFreeze())
            special["lot_id"] = str(lot.id)
        case "invitations:accept":
            invitation = await households.invite(session, alice, InvitationCreate(), base_url="")
            special["token"] = invitation.token
        case "links:act":
            lot = await make_lot(session, charlie, expires_on=clock.today("UTC"))
            address = action_links.make(charlie, lot, LinkAction.USED, day=clock.today("UTC"))
            special["token"] = address.rpartition("/")[2]
    await session.commit()
    return {**ids, **special}


async def knock(door: Door, client: AsyncClient, ids: Ids) -> Response:
    if door not in STAFF_DOORS or door.takes_files:
        return await door.knock(client, ids)
    form = {name: value.format_map(ids) for name, value in STAFF_FORMS.get(door.name, {}).items()}
    return await client.post(door.address(ids), data=form)


def secrets_in(value: Any, name: str = "") -> Iterator[str]:
    """What an answer showed that must be known to nobody else."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from secrets_in(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from secrets_in(inner, name)
    elif isinstance(value, str) and name in {"token", "access_token", "refresh_token", "key", "secret", "url"}:
        yield value.rpartition("/")[2] if name == "url" else value
        yield hash_token(value)


def told(response: Response) -> list[str]:
    cookies = [value for value in response.cookies.values() if len(value) > 20]
    is_json = "json" in response.headers.get("content-type", "")
    return [*cookies, *(secrets_in(response.json()) if is_json and response.content else ())]


@pytest.mark.parametrize("door", CHANGING, ids=str)
async def test_what_changes_something_is_written_down_and_what_fails_is_not(
    door: Door,
    session: AsyncSession,
    client_of: ClientOf,
    browser_of: ClientOf,
    ids: Ids,
    charlie: Actor,
    alice: Actor,
    bob: Actor,
    sam: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = await prepare(door, session, ids, charlie, alice, bob)
    who = sam if door in STAFF_DOORS else charlie
    before = await written(session)

    async def fail(_session: AsyncSession) -> None:
        raise Unavailable("at the last moment")

    with monkeypatch.context() as patch:
        patch.setattr(conftest, "run_before_commit", fail)
        failed = await knock(door, client_of(who) if door.is_api else browser_of(who), ids)
    assert failed.status_code == 503, failed.text
    assert [len(kind) for kind in await written(session)] == [len(kind) for kind in before]

    response = await knock(door, client_of(who) if door.is_api else browser_of(who), ids)

    assert response.status_code < 400, response.text
    entries, events = await written(session)
    new, booked = entries[len(before[0]) :], events[len(before[1]) :]
    assert new or booked, f"{door} writes nothing down: call audit.record in its service."
    for entry in new:
        assert entry.request_id == response.headers["X-Request-ID"]
        assert entry.source == ("api" if door.is_api else "panel" if who is sam else "page")
        assert entry.ip_address
        assert door.name in {"auth:register", "links:act"} or entry.actor_id in {who.user_id, None}
    kept = json.dumps([entry.model_dump(mode="json") for entry in entries], ensure_ascii=False)
    known = [PASSWORD, "seven plums 7", ids["token"], ids["secret"], "ntfy://topic", "hooks.example.com/larder"]
    known += [hash_token(ids["token"]), token_of(charlie, TokenKind.ACCESS), *told(response)]
    assert [secret for secret in known if secret in kept] == []


async def test_a_refused_request_leaves_no_entry(
    session: AsyncSession, client_of: ClientOf, browser_of: ClientOf, alice: Actor, vera: Actor
) -> None:
    ids = await make_one_of_each(session, alice)
    await session.commit()
    before = [len(kind) for kind in await written(session)]

    for door in CHANGING:
        if alice.can(door.name) and not vera.can(door.name):
            response = await door.knock(client_of(vera) if door.is_api else browser_of(vera), ids)
            assert response.status_code == 403, door
    assert [len(kind) for kind in await written(session)] == before


@pytest.mark.parametrize("name", sorted(CONVERSATIONS))
def test_what_takes_a_conversation_is_written_down_too(name: str) -> None:
    """Where it is tried is elsewhere; that nobody took the line out, here."""
    sources = [*(ROOT / "services").rglob("*.py"), ROOT / "auth.py"]
    calls = "\n".join(path.read_text() for path in sources if "audit.record(" in path.read_text())
    said_by = {
        "account:confirm_openid": "confirm",
        "account:confirm_passkey": "confirm",
        "auth:login_code": '"auth:login"',
        "auth:login_openid": '"auth:login"',
        "auth:login_passkey": '"auth:login"',
    }

    assert said_by.get(name, f'"{name}"') in calls, Path(name)
