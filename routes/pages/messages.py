"""One chat: what is said in it, and what one does with that. And looking for it in all of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

import auth
from db import session_scope
from models import FilePurpose, StoredFile
from routes import talk
from routes.deps import ActorDep, SessionDep
from routes.errors import status_of
from routes.forms import Form, bind, parse, read
from routes.idempotent import once
from routes.pages.chats import EVERY_CHAT
from routes.pages.sending import REFUSALS
from routes.rendering import is_htmx, redirect, render, trigger, wants_fragment
from routes.uploads import UploadingActorDep, receive_form
from services import chats, files, messages, products, sessions, stock
from services.core.errors import InvalidInput, NotFound, PermissionDenied
from services.core.i18n import _
from services.core.pagination import Page, PageRequest
from services.permissions import Actor, require
from services.schemas.chats import ChatRead, MarkRead
from services.schemas.messages import validate
from services.schemas.names import Person
from services.schemas.talk import (
    MAX_ATTACHMENTS,
    FoundMessage,
    MessageCreate,
    MessageFilters,
    MessageRead,
    MessageSearch,
    MessageUpdate,
)

router = APIRouter(include_in_schema=False)

ROWS = 50
PALETTE = ("👍", "❤️", "😂", "😮", "🙏", "🎉")
# What a message may have besides its files.
LINKS = ("content", "reply_to_id", "product_id", "lot_id")
# Blocks of the page of a chat that are drawn anew by themselves.
PARTS = {"head": "chat_head", "about": "about"}


@router.get("/chats/search", name="messages:search")
async def search(
    request: Request,
    session: SessionDep,
    actor: ActorDep,
    q: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """In all that was said in one's own chats."""
    form = parse(MessageSearch, {"q": q})
    page: Page[FoundMessage] = Page()
    if q and form.is_valid:
        try:
            page = await messages.search(session, actor, PageRequest(limit=ROWS, after=after), form.data)
        except InvalidInput as error:
            form.errors.update(error.fields)
    context = {
        "q": q,
        "form": form,
        "found": [(each, messages.with_found(each.content, q)) for each in page.items],
        "more": f"/chats/search?{urlencode({'q': q, 'after': page.next})}" if page.next else "",
    }
    return render(request, "chats/search.html", context, fragment="rows" if after else "found")


@router.get("/chats/{chat_id}", name="chats:detail")
async def detail(
    request: Request,
    chat_id: UUID,
    session: SessionDep,
    actor: ActorDep,
    part: Annotated[str, Query(max_length=20)] = "",
    household: UUID | None = None,
) -> Response:
    if household and actor.role:
        # By a link that was sent to them: from here on, their device shows the household of the chat.
        async with session_scope() as writing:
            await sessions.switch_household(writing, actor, household)
        return redirect(request, f"{request.url.path}?{request.url.remove_query_params('household').query}")
    return await _detail_page(request, session, actor, chat_id, part=part)


async def _detail_page(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    chat_id: UUID,
    *,
    part: str = "",
    form: Form[Any] | None = None,
    status_code: int = 200,
) -> Response:
    """All of it, or a part: what is around the messages is needed for the whole page only."""
    require(actor, "messages:list")
    is_whole = not wants_fragment(request)
    chat = await chats.get_chat(session, actor, chat_id)
    readers = await chats.list_readers(session, actor, chat_id)
    people = [person for person, _seq in readers]
    context: dict[str, Any] = {"chat": chat, "people_here": people, "readers": readers}
    if is_whole:
        context |= {"shown": (await chats.list_chats(session, actor, EVERY_CHAT)).items, "open": str(chat_id)}
    if is_whole or part == "about":
        context |= await _find_about(session, actor, chat_id, form.values if form else dict(request.query_params))
    if is_whole or part not in PARTS:
        context |= await _read_page(request, session, actor, chat, people)
    if is_whole:
        context["form"] = form or Form()
    response = render(
        request, "chats/detail.html", context, fragment=PARTS.get(part, "messages"), status_code=status_code
    )
    return trigger(response, {"sheet:close": True}) if part == "about" else response


async def _read_page(
    request: Request, session: AsyncSession, actor: Actor, chat: ChatRead, people: Sequence[Person]
) -> dict[str, Any]:
    given = request.query_params
    filters = parse(MessageFilters, {"around": given.get("around", "")})
    if not filters.is_valid:
        raise NotFound(_("There is no such message."))
    page = await messages.list_messages(
        session, actor, chat.id, PageRequest(limit=ROWS, after=given.get("after") or None), filters.data
    )
    is_newest = page.previous is None and not given.get("after")
    said = list(reversed(page.items))
    return {
        "lines": talk.lines(actor, chat, said, people, read_seq=chat.read_seq if is_newest and chat.unread else None),
        "older": f"/chats/{chat.id}?{urlencode({'after': page.next})}" if page.next else "",
        "newer": f"/chats/{chat.id}?{urlencode({'after': page.previous})}" if page.previous else "",
        "is_newest": is_newest,
        "newest": said[-1].id if said else None,
    }


