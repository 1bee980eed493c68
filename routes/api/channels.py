"""Where one can be reached outside the app: /users/me/channels, /users/me/deliveries and /push/key."""

from uuid import UUID

from models import Delivery
from routes.api.routers import account_router
from routes.deps import AccountDep, PageDep, SessionDep
from services import channels
from services.core.pagination import Page
from services.schemas.channels import (
    ChannelCreate,
    ChannelCreated,
    ChannelRead,
    ChannelUpdate,
    DeliveryRead,
    PushKey,
)
from services.schemas.types import PageOf

router = account_router("channels", errors=[401, 404, 409, 422, 429])


@router.get("/users/me/channels", response_model=PageOf[ChannelRead], name="channels:list")
async def list_channels(session: SessionDep, account: AccountDep, page: PageDep) -> Page[ChannelRead]:
    """Your channels. Addresses are masked."""
    return await channels.list_channels(session, account, page)


@router.post("/users/me/channels", response_model=ChannelCreated, status_code=201, name="channels:add")
async def add(body: ChannelCreate, session: SessionDep, account: AccountDep) -> ChannelCreated:
    """Be reached at a webhook, through a service or in this browser. A webhook's secret is shown this once."""
    return await channels.add(session, account, body)


@router.post("/users/me/channels/email/test", response_model=DeliveryRead, status_code=202, name="channels:test_email")
async def test_email(session: SessionDep, account: AccountDep) -> Delivery:
    """Send a test message to your e-mail address; `/users/me/deliveries/{id}` says what became of it."""
    return await channels.test(session, account, None)


@router.get("/users/me/channels/{channel_id}", response_model=ChannelRead, name="channels:detail")
async def get_channel(channel_id: UUID, session: SessionDep, account: AccountDep) -> ChannelRead:
    """One channel, and how the last attempt went."""
    return await channels.get_channel(session, account, channel_id)


@router.patch("/users/me/channels/{channel_id}", response_model=ChannelRead, name="channels:rename")
async def rename(channel_id: UUID, body: ChannelUpdate, session: SessionDep, account: AccountDep) -> ChannelRead:
    """Give a channel another name."""
    return await channels.rename(session, account, channel_id, body)


@router.delete("/users/me/channels/{channel_id}", status_code=204, name="channels:remove")
async def remove(channel_id: UUID, session: SessionDep, account: AccountDep) -> None:
    """Not be reached there any more."""
    await channels.remove(session, account, channel_id)


@router.post("/users/me/channels/{channel_id}/test", response_model=DeliveryRead, status_code=202, name="channels:test")
async def test(channel_id: UUID, session: SessionDep, account: AccountDep) -> Delivery:
    """Send a test message; `/users/me/deliveries/{id}` says what became of it."""
    return await channels.test(session, account, channel_id)


@router.get("/users/me/deliveries/{delivery_id}", response_model=DeliveryRead, name="channels:delivery")
async def get_delivery(delivery_id: UUID, session: SessionDep, account: AccountDep) -> Delivery:
    """What became of a message to you."""
    return await channels.get_delivery(session, account, delivery_id)


@router.get("/push/key", response_model=PushKey, name="channels:push_key")
async def push_key(_account: AccountDep) -> PushKey:
    """What a browser needs to subscribe to push; 404 where the operator has not set it up."""
    return PushKey(key=channels.push_key())
