"""Sign-in: fastapi-users' transports, and who is acting in a request.

fastapi-users' own `current_user` would cost a query for the token, one for the user and more for the household, and a
fifth of a millisecond of dependencies; `current_account` and `current_actor` ask once (`docs/decisions/0006`).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from uuid import UUID

from fastapi import Request, Response
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPBearer
from fastapi_users.authentication import CookieTransport
from sqlalchemy.ext.asyncio import AsyncSession

from db import SAFE_METHODS, session_scope
from models import ChallengeKind, LinkPurpose, TokenKind, User
from services import (
    account_mail,
    accounts,
    api_keys,
    audit,
    challenges,
    guard,
    households,
    passkeys,
    passwords,
    second_factor,
    sessions,
    staff,
)
from services.core.errors import (
    NoHousehold,
    NotFound,
    NotSignedIn,
    NotVerified,
    NotWhileActing,
    PasswordChangeRequired,
    PermissionDenied,
)
from services.core.i18n import _, is_locale, use_locale
from services.permissions import NEVER_WHILE_ACTING, TALK_READ_BY_STAFF, Account, Actor, require
from services.schemas.accounts import Register
from services.schemas.households import HouseholdCreate
from services.schemas.passkeys import PasskeyAnswer
from settings import Registration, get_settings

COOKIE = "larder_session"
REFRESH_COOKIE = "larder_refresh"
COOKIE_MAX_AGE = 400 * 24 * 3600  # what browsers allow; the session behind it ends sooner
CHALLENGE_MAX_AGE = int(challenges.LIFETIME.total_seconds())
REFRESH_PATH = "/api/v1/auth"


class SessionCookie(CookieTransport):
    """The cookie of a browser session, on any response. `Secure` unless we are reached over loopback."""

    def attach(self, response: Response, token: str, *, secure: bool) -> None:
        response.set_cookie(
            self.cookie_name,
            token,
            max_age=self.cookie_max_age,
            path=self.cookie_path,
            secure=secure,
            httponly=True,
            samesite="lax",
        )

    def remove(self, response: Response, *, secure: bool) -> None:
        response.delete_cookie(self.cookie_name, path=self.cookie_path, secure=secure, httponly=True, samesite="lax")


session_cookie = SessionCookie(cookie_name=COOKIE, cookie_max_age=COOKIE_MAX_AGE)
refresh_cookie = SessionCookie(cookie_name=REFRESH_COOKIE, cookie_max_age=COOKIE_MAX_AGE, cookie_path=REFRESH_PATH)
# A sign-in under way goes on in the browser it began in.
challenge_cookie = SessionCookie(cookie_name="larder_challenge", cookie_max_age=CHALLENGE_MAX_AGE, cookie_path="/login")
openid_cookie = SessionCookie(
    cookie_name="larder_openid", cookie_max_age=CHALLENGE_MAX_AGE, cookie_path="/login/openid"
)
bearer = HTTPBearer(auto_error=False, description="The access token of POST /auth/login.")


async def authenticate(email: str, password: str) -> User:
    """The user with this e-mail and password. Raises `NotSignedIn`, alike and as slowly for either being wrong,
    and `LimitExceeded` when that happened too often.

    Holds no connection while it hashes, so that sign-ins cannot exhaust the pool.
    """
    async with guard.attempt(guard.SIGN_IN, email):
        async with session_scope(read_only=True) as session:
            user = await accounts.find_by_email(session, email)
        right, renewed = await passwords.verify(password, user.hashed_password if user else None)
        if user is None or not right or not user.is_active:
            await _note_failure("password", user)
            raise NotSignedIn(_("The e-mail address or the password is wrong."), code="bad_credentials")
    if renewed:
        async with session_scope() as session:
            (await session.get_one(User, user.id)).hashed_password = renewed
    return user


async def answer_second_factor(token: str, code: str) -> second_factor.Passed:
    """Who goes on with a sign-in that waits for a code. Raises `NotSignedIn` for a wrong one, which is counted, and
    `LimitExceeded` when there were too many, whichever sign-in they were for."""
    async with session_scope(read_only=True) as session:
        asked = await challenges.find(session, ChallengeKind.SECOND_FACTOR, token)
    async with guard.attempt(guard.CODE, str(asked.user_id) if asked else token):
        async with session_scope() as session:
            passed = await second_factor.answer(session, token, code)
        if passed is None:
            raise NotSignedIn(_("This code is wrong, or was used. Wait for the next one."), code="bad_code")
    return passed


async def answer_passkey(answer: PasskeyAnswer, party: passkeys.RelyingParty) -> User:
    """Whose passkey it is. Raises `NotSignedIn`, alike for whatever is wrong with it."""
    async with session_scope() as session:
        user = await passkeys.sign_in(session, answer, party)
    if user is None:
        await _note_failure("passkey")
        raise NotSignedIn(_("This passkey does not let you in. Sign in another way."), code="bad_credentials")
    return user


async def _note_failure(way: str, user: User | None = None) -> None:
    """What was typed for an account that there is not is not kept: it may be a password in the wrong field."""
    async with session_scope() as session:
        audit.record(session, "auth:login_failed", by=None, subject=user, after={"way": way})


async def finish_sign_in(
    request: Request, response: Response, session: AsyncSession, user: User, *, way: str
) -> sessions.Tokens:
    """Let in somebody who has proved to be `user`: on pages and over the API, whichever `way` they proved it.

    Raises `NotSignedIn` when they were disabled or signed out everywhere since `user` was read.
    """
    tokens = await sessions.start(session, user)
    audit.record(session, "auth:login", by=user, subject=user, after={"way": way})
    session_cookie.attach(response, tokens.cookie, secure=is_secure(request))
    response.headers["Cache-Control"] = "no-store"
    return tokens


async def register(session: AsyncSession, data: Register) -> User:
    """Make an account, and a household of its own or a place in the one it was invited to.

    Raises `PermissionDenied` where registration is closed, `InvalidInput` for a weak password, `Conflict` for an
    e-mail that is taken.
    """
    registration = get_settings().registration
    if registration is Registration.CLOSED or (registration is Registration.INVITE and not data.invitation):
        raise PermissionDenied(_("This instance does not take new accounts by itself. Ask for an invitation."))

    user = await accounts.make(session, email=data.email, password=data.password, name=data.name, locale=data.locale)
    audit.record(session, "auth:register", by=user, subject=user)
    await account_mail.send_link(session, user, LinkPurpose.VERIFY_EMAIL)
    if data.invitation:
        await households.accept_invitation(session, user, data.invitation)
    else:
        name = _("{name}’s household").format(name=data.name)
        household = HouseholdCreate(name=name[:100], time_zone=data.time_zone, locale=data.locale)
        await households.create_household(session, user, household)
    return user


async def confirm(session: AsyncSession, account: Account, password: str) -> None:
    """Show by one's password that one is still who signed in. Raises `InvalidInput` when it is wrong."""
    await accounts.require_password(session, account, password)
    await sessions.confirm(session, account)


