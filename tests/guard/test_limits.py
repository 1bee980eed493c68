"""Limits: how often something may be done by one address and for one account."""

import math
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from httpx import AsyncClient, Response
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from models import ChallengeKind, GuardCount, UserSession
from routes.middleware.guard import LIMITS, LOOKING
from routes.table import list_routes
from services import challenges, pruning
from services.core import clock
from services.guard import Doorkeeper, Limit, keys, limits
from services.permissions import Actor
from settings import Settings
from tests.conftest import HOUSEHOLD, NOW, PASSWORD, ClientOf
from tests.guard.conftest import ELSEWHERE, SOMEWHERE

LOTS = f"/api/v1/households/{HOUSEHOLD}/lots"
WRONG = "not the password 1"


async def sign_in(client: AsyncClient, email: str = "alice@example.com", password: str = WRONG) -> Response:
    return await client.post("/api/v1/auth/login", json={"email": email, "password": password})


async def statuses(client: AsyncClient, count: int, email: str = "alice@example.com") -> list[int]:
    return [(await sign_in(client, email)).status_code for _ in range(count)]


# Windows


@given(
    allowed=st.integers(1, 50),
    current=st.integers(0, 60),
    before=st.integers(0, 60),
    passed=st.integers(0, 299),
)
def test_whoever_waits_as_long_as_they_are_told_gets_in(allowed: int, current: int, before: int, passed: int) -> None:
    limit = Limit("test", 300)
    start = NOW.timestamp() // 300 * 300
    with clock.frozen(NOW + timedelta(seconds=start + passed - NOW.timestamp())):
        seconds = limits.wait(limit, allowed, current, before)

    then = passed + seconds
    now, earlier = (current, before) if then < 300 else (0, current if then < 600 else 0)
    assert seconds >= 1
    assert limits.weigh(now + 1, earlier, then % 300 / 300) <= allowed + 1e-6


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "address:192.0.2.7"),
        ("::ffff:192.0.2.7", "address:192.0.2.7"),
        ("2001:db8:1:2:aaaa:bbbb:cccc:dddd", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "address:2001:db8:1:2::/64"),
        ("fe80::1%eth0", "address:fe80::/64"),
        ("", "address:"),
    ],
)
def test_one_ipv6_network_is_one_visitor(address: str, key: str) -> None:
    assert keys.of_address(address) == key


def test_accounts_are_counted_by_what_does_not_tell_their_e_mail(config: Settings) -> None:
    key = keys.of_account(" Alice@Example.com ")

    assert key == keys.of_account("alice@example.com")
    assert "alice" not in key
    assert len(keys.of_account("x" * 10_000)) == len(keys.of_account("\udcff")) == len(key)


# Signing in


@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com"])
async def test_wrong_passwords_are_refused_after_a_while_whether_or_not_there_is_such_an_account(
    email: str, client_from: ClientOf
) -> None:
    client = client_from()

    assert await statuses(client, 10, email) == [401] * 10
    refused = await sign_in(client, email)

    assert refused.status_code == 429
    assert refused.json()["code"] == "limit_exceeded"
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 600
    # The right one too: how else would one know that it is wrong?
    assert (await sign_in(client, "alice@example.com", PASSWORD)).status_code in {200, 429}


async def test_the_spelling_of_an_e_mail_does_not_matter(client_from: ClientOf) -> None:
    client = client_from()
    await statuses(client, 5, "ALICE@example.com")
    await statuses(client, 5, " alice@EXAMPLE.com")

    assert await statuses(client, 1, "alice@example.com") == [429]


async def test_after_the_wait_it_can_be_tried_again(client_from: ClientOf) -> None:
    client = client_from()
    await statuses(client, 11)
    seconds = int((await sign_in(client)).headers["retry-after"])

    with clock.frozen(NOW + timedelta(seconds=seconds)):
        assert (await sign_in(client, password=PASSWORD)).status_code == 200


async def test_right_passwords_are_not_counted(client_from: ClientOf) -> None:
    client = client_from()
    found = [(await sign_in(client, password=PASSWORD)).status_code for _ in range(15)]

    assert found == [200] * 15


