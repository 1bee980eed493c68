"""Who is kept out for a time: an address, from whatever needs no signing in; an account, from signing in."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import GuardBan, GuardCount, User
from services import audit
from services.core import clock
from services.core.errors import InvalidInput, NotFound, PermissionDenied
from services.core.i18n import _
from services.guard import allowing, keys
from services.permissions import Account
from services.schemas.guard import BanCreate
from settings import get_settings

LONGEST = timedelta(hours=24)
# A ban that ended longer ago than this does not make the next one longer.
MEMORY = timedelta(hours=24)


def key_of(who: str) -> str:
    """What somebody is banned by: from an address, an e-mail, or the key itself. Raises `InvalidInput`."""
    if re.fullmatch(rf"{keys.ACCOUNT}[0-9a-f]{{32}}", who):
        return who
    if "@" in who:
        return keys.of_account(who)
    address = who.removeprefix(keys.ADDRESS).partition("/")[0].strip()
    try:
        ip_address(address)
    except ValueError as error:
        raise InvalidInput({"who": _("Give an address, or the e-mail of an account.")}) from error
    return keys.of_address(address)


async def ban(session: AsyncSession, data: BanCreate, *, by: Account | None) -> GuardBan:
    """Keep somebody out from now on. Raises `InvalidInput`, and `PermissionDenied` for a superuser's account."""
    key = key_of(data.who)
    if key.startswith(keys.ADDRESS) and allowing.is_allowed(key):
        raise InvalidInput({"who": _("LARDER_GUARD_ALLOW exempts this address.")})
    if by is not None and not by.is_superuser:
        superusers = await session.scalars(select(User.email).where(col(User.is_superuser)))
        if key in map(keys.of_account, superusers):
            raise PermissionDenied(_("Only a superuser may do that to a superuser."))
    now = clock.now()
    found = await session.get(GuardBan, key)
    before = audit.snapshot(found, ("until", "reason")) if found else {}
    banned = found or GuardBan(key=key, until=now)
    banned.until, banned.reason, banned.created_at = now + timedelta(minutes=data.minutes), data.reason, now
    banned.created_by_id = by.user_id if by else None
    session.add(banned)
    audit.record(
        session,
        "guard:ban",
        by=by,
        subject=banned,
        subject_name=data.who,
        before=before,
        after=audit.snapshot(banned, ("until", "reason")),
    )
    return banned


async def unban(session: AsyncSession, who: str, *, by: Account | None) -> None:
    """Let somebody in again, with nothing counted against them. Raises `NotFound`, `InvalidInput`."""
    key = key_of(who)
    found = await session.get(GuardBan, key)
    if found is None or found.until <= clock.now():
        raise NotFound(_("There is no such ban."))
    audit.record(session, "guard:unban", by=by, subject=found, subject_name=who, before=audit.snapshot(found))
    await session.delete(found)
    await session.execute(sa.delete(GuardCount).where(col(GuardCount.key).like(f"%:{key}")))


async def ban_again(session: AsyncSession, key: str, reason: str) -> datetime | None:
    """Ban by itself: twice as long as the last time, up to a day. None where it is over by settings, or banned."""
    first = timedelta(minutes=get_settings().guard_ban)
    now = clock.now()
    found = await session.get(GuardBan, key)
    if not first or (found is not None and found.until > now):
        return None
    length = min(2 * (found.until - found.created_at), LONGEST) if found else first
    banned = found or GuardBan(key=key, until=now)
    banned.until, banned.created_at, banned.reason, banned.created_by_id = now + max(length, first), now, reason, None
    session.add(banned)
    return banned.until


async def seconds_left(session: AsyncSession, key: str) -> int:
    """For how long a key is banned; 0 when it is not."""
    until = await session.scalar(select(GuardBan.until).where(GuardBan.key == key))
    return max(int((until - clock.now()).total_seconds()), 0) if until else 0


async def list_bans(session: AsyncSession, limit: int = 200) -> Sequence[GuardBan]:
    """Those that are on, the latest first."""
    found = await session.scalars(
        select(GuardBan)
        .where(col(GuardBan.until) > clock.now())
        .order_by(col(GuardBan.created_at).desc(), col(GuardBan.key))
        .limit(limit)
    )
    return found.all()


async def list_counts(session: AsyncSession, limit: int = 50) -> Sequence[GuardCount]:
    """What is counted at the moment, the most first."""
    found = await session.scalars(
        select(GuardCount)
        .where(col(GuardCount.expires_at) > clock.now(), col(GuardCount.hits) > 0)
        .order_by(col(GuardCount.hits).desc(), col(GuardCount.key))
        .limit(limit)
    )
    return found.all()
