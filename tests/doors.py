"""A right request to every route that takes an id or acts in a household."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import (
    CatalogueItem,
    CatalogueSource,
    ChannelKind,
    Event,
    ExternalIdentity,
    LocationKind,
    LotPhoto,
    MonitoredRequest,
    Notification,
    NotificationKind,
    Passkey,
    Problem,
    StaffRole,
)
from routes import api, deps, live, pages, staff, uploads
from routes.api.routers import PREFIX
from routes.table import list_routes
from services import api_keys, categories, channels, chats, feeds, households, products, units
from services.core import clock
from services.permissions import Actor
from services.schemas.accounts import ApiKeyCreate, Scope
from services.schemas.channels import ChannelCreate
from services.schemas.chats import ChatCreate
from services.schemas.households import InvitationCreate
from services.schemas.products import ConversionCreate
from services.schemas.words import CategoryCreate, UnitCreate
from tests import samples
from tests.factories import make_file, make_lot, make_message, make_product, place_of

Ids = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Door:
    """One method of one route."""

    name: str
    method: str
    path: str
    takes_files: bool = False

    @property
    def is_api(self) -> bool:
        return self.path.startswith(PREFIX)

    @property
    def keys(self) -> set[str]:
        return set(re.findall(r"{(\w+)[}:]", self.path))

    def address(self, ids: Ids) -> str:
        return f"http://localhost{self.path.replace(':path}', '}').format_map(ids)}"

    async def knock(self, client: AsyncClient, ids: Ids) -> Response:
        address = self.address(ids)
        if self.method == "GET" or (self.method == "DELETE" and self.name not in BODIES):
            return await client.request(self.method, address)
        body = {name: value.format_map(ids) for name, value in BODIES.get(self.name, {}).items()}
        if self.takes_files:
            return await client.request(self.method, address, data=body, files={"file": ("a.png", samples.picture())})
        if self.is_api:
            sent: Any = {"items": [body]} if self.name in BULK else {**body, **DOCUMENTS.get(self.name, {})}
            return await client.request(self.method, address, json=sent)
        form = {name: value.format_map(ids) for name, value in FORMS.get(self.name, {}).items()}
        return await client.request(self.method, address, data={**body, **form})

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


# Routes that take files look up who sends them in the same ways.
ALIKE: dict[Any, Any] = {
    uploads._account: deps._account,
    uploads._actor: deps._actor,
    uploads._staff: deps._staff,
}


def calls_of(dependant: Any) -> Iterator[Any]:
    """All that a route asks for, and what that asks for."""
    for inner in getattr(dependant, "dependencies", []):
        yield ALIKE.get(inner.call, inner.call)
        yield from calls_of(inner)


DOORS = sorted(
    (
        Door(route.name, method, route.path, uploads.asks_for_files(route.dependant))
        for router in (*api.ROUTERS, live.ticket_router, *pages.ROUTERS)
        for route in list_routes(router)
        for method in route.methods
    ),
    key=str,
)
STAFF_DOORS = sorted(
    (
        Door(route.name, method, route.path, uploads.asks_for_files(route.dependant))
        for router in staff.ROUTERS
        for route in list_routes(router)
        for method in route.methods
    ),
    key=str,
)
# Where something else is asked than who somebody is.
OTHER_DOORS = {
    "files:content",
    "health:alive",
    "health:metrics",
    "health:ready",
    "live:socket",
    "openapi",
    "_docs",
    "static:service_worker",
}
BULK = {"stock:add_bulk", "products:create_bulk"}
# What a request needs to be right; ids are filled in.
BODIES: dict[str, dict[str, str]] = {
    "passkeys:rename": {"name": "Tablet"},
    "channels:add": {"kind": "webhook", "address": "https://hooks.example.com/larder"},
    "channels:rename": {"label": "Kitchen"},
    "categories:create": {"name": "Kimchi"},
    "categories:edit": {"name": "Kimchi"},
    "chats:create": {"title": "Balcony"},
    "chats:edit": {"title": "Garden"},
    "chats:read": {"message_id": "{message_id}"},
    "households:create": {"name": "Cabin"},
    "households:edit": {"name": "Nest"},
    "households:switch": {"household_id": "{household_id}"},
    "invitations:create": {"role": "viewer"},
    "locations:create": {"name": "Cellar"},
    "locations:edit": {"name": "Cellar"},
    "members:edit": {"role": "viewer"},
    "messages:create": {"content": "Hello"},
    "messages:edit": {"content": "Hello"},
    "products:add_barcode": {"code": "4006381333931"},
    "products:add_conversion": {"unit": "cup", "factor": "2"},
    "products:consume": {"quantity": "1"},
    "products:create": {"name": "Peas"},
    "products:create_bulk": {"name": "Peas"},
    "products:edit": {"name": "Peas"},
    "stock:add": {"product_id": "{product_id}"},
    "stock:add_bulk": {"product_id": "{product_id}"},
    "stock:consume": {"quantity": "1"},
    "stock:correct": {"quantity": "1"},
    "stock:discard": {"reason": "other"},
    "stock:edit": {"note": "noted"},
    "stock:move": {"location_id": "{location_id}"},
    "stock:snooze": {"until": "2026-12-01"},
    "units:create": {"code": "crate", "name": "crate"},
    "units:edit": {"name": "crate"},
    "api_keys:create": {"name": "Script"},
    "account:change_email": {"email": "somebody@example.com", "password": "correct horse 7"},
    "account:confirm": {"password": "correct horse 7"},
    "account:delete": {"password": "correct horse 7"},
    "account:edit": {"name": "Somebody"},
    "account:password": {"current_password": "correct horse 7", "new_password": "seven plums 7"},
    "auth:login": {"email": "charlie@example.com", "password": "correct horse 7"},
    "auth:register": {"email": "newcomer@example.com", "password": "correct horse 7", "name": "New"},
    "auth:forgot": {"email": "somebody@example.com"},
    "preferences:edit": {"digest_at": "07:30"},
}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "api_keys:create": {"scopes": ["stock:read"]},
}
FORMS: dict[str, dict[str, str]] = {
    "account:delete": {"email": "{email}"},
    "api_keys:create": {"days": "30", "stock:read": "on"},
    "households:delete": {"name": "Next door"},
    "messages:react": {"emoji": "👍"},
    "messages:unreact": {"emoji": "👍"},
    "stock:add": {"name": "Milk"},
}


async def make_staff_things(session: AsyncSession) -> dict[str, str]:
    """What only the panel shows, under the names that addresses use."""
    problem = Problem(fingerprint="f", kind="ValueError")
    request = MonitoredRequest(method="GET", path="/", status=200, ms=1)
    role = StaffRole(code="watch", name="Watch")
    item = CatalogueItem(gtin="96385074", name="Oats", name_key="oats", source=CatalogueSource.STAFF)
    session.add_all([problem, request, role, item])
    await session.flush()
    made = {"problem_id": problem.id, "request_id": request.id, "role_id": role.id, "item_id": item.id}
    return {name: str(value) for name, value in made.items()}


async def make_one_of_each(session: AsyncSession, actor: Actor) -> dict[str, str]:
    """Something of every kind in the actor's household, under the names that addresses use."""
    product = await make_product(session, actor, name="Milk", barcode="5012345678900")
    await products.add_conversion(session, actor, product.id, ConversionCreate(unit="can", factor="2"))
    lot = await make_lot(session, actor, product=product, quantity=5)
    event = (await session.scalars(select(Event.id).where(Event.lot_id == lot.id))).one()
    unit = await units.create_unit(session, actor, UnitCreate(code="punnet", name="punnet"))
    category = await categories.create_category(session, actor, CategoryCreate(name="Sauerkraut"))
    invitation = await households.invite(session, actor, InvitationCreate(), base_url="http://localhost")
    notification = Notification(
        user_id=actor.user_id,
        household_id=actor.household_id,
        kind=NotificationKind.TODAY,
        product_id=product.id,
        lot_id=lot.id,
        due_on=clock.today(actor.time_zone),
    )
    session.add(notification)
    chat = await chats.create_chat(session, actor, ChatCreate(title="Shopping"))
    message = await make_message(session, chat.id, actor)
    file = make_file(actor)
    session.add(file)
    await session.flush()
    session.add(LotPhoto(lot_id=lot.id, file_id=file.id))
    feed = await feeds.start(session, actor, base_url="http://localhost")
    channel = await channels.add(session, actor, ChannelCreate(kind=ChannelKind.SERVICE, address="ntfy://topic"))
    delivery = await channels.test(session, actor, channel.id)
    passkey = Passkey(user_id=actor.user_id, credential_id=f"of {actor.name}", public_key=b"key", name="Phone")
    identity = ExternalIdentity(user_id=actor.user_id, issuer="https://id.example.com", subject=actor.name)
    session.add_all([passkey, identity])
    await session.flush()
    key = await api_keys.issue(
        session, actor.user_id, ApiKeyCreate(name="Script", scopes=frozenset({Scope.STOCK_READ})), by=None
    )
    ids = {
        "email": actor.email,
        "key_id": key.id,
        "household_id": actor.household_id,
        "passkey_id": passkey.id,
        "identity_id": identity.id,
        "lot_id": lot.id,
        "product_id": product.id,
        "event_id": event,
        "chat_id": chat.id,
        "message_id": message.id,
        "file_id": file.id,
        "emoji": "👍",
        "unit_id": unit.id,
        "category_id": category.id,
        "location_id": await place_of(session, actor, LocationKind.PANTRY),
        "invitation_id": invitation.id,
        "channel_id": channel.id,
        "delivery_id": delivery.id,
        "user_id": actor.user_id,
        "session_id": actor.session_id,
        "token": invitation.token,
        "notification_id": notification.id,
        "secret": feed.url.split("/")[-2],
        "code": "5012345678900",
        "unit": "can",
        "kind": "store",
    }
    return {name: str(value) for name, value in ids.items()}
