"""Getting back in, confirming addresses, and changing them, over the API."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import ApiKey, AuditEntry, Delivery, Job, LinkPurpose, OneTimeLink, User, UserSession
from services import api_keys, one_time_links, recovery
from services.core import clock
from services.permissions import Actor
from services.schemas.accounts import ApiKeyCreate, Scope
from settings import Settings
from tests.conftest import NOW, PASSWORD, ClientOf

NEW = {"email": "nora@example.com", "password": "seven plums 7", "name": "Nora"}
BETTER = "nine plums 9"


@pytest.fixture
def nobody(client_of: ClientOf) -> AsyncClient:
    return client_of(None)


async def links_of(session: AsyncSession, email: str) -> list[OneTimeLink]:
    session.expire_all()
    statement = select(OneTimeLink).join(User).where(User.email == email).order_by(col(OneTimeLink.id))
    return list(await session.scalars(statement))


async def token_for(session: AsyncSession, email: str) -> str:
    """That of the newest link of a user, as it would stand in the e-mail."""
    (*_older, link) = await links_of(session, email)
    return one_time_links.address(link).rpartition("/")[2]


async def ask_for_reset(nobody: AsyncClient, session: AsyncSession, email: str) -> str:
    assert (await nobody.post("/auth/forgot", json={"email": email})).status_code == 202
    await recovery.send_reset(email)
    return await token_for(session, email)


async def letters(session: AsyncSession) -> list[tuple[str, dict[str, Any]]]:
    found = await session.scalars(select(Delivery).order_by(col(Delivery.id)))
    return [(letter.template, letter.data) for letter in found]


async def sign_in(nobody: AsyncClient, email: str, password: str = PASSWORD) -> int:
    status = (await nobody.post("/auth/login", json={"email": email, "password": password})).status_code
    nobody.cookies.clear()
    return status


# Reset


async def test_a_forgotten_password_is_replaced_by_a_link(
    nobody: AsyncClient, client: AsyncClient, alice: Actor, session: AsyncSession
) -> None:
    token = await ask_for_reset(nobody, session, alice.email)

    response = await nobody.post("/auth/reset", json={"token": token, "password": BETTER})

    assert response.status_code == 204
    assert await sign_in(nobody, alice.email, BETTER) == 200
    assert await sign_in(nobody, alice.email) == 401
    assert (await client.get("/users/me")).status_code == 401
    assert [template for template, _data in await letters(session)] == ["reset_password", "notice"]
    entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "auth:reset"))).one()
    assert (entry.actor_id, entry.before, entry.after) == (alice.user_id, {}, {})


@pytest.mark.parametrize("email", ["alice@example.com", "who@example.com"])
async def test_whether_there_is_an_account_is_not_to_be_told_from_the_answer_or_the_work(
    nobody: AsyncClient, session: AsyncSession, email: str
) -> None:
    response = await nobody.post("/auth/forgot", json={"email": email.upper()})

    assert (response.status_code, response.text) == (202, "null")
    (job,) = await session.scalars(select(Job))
    assert (job.task, job.payload) == ("send_reset", {"email": email})
    assert await letters(session) == []


async def test_nobody_unknown_or_disabled_is_written_to(session: AsyncSession, alice: Actor) -> None:
    (await session.get_one(User, alice.user_id)).is_active = False
    await session.commit()

    assert await recovery.send_reset(alice.email) == await recovery.send_reset("who@example.com")
    assert await letters(session) == []


async def test_a_mailbox_is_not_filled(nobody: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    await ask_for_reset(nobody, session, alice.email)
    await ask_for_reset(nobody, session, alice.email)
    assert len(await letters(session)) == 1

    with clock.frozen(NOW + timedelta(minutes=2)):
        await ask_for_reset(nobody, session, alice.email)
    assert len(await letters(session)) == 2


async def test_a_reset_ends_api_keys(nobody: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    await api_keys.issue(session, alice.user_id, ApiKeyCreate(name="x", scopes=frozenset({Scope.STOCK_READ})), by=None)
    await session.commit()
    token = await ask_for_reset(nobody, session, alice.email)

    await nobody.post("/auth/reset", json={"token": token, "password": BETTER})

    assert (await session.scalars(select(ApiKey))).all() == []


async def test_a_reset_shows_that_the_address_is_ones_own_and_lifts_the_duty_to_change(
    nobody: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    user = await session.get_one(User, alice.user_id)
    user.is_verified, user.must_change_password = False, True
    await session.commit()
    token = await ask_for_reset(nobody, session, alice.email)

    await nobody.post("/auth/reset", json={"token": token, "password": BETTER})

    await session.refresh(user)
    assert (user.is_verified, user.must_change_password) == (True, False)


async def test_a_link_works_once(nobody: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    token = await ask_for_reset(nobody, session, alice.email)
    assert (await nobody.post("/auth/reset", json={"token": token, "password": BETTER})).status_code == 204

    again = await nobody.post("/auth/reset", json={"token": token, "password": "ten plums 10"})

    assert (again.status_code, again.json()["code"]) == (410, "gone")
    assert await sign_in(nobody, alice.email, BETTER) == 200


async def test_a_weak_password_leaves_the_link_good(nobody: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    token = await ask_for_reset(nobody, session, alice.email)

    for weak in ("short1", "password1", "a1" * 5_000, alice.email):
        response = await nobody.post("/auth/reset", json={"token": token, "password": weak})
        assert response.status_code == 422
        assert [error["field"] for error in response.json()["errors"]] == ["password"]

    assert (await nobody.post("/auth/reset", json={"token": token, "password": BETTER})).status_code == 204


async def test_a_link_is_over_after_an_hour(nobody: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    token = await ask_for_reset(nobody, session, alice.email)

    with clock.frozen(NOW + timedelta(hours=1, seconds=1)):
        response = await nobody.post("/auth/reset", json={"token": token, "password": BETTER})

    assert response.status_code == 410


async def test_a_newer_link_makes_an_older_one_void(nobody: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    older = await ask_for_reset(nobody, session, alice.email)
    with clock.frozen(NOW + timedelta(minutes=2)):
        newer = await ask_for_reset(nobody, session, alice.email)

        assert (await nobody.post("/auth/reset", json={"token": older, "password": BETTER})).status_code == 410
        assert (await nobody.post("/auth/reset", json={"token": newer, "password": BETTER})).status_code == 204


@pytest.mark.parametrize("change", ["the password", "the address", "the account"])
async def test_what_changes_meanwhile_makes_a_link_void(
    change: str, nobody: AsyncClient, client: AsyncClient, session: AsyncSession, alice: Actor
) -> None:
    token = await ask_for_reset(nobody, session, alice.email)
    if change == "the password":
        changed = {"current_password": PASSWORD, "new_password": "ten plums 10"}
        assert (await client.post("/users/me/password", json=changed)).status_code == 204
    else:
        user = await session.get_one(User, alice.user_id)
        user.sqlmodel_update({"email": "other@example.com"} if change == "the address" else {"is_active": False})
        await session.commit()

    response = await nobody.post("/auth/reset", json={"token": token, "password": BETTER})

    assert response.status_code == 410


async def test_forged_links_lead_nowhere(nobody: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    token = await ask_for_reset(nobody, session, alice.email)
    said, _dot, signature = token.rpartition(".")
    (link,) = await links_of(session, alice.email)
    forged = ["", "x", said, f"{said}.", f"{said}.{signature[:-1]}", f"{said}.{signature[::-1]}", f"A{token}"]
    forged += [str(link.id), f"{token}\u0000", "ü" * 50, f"eyJhbGciOiJub25lIn0.{said}.", "." * 200]

    for wrong in forged:
        response = await nobody.post("/auth/reset", json={"token": wrong, "password": BETTER})
        assert response.status_code == 404, wrong
    too_long = await nobody.post("/auth/reset", json={"token": "x" * 201, "password": BETTER})
    assert too_long.status_code == 422
    assert await sign_in(nobody, alice.email) == 200


async def test_a_link_is_for_one_purpose(nobody: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    token = await ask_for_reset(nobody, session, alice.email)

    assert (await nobody.post("/auth/verify", json={"token": token})).status_code == 410
    assert (await nobody.post("/auth/reset", json={"token": token, "password": BETTER})).status_code == 204


async def test_of_two_who_use_a_link_at_once_one_does(nobody: AsyncClient, session: AsyncSession, alice: Actor) -> None:
    """One after the other on this one connection; `tests/test_concurrency.py` has them really at once."""
    token = await ask_for_reset(nobody, session, alice.email)

    answers = await asyncio.gather(
        *(nobody.post("/auth/reset", json={"token": token, "password": f"{n} plums 99"}) for n in ("eleven", "twelve"))
    )

    assert sorted(answer.status_code for answer in answers) == [204, 410]


@pytest.mark.parametrize(
    "email",
    [
        "nobody",
        "x" * 300 + "@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com\x00",
        "a b@example.com",
        "\u202ealice@example.com",
        "\u0430lice@example.com",  # Cyrillic
        "",
        None,
        ["alice@example.com"],
    ],
)
async def test_what_is_no_address_is_told_at_its_field(nobody: AsyncClient, email: Any) -> None:
    response = await nobody.post("/auth/forgot", json={"email": email})

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["email"]


# Verification


async def test_whoever_registers_is_asked_to_confirm(nobody: AsyncClient, session: AsyncSession) -> None:
    assert (await nobody.post("/auth/register", json=NEW)).json()["is_verified"] is False
    assert [template for template, _data in await letters(session)] == ["verify_email"]

    token = await token_for(session, NEW["email"])
    assert (await nobody.post("/auth/verify", json={"token": token})).status_code == 204

    user = (await session.scalars(select(User).where(User.email == NEW["email"]))).one()
    assert user.is_verified
    assert (await nobody.post("/auth/verify", json={"token": token})).status_code == 410


async def test_a_letter_holds_no_secret_before_it_is_sent(nobody: AsyncClient, session: AsyncSession) -> None:
    await nobody.post("/auth/register", json=NEW)

    token = await token_for(session, NEW["email"])
    kept = " ".join(str(row.model_dump()) for row in await session.scalars(select(Delivery)))
    kept += " ".join(str(row.model_dump()) for row in await session.scalars(select(Job)))
    assert token not in kept
    assert token.rpartition(".")[2] not in kept


async def test_who_has_confirmed_need_not_again(client: AsyncClient) -> None:
    assert (await client.post("/auth/verify/resend")).status_code == 409


async def test_who_must_confirm_first_can_do_that_and_nothing_else(
    nobody: AsyncClient, session: AsyncSession, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "require_verified", True)
    await nobody.post("/auth/register", json=NEW)
    tokens = (await nobody.post("/auth/login", json=NEW)).json()
    nobody.cookies.clear()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}

    refused = await nobody.get("/households", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_verified")
    assert (await nobody.get("/users/me", headers=headers)).status_code == 200
    soon = await nobody.post("/auth/verify/resend", headers=headers)
    assert (soon.status_code, soon.headers["retry-after"]) == (429, "60")
    with clock.frozen(NOW + timedelta(minutes=2)):
        assert (await nobody.post("/auth/verify/resend", headers=headers)).status_code == 202

        token = await token_for(session, NEW["email"])
        assert (await nobody.post("/auth/verify", json={"token": token}, headers=headers)).status_code == 204
        assert (await nobody.get("/households", headers=headers)).status_code == 200


# Another address


async def ask_to_change(client: AsyncClient, email: str, password: str = PASSWORD) -> int:
    return (await client.post("/users/me/email", json={"email": email, "password": password})).status_code


async def test_an_address_changes_when_the_new_one_is_confirmed(
    nobody: AsyncClient, client: AsyncClient, alice: Actor, session: AsyncSession
) -> None:
    assert await ask_to_change(client, "New@Example.com") == 202
    assert await sign_in(nobody, "new@example.com") == 401
    (asked, warned) = await letters(session)
    assert asked[0] == "change_email"
    assert warned == ("notice", {"what": "email_wanted", "to": alice.email, "about": "new@example.com"})

    token = await token_for(session, alice.email)
    assert (await client.post("/auth/verify", json={"token": token})).status_code == 204

    assert await sign_in(nobody, "new@example.com") == 200
    assert await sign_in(nobody, alice.email) == 401
    assert (await client.get("/users/me")).json()["email"] == "new@example.com"
    told = (await letters(session))[-1]
    assert told == ("notice", {"what": "email_changed", "to": alice.email, "about": "new@example.com"})
    (entry,) = await session.scalars(select(AuditEntry).where(AuditEntry.action == "auth:verify"))
    assert (entry.before, entry.after) == ({"email": alice.email}, {"email": "new@example.com"})


async def test_a_new_address_ends_the_sessions_it_was_not_confirmed_in(
    nobody: AsyncClient, client: AsyncClient, alice: Actor, session: AsyncSession
) -> None:
    await ask_to_change(client, "new@example.com")
    token = await token_for(session, alice.email)

    assert (await nobody.post("/auth/verify", json={"token": token})).status_code == 204

    assert (await client.get("/users/me")).status_code == 401
    assert (await session.scalars(select(UserSession).where(UserSession.user_id == alice.user_id))).all() == []


async def test_an_address_that_is_taken_looks_like_any_other_and_is_left_alone(
    client: AsyncClient, bob: Actor, session: AsyncSession
) -> None:
    assert await ask_to_change(client, bob.email) == 202

    assert [template for template, _data in await letters(session)] == ["notice"]


async def test_an_address_that_is_taken_meanwhile_is_refused(
    nobody: AsyncClient, client: AsyncClient, alice: Actor, session: AsyncSession
) -> None:
    await ask_to_change(client, NEW["email"])
    token = await token_for(session, alice.email)
    await nobody.post("/auth/register", json=NEW)

    response = await nobody.post("/auth/verify", json={"token": token})

    assert (response.status_code, response.json()["code"]) == (409, "duplicate")
    session.expire_all()
    assert (await session.get_one(User, alice.user_id)).email == alice.email


@pytest.mark.parametrize(
    ("email", "password", "field"),
    [
        ("new@example.com", "wrong one 1", "password"),
        ("new@example.com", "a1" * 5_000, "password"),
        ("ALICE@example.com", PASSWORD, "email"),
        ("nobody", PASSWORD, "email"),
        ("x" * 300 + "@example.com", PASSWORD, "email"),
    ],
)
async def test_a_wrong_change_of_address_is_told_at_its_field(
    client: AsyncClient, session: AsyncSession, email: str, password: str, field: str
) -> None:
    response = await client.post("/users/me/email", json={"email": email, "password": password})

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert await letters(session) == []


async def test_old_links_die_with_the_old_address(
    nobody: AsyncClient, client: AsyncClient, alice: Actor, session: AsyncSession
) -> None:
    reset = await ask_for_reset(nobody, session, alice.email)
    await ask_to_change(client, "new@example.com")
    change = next(link for link in await links_of(session, alice.email) if link.purpose is LinkPurpose.CHANGE_EMAIL)
    await nobody.post("/auth/verify", json={"token": one_time_links.address(change).rpartition("/")[2]})

    response = await nobody.post("/auth/reset", json={"token": reset, "password": BETTER})

    assert response.status_code == 410