async def _find_about(session: AsyncSession, actor: Actor, chat_id: UUID, named: dict[str, str]) -> dict[str, Any]:
    """What the next message answers, and what it is about. What makes no sense, or is gone by now, is left out."""
    found: dict[str, Any] = {"reply": None, "card": None}
    if reply_to := _id(named.get("reply") or named.get("reply_to_id")):
        with suppress(NotFound):
            found["reply"] = await messages.get_message(session, actor, chat_id, reply_to)
    with suppress(NotFound):
        found["card"] = await _find_card(session, actor, named)
    return found


async def _find_card(session: AsyncSession, actor: Actor, named: dict[str, str]) -> "Card | None":
    if lot_id := _id(named.get("lot") or named.get("lot_id")):
        about = (await stock.get_lot(session, actor, lot_id)).product
        return Card("lot_id", lot_id, about.name, about.icon)
    if product_id := _id(named.get("product") or named.get("product_id")):
        product = await products.read_product(session, actor, product_id)
        return Card("product_id", product_id, product.name, product.category.icon if product.category else "")
    return None


@dataclass(frozen=True, slots=True)
class Card:
    """What the next message is about: a field of its form."""

    name: str
    value: UUID
    title: str
    icon: str


def _id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


@router.post("/chats/{chat_id}/read", name="chats:read")
async def mark_read(request: Request, chat_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    data = (await bind(request, MarkRead)).checked()
    await chats.mark_read(session, actor, chat_id, data.message_id)
    return Response(status_code=204) if is_htmx(request) else redirect(request, f"/chats/{chat_id}")


# Messages


@router.post("/chats/{chat_id}/messages", name="messages:create")
async def post(request: Request, chat_id: UUID, sender: UploadingActorDep) -> Response:
    """Say something. Scripts send the files before and name them here; without scripts they come along."""
    fields: dict[str, str] = {}
    try:
        async with (
            receive_form(request, max_files=MAX_ATTACHMENTS, fields=fields) as sent,
            _keeping(sender, sent.files) as kept,
        ):
            response = await _post_once(request, chat_id, _bind_message(fields, kept))
            kept.are_sent = response.status_code < 400 and "Idempotent-Replayed" not in response.headers
    except REFUSALS as error:
        if is_htmx(request):
            raise
        form: Form[MessageCreate] = Form(fields, {"": str(error)})
        async with session_scope(read_only=True) as session:
            return await _detail_page(request, session, sender, chat_id, form=form, status_code=status_of(error))
    return response


async def _post_once(request: Request, chat_id: UUID, form: Form[MessageCreate]) -> Response:
    async with session_scope() as session:
        actor = await auth.current_actor(request, session)
        key = form.value("idempotency_key")
        return await once(request, session, actor, key, lambda: _post(request, session, actor, chat_id, form))


@dataclass
class Kept:
    """Files that came with a message. `refusal`: why one was not taken."""

    stored: list[StoredFile] = field(default_factory=list)
    refusal: str = ""
    are_sent: bool = False


@asynccontextmanager
async def _keeping(sender: Actor, received: Sequence[files.Received]) -> AsyncIterator[Kept]:
    """Keep what came; it goes again unless it was sent."""
    kept = Kept()
    try:
        for each in received:
            try:
                kept.stored.append(
                    await files.keep(sender, each, purpose=FilePurpose.MESSAGE, household_id=sender.household_id)
                )
            except REFUSALS as error:
                kept.refusal = f"{each.name}: {error}"
                break
        yield kept
    finally:
        if not kept.are_sent:
            for file in kept.stored:
                await asyncio.shield(files.discard(file))


def _bind_message(fields: dict[str, str], kept: Kept) -> Form[MessageCreate]:
    form: Form[MessageCreate] = Form(values=fields)
    named = [each for each in form.value("attachment_ids").split(",") if each]
    given = {name: value for name, value in fields.items() if value and name in LINKS}
    attachment_ids = [*named, *(file.id for file in kept.stored)]
    try:
        form.parsed = validate(MessageCreate, {**given, "attachment_ids": attachment_ids})
    except InvalidInput as error:
        form.errors = dict(error.fields)
    if kept.refusal:
        form.errors[""] = kept.refusal
    return form


async def _post(
    request: Request, session: AsyncSession, actor: Actor, chat_id: UUID, form: Form[MessageCreate]
) -> Response:
    posted = await form.act(request, session, lambda data: messages.post(session, actor, chat_id, data))
    if posted is None:
        return await _detail_page(request, session, actor, chat_id, form=form, status_code=422)
    if is_htmx(request):
        return await _message_page(request, session, actor, chat_id, posted, fragment="message")
    return redirect(request, f"/chats/{chat_id}")


@router.get("/chats/{chat_id}/messages/{message_id}", name="messages:list")
async def message(request: Request, chat_id: UUID, message_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    """One message, to be put where it belongs."""
    found = await messages.get_message(session, actor, chat_id, message_id)
    return await _message_page(request, session, actor, chat_id, found, fragment="message")


@router.get("/chats/{chat_id}/messages/{message_id}/actions", name="messages:list")
async def message_actions(
    request: Request, chat_id: UUID, message_id: UUID, session: SessionDep, actor: ActorDep
) -> Response:
    """What one can do with a message, in a sheet."""
    found = await messages.get_message(session, actor, chat_id, message_id)
    return await _message_page(request, session, actor, chat_id, found, fragment="sheet")


@router.get("/chats/{chat_id}/messages/{message_id}/edit", name="messages:edit")
async def edit_form(
    request: Request, chat_id: UUID, message_id: UUID, session: SessionDep, actor: ActorDep
) -> Response:
    return await _edit_page(request, session, actor, chat_id, message_id, Form())


@router.post("/chats/{chat_id}/messages/{message_id}/edit", name="messages:edit")
async def edit_message(
    request: Request, chat_id: UUID, message_id: UUID, session: SessionDep, actor: ActorDep
) -> Response:
    # What was emptied was not left out.
    form = parse(MessageUpdate, {"content": (await read(request)).get("content") or " "})
    edited = await form.attempt(session, lambda data: messages.edit(session, actor, chat_id, message_id, data))
    if edited is None:
        return await _edit_page(request, session, actor, chat_id, message_id, form, status_code=422)
    return await _changed(request, session, actor, chat_id, message_id)


@router.post("/chats/{chat_id}/messages/{message_id}/delete", name="messages:delete")
async def delete_message(
    request: Request, chat_id: UUID, message_id: UUID, session: SessionDep, actor: ActorDep
) -> Response:
    await messages.delete(session, actor, chat_id, message_id)
    return await _changed(request, session, actor, chat_id, message_id)


@router.post("/chats/{chat_id}/messages/{message_id}/react", name="messages:react")
async def react(request: Request, chat_id: UUID, message_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await messages.react(session, actor, chat_id, message_id, (await read(request)).get("emoji", ""))
    return await _changed(request, session, actor, chat_id, message_id)


@router.post("/chats/{chat_id}/messages/{message_id}/unreact", name="messages:unreact")
async def unreact(request: Request, chat_id: UUID, message_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await messages.unreact(session, actor, chat_id, message_id, (await read(request)).get("emoji", ""))
    return await _changed(request, session, actor, chat_id, message_id)


async def _changed(request: Request, session: AsyncSession, actor: Actor, chat_id: UUID, message_id: UUID) -> Response:
    """The message as it is now takes the place of what it was."""
    if not is_htmx(request):
        return redirect(request, _place_of(chat_id, message_id))
    found = await messages.get_message(session, actor, chat_id, message_id)
    response = await _message_page(request, session, actor, chat_id, found, fragment="changed")
    response.headers["HX-Reswap"] = "none"
    return trigger(response, {"sheet:close": True})


async def _message_page(
    request: Request, session: AsyncSession, actor: Actor, chat_id: UUID, found: MessageRead, *, fragment: str
) -> Response:
    chat = await chats.get_chat(session, actor, chat_id)
    people = await chats.list_people(session, actor, chat_id)
    (line,) = talk.lines(actor, chat, [found], people)
    context = {
        "chat": chat,
        "line": line,
        "palette": PALETTE,
        "in_sheet": wants_fragment(request),
        "may_delete": line.is_own or actor.can("messages:delete_others"),
    }
    return render(request, "chats/message.html", context, fragment=fragment)


async def _edit_page(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    chat_id: UUID,
    message_id: UUID,
    form: Form[MessageUpdate],
    *,
    status_code: int = 200,
) -> Response:
    found = await messages.get_message(session, actor, chat_id, message_id)
    if found.author is None or found.author.id != actor.user_id:
        raise PermissionDenied(_("Only its author can edit a message."))
    context = {"message": found, "form": form, "in_sheet": wants_fragment(request)}
    return render(request, "chats/edit.html", context, fragment="edit_form", status_code=status_code)


def _place_of(chat_id: UUID, message_id: UUID) -> str:
    return f"/chats/{chat_id}?around={message_id}#message-{message_id}"
