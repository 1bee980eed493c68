"""Passkeys: WebAuthn credentials that say whose they are. One is two factors: the device asks its owner first."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import webauthn
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from db import unless_taken
from models import ChallengeKind, Passkey, User
from services import account_mail, audit, challenges, sessions, ways_in
from services.core import clock
from services.core.errors import Conflict, InvalidInput, NotFound
from services.core.i18n import _
from services.permissions import Account
from services.schemas.passkeys import PasskeyAdd, PasskeyAnswer, PasskeyOptions

MAX_PASSKEYS = 20
# What the library lets through when what it was given is not what it seems.
_MALFORMED = (
    WebAuthnException,
    InvalidSignature,
    UnsupportedAlgorithm,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Us, as browsers know us: the domain that passkeys belong to, and the origin of our pages."""

    id: str
    origin: str


async def list_passkeys(session: AsyncSession, account: Account) -> Sequence[Passkey]:
    """Oldest first."""
    statement = select(Passkey).where(Passkey.user_id == account.user_id).order_by(col(Passkey.id))
    return (await session.scalars(statement)).all()


async def get_passkey(session: AsyncSession, account: Account, passkey_id: UUID) -> Passkey:
    passkey = await session.get(Passkey, passkey_id, populate_existing=True)
    if passkey is None or passkey.user_id != account.user_id:
        raise NotFound(_("There is no such passkey."))
    return passkey


async def begin_adding(session: AsyncSession, account: Account, party: RelyingParty) -> PasskeyOptions:
    """What the browser needs to make one. Raises `Conflict` when there are too many."""
    await sessions.require_confirmed(session, account)
    known = await list_passkeys(session, account)
    if len(known) >= MAX_PASSKEYS:
        raise Conflict(_("You have {n} passkeys. Remove one first.").format(n=len(known)), code="too_many")
    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name="Larder",
        user_id=account.user_id.bytes,
        user_name=account.email,
        user_display_name=account.name,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(
                id=base64url_to_bytes(passkey.credential_id),
                transports=[AuthenticatorTransport(name) for name in passkey.transports],
            )
            for passkey in known
        ],
    )
    token = await challenges.ask(
        session,
        ChallengeKind.PASSKEY_SET_UP,
        user_id=account.user_id,
        challenge=bytes_to_base64url(options.challenge),
        device=str(account.session_id),
    )
    return PasskeyOptions(challenge=token, options=json.loads(webauthn.options_to_json(options)))