async def test_others_failures_do_not_lock_people_out_where_they_are_signed_in(
    client_from: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    (await session.get_one(UserSession, alice.session_id)).ip_address = ELSEWHERE
    await session.commit()
    await statuses(client_from(SOMEWHERE), 12)

    assert (await sign_in(client_from("192.0.2.1"), password=PASSWORD)).status_code == 429
    assert (await sign_in(client_from(ELSEWHERE), password=PASSWORD)).status_code == 200
    # Who guesses from there has tries of their own, and no more of them.
    assert await statuses(client_from(ELSEWHERE), 11) == [401] * 10 + [429]


async def test_an_address_may_fail_for_many_accounts_but_not_for_all(client_from: ClientOf) -> None:
    client = client_from()
    found = [(await sign_in(client, f"user{number}@example.com")).status_code for number in range(32)]

    assert found == [401] * 30 + [429] * 2
    assert (await sign_in(client_from(ELSEWHERE), "user0@example.com")).status_code == 401


async def test_this_machine_is_exempt_from_limits_of_addresses_but_not_of_accounts(client_from: ClientOf) -> None:
    client = client_from("127.0.0.1")
    for number in range(35):
        assert (await sign_in(client, f"user{number}@example.com")).status_code == 401

    assert await statuses(client, 11) == [401] * 10 + [429]


async def test_the_page_says_it_too(client_from: ClientOf) -> None:
    client = client_from(is_browser=True)
    form = {"email": "alice@example.com", "password": WRONG}
    for _ in range(10):
        assert (await client.post("/login", data=form)).status_code == 401

    page = await client.post("/login", data=form)
    toast = await client.post("/login", data=form, headers={"HX-Request": "true"})

    assert page.status_code == toast.status_code == 429
    assert "Slow down a little" in page.text
    assert "too often" in toast.headers["hx-trigger"]
    assert int(page.headers["retry-after"]) >= 1


async def test_nobody_can_be_locked_out_in_the_guards_absence(
    client_from: ClientOf, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "guard_enabled", False)

    assert await statuses(client_from("127.0.0.1"), 12) == [401] * 12


async def test_registering_is_limited(client_from: ClientOf) -> None:
    client = client_from()
    found = [
        (await client.post("/api/v1/auth/register", json={"email": f"{n}@example.com"})).status_code for n in range(21)
    ]

    assert found == [422] * 20 + [429]


async def test_guessing_invitations_is_limited(client_from: ClientOf) -> None:
    client = client_from()
    found = [(await client.get(f"/invitations/guess{n}")).status_code for n in range(61)]

    assert set(found[:60]) == {404}
    assert found[60] == 429


async def test_inviting_is_limited_for_an_account_wherever_it_is(client_from: ClientOf, alice: Actor) -> None:
    path = f"/api/v1/households/{HOUSEHOLD}/invitations"
    found = [
        (await client_from(address, alice).post(path, json={"role": "everything"})).status_code
        for address in (SOMEWHERE, "127.0.0.1")
        for _ in range(31)
    ]

    assert found == [422] * 60 + [429] * 2


async def test_refreshing_is_limited(client_from: ClientOf) -> None:
    client = client_from()
    found = [
        (await client.post("/api/v1/auth/refresh", json={"refresh_token": f"guess{n}"})).status_code for n in range(61)
    ]

    assert found == [401] * 60 + [429]


async def test_uploading_is_limited(client_from: ClientOf, alice: Actor) -> None:
    client = client_from("127.0.0.1", alice)
    found = [(await client.post("/api/v1/households", files={"file": b"x"})).status_code for _ in range(121)]

    assert 429 not in found[:120]
    assert found[120] == 429


def test_what_is_limited_is_a_route(app: FastAPI) -> None:
    assert {*LIMITS, *LOOKING} <= {entry.name for entry in list_routes(app)}


async def test_counts_that_are_over_are_forgotten(client_from: ClientOf, session: AsyncSession) -> None:
    await statuses(client_from(), 2)
    count = sa.select(sa.func.count()).select_from(GuardCount)
    assert await session.scalar(count) == 2

    await pruning.prune()
    assert await session.scalar(count) == 2
    with clock.frozen(NOW + timedelta(minutes=11)):
        assert "2 counts" in await pruning.prune()
    assert await session.scalar(count) == 0


async def test_what_must_be_counted_and_cannot_be_is_not_let_through(
    client_from: ClientOf, session: AsyncSession
) -> None:
    await session.execute(sa.text("DROP TABLE guard_count"))
    await session.commit()

    refused = await sign_in(client_from(), password=PASSWORD)

    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    # All else goes on.
    assert (await client_from().get("/login")).status_code == 200


# The general limit


@pytest.fixture
def few(config: Settings, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(config, "guard_general", 20)
    return 20


async def knock(client: AsyncClient, count: int, path: str = "/login") -> list[int]:
    return [(await client.get(path)).status_code for _ in range(count)]


async def test_whoever_comes_too_often_waits(few: int, client_from: ClientOf) -> None:
    client = client_from()

    assert await knock(client, few) == [200] * few
    refused = await client.get("/login")

    assert refused.status_code == 429
    # Refused at the door, and yet answered like all others.
    assert refused.headers["x-request-id"]
    assert "default-src 'none'" in refused.headers["content-security-policy"]
    seconds = int(refused.headers["retry-after"])
    with clock.frozen(NOW + timedelta(seconds=seconds)):
        assert (await client.get("/login")).status_code == 200


async def test_people_behind_one_address_are_told_apart_by_their_sessions(
    few: int, client_from: ClientOf, alice: Actor, bob: Actor
) -> None:
    await knock(client_from(), few + 5)

    assert await knock(client_from(actor=alice), few, LOTS) == [200] * few
    assert await knock(client_from(actor=alice), 1, LOTS) == [429]
    assert await knock(client_from(actor=bob, is_browser=True), 3, "/") == [200] * 3
    assert await knock(client_from(), 1) == [429]


async def test_a_token_that_is_made_up_makes_nobody_somebody(few: int, client_from: ClientOf) -> None:
    client = client_from()
    for number in range(few):
        assert (await client.get(LOTS, headers={"Authorization": f"Bearer made-up-{number}"})).status_code == 401

    assert (await client.get(LOTS, headers={"Authorization": "Bearer made-up"})).status_code == 429


async def test_files_and_probes_are_free(few: int, client_from: ClientOf) -> None:
    client = client_from()
    await knock(client, few + 1)

    assert set(await knock(client, 30, "/healthz")) == {200}
    assert 429 not in await knock(client, 30, "/static/nothing.css")


async def test_processes_add_up_what_each_has_counted(few: int, app: FastAPI, config: Settings) -> None:
    one, other = Doorkeeper(config), Doorkeeper(config)
    key = keys.of_address(SOMEWHERE)
    assert [keeper.count(key) for keeper in (one, other) for _ in range(12)] == [0] * 24

    for keeper in (one, other):
        await keeper.tend()
    # Each learns of the others while it has something to add itself.
    one.count(key)
    await one.tend()

    assert one.count(key) > 0
    assert other.count(key) > 0
    assert one.count(keys.of_address(ELSEWHERE)) == 0
    with clock.frozen(NOW + timedelta(minutes=1)):
        assert one.count(key) > 0  # the window before is only just over
    with clock.frozen(NOW + timedelta(minutes=3)):
        assert one.count(key) == 0


async def test_what_is_not_much_is_not_written(app: FastAPI, config: Settings, session: AsyncSession) -> None:
    keeper = Doorkeeper(config)
    for _ in range(config.guard_general // 20 - 1):
        keeper.count(keys.of_address(SOMEWHERE))
    await keeper.tend()

    assert await session.scalar(sa.select(sa.func.count()).select_from(GuardCount)) == 0


def test_a_flood_of_addresses_does_not_fill_the_memory(config: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.guard.doorkeeper.MOST_KEYS", 100)
    keeper = Doorkeeper(config)
    for number in range(1000):
        keeper.count(f"address:{number}")
        keeper.strike(f"address:{number}")
        keeper.is_exempt(f"address:192.0.2.{number % 250}")

    assert len(keeper._mine) <= 100
    assert len(keeper._strikes) <= 100
    assert len(keeper._exempt) <= 100


def test_the_shortest_wait_is_a_second() -> None:
    assert limits.wait(Limit("test", 60), 1, 0, 0.5) >= 1
    assert math.isfinite(limits.wait(Limit("test", 60), 1, 1, 1))


async def test_mails_that_are_asked_for_are_limited_for_any_address(client_from: ClientOf) -> None:
    for email in ("alice@example.com", "nobody@example.com"):
        found = [
            (await client_from("127.0.0.1").post("/api/v1/auth/forgot", json={"email": email})).status_code
            for _ in range(6)
        ]
        assert found == [202] * 5 + [429], email
        page = await client_from("127.0.0.1", is_browser=True).post("/forgot", data={"email": email})
        assert page.status_code == 429


async def test_codes_are_limited_whichever_sign_in_they_are_for(
    client_from: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    client = client_from("127.0.0.1")
    found, token = [], ""
    for number in range(12):
        if number % 4 == 0:  # each sign-in takes five codes; whoever knows the password begins another one
            token = await challenges.ask(
                session, ChallengeKind.SECOND_FACTOR, user_id=alice.user_id, version=1, way="password", next="/"
            )
            await session.commit()
        answer = await client.post("/api/v1/auth/login/code", json={"challenge": token, "code": "000000"})
        found.append(answer.status_code)

    assert found == [401] * 10 + [429] * 2


async def test_whoever_has_only_the_session_cannot_guess_the_password(client_from: ClientOf, alice: Actor) -> None:
    client = client_from("127.0.0.1", alice)
    body = {"password": WRONG}
    found = [(await client.post("/api/v1/users/me/confirm", json=body)).status_code for _ in range(21)]

    assert found == [422] * 20 + [429]
