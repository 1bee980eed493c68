"""Who people are at the OpenID provider. An identity is known by its issuer and subject alone, never by an e-mail
address: whoever has that address at the provider must not get into an account that was here before.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from db import unless_taken
from models import Challenge, ChallengeKind, ExternalIdentity, User
from services import account_mail, accounts, audit, challenges, households, openid, sessions, ways_in
from services.core import clock
from services.core.errors import Conflict, NotFound, NotSignedIn, PermissionDenied
from services.core.i18n import _, is_locale
from services.openid import Claims, Quest
from services.permissions import Account
from services.schemas.households import HouseholdCreate
from services.schemas.identities import Newcomer
from settings import Registration, get_settings


class Intent(StrEnum):
    """What somebody goes to the provider for."""

    SIGN_IN = "sign_in"
    LINK = "link"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Errand:
    """A way to the provider and back: what for, and what to do then. `session_id` is whose errand it is."""

    quest: Quest
    intent: Intent
    session_id: str
    next: str
    time_zone: str | None


async def send_out(
    session: AsyncSession,
    intent: Intent,
    *,
    account: Account | None = None,
    next: str = "/",
    time_zone: str | None = None,
) -> str:
    """Begin an errand; the token of the browser that goes on it. Raises `NotFound` where there is no provider."""
    openid.require_configured()
    if intent is Intent.LINK and account is not None:
        await sessions.require_confirmed(session, account)
    return await challenges.ask(
        session,
        ChallengeKind.OPENID,
        quest=asdict(Quest.new()),
        intent=intent,
        session_id=str(account.session_id) if account else "",
        next=next,
        time_zone=time_zone,
    )


async def find_errand(session: AsyncSession, token: str) -> Errand | None:
    asked = await challenges.find(session, ChallengeKind.OPENID, token)
    return _errand(asked) if asked else None


async def take_errand(session: AsyncSession, token: str) -> Errand | None:
    """End it: of all who come back from it, the first. None for the others, and when it is too old."""
    asked = await challenges.take(session, ChallengeKind.OPENID, token)
    return _errand(asked) if asked else None


async def list_identities(session: AsyncSession, account: Account) -> Sequence[ExternalIdentity]:
    statement = select(ExternalIdentity).where(ExternalIdentity.user_id == account.user_id)
    return (await session.scalars(statement.order_by(col(ExternalIdentity.id)))).all()


async def find_user(session: AsyncSession, claims: Claims) -> User | None:
    """Who is known as that."""
    known = (
        sa.select(ExternalIdentity, User)
        .join(User, col(User.id) == col(ExternalIdentity.user_id))
        .where(col(ExternalIdentity.issuer) == claims.issuer, col(ExternalIdentity.subject) == claims.subject)
    )
    row = (await session.execute(known)).tuples().one_or_none()
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


async def confirm(session: AsyncSession, account: Account, errand: Errand, claims: Claims) -> None:
    """Show by signing in there once more that one is still who signed in here. Raises `PermissionDenied`."""
    _require_own(account, errand)
    user = await find_user(session, claims)
    if user is None or user.id != account.user_id:
        raise PermissionDenied(_("That is somebody else’s account."))
    await sessions.confirm(session, account)


async def link(session: AsyncSession, account: Account, errand: Errand, claims: Claims) -> None:
    """Let an identity sign in as this user. Raises `Conflict` when it is somebody's already."""
    _require_own(account, errand)
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
    user = await ways_in.lock(session, account)
    identity = await session.get(ExternalIdentity, identity_id, populate_existing=True)
    if identity is None or identity.user_id != user.id:
        raise NotFound(_("There is no such link."))
    await sessions.require_confirmed(session, account)
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
                "Settings, Ways to sign in."
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
    await households.create_household(session, user, household)
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


def _require_own(account: Account, errand: Errand) -> None:
    """Raises `PermissionDenied` for whoever did not begin it themselves, here."""
    if errand.session_id != str(account.session_id):
        raise PermissionDenied(_("Somebody else began this. Please start again."))


def _errand(asked: Challenge) -> Errand:
    data = asked.data
    return Errand(
        quest=Quest(**data["quest"]),
        intent=Intent(data["intent"]),
        session_id=data["session_id"],
        next=data["next"],
        time_zone=data["time_zone"],
    )


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
