"""Sign-ins: one session a device, with a cookie for pages, and access and rotating refresh tokens for the API."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, delete, select, update

from db import Id, Prepared, UTCDateTime
from models import (
    ApiKey,
    Avatar,
    GrantKind,
    Household,
    LiveKind,
    Membership,
    Role,
    SessionToken,
    StaffAssignment,
    StaffGrant,
    StaffRole,
    Theme,
    TokenKind,
    User,
    UserSession,
)
from services import audit, outbox
from services.core import clock, devices, origin
from services.core.errors import ConfirmationNeeded, NotFound, NotSignedIn
from services.core.i18n import DEFAULT_LOCALE, _
from services.core.ids import hash_token, new_id, new_token
from services.core.pagination import Page, PageRequest, by_id, fetch_page
from services.permissions import Account, Actor
from services.schemas.accounts import SessionRead

SESSION_LIFETIME = timedelta(days=60)
ACTING_LIFETIME = timedelta(minutes=30)
# The session decides how long a cookie is good for, and slides while it is used.
COOKIE_LIFETIME = timedelta(days=3650)
ACCESS_LIFETIME = timedelta(minutes=15)
TICKET_LIFETIME = timedelta(seconds=60)
TOUCH_EVERY = timedelta(hours=1)
REPLAY_MEMORY = timedelta(days=7)
CONFIRMED_FOR = timedelta(minutes=15)
NO_SESSION = UUID(int=0)
API_KEY_PREFIX = "lrk_"
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
ACTING_PERMISSION = "acting:start"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The secrets of one session, shown once."""

    session_id: UUID
    cookie: str
    access: str
    refresh: str
    expires_in: int = int(ACCESS_LIFETIME.total_seconds())


async def start(session: AsyncSession, user: User) -> Tokens:
    """Sign a user in on one more device.

    Raises `NotSignedIn` when they were disabled or signed out everywhere since `user` was read.
    """
    now = clock.now()
    entered = await session.execute(
        update(User)
        .where(col(User.id) == user.id, col(User.is_active), col(User.auth_version) == user.auth_version)
        .values(last_login_at=now)
        .returning(col(User.id))
    )
    if entered.first() is None:
        raise NotSignedIn(_("Please sign in again."))
    where = origin.current()
    device = UserSession(
        id=new_id(),
        user_id=user.id,
        auth_version=user.auth_version,
        user_agent=where.user_agent[:400],
        ip_address=where.ip_address,
        created_at=now,
        last_used_at=now,
        confirmed_at=now,
        expires_at=now + SESSION_LIFETIME,
    )
    session.add(device)
    await session.flush()  # the tokens refer to it
    return await _issue(session, device.id, cookie=new_token())


async def start_acting(session: AsyncSession, account: Account, user: User) -> str:
    """Let staff act as a user, for a while and no longer than their own session; the cookie's token."""
    now = clock.now()
    where = origin.current()
    device = UserSession(
        id=new_id(),
        user_id=user.id,
        auth_version=user.auth_version,
        parent_id=account.session_id,
        impersonator_id=account.user_id,
        user_agent=where.user_agent[:400],
        ip_address=where.ip_address,
        created_at=now,
        last_used_at=now,
        expires_at=now + ACTING_LIFETIME,
    )
    session.add(device)
    await session.flush()  # the token refers to it
    cookie = new_token()
    _add_token(session, device.id, TokenKind.COOKIE, cookie, ACTING_LIFETIME)
    return cookie


async def end_acting_from(session: AsyncSession, session_id: UUID) -> None:
    """End what was begun in a session: one acts for one person at a time."""
    await _end_where(session, col(UserSession.parent_id) == session_id)


