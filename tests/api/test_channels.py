"""Channels in the JSON API: one's own, checked at the field, their addresses never shown again."""

import base64
import os
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import Channel, Delivery, DeliveryStatus, Job
from services import channels, deliveries
from services.core import clock
from services.delivery import vapid
from services.permissions import Actor
from settings import Settings
from tests.conftest import NOW, ClientOf

ADDRESS = "/users/me/channels"
HOOK = {"kind": "webhook", "address": "https://hooks.example.com/larder/5ecret-token", "label": "Home Assistant"}
NTFY = {"kind": "service", "address": "ntfy://ntfy.example.com/5ecret-topic"}


def subscription(endpoint: str = "https://push.example.com/5ecret/1", **changes: Any) -> dict[str, Any]:
    point = vapid.public(vapid.make())
    auth = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
    keys = {"p256dh": point, "auth": auth, **changes}
    return {"kind": "web_push", "label": "Phone", "subscription": {"endpoint": endpoint, "keys": keys}}


async def test_a_webhook_shows_its_secret_once_and_its_address_never(client: AsyncClient) -> None:
    made = await client.post(ADDRESS, json=HOOK)

    assert made.status_code == 201, made.text
    assert len(made.json()["secret"]) >= 40
    assert made.json()["address"] == "https://hooks.example.com/…"
    assert made.json()["label"] == "Home Assistant"
    listed = (await client.get(ADDRESS)).json()["items"]
    one = (await client.get(f"{ADDRESS}/{made.json()['id']}")).json()
    assert listed == [one]
    assert "secret" not in one
    assert "5ecret" not in str([made.json(), listed])


async def test_a_service_is_known_by_its_scheme_alone(client: AsyncClient) -> None:
    """What stands in the host's place is a token for some."""
    telegram = {"kind": "service", "address": "tgram://123456789:5ecret-bot-token/12345"}
    for body, shown in ((NTFY, "ntfy://…"), (telegram, "tgram://…")):
        made = await client.post(ADDRESS, json=body)
        assert (made.status_code, made.json()["address"], made.json()["secret"]) == (201, shown, None)


async def test_it_is_renamed_and_removed(client: AsyncClient) -> None:
    channel = f"{ADDRESS}/{(await client.post(ADDRESS, json=HOOK)).json()['id']}"

    renamed = await client.patch(channel, json={"label": "Kitchen"})
    assert renamed.json()["label"] == "Kitchen"
    assert (await client.patch(channel, json={"label": "x" * 101})).status_code == 422
    assert (await client.delete(channel)).status_code == 204
    assert (await client.get(channel)).status_code == 404


