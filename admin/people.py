"""Users, households and memberships, and what users sign in with."""

from typing import Any, ClassVar

import sqlalchemy as sa
from fastapi import Request
from sqladmin.filters import BooleanFilter, StaticValuesFilter
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from admin.access import staff_of
from admin.views import ReadOnlyView, Values, View, act
from models import ApiKey, Household, Membership, Passkey, Role, StaffAssignment, Theme, User, UserSession
from services import accounts, api_keys, audit, households, one_time_links, sessions, staff
from services.core.errors import Conflict, InvalidInput
from services.core.i18n import _
from services.core.text import fold_email
from services.schemas.types import Currency, Email, LocaleTag, Name, Schema, SoonDays, TimeZone
from services.staff import Staff


class UserForm(Schema):
    name: Name
    email: Email
    locale: LocaleTag | None = None
    theme: Theme = Theme.SYSTEM


class UserCreateForm(Schema):
    name: Name
    email: Email


class HasRole:
    """Staff, or not: those with a staff role, and the superusers."""

    has_operator = False
    template = ""
    default_value: Any = None
    title = "Staff"
    parameter_name = "staff"

    async def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("all", "All"), ("true", "Yes"), ("false", "No")]

    async def get_filtered_query(self, query: sa.Select[Any], value: Any, model: Any) -> sa.Select[Any]:
        is_staff = sa.or_(col(User.is_superuser), sa.exists().where(col(StaffAssignment.user_id) == col(User.id)))
        return {"true": query.where(is_staff), "false": query.where(~is_staff)}.get(value, query)


