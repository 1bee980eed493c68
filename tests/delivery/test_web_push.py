"""Web push: only the browser can read it, and a browser that is gone is forgotten."""

import base64
import json
import os
from datetime import timedelta
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02
from pydantic import SecretStr

from models import ChannelKind, DeliveryStatus
from services.delivery import vapid
from services.permissions import Actor
from tests.conftest import NOW
from tests.delivery.conftest import Configure, channel_of, deliver, due_lot, find, get, make_channel, make_delivery
from tests.delivery.peers import HOST, http_peer, ok, status

PUSH = ChannelKind.WEB_PUSH
KEY = vapid.private(vapid.make())


class Browser:
    """What a browser keeps of its subscription."""

    def __init__(self, endpoint: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)
        self.endpoint = endpoint

    @property
    def subscription(self) -> dict[str, Any]:
        point = base64.urlsafe_b64decode(vapid.public(self.key) + "=")
        keys = {"p256dh": point, "auth": self.auth}
        encoded = {name: base64.urlsafe_b64encode(value).decode().rstrip("=") for name, value in keys.items()}
        return {"endpoint": self.endpoint, "keys": encoded}

    def read(self, body: bytes) -> dict[str, Any]:
        plain = http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        told: dict[str, Any] = json.loads(plain)
        return told


@pytest.fixture
def instance(configure: Configure) -> None:
    configure(vapid_private_key=SecretStr(KEY), base_url="https://larder.example.org")


async def subscribe(ann: Actor, port: int) -> tuple[Browser, Any]:
    browser = Browser(f"http://{HOST}:{port}/push/abc")
    return browser, await make_channel(ann, PUSH, json.dumps(browser.subscription))


@pytest.mark.usefixtures("instance")
async def test_only_the_browser_can_read_what_was_sent(ann: Actor) -> None:
    async with http_peer(status(201)) as peer:
        browser, channel = await subscribe(ann, peer.port)
        delivery = await make_delivery(ann, PUSH, channel, lots=[await due_lot(ann)])

        await deliver()

    (request,) = peer.requests
    assert b"Milk" not in request.body
    told = browser.read(request.body)
    assert told["title"] == "Milk"
    assert told["body"].startswith("Milk (2")
    assert told["url"] == "https://larder.example.org/"
    assert [action["action"] for action in told["actions"]] == ["used", "frozen"]
    assert told["actions"][0]["url"].startswith("https://larder.example.org/do/")
    assert len(request.body) <= 4096
    assert request.headers["content-encoding"] == "aes128gcm"
    assert request.headers["topic"] == delivery.hex
    assert len(request.headers["topic"]) <= 32
    assert int(request.headers["ttl"]) > 0
    assert Vapid02.verify(request.headers["authorization"])
    claims, key = request.headers["authorization"].removeprefix("vapid t=").split(",k=")
    assert key == vapid.public(vapid.load(KEY))
    claimed = json.loads(base64.urlsafe_b64decode(claims.split(".")[1] + "=="))
    assert claimed["aud"] == f"http://{HOST}:{peer.port}"
    assert claimed["sub"] == "https://larder.example.org"
    assert NOW.timestamp() < claimed["exp"] <= NOW.timestamp() + 24 * 3600
    assert (await get(delivery)).status is DeliveryStatus.SENT


@pytest.mark.usefixtures("instance")
async def test_a_long_digest_still_fits(ann: Actor) -> None:
    async with http_peer() as peer:
        browser, channel = await subscribe(ann, peer.port)
        lots = [await due_lot(ann, f"{index} " + "ü" * 90) for index in range(30)]
        await make_delivery(ann, PUSH, channel, lots=lots)

        await deliver()

    assert len(peer.requests[0].body) <= 4096
    told = browser.read(peer.requests[0].body)
    assert told["title"].endswith("and 27 more")
    assert told["actions"] == []


@pytest.mark.usefixtures("instance")
@pytest.mark.parametrize("code", [404, 410])
async def test_a_browser_that_is_gone_is_forgotten(ann: Actor, code: int) -> None:
    async with http_peer(status(code)) as peer:
        _browser, channel = await subscribe(ann, peer.port)
        delivery = await make_delivery(ann, PUSH, channel)
        waiting = await make_delivery(ann, PUSH, channel, next_attempt_at=NOW + timedelta(hours=1))

        await deliver()

    assert await channel_of(channel) is None
    assert (await find(delivery), await find(waiting)) == (None, None)


@pytest.mark.usefixtures("instance")
@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (400, DeliveryStatus.DEAD),
        (403, DeliveryStatus.DEAD),
        (413, DeliveryStatus.DEAD),
        (429, DeliveryStatus.PENDING),
        (500, DeliveryStatus.PENDING),
        (503, DeliveryStatus.PENDING),
        (301, DeliveryStatus.DEAD),
    ],
)
async def test_what_an_answer_means(ann: Actor, code: int, outcome: DeliveryStatus) -> None:
    lot = await due_lot(ann)
    async with http_peer(status(code, Retry_After="600"), ok()) as peer:
        _browser, channel = await subscribe(ann, peer.port)
        delivery = await make_delivery(ann, PUSH, channel, lots=[lot])

        await deliver()

    found = await get(delivery)
    assert found.status is outcome
    if outcome is DeliveryStatus.PENDING:
        assert found.next_attempt_at == NOW + timedelta(minutes=10)
    assert await channel_of(channel) is not None


async def test_without_a_key_it_waits_for_the_operator(
    configure: Configure, ann: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(vapid, "PATH", tmp_path / "none.pem")
    lot = await due_lot(ann)
    async with http_peer() as peer:
        _browser, channel = await subscribe(ann, peer.port)
        delivery = await make_delivery(ann, PUSH, channel, lots=[lot])

        await deliver()

    found = await get(delivery)
    assert found.status is DeliveryStatus.PENDING
    assert "oppman.py vapid" in found.last_error
    assert peer.connections == 0


class TestKey:
    def test_is_read_back_also_from_one_line(self) -> None:
        key = vapid.make()

        again = vapid.load(vapid.private(key).replace("\n", "\\n"))

        assert vapid.public(again) == vapid.public(key)
        assert len(base64.urlsafe_b64decode(vapid.public(key) + "=")) == 65

    @pytest.mark.parametrize("wrong", ["", "key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
    def test_that_is_none_is_refused(self, wrong: str) -> None:
        with pytest.raises(ValueError, match=r".+"):
            vapid.load(wrong)

    def test_is_kept_for_its_owner_alone(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        monkeypatch.setattr(vapid, "VAR", tmp_path / "var")
        monkeypatch.setattr(vapid, "PATH", tmp_path / "var" / "vapid.pem")

        vapid.keep(vapid.make())

        assert (tmp_path / "var" / "vapid.pem").stat().st_mode & 0o777 == 0o600
