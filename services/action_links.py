"""Links in what is sent that do one thing to one lot, for whoever holds them: no sign-in, but signed, and over in a
week. They say whose they are, so what they do is booked as that member, if that member still may."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from hashlib import sha256
from struct import Struct
from uuid import UUID

from itsdangerous import BadSignature, Signer
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import DiscardReason, IdempotencyRecord
from services import dates, idempotency, sessions, stock
from services.core import clock
from services.core.errors import Conflict, Gone, NotFound
from services.core.i18n import _, use_locale
from services.dates import Urgency
from services.permissions import Actor, require
from services.schemas.stock import LotConsume, LotDiscard, LotFreeze, LotRead, LotSnooze
from settings import get_settings

LIFETIME = timedelta(days=7)
SNOOZE_DAYS = 3

_IDS = Struct("16s16s16s")


class LinkAction(StrEnum):
    USED = "used"
    FROZEN = "frozen"
    BINNED = "binned"
    SNOOZE = "snooze"


PERMISSIONS = {
    LinkAction.USED: "stock:consume",
    LinkAction.FROZEN: "stock:freeze",
    LinkAction.BINNED: "stock:discard",
    LinkAction.SNOOZE: "stock:snooze",
}


@dataclass(frozen=True, slots=True)
class Link:
    """`day`: of the message it came with. It tells apart the links of two messages about the same lot."""

    user_id: UUID
    household_id: UUID
    lot_id: UUID
    action: LinkAction
    expires_on: date
    day: date

    @property
    def is_over(self) -> bool:
        return clock.now() >= datetime.combine(self.day, time(), UTC) + LIFETIME

    @property
    def fingerprint(self) -> str:
        """The same in every channel that carried the message."""
        said = (self.lot_id.hex, self.action.value, self.expires_on.isoformat(), self.day.isoformat())
        return sha256(" ".join(said).encode()).hexdigest()

    @property
    def key(self) -> str:
        """The idempotency key of what it does."""
        return f"link-{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a link would do, and whether it has."""

    link: Link
    lot: LotRead
    is_done: bool = False


def actions_for(actor: Actor, lot: LotRead) -> list[LinkAction]:
    """What one may want to do with a lot one is told of; nothing that asks to eat what is past its use-by."""
    if lot.urgency is Urgency.EXPIRED:
        wanted = [LinkAction.BINNED]
    else:
        wanted = [LinkAction.USED, LinkAction.BINNED, LinkAction.SNOOZE]
        if lot.frozen_on is None:
            wanted.insert(1, LinkAction.FROZEN)
        if lot.urgency is not Urgency.SOON:
            wanted.remove(LinkAction.SNOOZE)
    return [action for action in wanted if actor.can(PERMISSIONS[action])]


def make(actor: Actor, lot: LotRead, action: LinkAction, *, day: date) -> str:
    """The address of a page that asks, and then does it."""
    ids = actor.user_id.bytes + actor.household_id.bytes + UUID(str(lot.id)).bytes
    said = f"{urlsafe_b64encode(ids).decode()}.{action}.{lot.expires_on:%Y%m%d}.{day:%Y%m%d}"
    return f"{get_settings().home}/do/{_signer().sign(said).decode()}"


async def ask(session: AsyncSession, token: str) -> Asked:
    """What a link is about, in its owner's language. Changes nothing.

    Raises `NotFound` for one that is forged or whose lot or member is gone, `Gone` for one that is over,
    `PermissionDenied` when the member may not, and `Conflict` when the lot's date is another by now.
    """
    _actor, asked = await _open(session, token)
    return asked


async def act(session: AsyncSession, token: str, *, version: int | None = None, confirm: bool = False) -> Asked:
    """Do what the link is for, once. Raises what `ask` does, and what the booking does."""
    actor, asked = await _open(session, token)
    link, lot = asked.link, asked.lot
    if await idempotency.claim(session, actor, link.key, link.fingerprint) is not None:
        return Asked(link, lot, is_done=True)

    lot_id = link.lot_id
    match link.action:
        case LinkAction.USED:
            taken = LotConsume.model_validate({"quantity": lot.usual_quantity, "version": version})
            booked = await stock.consume(session, actor, lot_id, taken)
        case LinkAction.BINNED:
            is_past = lot.urgency in {Urgency.EXPIRED, Urgency.PAST_BEST}
            reason = DiscardReason.EXPIRED if is_past else DiscardReason.OTHER
            booked = await stock.discard(session, actor, lot_id, LotDiscard(reason=reason, version=version))
        case LinkAction.FROZEN:
            booked = await stock.freeze(session, actor, lot_id, LotFreeze(confirm=confirm, version=version))
        case _:
            until = dates.add_days(clock.today(actor.time_zone), SNOOZE_DAYS)
            booked = await stock.snooze(session, actor, lot_id, LotSnooze(until=until, version=version))
    return Asked(link, booked.lot)


async def _open(session: AsyncSession, token: str) -> tuple[Actor, Asked]:
    link = _read(token)
    if link.is_over:
        raise Gone(_("This link is over. What it was about is in the app."))
    actor = await sessions.find_member(session, link.user_id, link.household_id)
    if actor is None:
        raise NotFound(_("This link leads nowhere any more."))
    use_locale(actor.locale)
    require(actor, PERMISSIONS[link.action])
    lot = await stock.get_lot(session, actor, link.lot_id)
    done = select(IdempotencyRecord.key).where(
        IdempotencyRecord.user_id == actor.user_id, IdempotencyRecord.key == link.key
    )
    if (await session.scalars(done)).first() is not None:
        return actor, Asked(link, lot, is_done=True)
    if lot.expires_on != link.expires_on:
        raise Conflict(_("Its date has changed since this was sent. Please look at it in the app."), code="stale")
    if float(lot.quantity) == 0:
        raise Conflict(_("Nothing is left of it."), code="too_little_left")
    return actor, Asked(link, lot)


def _read(token: str) -> Link:
    try:
        ids, action, expires_on, day = _signer().unsign(token).decode().split(".")
        user_id, household_id, lot_id = _IDS.unpack(urlsafe_b64decode(ids))
        return Link(
            UUID(bytes=user_id),
            UUID(bytes=household_id),
            UUID(bytes=lot_id),
            LinkAction(action),
            date.fromisoformat(expires_on),
            date.fromisoformat(day),
        )
    except (BadSignature, ValueError) as error:
        raise NotFound(_("This link leads nowhere. Was it copied whole?")) from error


def _signer() -> Signer:
    return Signer(get_settings().secret_key.get_secret_value(), salt="action-link", digest_method=sha256)