async def end_acting(session: AsyncSession, account: Account) -> str:
    """End it, and go back to the session it began in; the cookie's token. Raises `NotFound` when nobody acts."""
    ended = await session.execute(
        delete(UserSession)
        .where(col(UserSession.id) == account.session_id, col(UserSession.impersonator_id).is_not(None))
        .returning(col(UserSession.parent_id))
    )
    parent_id = ended.scalar_one_or_none()
    if parent_id is None:
        raise NotFound(_("You are not acting for anybody."))
    outbox.tell(session, LiveKind.SESSION_REVOKED, user_id=account.user_id, subject_id=account.session_id)
    cookie = new_token()
    _add_token(session, parent_id, TokenKind.COOKIE, cookie, COOKIE_LIFETIME)
    return cookie


async def refresh(session: AsyncSession, token: str) -> Tokens | None:
    """Trade a refresh token for new tokens of the same session; it works once.

    None for one that is unknown or over. One that was used before has been copied by somebody, so it ends its
    session: commit that, do not raise.
    """
    now = clock.now()
    spent = await session.execute(
        update(SessionToken)
        .where(col(SessionToken.token_hash) == hash_token(token))
        .where(col(SessionToken.kind) == TokenKind.REFRESH, col(SessionToken.expires_at) > now)
        .where(col(SessionToken.used_at).is_(None), col(SessionToken.session_id).in_(_good_ids()))
        .values(used_at=now)
        .returning(col(SessionToken.session_id))
    )
    session_id = spent.scalar_one_or_none()
    if session_id is None:
        await _end_if_replayed(session, token)
        return None

    of_session = delete(SessionToken).where(col(SessionToken.session_id) == session_id)
    await session.execute(of_session.where(col(SessionToken.kind) == TokenKind.ACCESS))
    await session.execute(of_session.where(col(SessionToken.used_at) < now - REPLAY_MEMORY))
    await touch(session, session_id)
    return await _issue(session, session_id)


async def end(session: AsyncSession, session_id: UUID) -> None:
    """With those in which its holder acts as somebody else."""
    await _end_where(session, sa.or_(col(UserSession.id) == session_id, col(UserSession.parent_id) == session_id))


async def sign_out(session: AsyncSession, account: Account) -> None:
    """On this device. Staff who acts for somebody leaves altogether: nobody stays behind in their name."""
    parent_ids = sa.select(col(_Parent.parent_id)).where(col(_Parent.id) == account.session_id)
    parent_id = (await session.scalars(parent_ids)).first() or account.session_id
    await end(session, parent_id)
    audit.record(session, "auth:logout", by=account, subject_type="user_session", subject_id=account.session_id)


async def sign_out_everywhere(session: AsyncSession, account: Account) -> None:
    await end_all(session, account.user_id)
    audit.record(session, "auth:logout_all", by=account, subject_type="user", subject_id=account.user_id)


async def list_sessions(session: AsyncSession, account: Account, page: PageRequest) -> Page[SessionRead]:
    """Those that are not over, newest first."""
    statement = (
        sa.select(UserSession, col(User.name))
        .outerjoin(User, col(User.id) == col(UserSession.impersonator_id))
        .where(col(UserSession.user_id) == account.user_id, col(UserSession.expires_at) > clock.now())
    )
    found = await fetch_page(session, statement, page, by_id(col(UserSession.id)), descending=True)
    return replace(found, items=[_read(device, account, name or "") for device, name in found.items])


def _read(device: UserSession, account: Account, acting_name: str) -> SessionRead:
    return SessionRead(
        **device.model_dump(),
        device=_device(device.user_agent),
        is_current=device.id == account.session_id,
        is_acting=device.impersonator_id is not None,
        acting_name=acting_name,
    )


def _device(user_agent: str) -> str:
    browser, system = devices.browser_of(user_agent), devices.system_of(user_agent)
    if browser and system:
        return _("{browser} on {system}").format(browser=browser, system=system)
    return browser or system or devices.program_of(user_agent) or _("A device that does not say")


