"""Webhooks: signed JSON, posted to where they were meant to go and to nowhere else."""

import hmac
import json
from datetime import timedelta
from hashlib import sha256

import pytest

from models import ChannelKind, DeliveryStatus
from services.permissions import Actor
from tests.conftest import NOW, TODAY
from tests.delivery.certificates import NAME, resolve
from tests.delivery.conftest import Configure, channel_of, deliver, due_lot, get, make_channel, make_delivery
from tests.delivery.peers import http_peer, huge, ok, status

HOOK = ChannelKind.WEBHOOK


async def test_a_digest_is_versioned_json_with_a_signature(configure: Configure, ann: Actor) -> None:
    async with http_peer() as peer:
        lot = await due_lot(ann)
        delivery = await make_delivery(ann, HOOK, await make_channel(ann, HOOK, peer.url, secret="s3cret"), lots=[lot])

        await deliver()

    (request,) = peer.requests
    assert (request.method, request.path) == ("POST", "/hook")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["larder-delivery"] == str(delivery)
    timestamp, _comma, signature = request.headers["larder-signature"].partition(",")
    assert timestamp == f"t={int(NOW.timestamp())}"
    signed = timestamp.removeprefix("t=").encode() + b"." + request.body
    assert signature == "v1=" + hmac.new(b"s3cret", signed, sha256).hexdigest()

    told = json.loads(request.body)
    assert (told["version"], told["id"], told["type"]) == (1, str(delivery), "digest")
    assert told["household"] == {"id": str(ann.household_id), "name": "Home"}
    assert told["data"]["day"] == TODAY.isoformat()
    (item,) = told["data"]["items"]
    assert (item["kind"], item["product"]["name"], item["lot"]["id"]) == ("soon", "Milk", str(lot.id))
    assert "/do/" not in request.body.decode()


async def test_a_test_belongs_to_no_household(configure: Configure, ann: Actor) -> None:
    async with http_peer() as peer:
        await make_delivery(ann, HOOK, await make_channel(ann, HOOK, peer.url))
        await deliver()

    told = json.loads(peer.requests[0].body)
    assert (told["type"], told["household"]) == ("test", None)


@pytest.mark.parametrize(
    ("answer", "outcome", "why"),
    [
        (status(204), DeliveryStatus.SENT, ""),
        (status(201), DeliveryStatus.SENT, ""),
        (huge(4), DeliveryStatus.SENT, ""),
        (status(404), DeliveryStatus.PENDING, "It answered 404."),
        (status(410), DeliveryStatus.PENDING, "It answered 410."),
        (status(500), DeliveryStatus.PENDING, "It answered 500."),
        (
            status(302, Location="http://127.0.0.1:1/"),
            DeliveryStatus.DEAD,
            "It sends us elsewhere, where we do not follow.",
        ),
        (b"garbage, not HTTP\r\n\r\n", DeliveryStatus.PENDING, "It cannot be reached."),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, DeliveryStatus.PENDING, "It cannot be reached."),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else None,
)
async def test_what_an_answer_means(
    configure: Configure, ann: Actor, answer: bytes, outcome: DeliveryStatus, why: str
) -> None:
    lot = await due_lot(ann)
    async with http_peer(answer) as peer:
        channel = await make_channel(ann, HOOK, peer.url)
        delivery = await make_delivery(ann, HOOK, channel, lots=[lot])

        await deliver()

    found = await get(delivery)
    assert (found.status, found.last_error) == (outcome, why)
    assert await channel_of(channel) is not None
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", timedelta(minutes=2)),
        ("Sun, 22 Nov 2026 11:30:00 GMT", timedelta(hours=1)),
        ("999999999", timedelta(days=1)),
    ],
)
async def test_who_asks_for_patience_gets_it(configure: Configure, ann: Actor, value: str, wait: timedelta) -> None:
    lot = await due_lot(ann)
    async with http_peer(status(429, Retry_After=value), ok()) as peer:
        delivery = await make_delivery(ann, HOOK, await make_channel(ann, HOOK, peer.url), lots=[lot])

        await deliver()

        assert (await get(delivery)).next_attempt_at == NOW + wait
        assert await deliver(wait - timedelta(seconds=1)) == "0 tried"


@pytest.mark.parametrize("value", ["soon", "-5", "", "1" * 400, "Sun, 99 Foo"])
async def test_patience_that_makes_no_sense_is_ours_to_choose(configure: Configure, ann: Actor, value: str) -> None:
    lot = await due_lot(ann)
    async with http_peer(status(503, Retry_After=value)) as peer:
        delivery = await make_delivery(ann, HOOK, await make_channel(ann, HOOK, peer.url), lots=[lot])

        await deliver()

    assert NOW + timedelta(seconds=40) < (await get(delivery)).next_attempt_at < NOW + timedelta(seconds=80)


async def test_a_private_address_is_not_called_and_its_message_given_up(
    configure: Configure, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(outbound_allow="")
    resolve(monkeypatch, {NAME: ["127.0.0.1"]})
    async with http_peer() as peer:
        for host in ("127.0.0.1", "localhost", NAME, "2130706433"):
            channel = await make_channel(ann, HOOK, f"http://{host}:{peer.port}/")
            delivery = await make_delivery(ann, HOOK, channel, lots=[await due_lot(ann)])
            await deliver()
            found = await get(delivery)
            assert (found.status, found.last_error) == (DeliveryStatus.DEAD, "This address is on a private network.")

    assert peer.connections == 0


async def test_what_went_wrong_tells_no_secret(configure: Configure, ann: Actor) -> None:
    """Addresses hold tokens, so no failure may repeat one."""
    for address in ("http://127.0.0.1:1/token-5ecret", "http://5ecret.invalid/", "http://[5ecret", "5ecret", "http://"):
        channel = await make_channel(ann, HOOK, address, secret="5ecret")
        delivery = await make_delivery(ann, HOOK, channel, lots=[await due_lot(ann)])
        await deliver()
        held = await channel_of(channel)
        assert held is not None
        assert held.last_error
        assert "5ecret" not in held.last_error + (await get(delivery)).last_error
