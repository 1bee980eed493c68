"""Chats: which there are, starting one, and what it is called and who belongs to it. What is said: `pages.messages`."""

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from routes.deps import ActorDep, SessionDep
from routes.forms import Form, read_many
from routes.idempotent import once
from routes.rendering import Toast, redirect, render, wants_fragment
from services import chats, households
from services.core.errors import InvalidInput
from services.core.i18n import _
from services.core.pagination import PageRequest
from services.permissions import Actor, require
from services.schemas.chats import MAX_MEMBERS, ChatCreate, ChatRead, ChatUpdate
from services.schemas.messages import validate

router = APIRouter(include_in_schema=False)

EVERY_CHAT = PageRequest(limit=chats.MAX_CHATS)
EVERYBODY = PageRequest(limit=MAX_MEMBERS)


@router.get("/chats", name="chats:list")
async def list_chats(
    request: Request,
    session: SessionDep,
    actor: ActorDep,
    archived: bool = False,
    open: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    if open and wants_fragment(request):
        shown = (await chats.list_chats(session, actor, EVERY_CHAT)).items
        return render(request, "chats/detail.html", {"shown": shown, "open": open}, fragment="others")
    return await _list_page(request, session, actor, archived=archived)


@router.get("/chats/unread", name="chats:unread")
async def count_unread(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    """How many one has not read, for the frame around every page."""
    return render(request, "chats/unread.html", {"count": await chats.count_unread(session, actor)})


@router.get("/chats/about", name="chats:list")
async def talk_about(
    request: Request, session: SessionDep, actor: ActorDep, lot: UUID | None = None, product: UUID | None = None
) -> Response:
    """Where to talk about something; with one chat there is nothing to choose."""
    about = f"?{urlencode({'lot': lot} if lot else {'product': product} if product else {})}"
    return await _list_page(request, session, actor, about=about)


async def _list_page(
    request: Request, session: AsyncSession, actor: Actor, *, archived: bool = False, about: str = ""
) -> Response:
    page = await chats.list_chats(session, actor, EVERY_CHAT, archived=archived)
    shown = [chat for chat in page.items if bool(chat.archived_at) is archived]
    if about and len(shown) == 1:
        return redirect(request, f"/chats/{shown[0].id}{about}")
    context = {
        "shown": shown,
        "archived": archived,
        "about": about,
        "here": f"/chats/about{about}" if about else "/chats?archived=true" if archived else "/chats",
    }
    return render(request, "chats/list.html", context, fragment="chats")


@router.get("/chats/new", name="chats:create")
async def new_form(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    return await _form_page(request, session, actor, Form())


@router.post("/chats/new", name="chats:create")
async def create(request: Request, session: SessionDep, actor: ActorDep) -> Response:
    form = await _bind_chat(request, ChatCreate)

    async def make() -> Response:
        made = await form.attempt(session, lambda data: chats.create_chat(session, actor, data))
        if made is None:
            return await _form_page(request, session, actor, form, status_code=422)
        return redirect(request, f"/chats/{made.id}{_about(request)}")

    return await once(request, session, actor, form.value("idempotency_key"), make)


@router.get("/chats/{chat_id}/settings", name="chats:detail")
async def settings_form(request: Request, chat_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    """Who is in it, what it is called; for those who may, also to change that."""
    return await _form_page(request, session, actor, Form(), await chats.get_chat(session, actor, chat_id))


@router.post("/chats/{chat_id}/settings", name="chats:edit")
async def edit(request: Request, chat_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    chat = await chats.get_chat(session, actor, chat_id)
    if not _may_edit(actor, chat):
        require(actor, "chats:edit_others")
    form = await _bind_chat(request, ChatUpdate)
    edited = await form.attempt(session, lambda data: chats.edit_chat(session, actor, chat_id, data))
    if edited is None:
        return await _form_page(request, session, actor, form, chat, status_code=422)
    is_still_in = edited.is_for_all or any(person.id == actor.user_id for person in edited.members)
    return redirect(request, f"/chats/{chat_id}" if is_still_in else "/chats", toast=Toast(_("Saved.")))


@router.post("/chats/{chat_id}/archive", name="chats:edit")
async def archive(request: Request, chat_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    chat = await chats.edit_chat(session, actor, chat_id, ChatUpdate(is_archived=True))
    toast = Toast(
        _("{title} is archived.").format(title=chat.title), action=f"/chats/{chat_id}/restore", label=_("Undo")
    )
    return redirect(request, "/chats", toast=toast)


@router.post("/chats/{chat_id}/restore", name="chats:edit")
async def restore(request: Request, chat_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await chats.edit_chat(session, actor, chat_id, ChatUpdate(is_archived=False))
    return redirect(request, f"/chats/{chat_id}", toast=Toast(_("You can go on with it.")))


@router.post("/chats/{chat_id}/delete", name="chats:delete")
async def delete(request: Request, chat_id: UUID, session: SessionDep, actor: ActorDep) -> Response:
    await chats.delete_chat(session, actor, chat_id)
    return redirect(request, "/chats", toast=Toast(_("The chat is deleted.")))


async def _bind_chat(request: Request, schema: type[Any]) -> Form[Any]:
    """Boxes that are not ticked are not sent, but mean something."""
    submitted = await read_many(request)
    form: Form[Any] = Form(values={name: values[-1] for name, values in submitted.items()})
    is_for_all = form.value("is_for_all") != "false"
    form.values["member_ids"] = ",".join(submitted.get("member_ids", []))
    try:
        form.parsed = validate(
            schema,
            {
                "title": form.value("title"),
                "is_for_all": is_for_all,
                "member_ids": None if is_for_all else submitted.get("member_ids", []),
                "tells_stock": form.value("tells_stock") == "true",
            },
        )
    except InvalidInput as error:
        form.errors = dict(error.fields)
    return form


async def _form_page(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    form: Form[Any],
    chat: ChatRead | None = None,
    *,
    status_code: int = 200,
) -> Response:
    was_sent = bool(form.values)
    if was_sent:
        chosen = set(form.value("member_ids").split(","))
    else:
        chosen = {str(person.id) for person in chat.members} if chat else {str(actor.user_id)}
    context = {
        "form": form,
        "chat": chat,
        "about": _about(request),
        "members": (await households.list_members(session, actor, EVERYBODY)).items,
        "chosen": chosen,
        "is_for_all": form.value("is_for_all") != "false" if was_sent else chat is None or chat.is_for_all,
        "tells_stock": form.value("tells_stock") == "true" if was_sent else chat is not None and chat.tells_stock,
        "may_edit": chat is not None and _may_edit(actor, chat),
    }
    return render(request, "chats/form.html", context, status_code=status_code)


def _may_edit(actor: Actor, chat: ChatRead) -> bool:
    is_own = chat.owner is not None and chat.owner.id == actor.user_id
    return actor.can("chats:edit") and (is_own or actor.can("chats:edit_others"))


def _about(request: Request) -> str:
    """What one wants to talk about, on its way from page to page."""
    named = {name: value for name, value in request.query_params.items() if name in {"lot", "product"}}
    return f"?{urlencode(named)}" if named else ""