async def end_own(session: AsyncSession, account: Account, session_id: UUID) -> None:
    """Sign oneself out on one device. Raises `NotFound`."""
    own = select(UserSession).where(UserSession.id == session_id, UserSession.user_id == account.user_id)
    device = (await session.scalars(own)).first()
    if device is None:
        raise NotFound(_("There is no such session."))
    audit.record(session, "sessions:end", by=account, subject=device, subject_name=_device(device.user_agent))
    await end(session, session_id)


async def require_confirmed(session: AsyncSession, account: Account) -> None:
    """For changes to how one signs in. Raises `ConfirmationNeeded` unless one has just shown who one is."""
    if not await is_confirmed(session, account):
        raise ConfirmationNeeded(_("Please confirm first that it is you."))


async def is_confirmed(session: AsyncSession, account: Account) -> bool:
    """Staff cannot for somebody else, nor can a machine."""
    shown = select(UserSession.confirmed_at).where(
        UserSession.id == account.session_id,
        UserSession.user_id == account.user_id,
        col(UserSession.impersonator_id).is_(None),
    )
    confirmed_at = (await session.scalars(shown)).one_or_none()
    return confirmed_at is not None and clock.now() - confirmed_at <= CONFIRMED_FOR


async def confirm(session: AsyncSession, account: Account) -> None:
    """Whoever is here has just shown that they are the user: by their password, or by a passkey."""
    is_own = sa.and_(col(UserSession.id) == account.session_id, col(UserSession.impersonator_id).is_(None))
    await session.execute(update(UserSession).where(is_own).values(confirmed_at=clock.now()))


async def end_others(session: AsyncSession, account: Account) -> None:
    """Sign oneself out on every other device."""
    await end_all(session, account.user_id, but=account.session_id)
    audit.record(session, "sessions:end_others", by=account, subject_type="user", subject_id=account.user_id)


async def end_all(session: AsyncSession, user_id: UUID, *, but: UUID | None = None) -> None:
    """Sign a user out everywhere, except in the session `but`, and wherever they act as somebody else.

    A sign-in that has begun already is in vain too: the version it knows of the user is over.
    """
    raised = update(User).where(col(User.id) == user_id).values(auth_version=col(User.auth_version) + 1)
    version = (await session.execute(raised.returning(col(User.auth_version)))).scalar_one()
    theirs = sa.or_(col(UserSession.user_id) == user_id, col(UserSession.impersonator_id) == user_id)
    if but is not None:
        kept = update(UserSession).where(col(UserSession.id) == but, col(UserSession.user_id) == user_id)
        await session.execute(kept.values(auth_version=version))
        theirs = sa.and_(theirs, col(UserSession.id) != but)
    await _end_where(session, theirs)


async def switch_household(session: AsyncSession, account: Account, household_id: UUID | None) -> None:
    """Remember which household this device shows."""
    await session.execute(
        update(UserSession).where(col(UserSession.id) == account.session_id).values(household_id=household_id)
    )


