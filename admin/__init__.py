"""The staff panel: SQLAdmin at /admin, for the staff."""

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import async_sessionmaker

from admin import house, jobs, messages, people, stock, words
from admin.access import ByRole, StaffOnly
from admin.panel import Panel
from db import get_database
from settings import Settings

VIEWS = (
    people.UserAdmin,
    people.HouseholdAdmin,
    people.MembershipAdmin,
    people.SessionAdmin,
    people.ApiKeyAdmin,
    people.PasskeyAdmin,
    house.EndpointAdmin,
    house.MenuItemAdmin,
    house.DictionaryEntryAdmin,
    words.CategoryAdmin,
    words.UnitAdmin,
    words.CatalogueItemAdmin,
    stock.ProductAdmin,
    stock.LotAdmin,
    stock.EventAdmin,
    messages.ChannelAdmin,
    messages.DeliveryAdmin,
    jobs.JobRunAdmin,
)


def mount_admin(app: FastAPI, settings: Settings) -> Panel:
    admin = Panel(
        app,
        # It reads and writes in sessions of its own, which it commits itself, and turns off autoflush in the maker it
        # is given: the app's stays as it is.
        session_maker=async_sessionmaker(**get_database().writing_sessions.kw),
        base_url="/admin",
        title="Larder staff",
        authentication_backend=StaffOnly(),
        authorization_backend=ByRole(),
    )
    for view in VIEWS:
        admin.add_view(view)
    admin.add_view(jobs.QueuedJobAdmin if settings.has_task_workers else jobs.JobAdmin)
    return admin
