"""Acting for somebody: who may, for how long, what stays out of reach, and that nobody can miss it."""

from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from auth import COOKIE
from models import (
    AuditEntry,
    DataScope,
    Delivery,
    Event,
    GrantKind,
    LiveKind,
    Outbox,
    StaffAssignment,
    StaffGrant,
    StaffHousehold,
    StaffRole,
    User,
    UserSession,
)
from routes import deps
from routes.table import list_routes
from services import sessions
from services.core import clock
from services.live import audience
from services.permissions import NEVER_WHILE_ACTING, Actor
from tests.conftest import HOUSEHOLD, NOW, ClientOf, make_actor
from tests.factories import make_lot
from tests.test_architecture import _depends_on

# What an account can do with itself that staff may do in its name: nothing that changes how one signs in, and nothing
# that lets somebody in later.
ALLOWED = {
    "account:avatar",
    "account:edit",
    "account:remove_avatar",
    "acting:end",
    "auth:logout",
    "channels:remove",
    "channels:rename",
    "channels:test",
    "channels:test_email",
    "households:create",
    "households:switch",
    "live:ticket",
    "notifications:read",
    "notifications:read_all",
}


async def make_role(
    session: AsyncSession, actor: Actor, *permissions: str, scope: DataScope = DataScope.ALL, code: str = "support"
) -> StaffRole:
    """A staff role that somebody has."""
    role = StaffRole(code=code, name=code.capitalize(), data_scope=scope)
    session.add(role)
    await session.flush()
    session.add(StaffAssignment(user_id=actor.user_id, role_id=role.id))
    session.add_all(StaffGrant(role_id=role.id, kind=GrantKind.PERMISSION, name=name) for name in permissions)
    await session.commit()
    return role


async def act_for(browser: AsyncClient, actor: Actor, reason: str = "They called us") -> Response:
    response = await browser.post(f"/admin/users/{actor.user_id}/act", data={"reason": reason})
    if response.status_code == 303:
        browser.cookies.set(COOKIE, response.cookies[COOKIE])
    return response


async def whoami(browser: AsyncClient) -> UUID | None:
    response = await browser.get("/api/v1/users/me")
    return UUID(response.json()["id"]) if response.status_code == 200 else None


async def entries(session: AsyncSession, action: str) -> list[AuditEntry]:
    found = await session.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(col(AuditEntry.id)))
    return list(found)


@pytest_asyncio.fixture
async def staff(session: AsyncSession, browser_of: ClientOf, charlie: Actor) -> AsyncClient:
    """Charlie, who is no superuser, at the panel with a role that lets him act for anybody."""
    await make_role(session, charlie, "acting:start")
    return browser_of(charlie)


async def test_staff_acts_as_a_user_and_goes_back(staff: AsyncClient, alice: Actor, charlie: Actor) -> None:
    begun = await act_for(staff, alice)

    assert (begun.status_code, begun.headers["location"]) == (303, "/")
    assert await whoami(staff) == alice.user_id
    ended = await staff.post("/acting/end")
    assert (ended.status_code, ended.headers["location"]) == (303, "/admin/")
    staff.cookies.set(COOKIE, ended.cookies[COOKIE])
    assert await whoami(staff) == charlie.user_id


async def test_every_page_says_so_and_for_how_long(staff: AsyncClient, alice: Actor) -> None:
    await act_for(staff, alice)

    await staff.get("/")  # chooses a household, as any new device does
    for path in ("/", "/stock", "/settings", "/household", f"/stock/lots/{alice.user_id}"):
        page = await staff.get(path)
        assert "Charlie, you are acting for Alice." in page.text, path
        assert "30 minutes left" in page.text, path
        assert 'action="/acting/end"' in page.text, path
    with clock.frozen(NOW + timedelta(minutes=28, seconds=30)):
        assert "2 minutes left" in (await staff.get("/stock")).text


async def test_nobody_else_sees_that_bar(browser_of: ClientOf, alice: Actor) -> None:
    assert "/acting/end" not in (await browser_of(alice).get("/")).text


async def test_after_half_an_hour_it_is_over_whatever_was_done(staff: AsyncClient, alice: Actor) -> None:
    await act_for(staff, alice)

    with clock.frozen(NOW + timedelta(minutes=29)):
        assert await whoami(staff) == alice.user_id
    with clock.frozen(NOW + timedelta(minutes=30)):
        assert await whoami(staff) is None