async def touch(session: AsyncSession, session_id: UUID) -> None:
    """A session, or an API key, is in use."""
    now = clock.now()
    await session.execute(update(ApiKey).where(col(ApiKey.id) == session_id).values(last_used_at=now))
    is_acting = col(UserSession.impersonator_id).is_not(None)
    await session.execute(
        update(UserSession)
        .where(col(UserSession.id) == session_id)
        .values(
            last_used_at=now, expires_at=sa.case((is_acting, col(UserSession.expires_at)), else_=now + SESSION_LIFETIME)
        )
    )


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a token stands for: the account, and the actor when a household goes with it."""

    account: Account
    actor: Actor | None
    last_used_at: datetime

    @property
    def is_stale(self) -> bool:
        return clock.now() - self.last_used_at > TOUCH_EVERY


async def find(
    session: AsyncSession, token: str, kind: TokenKind, *, household_id: UUID | None = None
) -> SignedIn | None:
    """Who shows this token, as a member of `household_id` or else of the household the device shows.

    A bearer token may be an API key: then its id stands in for the session's, and the account has scopes.
    """
    if kind is TokenKind.ACCESS and token.startswith(API_KEY_PREFIX):
        return await _find_by_key(session, token, household_id)
    row = await _BY_TOKEN.fetch_one(
        session, token_hash=hash_token(token), kind=kind, now=clock.now(), household_id=household_id
    )
    return None if row is None else _signed_in(row)


async def _find_by_key(session: AsyncSession, token: str, household_id: UUID | None) -> SignedIn | None:
    row = await _BY_KEY.fetch_one(session, key_hash=hash_token(token), now=clock.now(), household_id=household_id)
    if row is None:
        return None
    key_id, scopes, last_used_at, *who = row
    return _signed_in((key_id, last_used_at or BEFORE_ALL, None, None, "", *who), frozenset(scopes))


async def issue_ticket(session: AsyncSession, account: Account) -> str:
    """A token that lets one socket in, once, for clients that can send neither cookie nor header with it."""
    ticket = new_token()
    _add_token(session, account.session_id, TokenKind.TICKET, ticket, TICKET_LIFETIME)
    return ticket


async def redeem_ticket(session: AsyncSession, ticket: str) -> SignedIn | None:
    found = await find(session, ticket, TokenKind.TICKET)
    spent = delete(SessionToken).where(col(SessionToken.token_hash) == hash_token(ticket))
    is_first = await session.execute(
        spent.where(col(SessionToken.kind) == TokenKind.TICKET).returning(col(SessionToken.token_hash))
    )
    return found if is_first.first() else None


async def find_member(session: AsyncSession, user_id: UUID, household_id: UUID) -> Actor | None:
    """A member who is not here themselves, for what is done in their name; none who left or may not sign in."""
    row = (await session.execute(_MEMBER, {"user_id": user_id, "household_id": household_id})).one_or_none()
    return None if row is None else _signed_in((NO_SESSION, clock.now(), None, None, "", *row)).actor


_Impersonator = aliased(User)
_Parent = aliased(UserSession)
_HAS_ROLE = (
    sa.exists()
    .where(col(StaffAssignment.user_id) == col(User.id), col(StaffAssignment.role_id) == col(StaffRole.id))
    .where(col(StaffRole.is_enabled))
)
_WHO = (
    col(User.id),
    col(User.name),
    col(User.email),
    col(User.locale),
    col(User.theme),
    col(User.is_superuser),
    sa.or_(col(User.is_superuser), _HAS_ROLE),
    col(User.is_verified),
    col(User.must_change_password),
    sa.select(col(Avatar.file_id)).where(col(Avatar.user_id) == col(User.id)).scalar_subquery(),
    col(Membership.role),
    col(Membership.soon_days),
    col(Household.id),
    col(Household.name),
    col(Household.time_zone),
    col(Household.currency),
    col(Household.locale),
    col(Household.soon_days),
)
_MEMBER = (
    sa.select(*_WHO)
    .select_from(Membership)
    .join(User, col(User.id) == col(Membership.user_id))
    .join(Household, col(Household.id) == col(Membership.household_id))
    .where(col(Membership.user_id) == bindparam("user_id", type_=Id))
    .where(col(Membership.household_id) == bindparam("household_id", type_=Id))
    .where(col(User.is_active))
)
_MAY_ACT = (
    sa.exists()
    .where(col(StaffAssignment.user_id) == col(_Impersonator.id), col(StaffAssignment.role_id) == col(StaffRole.id))
    .where(col(StaffRole.is_enabled), col(StaffGrant.role_id) == col(StaffRole.id))
    .where(col(StaffGrant.kind) == GrantKind.PERMISSION, col(StaffGrant.name) == ACTING_PERMISSION)
)


def _acting_is_good(now: Any) -> sa.ColumnElement[bool]:
    """That the staff who acts in a session still may: they are signed in where they began, and a role allows it."""
    return (
        sa.exists()
        .where(col(_Impersonator.id) == col(UserSession.impersonator_id), col(_Parent.id) == col(UserSession.parent_id))
        .where(col(_Impersonator.is_active), col(_Parent.auth_version) == col(_Impersonator.auth_version))
        .where(col(_Parent.expires_at) > now, sa.or_(col(_Impersonator.is_superuser), _MAY_ACT))
        .correlate(UserSession)
    )


_NOW = bindparam("now", type_=UTCDateTime)
_BY_TOKEN = Prepared(
    sa.select(
        col(UserSession.id),
        col(UserSession.last_used_at),
        col(UserSession.expires_at),
        col(UserSession.impersonator_id),
        col(_Impersonator.name),
        *_WHO,
    )
    .select_from(SessionToken)
    .join(UserSession, col(UserSession.id) == col(SessionToken.session_id))
    .join(User, col(User.id) == col(UserSession.user_id))
    .outerjoin(_Impersonator, col(_Impersonator.id) == col(UserSession.impersonator_id))
    .outerjoin(
        Membership,
        sa.and_(
            col(Membership.user_id) == col(User.id),
            col(Membership.household_id)
            == sa.func.coalesce(sa.cast(bindparam("household_id", type_=Id), Id), col(UserSession.household_id)),
        ),
    )
    .outerjoin(Household, col(Household.id) == col(Membership.household_id))
    .where(
        col(SessionToken.token_hash) == bindparam("token_hash"),
        col(SessionToken.kind) == bindparam("kind"),
        col(SessionToken.expires_at) > _NOW,
        col(UserSession.expires_at) > _NOW,
        col(UserSession.auth_version) == col(User.auth_version),
        col(User.is_active),
        sa.or_(col(UserSession.impersonator_id).is_(None), _acting_is_good(_NOW)),
    )
)
_BY_KEY = Prepared(
    sa.select(col(ApiKey.id), col(ApiKey.scopes), col(ApiKey.last_used_at), *_WHO)
    .select_from(ApiKey)
    .join(User, col(User.id) == col(ApiKey.user_id))
    .outerjoin(
        Membership,
        sa.and_(
            col(Membership.user_id) == col(User.id),
            col(Membership.household_id) == sa.cast(bindparam("household_id", type_=Id), Id),
        ),
    )
    .outerjoin(Household, col(Household.id) == col(Membership.household_id))
    .where(
        col(ApiKey.key_hash) == bindparam("key_hash"),
        sa.or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > _NOW),
        col(User.is_active),
    )
)


def _signed_in(row: Sequence[Any], scopes: frozenset[str] | None = None) -> SignedIn:
    session_id, last_used_at, expires_at, impersonator_id, impersonator_name, *rest = row
    user_id, name, email, locale, theme, is_superuser, is_staff, is_verified, must_change_password, *rest = rest
    avatar_id, role, member_soon_days, *rest = rest
    household_id, household_name, time_zone, currency, household_locale, soon_days = rest
    who = {
        "user_id": user_id,
        "session_id": session_id,
        "name": name,
        "email": email,
        "locale": locale or household_locale or DEFAULT_LOCALE,
        "theme": Theme(theme),
        "is_superuser": bool(is_superuser),
        "is_staff": bool(is_staff),
        "is_verified": bool(is_verified),
        "must_change_password": bool(must_change_password),
        "impersonator_id": impersonator_id,
        "impersonator_name": impersonator_name or "",
        "acting_until": expires_at if impersonator_id else None,
        "scopes": scopes,
        "avatar_id": avatar_id,
    }
    if household_id is None:
        return SignedIn(Account(**who), None, last_used_at)
    actor = Actor(
        **who,
        household_id=household_id,
        household_name=household_name,
        role=Role(role),
        time_zone=time_zone,
        currency=currency,
        soon_days=soon_days if member_soon_days is None else member_soon_days,
    )
    return SignedIn(actor, actor, last_used_at)


async def _end_where(session: AsyncSession, condition: sa.ColumnElement[bool]) -> None:
    ending = (await session.execute(sa.select(col(UserSession.id), col(UserSession.user_id)).where(condition))).all()
    # Found first: what goes with its parent is not among those that a DELETE returns on SQLite.
    await session.execute(
        delete(UserSession).where(col(UserSession.id).in_(session_id for session_id, _user in ending))
    )
    for session_id, user_id in ending:
        outbox.tell(session, LiveKind.SESSION_REVOKED, user_id=user_id, subject_id=session_id)


def _good_ids() -> sa.Select[tuple[UUID]]:
    """Sessions that are not over, in any way."""
    return (
        sa.select(col(UserSession.id))
        .join(User, col(User.id) == col(UserSession.user_id))
        .where(col(UserSession.expires_at) > clock.now(), *_still_good())
    )


def holders(ids: Collection[UUID]) -> sa.Subquery:
    """Of these sessions and API keys those that are good, with whose they are (`id`, `user_id`) and whether it is them
    who use it (`is_own`), not staff nor a machine: for sockets.

    Whoever must choose a new password first is let in nowhere before that.
    """
    now = clock.now()
    may_go_on = sa.or_(col(User.must_change_password).is_(False), col(UserSession.impersonator_id).is_not(None))
    of_people = (
        sa.select(
            col(UserSession.id), col(UserSession.user_id), col(UserSession.impersonator_id).is_(None).label("is_own")
        )
        .join(User, col(User.id) == col(UserSession.user_id))
        .where(col(UserSession.id).in_(ids), col(UserSession.expires_at) > now, may_go_on, *_still_good())
    )
    of_machines = (
        sa.select(col(ApiKey.id), col(ApiKey.user_id), sa.false().label("is_own"))
        .join(User, col(User.id) == col(ApiKey.user_id))
        .where(col(ApiKey.id).in_(ids), sa.or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now))
        .where(col(User.is_active), col(User.must_change_password).is_(False))
    )
    return sa.union_all(of_people, of_machines).subquery()


def _still_good() -> tuple[sa.ColumnElement[bool], ...]:
    """That a session's user may sign in, and has not been signed out everywhere since; nor staff who acts as them."""
    return (
        col(User.is_active).is_(True),
        col(UserSession.auth_version) == col(User.auth_version),
        sa.or_(col(UserSession.impersonator_id).is_(None), _acting_is_good(clock.now())),
    )


