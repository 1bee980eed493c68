"""Sign-ins: one session a device, with a cookie for pages, and access and rotating refresh tokens for the API."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

from db import Id, Prepared, UTCDateTime
from models import Household, LiveKind, Membership, Role, SessionToken, Theme, TokenKind, User, UserSession
from services import outbox
from services.core import clock
from services.core.errors import NotFound
from services.core.i18n import DEFAULT_LOCALE, _
from services.core.ids import hash_token, new_id, new_token
from services.core.pagination import Page, PageRequest, by_id, fetch_page
from services.permissions import Account, Actor
from services.schemas.accounts import SessionRead

SESSION_LIFETIME = timedelta(days=60)
ACCESS_LIFETIME = timedelta(minutes=15)
TICKET_LIFETIME = timedelta(seconds=60)
TOUCH_EVERY = timedelta(hours=1)
REPLAY_MEMORY = timedelta(days=7)
NO_SESSION = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The secrets of one session, shown once."""

    session_id: UUID
    cookie: str
    access: str
    refresh: str
    expires_in: int = int(ACCESS_LIFETIME.total_seconds())


async def start(session: AsyncSession, user_id: UUID, *, user_agent: str = "") -> Tokens:
    """Sign a user in on one more device."""
    now = clock.now()
    device = UserSession(
        id=new_id(),
        user_id=user_id,
        user_agent=user_agent[:400],
        created_at=now,
        last_used_at=now,
        expires_at=now + SESSION_LIFETIME,
    )
    session.add(device)
    await session.flush()  # the tokens refer to it
    return await _issue(session, device.id, cookie=new_token())


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
        .where(col(SessionToken.used_at).is_(None))
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
    ended = delete(UserSession).where(col(UserSession.id) == session_id).returning(col(UserSession.user_id))
    for user_id in (await session.execute(ended)).scalars():
        outbox.tell(session, LiveKind.SESSION_REVOKED, user_id=user_id, subject_id=session_id)


async def list_sessions(session: AsyncSession, account: Account, page: PageRequest) -> Page[SessionRead]:
    """Those that are not over, newest first."""
    statement = select(UserSession).where(
        UserSession.user_id == account.user_id, col(UserSession.expires_at) > clock.now()
    )
    found = await fetch_page(session, statement, page, by_id(col(UserSession.id)), descending=True)
    items = [SessionRead(**device.model_dump(), is_current=device.id == account.session_id) for device in found.items]
    return replace(found, items=items)


async def end_own(session: AsyncSession, account: Account, session_id: UUID) -> None:
    """Sign oneself out on one device. Raises `NotFound`."""
    ended = await session.execute(
        delete(UserSession)
        .where(col(UserSession.id) == session_id, col(UserSession.user_id) == account.user_id)
        .returning(col(UserSession.id))
    )
    if ended.first() is None:
        raise NotFound(_("There is no such session."))


async def end_all(session: AsyncSession, user_id: UUID, *, but: UUID | None = None) -> None:
    """Sign a user out everywhere, except in the session `but`."""
    statement = delete(UserSession).where(col(UserSession.user_id) == user_id)
    if but is not None:
        statement = statement.where(col(UserSession.id) != but)
    for session_id in (await session.execute(statement.returning(col(UserSession.id)))).scalars():
        outbox.tell(session, LiveKind.SESSION_REVOKED, user_id=user_id, subject_id=session_id)


async def switch_household(session: AsyncSession, account: Account, household_id: UUID | None) -> None:
    """Remember which household this device shows."""
    await session.execute(
        update(UserSession).where(col(UserSession.id) == account.session_id).values(household_id=household_id)
    )


async def touch(session: AsyncSession, session_id: UUID) -> None:
    now = clock.now()
    await session.execute(
        update(UserSession)
        .where(col(UserSession.id) == session_id)
        .values(last_used_at=now, expires_at=now + SESSION_LIFETIME)
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
    """Who shows this token, as a member of `household_id` or else of the household the device shows."""
    row = await _BY_TOKEN.fetch_one(
        session, token_hash=hash_token(token), kind=kind, now=clock.now(), household_id=household_id
    )
    return None if row is None else _signed_in(row)


async def issue_ticket(session: AsyncSession, account: Account) -> str:
    """A token that lets one socket in, once, for clients that can send neither cookie nor header with it."""
    ticket = new_token()
    expires_at = clock.now() + TICKET_LIFETIME
    session.add(
        SessionToken(
            token_hash=hash_token(ticket), session_id=account.session_id, kind=TokenKind.TICKET, expires_at=expires_at
        )
    )
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
    return None if row is None else _signed_in((NO_SESSION, clock.now(), *row)).actor


_WHO = (
    col(User.id),
    col(User.name),
    col(User.email),
    col(User.locale),
    col(User.theme),
    col(User.is_superuser),
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
_BY_TOKEN = Prepared(
    sa.select(col(UserSession.id), col(UserSession.last_used_at), *_WHO)
    .select_from(SessionToken)
    .join(UserSession, col(UserSession.id) == col(SessionToken.session_id))
    .join(User, col(User.id) == col(UserSession.user_id))
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
        col(SessionToken.expires_at) > bindparam("now", type_=UTCDateTime),
        col(UserSession.expires_at) > bindparam("now", type_=UTCDateTime),
        col(User.is_active),
    )
)


def _signed_in(row: Sequence[Any]) -> SignedIn:
    session_id, last_used_at, user_id, name, email, locale, theme, is_superuser, *rest = row
    role, member_soon_days, household_id, household_name, time_zone, currency, household_locale, soon_days = rest
    who = {
        "user_id": user_id,
        "session_id": session_id,
        "name": name,
        "email": email,
        "locale": locale or household_locale or DEFAULT_LOCALE,
        "theme": Theme(theme),
        "is_superuser": bool(is_superuser),
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


async def _end_if_replayed(session: AsyncSession, token: str) -> None:
    used = select(SessionToken.session_id).where(
        SessionToken.token_hash == hash_token(token), col(SessionToken.used_at).is_not(None)
    )
    for session_id in (await session.execute(used)).scalars().all():
        await end(session, session_id)


async def _issue(session: AsyncSession, session_id: UUID, *, cookie: str | None = None) -> Tokens:
    now = clock.now()
    access, renewal = new_token(), new_token()
    lifetimes = [(TokenKind.ACCESS, access, ACCESS_LIFETIME), (TokenKind.REFRESH, renewal, SESSION_LIFETIME)]
    if cookie:
        # The session decides how long a cookie is good for, and slides while it is used.
        lifetimes.append((TokenKind.COOKIE, cookie, timedelta(days=3650)))
    session.add_all(
        SessionToken(token_hash=hash_token(token), session_id=session_id, kind=kind, expires_at=now + lifetime)
        for kind, token, lifetime in lifetimes
    )
    await session.flush()
    return Tokens(session_id=session_id, cookie=cookie or "", access=access, refresh=renewal)
