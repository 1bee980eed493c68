"""How uvicorn serves WebSockets here."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_FRAME = 64 * 1024


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, but a client that does not even take its farewell keeps no connection."""

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(self.close_timeout, self.transport.abort)


OPTIONS: dict[str, Any] = {
    "ws": SocketProtocol,
    "ws_max_size": MAX_FRAME,  # beyond it, 1009
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
    # Frames are short, and each socket would keep a compressor.
    "ws_per_message_deflate": False,
}
