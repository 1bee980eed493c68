"""What one was told, how one wants to hear of things, and the screen on the fridge door."""

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from models import ChannelKind, NotificationKind
from routes.deps import AccountDep, ActorDep, SessionDep
from routes.forms import Form, bind, read
from routes.rendering import Toast, back, done, redirect, render
from routes.urls import base_url
from services import channels, feeds, notifications, preferences, sessions
from services.core.errors import InvalidInput
from services.core.i18n import _
from services.core.pagination import PageRequest
from services.permissions import Actor
from services.schemas.channels import ChannelCreate
from services.schemas.messages import validate
from services.schemas.notifications import NotificationFilters, NotificationRead, PreferencesUpdate
from services.wording import choices, label

router = APIRouter(include_in_schema=False)

ROWS = 50
HERE = "/settings/notifications"


@router.get("/notifications", name="notifications:list")
async def list_notifications(
    request: Request,
    session: SessionDep,
    account: AccountDep,
    unread: bool = False,
    kind: NotificationKind | None = None,
    after: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    page = await notifications.list_notifications(
        session, account, PageRequest(limit=ROWS, after=after), NotificationFilters(unread=unread, kind=kind)
    )
    query = {**({"unread": "true"} if unread else {}), **({"kind": kind.value} if kind else {})}
    context = {
        "page": page,
        "unread": unread,
        "kind": kind,
        "filters": [("", _("All")), ("unread=true", _("Not read"))]
        + [(f"kind={value}", text) for value, text in choices(NotificationKind)],
        "chosen": urlencode(query),
        "here": f"/notifications?{urlencode(query)}",
        "more": f"/notifications?{urlencode({**query, 'after': page.next})}",
    }
    return render(request, "notifications/list.html", context, fragment="rows" if after else "told")


@router.get("/notifications/bell", name="notifications:unread_count")
async def bell(request: Request, session: SessionDep, account: AccountDep) -> Response:
    """How many one has not read, for the bell on every page."""
    count = await notifications.count_unread(session, account)
    return render(request, "notifications/bell.html", {"count": count})


@router.post("/notifications/read-all", name="notifications:read_all")
async def read_all(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await notifications.mark_all_read(session, account)
    return done(request, Toast(_("All read.")), to="/notifications", event="notifications:changed")


@router.post("/notifications/{notification_id}/read", name="notifications:read")
async def read_one(request: Request, notification_id: UUID, session: SessionDep, account: AccountDep) -> Response:
    """Read it, and go to what it is about, in whichever household that is."""
    notification = await notifications.mark_read(session, account, notification_id)
    await sessions.switch_household(session, account, notification.household.id)
    return redirect(request, _about(notification))


@router.get("/settings/notifications", name="preferences:detail")
async def preferences_page(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    return await _page(request, session, actor)


@router.post("/settings/notifications", name="preferences:edit")
async def edit_preferences(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    submitted = await request.form(max_fields=100, max_files=0)
    form: Form[PreferencesUpdate] = Form(values=await read(request))
    wanted = {kind: submitted.getlist(f"wanted-{kind}") for kind in NotificationKind}
    try:
        data = validate(
            PreferencesUpdate,
            {
                "wanted": wanted,
                "soon_days": form.value("soon_days") or None,
                "digest_at": form.value("digest_at"),
                "quiet_from": form.value("quiet_from") or None,
                "quiet_until": form.value("quiet_until") or None,
            },
        )
    except InvalidInput as error:
        form.errors = dict(error.fields)
        return await _page(request, session, actor, form=form, status_code=422)
    await preferences.edit_preferences(session, actor, data)
    return redirect(request, HERE, toast=Toast(_("Saved.")))


@router.post("/products/{product_id}/mute", name="products:mute")
async def mute(request: Request, product_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await preferences.mute(session, actor, product_id)
    toast = Toast(_("You hear nothing about it any more."), action=f"/products/{product_id}/unmute", label=_("Undo"))
    return redirect(request, back(request, HERE), toast=toast)


@router.post("/products/{product_id}/unmute", name="products:unmute")
async def unmute(request: Request, product_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await preferences.unmute(session, actor, product_id)
    return redirect(request, back(request, HERE), toast=Toast(_("You hear of it again.")))


@router.post("/settings/notifications/feed", name="feeds:start")
async def start_feed(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    """A new address, shown this once."""
    feed = await feeds.start(session, actor, base_url=base_url(request))
    return await _page(request, session, actor, feed_url=feed.url)


@router.post("/settings/notifications/feed/end", name="feeds:end")
async def end_feed(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    await feeds.end(session, actor)
    return redirect(request, HERE, toast=Toast(_("The calendar’s address is void.")))


@router.post("/settings/notifications/channels", name="channels:add")
async def add_channel(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    form = await bind(request, ChannelCreate)
    added = await form.attempt(session, lambda data: channels.add(session, actor, data))
    if added is None:
        return await _page(request, session, actor, channel_form=form, status_code=422)
    if added.secret:
        # Shown this once, so not across a redirect.
        return await _page(request, session, actor, secret=added.secret)
    return redirect(request, HERE, toast=Toast(_("Added. Send a test to see that it arrives.")))


@router.post("/settings/notifications/channels/email/test", name="channels:test_email")
async def test_email(request: Request, session: SessionDep, account: AccountDep) -> Response:
    await channels.test(session, account, None)
    return _tested(request)


@router.post("/settings/notifications/channels/{channel_id}/test", name="channels:test")
async def test_channel(request: Request, channel_id: UUID, session: SessionDep, account: AccountDep) -> Response:
    await channels.test(session, account, channel_id)
    return _tested(request)


@router.post("/settings/notifications/channels/{channel_id}/remove", name="channels:remove")
async def remove_channel(request: Request, channel_id: UUID, session: SessionDep, account: AccountDep) -> Response:
    await channels.remove(session, account, channel_id)
    return redirect(request, HERE, toast=Toast(_("Removed.")))


def _about(notification: NotificationRead) -> str:
    if notification.message:
        return f"/chats/{notification.message.chat_id}?around={notification.message.id}"
    if notification.lot_id or notification.product is None:
        return f"/stock/lots/{notification.lot_id}"
    return f"/products/{notification.product.id}"


def _tested(request: Request) -> Response:
    return done(request, Toast(_("A test is on its way.")), to=HERE, event="channels:changed")


async def _page(
    request: Request, session: SessionDep, actor: Actor, *, status_code: int = 200, **shown: Any
) -> Response:
    found = await channels.list_channels(session, actor, PageRequest(limit=channels.MAX_CHANNELS))
    reached = {ChannelKind.IN_APP, ChannelKind.EMAIL, *(channel.kind for channel in found.items)}
    context = {
        "form": Form(),
        "channel_form": Form(),
        "chosen": (await preferences.get_preferences(session, actor)).model_dump(mode="json"),
        "kinds": choices(NotificationKind),
        "channels": found.items,
        "reached": [(kind, label(kind)) for kind in ChannelKind if kind in reached],
        "addable": [(kind.value, label(kind)) for kind in (ChannelKind.WEBHOOK, ChannelKind.SERVICE)],
        "push_key": channels.find_push_key(),
        "feed_url": "",
        "secret": "",
        **shown,
    }
    response = render(request, "notifications/preferences.html", context, status_code=status_code)
    if shown.get("secret") or shown.get("feed_url"):
        response.headers["Cache-Control"] = "no-store"
    return response
