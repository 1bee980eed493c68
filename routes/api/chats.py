"""Chats: /households/{h}/chats. What is said in them: `routes.api.messages`."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from routes.api.routers import household_router
from routes.deps import ActorDep, PageDep, SessionDep
from routes.idempotent import Claimed, IdempotentRoute
from services import chats
from services.core.pagination import Page
from services.schemas.chats import ChatCreate, ChatRead, ChatUpdate, MarkRead
from services.schemas.notifications import UnreadCount
from services.schemas.types import PageOf

router = household_router("chats", route_class=IdempotentRoute, dependencies=[Claimed])


@router.get("/chats", response_model=PageOf[ChatRead], name="chats:list")
async def list_chats(
    session: SessionDep,
    actor: ActorDep,
    page: PageDep,
    archived: Annotated[bool, Query(description="With those that were put away.")] = False,
) -> Page[ChatRead]:
    """Your chats, where something was said last first."""
    return await chats.list_chats(session, actor, page, archived=archived)


@router.post("/chats", response_model=ChatRead, status_code=201, name="chats:create")
async def create(body: ChatCreate, session: SessionDep, actor: ActorDep) -> ChatRead:
    """Make a chat: for all, or for those you choose. You own it."""
    return await chats.create_chat(session, actor, body)


@router.get("/chats/unread-count", response_model=UnreadCount, name="chats:unread")
async def count_unread(session: SessionDep, actor: ActorDep) -> UnreadCount:
    """How many messages you have not read, in all of your chats."""
    return UnreadCount(count=await chats.count_unread(session, actor))


@router.get("/chats/{chat_id}", response_model=ChatRead, name="chats:detail")
async def get_chat(chat_id: UUID, session: SessionDep, actor: ActorDep) -> ChatRead:
    """One chat."""
    return await chats.get_chat(session, actor, chat_id)


@router.patch("/chats/{chat_id}", response_model=ChatRead, name="chats:edit")
async def edit(chat_id: UUID, body: ChatUpdate, session: SessionDep, actor: ActorDep) -> ChatRead:
    """Rename a chat, put it away, or say who belongs to it."""
    return await chats.edit_chat(session, actor, chat_id, body)


@router.delete("/chats/{chat_id}", status_code=204, name="chats:delete")
async def delete(chat_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Delete a chat for good, with all that was said in it."""
    await chats.delete_chat(session, actor, chat_id)


@router.post("/chats/{chat_id}/read", status_code=204, name="chats:read")
async def mark_read(chat_id: UUID, body: MarkRead, session: SessionDep, actor: ActorDep) -> None:
    """Say that you have read a chat up to this message. You cannot unread."""
    await chats.mark_read(session, actor, chat_id, body.message_id)