def is_secure(request: HTTPConnection) -> bool:
    """Whether cookies are marked `Secure`: always, but on loopback or where the operator's address is plain http."""
    base_url = get_settings().base_url
    if base_url is not None:
        return base_url.scheme == "https"
    host = request.url.hostname or ""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return not (host == "localhost" or host.endswith(".localhost"))


async def current_account(request: Request, session: AsyncSession) -> Account:
    """Who is signed in. Raises `NotSignedIn`, and what `admit` does."""
    found = await _signed_in(request, session, household_id=None)
    use_locale(found.account.locale)
    admit(found.account, request.scope["route"].name)
    return found.account


async def current_staff(request: Request, session: AsyncSession) -> staff.Staff:
    """Who of the staff is signed in, with the permission that the route is named after.

    Raises `NotSignedIn`, and `PermissionDenied` for everybody else.
    """
    account = await current_account(request, session)
    found = await staff.load(session, account)
    if found is None:
        raise PermissionDenied(_("The panel is for staff."))
    staff.require(found, request.scope["route"].name)
    return found


# What somebody can do who must do something else first: that, and leave.
_BEFORE_ALL_ELSE = frozenset({"account:password", "acting:end", "auth:logout", "auth:logout_all", "auth:verify"})
_BEFORE_VERIFYING = _BEFORE_ALL_ELSE | {
    "account:change_email",
    "account:confirm",
    "account:delete",
    "account:profile",
    "account:verify_email",
}


