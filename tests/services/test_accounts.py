"""What staff and commands do to accounts, and who of them may."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import AuditEntry, Delivery, OneTimeLink, StaffAssignment, StaffRole, User, UserSession
from services import accounts, passwords
from services.core import devices, text
from services.core.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from services.permissions import Actor
from tests.conftest import PASSWORD

MANAGING = (
    accounts.disable,
    accounts.enable,
    accounts.verify,
    accounts.force_logout,
    accounts.require_password_change,
    accounts.send_reset,
)


async def user_of(session: AsyncSession, actor: Actor) -> User:
    return await session.get_one(User, actor.user_id, populate_existing=True)


async def sessions_of(session: AsyncSession, actor: Actor) -> int:
    return len((await session.scalars(select(UserSession.id).where(UserSession.user_id == actor.user_id))).all())


async def acts(session: AsyncSession) -> list[str]:
    await session.flush()
    return list(await session.scalars(select(AuditEntry.action).order_by(col(AuditEntry.id))))


async def test_a_disabled_account_is_out_everywhere_and_stays_out_when_enabled(
    session: AsyncSession, alice: Actor, sam: Actor
) -> None:
    await accounts.send_reset(session, alice.user_id, by=sam)
    version = (await user_of(session, alice)).auth_version

    await accounts.disable(session, alice.user_id, by=sam)
    await accounts.enable(session, alice.user_id, by=sam)

    user = await user_of(session, alice)
    assert (user.is_active, user.auth_version > version, await sessions_of(session, alice)) == (True, True, 0)
    assert (await session.scalars(select(OneTimeLink))).all() == []
    assert await acts(session) == ["users:send_reset", "users:disable", "users:enable"]


async def test_every_act_is_written_down_with_who_did_it_and_what_changed(
    session: AsyncSession, alice: Actor, sam: Actor
) -> None:
    await accounts.require_password_change(session, alice.user_id, by=sam)
    await session.flush()

    (entry,) = await session.scalars(select(AuditEntry))
    assert (entry.actor_id, entry.subject_id, entry.subject_type) == (sam.user_id, str(alice.user_id), "user")
    assert (entry.before, entry.after) == ({"must_change_password": False}, {"must_change_password": True})


async def test_what_changes_nothing_is_not_written_down(session: AsyncSession, alice: Actor, sam: Actor) -> None:
    await accounts.enable(session, alice.user_id, by=sam)
    await accounts.verify(session, alice.user_id, by=sam)

    assert await acts(session) == []


@pytest.mark.parametrize("act", MANAGING, ids=lambda act: act.__name__)
async def test_nobody_but_a_superuser_manages_superusers(
    act: Any, session: AsyncSession, alice: Actor, sam: Actor
) -> None:
    before = (await user_of(session, sam)).model_dump()
    with pytest.raises(PermissionDenied):
        await act(session, sam.user_id, by=alice)

    assert (await user_of(session, sam)).model_dump() == before
    assert await acts(session) == []


@pytest.mark.parametrize("act", MANAGING, ids=lambda act: act.__name__)
@pytest.mark.parametrize("limited", [{"impersonator_id": uuid4()}, {"scopes": frozenset({"stock:read"})}])
async def test_nobody_is_managed_in_a_superusers_name_nor_by_a_machine(
    act: Any, limited: dict[str, Any], session: AsyncSession, bob: Actor, sam: Actor
) -> None:
    with pytest.raises(PermissionDenied):
        await act(session, bob.user_id, by=replace(sam, **limited))


@pytest.mark.parametrize("act", MANAGING, ids=lambda act: act.__name__)
async def test_whoever_does_not_exist_is_not_managed(act: Any, session: AsyncSession, sam: Actor) -> None:
    with pytest.raises(NotFound):
        await act(session, uuid4(), by=sam)


async def test_superusers_are_made_by_superusers_alone(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    with pytest.raises(PermissionDenied):
        await accounts.set_superuser(session, bob.user_id, True, by=alice)
    with pytest.raises(PermissionDenied):
        await accounts.create(session, by=alice, email="eve@example.com", name="Eve", is_superuser=True)

    assert not (await user_of(session, bob)).is_superuser


async def test_the_last_superuser_stays_one_and_stays_active(session: AsyncSession, bob: Actor, sam: Actor) -> None:
    with pytest.raises(Conflict, match="last superuser"):
        await accounts.set_superuser(session, sam.user_id, False, by=None)
    with pytest.raises(Conflict, match="last superuser"):
        await accounts.disable(session, sam.user_id, by=None)

    await accounts.set_superuser(session, bob.user_id, True, by=sam)
    await accounts.set_superuser(session, sam.user_id, False, by=None)
    assert not (await user_of(session, sam)).is_superuser


async def test_a_disabled_superuser_does_not_count(session: AsyncSession, bob: Actor, sam: Actor) -> None:
    await accounts.set_superuser(session, bob.user_id, True, by=sam)
    await accounts.disable(session, bob.user_id, by=sam)

    with pytest.raises(Conflict, match="last superuser"):
        await accounts.set_superuser(session, sam.user_id, False, by=None)


async def test_nobody_disables_themselves(session: AsyncSession, sam: Actor) -> None:
    with pytest.raises(Conflict):
        await accounts.disable(session, sam.user_id, by=sam)


async def test_an_account_without_a_password_opens_to_none(session: AsyncSession, sam: Actor) -> None:
    made = await accounts.create(session, by=sam, email="Eve@Example.com", name="Eve")
    await accounts.send_reset(session, made.id, by=sam)

    assert (made.email, made.is_verified) == ("eve@example.com", False)
    for tried in ("", "!", passwords.UNUSABLE):
        assert (await passwords.verify(tried, made.hashed_password)) == (False, None)
    (letter,) = await session.scalars(select(Delivery))
    assert (letter.user_id, letter.template) == (made.id, "reset_password")


async def test_a_taken_address_leaves_nothing_behind(session: AsyncSession, alice: Actor, sam: Actor) -> None:
    with pytest.raises(Conflict):
        await accounts.create(session, by=sam, email=alice.email.upper(), name="Eve")

    assert (await session.scalars(select(User).where(User.name == "Eve"))).all() == []


async def test_nobody_disabled_is_sent_a_link(session: AsyncSession, alice: Actor, sam: Actor) -> None:
    await accounts.disable(session, alice.user_id, by=sam)

    with pytest.raises(Conflict):
        await accounts.send_reset(session, alice.user_id, by=sam)


async def test_a_whole_role_is_signed_out_as_far_as_one_may(
    session: AsyncSession, alice: Actor, bob: Actor, sam: Actor
) -> None:
    role = StaffRole(code="support", name="Support")
    session.add(role)
    await session.flush()
    session.add_all(StaffAssignment(user_id=one.user_id, role_id=role.id) for one in (bob, sam))
    await session.flush()

    assert await accounts.force_logout_role(session, role.id, by=alice) == 1

    assert [await sessions_of(session, one) for one in (bob, sam, alice)] == [0, 1, 1]


@pytest.mark.parametrize("length", [129, 10_000, 1_000_000])
async def test_a_password_longer_than_any_costs_no_more_and_is_never_right(length: int) -> None:
    hashed = await passwords.hash_password(PASSWORD)

    assert await passwords.verify("a1" * (length // 2), hashed) == (False, None)
    with pytest.raises(InvalidInput):
        passwords.check("a1" * (length // 2 + 1))


async def test_a_long_password_is_not_cut_into_a_right_one() -> None:
    longest = "a1" * 64
    hashed = await passwords.hash_password(longest)

    assert (await passwords.verify(longest, hashed))[0]
    assert not (await passwords.verify(f"{longest}b", hashed))[0]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Alice@Example.COM", "alice@example.com"),
        (" alice@example.com ", "alice@example.com"),
        ("\uff41lice@example.com", "alice@example.com"),  # full width
        ("\u212aim@example.com", "kim@example.com"),  # the sign for Kelvin
        ("alice@m\u00fcnchen.de", "alice@xn--mnchen-3ya.de"),
        ("alice@XN--MNCHEN-3YA.de", "alice@xn--mnchen-3ya.de"),
        ("alice@ex\u0430mple.com", "alice@xn--exmple-4nf.com"),  # Cyrillic: plainly another domain
    ],
)
def test_an_address_has_one_spelling(typed: str, kept: str) -> None:
    assert text.normal_email(typed) == text.fold_email(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "\u0430lice@example.com",  # Cyrillic
        "alice\u200b@example.com",
        "\u202ealice@example.com",
        "alice@example.com\r\nBcc: bob@example.com",
        "alice@example.com\x00",
        '"alice"@example.com',
        "alice@[127.0.0.1]",
        "alice@localhost",
        "x" * 255 + "@example.com",
        "alice@" + "x" * 64 + ".com",
        "alice@" + "x." * 150 + "com",
        "\ud800@example.com",
        "",
        "@",
    ],
)
def test_what_is_no_address_or_looks_like_another_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        text.normal_email(typed)
    text.fold_email(typed)  # is only something nobody has


@pytest.mark.parametrize(
    ("user_agent", "browser", "system"),
    [
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1",
            "Safari",
            "iPhone",
        ),
        ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox", "Android"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge",
            "Windows",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", "Chrome", "Linux"),
        ("curl/8.5.0", "", ""),
        ("", "", ""),
        ("x" * 400, "", ""),
    ],
)
def test_devices_are_told_apart_by_what_they_say(user_agent: str, browser: str, system: str) -> None:
    assert (devices.browser_of(user_agent), devices.system_of(user_agent)) == (browser, system)


def test_programs_go_by_their_name() -> None:
    assert [devices.program_of(one) for one in ("curl/8.5.0", "Mozilla/5.0", "", "<b>x", "\x00")] == ["curl", *[""] * 4]
