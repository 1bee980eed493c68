"""Who may do what in a household: roles, the permission table, and the actor it is asked about.

A permission is the name of a route. What is not in the table is denied to everyone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from models import Role, Theme
from services.core import file_urls
from services.core.errors import PermissionDenied
from services.core.i18n import _

_VIEWER = frozenset(
    {
        "categories:list",
        "channels:add",
        "chats:detail",
        "chats:list",
        "chats:read",
        "chats:unread",
        "events:list",
        "feeds:end",
        "feeds:start",
        "files:remove",
        "files:upload",
        "households:detail",
        "locations:list",
        "members:list",
        "members:remove",
        "messages:create",
        "messages:delete",
        "messages:edit",
        "messages:list",
        "messages:react",
        "messages:search",
        "messages:unreact",
        "preferences:detail",
        "preferences:edit",
        "products:detail",
        "products:list",
        "products:mute",
        "products:unmute",
        "stock:detail",
        "stock:home",
        "stock:list",
        "stock:today",
        "units:list",
    }
)
_MEMBER = _VIEWER | {
    "categories:create",
    "categories:delete",
    "categories:edit",
    "chats:create",
    "chats:delete",
    "chats:edit",
    "events:undo",
    "locations:archive",
    "locations:create",
    "locations:edit",
    "products:add_barcode",
    "products:add_conversion",
    "products:archive",
    "products:consume",
    "products:create",
    "products:create_bulk",
    "products:edit",
    "products:picture",
    "products:remove_barcode",
    "products:remove_conversion",
    "products:remove_picture",
    "products:restore",
    "stock:actions",
    "stock:add",
    "stock:add_bulk",
    "stock:consume",
    "stock:correct",
    "stock:discard",
    "stock:edit",
    "stock:freeze",
    "stock:move",
    "stock:open",
    "stock:photo",
    "stock:remove_photo",
    "stock:snooze",
    "stock:suggest",
    "stock:thaw",
    "units:create",
    "units:delete",
    "units:edit",
}
_ADMIN = _MEMBER | {
    "audit:household",
    "chats:edit_others",
    "households:edit",
    "invitations:create",
    "invitations:list",
    "invitations:revoke",
    "members:edit",
    "members:remove_others",
    "messages:delete_others",
}
_OWNER = _ADMIN | {"households:delete", "members:transfer_ownership"}

ROLE_PERMISSIONS: Mapping[Role, frozenset[str]] = {
    Role.VIEWER: _VIEWER,
    Role.MEMBER: _MEMBER,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _OWNER,
}

# What staff can not do in a user's name: change how one signs in or what one owns, hand out what outlives the act, and
# hear or say what is said among people.
NEVER_WHILE_ACTING = frozenset(
    {
        "account:change_email",
        "account:confirm",
        "account:confirm_openid",
        "account:confirm_passkey",
        "account:delete",
        "account:password",
        "account:verify_email",
        "api_keys:create",
        "api_keys:list",
        "api_keys:revoke",
        "auth:logout_all",
        "channels:add",
        "chats:create",
        "chats:delete",
        "chats:detail",
        "chats:edit",
        "chats:list",
        "chats:read",
        "chats:unread",
        "feeds:start",
        "files:remove",
        "files:upload",
        "households:delete",
        "identities:link",
        "identities:list",
        "identities:unlink",
        "invitations:accept",
        "invitations:create",
        "members:transfer_ownership",
        "messages:create",
        "messages:delete",
        "messages:edit",
        "messages:export",
        "messages:list",
        "messages:react",
        "messages:search",
        "messages:unreact",
        "passkeys:add",
        "passkeys:begin",
        "passkeys:list",
        "passkeys:remove",
        "passkeys:rename",
        "second_factor:confirm",
        "second_factor:detail",
        "second_factor:end",
        "second_factor:renew_codes",
        "second_factor:start",
        "security:detail",
        "sessions:end",
        "sessions:end_others",
    }
)

# Talk that staff reads in a household they do not belong to, where a role of theirs says so. Each reading is audited.
TALK_READ_BY_STAFF = frozenset({"chats:detail", "chats:list", "messages:list"})
# And what no role lets them do there.
NEVER_AS_STAFF = frozenset(
    name for name in _ADMIN if name.startswith(("chats:", "messages:", "files:")) and name not in TALK_READ_BY_STAFF
)

RANK: Mapping[Role, int] = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2, Role.OWNER: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who is signed in.

    `impersonator_id`: the staff who acts as this user. `scopes`: what an API key is limited to; None for a person.
    """

    user_id: UUID
    session_id: UUID
    name: str
    email: str
    locale: str
    theme: Theme
    is_superuser: bool
    is_staff: bool = False
    is_verified: bool = True
    must_change_password: bool = False
    impersonator_id: UUID | None = None
    impersonator_name: str = ""
    acting_until: datetime | None = None
    scopes: frozenset[str] | None = None
    avatar_id: UUID | None = None

    @property
    def avatar_url(self) -> str | None:
        return file_urls.address(self.avatar_id, "small") if self.avatar_id else None

    @property
    def hears_talk(self) -> bool:
        """Talk is for people: not for staff who acts as somebody, and not for API keys."""
        return self.impersonator_id is None and self.scopes is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor(Account):
    """Someone signed in, acting in one of their households, or as staff (then without a role) in another's."""

    household_id: UUID
    household_name: str
    role: Role | None
    staff_permissions: frozenset[str] = frozenset()
    time_zone: str
    currency: str
    soon_days: int

    def can(self, permission: str) -> bool:
        if self.impersonator_id is not None and permission in NEVER_WHILE_ACTING:
            return False
        if self.role is None:
            return permission in self.staff_permissions and permission not in NEVER_AS_STAFF
        return permission in ROLE_PERMISSIONS[self.role]


def rank(actor: Actor) -> int:
    """Up to which role somebody can give roles. Staff, who has none, gives as owners do."""
    return RANK[actor.role or Role.OWNER]


def require(actor: Actor, permission: str) -> None:
    """Raises `PermissionDenied` when the actor's role does not have the permission."""
    if not actor.can(permission):
        raise PermissionDenied(_("Your role in this household does not allow that."))