async def _end_if_replayed(session: AsyncSession, token: str) -> None:
    used = (
        select(UserSession, User)
        .join(SessionToken, col(SessionToken.session_id) == col(UserSession.id))
        .join(User, col(User.id) == col(UserSession.user_id))
        .where(SessionToken.token_hash == hash_token(token), col(SessionToken.used_at).is_not(None))
    )
    for device, user in (await session.execute(used)).all():
        audit.record(session, "auth:refresh_replayed", by=None, subject=device, subject_name=user.name)
        await end(session, device.id)


async def _issue(session: AsyncSession, session_id: UUID, *, cookie: str | None = None) -> Tokens:
    access, renewal = new_token(), new_token()
    _add_token(session, session_id, TokenKind.ACCESS, access, ACCESS_LIFETIME)
    _add_token(session, session_id, TokenKind.REFRESH, renewal, SESSION_LIFETIME)
    if cookie:
        _add_token(session, session_id, TokenKind.COOKIE, cookie, COOKIE_LIFETIME)
    await session.flush()
    return Tokens(session_id=session_id, cookie=cookie or "", access=access, refresh=renewal)


def _add_token(session: AsyncSession, session_id: UUID, kind: TokenKind, token: str, lifetime: timedelta) -> None:
    session.add(
        SessionToken(token_hash=hash_token(token), session_id=session_id, kind=kind, expires_at=clock.now() + lifetime)
    )
