"""Bans: by address from what needs no signing in, by account from signing in; never from reading."""

from datetime import timedelta

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from models import GuardBan
from services import guard, pruning
from services.core import clock
from services.core.errors import InvalidInput, NotFound, PermissionDenied
from services.guard import Doorkeeper, bans, keys
from services.permissions import Account, Actor
from services.schemas.guard import BanCreate
from settings import Settings
from tests.conftest import HOUSEHOLD, NOW, PASSWORD, ClientOf
from tests.factories import make_lot
from tests.guard.conftest import ELSEWHERE, SOMEWHERE

RIGHT = {"email": "alice@example.com", "password": PASSWORD}


async def ban(session: AsyncSession, who: str, *, by: Account | None = None, minutes: int = 60) -> GuardBan:
    banned = await guard.ban(session, BanCreate(who=who, minutes=minutes, reason="Noise"), by=by)
    await session.commit()
    return banned


async def can_sign_in(client: AsyncClient) -> bool:
    answer = await client.post("/api/v1/auth/login", json=RIGHT)
    assert answer.status_code in {200, 429}
    return answer.status_code == 200


async def test_a_banned_address_locks_nobody_out_of_reading_who_is_signed_in(
    session: AsyncSession, keeper: Doorkeeper, client_from: ClientOf, alice: Actor, bob: Actor
) -> None:
    lot = await make_lot(session, alice)
    await session.commit()
    await ban(session, SOMEWHERE)
    await keeper.tend()

    # The whole site is behind this address: API clients, browsers, and whoever has not been seen before.
    for client in (client_from(actor=alice), client_from(actor=bob, is_browser=True)):
        for path in ("/", "/stock", f"/api/v1/households/{HOUSEHOLD}/lots", f"/stock/lots/{lot.id}"):
            if path.startswith("/api") or client.cookies:
                assert (await client.get(path)).status_code == 200
    used = await client_from(actor=alice).post(
        f"/api/v1/households/{HOUSEHOLD}/lots/{lot.id}/consume", json={"quantity": "1"}
    )
    assert used.status_code == 200
    # Nobody new comes in, and nobody without a session changes anything.
    assert not await can_sign_in(client_from())
    assert not await can_sign_in(client_from(actor=alice))
    for path in ("/api/v1/auth/register", "/do/guess", "/api/v1/households"):
        assert (await client_from().post(path, json={})).status_code == 429, path
    made_up = {"Authorization": "Bearer made up"}
    assert (await client_from().post("/api/v1/households", json={}, headers=made_up)).status_code == 429
    assert (await client_from().get("/invitations/guess")).status_code == 429
    # What only looks is harmless.
    assert (await client_from().get("/login")).status_code == 200
    # And it concerns nobody elsewhere.
    assert await can_sign_in(client_from(ELSEWHERE))


async def test_who_shows_a_refresh_token_is_signed_in(
    session: AsyncSession, keeper: Doorkeeper, client_from: ClientOf
) -> None:
    tokens = (await client_from(ELSEWHERE).post("/api/v1/auth/login", json=RIGHT)).json()
    await ban(session, SOMEWHERE)
    await keeper.tend()

    renewed = await client_from().post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})

    assert renewed.status_code == 200


async def test_a_ban_ends_by_itself(session: AsyncSession, keeper: Doorkeeper, client_from: ClientOf) -> None:
    await ban(session, SOMEWHERE, minutes=60)
    await keeper.tend()
    refused = await client_from().post("/api/v1/auth/login", json=RIGHT)

    assert int(refused.headers["retry-after"]) == pytest.approx(3600, abs=2)
    with clock.frozen(NOW + timedelta(minutes=61)):
        assert await can_sign_in(client_from())


async def test_an_ipv6_network_is_banned_as_one(
    session: AsyncSession, keeper: Doorkeeper, client_from: ClientOf
) -> None:
    await ban(session, "2001:db8:1:2::77")
    await keeper.tend()

    assert not await can_sign_in(client_from("2001:db8:1:2:ffff::1"))
    assert await can_sign_in(client_from("2001:db8:1:3::1"))


