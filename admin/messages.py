"""What is sent to people: where to, and what became of it. To look at; addresses and secrets are not shown."""

from typing import ClassVar
from uuid import UUID

from fastapi import HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from sqladmin import action

from admin.views import ReadOnlyView
from db import session_scope
from models import Channel, Delivery
from services import channels, deliveries


class ChannelAdmin(ReadOnlyView, model=Channel):
    icon = "fa-solid fa-tower-broadcast"
    category = "Messages"
    column_list: ClassVar = ["user_id", "kind", "label", "address", "last_sent_at", "last_error", "created_at"]
    column_sortable_list: ClassVar = ["created_at", "last_sent_at"]
    column_default_sort: ClassVar = ("created_at", True)
    column_details_exclude_list: ClassVar = ["secret", "address_hash"]
    column_export_list: ClassVar = ["id", "user_id", "kind", "created_at", "last_sent_at", "last_error"]
    column_formatters: ClassVar = {
        "address": lambda channel, _name: channels.masked(channel.kind, channel.address),
    }
    column_formatters_detail: ClassVar = column_formatters


class DeliveryAdmin(ReadOnlyView, model=Delivery):
    name_plural = "Deliveries"
    icon = "fa-solid fa-paper-plane"
    category = "Messages"
    column_list: ClassVar = [
        "created_at",
        "channel",
        "template",
        "status",
        "attempts",
        "next_attempt_at",
        "last_error",
        "sent_at",
        "user_id",
    ]
    column_sortable_list: ClassVar = ["created_at", "status", "next_attempt_at", "sent_at"]
    column_default_sort: ClassVar = ("created_at", True)

    @action(
        name="retry",
        label="Try again",
        confirmation_message="Messages that were given up get all their attempts again. Go on?",
    )
    async def retry(self, request: Request) -> Response:
        try:
            chosen = [UUID(text) for text in request.query_params.get("pks", "").split(",") if text]
        except ValueError as error:
            raise HTTPException(404) from error
        async with session_scope() as session:
            await deliveries.try_again(session, chosen)
        return RedirectResponse(request.url_for("admin:list", identity=self.identity), 303)
