"""Links in e-mails that do one thing to an account, once: how they are signed, and whether they are still good."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

import sqlalchemy as sa
from itsdangerous import BadSignature, Signer
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

from models import LinkPurpose, OneTimeLink, User
from services.core import clock
from services.core.errors import Gone, NotFound
from services.core.i18n import _
from settings import get_settings

LIFETIMES = {
    LinkPurpose.VERIFY_EMAIL: timedelta(days=3),
    LinkPurpose.RESET_PASSWORD: timedelta(hours=1),
    LinkPurpose.CHANGE_EMAIL: timedelta(days=1),
}
PATHS = {
    LinkPurpose.VERIFY_EMAIL: "/verify/",
    LinkPurpose.RESET_PASSWORD: "/reset/",
    LinkPurpose.CHANGE_EMAIL: "/verify/",
}


async def make(session: AsyncSession, user: User, purpose: LinkPurpose, *, email: str) -> OneTimeLink:
    """The only one of its purpose that is good for this user from now on."""
    await void(session, user.id, purpose)
    link = OneTimeLink(user_id=user.id, purpose=purpose, email=email, expires_at=clock.now() + LIFETIMES[purpose])
    session.add(link)
    await session.flush()
    return link


def address(link: OneTimeLink) -> str:
    """Made only to be sent: who has it needs no password."""
    token = _signer().sign(urlsafe_b64encode(link.id.bytes).rstrip(b"=")).decode()
    return f"{get_settings().home}{PATHS[link.purpose]}{token}"


async def get_link(session: AsyncSession, token: str, *purposes: LinkPurpose) -> tuple[OneTimeLink, User]:
    """A link that is good, and whose it is. Raises `NotFound` for one that is forged, `Gone` for one that is over."""
    row = (await session.execute(_good(_read(token), purposes))).one_or_none()
    if row is None:
        raise _gone()
    return row[0], row[1]


async def find_link(session: AsyncSession, link_id: UUID) -> OneTimeLink | None:
    """One that is still good: what it would do may have been done otherwise since it was asked for."""
    row = (await session.execute(_good(link_id, tuple(LinkPurpose)))).one_or_none()
    return row[0] if row else None


async def was_just_made(session: AsyncSession, user: User, purpose: LinkPurpose, within: timedelta) -> bool:
    made = select(OneTimeLink.id).where(
        OneTimeLink.user_id == user.id,
        OneTimeLink.purpose == purpose,
        col(OneTimeLink.created_at) > clock.now() - within,
    )
    return (await session.scalars(made)).first() is not None


async def use(session: AsyncSession, token: str, *purposes: LinkPurpose) -> tuple[OneTimeLink, User]:
    """Use a link up. Of two who do so at once one is told that it is over. Raises what `get_link` does."""
    link, user = await get_link(session, token, *purposes)
    used = await session.execute(
        update(OneTimeLink)
        .where(col(OneTimeLink.id) == link.id, col(OneTimeLink.used_at).is_(None))
        .values(used_at=clock.now())
        .returning(col(OneTimeLink.id))
    )
    if used.first() is None:
        raise _gone()
    return link, user


async def void(session: AsyncSession, user_id: UUID, *purposes: LinkPurpose) -> None:
    """Those that were sent to a user before, for these purposes or for all."""
    of_user = delete(OneTimeLink).where(col(OneTimeLink.user_id) == user_id)
    await session.execute(of_user.where(col(OneTimeLink.purpose).in_(purposes or tuple(LinkPurpose))))


# Of a mailbox that is not the account's any more, only the link is good that shall make it so.
def _good(link_id: UUID, purposes: tuple[LinkPurpose, ...]) -> sa.Select[tuple[OneTimeLink, User]]:
    return (
        sa.select(OneTimeLink, User)
        .join(User, col(User.id) == col(OneTimeLink.user_id))
        .where(col(OneTimeLink.id) == link_id, col(OneTimeLink.purpose).in_(purposes))
        .where(col(OneTimeLink.used_at).is_(None), col(OneTimeLink.expires_at) > clock.now(), col(User.is_active))
        .where(sa.or_(col(OneTimeLink.purpose) == LinkPurpose.CHANGE_EMAIL, col(OneTimeLink.email) == col(User.email)))
    )


def _gone() -> Gone:
    return Gone(_("This link was used, or is over. Ask for a new one."))


def _read(token: str) -> UUID:
    try:
        return UUID(bytes=urlsafe_b64decode(_signer().unsign(token) + b"=="))
    except (BadSignature, ValueError) as error:
        raise NotFound(_("This link leads nowhere. Was it copied whole?")) from error


def _signer() -> Signer:
    return Signer(get_settings().secret_key.get_secret_value(), salt="one-time-link", digest_method=sha256)
