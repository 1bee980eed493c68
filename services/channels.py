"""One's own channels: where one can be reached outside the app. Their addresses are secrets, and never shown again."""

import base64
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import msgspec
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from db import unless_taken
from models import Channel, ChannelKind, Delivery, DeliveryStatus, User
from services import audit, deliveries, jobs
from services.core import addresses, clock
from services.core.errors import Conflict, InvalidInput, LimitExceeded, NotFound
from services.core.i18n import _
from services.core.ids import new_token
from services.core.pagination import Page, PageRequest, by_id, fetch_page
from services.delivery import schemes, vapid
from services.permissions import Account
from services.schemas.channels import ChannelCreate, ChannelCreated, ChannelRead, ChannelUpdate, PushSubscription
from settings import get_settings

MAX_CHANNELS = 10
MAX_TESTS = 20
AUTH_LENGTH = 16  # RFC 8291


async def list_channels(session: AsyncSession, account: Account, page: PageRequest) -> Page[ChannelRead]:
    found = await fetch_page(session, sa.select(Channel).where(*_visible_to(account)), page, by_id(col(Channel.id)))
    return Page([_read(channel) for channel in found.items], found.next, found.total)


async def get_channel(session: AsyncSession, account: Account, channel_id: UUID) -> ChannelRead:
    return _read(await _get(session, account, channel_id))


async def add(session: AsyncSession, account: Account, data: ChannelCreate) -> ChannelCreated:
    """Raises `InvalidInput` for an address that cannot be one, and `Conflict` for one too many.

    A browser that subscribes again is the same channel; it belongs to whoever is signed in there now.
    """
    address, key = _checked(data)
    await session.scalars(select(User.id).where(User.id == account.user_id).with_for_update())
    hashed = sha256(key.encode()).hexdigest()
    if data.kind is ChannelKind.WEB_PUSH:
        await session.execute(
            delete(Channel).where(col(Channel.kind) == data.kind, col(Channel.address_hash) == hashed)
        )
    count = await session.scalar(sa.select(sa.func.count()).select_from(Channel).where(*_visible_to(account)))
    if (count or 0) >= MAX_CHANNELS:
        raise Conflict(_("You can have {count} channels. Remove one first.").format(count=MAX_CHANNELS))

    channel = Channel(
        user_id=account.user_id,
        kind=data.kind,
        label=data.label,
        address=address,
        address_hash=hashed,
        secret=new_token() if data.kind is ChannelKind.WEBHOOK else "",
    )
    async with unless_taken(session, Conflict(_("You have this one already."), code="duplicate")):
        session.add(channel)
    _record(session, "channels:add", channel, by=account, after=audit.snapshot(channel, ("kind", "label", "address")))
    return ChannelCreated(**_read(channel).model_dump(), secret=channel.secret or None)


async def rename(session: AsyncSession, account: Account, channel_id: UUID, data: ChannelUpdate) -> ChannelRead:
    channel = await _get(session, account, channel_id)
    before, after = {"label": channel.label}, {"label": data.label}
    channel.label = data.label
    _record(session, "channels:rename", channel, by=account, before=before, after=after)
    return _read(channel)


async def remove(session: AsyncSession, account: Account, channel_id: UUID) -> None:
    """Also what was on its way through it."""
    channel = await _get(session, account, channel_id)
    await session.delete(channel)
    _record(session, "channels:remove", channel, by=account, before=audit.snapshot(channel, ("kind", "label")))


async def test(session: AsyncSession, account: Account, channel_id: UUID | None) -> Delivery:
    """Send a test message through a channel; by e-mail for None."""
    kind = ChannelKind.EMAIL if channel_id is None else (await _get(session, account, channel_id)).kind
    tests = select(Delivery).where(Delivery.user_id == account.user_id, Delivery.template == "test")
    recent: Sequence[Delivery] = (
        await session.scalars(tests.where(col(Delivery.created_at) > clock.now() - deliveries.TEST_MEMORY))
    ).all()
    for delivery in recent:
        if delivery.status is DeliveryStatus.PENDING and (delivery.channel, delivery.channel_id) == (kind, channel_id):
            return delivery
    if len(recent) >= MAX_TESTS:
        raise LimitExceeded(_("That were many tests. Please wait a while."))
    delivery = Delivery(user_id=account.user_id, channel=kind, channel_id=channel_id, template="test")
    session.add(delivery)
    await session.flush()
    await jobs.defer(session, deliveries.TASK, dedupe_key=deliveries.TASK)
    return delivery


async def get_delivery(session: AsyncSession, account: Account, delivery_id: UUID) -> Delivery:
    """What became of a message to oneself."""
    statement = select(Delivery).where(Delivery.user_id == account.user_id, Delivery.id == delivery_id)
    delivery: Delivery | None = (await session.scalars(statement)).one_or_none()
    if delivery is None:
        raise NotFound(_("There is no such message."))
    return delivery


