"""Users, households and memberships."""

from typing import Any, ClassVar

from fastapi import Request

from admin.views import EnumField, View
from models import Household, Membership, Role, Theme, User
from services.schemas.types import Currency, Email, LocaleTag, Name, Schema, SoonDays, TimeZone


class UserForm(Schema):
    name: Name
    email: Email
    locale: LocaleTag | None = None
    theme: Theme = Theme.SYSTEM


class UserAdmin(View, model=User):
    """Accounts. They are made by registering or by `oppman.py createsuperuser`, so that every password is hashed."""

    schema = UserForm
    icon = "fa-solid fa-user"
    category = "People"
    can_create = False
    can_delete = False
    column_list: ClassVar = [
        "name",
        "email",
        "is_active",
        "is_superuser",
        "is_verified",
        "created_at",
    ]
    column_searchable_list: ClassVar = ["name", "email"]
    column_sortable_list: ClassVar = ["name", "email", "created_at"]
    column_details_exclude_list: ClassVar = ["hashed_password"]
    column_export_list: ClassVar = ["id", "name", "email", "is_active", "is_superuser", "is_verified", "created_at"]
    form_columns: ClassVar = ["name", "email", "locale", "theme", "is_active", "is_superuser", "is_verified"]
    form_overrides: ClassVar = {"theme": EnumField}
    form_args: ClassVar = {"theme": {"enum": Theme}}


class HouseholdForm(Schema):
    name: Name
    time_zone: TimeZone
    currency: Currency
    locale: LocaleTag
    soon_days: SoonDays


class HouseholdAdmin(View, model=Household):
    schema = HouseholdForm
    icon = "fa-solid fa-house"
    category = "People"
    can_create = False
    column_list: ClassVar = ["name", "time_zone", "locale", "created_at"]
    column_searchable_list: ClassVar = ["name"]
    column_sortable_list: ClassVar = ["name", "created_at"]
    column_details_exclude_list: ClassVar = ["memberships"]
    form_columns: ClassVar = ["name", "time_zone", "currency", "locale", "soon_days"]


class MembershipAdmin(View, model=Membership):
    """Who belongs where. Ownership is handed over by owners, so that a household always has exactly one."""

    icon = "fa-solid fa-users"
    category = "People"
    can_create = False
    column_list: ClassVar = ["household", "user", "role", "joined_at"]
    column_sortable_list: ClassVar = ["joined_at"]
    form_columns: ClassVar = ["role"]
    form_overrides: ClassVar = {"role": EnumField}
    form_args: ClassVar = {"role": {"enum": Role}}

    async def on_model_change(self, data: dict[str, Any], model: Any, is_created: bool, request: Request) -> None:
        if data["role"] != model.role and Role.OWNER in {data["role"], model.role}:
            raise ValueError("Role: A household has exactly one owner, who hands it over in the app.")
        data["role"] = Role(data["role"])

    async def on_model_delete(self, model: Any, request: Request) -> None:
        if model.role is Role.OWNER:
            raise ValueError("A household needs its owner.")
