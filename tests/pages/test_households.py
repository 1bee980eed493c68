"""Households, members and invitations in the pages."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import Household, Membership, Role
from services import households
from services.core import clock
from services.households import INVITATION_LIFETIME
from services.permissions import Actor
from services.schemas.households import HouseholdCreate, InvitationCreate
from tests.conftest import HOUSEHOLD, NEXT_DOOR, NOW, NOWHERE, PASSWORD, ClientOf
from tests.factories import make_lot
from tests.pages import html
from tests.pages.ways import BOTH_WAYS, assert_sent, ends_whole, form_at, refused, shows

FRAGMENT = {"HX-Request": "true"}


async def role_of(session: AsyncSession, actor: Actor, household_id: UUID = HOUSEHOLD) -> str | None:
    session.expire_all()
    found = await session.scalars(
        select(Membership.role).where(Membership.user_id == actor.user_id, Membership.household_id == household_id)
    )
    return found.one_or_none()


async def count_households(session: AsyncSession) -> int:
    return len((await session.scalars(select(Household.id))).all())


async def link_to(session: AsyncSession, actor: Actor, **fields: str) -> str:
    invited = await households.invite(session, actor, InvitationCreate(**fields), base_url="")
    await session.commit()
    return invited.url


@BOTH_WAYS
async def test_one_goes_from_one_household_to_another(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    await households.create_household(session, alice, HouseholdCreate(name="Hütte 🏔"))
    await make_lot(session, alice, product="Only at home")
    await session.commit()
    browser = browser_of(alice, htmx=htmx)

    listed = await browser.get("/households")
    assert ends_whole(listed) is not htmx
    (button,) = [one for one in html.read(listed.text).all("button") if one.attrs.get("name") == "household_id"]
    response = await browser.post("/households/switch", data={"household_id": button.attrs["value"]})
    assert "Hütte 🏔" in assert_sent(response, htmx, "/")["message"]
    home = await browser.get("/", headers={"HX-Request": ""})
    assert shows(home, "Hütte 🏔", "Only at home") == {"Hütte 🏔": True, "Only at home": False}


@pytest.mark.parametrize(
    ("household_id", "status"), [(str(NEXT_DOOR), 404), (str(NOWHERE), 404), ("home", 422), ("", 422)]
)
async def test_one_does_not_go_where_one_does_not_belong(
    browser_of: ClientOf, alice: Actor, household_id: str, status: int
) -> None:
    browser = browser_of(alice)
    response = await browser.post("/households/switch", data={"household_id": household_id})

    assert response.status_code == status
    assert ends_whole(response)
    assert shows(await browser.get("/household"), "Home", "Next door") == {"Home": True, "Next door": False}


@BOTH_WAYS
async def test_another_household_is_made_once_and_leads_on(
    browser_of: ClientOf, session: AsyncSession, sam: Actor, htmx: bool
) -> None:
    browser, before = browser_of(sam, htmx=htmx), await count_households(session)
    sent = await browser_of(sam).get("/stock?q=milk")
    assert sent.headers["location"].startswith("/households/new?next=")
    form = {**await form_at(browser, sent.headers["location"], "/households/new"), "name": "Hütte 🏔"}

    for _time in range(2):
        assert_sent(await browser.post("/households/new", data=form), htmx, "/stock?q=milk")
    assert await count_households(session) == before + 1


@pytest.mark.parametrize("name", ["", "x" * 101, "a\x00b", " \u200b "])
async def test_a_household_needs_a_name(browser_of: ClientOf, session: AsyncSession, alice: Actor, name: str) -> None:
    before = await count_households(session)
    response = await browser_of(alice).post("/households/new", data={"name": name, "time_zone": "Mars/Base"})

    errors, values = refused(response, "/households/new")
    assert set(errors) == {"name"}
    assert values["name"] == name
    assert await count_households(session) == before


@BOTH_WAYS
async def test_the_household_is_changed(browser_of: ClientOf, session: AsyncSession, dora: Actor, htmx: bool) -> None:
    browser = browser_of(dora, htmx=htmx)
    form = await form_at(browser, "/household", "/household")
    response = await browser.post(
        "/household", data={**form, "name": "Zuhause 🏡", "currency": "chf", "soon_days": "3"}
    )

    assert_sent(response, htmx, "/household")
    household = await session.get_one(Household, HOUSEHOLD, populate_existing=True)
    assert (household.name, household.currency, household.soon_days) == ("Zuhause 🏡", "CHF", 3)
    assert shows(await browser.get("/household"), "Zuhause 🏡") == {"Zuhause 🏡": True}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"currency": "gold"}, "currency"),
        ({"locale": "klingon"}, "locale"),
        ({"soon_days": "-1"}, "soon_days"),
        ({"soon_days": "NaN"}, "soon_days"),
        ({"soon_days": "9" * 400}, "soon_days"),
    ],
)
async def test_what_is_wrong_about_the_household_is_told_at_its_field(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, wrong: dict[str, str], field: str
) -> None:
    browser = browser_of(alice)
    form = {**await form_at(browser, "/household", "/household"), "name": "Nest", **wrong}

    errors, values = refused(await browser.post("/household", data=form), "/household")
    assert set(errors) == {field}
    assert {**values, "locale": ""} == {**form, "locale": ""}
    assert (await session.get_one(Household, HOUSEHOLD, populate_existing=True)).name == "Home"


@pytest.mark.parametrize(("typed", "field"), [("", "name"), ("Next door", "name"), ("x" * 101, "name")])
async def test_a_household_is_not_deleted_by_mistake(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, typed: str, field: str
) -> None:
    errors, _values = refused(
        await browser_of(alice).post("/household/delete", data={"name": typed}), "/household/delete"
    )

    assert set(errors) == {field}
    assert await role_of(session, alice) == Role.OWNER


@BOTH_WAYS
async def test_an_owner_deletes_the_household_and_is_asked_for_another(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, htmx: bool
) -> None:
    browser = browser_of(alice, htmx=htmx)
    assert_sent(await browser.post("/household/delete", data={"name": " home "}), htmx, "/")

    assert await role_of(session, alice) is None
    assert (await browser_of(alice).get("/")).headers["location"] == "/households/new"
    assert (await browser_of(bob).get("/")).headers["location"] == "/households/new"


# Members


@BOTH_WAYS
async def test_roles_change_and_the_household_is_handed_over(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, htmx: bool
) -> None:
    browser, action = browser_of(alice, htmx=htmx), f"/household/members/{bob.user_id}/role"

    said = assert_sent(await browser.post(action, data={"role": "viewer"}), htmx, "/household")
    assert said["message"] == "Bob is Viewer now."
    assert await role_of(session, bob) == Role.VIEWER
    assert_sent(await browser.post(action, data={"role": "owner"}), htmx, "/household")
    assert (await role_of(session, alice), await role_of(session, bob)) == (Role.ADMIN, Role.OWNER)


@pytest.mark.parametrize(
    ("who", "whom", "role", "status"),
    [
        ("alice", "bob", "king", 422),
        ("alice", "bob", "", 422),
        ("alice", "alice", "member", 409),
        ("alice", "charlie", "member", 404),
        ("dora", "bob", "owner", 403),
        ("dora", "alice", "member", 409),
        ("bob", "vera", "member", 403),
        ("vera", "vera", "owner", 403),
    ],
)
async def test_a_role_is_not_changed_against_the_rules(
    request: pytest.FixtureRequest,
    browser_of: ClientOf,
    session: AsyncSession,
    who: str,
    whom: str,
    role: str,
    status: int,
) -> None:
    actor, member = request.getfixturevalue(who), request.getfixturevalue(whom)
    before = await role_of(session, member)
    response = await browser_of(actor).post(f"/household/members/{member.user_id}/role", data={"role": role})

    assert response.status_code == status
    assert ends_whole(response)
    assert await role_of(session, member) == before


@BOTH_WAYS
async def test_a_member_leaves_and_an_admin_lets_another_go(
    browser_of: ClientOf, session: AsyncSession, dora: Actor, bob: Actor, vera: Actor, htmx: bool
) -> None:
    left = await browser_of(bob, htmx=htmx).post(f"/household/members/{bob.user_id}/remove")
    assert assert_sent(left, htmx, "/")["message"] == "You left Home."
    removed = await browser_of(dora, htmx=htmx).post(f"/household/members/{vera.user_id}/remove")
    assert_sent(removed, htmx, "/household")

    assert (await role_of(session, bob), await role_of(session, vera)) == (None, None)
    assert (await browser_of(vera).get("/stock")).headers["location"].startswith("/households/new")


@pytest.mark.parametrize(
    ("who", "whom", "status"), [("bob", "vera", 403), ("alice", "alice", 409), ("dora", "alice", 409)]
)
async def test_nobody_is_removed_against_the_rules(
    request: pytest.FixtureRequest, browser_of: ClientOf, session: AsyncSession, who: str, whom: str, status: int
) -> None:
    actor, member = request.getfixturevalue(who), request.getfixturevalue(whom)
    response = await browser_of(actor).post(f"/household/members/{member.user_id}/remove")

    assert response.status_code == status
    assert await role_of(session, member) is not None


@pytest.mark.parametrize(
    ("who", "offered"),
    [
        ("alice", {"role", "remove", "invitations", "delete", "household"}),
        ("dora", {"role", "remove", "invitations", "household"}),
        ("bob", {"remove"}),
        ("vera", {"remove"}),
    ],
)
async def test_each_role_is_offered_what_it_may_do(
    request: pytest.FixtureRequest, browser_of: ClientOf, who: str, offered: set[str]
) -> None:
    actor: Actor = request.getfixturevalue(who)
    page = html.read((await browser_of(actor).get("/household")).text).one("main")

    forms = [form.attrs["action"] for form in page.all("form")]
    assert {action.rpartition("/")[2] for action in forms} == offered
    if who in {"bob", "vera"}:
        assert forms == [f"/household/members/{actor.user_id}/remove"]
    handing_over = [button for button in page.all("button") if button.attrs.get("value") == "owner"]
    assert bool(handing_over) is (who == "alice")


# Invitations


async def test_a_stranger_looks_at_an_invitation_registers_through_it_and_belongs(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    made = await browser_of(alice).post("/household/invitations", data={"role": "viewer"})
    url = html.read(made.text).one("input", id="invitation-url").value
    assert url.startswith("http://localhost/invitations/")

    browser = browser_of(None)
    seen = await browser.get(url)
    assert all(shows(seen, "Home", "Alice invites you to share this household as Viewer.").values())
    links = [link.attrs["href"] for link in html.read(seen.text).one("main").all("a")]
    assert [(await browser.get(link)).status_code for link in links] == [200, 200]
    form = await form_at(browser, links[0], "/register")
    data = {**form, "name": "Nóra 🥛", "email": "nora@example.com", "password": "seven plums 7"}
    assert (await browser.post("/register", data=data)).status_code == 303

    assert all(shows(await browser.get("/household"), "Home", "Nóra 🥛", "Viewer").values())
    assert (await browser.get(url)).status_code == 404
    assert await count_households(session) == 2


@BOTH_WAYS
async def test_somebody_with_an_account_signs_in_and_joins(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, charlie: Actor, htmx: bool
) -> None:
    link = await link_to(session, alice, role="admin")
    stranger = browser_of(None)
    to_login = html.read((await stranger.get(link)).text).all("a")[-1].attrs["href"]
    form = await form_at(stranger, to_login, "/login")
    signed_in = await stranger.post("/login", data={**form, "email": charlie.email, "password": PASSWORD})
    assert signed_in.headers["location"] == link

    browser = browser_of(charlie, htmx=htmx)
    assert html.read((await browser.get(link)).text).one("form", action=link).values == {}
    assert assert_sent(await browser.post(link), htmx, "/")["message"] == "Welcome to Home."
    assert await role_of(session, charlie) == Role.ADMIN
    assert (await browser.post(link)).status_code == 404


async def test_an_invitation_is_over_after_a_week_or_when_withdrawn(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    old = await link_to(session, alice)
    with clock.frozen(NOW + INVITATION_LIFETIME + timedelta(seconds=1)):
        assert (await browser_of(charlie).get(old)).status_code == 404
        assert (await browser_of(charlie).post(old)).status_code == 404

    browser = browser_of(alice)
    page = html.read((await browser.get("/household")).text)
    (revoke,) = [form.attrs["action"] for form in page.all("form") if form.attrs["action"].endswith("/revoke")]
    assert_sent(await browser.post(revoke), False, "/household")
    assert (await browser_of(charlie).post(old)).status_code == 404
    assert (await browser.post(revoke)).status_code == 404
    assert await role_of(session, charlie) is None


@pytest.mark.parametrize("token", ["unknown", "%00", "x" * 3000, "🥛"])
async def test_an_unknown_invitation_is_a_friendly_page(browser_of: ClientOf, charlie: Actor, token: str) -> None:
    for browser in (browser_of(None), browser_of(charlie)):
        response = await browser.get(f"/invitations/{token}")
        assert response.status_code == 404
        assert all(shows(response, "Nothing here", "Ask for a new one").values())
    shown = await browser_of(None).get("/register", params={"invitation": token[:200]})
    assert all(shows(shown, "Ask for a new one").values())


async def test_an_invitation_by_name_is_for_that_address_only(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    link = await link_to(session, alice, email="nora@example.com")
    assert (await browser_of(charlie).post(link)).status_code == 403
    assert await role_of(session, charlie) is None

    data = {"name": "Not Nora", "email": "not.nora@example.com", "password": "seven plums 7"}
    token = link.rpartition("/")[2]
    errors, values = refused(await browser_of(None).post("/register", data={**data, "invitation": token}), "/register")
    assert set(errors) == {""}
    assert (values["name"], values["invitation"]) == ("Not Nora", token)


async def test_a_member_already_keeps_the_role(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    link = await link_to(session, alice, role="viewer")

    assert (await browser_of(bob).post(link)).status_code == 409
    assert await role_of(session, bob) == Role.MEMBER


@pytest.mark.parametrize(
    ("who", "sent", "field"),
    [
        ("alice", {"role": "king"}, "role"),
        ("alice", {"role": "owner"}, "role"),
        ("alice", {"role": "member", "email": "nobody"}, "email"),
        ("alice", {"role": "member", "email": "x" * 300 + "@example.com"}, "email"),
    ],
)
async def test_a_wrong_invitation_is_told_at_its_field(
    request: pytest.FixtureRequest, browser_of: ClientOf, who: str, sent: dict[str, str], field: str
) -> None:
    browser = browser_of(request.getfixturevalue(who))
    errors, values = refused(await browser.post("/household/invitations", data=sent), "/household/invitations")

    assert set(errors) == {field}
    assert values["email"] == sent.get("email", "")
