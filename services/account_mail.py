"""What is written to people about their accounts: links that do one thing, and word of what was done.

A message is a delivery like any other, written with what it tells. It does not hold its link: that is made when it is
sent, if it is still good by then.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from models import ChannelKind, Delivery, LinkPurpose, User
from services import deliveries, jobs, one_time_links
from services.core import clock
from services.core.i18n import current_locale, use_locale
from services.core.ids import new_id
from services.core.tasks import task
from services.delivery import account
from services.delivery.content import Letter
from services.delivery.sender import Refused

# Nobody's mailbox is to be filled by somebody else.
PAUSE = timedelta(minutes=1)


async def send_link(session: AsyncSession, user: User, purpose: LinkPurpose, *, email: str | None = None) -> bool:
    """To the address it is about: the account's, or the one that it shall have. Links sent before it are void.

    False: not again within a minute of the last one.
    """
    if await one_time_links.was_just_made(session, user, purpose, PAUSE):
        return False
    link = await one_time_links.make(session, user, purpose, email=email or user.email)
    await _send(session, user, purpose.value, link_id=str(link.id))
    return True


async def send_notice(session: AsyncSession, user: User, what: str, *, to: str | None = None, about: str = "") -> None:
    """Tell somebody what was done to their account: `what` is one of `services.delivery.account.NOTICES`."""
    await _send(session, user, "notice", what=what, to=to or user.email, about=about)


async def say_goodbye(session: AsyncSession, user: User) -> None:
    """To somebody whose account is being deleted, so that nobody is left to deliver to: their address goes along."""
    locale = user.locale or current_locale()
    await jobs.defer(session, "say_goodbye", letter_id=str(new_id()), email=user.email, name=user.name, locale=locale)


@task("say_goodbye")
async def send_goodbye(letter_id: str, email: str, name: str, locale: str) -> str:
    """Tried again by whoever runs tasks while the mail server does not take it."""
    use_locale(locale)
    words = account.of_notice("account_deleted", about="", reset_url="")
    letter = Letter(
        id=UUID(letter_id), template="account", at=clock.now(), name=name, email=email, locale=locale, words=words
    )
    lane = deliveries.LANES[ChannelKind.EMAIL]
    sender = lane.open()
    try:
        async with asyncio.timeout(lane.timeout):
            await sender.send(letter)
    except Refused:
        return "refused"
    finally:
        await sender.close()
    return "1 written"


async def _send(session: AsyncSession, user: User, template: str, **data: str) -> None:
    session.add(Delivery(user_id=user.id, channel=ChannelKind.EMAIL, template=template, data=data))
    await jobs.defer(session, deliveries.TASK, dedupe_key=deliveries.TASK)
