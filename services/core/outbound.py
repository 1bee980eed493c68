"""Requests to servers that users name. A connection goes to the very address that was checked, so a name that changes
its mind in between (DNS rebinding) gains nothing; nobody is followed anywhere else; and answers end."""

import asyncio
import socket
from collections.abc import AsyncIterator
from ssl import SSLContext

import httpx

from services.core import addresses
from services.core.addresses import Address
from settings import get_settings

MAX_ANSWER = 64 * 1024
TIMEOUT = httpx.Timeout(10, connect=5)
DEFAULT_PORTS = {"http": 80, "https": 443}


class NotPublic(httpx.TransportError):
    """The host is on a private network, or on this machine."""


class TooLarge(httpx.TransportError):
    """The answer does not end."""


def client(*, verify: SSLContext | bool = True) -> httpx.AsyncClient:
    """For requests to anywhere in the world, but to nothing that is private."""
    return httpx.AsyncClient(
        transport=PublicTransport(addresses.Exceptions.parse(get_settings().outbound_allow), verify=verify),
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": "Larder"},
    )


class PublicTransport(httpx.AsyncBaseTransport):
    def __init__(self, exceptions: addresses.Exceptions, *, verify: SSLContext | bool = True) -> None:
        self._exceptions = exceptions
        # Kept connections are found by their address, and two hosts can share one: what was verified for the first
        # says nothing about the second.
        self._inner = httpx.AsyncHTTPTransport(
            verify=verify, trust_env=False, limits=httpx.Limits(max_connections=100, max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        failure: httpx.ConnectError | httpx.ConnectTimeout | None = None
        for address in await self._resolve(request.url):
            try:
                response = await self._inner.handle_async_request(_sent_to(address, request))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
            else:
                assert isinstance(response.stream, httpx.AsyncByteStream)
                response.stream = _Ending(response.stream)
                return response
        raise failure or httpx.ConnectError("no address")

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _resolve(self, url: httpx.URL) -> list[Address]:
        host, port = _name(url), url.port or DEFAULT_PORTS.get(url.scheme, 0)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError("no such host") from error
        resolved = [address for *_, place in found if (address := addresses.literal(str(place[0])))]
        permitted = [address for address in resolved if self._exceptions.permit(host, address)]
        if not permitted:
            raise NotPublic("not a public address")
        return list(dict.fromkeys(permitted))


def _sent_to(address: Address, request: httpx.Request) -> httpx.Request:
    """The request to this address. Its Host header was set from the name, whose certificate it must be as well."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": _name(request.url)},
    )


def _name(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


class _Ending(httpx.AsyncByteStream):
    """An answer that is cut off when it gets too long."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for chunk in self._stream:
            length += len(chunk)
            if length > MAX_ANSWER:
                raise TooLarge("too long an answer")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