class UserAdmin(View, model=User):
    """Accounts. Nobody types a password here: a new user chooses their own, by a link in an e-mail."""

    schema = UserForm
    create_schema = UserCreateForm
    icon = "user"
    can_delete = False
    column_labels: ClassVar = {
        "email": "E-mail",
        "is_active": "Active",
        "is_verified": "Verified",
        "is_superuser": "Superuser",
        "must_change_password": "Must change the password",
        "last_login_at": "Last sign-in",
    }
    column_list: ClassVar = ["name", "email", "is_active", "is_verified", "is_superuser", "last_login_at", "created_at"]
    column_searchable_list: ClassVar = ["name", "email"]
    column_sortable_list: ClassVar = ["name", "email", "created_at", "last_login_at"]
    column_default_sort: ClassVar = ("created_at", True)
    column_filters: ClassVar = [
        BooleanFilter("is_active", "Active"),
        BooleanFilter("is_verified", "Verified"),
        BooleanFilter("is_superuser", "Superuser"),
        HasRole(),
    ]
    column_details_exclude_list: ClassVar = ["hashed_password", "auth_version", "memberships"]
    column_export_list: ClassVar = [
        "id",
        "name",
        "email",
        "is_active",
        "is_superuser",
        "is_verified",
        "created_at",
        "last_login_at",
    ]

    def row_links(self, request: Request, row: Any) -> list[tuple[str, str, str]]:
        by = staff_of(request)
        links = {
            "roles:holder": (f"/admin/roles/of/{row.id}", "Staff roles", "shield"),
            "audit:list": (f"/admin/audit?subject={row.id}", "What happened", "scroll-text"),
        }
        if not row.is_superuser and row.id != by.user_id:
            links["acting:start"] = (f"/admin/users/{row.id}/act", "Act for them", "user-round-cog")
        return [link for permission, link in links.items() if by.can(permission)]

    async def make(self, session: AsyncSession, staff: Staff, data: Any, request: Request) -> User:
        user = await accounts.create(session, by=staff, email=data.email, name=data.name)
        await accounts.send_reset(session, user.id, by=staff)
        return user

    async def change(self, session: AsyncSession, by: Staff, row: User, data: Any, request: Request) -> None:
        staff.require_above(by, row)
        if fold_email(data.email) != row.email:
            # Whoever held the old address must not come back by it.
            row.is_verified = False
            await one_time_links.void(session, row.id)
        await super().change(session, by, row, data, request)

    async def prepare(self, session: AsyncSession, row: User, values: Values) -> None:
        values["email"] = fold_email(values["email"])

    @act("verify", "Mark as verified", icon="badge-check", question="Take their word for the e-mail address?")
    async def verify(self, session: AsyncSession, by: Staff, rows: list[User], _data: Any) -> str:
        for user in rows:
            await accounts.verify(session, user.id, by=by)
        return _("Marked as verified.")

    @act("send-reset", "Mail a link for a new password", icon="mail")
    async def send_reset(self, session: AsyncSession, by: Staff, rows: list[User], _data: Any) -> str:
        for user in rows:
            await accounts.send_reset(session, user.id, by=by)
        return _("The links are on their way.")

    @act(
        "require-password",
        "Require a new password",
        icon="key-round",
        question="Until they choose a new password, they can do nothing else.",
    )
    async def require_password(self, session: AsyncSession, by: Staff, rows: list[User], _data: Any) -> str:
        for user in rows:
            await accounts.require_password_change(session, user.id, by=by)
        return _("They must choose a new password.")

    @act("logout", "Sign out everywhere", icon="log-out", question="This ends all their sessions at once.")
    async def logout(self, session: AsyncSession, by: Staff, rows: list[User], _data: Any) -> str:
        for user in rows:
            await accounts.force_logout(session, user.id, by=by)
        return _("Signed out everywhere.")

    @act("enable", "Let in again", icon="user-check")
    async def enable(self, session: AsyncSession, by: Staff, rows: list[User], _data: Any) -> str:
        for user in rows:
            await accounts.enable(session, user.id, by=by)
        return _("They can sign in again.")

    @act("disable", "Disable", icon="user-x", question="They are signed out at once and kept out.", is_danger=True)
    async def disable(self, session: AsyncSession, by: Staff, rows: list[User], _data: Any) -> str:
        for user in rows:
            await accounts.disable(session, user.id, by=by)
        return _("Disabled.")

    @act("promote", "Make a superuser", icon="shield-plus", question="Superusers may do everything.", is_danger=True)
    async def promote(self, session: AsyncSession, by: Staff, rows: list[User], _data: Any) -> str:
        for user in rows:
            await accounts.set_superuser(session, user.id, True, by=by)
        return _("Made a superuser.")

    @act("demote", "Make no superuser", icon="shield-minus", is_danger=True)
    async def demote(self, session: AsyncSession, by: Staff, rows: list[User], _data: Any) -> str:
        for user in rows:
            await accounts.set_superuser(session, user.id, False, by=by)
        return _("No superuser any more.")


class HouseholdForm(Schema):
    name: Name
    time_zone: TimeZone
    currency: Currency
    locale: LocaleTag
    soon_days: SoonDays


class HouseholdAdmin(View, model=Household):
    schema = HouseholdForm
    icon = "house"
    can_create = False
    column_list: ClassVar = ["name", "time_zone", "locale", "created_at"]
    column_searchable_list: ClassVar = ["name"]
    column_sortable_list: ClassVar = ["name", "created_at"]
    column_default_sort: ClassVar = ("created_at", True)
    column_details_exclude_list: ClassVar = ["memberships"]
    column_export_list: ClassVar = ["id", "name", "time_zone", "currency", "locale", "created_at"]

    async def change(self, session: AsyncSession, staff: Staff, row: Household, data: Any, request: Request) -> None:
        await super().change(session, staff, row, data, request)
        await households.look_again(session, row.id)


class MembershipForm(Schema):
    role: Role


