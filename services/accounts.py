"""Accounts: one's own profile and password, and what staff and commands do to those of others."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, func, select

from db import like, take_turns, unless_taken
from models import Avatar, LinkPurpose, StaffAssignment, User
from services import account_mail, api_keys, audit, one_time_links, passwords, sessions
from services.core import file_urls
from services.core.errors import Conflict, InvalidInput, NotFound, NotWhileActing, PermissionDenied
from services.core.i18n import _
from services.core.text import fold_email
from services.permissions import Account
from services.schemas.accounts import UserRead, UserUpdate

# What changes who is a superuser goes one after the other: two at once could leave the instance with none.
_SUPERUSERS = 7_012_001


async def get_user(session: AsyncSession, account: Account) -> User:
    return await session.get_one(User, account.user_id)


async def read_profile(session: AsyncSession, account: Account) -> UserRead:
    """Oneself, with one's picture."""
    statement = select(User, Avatar.file_id).outerjoin(Avatar, col(Avatar.user_id) == col(User.id))
    user, file_id = (await session.execute(statement.where(User.id == account.user_id))).one()
    shown = UserRead.model_validate(user)
    shown.avatar_url = file_urls.address(file_id, "small") if file_id else None
    return shown


async def find_by_email(session: AsyncSession, email: str) -> User | None:
    """However it is written."""
    return (await session.scalars(select(User).where(User.email == fold_email(email)))).one_or_none()


async def edit_profile(session: AsyncSession, account: Account, data: UserUpdate) -> UserRead:
    user = await get_user(session, account)
    given = data.model_dump(exclude_unset=True)
    before = audit.snapshot(user, given)
    user.sqlmodel_update({name: value for name, value in given.items() if value is not None or name == "locale"})
    audit.record(session, "account:edit", by=account, subject=user, before=before, after=audit.snapshot(user, given))
    return await read_profile(session, account)


async def make(
    session: AsyncSession, *, email: str, name: str, password: str | None, locale: str | None = None, **more: Any
) -> User:
    """An account, written. Without a password nobody can sign in with one, until it is set by a link.

    Raises `InvalidInput` for a weak password, `Conflict` for an e-mail that is taken.
    """
    email = fold_email(email)
    if password is None:
        hashed = passwords.UNUSABLE
    else:
        passwords.check(password, email=email)
        hashed = await passwords.hash_password(password)
    user = User(email=email, name=name, hashed_password=hashed, locale=locale, **more)
    taken = Conflict(_("There is an account with this e-mail address already."), code="duplicate")
    async with unless_taken(session, taken):
        session.add(user)
    return user


async def set_password(session: AsyncSession, user: User, password: str, *, field: str = "password") -> None:
    """Raises `InvalidInput` for a weak one. Links that were sent before are void; to end sessions is the caller's."""
    passwords.check(password, email=user.email, field=field)
    user.hashed_password = await passwords.hash_password(password)
    user.must_change_password = False
    session.add(user)
    await one_time_links.void(session, user.id)


async def require_password(session: AsyncSession, account: Account, password: str, *, field: str = "password") -> User:
    """Raises `InvalidInput` unless it is that of the account."""
    user = await get_user(session, account)
    right, _renewed = await passwords.verify(password, user.hashed_password)
    if not right:
        raise InvalidInput({field: _("This is not your password.")})
    return user


async def change_password(session: AsyncSession, account: Account, *, current: str, new: str) -> None:
    """Change one's own password, and sign out every other device. Raises `InvalidInput` at the field that is wrong."""
    user = await require_password(session, account, current, field="current_password")
    if new == current:
        raise InvalidInput({"new_password": _("This is the password you have.")})
    await set_password(session, user, new, field="new_password")
    await sessions.end_all(session, user.id, but=account.session_id)
    audit.record(session, "account:password", by=account, subject=user)
    await account_mail.send_notice(session, user, "password_changed")


async def delete_own(session: AsyncSession, account: Account) -> None:
    """With all that is its user's alone: sessions end at once, sockets included. Raises `Conflict` for the last
    superuser."""
    if not _is_themselves(account):
        raise NotWhileActing(_("Nobody can do that for somebody else."))
    user = await _managed(session, account.user_id, account, turns=True)
    await _keep_a_superuser(session, user)
    await end_credentials(session, user)
    audit.record(session, "account:delete", by=account, subject=user, subject_name=user.name)
    await account_mail.say_goodbye(session, user)
    await session.flush()
    await session.execute(delete(User).where(col(User.id) == user.id))


# What staff and commands do. `by` is who does it; None for a command, which may do everything.


async def create(
    session: AsyncSession,
    *,
    by: Account | None,
    email: str,
    name: str,
    password: str | None = None,
    is_superuser: bool = False,
    is_verified: bool = False,
    must_change_password: bool = False,
) -> User:
    """Raises what `make` does, and `PermissionDenied` where somebody else than a superuser makes one."""
    if is_superuser:
        _require_superuser(by)
    user = await make(
        session,
        email=email,
        name=name,
        password=password,
        is_superuser=is_superuser,
        is_verified=is_verified,
        must_change_password=must_change_password,
    )
    after = audit.snapshot(user, ("email", "name", "is_superuser", "is_verified", "must_change_password"))
    audit.record(session, "users:create", by=by, subject=user, after=after)
    return user


async def list_users(session: AsyncSession, search: str = "") -> list[User]:
    """By e-mail; those whose e-mail or name contains `search`, or all."""
    matches = sa.or_(*(col(field).ilike(like(search), escape="\\") for field in (User.email, User.name)))
    return list(await session.scalars(select(User).where(matches).order_by(col(User.email))))


