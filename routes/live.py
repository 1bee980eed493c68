"""The live protocol: `/ws`, and tickets for clients that can send neither cookie nor header with it.

The hub decides what is said. Here frames of the client are read, a slow client is cut off, and ends get their codes.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

import msgspec
import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

import auth
from db import session_scope
from routes.api.routers import account_router
from routes.deps import NOT_SIGNED_IN, AccountDep, SessionDep, SocketAccountDep
from services import notifications, sessions
from services.core.errors import AppError, NotSignedIn
from services.jobs.loops import DATABASE_AWAY
from services.live import Ending, Hub, Listener
from services.metrics import SOCKETS
from services.permissions import Account
from services.schemas.accounts import TicketRead

logger = structlog.get_logger("larder.live")

router = APIRouter()
ticket_router = account_router("live", errors=(401,))

# RFC 6455, section 7.4, and its registry; 4000 and up are ours.
TRY_AGAIN_LATER = 1013
CODES = {Ending.SIGNED_OUT: NOT_SIGNED_IN, Ending.NOT_A_MEMBER: 4403, Ending.TOO_SLOW: TRY_AGAIN_LATER}
# Seconds for a client to take its last frames.
FAREWELL = 5.0
# What a client may ask for at once, and a second from then on. Pings are free.
BURST = 100
PER_SECOND = 20.0


class Ping(msgspec.Struct):
    pass


class Subscribe(msgspec.Struct):
    chat_id: UUID


class Unsubscribe(msgspec.Struct):
    chat_id: UUID


class Typing(msgspec.Struct):
    chat_id: UUID


class MarkRead(msgspec.Struct):
    id: UUID


class Resume(msgspec.Struct):
    last_id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


Action = Ping | Subscribe | Unsubscribe | Typing | MarkRead | Resume
ACTIONS: Mapping[str, type[Action]] = {
    "ping": Ping,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "typing": Typing,
    "mark_read": MarkRead,
    "resume": Resume,
}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class BadFrame(Exception):
    """Carries the code of the error frame."""


@ticket_router.post("/ws/ticket", status_code=201, name="live:ticket")
async def issue_ticket(session: SessionDep, account: AccountDep) -> TicketRead:
    """A ticket that lets one WebSocket in at `/ws?ticket=…`."""
    ticket = await sessions.issue_ticket(session, account)
    return TicketRead(ticket=ticket, expires_in=int(sessions.TICKET_LIFETIME.total_seconds()))


@router.websocket("/ws", name="live:socket")
async def live_socket(websocket: WebSocket, account: SocketAccountDep) -> None:
    hub: Hub = websocket.app.state.hub
    with suppress(WebSocketDisconnect), SOCKETS.track_inprogress():
        try:
            async with hub.listening(account.session_id) as listener:
                await websocket.accept()
                await websocket.send_text(_text({"type": "connection.established", "user_id": account.user_id}))
                await _converse(websocket, hub, listener, account)
        except NotSignedIn:
            await websocket.close(NOT_SIGNED_IN)
        except DATABASE_AWAY as error:
            logger.warning("socket_given_up", error=type(error).__name__)
            await websocket.close(TRY_AGAIN_LATER)


async def _converse(websocket: WebSocket, hub: Hub, listener: Listener, account: Account) -> None:
    """Until the client leaves or is made to."""
    sending = asyncio.create_task(_send(websocket, listener))
    receiving = asyncio.create_task(_receive(websocket, hub, listener, account))
    ends: set[asyncio.Future[Any]] = {sending, receiving, listener.over}
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, receiving):
            task.cancel()
        ended = await asyncio.gather(sending, receiving, return_exceptions=True)
    if listener.over.done():
        await _close(websocket, listener, listener.over.result())
        return
    for error in ended:
        if isinstance(error, Exception):
            raise error


async def _send(websocket: WebSocket, listener: Listener) -> None:
    while True:
        await websocket.send_text(await listener.waiting.get())


async def _receive(websocket: WebSocket, hub: Hub, listener: Listener, account: Account) -> None:
    allowance = Allowance()
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        try:
            action = _read(message.get("text"))
            if not isinstance(action, Ping) and not allowance.take():
                raise BadFrame("too_fast")
            answer = await _act(action, hub, listener, account)
        except (BadFrame, AppError) as error:
            answer = {"type": "error", "code": error.code if isinstance(error, AppError) else str(error)}
        if answer:
            await listener.say(_text(answer))


def _read(text: str | None) -> Action:
    if text is None:
        raise BadFrame("bad_frame")
    try:
        frame = _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadFrame("bad_json") from error
    name = frame.get("action") if isinstance(frame, dict) else None
    if not isinstance(name, str):
        raise BadFrame("bad_frame")
    if name not in ACTIONS:
        raise BadFrame("unknown_action")
    try:
        return msgspec.convert(frame, ACTIONS[name])
    except msgspec.ValidationError as error:
        raise BadFrame("bad_frame") from error


async def _act(action: Action, hub: Hub, listener: Listener, account: Account) -> dict[str, Any] | None:
    match action:
        case Ping():
            return {"type": "pong"}
        case Subscribe():
            auth.admit(account, "chats:detail")
            await hub.subscribe(listener, action.chat_id)
            return {"type": "ack", "id": action.chat_id}
        case Unsubscribe():
            hub.rooms.leave(listener, action.chat_id)
            return {"type": "ack", "id": action.chat_id}
        case Typing():
            hub.rooms.tell_typing(listener, action.chat_id, account.name)
            return None
        case MarkRead():
            auth.admit(account, "notifications:read")
            async with session_scope() as session:
                await notifications.mark_read(session, account, action.id)
            return {"type": "ack", "id": action.id}
        case Resume():
            if not await hub.resume(listener, action.last_id):
                raise BadFrame("too_old")
            return None


async def _close(websocket: WebSocket, listener: Listener, ending: Ending) -> None:
    """Say what still waits, unless that is why it ends; nobody else waits for this."""
    try:
        async with asyncio.timeout(FAREWELL):
            while ending is not Ending.TOO_SLOW and not listener.waiting.empty():
                await websocket.send_text(listener.waiting.get_nowait())
            await websocket.close(CODES[ending])
    except TimeoutError:
        logger.info("socket_cut_off", ending=ending.name.lower())


class Allowance:
    """A bucket of so many actions that fills again by so many a second."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._at) * PER_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _text(frame: Mapping[str, Any]) -> str:
    return _encode(frame).decode()
