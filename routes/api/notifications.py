"""What one is told and how: /notifications, /users/me/preferences, muted products."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from routes.api.routers import account_router, household_router
from routes.deps import AccountDep, ActorDep, PageDep, SessionDep
from services import notifications, preferences
from services.core.pagination import Page
from services.schemas.notifications import (
    NotificationFilters,
    NotificationRead,
    PreferencesRead,
    PreferencesUpdate,
    UnreadCount,
)
from services.schemas.types import PageOf

router = account_router("notifications", errors=(401, 404, 422))
product_router = household_router("notifications")


@router.get("/notifications", response_model=PageOf[NotificationRead], name="notifications:list")
async def list_notifications(
    session: SessionDep, account: AccountDep, page: PageDep, filters: Annotated[NotificationFilters, Query()]
) -> Page[NotificationRead]:
    """What you were told, in all your households, newest first."""
    return await notifications.list_notifications(session, account, page, filters)


@router.get("/notifications/unread-count", response_model=UnreadCount, name="notifications:unread_count")
async def unread_count(session: SessionDep, account: AccountDep) -> UnreadCount:
    """How many you have not read."""
    return UnreadCount(count=await notifications.count_unread(session, account))


@router.post("/notifications/read-all", status_code=204, name="notifications:read_all")
async def read_all(session: SessionDep, account: AccountDep) -> None:
    """You have read them all."""
    await notifications.mark_all_read(session, account)


@router.post("/notifications/{notification_id}/read", response_model=NotificationRead, name="notifications:read")
async def read(notification_id: UUID, session: SessionDep, account: AccountDep) -> NotificationRead:
    """You have read this one."""
    return await notifications.mark_read(session, account, notification_id)


@router.get("/users/me/preferences", response_model=PreferencesRead, name="preferences:detail")
async def get_preferences(session: SessionDep, actor: ActorDep) -> PreferencesRead:
    """How you hear of the household that this device shows, or of the one named by `?household=`."""
    return await preferences.get_preferences(session, actor)


@router.put("/users/me/preferences", response_model=PreferencesRead, name="preferences:edit")
async def edit_preferences(body: PreferencesUpdate, session: SessionDep, actor: ActorDep) -> PreferencesRead:
    """Say anew how you want to hear of that household."""
    return await preferences.edit_preferences(session, actor, body)


@product_router.put("/products/{product_id}/mute", status_code=204, name="products:mute")
async def mute(product_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Hear nothing about a product any more. The other members still do."""
    await preferences.mute(session, actor, product_id)


@product_router.delete("/products/{product_id}/mute", status_code=204, name="products:unmute")
async def unmute(product_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Hear of a product again."""
    await preferences.unmute(session, actor, product_id)
