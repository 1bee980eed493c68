"""What was said, as it looks to its reader."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

import emoji

from services import messages, wording
from services.core import clock
from services.core.i18n import _
from services.permissions import Actor
from services.schemas.chats import ChatRead
from services.schemas.names import Person
from services.schemas.talk import MessageRead

# What comes sooner after one's last message belongs to it.
TOGETHER = timedelta(minutes=5)
# So few emoji, and nothing else, are a picture of their own. One is of ten code points at most.
FEW_EMOJI = 3
LONGEST_EMOJI = 10


@dataclass(frozen=True, slots=True)
class Reaction:
    emoji: str
    count: int
    is_own: bool
    names: str


@dataclass(frozen=True, slots=True)
class Line:
    """A message. `follows`: it needs no head of its own after the one before."""

    message: MessageRead
    parts: Sequence[messages.Part]
    reactions: list[Reaction]
    on: date
    day: str
    time_zone: str
    is_own: bool
    names_reader: bool
    may_answer: bool
    is_emoji: bool
    starts_day: bool = False
    follows: bool = False
    is_first_new: bool = False


def lines(
    actor: Actor, chat: ChatRead, said: Iterable[MessageRead], people: Sequence[Person], *, read_seq: int | None = None
) -> list[Line]:
    """Oldest first. `read_seq`: what comes after it is new."""
    names = {person.id: person.name for person in people}
    drawn: list[Line] = []
    before: MessageRead | None = None
    has_new = read_seq is None
    for message in said:
        is_unread = message.seq > (read_seq or 0) and message.deleted_at is None and not _tells_of(message, actor)
        is_first_new = is_unread and not has_new
        has_new = has_new or is_first_new
        drawn.append(_line(actor, chat, message, names, before, is_first_new=is_first_new))
        before = message
    return drawn


def _line(
    actor: Actor,
    chat: ChatRead,
    message: MessageRead,
    names: Mapping[UUID, str],
    before: MessageRead | None,
    *,
    is_first_new: bool,
) -> Line:
    on = clock.day_of(message.created_at, actor.time_zone)
    starts_day = before is None or clock.day_of(before.created_at, actor.time_zone) != on
    return Line(
        message=message,
        parts=messages.parts(message),
        reactions=[_reaction(actor, each.emoji, each.user_ids, names) for each in message.reactions],
        on=on,
        day=wording.relative_day(on, clock.today(actor.time_zone)),
        time_zone=actor.time_zone,
        is_own=_is_by(message, actor),
        names_reader=any(person.id == actor.user_id for person in message.mentions),
        may_answer=chat.archived_at is None and actor.can("messages:react"),
        is_emoji=_is_emoji(message),
        starts_day=starts_day,
        follows=not starts_day and not is_first_new and before is not None and _belong_together(before, message),
        is_first_new=is_first_new,
    )


def _reaction(actor: Actor, emoji: str, user_ids: Sequence[UUID], names: Mapping[UUID, str]) -> Reaction:
    called = [_("You") if each == actor.user_id else names.get(each, _("A former member")) for each in user_ids]
    return Reaction(emoji, len(user_ids), actor.user_id in user_ids, ", ".join(called))


def _is_emoji(message: MessageRead) -> bool:
    if message.deleted_at or message.attachments or message.lot or message.product or not message.content:
        return False
    symbols = "".join(message.content.split())
    is_short = len(symbols) <= FEW_EMOJI * LONGEST_EMOJI
    return is_short and emoji.purely_emoji(symbols) and emoji.emoji_count(symbols) <= FEW_EMOJI


def _is_by(message: MessageRead, actor: Actor) -> bool:
    return message.author is not None and message.author.id == actor.user_id


def _tells_of(message: MessageRead, actor: Actor) -> bool:
    """What one said, or did to stock, is not new to oneself."""
    doer = message.booking.event.actor if message.booking else message.author
    return doer is not None and doer.id == actor.user_id


def _belong_together(before: MessageRead, message: MessageRead) -> bool:
    if before.author is None or message.author is None or before.author.id != message.author.id:
        return False
    return message.created_at - before.created_at < TOGETHER
