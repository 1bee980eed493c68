"""What the audit log says, in the reader's words."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.core.i18n import _, mark
from services.wording import moment

# As `services.audit` writes moments.
MOMENT = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d+)?\+00:00")

SAID: Mapping[str, str] = {
    "account:avatar": mark("Picture of oneself set"),
    "account:change_email": mark("E-mail address changed"),
    "account:delete": mark("Account deleted"),
    "account:edit": mark("Profile changed"),
    "account:password": mark("Password changed"),
    "account:remove_avatar": mark("Picture of oneself removed"),
    "account:reset_password": mark("Password set anew"),
    "account:verify_email": mark("E-mail address confirmed"),
    "acting:end": mark("Staff stopped acting for a member"),
    "acting:start": mark("Staff began to act for a member"),
    "audit:prune": mark("Old entries forgotten"),
    "auth:login": mark("Signed in"),
    "auth:login_code": mark("Sign-in code"),
    "auth:login_failed": mark("Sign-in failed"),
    "auth:logout": mark("Signed out"),
    "auth:logout_all": mark("Signed out everywhere"),
    "auth:refresh_replayed": mark("A copied session was ended"),
    "auth:register": mark("Account made"),
    "categories:create": mark("Category added"),
    "categories:delete": mark("Category removed"),
    "categories:edit": mark("Category changed"),
    "channels:add": mark("Channel added"),
    "channels:remove": mark("Channel removed"),
    "channels:rename": mark("Channel renamed"),
    "feeds:end": mark("Calendar address ended"),
    "feeds:start": mark("Calendar address made"),
    "households:create": mark("Household made"),
    "households:delete": mark("Household deleted"),
    "households:edit": mark("Household changed"),
    "invitations:accept": mark("Joined by invitation"),
    "invitations:create": mark("Invitation made"),
    "invitations:revoke": mark("Invitation withdrawn"),
    "locations:archive": mark("Place removed"),
    "locations:create": mark("Place added"),
    "locations:edit": mark("Place changed"),
    "members:edit": mark("Role changed"),
    "members:remove": mark("Member left"),
    "preferences:edit": mark("What to hear about changed"),
    "products:add_barcode": mark("Barcode added"),
    "products:add_conversion": mark("Conversion set"),
    "products:archive": mark("Product put away for good"),
    "products:create": mark("Product added"),
    "products:edit": mark("Product changed"),
    "products:mute": mark("Product muted"),
    "products:picture": mark("Picture set"),
    "products:remove_barcode": mark("Barcode removed"),
    "products:remove_conversion": mark("Conversion removed"),
    "products:remove_picture": mark("Picture removed"),
    "products:restore": mark("Product back in use"),
    "products:unmute": mark("Product heard of again"),
    "sessions:end": mark("Device signed out"),
    "sessions:end_others": mark("Other devices signed out"),
    "stock:photo": mark("Photo added"),
    "stock:remove_photo": mark("Photo removed"),
    "units:create": mark("Unit added"),
    "units:delete": mark("Unit removed"),
    "units:edit": mark("Unit changed"),
}


def said(action: str) -> str:
    """What was done. What only staff does goes by its own name."""
    known = SAID.get(action)
    return _(known) if known else named(action.removeprefix("panel.").replace(":", ": "))


def named(name: str) -> str:
    """The name of a column as people write it."""
    return name.replace("_", " ").removesuffix(" id").capitalize()


def shown(value: Any, time_zone: str) -> str:
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(shown(each, time_zone) for each in value)
    if isinstance(value, dict):
        return "; ".join(f"{named(key)}: {shown(each, time_zone)}" for key, each in value.items())
    at = _moment(value)
    return str(value) if at is None else moment(at, time_zone)


def _moment(value: Any) -> datetime | None:
    """What was written as one; what people wrote may only look like it."""
    if not isinstance(value, str) or not MOMENT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
