"""Messengers through apprise, in a process that can be killed and refuses to call what is private."""

import asyncio
import json

import pytest

from models import ChannelKind, DeliveryStatus
from services import deliveries
from services.delivery import service
from services.permissions import Actor
from tests.delivery.conftest import Configure, deliver, due_lot, get, make_channel, make_delivery
from tests.delivery.peers import HANG, HOST, http_peer, status

SERVICE = ChannelKind.SERVICE


async def test_a_digest_arrives_at_ntfy(configure: Configure, ann: Actor) -> None:
    async with http_peer() as peer:
        channel = await make_channel(ann, SERVICE, f"ntfy://{HOST}:{peer.port}/topic")
        delivery = await make_delivery(ann, SERVICE, channel, lots=[await due_lot(ann)])

        await deliver()

    (request,) = peer.requests
    told = json.loads(request.body)
    assert told["topic"] == "topic"
    assert told["title"] == "Milk"
    assert "Milk (2" in told["message"]
    assert (await get(delivery)).status is DeliveryStatus.SENT


async def test_one_process_sends_many(configure: Configure, ann: Actor) -> None:
    async with http_peer() as peer:
        channel = await make_channel(ann, SERVICE, f"gotify://{HOST}:{peer.port}/AbCdEf")
        ids = [await make_delivery(ann, SERVICE, channel) for _ in range(6)]

        await deliver()

    assert len(peer.requests) == 6
    assert {(await get(one)).status for one in ids} == {DeliveryStatus.SENT}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433"])
async def test_private_addresses_are_refused_by_whatever_connects(configure: Configure, ann: Actor, host: str) -> None:
    configure(outbound_allow="")
    async with http_peer() as peer:
        channel = await make_channel(ann, SERVICE, f"ntfy://{host}:{peer.port}/topic")
        delivery = await make_delivery(ann, SERVICE, channel)

        await deliver()

    found = await get(delivery)
    assert (found.status, found.last_error) == (DeliveryStatus.DEAD, "This address is on a private network.")
    assert peer.connections == 0


async def test_redirects_are_not_followed(configure: Configure, ann: Actor) -> None:
    lot = await due_lot(ann)
    async with http_peer() as elsewhere, http_peer(status(307, Location=elsewhere.url)) as peer:
        channel = await make_channel(ann, SERVICE, f"ntfy://{HOST}:{peer.port}/topic")
        delivery = await make_delivery(ann, SERVICE, channel, lots=[lot])

        await deliver()

    assert elsewhere.connections == 0
    assert (await get(delivery)).last_error == "The service did not take it."


async def test_one_that_hangs_is_killed_and_the_next_goes_on(
    configure: Configure, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = deliveries.LANES[SERVICE]
    # One courier, so that the second letter has to follow the first; long enough to start a process.
    monkeypatch.setitem(deliveries.LANES, SERVICE, deliveries.Lane(lane.sender, couriers=1, timeout=10))
    async with http_peer(HANG) as peer, http_peer() as next_peer:
        stuck = await make_channel(ann, SERVICE, f"ntfy://{HOST}:{peer.port}/topic?priority=high")
        good = await make_channel(ann, SERVICE, f"ntfy://{HOST}:{next_peer.port}/topic")
        first = await make_delivery(ann, SERVICE, stuck, lots=[await due_lot(ann)])
        second = await make_delivery(ann, SERVICE, good, lots=[await due_lot(ann)])

        await asyncio.wait_for(deliver(), 60)

    assert (await get(first)).status is DeliveryStatus.PENDING
    assert (await get(second)).status is DeliveryStatus.SENT


@pytest.mark.parametrize("address", ["tgram://nonsense", "slack://x", "discord://x", "pover://x", "gotify://host"])
async def test_an_address_the_service_does_not_understand_is_given_up(
    configure: Configure, ann: Actor, address: str
) -> None:
    delivery = await make_delivery(ann, SERVICE, await make_channel(ann, SERVICE, address), lots=[await due_lot(ann)])

    await deliver()

    found = await get(delivery)
    assert found.status is DeliveryStatus.DEAD
    assert found.last_error == "The service does not understand this address. Is it complete?"


async def test_the_process_knows_none_of_our_settings(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARDER_SECRET_KEY", "5ecret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")

    assert "5ecret" not in str(service._environment())
    assert "proxy.example" not in str(service._environment())