async def disable(session: AsyncSession, user_id: UUID, *, by: Account | None) -> User:
    """Keep somebody out, at once and everywhere. Raises `Conflict` for oneself and for the last superuser."""
    user = await _managed(session, user_id, by, turns=True)
    if by is not None and by.user_id == user_id:
        raise Conflict(_("You cannot disable yourself."), code="oneself")
    if user.is_active:
        await _keep_a_superuser(session, user)
        await _change(session, "users:disable", user, by, is_active=False)
        await one_time_links.void(session, user.id)
        await sessions.end_all(session, user.id)
    return user


async def enable(session: AsyncSession, user_id: UUID, *, by: Account | None) -> User:
    """What was signed in before stays signed out."""
    user = await _managed(session, user_id, by)
    await _change(session, "users:enable", user, by, is_active=True)
    return user


async def verify(session: AsyncSession, user_id: UUID, *, by: Account | None) -> User:
    """Take somebody's word that the e-mail address is theirs."""
    user = await _managed(session, user_id, by)
    await _change(session, "users:verify", user, by, is_verified=True)
    return user


async def set_superuser(session: AsyncSession, user_id: UUID, is_superuser: bool, *, by: Account | None) -> User:
    """Raises `PermissionDenied` unless a superuser does it, and `Conflict` for the last one."""
    _require_superuser(by)
    user = await _managed(session, user_id, by, turns=True)
    if not is_superuser:
        await _keep_a_superuser(session, user)
    await _change(session, "users:set_superuser", user, by, is_superuser=is_superuser)
    return user


async def force_logout(session: AsyncSession, user_id: UUID, *, by: Account | None) -> User:
    """End every session of somebody, sockets included."""
    user = await _managed(session, user_id, by)
    await sessions.end_all(session, user.id)
    audit.record(session, "users:force_logout", by=by, subject=user)
    return user


async def force_logout_role(session: AsyncSession, role_id: UUID, *, by: Account | None) -> int:
    """Sign out everybody who has a staff role; how many. Superusers among them only for a superuser."""
    statement = select(User).join(StaffAssignment).where(StaffAssignment.role_id == role_id)
    users = (await session.scalars(statement.order_by(col(User.id)))).all()
    reached = [user for user in users if _may_manage(by, user)]
    for user in reached:
        await force_logout(session, user.id, by=by)
    return len(reached)


async def require_password_change(session: AsyncSession, user_id: UUID, *, by: Account | None) -> User:
    """Let somebody do nothing more before they have chosen a new password."""
    user = await _managed(session, user_id, by)
    await _change(session, "users:require_password_change", user, by, must_change_password=True)
    return user


async def send_reset(session: AsyncSession, user_id: UUID, *, by: Account | None) -> User:
    """Mail somebody a link to choose a new password with. Raises `Conflict` for one who is disabled."""
    user = await _managed(session, user_id, by)
    if not user.is_active:
        raise Conflict(_("This account is disabled."), code="disabled")
    await account_mail.send_link(session, user, LinkPurpose.RESET_PASSWORD)
    audit.record(session, "users:send_reset", by=by, subject=user)
    return user


async def replace_password(session: AsyncSession, user_id: UUID, password: str, *, by: Account | None) -> User:
    """Set somebody's password, and sign them out everywhere; their API keys end too."""
    user = await _managed(session, user_id, by)
    await set_password(session, user, password)
    await end_credentials(session, user)
    audit.record(session, "users:replace_password", by=by, subject=user)
    return user


async def end_credentials(session: AsyncSession, user: User) -> None:
    """For when somebody else may have had the password: nothing that was let in with it stays in."""
    await sessions.end_all(session, user.id)
    await api_keys.revoke_all(session, user.id)


async def _managed(session: AsyncSession, user_id: UUID, by: Account | None, *, turns: bool = False) -> User:
    """The user as they are now, locked. Raises `NotFound`, and `PermissionDenied` for whoever may not manage them."""
    if turns:
        await take_turns(session, _SUPERUSERS)
    statement = select(User).where(User.id == user_id).with_for_update().execution_options(populate_existing=True)
    user: User | None = (await session.scalars(statement)).one_or_none()
    if user is None:
        raise NotFound(_("There is no such user."))
    if not _may_manage(by, user):
        raise PermissionDenied(_("Only a superuser manages superusers."))
    return user


def _may_manage(by: Account | None, user: User) -> bool:
    return by is None or (_is_themselves(by) and (by.is_superuser or not user.is_superuser))


def _require_superuser(by: Account | None) -> None:
    if by is not None and not (by.is_superuser and _is_themselves(by)):
        raise PermissionDenied(_("Only a superuser makes superusers."))


def _is_themselves(by: Account) -> bool:
    """Not staff who acts as somebody else, and no API key."""
    return by.impersonator_id is None and by.scopes is None


async def _keep_a_superuser(session: AsyncSession, user: User) -> None:
    """Raises `Conflict` when there is no other superuser who can sign in."""
    if not (user.is_superuser and user.is_active):
        return
    others = select(func.count()).where(User.is_superuser, User.is_active, User.id != user.id)
    if not await session.scalar(others):
        raise Conflict(_("This is the last superuser. Make another one first."), code="last_superuser")


async def _change(session: AsyncSession, action: str, user: User, by: Account | None, **values: Any) -> None:
    before = audit.snapshot(user, values)
    user.sqlmodel_update(values)
    session.add(user)
    if before != values:
        audit.record(session, action, by=by, subject=user, before=before, after=values)
