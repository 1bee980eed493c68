"""Sam at the panel, with something in every table."""

from collections.abc import Callable
from decimal import Decimal

import pytest_asyncio
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import (
    ApiKey,
    CatalogueItem,
    CatalogueSource,
    Category,
    Channel,
    ChannelKind,
    Delivery,
    DictionaryEntry,
    Endpoint,
    JobRun,
    Membership,
    MenuItem,
    MenuKind,
    Passkey,
    Role,
    Unit,
    UnitKind,
)
from services.permissions import Actor
from tests.conftest import HOUSEHOLD
from tests.doors import make_one_of_each
from tests.pages import html

Rows = dict[str, str]


async def fill_in(panel: AsyncClient, address: str, **values: str) -> Response:
    """Send the form at an address, with some of its fields filled in anew."""
    form = form_of(await panel.get(address))
    off = {
        box.attrs["name"]: "false"
        for box in form.all("input", type="checkbox")
        if "name" in box.attrs and "checked" not in box.attrs
    }
    return await panel.post(address, data={**form.values, **off, **values, "save": "Save"})


async def act(panel: AsyncClient, table: str, what: str, *rows: str, **values: str) -> Response:
    """Do something with rows, and be sure."""
    sent = {"pks": [str(row) for row in rows], "sure": "yes", **values}
    return await panel.post(f"/admin/{table}/action/{what}", data=sent)


async def delete(panel: AsyncClient, table: str, *rows: object) -> Response:
    return await panel.post(f"/admin/{table}/delete", data={"pks": [str(row) for row in rows], "sure": "yes"})


def form_of(answer: Response) -> html.Element:
    """What one fills in, beside what is on every page."""
    (form,) = [found for found in html.read(answer.text).one("main").all("form") if found.attrs.get("role") != "search"]
    return form


def errors_of(answer: Response) -> dict[str, str]:
    """What a form says is wrong, by field; `""` for the whole of it."""
    assert answer.status_code == 422, answer.status_code
    return form_of(answer).errors


def assert_done(answer: Response, to: str = "") -> None:
    assert answer.status_code == 303, answer.text
    assert to in answer.headers["location"]


@pytest_asyncio.fixture
async def panel(browser_of: Callable[..., AsyncClient], sam: Actor) -> AsyncClient:
    return browser_of(sam)


@pytest_asyncio.fixture
async def rows(session: AsyncSession, alice: Actor, bob: Actor) -> Rows:
    """The id of a row of each table of the panel."""
    item = CatalogueItem(
        gtin="04006381333931", name="Oat drink", name_key="oat drink", source=CatalogueSource.STAFF, energy_kcal=None
    )
    category = Category(name="Moon cheese", name_key="moon cheese")
    unit = Unit(code="crate", name="crate", plural="crates", kind=UnitKind.COUNT, factor=Decimal(12))
    channel = Channel(
        user_id=bob.user_id, kind=ChannelKind.WEBHOOK, address="https://hook.example/in", address_hash="-", secret="-"
    )
    delivery = Delivery(user_id=bob.user_id, channel=ChannelKind.EMAIL, template="test")
    run = JobRun(task="sweep")
    key = ApiKey(user_id=bob.user_id, name="Scale", prefix="lk_abcd", key_hash="5ecret")
    passkey = Passkey(user_id=bob.user_id, credential_id="5ecret", public_key=b"5ecret", name="Phone")
    endpoint = Endpoint(method="GET", path="/stock", permission="stock:list", summary="What there is")
    entry = MenuItem(code="people.cats", kind=MenuKind.ENTRY, label="Cats", path="/admin/cat/list")
    choice = DictionaryEntry(kind="store", value="corner_shop", label="Corner shop")
    session.add_all([item, category, unit, channel, delivery, run, key, passkey, endpoint, entry, choice])
    made = await make_one_of_each(session, alice)
    membership = await session.scalars(
        select(Membership.id).where(Membership.household_id == HOUSEHOLD, col(Membership.role) == Role.MEMBER)
    )
    await session.commit()
    ids = {
        "user": bob.user_id,
        "household": HOUSEHOLD,
        "membership": membership.one(),
        "user-session": bob.session_id,
        "api-key": key.id,
        "passkey": passkey.id,
        "endpoint": endpoint.id,
        "menu-item": entry.id,
        "dictionary-entry": choice.id,
        "category": category.id,
        "unit": unit.id,
        "catalogue-item": item.id,
        "product": made["product_id"],
        "lot": made["lot_id"],
        "event": made["event_id"],
        "channel": channel.id,
        "delivery": delivery.id,
        "job-run": run.id,
    }
    return {name: str(value) for name, value in ids.items()}