async def test_the_same_one_twice_is_a_conflict_and_ten_are_enough(client: AsyncClient) -> None:
    assert (await client.post(ADDRESS, json=HOOK)).status_code == 201
    assert (await client.post(ADDRESS, json=HOOK)).json()["code"] == "duplicate"
    for index in range(channels.MAX_CHANNELS - 1):
        body = {**HOOK, "address": f"https://hooks.example.com/{index}"}
        assert (await client.post(ADDRESS, json=body)).status_code == 201
    assert (await client.post(ADDRESS, json=NTFY)).status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "webhook"}, "address"),
        ({"kind": "webhook", "address": ""}, "address"),
        ({"kind": "webhook", "address": "hooks.example.com"}, "address"),
        ({"kind": "webhook", "address": "http://hooks.example.com/"}, "address"),
        ({"kind": "webhook", "address": "ftp://hooks.example.com/"}, "address"),
        ({"kind": "webhook", "address": "file:///etc/passwd"}, "address"),
        ({"kind": "webhook", "address": "https:///path"}, "address"),
        ({"kind": "webhook", "address": "https://hooks.example.com:99999/"}, "address"),
        ({"kind": "webhook", "address": "https://[::1"}, "address"),
        ({"kind": "webhook", "address": "https://ann:pass@hooks.example.com/"}, "address"),
        ({"kind": "webhook", "address": "https://hooks.example.com/#part"}, "address"),
        ({"kind": "webhook", "address": "https://hooks.example.com/\r\nX: y"}, "address"),
        ({"kind": "webhook", "address": "https://127.0.0.1/"}, "address"),
        ({"kind": "webhook", "address": "https://2130706433/"}, "address"),
        ({"kind": "webhook", "address": "https://0x7f.1/"}, "address"),
        ({"kind": "webhook", "address": "https://[::ffff:10.0.0.1]/"}, "address"),
        ({"kind": "webhook", "address": "https://169.254.169.254/latest/meta-data"}, "address"),
        ({"kind": "webhook", "address": "https://example.com/" + "x" * 2000}, "address"),
        ({"kind": "service", "address": "ntfy.example.com"}, "address"),
        ({"kind": "service", "address": "ntfy://"}, "address"),
        ({"kind": "service", "address": "mailto://ann:pass@example.com"}, "address"),
        ({"kind": "service", "address": "json://example.com"}, "address"),
        ({"kind": "service", "address": "syslog://"}, "address"),
        ({"kind": "service", "address": "dbus://"}, "address"),
        ({"kind": "service", "address": "gotify://10.0.0.1/token"}, "address"),
        ({"kind": "service", "address": "ntfy://[::1]/topic"}, "address"),
        ({"kind": "service", "address": "slack://a/b/c?template=/etc/passwd"}, "address"),
        ({"kind": "service", "address": "ntfy://topic?attach=http://10.0.0.1/"}, "address"),
        ({"kind": "service", "address": "ntfy://topic?rto=100000"}, "address"),
        ({"kind": "service", "address": "ntfy://topic?redirect=yes"}, "address"),
        ({"kind": "web_push"}, "subscription"),
        ({"kind": "web_push", "subscription": {"endpoint": "https://x.example"}}, "subscription.keys"),
        (subscription("http://push.example.com/1"), "subscription.endpoint"),
        (subscription("https://10.0.0.1/1"), "subscription.endpoint"),
        (subscription(p256dh="AAAA"), "subscription.keys.p256dh"),
        (subscription(p256dh="ü"), "subscription.keys.p256dh"),
        (subscription(auth="AAAA"), "subscription.keys.auth"),
        (subscription(auth="A"), "subscription.keys.auth"),
        ({"kind": "email", "address": "ann@example.com"}, "kind"),
        ({"kind": "in_app"}, "kind"),
        ({}, "kind"),
        ({**HOOK, "label": "a\x00b"}, "label"),
    ],
    ids=lambda value: str(value)[:70] if isinstance(value, dict) else None,
)
async def test_what_cannot_be_one_is_refused_at_its_field(
    client: AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await client.post(ADDRESS, json=body)

    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer.json()["detail"]


async def test_what_the_operator_allows_may_be_private_and_without_tls(
    client: AsyncClient, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "outbound_allow", "10.0.0.5, hub.lan")

    for address, status in (
        ("http://10.0.0.5:8123/hook", 201),
        ("http://hub.lan/hook", 201),
        ("http://10.0.0.6/hook", 422),
        ("http://hub.lan.example.com/hook", 422),
    ):
        answer = await client.post(ADDRESS, json={"kind": "webhook", "address": address})
        assert answer.status_code == status, address


async def test_a_browser_that_subscribes_again_is_the_same_channel(client: AsyncClient, session: AsyncSession) -> None:
    assert (await client.post(ADDRESS, json=subscription())).json()["address"] == "https://push.example.com/…"
    assert (await client.post(ADDRESS, json=subscription())).status_code == 201

    assert len((await session.scalars(select(Channel))).all()) == 1


async def test_a_browser_belongs_to_who_is_signed_in_there_now(
    client: AsyncClient, client_of: ClientOf, bob: Actor
) -> None:
    await client.post(ADDRESS, json=subscription())

    assert (await client_of(bob).post(ADDRESS, json=subscription())).status_code == 201

    assert (await client.get(ADDRESS)).json()["items"] == []


async def test_others_have_no_such_channel_or_message(
    client: AsyncClient, client_of: ClientOf, bob: Actor, session: AsyncSession
) -> None:
    channel = (await client.post(ADDRESS, json=HOOK)).json()["id"]
    delivery = (await client.post(f"{ADDRESS}/{channel}/test")).json()["id"]
    theirs = client_of(bob)

    assert (await theirs.get(ADDRESS)).json()["items"] == []
    for answer in (
        await theirs.get(f"{ADDRESS}/{channel}"),
        await theirs.patch(f"{ADDRESS}/{channel}", json={"label": "mine"}),
        await theirs.delete(f"{ADDRESS}/{channel}"),
        await theirs.post(f"{ADDRESS}/{channel}/test"),
        await theirs.get(f"/users/me/deliveries/{delivery}"),
    ):
        assert answer.status_code == 404, answer.text
    assert (await client.get(f"{ADDRESS}/{channel}")).json()["label"] == "Home Assistant"
    assert (await client_of(None).get(ADDRESS)).status_code == 401


async def test_a_test_is_a_message_on_its_way(client: AsyncClient, session: AsyncSession) -> None:
    channel = (await client.post(ADDRESS, json=HOOK)).json()["id"]

    asked = await client.post(f"{ADDRESS}/{channel}/test")
    again = await client.post(f"{ADDRESS}/{channel}/test")

    assert asked.status_code == 202
    assert again.json()["id"] == asked.json()["id"]
    assert (asked.json()["status"], asked.json()["channel"], asked.json()["template"]) == ("pending", "webhook", "test")
    assert (await client.get(f"/users/me/deliveries/{asked.json()['id']}")).json() == asked.json()
    assert (await session.scalars(select(Job.task))).all() == ["deliver"]


async def test_e_mail_can_be_tested_without_a_channel_but_not_all_day(
    client: AsyncClient, session: AsyncSession
) -> None:
    for _ in range(channels.MAX_TESTS):
        asked = await client.post(f"{ADDRESS}/email/test")
        assert (asked.status_code, asked.json()["channel_id"]) == (202, None)
        (await session.get_one(Delivery, UUID(asked.json()["id"]))).status = DeliveryStatus.SENT
        await session.commit()

    refused = await client.post(f"{ADDRESS}/email/test")
    assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)
    with clock.frozen(NOW + deliveries.TEST_MEMORY * 2):
        assert (await client.post(f"{ADDRESS}/email/test")).status_code == 202


async def test_the_push_key_is_told_where_there_is_one(
    client: AsyncClient, client_of: ClientOf, config: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(vapid, "PATH", tmp_path / "none.pem")
    assert (await client.get("/push/key")).status_code == 404

    key = vapid.make()
    monkeypatch.setattr(config, "vapid_private_key", SecretStr(vapid.private(key)))
    assert (await client.get("/push/key")).json() == {"key": vapid.public(key)}
    assert (await client_of(None).get("/push/key")).status_code == 401
