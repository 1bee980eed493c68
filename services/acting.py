"""Acting for somebody: staff uses the app as one of its users, for a short while, and everybody can see it."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import Membership, User
from services import account_mail, audit, sessions, staff_roles
from services.core.errors import Conflict, NotFound, NotWhileActing, PermissionDenied
from services.core.i18n import _
from services.permissions import Account
from services.schemas.acting import ActingStart
from services.sessions import ACTING_PERMISSION
from services.staff import Staff


async def start(session: AsyncSession, by: Staff, user: User, data: ActingStart) -> str:
    """Begin to act as a user that `get_user` found; the cookie's token.

    Raises `PermissionDenied` for superusers and for staff who may do more, and `Conflict` for oneself and for accounts
    that are disabled.
    """
    if by.impersonator_id is not None:
        raise NotWhileActing(_("You are acting for somebody already."))
    if user.id == by.user_id:
        raise Conflict(_("You are yourself already."), code="oneself")
    if user.is_superuser:
        raise PermissionDenied(_("Nobody acts for a superuser."))
    if not user.is_active:
        raise Conflict(_("This account is disabled."), code="disabled")
    await staff_roles.require_holding_theirs(session, by, user.id)

    await sessions.end_acting_from(session, by.session_id)
    cookie = await sessions.start_acting(session, by, user)
    await _record(session, "acting:start", by, user, reason=data.reason)
    await account_mail.send_notice(session, user, "acted_for", about=by.name)
    return cookie


async def end(session: AsyncSession, account: Account) -> str:
    """Go back to being oneself; the cookie's token. Raises `NotFound` for somebody who is."""
    user = await session.get_one(User, account.user_id)
    cookie = await sessions.end_acting(session, account)
    await _record(session, "acting:end", account, user)
    return cookie


async def get_user(session: AsyncSession, by: Staff, user_id: UUID) -> User:
    """Somebody whom the permission reaches. Raises `NotFound`."""
    statement = select(User).where(User.id == user_id, by.reach(ACTING_PERMISSION).rows(User))
    user: User | None = (await session.scalars(statement)).one_or_none()
    if user is None:
        raise NotFound(_("There is no such user."))
    return user


async def _record(session: AsyncSession, action: str, by: Account, user: User, *, reason: str = "") -> None:
    """In each of the user's households, where its people can see it; once at least."""
    households = (await session.scalars(select(Membership.household_id).where(Membership.user_id == user.id))).all()
    after = {"reason": reason} if reason else None
    for household_id in households or (None,):
        audit.record(
            session,
            action,
            by=by,
            subject=user,
            subject_name=user.name,
            household_id=household_id,
            after=after,
        )
