"""Getting back in without the password, and showing that an e-mail address is one's own: by links that are mailed."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import session_scope, unless_taken
from models import LinkPurpose, User
from services import account_mail, accounts, audit, jobs, one_time_links, sessions
from services.core.errors import Conflict, InvalidInput, LimitExceeded
from services.core.i18n import _
from services.core.ids import hash_token
from services.core.tasks import task
from services.core.text import fold_email
from services.permissions import Account

OF_ADDRESSES = (LinkPurpose.VERIFY_EMAIL, LinkPurpose.CHANGE_EMAIL)


async def ask_for_reset(session: AsyncSession, email: str) -> None:
    """Whether there is such an account is looked up later, by a task, so that nobody learns it from the answer."""
    email = fold_email(email)
    await jobs.defer(session, "send_reset", dedupe_key=f"send_reset {hash_token(email)}", email=email)


@task("send_reset")
async def send_reset(email: str) -> str:
    """Mail a link to choose a new password with, if there is somebody to mail it to."""
    async with session_scope() as session:
        user = await accounts.find_by_email(session, email)
        if user is None or not user.is_active:
            return "nobody to write to"
        is_sent = await account_mail.send_link(session, user, LinkPurpose.RESET_PASSWORD)
    return "1 written" if is_sent else "written to lately"


async def reset(session: AsyncSession, token: str, password: str) -> User:
    """Choose a new password by a link. It ends every session and API key, and shows that the address is one's own.

    Raises `NotFound` and `Gone` for what is no good link, `InvalidInput` for a weak password.
    """
    _link, user = await one_time_links.use(session, token, LinkPurpose.RESET_PASSWORD)
    await accounts.set_password(session, user, password)
    user.is_verified = True
    await accounts.end_credentials(session, user)
    audit.record(session, "auth:reset", by=user, subject=user)
    await account_mail.send_notice(session, user, "password_changed")
    return user


async def ask_to_verify(session: AsyncSession, account: Account) -> None:
    """Mail the link once more. Raises `Conflict` when there is nothing to confirm, `LimitExceeded` so soon after."""
    user = await accounts.get_user(session, account)
    if user.is_verified:
        raise Conflict(_("Your e-mail address is confirmed already."), code="verified")
    _require_sent(await account_mail.send_link(session, user, LinkPurpose.VERIFY_EMAIL))


async def ask_to_change_email(session: AsyncSession, account: Account, *, email: str, password: str) -> None:
    """Mail a link to the new address, and word of it to the old one. Nothing changes before the link is used.

    An address that belongs to another account gets no mail, and looks like any other from here.
    """
    user = await accounts.require_password(session, account, password)
    if email == user.email:
        raise InvalidInput({"email": _("This is your e-mail address already.")})
    if await accounts.find_by_email(session, email) is None:
        _require_sent(await account_mail.send_link(session, user, LinkPurpose.CHANGE_EMAIL, email=email))
    await account_mail.send_notice(session, user, "email_wanted", about=email)
    audit.record(session, "account:change_email", by=account, subject=user, after={"wanted": email})


async def confirm_address(session: AsyncSession, token: str, *, visitor: Account | None) -> User:
    """Use a link that was mailed to an address. A new address ends all sessions but the one it is confirmed in.

    Raises `NotFound` and `Gone` for what is no good link, `Conflict` for an address that somebody else has by now.
    """
    link, user = await one_time_links.use(session, token, *OF_ADDRESSES)
    before = audit.snapshot(user, ("email", "is_verified"))
    taken = Conflict(_("There is an account with this e-mail address already."), code="duplicate")
    async with unless_taken(session, taken):
        user.email, user.is_verified = link.email, True
        session.add(user)
    if link.purpose is LinkPurpose.CHANGE_EMAIL:
        await one_time_links.void(session, user.id)
        await sessions.end_all(session, user.id, but=_own_session(visitor, user.id))
        await account_mail.send_notice(session, user, "email_changed", to=before["email"], about=user.email)
    after = audit.snapshot(user, before)
    audit.record(session, "auth:verify", by=user, subject=user, before=before, after=after)
    return user


def _own_session(visitor: Account | None, user_id: UUID) -> UUID | None:
    return visitor.session_id if visitor and visitor.user_id == user_id else None


def _require_sent(is_sent: bool) -> None:
    if not is_sent:
        seconds = int(account_mail.PAUSE.total_seconds())
        raise LimitExceeded(_("We have just written to you. Wait a minute, then try again."), retry_after=seconds)