def admit(account: Account, permission: str) -> None:
    """Let a signed-in user on to a route, a socket or the panel.

    Raises `PasswordChangeRequired` and `NotVerified` where something must come first, `NotWhileActing` for staff who
    acts as that user, and `InsufficientScope` for an API key that is not for that.
    """
    api_keys.require_scope(account, permission)
    if account.impersonator_id is not None and permission in NEVER_WHILE_ACTING:
        raise NotWhileActing(_("Nobody can do that for somebody else."))
    if account.must_change_password and account.impersonator_id is None and permission not in _BEFORE_ALL_ELSE:
        raise PasswordChangeRequired(_("Choose a new password first."))
    if get_settings().require_verified and not account.is_verified and permission not in _BEFORE_VERIFYING:
        raise NotVerified(_("Confirm your e-mail address first."))


async def current_actor(request: Request, session: AsyncSession) -> Actor:
    """Who is acting in which household, with the permission that the route is named after.

    The household is the one in the path, or named by `?household=`, or else the one this device shows. Raises
    `NotSignedIn`, `NotFound` for a household of others, `NoHousehold`, and `PermissionDenied` for a role that is too
    low. Staff reaches the households of others as far as their roles go.
    """
    named = request.path_params.get("household_id") or request.query_params.get("household")
    household_id = _parse_id(named) if named else None
    permission = request.scope["route"].name
    found = await _signed_in(request, session, household_id=household_id)
    admit(found.account, permission)
    actor = found.actor
    if actor is None:
        if household_id is None:
            actor = await _choose_household(request, session, found)
        elif found.account.is_staff:
            actor = await staff.find_actor(session, found.account, household_id, permission)
    if actor is None:
        raise NotFound(_("There is no such household."))
    use_locale(actor.locale)
    require(actor, permission)
    if actor.role is None and permission in TALK_READ_BY_STAFF:
        await _note_reading(request, session, actor, permission)
    return actor


async def _note_reading(request: Request, session: AsyncSession, actor: Actor, permission: str) -> None:
    """What staff reads of what people say to each other is written down before they see it."""
    async with _writing(request, session) as writing:
        audit.record(
            writing,
            permission,
            by=actor,
            subject_type="chat",
            subject_id=request.path_params.get("chat_id", ""),
            household_id=actor.household_id,
        )


def speak_to_stranger(request: Request) -> None:
    """Use the first language the browser asks for that is one."""
    for wish in request.headers.get("accept-language", "")[:200].split(","):
        tag = wish.partition(";")[0].strip()
        if is_locale(tag):
            use_locale(tag)
            return


def shown_token(headers: Mapping[str, str], cookies: Mapping[str, str]) -> tuple[str, TokenKind] | None:
    """The token a client shows: a bearer's goes before a browser's cookie."""
    scheme, _space, token = headers.get("authorization", "").partition(" ")
    if scheme:
        return (token.strip(), TokenKind.ACCESS) if scheme.lower() == "bearer" else None
    cookie = cookies.get(COOKIE)
    return (cookie, TokenKind.COOKIE) if cookie else None


async def _signed_in(request: Request, session: AsyncSession, *, household_id: UUID | None) -> sessions.SignedIn:
    shown = shown_token(request.headers, request.cookies)
    found = await sessions.find(session, *shown, household_id=household_id) if shown else None
    if found is None:
        raise NotSignedIn(_("Please sign in."))
    if found.is_stale:
        async with _writing(request, session) as writing:
            await sessions.touch(writing, found.account.session_id)
    return found


async def _choose_household(request: Request, session: AsyncSession, found: sessions.SignedIn) -> Actor | None:
    household_id = await households.find_first(session, found.account)
    if household_id is None:
        raise NoHousehold(_("You belong to no household yet."))
    async with _writing(request, session) as writing:
        await sessions.switch_household(writing, found.account, household_id)
    shown = shown_token(request.headers, request.cookies)
    again = await sessions.find(session, *shown, household_id=household_id) if shown else None
    return again.actor if again else None


@asynccontextmanager
async def _writing(request: Request, session: AsyncSession) -> AsyncIterator[AsyncSession]:
    """A session that can write: the request's own when it does, else one for this alone."""
    if request.method not in SAFE_METHODS:
        yield session
        return
    async with session_scope() as writing:
        yield writing


def _parse_id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError as error:
        raise NotFound(_("There is no such household.")) from error