@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com"])
async def test_a_banned_account_cannot_sign_in_and_is_not_told_apart_from_none(
    email: str, session: AsyncSession, client_from: ClientOf, client_of: ClientOf, alice: Actor
) -> None:
    await ban(session, email)

    refused = await client_from("127.0.0.1").post("/api/v1/auth/login", json={**RIGHT, "email": email})

    assert refused.status_code == 429
    # Whoever is signed in already goes on.
    assert (await client_of(alice).get(f"/households/{HOUSEHOLD}/lots")).status_code == 200


async def test_whoever_goes_on_being_refused_is_banned_for_longer_each_time(
    session: AsyncSession, app: object, config: Settings
) -> None:
    keeper, key = Doorkeeper(config), keys.of_address(SOMEWHERE)
    lengths = []
    at = NOW
    for _ in range(9):
        with clock.frozen(at):
            for _ in range(19):
                keeper.strike(key)
            await keeper.tend()
            assert keeper.seconds_banned(key) == 0
            keeper.strike(key)
            await keeper.tend()
            seconds = keeper.seconds_banned(key)
            lengths.append(round(seconds / 60))
        at += timedelta(seconds=seconds, minutes=1)

    assert lengths == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]
    with clock.frozen(at + timedelta(days=2)):
        await pruning.prune()
        session.expire_all()
        assert await session.get(GuardBan, key) is None


async def test_refusals_are_what_one_is_banned_for(
    session: AsyncSession, keeper: Doorkeeper, client_from: ClientOf
) -> None:
    client = client_from()
    for number in range(30 + 20):
        await client.post("/api/v1/auth/login", json={"email": f"{number}@example.com", "password": "wrong pass 1"})
    await keeper.tend()

    (banned,) = await guard.list_bans(session)
    assert banned.key == keys.of_address(SOMEWHERE)
    assert banned.reason == "Refused 20 times within an hour."
    assert not await can_sign_in(client_from())


async def test_no_length_turns_bans_off(app: object, config: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "guard_ban", 0)
    keeper, key = Doorkeeper(config), keys.of_address(SOMEWHERE)
    for _ in range(50):
        keeper.strike(key)
    await keeper.tend()

    assert keeper.seconds_banned(key) == 0


async def test_what_is_exempt_cannot_be_banned(session: AsyncSession, sam: Actor) -> None:
    with pytest.raises(InvalidInput):
        await ban(session, "127.0.0.1", by=sam)


@pytest.mark.parametrize("who", ["", "nonsense", "300.1.1.1", "account:xyz", "address:nowhere", "fe80:::", "a\x00b"])
def test_what_is_nobody_cannot_be_banned(who: str) -> None:
    with pytest.raises(InvalidInput):
        bans.key_of(who)


async def test_a_superuser_is_banned_by_superusers_only(session: AsyncSession, alice: Actor, sam: Actor) -> None:
    for who in (sam.email, f" {sam.email.upper()}", keys.of_account(sam.email)):
        with pytest.raises(PermissionDenied):
            await guard.ban(session, BanCreate(who=who), by=alice)
    await guard.ban(session, BanCreate(who=sam.email), by=sam)


async def test_a_ban_is_lifted_with_all_that_was_counted(
    session: AsyncSession, keeper: Doorkeeper, client_from: ClientOf, sam: Actor
) -> None:
    for _ in range(31):
        await client_from().post("/api/v1/auth/login", json={**RIGHT, "email": "nobody@example.com"})
    await ban(session, SOMEWHERE, by=sam)
    await guard.unban(session, SOMEWHERE, by=sam)
    await session.commit()
    await keeper.tend()

    assert await can_sign_in(client_from())
    with pytest.raises(NotFound):
        await guard.unban(session, SOMEWHERE, by=sam)


async def test_a_socket_is_refused_like_a_request(
    session: AsyncSession, app: object, config: Settings, monkeypatch: pytest.MonkeyPatch, keeper: Doorkeeper
) -> None:
    monkeypatch.setattr(keeper, "allowed", 3)
    sent: list[str] = []
    scope = {
        "type": "websocket",
        "path": "/ws",
        "headers": [],
        "client": (SOMEWHERE, 1),
        "query_string": b"",
        "app": app,
    }

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"] + str(message.get("code", "")))

    for _ in range(4):
        await app(dict(scope), receive, send)  # type: ignore[operator]

    assert sent[-1] == "websocket.close1013"
    assert sent.count("websocket.close1013") == 1
