"""What is said in chats: /households/{h}/chats/{chat_id}/messages, and one's own: /users/me/messages."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from fastapi.responses import StreamingResponse

from routes.api.routers import account_router, household_router
from routes.deps import AccountDep, ActorDep, PageDep, SessionDep
from routes.idempotent import Claimed, IdempotentRoute
from services import messages
from services.core import clock
from services.core.pagination import Page
from services.schemas.talk import (
    FoundMessage,
    MessageCreate,
    MessageFilters,
    MessagePage,
    MessageRead,
    MessageSearch,
    MessageUpdate,
)
from services.schemas.types import PageOf

router = household_router("messages", route_class=IdempotentRoute, dependencies=[Claimed])
own_router = account_router("messages", errors=(401,))


@router.get("/chats/{chat_id}/messages", response_model=MessagePage, name="messages:list")
async def list_messages(
    chat_id: UUID, session: SessionDep, actor: ActorDep, page: PageDep, filters: Annotated[MessageFilters, Query()]
) -> MessagePage:
    """What was said in a chat, newest first. `previous` leads to newer messages, where the page begins below them."""
    return await messages.list_messages(session, actor, chat_id, page, filters)


@router.post("/chats/{chat_id}/messages", response_model=MessageRead, status_code=201, name="messages:create")
async def create(chat_id: UUID, body: MessageCreate, session: SessionDep, actor: ActorDep) -> MessageRead:
    """Say something. `@Name` mentions a member."""
    return await messages.post(session, actor, chat_id, body)


@router.patch("/chats/{chat_id}/messages/{message_id}", response_model=MessageRead, name="messages:edit")
async def edit(
    chat_id: UUID, message_id: UUID, body: MessageUpdate, session: SessionDep, actor: ActorDep
) -> MessageRead:
    """Say it otherwise. Only its author can."""
    return await messages.edit(session, actor, chat_id, message_id, body)


@router.delete("/chats/{chat_id}/messages/{message_id}", status_code=204, name="messages:delete")
async def delete(chat_id: UUID, message_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Take its words and files away; its place stays. Its author can, and admins."""
    await messages.delete(session, actor, chat_id, message_id)


@router.put(
    "/chats/{chat_id}/messages/{message_id}/reactions/{emoji}", response_model=MessageRead, name="messages:react"
)
async def react(chat_id: UUID, message_id: UUID, emoji: str, session: SessionDep, actor: ActorDep) -> MessageRead:
    """Put an emoji under a message."""
    return await messages.react(session, actor, chat_id, message_id, emoji)


@router.delete(
    "/chats/{chat_id}/messages/{message_id}/reactions/{emoji}", response_model=MessageRead, name="messages:unreact"
)
async def unreact(chat_id: UUID, message_id: UUID, emoji: str, session: SessionDep, actor: ActorDep) -> MessageRead:
    """Take your emoji away again."""
    return await messages.unreact(session, actor, chat_id, message_id, emoji)


@router.get("/messages", response_model=PageOf[FoundMessage], name="messages:search")
async def search(
    session: SessionDep, actor: ActorDep, page: PageDep, filters: Annotated[MessageSearch, Query()]
) -> Page[FoundMessage]:
    """What was said in all chats you see, newest first; with `q`, what contains these words."""
    return await messages.search(session, actor, page, filters)


@own_router.get("/users/me/messages", response_class=StreamingResponse, name="messages:export")
async def export(account: AccountDep) -> StreamingResponse:
    """All that you wrote in any household, oldest first, as a file to keep."""
    name = f"larder-messages-{clock.now():%Y-%m-%d}.json"
    return StreamingResponse(
        messages.export(account),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
