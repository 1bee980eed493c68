"""Who people are at the OpenID provider. An identity is known by its issuer and subject alone, never by an e-mail
address: whoever has that address at the provider must not get into an account that was here before.
"""

from collections.abc import Sequence
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from db import unless_taken
from models import ExternalIdentity, User
from services import account_mail, accounts, audit, households, sessions, ways_in
from services.core import clock
from services.core.errors import Conflict, NotFound, NotSignedIn, PermissionDenied
from services.core.i18n import _, is_locale
from services.openid import Claims
from services.permissions import Account
from services.schemas.households import HouseholdCreate
from services.schemas.identities import Newcomer
from settings import Registration, get_settings


async def list_identities(session: AsyncSession, account: Account) -> Sequence[ExternalIdentity]:
    statement = select(ExternalIdentity).where(ExternalIdentity.user_id == account.user_id)
    return (await session.scalars(statement.order_by(col(ExternalIdentity.id)))).all()


async def find_user(session: AsyncSession, claims: Claims) -> User | None:
    """Who is known as that."""
    known = (
        select(ExternalIdentity, User)
        .join(User, col(User.id) == col(ExternalIdentity.user_id))
        .where(ExternalIdentity.issuer == claims.issuer, ExternalIdentity.subject == claims.subject)
    )
    row = (await session.execute(known)).one_or_none()
    if row is None:
        return None
    identity, user = row
    identity.last_used_at = clock.now()
    return user


async def enter(session: AsyncSession, claims: Claims, *, time_zone: str | None = None) -> User:
    """The user somebody is, or becomes: a new one, where newcomers are welcome.

    Raises `NotSignedIn` for one who is disabled, `Conflict` when the e-mail address has an account that is not linked,
    and `PermissionDenied` where none is made.
    """
    user = await find_user(session, claims)
    if user is None:
        return await _welcome(session, claims, time_zone)
    if not user.is_active:
        raise NotSignedIn(_("This account is disabled."), code="bad_credentials")
    return user


async def link(session: AsyncSession, account: Account, claims: Claims) -> None:
    """Let an identity sign in as this user. Raises `Conflict` when it is somebody's already."""
    await sessions.require_confirmed(session, account)
    user = await session.get_one(User, account.user_id)
    identity = _identity(user, claims)
    taken = Conflict(_("That account is linked already, to this account here or to another."), code="duplicate")
    async with unless_taken(session, taken):
        session.add(identity)
    audit.record(session, "identities:link", by=account, subject=identity, subject_name=_name(identity))
    await account_mail.send_notice(session, user, "identity_linked", about=get_settings().openid_name)


async def unlink(session: AsyncSession, account: Account, identity_id: UUID) -> None:
    """Raises `NotFound`, and `Conflict` when nobody could sign in any more."""
    await sessions.require_confirmed(session, account)
    user = await ways_in.lock(session, account)
    identity = await session.get(ExternalIdentity, identity_id, populate_existing=True)
    if identity is None or identity.user_id != user.id:
        raise NotFound(_("There is no such link."))
    await session.execute(delete(ExternalIdentity).where(col(ExternalIdentity.id) == identity.id))
    await ways_in.require_one(session, user)
    audit.record(session, "identities:unlink", by=account, subject=identity, subject_name=_name(identity))
    await account_mail.send_notice(session, user, "identity_unlinked", about=get_settings().openid_name)


async def _welcome(session: AsyncSession, claims: Claims, time_zone: str | None) -> User:
    """A new user with a household of their own."""
    provider = get_settings().openid_name
    newcomer = _newcomer(claims)
    if newcomer is None:
        raise PermissionDenied(
            _("{name} does not vouch for an e-mail address of yours, so no account can be made.").format(name=provider)
        )
    # Whoever has the address at the provider may know that it has an account here, and no more than that.
    if await accounts.find_by_email(session, newcomer.email) is not None:
        raise Conflict(
            _(
                "There is an account with your e-mail address. Sign in to it as usual, then link {name} under "
                "Settings, How you sign in."
            ).format(name=provider),
            code="not_linked",
        )
    if get_settings().registration is not Registration.OPEN:
        raise PermissionDenied(_("This instance does not take new accounts by itself. Ask for an invitation."))
    locale = claims.locale if is_locale(claims.locale) else None
    user = await accounts.make(
        session, email=newcomer.email, name=newcomer.name, password=None, locale=locale, is_verified=True
    )
    name = _("{name}’s household").format(name=user.name)
    household = HouseholdCreate(name=name[:100], time_zone=time_zone, locale=locale)
    await households.create_household(session, user.id, household)
    identity = _identity(user, claims)
    async with unless_taken(session, Conflict(_("Please sign in again."), code="duplicate")):
        session.add(identity)
    audit.record(session, "auth:register", by=user, subject=user, after={"way": "openid"})
    return user


def _newcomer(claims: Claims) -> Newcomer | None:
    """Who could be let in: with an e-mail address that the provider vouches for, and a name one can read."""
    for name in (claims.name, claims.email.partition("@")[0]):
        try:
            return Newcomer(email=claims.email, name=name)
        except ValidationError:
            continue
    return None


def _identity(user: User, claims: Claims) -> ExternalIdentity:
    return ExternalIdentity(
        user_id=user.id,
        issuer=claims.issuer,
        subject=claims.subject,
        email=claims.email[:254],
        last_used_at=clock.now(),
    )


def _name(identity: ExternalIdentity) -> str:
    return f"{identity.email or identity.subject} ({identity.issuer})"