async def test_it_needs_a_reason(staff: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    for reason in ("", "   "):
        refused = await act_for(staff, alice, reason)
        assert refused.status_code == 422
        assert 'id="reason-error"' in refused.text
    assert await entries(session, "acting:start") == []


@pytest.mark.parametrize("name", ["alice", "bob"])
async def test_who_has_no_such_permission_does_not(name: str, browser_of: ClientOf, charlie: Actor) -> None:
    assert (await act_for(browser_of(make_actor(name)), charlie)).status_code == 403


async def test_other_permissions_do_not_help(
    session: AsyncSession, browser_of: ClientOf, charlie: Actor, alice: Actor
) -> None:
    await make_role(session, charlie, "audit:list", "users:disable")

    assert (await act_for(browser_of(charlie), alice)).status_code == 403


async def test_it_begins_at_the_page_of_a_user(
    session: AsyncSession, browser_of: ClientOf, charlie: Actor, sam: Actor, alice: Actor
) -> None:
    await make_role(session, charlie, "panel.user:list", "panel.user:details", code="looking")
    browser, page = browser_of(charlie), f"/admin/user/details/{alice.user_id}"
    way = f"/admin/users/{alice.user_id}/act"

    assert way not in (await browser.get(page)).text
    await make_role(session, charlie, "acting:start")
    assert way in (await browser.get(page)).text
    assert "/act" not in (await browser.get(f"/admin/user/details/{sam.user_id}")).text


async def test_it_reaches_as_far_as_the_role(
    session: AsyncSession, browser_of: ClientOf, charlie: Actor, alice: Actor
) -> None:
    await make_role(session, charlie, "acting:start", scope=DataScope.HOUSEHOLDS)
    browser = browser_of(charlie)

    assert (await act_for(browser, alice)).status_code == 404
    session.add(StaffHousehold(user_id=charlie.user_id, household_id=HOUSEHOLD))
    await session.commit()
    assert (await act_for(browser, alice)).status_code == 303


async def test_it_does_not_nest_and_the_panel_is_out_of_reach(
    session: AsyncSession, staff: AsyncClient, alice: Actor, bob: Actor
) -> None:
    await make_role(session, alice, "acting:start", code="other")
    await act_for(staff, alice)

    for path in ("/admin/", f"/admin/users/{bob.user_id}/act", "/admin/audit", "/admin/user/list"):
        assert (await staff.get(path)).status_code == 403, path
    assert (await act_for(staff, bob)).status_code == 403
    assert await whoami(staff) == alice.user_id


async def test_nobody_acts_for_a_superuser_not_even_one(
    session: AsyncSession, staff: AsyncClient, browser_of: ClientOf, sam: Actor, alice: Actor
) -> None:
    assert (await act_for(staff, sam)).status_code == 422
    (await session.get_one(User, alice.user_id)).is_superuser = True
    await session.commit()
    refused = await act_for(browser_of(sam), alice)
    assert refused.status_code == 422
    assert "Nobody acts for a superuser." in refused.text
    assert await entries(session, "acting:start") == []


async def test_nobody_acts_for_staff_who_may_do_more(
    session: AsyncSession, staff: AsyncClient, browser_of: ClientOf, alice: Actor, bob: Actor, sam: Actor
) -> None:
    await make_role(session, alice, "acting:start", "users:disable", code="more")
    await make_role(session, bob, "acting:start", code="as-much", scope=DataScope.SELF)

    assert (await act_for(staff, alice)).status_code == 422
    assert (await act_for(browser_of(sam), alice)).status_code == 303
    assert (await act_for(staff, bob)).status_code == 303


async def test_nobody_acts_for_themselves_or_for_who_is_kept_out(
    session: AsyncSession, staff: AsyncClient, charlie: Actor, alice: Actor
) -> None:
    assert (await act_for(staff, charlie)).status_code == 422
    (await session.get_one(User, alice.user_id)).is_active = False
    await session.commit()
    assert (await act_for(staff, alice)).status_code == 422


async def test_going_back_is_for_who_acts(browser_of: ClientOf, alice: Actor) -> None:
    assert (await browser_of(alice).post("/acting/end")).status_code == 404


async def test_one_acts_for_one_at_a_time(
    session: AsyncSession, browser_of: ClientOf, staff: AsyncClient, charlie: Actor, alice: Actor, bob: Actor
) -> None:
    other_tab = browser_of(charlie)
    await act_for(staff, alice)
    await act_for(other_tab, bob)

    assert await whoami(staff) is None
    assert await whoami(other_tab) == bob.user_id


# What stays out of reach


def test_every_route_of_an_account_is_either_allowed_or_not(app: FastAPI) -> None:
    """A new one is not, until somebody has thought about it."""
    unsafe = {
        entry.name
        for entry in list_routes(app)
        if entry.methods - {"GET", "HEAD", "OPTIONS"}
        and _depends_on(entry, deps._account)
        and not _depends_on(entry, deps._staff)
    }

    forgotten = unsafe - ALLOWED - NEVER_WHILE_ACTING
    assert forgotten == set(), "May staff do this in somebody's name? Add it to NEVER_WHILE_ACTING, or to ALLOWED here."


async def test_how_one_signs_in_stays_out_of_reach_on_every_route(
    app: FastAPI, staff: AsyncClient, alice: Actor
) -> None:
    await act_for(staff, alice)
    ids = {"household_id": str(HOUSEHOLD)}
    tried = set()

    for entry in list_routes(app):
        if entry.name not in NEVER_WHILE_ACTING:
            continue
        path = entry.path
        for part in path.split("/"):
            if part.startswith("{"):
                path = path.replace(part, ids.get(part[1:-1], str(alice.session_id)))
        for method in entry.methods - {"HEAD"}:
            answer = await staff.request(method, path)
            tried.add(entry.name)
            assert answer.status_code == 403, f"{method} {path}: {answer.text[:200]}"
            if path.startswith("/api/"):
                assert answer.json()["code"] == "not_while_acting", f"{method} {path}"
    # Asked by a service, about what a route does to whom.
    assert tried | {"members:transfer_ownership"} == NEVER_WHILE_ACTING, "There is no such route: take the name out."


async def test_the_household_stays_its_owners(staff: AsyncClient, alice: Actor, bob: Actor) -> None:
    await act_for(staff, alice)

    refused = await staff.patch(f"/api/v1/households/{HOUSEHOLD}/members/{bob.user_id}", json={"role": "owner"})

    assert refused.status_code == 403


async def test_what_would_be_refused_is_not_offered(staff: AsyncClient, alice: Actor) -> None:
    await act_for(staff, alice)
    page = (await staff.get("/household")).text

    for gone in ("Delete this household", "Invite somebody", "Hand the household over"):
        assert gone not in page
    assert "About the household" in page


# Both names


async def test_bookings_carry_both_names(
    session: AsyncSession, staff: AsyncClient, client_of: ClientOf, alice: Actor, charlie: Actor
) -> None:
    lot = await make_lot(session, alice, quantity=3)
    await session.commit()
    await act_for(staff, alice)

    used = await staff.post(f"/api/v1/households/{HOUSEHOLD}/lots/{lot.id}/consume", json={"quantity": "1"})

    assert used.status_code == 200
    booked = (await session.scalars(select(Event).order_by(col(Event.id).desc()))).first()
    assert booked is not None
    assert (booked.actor_id, booked.on_behalf_of_id) == (charlie.user_id, alice.user_id)
    told = (await client_of(alice).get(f"/households/{HOUSEHOLD}/events")).json()["items"][0]
    assert told["actor"] == {"id": str(charlie.user_id), "name": "Charlie"}
    assert told["on_behalf_of"] == {"id": str(alice.user_id), "name": "Alice"}
    assert "Charlie for Alice" in (await staff.get("/history")).text


async def test_what_members_do_themselves_carries_one(session: AsyncSession, client_of: ClientOf, alice: Actor) -> None:
    await make_lot(session, alice)
    await session.commit()

    told = (await client_of(alice).get(f"/households/{HOUSEHOLD}/events")).json()["items"][0]

    assert (told["actor"]["name"], told["on_behalf_of"]) == ("Alice", None)


async def test_what_staff_books_is_undone_like_anything_else(
    session: AsyncSession, staff: AsyncClient, client_of: ClientOf, alice: Actor
) -> None:
    lot = await make_lot(session, alice, quantity=3)
    await session.commit()
    await act_for(staff, alice)
    at = f"/households/{HOUSEHOLD}"
    await staff.post(f"/api/v1{at}/lots/{lot.id}/consume", json={"quantity": "1"})
    booked = (await client_of(alice).get(f"{at}/events")).json()["items"][0]

    undone = await client_of(alice).post(f"{at}/events/{booked['id']}/undo")

    assert undone.status_code == 200
    assert (undone.json()["actor"]["name"], undone.json()["on_behalf_of"]) == ("Alice", None)


async def test_every_entry_of_the_audit_log_carries_both_names(
    session: AsyncSession, staff: AsyncClient, alice: Actor, charlie: Actor
) -> None:
    await act_for(staff, alice)
    await staff.post("/household/places", data={"name": "Cellar"})
    ended = await staff.post("/acting/end")

    assert ended.status_code == 303
    for action in ("locations:create", "acting:end"):
        (entry,) = await entries(session, action)
        assert (entry.actor_id, entry.actor_name) == (charlie.user_id, "Charlie")
        assert (entry.on_behalf_of_id, entry.on_behalf_of_name) == (alice.user_id, "Alice")
        assert entry.household_id == HOUSEHOLD


async def test_the_user_is_told(
    session: AsyncSession, staff: AsyncClient, client_of: ClientOf, alice: Actor, charlie: Actor
) -> None:
    await act_for(staff, alice, "They called us")

    (entry,) = await entries(session, "acting:start")
    assert (entry.actor_id, entry.subject_name, entry.household_id) == (charlie.user_id, "Alice", HOUSEHOLD)
    assert entry.after == {"reason": "They called us"}
    (letter,) = await session.scalars(select(Delivery).where(Delivery.user_id == alice.user_id))
    assert letter.data["what"] == "acted_for"
    assert letter.data["about"] == "Charlie"
    devices = (await client_of(alice).get("/users/me/sessions")).json()["items"]
    assert [device["acting_name"] for device in devices if device["is_acting"]] == ["Charlie"]
    happened = (await client_of(alice).get(f"/households/{HOUSEHOLD}/audit")).json()["items"]
    assert happened[0]["action"] == "acting:start"


async def test_the_user_can_end_it(staff: AsyncClient, client_of: ClientOf, alice: Actor) -> None:
    await act_for(staff, alice)
    mine = client_of(alice)
    device = next(d for d in (await mine.get("/users/me/sessions")).json()["items"] if d["is_acting"])

    assert (await mine.delete(f"/users/me/sessions/{device['id']}")).status_code == 204

    assert await whoami(staff) is None


# Its end


async def acting_session(session: AsyncSession) -> UserSession:
    found: UserSession = (
        await session.scalars(select(UserSession).where(col(UserSession.impersonator_id).is_not(None)))
    ).one()
    return found


async def hears(session: AsyncSession, session_id: UUID) -> bool:
    """Whether a socket of that session would stay."""
    return session_id in await audience.load(session, [session_id])


@pytest.mark.parametrize("loss", ["role", "grant", "assignment", "disabled", "signed out", "signed out everywhere"])
async def test_it_ends_with_the_right_to_it(
    loss: str, session: AsyncSession, staff: AsyncClient, browser_of: ClientOf, alice: Actor, charlie: Actor
) -> None:
    await act_for(staff, alice)
    device = await acting_session(session)
    assert await hears(session, device.id)
    role = (await session.scalars(select(StaffRole).where(StaffRole.code == "support"))).one()

    match loss:
        case "role":
            role.is_enabled = False
        case "grant":
            await session.delete((await session.scalars(select(StaffGrant).where(StaffGrant.role_id == role.id))).one())
        case "assignment":
            await session.delete(await session.get_one(StaffAssignment, (charlie.user_id, role.id)))
        case "disabled":
            (await session.get_one(User, charlie.user_id)).is_active = False
        case "signed out":
            assert (await browser_of(charlie).post("/logout")).status_code == 303
        case _:
            await sessions.end_all(session, charlie.user_id)
    await session.commit()

    assert await whoami(staff) is None
    assert not await hears(session, device.id)


async def test_it_ends_when_the_user_is_signed_out_everywhere(
    session: AsyncSession, staff: AsyncClient, alice: Actor
) -> None:
    await act_for(staff, alice)
    await sessions.end_all(session, alice.user_id)
    await session.commit()

    assert await whoami(staff) is None


async def test_signing_out_leaves_nobody_behind(
    session: AsyncSession, staff: AsyncClient, browser_of: ClientOf, alice: Actor, charlie: Actor
) -> None:
    await act_for(staff, alice)
    device = await acting_session(session)

    assert (await staff.post("/logout")).status_code == 303

    assert await whoami(staff) is None
    assert await whoami(browser_of(charlie)) is None
    revoked = await session.scalars(select(Outbox.subject_id).where(Outbox.kind == LiveKind.SESSION_REVOKED))
    assert {device.id, charlie.session_id} <= set(revoked)


async def test_its_tickets_let_a_socket_in_as_the_user(
    session: AsyncSession, staff: AsyncClient, alice: Actor, charlie: Actor
) -> None:
    await act_for(staff, alice)
    ticket = (await staff.post("/api/v1/ws/ticket")).json()["ticket"]

    found = await sessions.redeem_ticket(session, ticket)

    assert found is not None
    assert (found.account.user_id, found.account.impersonator_id) == (alice.user_id, charlie.user_id)
