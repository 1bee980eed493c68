"""New addresses of files for those that are over, as on a page that was open overnight."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Attachment, Chat, FilePurpose, Message
from services import chats, files
from services.core.errors import NotFound
from services.core.i18n import _
from services.permissions import Actor


async def renew(session: AsyncSession, actor: Actor, content: files.Content) -> str:
    """The address of now, of a file of the actor's household. Raises `NotFound` when they may not see it any more."""
    file = content.file
    is_theirs = file.household_id == actor.household_id
    if not is_theirs or (file.purpose is FilePurpose.MESSAGE and not await _is_read_by(session, actor, content)):
        raise NotFound(_("There is no such file."))
    return files.address(file.id, content.size)


async def _is_read_by(session: AsyncSession, actor: Actor, content: files.Content) -> bool:
    """Whether it came with a message in a chat the actor sees."""
    carried = (
        sa.select(col(Attachment.file_id))
        .join(Message, col(Message.id) == col(Attachment.message_id))
        .join(Chat, col(Chat.id) == col(Message.chat_id))
        .where(col(Attachment.file_id) == content.file.id, *chats.visible_to(actor))
    )
    return actor.can("messages:list") and (await session.execute(carried)).first() is not None
