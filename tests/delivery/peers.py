"""The other ends: SMTP and HTTP servers that behave, and some that do not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ssl import SSLContext
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

HOST = "127.0.0.1"
HANG = b""


@dataclass
class Request:
    """What an HTTP server was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpPeer:
    """Answers with what `answers` holds, in turn, then with 200. `HANG` never answers."""

    port: int = 0
    answers: list[bytes] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    on_request: Callable[[Request], Awaitable[None]] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/hook"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        method, path, _version = first.split(" ")
        headers = {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method, path, headers, body)
        self.requests.append(request)
        if self.on_request is not None:
            await self.on_request(request)
        answer = self.answers.pop(0) if self.answers else ok()
        if answer == HANG:
            await reader.read()  # until the other side gives up
            return
        writer.write(answer)
        await writer.drain()


def ok() -> bytes:
    return status(200)


def status(code: int, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {code} Whatever\r\n{lines}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


def huge(megabytes: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * (megabytes << 20)


@asynccontextmanager
async def http_peer(*answers: bytes, tls: SSLContext | None = None) -> AsyncIterator[HttpPeer]:
    peer = HttpPeer(answers=list(answers))
    server = await asyncio.start_server(peer.handle, HOST, 0, ssl=tls, limit=1 << 20)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()


@dataclass
class SmtpPeer:
    """A real SMTP server that keeps what it is sent. `answers`: what it says to messages, in turn, instead of 250."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    on_message: Callable[[EmailMessage], Awaitable[None]] | None = None

    @property
    def url(self) -> str:
        return mail_url(self.port)

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 5.1.1 nobody here by that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        if self.answers:
            return self.answers.pop(0)
        self.messages.append(message)
        if self.on_message is not None:
            await self.on_message(message)
        return "250 OK"

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=True)


@asynccontextmanager
async def smtp_peer(tls: SSLContext | None = None) -> AsyncIterator[SmtpPeer]:
    peer = SmtpPeer()
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            peer,
            hostname="peer.test",
            tls_context=tls,
            authenticator=peer.authenticate,
            auth_require_tls=tls is not None,
            loop=loop,
        )

    server = await loop.create_server(protocol, HOST, 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()


@asynccontextmanager
async def broken_smtp(behaviour: str) -> AsyncIterator[int]:
    """The port of a mail server that hangs, talks garbage, or dies in the middle of a message."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _misbehave(behaviour, reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _misbehave(behaviour: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if behaviour == "hangs":
        await reader.read()
    elif behaviour == "garbage":
        writer.write(b"\xff\xfe\x00 this is not SMTP at all\r\n" * 20)
        await writer.drain()
    elif behaviour == "busy":
        writer.write(b"421 too many of you\r\n")
        await writer.drain()
    elif behaviour == "dies mid-DATA":
        writer.write(b"220 peer.test\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await writer.drain()
                await reader.readline()
                writer.transport.abort()
                return
            writer.write(b"250 OK\r\n")


def mail_url(port: int) -> str:
    return f"smtp://{HOST}:{port}?from=Larder%20%3Clarder@example.org%3E"