def find_push_key() -> str | None:
    """What browsers need to subscribe; None where the operator has made none."""
    key = vapid.find()
    return None if key is None else vapid.public(key)


def push_key() -> str:
    """The same. Raises `NotFound` where there is none."""
    key = find_push_key()
    if key is None:
        raise NotFound(_("Push is not set up on this instance."))
    return key


def masked(kind: ChannelKind, address: str) -> str:
    """Enough of an address to know it by. A service's host can be a token, so it is only named."""
    if kind is ChannelKind.SERVICE:
        return f"{address.partition('://')[0]}://…"
    url = msgspec.json.decode(address)["endpoint"] if kind is ChannelKind.WEB_PUSH else address
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/…"


def _record(session: AsyncSession, action: str, channel: Channel, *, by: Account, **changes: Any) -> None:
    name = channel.label or masked(channel.kind, channel.address)
    audit.record(session, action, by=by, subject=channel, subject_name=name, **changes)


def _visible_to(account: Account) -> tuple[sa.ColumnElement[bool], ...]:
    return (col(Channel.user_id) == account.user_id,)


async def _get(session: AsyncSession, account: Account, channel_id: UUID) -> Channel:
    statement = select(Channel).where(*_visible_to(account), Channel.id == channel_id)
    channel: Channel | None = (await session.scalars(statement)).one_or_none()
    if channel is None:
        raise NotFound(_("There is no such channel."))
    return channel


def _read(channel: Channel) -> ChannelRead:
    return ChannelRead(**channel.model_dump(exclude={"address"}), address=masked(channel.kind, channel.address))


def _checked(data: ChannelCreate) -> tuple[str, str]:
    """The address as it is kept, and what of it makes it the same channel."""
    if data.kind is ChannelKind.WEB_PUSH:
        if data.subscription is None:
            raise InvalidInput({"subscription": _("This is needed.")})
        return _checked_subscription(data.subscription)
    address = (data.address or "").strip()
    if not address:
        raise InvalidInput({"address": _("This is needed.")})
    if not address.isprintable() or " " in address:
        raise InvalidInput({"address": _("This is not an address.")})
    check = _check_url if data.kind is ChannelKind.WEBHOOK else _check_service
    check(address, "address")
    return address, address


def _checked_subscription(subscription: PushSubscription) -> tuple[str, str]:
    _check_url(subscription.endpoint, "subscription.endpoint")
    keys = subscription.keys
    checks = {"p256dh": _is_point(_decoded(keys.p256dh)), "auth": len(_decoded(keys.auth)) == AUTH_LENGTH}
    wrong = {f"subscription.keys.{name}": _("This is not a key.") for name, fits in checks.items() if not fits}
    if wrong:
        raise InvalidInput(wrong)
    return msgspec.json.encode(subscription.model_dump()).decode(), subscription.endpoint


def _decoded(value: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except ValueError:
        return b""


def _is_point(encoded: bytes) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded)
    except ValueError:
        return False
    return True


def _check_url(address: str, field: str) -> None:
    """Of a webhook or a push service. Where its name leads is checked at each connection."""
    allowed = _allowed()
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidInput({field: _("This is not an address.")}) from error
    if not host or "@" in parts.netloc or parts.fragment:
        raise InvalidInput({field: _("Write it as https://host/path, without a user name.")})
    if parts.scheme != "https" and not (parts.scheme == "http" and allowed.name(host)):
        raise InvalidInput({field: _("It must begin with https://.")})
    _check_host(host, field)


def _check_service(address: str, field: str) -> None:
    scheme, separator, rest = address.partition("://")
    if not separator or scheme.lower() not in schemes.PLUGINS:
        known = ", ".join(f"{name}://" for name in sorted(schemes.PLUGINS))
        raise InvalidInput({field: _("It must begin with one of {schemes}.").format(schemes=known)})
    try:
        parts = urlsplit(address)
        host, unknown = parts.hostname or "", set(parse_qs(parts.query)) - schemes.PARAMETERS
    except ValueError as error:
        raise InvalidInput({field: _("This is not an address.")}) from error
    if not rest.strip("/?"):
        raise InvalidInput({field: _("This is not an address.")})
    if unknown:
        raise InvalidInput({field: _("We do not take {names} here.").format(names=", ".join(sorted(unknown)))})
    if "." in host or ":" in host:  # without either it may be a token
        _check_host(host, field)


def _check_host(host: str, field: str) -> None:
    literal = addresses.literal(host)
    if literal is not None and not _allowed().permit(host, literal):
        raise InvalidInput({field: _("This address is on a private network.")})


def _allowed() -> addresses.Exceptions:
    return addresses.Exceptions.parse(get_settings().outbound_allow)
