"""What one is told and how one wants to hear of it, over the API."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import ChannelKind, DateKind, LiveKind, Notification, NotificationKind, Outbox, Preference
from services import households, sweep
from services.core import i18n
from services.permissions import Actor
from services.schemas.households import HouseholdCreate
from tests.conftest import HOUSEHOLD, NEXT_DOOR, TODAY, ClientOf
from tests.factories import make_lot, make_product

PREFERENCES = "/users/me/preferences"


@pytest.fixture
async def told(session: AsyncSession, alice: Actor) -> None:
    """Everybody at home is told of milk that is past its use-by, bread of today, eggs of tomorrow, and no salt."""
    await make_lot(session, alice, product="Milk", expires_on=TODAY - timedelta(days=1), date_kind=DateKind.USE_BY)
    await make_lot(session, alice, product="Bread", expires_on=TODAY, date_kind=DateKind.BEST_BEFORE)
    await make_lot(session, alice, product="Eggs", expires_on=TODAY + timedelta(days=1))
    await make_product(session, alice, name="Salt", unit="pack", min_quantity=2)
    await session.commit()
    await sweep.sweep()


async def names(client: AsyncClient, **query: Any) -> list[str]:
    found = await client.get("/notifications", params={"limit": 200, **query})
    assert found.status_code == 200, found.text
    return sorted(item["product"]["name"] for item in found.json()["items"])


async def unread(client: AsyncClient) -> int:
    return int((await client.get("/notifications/unread-count")).json()["count"])


@pytest.mark.usefixtures("told")
async def test_a_notification_says_what_about_what_and_where(client: AsyncClient) -> None:
    items = {item["product"]["name"]: item for item in (await client.get("/notifications")).json()["items"]}

    milk = items["Milk"]
    said = {
        "id",
        "kind",
        "household",
        "product",
        "lot_id",
        "message",
        "due_on",
        "title",
        "text",
        "created_at",
        "read_at",
    }
    assert said == set(milk)
    assert (milk["kind"], milk["household"]) == ("expired", {"id": str(HOUSEHOLD), "name": "Home"})
    assert (milk["due_on"], milk["read_at"]) == ("2026-11-21", None)
    assert milk["title"] == "Milk: past its use-by"
    assert milk["text"] == "Use by was 21 Nov 2026. Do not eat it any more"
    assert (items["Bread"]["title"], items["Bread"]["text"]) == ("Use Bread today", "Best before 22 Nov 2026")
    assert items["Eggs"]["title"] == "Use Eggs soon"
    assert (items["Salt"]["kind"], items["Salt"]["lot_id"]) == ("low_stock", None)
    assert items["Salt"]["text"] == "Less than 2\N{NO-BREAK SPACE}packs left"


@pytest.mark.usefixtures("told")
async def test_the_list_is_filtered_and_paged(client: AsyncClient) -> None:
    everything = ["Bread", "Eggs", "Milk", "Salt"]
    assert await names(client) == everything
    assert await names(client, kind="expired") == ["Milk"]

    paged: list[str] = []
    after = None
    for _ in everything:
        page = (await client.get("/notifications", params={"limit": 1, **({"after": after} if after else {})})).json()
        paged += [item["product"]["name"] for item in page["items"]]
        after = page["next"]
    assert (sorted(paged), after) == (everything, None)
    assert (await client.get("/notifications", params={"kind": "nonsense"})).status_code == 422


@pytest.mark.usefixtures("told")
async def test_reading_counts_down_on_every_device_of_ones_own(
    client: AsyncClient, client_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    (milk,) = (await client.get("/notifications", params={"kind": "expired"})).json()["items"]
    assert await unread(client) == 4

    for _ in range(2):
        read = await client.post(f"/notifications/{milk['id']}/read")
        assert (read.status_code, read.json()["id"], bool(read.json()["read_at"])) == (200, milk["id"], True)
    assert await unread(client) == 3
    assert await names(client, unread="true") == ["Bread", "Eggs", "Salt"]

    for _ in range(2):
        assert (await client.post("/notifications/read-all")).status_code == 204
    assert await unread(client) == 0
    assert await unread(client_of(bob)) == 4

    words = await session.execute(
        sa.select(col(Outbox.user_id), col(Outbox.subject_id)).where(col(Outbox.kind) == LiveKind.NOTIFICATIONS_READ)
    )
    assert [(user, subject and str(subject)) for user, subject in words] == [
        (alice.user_id, milk["id"]),
        (alice.user_id, None),
    ]


@pytest.mark.usefixtures("told")
async def test_what_others_were_told_is_not_there(
    client_of: ClientOf, alice: Actor, bob: Actor, charlie: Actor
) -> None:
    (milk,) = (await client_of(alice).get("/notifications", params={"kind": "expired"})).json()["items"]

    for other in (bob, charlie):
        assert (await client_of(other).post(f"/notifications/{milk['id']}/read")).status_code == 404
    assert await names(client_of(charlie)) == []
    assert await unread(client_of(alice)) == 4


@pytest.mark.usefixtures("told")
async def test_what_one_was_told_in_a_household_is_gone_with_it(
    session: AsyncSession, client_of: ClientOf, bob: Actor
) -> None:
    client = client_of(bob)
    (milk,) = (await client.get("/notifications", params={"kind": "expired"})).json()["items"]
    await households.remove_member(session, bob, bob.user_id)
    await session.commit()

    assert (await names(client), await unread(client)) == ([], 0)
    assert (await client.post(f"/notifications/{milk['id']}/read")).status_code == 404


# Preferences


async def test_preferences_have_defaults_and_are_said_anew(client: AsyncClient) -> None:
    usual = (await client.get(PREFERENCES)).json()
    everywhere = [channel.value for channel in ChannelKind]
    assert usual == {
        "household_id": str(HOUSEHOLD),
        "wanted": {
            "soon": everywhere,
            "today": everywhere,
            "expired": everywhere,
            "low_stock": ["in_app"],
            "mention": everywhere,
        },
        "soon_days": None,
        "digest_at": "08:00",
        "quiet_from": None,
        "quiet_until": None,
        "muted": [],
    }

    said = {
        "wanted": {"soon": [], "today": ["email", "in_app"]},
        "soon_days": 2,
        "digest_at": "18:30",
        "quiet_from": "22:00",
        "quiet_until": "06:45",
    }
    saved = await client.put(PREFERENCES, json=said)

    assert saved.status_code == 200
    wanted = {**usual["wanted"], "soon": [], "today": ["in_app", "email"]}
    assert saved.json() == {**usual, **said, "wanted": wanted} == (await client.get(PREFERENCES)).json()
    assert (await client.put(PREFERENCES, json={})).json() == usual


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"digest_at": "24:00"}, "digest_at"),
        ({"digest_at": "8"}, "digest_at"),
        ({"digest_at": 1440}, "digest_at"),
        ({"digest_at": True}, "digest_at"),
        ({"quiet_from": "22:00"}, "quiet_until"),
        ({"quiet_until": "22:00"}, "quiet_until"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "quiet_until"),
        ({"soon_days": -1}, "soon_days"),
        ({"wanted": {"soon": ["pigeon"]}}, "wanted.soon.0"),
        ({"wanted": []}, "wanted"),
    ],
)
async def test_preferences_say_which_field_is_wrong(client: AsyncClient, wrong: dict[str, Any], field: str) -> None:
    refused = await client.put(PREFERENCES, json=wrong)

    assert refused.status_code == 422
    assert {error["field"] for error in refused.json()["errors"]} == {field}


async def test_each_household_is_heard_of_in_its_own_way(
    client_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    cabin = await households.create_household(session, alice, HouseholdCreate(name="Cabin"))
    await session.commit()
    client = client_of(alice)

    there = await client.put(PREFERENCES, params={"household": str(cabin.id)}, json={"digest_at": "09:00"})

    assert there.json()["household_id"] == str(cabin.id)
    assert (await client.get(PREFERENCES, params={"household": str(cabin.id)})).json()["digest_at"] == "09:00"
    assert (await client.get(PREFERENCES)).json()["digest_at"] == "08:00"
    for strange in (str(NEXT_DOOR), "nonsense"):
        assert (await client.get(PREFERENCES, params={"household": strange})).status_code == 404
    assert len((await session.scalars(select(Preference))).all()) == 1


async def test_a_viewer_mutes_a_product_for_themselves(
    client_of: ClientOf, session: AsyncSession, alice: Actor, vera: Actor
) -> None:
    product = await make_product(session, alice, name="Yeast")
    await session.commit()
    mute = f"/households/{HOUSEHOLD}/products/{product.id}/mute"

    for _ in range(2):
        assert (await client_of(vera).put(mute)).status_code == 204
    assert (await client_of(vera).get(PREFERENCES)).json()["muted"] == [{"id": str(product.id), "name": "Yeast"}]
    assert (await client_of(alice).get(PREFERENCES)).json()["muted"] == []

    for _ in range(2):
        assert (await client_of(vera).delete(mute)).status_code == 204
    assert (await client_of(vera).get(PREFERENCES)).json()["muted"] == []


def test_every_kind_has_words(alice: Actor) -> None:
    i18n.use_locale("en-GB")
    told_otherwise = {NotificationKind.LOW_STOCK, NotificationKind.MENTION}
    assert set(sweep.KINDS.values()) | told_otherwise == set(NotificationKind)
    assert Notification(
        user_id=alice.user_id, household_id=HOUSEHOLD, kind=NotificationKind.SOON, product_id=HOUSEHOLD, due_on=TODAY
    ).in_app
