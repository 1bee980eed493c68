"""What is sent to people: where to, and what became of it. To look at; addresses and secrets are not shown."""

from typing import Any, ClassVar

from sqladmin.filters import StaticValuesFilter
from sqlalchemy.ext.asyncio import AsyncSession

from admin.views import ReadOnlyView, act
from models import Channel, ChannelKind, Delivery, DeliveryStatus
from services import audit, channels, deliveries
from services.core.i18n import _
from services.staff import Staff


class ChannelAdmin(ReadOnlyView, model=Channel):
    icon = "radio-tower"
    column_list: ClassVar = ["kind", "user", "label", "address", "last_sent_at", "last_error", "created_at"]
    column_sortable_list: ClassVar = ["created_at", "last_sent_at"]
    column_default_sort: ClassVar = ("created_at", True)
    column_details_exclude_list: ClassVar = ["secret", "address_hash", "user_id"]
    column_export_list: ClassVar = ["id", "user_id", "kind", "created_at", "last_sent_at", "last_error"]
    column_formatters: ClassVar = {
        "address": lambda channel, _name: channels.masked(channel.kind, channel.address),
    }
    column_formatters_detail: ClassVar = column_formatters


class DeliveryAdmin(ReadOnlyView, model=Delivery):
    name_plural = "Deliveries"
    icon = "send"
    column_list: ClassVar = [
        "created_at",
        "channel",
        "template",
        "status",
        "attempts",
        "next_attempt_at",
        "last_error",
        "sent_at",
        "user",
    ]
    column_filters: ClassVar = [
        StaticValuesFilter("status", [(status.value, status.value) for status in DeliveryStatus], "Status"),
        StaticValuesFilter("channel", [(kind.value, kind.value) for kind in ChannelKind], "Channel"),
    ]
    column_sortable_list: ClassVar = ["created_at", "status", "next_attempt_at", "sent_at"]
    column_default_sort: ClassVar = ("created_at", True)

    @act("retry", "Try again", icon="rotate-cw", question="What was given up gets all its attempts again.")
    async def retry(self, session: AsyncSession, by: Staff, rows: list[Delivery], _data: Any) -> str:
        await deliveries.try_again(session, [row.id for row in rows])
        for row in rows:
            audit.record(session, "panel.delivery:retry", by=by, subject=row)
        return _("They are tried again.")
