"""Channels and deliveries in the panel: to look at, without what is secret, and to try again."""

import json

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from models import Channel, ChannelKind, Delivery, DeliveryStatus
from services.permissions import Actor
from tests.admin.conftest import act
from tests.conftest import ClientOf

ADDRESSES = {
    ChannelKind.WEBHOOK: "https://hooks.example.com/5ecret",
    ChannelKind.SERVICE: "tgram://5ecret:token/1",
    ChannelKind.WEB_PUSH: json.dumps({"endpoint": "https://push.example.com/5ecret", "keys": {"auth": "5ecret"}}),
}


@pytest.mark.parametrize("kind", ADDRESSES, ids=str)
async def test_no_address_or_secret_is_shown(
    session: AsyncSession, browser_of: ClientOf, sam: Actor, alice: Actor, kind: ChannelKind
) -> None:
    channel = Channel(
        user_id=alice.user_id,
        kind=kind,
        label="Kitchen",
        address=ADDRESSES[kind],
        address_hash="5ecret",
        secret="5ecret",
    )
    session.add(channel)
    await session.commit()
    staff = browser_of(sam)

    pages = [
        await staff.get("/admin/channel/list"),
        await staff.get(f"/admin/channel/details/{channel.id}"),
        await staff.get("/admin/channel/export/csv"),
        await staff.get("/admin/channel/export/json"),
    ]

    for page in pages:
        assert page.status_code == 200
        assert "5ecret" not in page.text
    assert "Kitchen" in pages[0].text
    assert "…" in pages[0].text


async def dead(session: AsyncSession, actor: Actor) -> Delivery:
    delivery = Delivery(
        user_id=actor.user_id,
        channel=ChannelKind.EMAIL,
        template="test",
        status=DeliveryStatus.DEAD,
        attempts=10,
        last_error="The mail server answered 451.",
    )
    session.add(delivery)
    await session.commit()
    return delivery


async def test_what_was_given_up_is_tried_again(
    session: AsyncSession, browser_of: ClientOf, sam: Actor, alice: Actor
) -> None:
    delivery = await dead(session, alice)
    staff = browser_of(sam)

    assert "The mail server answered 451." in (await staff.get("/admin/delivery/list")).text
    assert (await act(staff, "delivery", "retry", str(delivery.id))).status_code == 303

    await session.refresh(delivery)
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.PENDING, 0)


@pytest.mark.parametrize(("pks", "status"), [("nonsense", 404), ("", 303)])
async def test_keys_of_nothing_change_nothing(browser_of: ClientOf, sam: Actor, pks: str, status: int) -> None:
    assert (await act(browser_of(sam), "delivery", "retry", *([pks] if pks else []))).status_code == status


async def test_nobody_else_may_look_or_try(
    session: AsyncSession, browser_of: ClientOf, alice: Actor, sam: Actor
) -> None:
    delivery = await dead(session, alice)

    for path in ("channel/list", "delivery/list"):
        assert (await browser_of(alice).get(f"/admin/{path}")).status_code == 403
    assert (await act(browser_of(alice), "delivery", "retry", str(delivery.id))).status_code == 403
    sent = {"pks": str(delivery.id), "sure": "yes"}
    cross_site = {"Sec-Fetch-Site": "cross-site"}
    answer = await browser_of(sam).post("/admin/delivery/action/retry", data=sent, headers=cross_site)
    assert answer.status_code == 403
    await session.refresh(delivery)
    assert delivery.status is DeliveryStatus.DEAD


async def test_nothing_is_made_or_changed_there(browser_of: ClientOf, sam: Actor) -> None:
    for view in ("channel", "delivery"):
        assert (await browser_of(sam).post(f"/admin/{view}/create", data={})).status_code == 403
