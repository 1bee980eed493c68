"""The second factor: codes of an authenticator app, and codes on paper for when that is lost."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from uuid import UUID

import pyotp
import segno
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, func, select, update

from models import ChallengeKind, RecoveryCode, Totp, User
from services import account_mail, audit, challenges, sessions
from services.core import clock, sealing
from services.core.errors import Conflict, InvalidInput, NotSignedIn
from services.core.i18n import _
from services.permissions import Account
from services.schemas.second_factor import SecondFactorRead, SetUp

STEP = 30  # seconds; RFC 6238
RECOVERY_CODES = 10
SET_UP_LIFETIME = timedelta(minutes=30)
# Without what looks alike on paper.
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_PURPOSE = "second factor"


@dataclass(frozen=True, slots=True)
class Passed:
    """Somebody who signed in with both factors: the `way` they did, and the page they wanted."""

    user: User
    way: str
    next: str


async def ask(session: AsyncSession, user: User, *, way: str, next: str = "/") -> str | None:
    """The token to go on with when `user` has a second factor: the first, whichever `way`, was right."""
    is_on = select(Totp.user_id).where(Totp.user_id == user.id, col(Totp.confirmed_at).is_not(None))
    if (await session.scalars(is_on)).first() is None:
        return None
    return await challenges.ask(
        session, ChallengeKind.SECOND_FACTOR, user_id=user.id, version=user.auth_version, way=way, next=next
    )


async def answer(session: AsyncSession, token: str, code: str) -> Passed | None:
    """Who goes on with this token and the right code; None for a wrong code, which was counted: commit that.

    Raises `NotSignedIn` when the sign-in is over: done, too old, tried too often, or begun before the user was signed
    out everywhere.
    """
    asked = await challenges.attempt(session, ChallengeKind.SECOND_FACTOR, token)
    user = await session.get(User, asked.user_id, populate_existing=True) if asked else None
    if asked is None or user is None or not user.is_active or user.auth_version != asked.data["version"]:
        raise NotSignedIn(_("That took too long, or too many tries. Please start again."), code="challenge_over")
    used = await accept(session, user, code)
    if used is None:
        audit.record(session, "auth:login_code", by=None, subject=user, after={"refused": True})
        return None
    await challenges.take(session, ChallengeKind.SECOND_FACTOR, token)
    return Passed(user, f"{asked.data['way']}, {used}", asked.data["next"])


async def get_state(session: AsyncSession, account: Account) -> SecondFactorRead:
    totp = await session.get(Totp, account.user_id, populate_existing=True)
    is_confirmed = totp is not None and totp.confirmed_at is not None
    left = select(func.count()).where(RecoveryCode.user_id == account.user_id, col(RecoveryCode.used_at).is_(None))
    return SecondFactorRead(
        is_on=is_confirmed,
        since=totp.confirmed_at if totp else None,
        recovery_codes_left=await session.scalar(left) or 0 if is_confirmed else 0,
    )


async def start(session: AsyncSession, account: Account) -> SetUp:
    """Make a secret for an app to know; it counts once a code shows that it does. The one before it is forgotten.

    Raises `Conflict` when there is an app already.
    """
    await sessions.require_confirmed(session, account)
    secret = pyotp.random_base32()
    sealed, now = sealing.seal(secret, purpose=_PURPOSE), clock.now()
    await session.execute(delete(Totp).where(col(Totp.user_id) == account.user_id, col(Totp.confirmed_at).is_(None)))
    if await session.get(Totp, account.user_id, populate_existing=True) is not None:
        raise Conflict(_("There is an authenticator app already. Turn it off first."), code="already_on")
    session.add(Totp(user_id=account.user_id, secret=sealed, created_at=now))
    await session.flush()
    return _set_up(account, secret)


async def find_set_up(session: AsyncSession, account: Account) -> SetUp | None:
    """What was started and waits for its first code."""
    totp = await _find_started(session, account)
    return _set_up(account, sealing.unseal(totp.secret, purpose=_PURPOSE)) if totp else None


async def confirm(session: AsyncSession, account: Account, *, code: str) -> list[str]:
    """Turn it on; the recovery codes, which are shown this once.

    Raises `InvalidInput` for a wrong code, `Conflict` when nothing waits for one.
    """
    await sessions.require_confirmed(session, account)
    totp = await _find_started(session, account)
    step = _step_of(totp, code) if totp else None
    if totp is not None and step is None:
        raise InvalidInput({"code": _("This code is wrong. Is the clock of your phone right?")})
    confirmed = (
        update(Totp)
        .where(col(Totp.user_id) == account.user_id, col(Totp.confirmed_at).is_(None))
        .values(confirmed_at=clock.now(), last_step=step)
        .returning(col(Totp.user_id))
    )
    if totp is None or (await session.execute(confirmed)).first() is None:
        raise Conflict(_("Start setting up the app first."), code="not_started")
    codes = await _make_codes(session, account)
    await _tell(session, account, "second_factor:confirm", "second_factor_on")
    return codes


async def renew_codes(session: AsyncSession, account: Account) -> list[str]:
    """New recovery codes, shown this once; the old ones are void. Raises `Conflict` while there is no app."""
    await sessions.require_confirmed(session, account)
    if not (await get_state(session, account)).is_on:
        raise Conflict(_("There is no authenticator app."), code="not_on")
    codes = await _make_codes(session, account)
    await _tell(session, account, "second_factor:renew_codes", "recovery_codes_renewed")
    return codes


async def end(session: AsyncSession, account: Account) -> None:
    """Turn it off, with its recovery codes."""
    await sessions.require_confirmed(session, account)
    if await _forget(session, account.user_id):
        await _tell(session, account, "second_factor:end", "second_factor_off")


async def reset(session: AsyncSession, user: User, *, by: Account | None) -> bool:
    """Turn it off for somebody who lost it, on the word of whoever does; whether there was one."""
    was_on = await _forget(session, user.id)
    if was_on:
        audit.record(session, "users:reset_second_factor", by=by, subject=user)
        await account_mail.send_notice(session, user, "second_factor_off")
    return was_on


async def _forget(session: AsyncSession, user_id: UUID) -> bool:
    ended = await session.execute(delete(Totp).where(col(Totp.user_id) == user_id).returning(col(Totp.confirmed_at)))
    await session.execute(delete(RecoveryCode).where(col(RecoveryCode.user_id) == user_id))
    return ended.scalar_one_or_none() is not None


async def accept(session: AsyncSession, user: User, code: str) -> str | None:
    """Use up a code of the app or a recovery code: `app`, `recovery_code`, or None when it is wrong or was used.

    Of two who bring the same code at once, one is let in.
    """
    totp = await session.get(Totp, user.id, populate_existing=True)
    if totp is None or totp.confirmed_at is None:
        return None
    step = _step_of(totp, code)
    if step is not None:
        used = (
            update(Totp)
            .where(col(Totp.user_id) == user.id, col(Totp.last_step) < step)
            .values(last_step=step)
            .returning(col(Totp.user_id))
        )
        return "app" if (await session.execute(used)).first() else None
    taken = (
        update(RecoveryCode)
        .where(col(RecoveryCode.user_id) == user.id, col(RecoveryCode.code_hash) == _hash(code))
        .where(col(RecoveryCode.used_at).is_(None))
        .values(used_at=clock.now())
        .returning(col(RecoveryCode.user_id))
    )
    if (await session.execute(taken)).first() is None:
        return None
    await account_mail.send_notice(session, user, "recovery_code_used")
    return "recovery_code"


async def _find_started(session: AsyncSession, account: Account) -> Totp | None:
    totp = await session.get(Totp, account.user_id, populate_existing=True)
    is_started = totp is not None and totp.confirmed_at is None and clock.now() - totp.created_at < SET_UP_LIFETIME
    return totp if is_started else None


def _step_of(totp: Totp, code: str) -> int | None:
    """The step a code belongs to: the one that is, before or after it, as far as it was not used."""
    digits = "".join(code.split())
    if not (digits.isascii() and digits.isdecimal()):
        return None
    app = pyotp.TOTP(sealing.unseal(totp.secret, purpose=_PURPOSE), interval=STEP)
    now = int(clock.now().timestamp()) // STEP
    right = [step for step in (now - 1, now, now + 1) if compare_digest(app.generate_otp(step), digits)]
    return max((step for step in right if step > totp.last_step), default=None)


def _set_up(account: Account, secret: str) -> SetUp:
    uri = pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=account.email, issuer_name="Larder")
    picture = segno.make(uri, error="m").svg_data_uri(scale=4, border=4, dark="#000", light="#fff")
    return SetUp(secret=secret, uri=uri, qr=picture)


async def _make_codes(session: AsyncSession, account: Account) -> list[str]:
    await session.execute(delete(RecoveryCode).where(col(RecoveryCode.user_id) == account.user_id))
    codes = [_new_code() for _index in range(RECOVERY_CODES)]
    await session.execute(
        sa.insert(RecoveryCode), [{"user_id": account.user_id, "code_hash": _hash(code)} for code in codes]
    )
    return codes


def _new_code() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _index in range(10))
    return f"{letters[:5]}-{letters[5:]}"


def _hash(code: str) -> str:
    plain = "".join(character for character in code.lower() if character.isalnum())
    return sealing.keyed_hash(plain, purpose="recovery code")


async def _tell(session: AsyncSession, account: Account, action: str, notice: str) -> None:
    user = await session.get_one(User, account.user_id)
    audit.record(session, action, by=account, subject=user)
    await account_mail.send_notice(session, user, notice)