async def add(session: AsyncSession, account: Account, data: PasskeyAdd, party: RelyingParty) -> Passkey:
    """Keep what the browser made. Raises `Conflict` for what was not asked for here and now, or is known already, and
    `InvalidInput` for what is not right."""
    await sessions.require_confirmed(session, account)
    asked = await challenges.take(session, ChallengeKind.PASSKEY_SET_UP, data.challenge)
    if asked is None or asked.data["device"] != str(account.session_id):
        raise Conflict(_("That took too long. Please start again."), code="challenge_over")
    try:
        made = webauthn.verify_registration_response(
            credential=data.credential,
            expected_challenge=base64url_to_bytes(asked.data["challenge"]),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
        transports = _transports_of(data.credential)
    except _MALFORMED as error:
        raise InvalidInput({"credential": _("This passkey cannot be used here.")}) from error
    passkey = Passkey(
        user_id=account.user_id,
        credential_id=bytes_to_base64url(made.credential_id),
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        transports=transports,
        name=data.name,
    )
    async with unless_taken(session, Conflict(_("This passkey is known already."), code="duplicate")):
        session.add(passkey)
    user = await session.get_one(User, account.user_id)
    audit.record(session, "passkeys:add", by=account, subject=passkey, subject_name=passkey.name)
    await account_mail.send_notice(session, user, "passkey_added", about=passkey.name)
    return passkey


async def rename(session: AsyncSession, account: Account, passkey_id: UUID, *, name: str) -> Passkey:
    passkey = await get_passkey(session, account, passkey_id)
    before = passkey.name
    passkey.name = name
    audit.record(
        session,
        "passkeys:rename",
        by=account,
        subject=passkey,
        subject_name=name,
        before={"name": before},
        after={"name": name},
    )
    return passkey


async def remove(session: AsyncSession, account: Account, passkey_id: UUID) -> None:
    """Raises `NotFound`, and `Conflict` when nobody could sign in any more."""
    user = await ways_in.lock(session, account)
    passkey = await get_passkey(session, account, passkey_id)
    await sessions.require_confirmed(session, account)
    await session.execute(delete(Passkey).where(col(Passkey.id) == passkey.id))
    await ways_in.require_one(session, user)
    audit.record(session, "passkeys:remove", by=account, subject=passkey, subject_name=passkey.name)
    await account_mail.send_notice(session, user, "passkey_removed", about=passkey.name)


async def begin_sign_in(session: AsyncSession, party: RelyingParty) -> PasskeyOptions:
    """What a browser needs to ask its owner for a passkey of theirs, whoever they are."""
    options = webauthn.generate_authentication_options(
        rp_id=party.id, user_verification=UserVerificationRequirement.REQUIRED
    )
    token = await challenges.ask(
        session, ChallengeKind.PASSKEY_SIGN_IN, challenge=bytes_to_base64url(options.challenge)
    )
    return PasskeyOptions(challenge=token, options=json.loads(webauthn.options_to_json(options)))


async def sign_in(session: AsyncSession, data: PasskeyAnswer, party: RelyingParty) -> User | None:
    """Whose passkey it is that answers; None for whatever is wrong with it. What was asked is over either way: commit
    that.

    A passkey that counts less than it did may have been copied, so it lets nobody in, and its owner hears of it.
    """
    asked = await challenges.take(session, ChallengeKind.PASSKEY_SIGN_IN, data.challenge)
    known = sa.select(Passkey, User).join(User, col(User.id) == col(Passkey.user_id))
    found = await session.execute(known.where(col(Passkey.credential_id) == _id_of(data.credential)))
    row = found.tuples().one_or_none()
    if asked is None or row is None:
        return None
    passkey, user = row
    try:
        shown = webauthn.verify_authentication_response(
            credential=data.credential,
            expected_challenge=base64url_to_bytes(asked.data["challenge"]),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # what it means when it falls is said below
            require_user_verification=True,
        )
        holder = base64url_to_bytes(data.credential["response"]["userHandle"])
    except _MALFORMED:
        return None
    if holder != user.id.bytes or not user.is_active:
        return None
    if not await _count(session, passkey, shown.new_sign_count):
        audit.record(session, "auth:passkey_copied", by=None, subject=user, after={"passkey": passkey.name})
        await account_mail.send_notice(session, user, "passkey_copied", about=passkey.name)
        return None
    return user


async def confirm(session: AsyncSession, account: Account, data: PasskeyAnswer, party: RelyingParty) -> None:
    """Show with one's own passkey that one is still who signed in. Raises `InvalidInput`."""
    user = await sign_in(session, data, party)
    if user is None or user.id != account.user_id:
        raise InvalidInput({"credential": _("This is no passkey of yours.")})
    await sessions.confirm(session, account)


async def _count(session: AsyncSession, passkey: Passkey, count: int) -> bool:
    """Whether a passkey counts on. Those that never count say 0 for ever."""
    grown = col(Passkey.sign_count) < count
    counted = (
        update(Passkey)
        .where(col(Passkey.id) == passkey.id, grown if count else col(Passkey.sign_count) == 0)
        .values(sign_count=count, last_used_at=clock.now())
        .returning(col(Passkey.id))
    )
    return (await session.execute(counted)).first() is not None


def _id_of(credential: Mapping[str, Any]) -> str:
    """As it is kept: base64url without padding."""
    given = credential.get("id")
    return given.rstrip("=") if isinstance(given, str) else ""


def _transports_of(credential: Mapping[str, Any]) -> list[str]:
    known = {transport.value for transport in AuthenticatorTransport}
    return [name for name in credential["response"].get("transports", ()) if name in known]