class MembershipAdmin(View, model=Membership):
    """Who belongs where. Ownership is handed over by owners, so that a household always has exactly one."""

    schema = MembershipForm
    icon = "users"
    can_create = False
    column_list: ClassVar = ["user", "household", "role", "joined_at"]
    column_sortable_list: ClassVar = ["joined_at"]
    column_default_sort: ClassVar = ("joined_at", True)
    column_filters: ClassVar = [StaticValuesFilter("role", [(role.value, role.value) for role in Role], "Role")]
    column_details_list: ClassVar = ["id", "user", "household", "role", "soon_days", "joined_at"]

    async def prepare(self, session: AsyncSession, row: Membership, values: Values) -> None:
        await _one_at_a_time(session, row)
        if values["role"] != row.role and Role.OWNER in {values["role"], row.role}:
            raise InvalidInput({"role": _("A household has exactly one owner, who hands it over in the app.")})

    async def remove(self, session: AsyncSession, staff: Staff, row: Membership) -> None:
        await _one_at_a_time(session, row)
        if row.role is Role.OWNER:
            raise Conflict(_("A household needs its owner."))
        audit.record(session, "panel.membership:delete", by=staff, subject=row, before=audit.snapshot(row))
        await households.end_membership(session, row)


async def _one_at_a_time(session: AsyncSession, membership: Membership) -> None:
    await session.scalars(select(Household.id).where(Household.id == membership.household_id).with_for_update())
    await session.refresh(membership, ["role"])


class SessionAdmin(ReadOnlyView, model=UserSession):
    """Who is signed in on what. The tokens themselves nobody sees."""

    name = "Session"
    icon = "smartphone"
    column_labels: ClassVar = {"user_agent": "Device", "ip_address": "Address"}
    column_list: ClassVar = ["user_agent", "user", "ip_address", "last_used_at", "created_at", "expires_at"]
    column_sortable_list: ClassVar = ["last_used_at", "created_at", "expires_at"]
    column_default_sort: ClassVar = ("last_used_at", True)
    column_searchable_list: ClassVar = ["user_agent", "ip_address"]
    column_details_list: ClassVar = [
        "id",
        "user",
        "user_agent",
        "ip_address",
        "created_at",
        "last_used_at",
        "confirmed_at",
        "expires_at",
        "impersonator_id",
    ]

    @act("revoke", "Sign out", icon="log-out", question="Whoever uses these must sign in again.")
    async def revoke(self, session: AsyncSession, by: Staff, rows: list[UserSession], _data: Any) -> str:
        for device in rows:
            user = await session.get_one(User, device.user_id)
            staff.require_above(by, user)
            audit.record(session, "panel.user-session:revoke", by=by, subject=device, subject_name=user.name)
            await sessions.end(session, device.id)
        return _("Signed out.")


class ApiKeyAdmin(ReadOnlyView, model=ApiKey):
    name = "API key"
    icon = "key-round"
    column_list: ClassVar = ["name", "prefix", "user", "scopes", "created_at", "expires_at", "last_used_at"]
    column_sortable_list: ClassVar = ["created_at", "expires_at", "last_used_at"]
    column_default_sort: ClassVar = ("created_at", True)
    column_searchable_list: ClassVar = ["name", "prefix"]
    column_details_exclude_list: ClassVar = ["key_hash"]
    column_export_list: ClassVar = [
        "id",
        "name",
        "prefix",
        "user_id",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
    ]

    @act("revoke", "Revoke", icon="ban", question="Whatever uses these keys is locked out at once.", is_danger=True)
    async def revoke(self, session: AsyncSession, by: Staff, rows: list[ApiKey], _data: Any) -> str:
        for key in rows:
            staff.require_above(by, await session.get_one(User, key.user_id))
            await api_keys.revoke_any(session, key.id, by=by)
        return _("Revoked.")


class PasskeyAdmin(ReadOnlyView, model=Passkey):
    icon = "fingerprint"
    column_list: ClassVar = ["name", "user", "created_at", "last_used_at"]
    column_sortable_list: ClassVar = ["created_at", "last_used_at"]
    column_default_sort: ClassVar = ("created_at", True)
    column_details_list: ClassVar = ["id", "name", "user", "created_at", "last_used_at"]
    column_export_list: ClassVar = ["id", "name", "user_id", "created_at", "last_used_at"]
